//! `--secret`: where the value of a secret is.
//!
//! ```text
//! [type=file|env,]id=ID[,src=PATH|,source=PATH|,env=NAME]
//! ```
//!
//! The meaning is that of `docker buildx`: without a place, a secret is the variable of its id's name if there is
//! one, and else the file of that name. A command line only says where a value is; it is read once, by the builder
//! ([`SecretOption::read`]).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use dockerfile::csv::{self, CsvError};
use solver::ops::exec::Secret;

use crate::env::Environment;

/// No secret is larger (BuildKit's limit is the same).
pub const SECRET_LIMIT_BYTES: u64 = 500 * 1024;

/// One `--secret`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretOption {
    /// The name that `RUN --mount=type=secret,id=…` says.
    pub id: String,
    /// Where its value is.
    pub source: SecretSource,
}

/// Where the value of a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file, an absolute path.
    File(PathBuf),
    /// In a variable of the environment.
    Variable(String),
}

/// Why a `--secret` cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum SecretUsageError {
    /// It is no line of comma-separated values.
    #[error("`--secret {text}` is no list of `key=value`")]
    List {
        /// The text.
        text: String,
        /// Why.
        source: CsvError,
    },
    /// A part of it has no value.
    #[error("`--secret {text}`: `{field}` is no `key=value`")]
    Field {
        /// The text.
        text: String,
        /// The part.
        field: String,
    },
    /// There is no such key.
    #[error("`--secret {text}`: there is no `{key}`: `id`, `src`, `env` and `type` are")]
    Key {
        /// The text.
        text: String,
        /// The key.
        key: String,
    },
    /// There is no such type.
    #[error("`--secret {text}`: there is no type `{kind}`: `file` and `env` are")]
    Type {
        /// The text.
        text: String,
        /// The type.
        kind: String,
    },
    /// It has no id.
    #[error("`--secret {text}` has no `id`")]
    NoId {
        /// The text.
        text: String,
    },
}

/// Why the value of a secret cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretReadError {
    /// The file cannot be read.
    #[error("cannot read the secret `{id}` from `{}`", path.display())]
    File {
        /// The secret.
        id: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is too large.
    #[error("the secret `{id}` has more than {SECRET_LIMIT_BYTES} bytes")]
    TooLarge {
        /// The secret.
        id: String,
    },
}

/// Understands all `--secret`s. Of two with one id the later counts.
///
/// # Errors
///
/// Fails on the first that cannot be understood.
pub(super) fn parse_all(
    texts: &[String],
    env: &Environment,
) -> Result<Vec<SecretOption>, SecretUsageError> {
    texts.iter().map(|text| parse(text, env)).collect()
}

/// Returns the variables that hold secrets.
pub fn variables(texts: &[String], env: &Environment) -> BTreeSet<String> {
    let options = texts.iter().filter_map(|text| parse(text, env).ok());
    let names = options.filter_map(|option| match option.source {
        SecretSource::Variable(name) => Some(name),
        SecretSource::File(_) => None,
    });
    names.collect()
}

fn parse(text: &str, env: &Environment) -> Result<SecretOption, SecretUsageError> {
    let keys = Keys::parse(text)?;
    let id = keys.id.ok_or_else(|| SecretUsageError::NoId {
        text: text.to_owned(),
    })?;
    let file = |path: &str| SecretSource::File(env.current_directory.join(path));
    let source = match (keys.variable, keys.file) {
        (Some(name), _) => SecretSource::Variable(name),
        // `type=env` makes a variable of what would be a path.
        (None, Some(name)) if keys.is_variable => SecretSource::Variable(name),
        (None, Some(path)) => file(&path),
        (None, None) if env.has(&id) => SecretSource::Variable(id.clone()),
        (None, None) => file(&id),
    };
    Ok(SecretOption { id, source })
}

/// What stands in one `--secret`.
#[derive(Default)]
struct Keys {
    id: Option<String>,
    file: Option<String>,
    variable: Option<String>,
    is_variable: bool,
}

impl Keys {
    fn parse(text: &str) -> Result<Self, SecretUsageError> {
        let fields = csv::fields(text).map_err(|source| SecretUsageError::List {
            text: text.to_owned(),
            source,
        })?;
        let mut keys = Self::default();
        for field in fields {
            let Some((key, value)) = field.value.split_once('=') else {
                return Err(SecretUsageError::Field {
                    text: text.to_owned(),
                    field: field.value,
                });
            };
            keys.set(text, &key.to_lowercase(), value)?;
        }
        Ok(keys)
    }

