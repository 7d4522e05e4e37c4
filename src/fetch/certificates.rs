//! Whose certificates a client trusts: [`Certificates`].

use std::path::PathBuf;

/// Which certificates of servers are trusted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Certificates {
    /// Those that the machine trusts.
    #[default]
    System,
    /// Those that a file of PEM texts names, and no other (`SSL_CERT_FILE`).
    File(PathBuf),
    /// Those in the files of directories and in a file, and no other (`SSL_CERT_DIR`, `SSL_CERT_FILE`).
    Directories {
        /// The directories.
        directories: Vec<PathBuf>,
        /// The file beside them.
        file: Option<PathBuf>,
    },
    /// Those, and more.
    Also {
        /// Those.
        base: Box<Self>,
        /// Whose certificates are trusted beside them.
        authorities: Vec<Authority>,
    },
}

/// Whose certificates are trusted because the user says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// Whoever this machine trusts.
    System,
    /// Those in a file: PEM texts, of which anything but certificates is passed over, or one certificate in DER.
    File(PathBuf),
}

impl Certificates {
    /// Returns these and those of further authorities.
    #[must_use]
    pub fn and(self, authorities: &[Authority]) -> Self {
        if authorities.is_empty() {
            return self;
        }
        Self::Also {
            base: Box::new(self),
            authorities: authorities.to_vec(),
        }
    }
}
