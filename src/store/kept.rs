//! What is kept of steps that failed, for whoever looks into it later: [`KeptSteps`].
//!
//! A kept step is a document of the solver's, `kept/<id map>/<id>`, and snapshots with names that begin like it:
//! `kept-<id>-0`, …. The snapshots are made first, so that a document always leads to files; they are removed first, too,
//! so that whoever is interrupted finds the rest again by its document. Files that no document leads to are of nobody's
//! use.
//!
//! The snapshots stand for themselves: what of them is a base's, or an earlier step's, is there under second names.
//! Nothing else has to be kept for them, and they may be removed whenever no lease names them.

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use oci::Digest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::debug;

use crate::claim::{Claim, ClaimError, ClaimName, Claims};
use crate::file::{self, FileError};
use crate::gc::{self, RemoveError, Removed};
use crate::layout::Layout;
use crate::limits::RECORD_LIMIT_BYTES;
use crate::name::{NameError, ObjectId, SnapshotId};
use crate::scratch::Scratch;
use crate::sealed;

/// How the names of the snapshots begin.
const PREFIX: &str = "kept";

/// How many digits an id has: those of docker's ids of containers.
const DIGITS: usize = 12;

/// The name of a kept step: twelve hexadecimal digits.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct KeptId(Box<str>);

/// A text is no name of a kept step.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{}` is no id of a kept step: it has {DIGITS} hexadecimal digits", text.escape_debug())]
pub struct KeptIdError {
    /// The text.
    text: String,
}

impl KeptId {
    /// Returns a name that nothing has.
    pub fn random() -> Self {
        let mut digits = file::random_name();
        digits.truncate(DIGITS);
        Self(digits.into())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name of one of its snapshots.
    ///
    /// # Errors
    ///
    /// Never: digits are a name.
    pub fn snapshot(&self, number: usize) -> Result<SnapshotId, NameError> {
        SnapshotId::new(&format!("{}{number}", self.prefix()))
    }

    fn prefix(&self) -> String {
        format!("{PREFIX}-{self}-")
    }

    /// Returns which step a snapshot is kept for, if it is for one.
    pub fn of_snapshot(id: &SnapshotId) -> Option<Self> {
        let mut words = id.as_str().split('-');
        (words.next() == Some(PREFIX)).then_some(())?;
        words.next()?.parse().ok()
    }
}

impl fmt::Display for KeptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeptId {
    type Err = KeptIdError;

    fn from_str(text: &str) -> Result<Self, KeptIdError> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == DIGITS && text.bytes().all(is_digit) {
            return Ok(Self(text.into()));
        }
        let text = text.to_owned();
        Err(KeptIdError { text })
    }
}

/// Kept steps cannot be read, written or removed.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// It cannot be found out which there are.
    #[error("list the kept steps")]
    List(#[source] FileError),
    /// Nobody can say that they keep one.
    #[error("keep a step")]
    Claim(#[source] ClaimError),
    /// One cannot be read.
    #[error("read the kept step `{id}`")]
    Read {
        /// The step.
        id: KeptId,
        /// What failed.
        #[source]
        source: FileError,
    },
    /// What is known of one is no JSON, or cannot be written.
    #[error("note the kept step `{id}`")]
    Write {
        /// The step.
        id: KeptId,
        /// What failed.
        #[source]
        source: FileError,
    },
    /// What is known of one is too much to be read again.
    #[error(
        "the note of the kept step `{id}` would have {size_bytes} bytes, more than {RECORD_LIMIT_BYTES}"
    )]
    TooLarge {
        /// The step.
        id: KeptId,
        /// How much it is.
        size_bytes: u64,
    },
    /// Its files cannot be removed.
    #[error("remove the kept step `{id}`")]
    Files {
        /// The step.
        id: KeptId,
        /// What failed.
        #[source]
        source: Box<RemoveError>,
    },
    /// Its document cannot be removed.
    #[error("remove the kept step `{id}`")]
    Document {
        /// The step.
        id: KeptId,
        /// What failed.
        #[source]
        source: FileError,
    },
}

/// The kept steps of a store, of its id map; a cheap handle.
#[derive(Clone, Debug)]
pub struct KeptSteps {
    layout: Arc<Layout>,
}

impl KeptSteps {
    pub(crate) fn new(layout: Arc<Layout>) -> Self {
        Self { layout }
    }

    /// Returns the names of those that there are, in no order that means anything.
    ///
    /// # Errors
    ///
    /// Fails when they cannot be listed.
    pub fn ids(&self) -> Result<Vec<KeptId>, KeptError> {
        let paths = file::entries(&self.layout.kept()).map_err(KeptError::List)?;
        let mut ids: Vec<KeptId> = paths.iter().filter_map(|path| parsed(path)).collect();
        ids.sort();
        Ok(ids)
    }

