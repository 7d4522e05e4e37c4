//! What layers are as blobs, as far as this build has found it out: [`HeldBlobs`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oci::Digest;

use super::LayerBlob;

/// The blobs that this build has found, or packed, and keeps. A cheap handle.
///
/// A build that counts on a blob in the place of a directory must find it again though its record was removed meanwhile:
/// the lease keeps the blob, and nothing keeps a record.
#[derive(Debug, Clone, Default)]
pub struct HeldBlobs {
    /// Threads that pack and those that look share it, each for a moment; a channel would have nobody at its other end.
    by_key: Arc<Mutex<BTreeMap<Digest, LayerBlob>>>,
}

impl HeldBlobs {
    pub(super) fn get(&self, key: &Digest) -> Option<LayerBlob> {
        self.blobs().get(key).cloned()
    }

    /// Takes note of a blob that the lease of this build names.
    pub(super) fn add(&self, key: &Digest, blob: &LayerBlob) {
        self.blobs().insert(key.clone(), blob.clone());
    }

    /// Forgets a blob, for one that turned out to be gone.
    pub(super) fn forget(&self, key: &Digest) {
        self.blobs().remove(key);
    }

    fn blobs(&self) -> MutexGuard<'_, BTreeMap<Digest, LayerBlob>> {
        // A table that a panicking thread left is a table.
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
