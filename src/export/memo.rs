//! Archives that are there already, as an earlier build left them.
//!
//! A build that changed nothing need not write the same archive again, nor open one blob. What was
//! written is known again by what the kernel keeps of the file: device, inode, size and the times of
//! the last change, of which nobody can set the second (stat(2), `st_ctime`).

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use oci::Digest;
use serde::{Deserialize, Serialize};
use solver::Workshop;

use crate::exporter::ExportError;

/// What the kernel keeps of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    identity: Digest,
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Written {
    fn of(metadata: &Metadata, identity: &[u8]) -> Self {
        Self {
            identity: Digest::of(identity),
            device: metadata.dev(),
            inode: metadata.ino(),
            size_bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Tells whether the archive is there, of this identity, as it was left.
pub(crate) fn is_current(
    workshop: &Workshop,
    path: &Path,
    identity: &[u8],
) -> Result<bool, ExportError> {
    let Some(now) = look(path, identity) else {
        return Ok(false);
    };
    let then = workshop.store.records().get::<Written>(&record_key(path))?;
    Ok(then == Some(now))
}

/// Records that the archive was written.
///
/// `metadata` is that of the file that was written, read after it had its name: under the name may be
/// what another process wrote since.
pub(crate) fn remember(
    workshop: &Workshop,
    path: &Path,
    identity: &[u8],
    metadata: &Metadata,
) -> Result<(), ExportError> {
    let written = Written::of(metadata, identity);
    Ok(workshop.store.records().put(&record_key(path), &written)?)
}

/// Reads what the kernel keeps; none if there is no such file.
fn look(path: &Path, identity: &[u8]) -> Option<Written> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    metadata.is_file().then(|| Written::of(&metadata, identity))
}

fn record_key(path: &Path) -> Digest {
    let mut text = b"archive\0".to_vec();
    text.extend_from_slice(path.as_os_str().as_encoded_bytes());
    Digest::of(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_again_until_it_is_written_replaced_or_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.tar");
        std::fs::write(&path, "one").unwrap();
        let written = Written::of(&std::fs::metadata(&path).unwrap(), b"index");
        assert_eq!(look(&path, b"index").as_ref(), Some(&written));
        assert_ne!(look(&path, b"another").as_ref(), Some(&written));
        let other = dir.path().join("other");
        std::fs::write(&other, "one").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_ne!(look(&path, b"index").as_ref(), Some(&written));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(look(&path, b"index"), None);
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        assert_eq!(look(&path, b"index"), None);
    }
}