    /// Returns what is known of one; none if it is not there or damaged.
    ///
    /// # Errors
    ///
    /// Fails when it is there and cannot be read.
    pub fn get<T: DeserializeOwned>(&self, id: &KeptId) -> Result<Option<T>, KeptError> {
        let read = file::read_limited(&self.path(id), RECORD_LIMIT_BYTES);
        let bytes = read.map_err(|source| KeptError::Read {
            id: id.clone(),
            source,
        })?;
        let found = bytes.and_then(|bytes| sealed::open(&bytes));
        if found.is_none() {
            debug!(%id, "no kept step");
        }
        Ok(found)
    }

    /// Begins to keep one: until the claim is given back, files without a document are somebody's.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be claimed.
    pub fn begin(&self) -> Result<Claim, KeptError> {
        let claims = Claims::new(Arc::clone(&self.layout));
        let claim = claims.shared(ClaimName::Key(&everything()));
        claim.map_err(KeptError::Claim)
    }

    /// Keeps what is known of one. Its snapshots are there.
    ///
    /// # Errors
    ///
    /// Fails when it is too large, or cannot be written.
    pub fn put<T: Serialize>(&self, id: &KeptId, value: &T) -> Result<(), KeptError> {
        let failed = |source| KeptError::Write {
            id: id.clone(),
            source,
        };
        let path = self.path(id);
        let document = sealed::seal(value)
            .map_err(|error| failed(FileError::of("write", &path)(error.into())))?;
        let size_bytes = document.len() as u64;
        if size_bytes > RECORD_LIMIT_BYTES {
            return Err(KeptError::TooLarge {
                id: id.clone(),
                size_bytes,
            });
        }
        let mut scratch = Scratch::file(&self.layout).map_err(failed)?;
        let written = scratch.handle().write_all(&document);
        written.map_err(|error| failed(FileError::of("write", scratch.path())(error)))?;
        scratch.replace(&path).map_err(failed)
    }

    /// Removes one with its files, unless somebody looks into it. It does not wait for anybody.
    ///
    /// # Errors
    ///
    /// Fails when something of it cannot be removed.
    pub fn remove(&self, id: &KeptId) -> Result<Removed, KeptError> {
        let mut found = Removed::Absent;
        let mut own = self.found()?;
        own.retain(|(known, _)| known == id);
        for (_, snapshot) in own {
            let removed = gc::remove(&self.layout, &ObjectId::Snapshot(snapshot));
            match removed.map_err(KeptError::files(id))? {
                Removed::InUse => return Ok(Removed::InUse),
                Removed::Yes => found = Removed::Yes,
                Removed::Absent => {}
            }
        }
        let path = self.path(id);
        if fs::symlink_metadata(&path).is_ok() {
            found = Removed::Yes;
        }
        let removed = file::remove_file(&path);
        removed.map_err(|source| KeptError::Document {
            id: id.clone(),
            source,
        })?;
        Ok(found)
    }

    /// Removes files that no document leads to: what is left of whoever was ended while it kept a step. While somebody
    /// keeps one, nothing is removed.
    ///
    /// # Errors
    ///
    /// Fails when something cannot be listed or removed.
    pub fn sweep(&self) -> Result<(), KeptError> {
        let claims = Claims::new(Arc::clone(&self.layout));
        let alone = claims.try_exclusive(ClaimName::Key(&everything()));
        let Some(_alone) = alone.map_err(KeptError::Claim)? else {
            return Ok(());
        };
        let known = self.ids()?;
        let mut found = self.found()?;
        found.retain(|(id, _)| !known.contains(id));
        for (id, snapshot) in found {
            let removed = gc::remove(&self.layout, &ObjectId::Snapshot(snapshot));
            removed.map_err(KeptError::files(&id))?;
        }
        Ok(())
    }

    /// Returns the snapshots of all, each with the step that it is kept for.
    fn found(&self) -> Result<Vec<(KeptId, SnapshotId)>, KeptError> {
        let paths = file::entries(&self.layout.snapshots()).map_err(KeptError::List)?;
        let snapshot = |path: &PathBuf| {
            let id = SnapshotId::new(path.file_name()?.to_str()?).ok()?;
            Some((KeptId::of_snapshot(&id)?, id))
        };
        Ok(paths.iter().filter_map(snapshot).collect())
    }

    fn path(&self, id: &KeptId) -> PathBuf {
        self.layout.kept().join(id.as_str())
    }
}

impl KeptError {
    /// Returns a function that makes the error of files, for `map_err`.
    fn files(id: &KeptId) -> impl FnOnce(RemoveError) -> Self {
        |source| Self::Files {
            id: id.clone(),
            source: Box::new(source),
        }
    }
}

/// Returns what the claim of whoever keeps a step is on.
fn everything() -> Digest {
    Digest::of(b"kept steps")
}

fn parsed(path: &Path) -> Option<KeptId> {
    path.file_name()?.to_str()?.parse().ok()
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
