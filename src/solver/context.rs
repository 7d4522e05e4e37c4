//! A directory of the user's: the build context, or a named one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use graph::PatternSet;
use graph::pattern::PatternError;
use rootfs::{FsError, Root};

/// A directory of the user's and what of it the build does not see.
#[derive(Debug)]
pub struct LocalDirectory {
    /// The directory; nothing outside it is reached through it.
    pub root: Arc<Root>,
    /// The directory as the user named it, for messages.
    pub shown: PathBuf,
    /// The `.dockerignore` patterns.
    pub ignore: PatternSet,
}

impl LocalDirectory {
    /// Opens a directory.
    ///
    /// # Errors
    ///
    /// Fails when there is no such directory, or a pattern is malformed.
    pub fn open(path: &Path, patterns: &[String]) -> Result<Self, ContextError> {
        let shown = path.to_owned();
        let root = Root::open(path).map_err(|source| ContextError::Open {
            path: shown.clone(),
            source,
        })?;
        let ignore = PatternSet::new(patterns).map_err(|source| ContextError::Pattern {
            path: shown.clone(),
            source,
        })?;
        Ok(Self {
            root: Arc::new(root),
            shown,
            ignore,
        })
    }
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
    #[error("cannot use the ignore patterns of `{}`", path.display())]
    Pattern {
        /// The directory.
        path: PathBuf,
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
