//! The mark of a complete snapshot: `snapshot.json`, beside its files, which says what they are.
//!
//! It is written last, and carries a digest of what it says. What a loss of power tore, what somebody damaged, and the mark of
//! another snapshot are no marks.

use std::io::{self, ErrorKind};
use std::path::Path;

use oci::Digest;
use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::file::{self, FileError, SyncPolicy};
use crate::layout::MARK;
use crate::limits::MARK_LIMIT_BYTES;
use crate::name::SnapshotId;
use crate::sealed;

/// What the files of a snapshot are.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotKind {
    /// An unpacked layer of a base.
    Layer,
    /// What a command changed: the upper directory of an overlay.
    Upper,
    /// Files that careen put there itself.
    Files,
    /// What several snapshots together say, with the files of these under second names.
    Merged,
}

/// What is known of a committed snapshot.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SnapshotMeta {
    /// What its files are.
    pub kind: SnapshotKind,
    /// What it says something about, where it means nothing alone: the snapshot below. Without that one it is none.
    pub parent: Option<SnapshotId>,
    /// The key of what made it.
    pub owner: Option<Digest>,
    /// The blob that its files were unpacked from. It need not be there any more, and is not kept for this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<Digest>,
    /// The bytes of its regular files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// The number of its files, directories and links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// What made it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl SnapshotMeta {
    /// Returns what is said of a snapshot of which nothing but its kind is known.
    pub fn of(kind: SnapshotKind) -> Self {
        Self {
            kind,
            parent: None,
            owner: None,
            blob: None,
            size_bytes: None,
            entries: None,
            description: None,
        }
    }
}

/// The mark of a complete snapshot.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Mark {
    pub(crate) id: SnapshotId,
    pub(crate) meta: SnapshotMeta,
}

impl Mark {
    /// Writes it into the directory of a snapshot that is not in its place yet.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), FileError> {
        let document = sealed::seal(self).expect("a mark has texts and numbers only");
        // Not synced: without it the work of one step is lost, and nothing else.
        file::write_new(&directory.join(MARK), &document, SyncPolicy::None)
    }

    /// Reads that of a snapshot; `None` where there is no intact one.
    pub(crate) fn read(directory: &Path, id: &SnapshotId) -> Result<Option<Self>, FileError> {
        let bytes = match file::read_limited(&directory.join(MARK), MARK_LIMIT_BYTES) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(None),
            Err(error) if is_no_mark(&error.source) => Vec::new(),
            Err(error) => return Err(error),
        };
        let mark = sealed::open::<Self>(&bytes).filter(|mark| mark.id == *id);
        if mark.is_none() {
            debug!(%id, "snapshot with a damaged mark");
        }
        Ok(mark)
    }
}

/// Tells whether an error says that something else is where the mark should be.
fn is_no_mark(error: &io::Error) -> bool {
    let kind = error.kind();
    matches!(
        kind,
        ErrorKind::NotADirectory | ErrorKind::InvalidData | ErrorKind::FileTooLarge
    ) || error.raw_os_error() == Some(nix::libc::ELOOP)
}
