//! `docker-credential-NAME`: the programs that keep passwords for registries.
//!
//! One is started with a verb as its only argument, reads a line or a JSON object from its standard input and answers
//! on its standard output; where it fails, it says so there as well, and ends with a status other than 0
//! (docker-credential-helpers, "Development").
//!
//! ```text
//! get    SERVER                            → {"ServerURL": …, "Username": …, "Secret": …}
//! store  {"ServerURL", "Username", "Secret"} → nothing
//! erase  SERVER                            → nothing
//! list                                     → {SERVER: USER, …}
//! ```
//!
//! No secret is ever an argument or a part of an error.
//!
//! A helper has the environment of the user, since that is where it finds the session's keyring, the files of the
//! user and the names of profiles. It has no terminal. During a build it is started by the builder and therefore in
//! a user namespace, in which its user id is 0 and yet has the rights of the user alone: files and sockets of the
//! user's are as reachable as before, but one that asks the kernel who it is hears "root", and a server that compares
//! that with what the kernel tells about its peer (D-Bus) may refuse it. `careen login` is no build, and starts it as
//! the user.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;

use crate::program::{Invocation, Program, ProgramError, ProgramNotFound, ProgramOutput};

/// What a helper says that knows nobody for a server.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// How long a helper may take: it may have to ask the user for the password of a keyring.
pub const HELPER_LIMIT: Duration = Duration::from_mins(2);

/// How much is repeated of what a helper says when it fails, in bytes.
const SAID_LIMIT_BYTES: usize = 1024;

/// A user and a secret. The secret cannot be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct HelperCredentials {
    /// The user; `<token>` where the secret is an identity token.
    pub user: String,
    /// The password or token. It is secret.
    pub secret: String,
}

impl fmt::Debug for HelperCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HelperCredentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Why a helper did not do what it was asked for.
#[derive(Debug, Error)]
pub enum HelperError {
    /// The name cannot be part of the name of a program.
    #[error("`{helper}` is no name of a credential helper")]
    Name {
        /// The name.
        helper: String,
    },
    /// There is no such program.
    #[error("ask the credential helper `{helper}`")]
    Missing {
        /// The name.
        helper: String,
        /// Where it was looked for.
        source: ProgramNotFound,
    },
    /// It did not start, or did not end.
    #[error("ask the credential helper `{helper}`")]
    Run {
        /// The name.
        helper: String,
        /// What happened.
        source: ProgramError,
    },
    /// It ended with a status other than 0.
    #[error(
        "credential helper `{helper}`, asked to {verb} what is for `{server}`: {status}, saying `{said}`"
    )]
    Refused {
        /// The name.
        helper: String,
        /// What it was asked for.
        verb: &'static str,
        /// The server.
        server: String,
        /// How it ended.
        status: ExitStatus,
        /// What it printed.
        said: String,
    },
    /// Its answer cannot be understood. The answer may hold a secret and is not shown.
    #[error(
        "credential helper `{helper}`, asked for `{server}`: its answer is not the JSON object that it should be"
    )]
    Answer {
        /// The name.
        helper: String,
        /// The server.
        server: String,
    },
}

/// The helpers of a machine; `helper` is what stands behind `docker-credential-`.
pub trait CredentialHelpers: fmt::Debug + Send + Sync {
    /// Returns what a helper has for a server; nothing if it has nothing.
    ///
    /// # Errors
    ///
    /// Fails when there is no such helper, or it fails or answers what cannot be understood.
    fn get(&self, helper: &str, server: &str) -> Result<Option<HelperCredentials>, HelperError>;

    /// Gives a helper something to keep.
    ///
    /// # Errors
    ///
    /// Fails when there is no such helper, or it fails.
    fn store(
        &self,
        helper: &str,
        server: &str,
        credentials: &HelperCredentials,
    ) -> Result<(), HelperError>;

    /// Makes a helper forget what it has for a server, if anything.
    ///
    /// # Errors
    ///
    /// Fails when there is no such helper, or it fails.
    fn erase(&self, helper: &str, server: &str) -> Result<(), HelperError>;

    /// Returns the servers that a helper has something for, each with the user.
    ///
    /// # Errors
    ///
    /// Fails when there is no such helper, or it fails or answers what cannot be understood.
    fn list(&self, helper: &str) -> Result<BTreeMap<String, String>, HelperError>;
}

/// The helpers in the user's `PATH`.
#[derive(Clone)]
pub struct SystemCredentialHelpers {
    search_path: OsString,
    environment: Vec<(OsString, OsString)>,
}

