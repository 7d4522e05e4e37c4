//! What keys led to: [`RecordStore`].
//!
//! A record is written after everything that it names. It is not synced: what it names was, and a
//! record that a loss of power took or tore is a miss, which `sealed` finds out. A reader takes a
//! damaged record, and one whose objects are gone, for a miss too.
//!
//! The time of a record's last use is that of its file. It is set when it is an hour old or more, so
//! that looking up writes next to nothing.

use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::Digest;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::file::{self, FileError};
use crate::later::Later;
use crate::layout::{Layout, parent};
use crate::limits::RECORD_LIMIT_BYTES;
use crate::name::SnapshotId;
use crate::scratch::Scratch;
use crate::snapshot::Purpose;
use crate::{sealed, used};

/// A record cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It cannot be read. That a record is not there, or is damaged, is no error.
    #[error("read the record of `{key}`")]
    Read {
        /// The key.
        key: Digest,
        /// What failed.
        #[source]
        source: FileError,
    },
    /// The value cannot be written as JSON.
    #[error("write the record of `{key}`")]
    Value {
        /// The key.
        key: Digest,
        /// What failed.
        #[source]
        source: serde_json::Error,
    },
    /// The record would be too large to be read.
    #[error("the record of `{key}` would have {size_bytes} bytes, more than {RECORD_LIMIT_BYTES}")]
    TooLarge {
        /// The key.
        key: Digest,
        /// Its size.
        size_bytes: u64,
    },
    /// It cannot be written.
    #[error("write the record of `{key}`")]
    Write {
        /// The key.
        key: Digest,
        /// What failed.
        #[source]
        source: FileError,
    },
}

#[derive(Serialize)]
struct Written<'a, T> {
    key: &'a Digest,
    /// What it belongs to: without that it is of no use, and that is of none without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<&'a SnapshotId>,
    value: &'a T,
}

#[derive(Deserialize)]
struct Read<T> {
    key: Digest,
    value: T,
}

/// The cache records of a store; a cheap handle.
#[derive(Clone, Debug)]
pub struct RecordStore {
    layout: Arc<Layout>,
    later: Later,
}

impl RecordStore {
    pub(crate) fn new(layout: Arc<Layout>, later: Later) -> Self {
        Self { layout, later }
    }

    /// Returns what a key led to, and notes that it was used. A damaged record, and one of another
    /// type, is none.
    ///
    /// # Errors
    ///
    /// Fails when the record is there and cannot be read.
    pub fn get<T: DeserializeOwned>(&self, key: &Digest) -> Result<Option<T>, RecordError> {
        self.get_for(Purpose::Use, key)
    }

    /// Does the same for somebody who only looks at it: that is no use, and the time of the last one stays.
    ///
    /// # Errors
    ///
    /// Fails as [`RecordStore::get`] does.
    pub fn look_up<T: DeserializeOwned>(&self, key: &Digest) -> Result<Option<T>, RecordError> {
        self.get_for(Purpose::Look, key)
    }

    fn get_for<T: DeserializeOwned>(
        &self,
        purpose: Purpose,
        key: &Digest,
    ) -> Result<Option<T>, RecordError> {
        let path = self.path(key);
        let bytes = match self.later.record(&path) {
            Some(bytes) => Some(bytes),
            None => self
                .read(&path, purpose)
                .map_err(|source| RecordError::Read {
                    key: key.clone(),
                    source,
                })?,
        };
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        let value = read_record(key, &bytes);
        if value.is_none() {
            debug!(%key, "damaged record");
        }
        Ok(value)
    }

    /// Writes what a key led to, in place of what it led to before. While snapshots that were committed in this process
    /// wait for the disk, the record waits with them.
    ///
    /// # Errors
    ///
    /// Fails when the value is no JSON or is too large, or the record cannot be written.
    pub fn put<T: Serialize>(&self, key: &Digest, value: &T) -> Result<(), RecordError> {
        self.put_written(&Written {
            key,
            of: None,
            value,
        })
    }

    /// Does the same with what belongs to a snapshot that a lease names already: it is not collected before that is.
    ///
    /// # Errors
    ///
    /// Fails as [`RecordStore::put`] does.
    pub fn put_of<T: Serialize>(
        &self,
        key: &Digest,
        of: &SnapshotId,
        value: &T,
    ) -> Result<(), RecordError> {
        self.put_written(&Written {
            key,
            of: Some(of),
            value,
        })
    }

    fn put_written<T: Serialize>(&self, written: &Written<'_, T>) -> Result<(), RecordError> {
        let key = written.key;
        let document = sealed::seal(written).map_err(|source| RecordError::Value {
            key: key.clone(),
            source,
        })?;
        let size_bytes = document.len() as u64;
        if size_bytes > RECORD_LIMIT_BYTES {
            return Err(RecordError::TooLarge {
                key: key.clone(),
                size_bytes,
            });
        }
        let path = self.path(key);
        let Some(document) = self.later.hold_record(&path, document) else {
            return Ok(());
        };
        write(&self.layout, &path, &document).map_err(|source| RecordError::Write {
            key: key.clone(),
            source,
        })
    }

    fn path(&self, key: &Digest) -> PathBuf {
        let digits = key.encoded();
        let group = digits.get(..2).unwrap_or(digits);
        self.layout.records().join(group).join(digits)
    }

    /// Reads a record and sets its time, if it is used; `None` where there is nothing that could be one.
    fn read(&self, path: &Path, purpose: Purpose) -> Result<Option<Vec<u8>>, FileError> {
        let file = match file::open_nofollow(path) {
            Ok(file) => file,
            Err(error) if is_none(&error) => return Ok(None),
            Err(error) => return Err(FileError::of("open", path)(error)),
        };
        let read = file.metadata().and_then(|metadata| {
            let bytes = file::read_described(&file, &metadata, RECORD_LIMIT_BYTES)?;
            if purpose == Purpose::Use {
                used::touch(&self.layout, &file, &metadata);
            }
            Ok(bytes)
        });
        match read {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_none(&error) => Ok(None),
            Err(error) => Err(FileError::of("read", path)(error)),
        }
    }
}

/// Returns what a document says that a key led to; `None` where it is damaged, the record of another key, or of another
/// type.
pub fn read_record<T: DeserializeOwned>(key: &Digest, document: &[u8]) -> Option<T> {
    let read: Read<T> = sealed::open(document)?;
    (read.key == *key).then_some(read.value)
}

/// Tells whether a document is a whole record, of the key that its file is named by.
pub(crate) fn is_record(name: &str, document: &[u8]) -> bool {
    sealed::open::<Read<IgnoredAny>>(document).is_some_and(|read| read.key.encoded() == name)
}

/// Writes the document of a record to its place.
pub(crate) fn write(layout: &Arc<Layout>, path: &Path, document: &[u8]) -> Result<(), FileError> {
    let mut scratch = Scratch::file(layout)?;
    scratch
        .handle()
        .write_all(document)
        .map_err(FileError::of("write", scratch.path()))?;
    file::create_dir(parent(path))?;
    scratch.replace(path)
}

/// Tells whether an error says that there is nothing, or something that is no record.
fn is_none(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::InvalidData
            | ErrorKind::FileTooLarge
    ) || error.raw_os_error() == Some(nix::libc::ELOOP)
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
