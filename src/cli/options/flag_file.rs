//! Files of lines that a flag names: `--build-arg-file`, `--env-file`.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::env::Environment;

/// No such file is larger.
const LIMIT_BYTES: u64 = 1024 * 1024;

/// A file that a flag names cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FlagFileError {
    /// It cannot be read.
    #[error("cannot read `{flag} {}`", path.display())]
    Read {
        /// The flag.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is too large to be one.
    #[error("`{flag} {}` is larger than {LIMIT_BYTES} bytes", path.display())]
    TooLarge {
        /// The flag.
        flag: &'static str,
        /// The file.
        path: PathBuf,
    },
}

/// Reads the file of a flag; its path counts from the working directory.
///
/// # Errors
///
/// Fails when it cannot be read, is no UTF-8, or is too large.
pub(super) fn read(
    flag: &'static str,
    path: &Path,
    env: &Environment,
) -> Result<String, FlagFileError> {
    let refuse = |source| FlagFileError::Read {
        flag,
        path: path.to_owned(),
        source,
    };
    let file = File::open(env.current_directory.join(path)).map_err(refuse)?;
    let mut text = String::new();
    file.take(LIMIT_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(refuse)?;
    if text.len() as u64 > LIMIT_BYTES {
        return Err(FlagFileError::TooLarge {
            flag,
            path: path.to_owned(),
        });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_too_large_to_be_one_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let env = Environment {
            current_directory: directory.path().to_owned(),
            ..Environment::default()
        };
        let read_of = |length: u64| {
            let text = "#".repeat(usize::try_from(length).unwrap());
            std::fs::write(directory.path().join("file"), text).unwrap();
            read("--env-file", Path::new("file"), &env).map(|text| text.len() as u64)
        };
        assert_eq!(read_of(LIMIT_BYTES).unwrap(), LIMIT_BYTES);
        let error = read_of(LIMIT_BYTES + 1).unwrap_err().to_string();
        assert_eq!(error, "`--env-file file` is larger than 1048576 bytes");
        let error = read("--env-file", Path::new("gone"), &env).unwrap_err();
        assert_eq!(error.to_string(), "cannot read `--env-file gone`");
    }
}