impl fmt::Debug for SystemCredentialHelpers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the environment: it may hold what is secret.
        f.debug_struct("SystemCredentialHelpers")
            .field("search_path", &self.search_path)
            .finish_non_exhaustive()
    }
}

impl SystemCredentialHelpers {
    /// Looks for helpers in `search_path`, a list like that of `PATH`, and starts them with an environment.
    pub fn new(search_path: &OsStr, environment: Vec<(OsString, OsString)>) -> Self {
        Self {
            search_path: search_path.to_owned(),
            environment,
        }
    }

    fn ask(&self, call: &Call<'_>) -> Result<Option<ProgramOutput>, HelperError> {
        let owned = || call.helper.to_owned();
        if !is_name(call.helper) {
            return Err(HelperError::Name { helper: owned() });
        }
        let name = format!("docker-credential-{}", call.helper);
        let program =
            Program::find(&name, &self.search_path).map_err(|source| HelperError::Missing {
                helper: owned(),
                source,
            })?;
        let invocation = Invocation {
            arguments: &[call.verb.into()],
            environment: &self.environment,
            input: call.input.as_bytes(),
            directory: None,
            limit: HELPER_LIMIT,
            cancelled: &|| false,
        };
        let (status, output) =
            program
                .run_to_end(&invocation)
                .map_err(|source| HelperError::Run {
                    helper: owned(),
                    source,
                })?;
        if status.success() {
            return Ok(Some(output));
        }
        let said = said(&output);
        if said == NOT_FOUND {
            return Ok(None);
        }
        Err(HelperError::Refused {
            helper: owned(),
            verb: call.verb,
            server: call.server.to_owned(),
            status,
            said,
        })
    }
}

/// One question to a helper.
struct Call<'a> {
    helper: &'a str,
    verb: &'static str,
    server: &'a str,
    input: &'a str,
}

impl CredentialHelpers for SystemCredentialHelpers {
    fn get(&self, helper: &str, server: &str) -> Result<Option<HelperCredentials>, HelperError> {
        let call = Call {
            helper,
            verb: "get",
            server,
            input: server,
        };
        let Some(output) = self.ask(&call)? else {
            return Ok(None);
        };
        let credentials = credentials(&output.stdout).ok_or_else(|| call.misunderstood())?;
        let is_nobody = credentials.user.is_empty() && credentials.secret.is_empty();
        Ok((!is_nobody).then_some(credentials))
    }

    fn store(
        &self,
        helper: &str,
        server: &str,
        credentials: &HelperCredentials,
    ) -> Result<(), HelperError> {
        let HelperCredentials { user, secret } = credentials;
        let object = json!({ "ServerURL": server, "Username": user, "Secret": secret });
        let call = Call {
            helper,
            verb: "store",
            server,
            input: &object.to_string(),
        };
        self.ask(&call).map(drop)
    }

    fn erase(&self, helper: &str, server: &str) -> Result<(), HelperError> {
        let call = Call {
            helper,
            verb: "erase",
            server,
            input: server,
        };
        self.ask(&call).map(drop)
    }

    fn list(&self, helper: &str) -> Result<BTreeMap<String, String>, HelperError> {
        let call = Call {
            helper,
            verb: "list",
            server: "all servers",
            input: "",
        };
        let Some(output) = self.ask(&call)? else {
            return Ok(BTreeMap::new());
        };
        serde_json::from_slice(&output.stdout).map_err(|_may_quote| call.misunderstood())
    }
}

impl Call<'_> {
    fn misunderstood(&self) -> HelperError {
        HelperError::Answer {
            helper: self.helper.to_owned(),
            server: self.server.to_owned(),
        }
    }
}

/// Tells whether a name can be part of the name of a program, and of nothing else.
fn is_name(helper: &str) -> bool {
    !helper.is_empty()
        && helper
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn credentials(answer: &[u8]) -> Option<HelperCredentials> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let text = |key: &str| Some(answer.get(key)?.as_str()?.to_owned());
    Some(HelperCredentials {
        user: text("Username")?,
        secret: text("Secret")?,
    })
}

/// Returns what a helper said that failed: on its standard output, as the protocol has it, or else at the end of its
/// standard error.
fn said(output: &ProgramOutput) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let text = match text.trim() {
        "" => &output.last_words,
        text => text,
    };
    let is_shown = |c: &char| !c.is_control() || *c == '\n';
    let mut said: String = text.chars().filter(is_shown).collect();
    let end = said.floor_char_boundary(SAID_LIMIT_BYTES.min(said.len()));
    said.truncate(end);
    said
}

#[cfg(test)]
mod tests;
