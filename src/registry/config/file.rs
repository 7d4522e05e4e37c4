//! Reads configuration files, and says what is wrong with one: the file, the line and the reason.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use fetch::UrlError;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// No configuration file is larger, in bytes.
pub(crate) const FILE_LIMIT_BYTES: u64 = 1 << 20;

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// It is too large.
    #[error("`{}` is larger than {FILE_LIMIT_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is not of its format.
    #[error("`{}`, line {line}: {problem}", path.display())]
    Syntax {
        /// The file, or the variable.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser says, without what the file says.
        problem: String,
    },
    /// A value is not what its key should have. It may be secret and is not shown.
    #[error("`{}`: `{key}` is not {expected}", path.display())]
    Value {
        /// The file, or the variable.
        path: PathBuf,
        /// The way to it, from the root.
        key: String,
        /// What it should be.
        expected: &'static str,
    },
    /// An address of a server cannot be understood.
    #[error("`{}`: `{text}` is no address of a registry", path.display())]
    Address {
        /// The file.
        path: PathBuf,
        /// What is written there.
        text: String,
        /// What is wrong with it.
        source: UrlError,
    },
    /// It has two settings of which only one can be.
    #[error("`{}`: `{key}` cannot be given together with `{other}`", path.display())]
    Conflict {
        /// The file.
        path: PathBuf,
        /// One of them.
        key: String,
        /// The other.
        other: &'static str,
    },
    /// It has neither of two settings of which one must be.
    #[error("`{}`: {what}", path.display())]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// It is a `registries.conf` of the first version of that format.
    #[error(
        "`{}` has a table `[registries]`: the first version of this format is not read, write `[[registry]]` tables \
         and `unqualified-search-registries` instead", path.display()
    )]
    FirstVersion {
        /// The file.
        path: PathBuf,
    },
    /// One of a certificate and its key is missing.
    #[error("`{}` has no `{missing}` beside it", path.display())]
    Pair {
        /// The certificate or key.
        path: PathBuf,
        /// The name of the file that should be there.
        missing: String,
    },
}

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The user's: they must be able to read it.
    User,
    /// A service's of this machine: what only that service may read says nothing to others.
    Machine,
}

/// Reads a file; one that is not there says nothing.
pub(crate) fn read(path: &Path, owner: Owner) -> Result<Option<String>, ConfigError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
        io::ErrorKind::PermissionDenied if owner == Owner::Machine => {
            tracing::debug!(path = %path.display(), "not ours to read");
            Ok(None)
        }
        _ => Err(ConfigError::Read {
            path: path.to_owned(),
            source,
        }),
    };
    match read_limited(path) {
        Ok(Some(text)) => Ok(Some(text)),
        Ok(None) => Err(ConfigError::TooLarge {
            path: path.to_owned(),
        }),
        Err(error) => failed(error),
    }
}

/// Reads a text; nothing if it is too large. What is no regular file has no size that could be asked for.
fn read_limited(path: &Path) -> io::Result<Option<String>> {
    let mut text = String::new();
    let mut file = File::open(path)?.take(FILE_LIMIT_BYTES + 1);
    file.read_to_string(&mut text)?;
    Ok((file.limit() > 0).then_some(text))
}

/// Reads a TOML file into what a family wants of it.
pub(crate) fn read_toml<T: DeserializeOwned>(
    path: &Path,
    owner: Owner,
) -> Result<Option<T>, ConfigError> {
    let Some(text) = read(path, owner)? else {
        return Ok(None);
    };
    toml::from_str(&text).map(Some).map_err(|error| {
        // The parser's own text quotes the line, which may have a secret.
        let before = error.span().and_then(|span| text.get(..span.start));
        ConfigError::Syntax {
            path: path.to_owned(),
            line: before.unwrap_or_default().matches('\n').count() + 1,
            problem: error.message().to_owned(),
        }
    })
}

/// Parses JSON; the values are looked at one by one, since a parser of types would repeat them in its errors.
pub(crate) fn parse_json(path: &Path, text: &str) -> Result<Value, ConfigError> {
    serde_json::from_str(text).map_err(|error| ConfigError::Syntax {
        path: path.to_owned(),
        line: error.line().max(1),
        problem: "no valid JSON".to_owned(),
    })
}

/// Returns the files of a directory with an extension, by name; a directory that is not there has none.
pub(crate) fn files_with(directory: &Path, extensions: &[&str]) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if extension.is_some_and(|extension| extensions.contains(&extension)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
