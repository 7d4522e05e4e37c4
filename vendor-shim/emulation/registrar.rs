//! Changing which handlers the host has registered: [`Registrar`].
//!
//! A line is written into `register`, and `-1` into the file of a handler
//! (`Documentation/admin-guide/binfmt-misc.rst`). Both are root's.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Architecture, HandlerFlags, RegistrationError, registration_line};

/// The host's `binfmt_misc`, which may be changed.
#[derive(Debug, Clone)]
pub struct Registrar {
    directory: PathBuf,
}

/// Why the host's handlers are not changed.
#[derive(Debug, Error)]
pub enum RegistrarError {
    /// It is not mounted.
    #[error("no binfmt_misc is mounted at `{}`, where only root may mount it", .directory.display())]
    NotMounted {
        /// Where it would be.
        directory: PathBuf,
    },
    /// Only root may.
    #[error("only root may change `{}`", .path.display())]
    NotAllowed {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The emulator cannot be named to the kernel.
    #[error(transparent)]
    Line(#[from] RegistrationError),
    /// The kernel refuses it.
    #[error("write `{}`", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Registrar {
    /// Takes the `binfmt_misc` that is mounted at a directory.
    ///
    /// # Errors
    ///
    /// Fails when there is none, or when it may not be changed.
    pub fn open(directory: &Path) -> Result<Self, RegistrarError> {
        let path = directory.join("register");
        match OpenOptions::new().write(true).open(&path) {
            Ok(_) => Ok(Self {
                directory: directory.to_owned(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let directory = directory.to_owned();
                Err(RegistrarError::NotMounted { directory })
            }
            Err(source) => Err(RegistrarError::NotAllowed { path, source }),
        }
    }

    /// Returns the file of the handler that an architecture's emulator is registered as.
    fn handler(&self, architecture: Architecture) -> PathBuf {
        let name = format!("qemu-{}", architecture.qemu_name());
        self.directory.join(name)
    }

    /// Registers an emulator, which is opened now and works in every root directory; returns whether there was no handler
    /// of its name.
    ///
    /// # Errors
    ///
    /// Fails when the kernel refuses it.
    pub fn add(&self, architecture: Architecture, emulator: &Path) -> Result<bool, RegistrarError> {
        if fs::symlink_metadata(self.handler(architecture)).is_ok() {
            return Ok(false);
        }
        let line = registration_line(architecture, emulator, HandlerFlags::ALL)?;
        write(self.directory.join("register"), &line)?;
        Ok(true)
    }

    /// Takes the handler of an architecture's emulator away; returns whether there was one.
    ///
    /// # Errors
    ///
    /// Fails when the kernel refuses it.
    pub fn remove(&self, architecture: Architecture) -> Result<bool, RegistrarError> {
        let path = self.handler(architecture);
        if fs::symlink_metadata(&path).is_err() {
            return Ok(false);
        }
        write(path, b"-1")?;
        Ok(true)
    }
}

/// Writes a file of the kernel's, which takes each write for itself.
fn write(path: PathBuf, bytes: &[u8]) -> Result<(), RegistrarError> {
    let written = OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|mut file| file.write_all(bytes));
    written.map_err(|source| RegistrarError::Write { path, source })
}
