//! Why a registry did not give or take something.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use fetch::FetchError;
use oci::Digest;

use crate::host::LookupError;

/// A registry did not give or take something.
#[derive(Debug, thiserror::Error)]
#[error("{asked}{} at `{host}`", of(repository))]
pub struct RegistryError {
    /// What was to be done, with the name of what it was about: "read the manifest `1.0`".
    pub asked: String,
    /// The repository, as a reference names it; empty where it was about the registry.
    pub repository: String,
    /// The host that was asked, with its port.
    pub host: String,
    /// What went wrong.
    #[source]
    pub failure: Failure,
}

/// What went wrong with a registry.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration does not say which hosts to ask.
    #[error("find the hosts that answer for it")]
    Hosts(#[source] LookupError),
    /// No host may be asked for this.
    #[error("the configuration names no host for this")]
    NoHost,
    /// The credentials cannot be had.
    #[error("find out who we are to the host")]
    Login(#[source] LookupError),
    /// The host could not be reached, or broke off.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The host answered with an error.
    #[error("{0}")]
    Refused(Refusal),
    /// The host asks for a kind of login that is not known here.
    #[error("the host asks for a login by `{schemes}`, which is not supported")]
    Challenge {
        /// The names of the schemes.
        schemes: String,
    },
    /// The host sends credentials to where they must not go.
    #[error("the host names `{realm}` for tokens, where the credentials would not be safe")]
    Realm {
        /// The origin of the token server.
        realm: String,
    },
    /// The token server gave no token.
    #[error("get a token from `{realm}`")]
    Token {
        /// The host of the token server.
        realm: String,
        /// Why.
        source: Box<Self>,
    },
    /// The answer is not what the protocol says.
    #[error("the host sent {what}")]
    Malformed {
        /// What came.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The body of the answer is compressed on its way, though nobody asked for that: its bytes are others.
    #[error(
        "the host sent content that is compressed on the way (`{encoding}`), which was not asked for"
    )]
    Encoded {
        /// What the header says.
        encoding: String,
    },
    /// The answer is longer than allowed.
    #[error("the host sent more than {limit_bytes} bytes of {what}")]
    TooLarge {
        /// What was sent.
        what: &'static str,
        /// The limit.
        limit_bytes: u64,
    },
    /// What came is not what was asked for.
    #[error("the host sent content with digest `{found}` in place of `{expected}`")]
    WrongDigest {
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// What came has another size.
    #[error("the host has {found_bytes} bytes where {expected_bytes} are expected")]
    WrongSize {
        /// How many the descriptor says.
        expected_bytes: u64,
        /// How many the host says.
        found_bytes: u64,
    },
    /// A manifest of Docker's schema 1.
    #[error(
        "the image has a manifest of Docker's schema 1, which is not supported: push it again with a newer tool"
    )]
    Schema1,
    /// The tag is not what it was expected to be (412).
    #[error("somebody else has changed it meanwhile")]
    Changed,
    /// The host does not do that (405).
    #[error("the registry does not support this{}", said(.0))]
    Unsupported(Refusal),
    /// A list leads to itself, or to another host.
    #[error("the next page of the list is {what}")]
    Page {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The registry forgot an upload again and again.
    #[error("the registry lost the upload {times} times")]
    UploadLost {
        /// How often.
        times: u32,
    },
    /// The blob that is to be pushed cannot be read, or is not what its descriptor says.
    #[error("read what is to be pushed")]
    Content(#[source] io::Error),
    /// The job was cancelled.
    #[error("cancelled")]
    Cancelled,
}

/// An answer that is an error, with what the registry says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The host that answered, where that is not the registry but one to which the registry led.
    pub answered_by: Option<String>,
    /// The status code.
    pub status: u16,
    /// What it means, where it is a known one.
    pub reason: &'static str,
    /// The registry's own words: code and message of each error.
    pub errors: Vec<ErrorMessage>,
    /// The limit of requests, where the answer tells it.
    pub rate_limit: Option<String>,
    /// How many seconds the registry asks to wait.
    pub retry_after_seconds: Option<u64>,
}

/// One of the errors in an answer (distribution-spec, "Error Codes"). Neither text has a line end or is long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorMessage {
    /// The code: `MANIFEST_UNKNOWN`.
    pub code: String,
    /// The message; may be empty.
    pub message: String,
}