    fn set(&mut self, text: &str, key: &str, value: &str) -> Result<(), SecretUsageError> {
        let given = (!value.is_empty()).then(|| value.to_owned());
        match (key, value) {
            ("id", _) => self.id = given,
            ("src" | "source", _) => self.file = given,
            ("env", _) => self.variable = given,
            ("type", "file") => self.is_variable = false,
            ("type", "env") => self.is_variable = true,
            ("type", kind) => {
                return Err(SecretUsageError::Type {
                    text: text.to_owned(),
                    kind: kind.to_owned(),
                });
            }
            _ => {
                return Err(SecretUsageError::Key {
                    text: text.to_owned(),
                    key: key.to_owned(),
                });
            }
        }
        Ok(())
    }
}

impl SecretOption {
    /// Reads the value; none of a variable that is not set.
    ///
    /// # Errors
    ///
    /// Fails when a file cannot be read, or the value is larger than [`SECRET_LIMIT_BYTES`].
    pub fn read(&self, env: &Environment) -> Result<Option<Secret>, SecretReadError> {
        let secret = match &self.source {
            SecretSource::Variable(name) => env.variable(OsStr::new(name)),
            SecretSource::File(path) => {
                let value = read_limited(path).map_err(|source| SecretReadError::File {
                    id: self.id.clone(),
                    path: path.clone(),
                    source,
                })?;
                Some(Secret::new(value))
            }
        };
        let length = secret.as_ref().map_or(0, |secret| secret.expose().len());
        if length as u64 > SECRET_LIMIT_BYTES {
            let id = self.id.clone();
            return Err(SecretReadError::TooLarge { id });
        }
        Ok(secret)
    }
}

/// Reads a file up to the first byte that is too many: it may be a pipe.
fn read_limited(path: &std::path::Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(SECRET_LIMIT_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn env() -> Environment {
        Environment {
            all: vec![(OsString::from("TOKEN"), OsString::from("hidden"))],
            current_directory: PathBuf::from("/here"),
            ..Environment::default()
        }
    }

    #[test]
    fn a_secret_is_a_file_or_a_variable() {
        let file = |path: &str| SecretSource::File(PathBuf::from(path));
        let variable = |name: &str| SecretSource::Variable(name.to_owned());
        for (text, id, source) in [
            ("id=a,src=b", "a", file("/here/b")),
            ("id=a,source=/b", "a", file("/b")),
            ("type=file,id=a,src=b", "a", file("/here/b")),
            ("ID=a,Src=b", "a", file("/here/b")),
            ("id=a", "a", file("/here/a")),
            ("id=TOKEN", "TOKEN", variable("TOKEN")),
            ("id=TOKEN,src=b", "TOKEN", file("/here/b")),
            ("id=a,env=B", "a", variable("B")),
            ("id=a,env=B,src=c", "a", variable("B")),
            ("type=env,id=a,src=B", "a", variable("B")),
            ("type=env,id=a", "a", file("/here/a")),
            ("\"id=a,b\",src=c", "a,b", file("/here/c")),
        ] {
            let expected = SecretOption {
                id: id.to_owned(),
                source,
            };
            assert_eq!(parse(text, &env()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (text, expected) in [
            ("", "`--secret ` is no list of `key=value`"),
            ("a", "`--secret a`: `a` is no `key=value`"),
            ("src=a", "`--secret src=a` has no `id`"),
            ("id=,src=a", "`--secret id=,src=a` has no `id`"),
            (
                "id=a,scr=b",
                "`--secret id=a,scr=b`: there is no `scr`: `id`, `src`, `env` and `type` are",
            ),
            (
                "id=a,type=vault",
                "`--secret id=a,type=vault`: there is no type `vault`: `file` and `env` are",
            ),
        ] {
            assert_eq!(parse(text, &env()).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn the_variables_that_hold_secrets_are_known_before_they_are_read() {
        let texts = ["id=a,env=B", "id=TOKEN", "id=c,src=d", "nonsense"].map(str::to_owned);
        let expected = ["B", "TOKEN"].map(str::to_owned);
        assert_eq!(variables(&texts, &env()), expected.into());
    }

    #[test]
    fn a_secret_may_be_as_large_as_the_limit_and_no_larger() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let option = SecretOption {
            id: "a".to_owned(),
            source: SecretSource::File(path.clone()),
        };
        let limit = usize::try_from(SECRET_LIMIT_BYTES).unwrap();
        for (length, is_taken) in [(0, true), (limit, true), (limit + 1, false)] {
            std::fs::write(&path, vec![b'x'; length]).unwrap();
            let read = option.read(&env());
            assert_eq!(read.is_ok(), is_taken, "{length}");
        }
    }
}
