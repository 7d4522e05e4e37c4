//! The emulators that the user wants none of: `~/.config/careen/uninstalled-emulators`, an architecture a line.

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use vendor_shim::emulation::Architecture;

use crate::env::Environment;

/// All architectures together are shorter, in bytes.
const LIMIT_BYTES: u64 = 4096;

/// It cannot be remembered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RememberError {
    /// Nothing says where.
    #[error("no place to remember it: neither `HOME` nor `XDG_CONFIG_HOME` is set")]
    NoPlace,
    /// The file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
}

fn place(env: &Environment) -> Option<PathBuf> {
    let directory = env.config_directory()?;
    Some(directory.join("careen/uninstalled-emulators"))
}

/// Reads them. What cannot be read says nothing.
pub(crate) fn read(env: &Environment) -> Vec<Architecture> {
    let mut text = String::new();
    let file = place(env).and_then(|path| File::open(path).ok());
    let read = file.map(|file| file.take(LIMIT_BYTES).read_to_string(&mut text));
    if !matches!(read, Some(Ok(_))) {
        return Vec::new();
    }
    text.lines().filter_map(Architecture::from_name).collect()
}

/// Remembers these, and no others.
///
/// # Errors
///
/// Fails when the file cannot be written.
pub(crate) fn write(env: &Environment, uninstalled: &[Architecture]) -> Result<(), RememberError> {
    let path = place(env).ok_or(RememberError::NoPlace)?;
    let lines = uninstalled
        .iter()
        .map(|architecture| format!("{architecture}\n"));
    let text: String = lines.collect();
    let directory = path.parent().map(|directory| {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(directory)
    });
    directory
        .unwrap_or(Ok(()))
        .and_then(|()| export::write_file(&path, text.as_bytes()))
        .map_err(|source| RememberError::Write { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let env = Environment {
            config_home: Some(directory.path().join("config")),
            ..Environment::default()
        };
        assert_eq!(read(&env), []);
        write(&env, &[Architecture::Arm64, Architecture::I386]).unwrap();
        assert_eq!(read(&env), [Architecture::Arm64, Architecture::I386]);
        write(&env, &[]).unwrap();
        assert_eq!(read(&env), []);
        assert_eq!(read(&Environment::default()), []);
    }
}
