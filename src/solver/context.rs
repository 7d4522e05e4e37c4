//! A directory of the user's: the build context, or a named one.
//!
//! It is on this machine, or in the store because it came as an archive, from a repository or from a server: then it
//! is *held* ([`HeldDirectory`]) and its files have the owners that the archive gives them.

mod held;
mod known;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use graph::PatternSet;
use graph::pattern::PatternError;
use rootfs::{FsError, Owners, Root};
use store::Store;

pub use held::{HeldDirectory, UnpackError};
pub use known::{DigestTrust, KnownDigests};

/// Where a directory of the user's is.
#[derive(Debug, Clone)]
pub enum DirectorySource {
    /// On this machine.
    Path(PathBuf),
    /// In the store.
    Held(Arc<HeldDirectory>),
}

/// A directory of the user's and what of it the build does not see.
#[derive(Debug)]
pub struct LocalDirectory {
    /// The directory; nothing outside it is reached through it.
    pub root: Arc<Root>,
    /// The directory as the user named it, for messages.
    pub shown: String,
    /// The `.dockerignore` patterns.
    pub ignore: PatternSet,
    /// The owners that its files have in an image; without them all are root's.
    pub owners: Option<Owners>,
    /// What is known of the bytes of its files from earlier builds.
    pub known: Option<KnownDigests>,
}

impl LocalDirectory {
    /// Opens a directory of this machine.
    ///
    /// # Errors
    ///
    /// Fails when there is no such directory, or a pattern is malformed.
    pub fn open(path: &Path, patterns: &[String]) -> Result<Self, ContextError> {
        let shown = path.display().to_string();
        let root = Root::open(path).map_err(|source| ContextError::Open {
            path: path.to_owned(),
            source,
        })?;
        let ignore = ignore(&shown, patterns)?;
        Ok(Self {
            root: Arc::new(root),
            shown,
            ignore,
            owners: None,
            known: None,
        })
    }

    /// Opens a directory, wherever it is. Of one on this machine the store knows what earlier builds read.
    ///
    /// # Errors
    ///
    /// As [`LocalDirectory::open`].
    pub fn of(
        source: &DirectorySource,
        patterns: &[String],
        (store, trust): (&Store, &DigestTrust),
    ) -> Result<Self, ContextError> {
        match source {
            DirectorySource::Path(path) => {
                let opened = Self::open(path, patterns)?;
                let known = KnownDigests::of(store, trust, &opened.root);
                Ok(Self { known, ..opened })
            }
            DirectorySource::Held(held) => Ok(Self {
                root: Arc::clone(held.root()),
                shown: held.shown().to_owned(),
                ignore: ignore(held.shown(), patterns)?,
                owners: held.owners().cloned(),
                known: None,
            }),
        }
    }
}

fn ignore(shown: &str, patterns: &[String]) -> Result<PatternSet, ContextError> {
    PatternSet::new(patterns).map_err(|source| ContextError::Pattern {
        shown: shown.to_owned(),
        source,
    })
}

/// Why a directory of the user's cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// It cannot be opened.
    #[error("cannot open the build context `{}`", path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: FsError,
    },
    /// A pattern of its ignore file is malformed.
    #[error("cannot use the ignore patterns of `{shown}`")]
    Pattern {
        /// The directory, as the user named it.
        shown: String,
        /// Why.
        source: PatternError,
    },
    /// The graph names a directory that was not given.
    #[error("the build context `{name}` was not given")]
    Unknown {
        /// Its name.
        name: String,
    },
}