impl RegistryError {
    /// Tells whether the registry says that it does not have it.
    pub fn is_missing(&self) -> bool {
        self.failure.status() == Some(404)
    }

    /// Tells whether the registry asks who we are, or says that we may not.
    pub fn is_unauthorized(&self) -> bool {
        match &self.failure {
            Failure::Token { source, .. } => {
                matches!(source.status(), Some(400 | 401 | 403))
            }
            // What another host says is not about who we are to this one.
            Failure::Refused(refusal) if refusal.answered_by.is_some() => false,
            failure => matches!(failure.status(), Some(401 | 403)),
        }
    }

    /// Tells whether nobody answered, or what answered is not well.
    pub fn is_unreachable(&self) -> bool {
        let failure = match &self.failure {
            Failure::Token { source, .. } => source,
            failure => failure,
        };
        match failure {
            Failure::Fetch(_) => true,
            failure => failure.status().is_some_and(|status| status >= 500),
        }
    }

    /// Tells whether too much was asked of the registry.
    pub fn is_rate_limited(&self) -> bool {
        match &self.failure {
            Failure::Token { source, .. } => source.status() == Some(429),
            failure => failure.status() == Some(429),
        }
    }

    /// Tells whether the tag was changed by somebody else meanwhile.
    pub fn is_changed(&self) -> bool {
        matches!(self.failure, Failure::Changed)
    }

    /// Tells whether the registry does not do such a thing at all.
    pub fn is_unsupported(&self) -> bool {
        matches!(self.failure, Failure::Unsupported(_))
    }

    /// Tells whether the job was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.failure.is_cancelled()
    }

    /// Returns the error inside one that a reader of a blob gave.
    pub fn in_error(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Returns what a registry has to do with an error: the nearest of its causes that is a registry's.
    pub fn behind<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        fetch::nearest_cause(error)
    }
}

impl From<RegistryError> for io::Error {
    fn from(error: RegistryError) -> Self {
        Self::other(error)
    }
}

impl Failure {
    /// Returns the status of the answer, if it is one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) | Self::Unsupported(refusal) => Some(refusal.status),
            Self::Changed => Some(412),
            _ => None,
        }
    }

    /// Tells whether the job was cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        match self {
            Self::Cancelled | Self::Fetch(FetchError::Cancelled) => true,
            Self::Token { source, .. } => source.is_cancelled(),
            _ => false,
        }
    }

    /// Tells whether another attempt may do better. For a token all attempts were made already.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Fetch(error) => error.is_passing(),
            Self::Refused(refusal) => fetch::is_passing(refusal.status),
            _ => false,
        }
    }

    /// Returns how long the server asked to wait before the next attempt.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after_seconds.map(Duration::from_secs),
            _ => None,
        }
    }

    pub(crate) fn malformed<E: Into<Box<dyn Error + Send + Sync>>>(
        what: &'static str,
        source: E,
    ) -> Self {
        Self::Malformed {
            what,
            source: Some(source.into()),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.answered_by {
            Some(host) => write!(f, "`{host}`, to which the registry led, answered ")?,
            None => f.write_str("the registry answered ")?,
        }
        write!(f, "{}", self.status)?;
        if !self.reason.is_empty() {
            write!(f, " {}", self.reason)?;
        }
        f.write_str(&said(self))?;
        if let Some(limit) = &self.rate_limit {
            write!(f, " (limit of requests: {limit})")?;
        }
        match self.retry_after_seconds {
            Some(seconds) => write!(f, " (try again in {seconds} s)"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ErrorMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.as_str(), self.message.as_str()) {
            (code, "") => f.write_str(code),
            ("", message) => f.write_str(message),
            (code, message) => write!(f, "{message} ({code})"),
        }
    }
}

/// Returns the registry's own words, after a colon.
fn said(refusal: &Refusal) -> String {
    let errors: Vec<_> = refusal.errors.iter().map(ToString::to_string).collect();
    if errors.is_empty() {
        String::new()
    } else {
        format!(": {}", errors.join("; "))
    }
}

fn of(repository: &str) -> String {
    if repository.is_empty() {
        String::new()
    } else {
        format!(" of `{repository}`")
    }
}
