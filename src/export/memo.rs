//! Archives that are there already, as an earlier build left them.
//!
//! A build that changed nothing need not write the same archive again, nor open one blob. What was
//! written is known again by what the kernel keeps of the file: device, inode, size and the times of
//! the last change, of which nobody can set the second (stat(2), `st_ctime`).

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use oci::Digest;
use serde::{Deserialize, Serialize};
use solver::Workshop;

use crate::exporter::ExportError;

/// What the kernel keeps of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    index: Digest,
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Tells whether the archive is there with this index, as it was left.
pub(crate) fn is_current(
    workshop: &Workshop,
    path: &Path,
    index: &[u8],
) -> Result<bool, ExportError> {
    let Some(now) = look(path, index) else {
        return Ok(false);
    };
    let then = workshop.store.records().get::<Written>(&record_key(path))?;
    Ok(then == Some(now))
}

/// Records that the archive was written.
pub(crate) fn remember(workshop: &Workshop, path: &Path, index: &[u8]) -> Result<(), ExportError> {
    let Some(written) = look(path, index) else {
        return Ok(());
    };
    Ok(workshop.store.records().put(&record_key(path), &written)?)
}

/// Reads what the kernel keeps; none if there is no such file.
fn look(path: &Path, index: &[u8]) -> Option<Written> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    metadata.is_file().then(|| Written {
        index: Digest::of(index),
        device: metadata.dev(),
        inode: metadata.ino(),
        size_bytes: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

fn record_key(path: &Path) -> Digest {
    let mut text = b"archive\0".to_vec();
    text.extend_from_slice(path.as_os_str().as_encoded_bytes());
    Digest::of(&text)
}
