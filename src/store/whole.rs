//! Blobs that this process has hashed, so that it need not read them again to know that they are whole.
//!
//! What was hashed is known again by what the kernel keeps of the file: device, inode, size and the times of the last
//! change, of which nobody can set the second (stat(2), `st_ctime`). It is forgotten with the process: a disk may lose
//! bytes without a change of any time, so what another process wrote is read.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, PoisonError};

use oci::Digest;

/// What the kernel keeps of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size_bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The blobs that this process has hashed; a cheap handle.
#[derive(Debug, Clone, Default)]
pub(crate) struct WholeBlobs {
    /// Whoever writes a blob and whoever asks for it are different threads, and the answer is needed at once. The lock
    /// is held for one look-up.
    known: Arc<Mutex<BTreeMap<Digest, Identity>>>,
}

impl WholeBlobs {
    /// Notes that a file has the bytes of a digest: they were hashed, and nobody wrote to it since.
    pub(crate) fn note(&self, digest: &Digest, metadata: &Metadata) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(digest.clone(), Identity::of(metadata));
    }

    /// Tells whether a file has the bytes of a digest for sure.
    pub(crate) fn knows(&self, digest: &Digest, metadata: &Metadata) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(digest) == Some(&Identity::of(metadata))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_known_until_it_is_written_or_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("blob");
        fs::write(&path, "one").unwrap();
        let look = || fs::metadata(&path).unwrap();
        let (digest, other) = (Digest::of(b"one"), Digest::of(b"two"));
        let whole = WholeBlobs::default();
        assert!(!whole.knows(&digest, &look()));
        whole.note(&digest, &look());
        assert!(whole.knows(&digest, &look()));
        assert!(whole.clone().knows(&digest, &look()));
        assert!(!whole.knows(&other, &look()));
        fs::write(dir.path().join("other"), "one").unwrap();
        fs::rename(dir.path().join("other"), &path).unwrap();
        assert!(!whole.knows(&digest, &look()));
        whole.note(&digest, &look());
        fs::write(&path, "longer").unwrap();
        assert!(!whole.knows(&digest, &look()));
    }
}
