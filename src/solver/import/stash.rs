//! What caches elsewhere have of cache mounts.

use std::io::Read;
use std::sync::Arc;

use oci::Digest;
use store::{BlobSource as _, ObjectId, Presence};

use super::{BackendError, Imports, Place};
use crate::cancel::Cancellable;
use crate::job::Workshop;
use crate::pack::LayerBlob;
use crate::stash::Stash;

/// What one place has of a mount.
#[derive(Debug)]
pub(crate) struct RemoteStash {
    stash: Stash,
    place: Arc<Place>,
}

impl Imports {
    /// Returns what the places have of a mount, in their order. `name` is the digest of all that tells it from others.
    pub(crate) fn find_stashes(&self, workshop: &Workshop, name: &Digest) -> Vec<RemoteStash> {
        if self.is_empty() {
            return Vec::new();
        }
        self.load(workshop);
        let found = |place: &Arc<Place>| {
            let stash = place.backend.find_stash(name)?;
            let is_useful = place.takes(&stash.index.digest);
            is_useful.then(|| RemoteStash {
                stash,
                place: Arc::clone(place),
            })
        };
        self.places.iter().filter_map(found).collect()
    }
}

impl RemoteStash {
    /// Returns its blobs.
    pub(crate) fn stash(&self) -> &Stash {
        &self.stash
    }

    /// Returns the place as messages name it.
    pub(crate) fn shown(&self) -> String {
        self.place.backend.shown()
    }

    /// Opens the index, which is fetched into the store first; what is read is verified.
    pub(crate) fn open_index(
        &self,
        workshop: &Workshop,
    ) -> Result<Box<dyn Read + Send>, BackendError> {
        let LayerBlob {
            digest, size_bytes, ..
        } = &self.stash.index;
        let content = workshop.store.content();
        let object = ObjectId::Blob(digest.clone());
        if workshop.lease.hold(&object)? != Presence::Present {
            let blob = self.open(workshop, &self.stash.index)?;
            let blob = Cancellable::new(blob, &workshop.cancel);
            content.copy_in(&workshop.lease, (digest, *size_bytes), blob)?;
        }
        Ok(Box::new(content.open_blob(digest, *size_bytes)?))
    }

    /// Takes it no more: it is of no use.
    pub(crate) fn give_up(&self) {
        self.place.give_up(&self.stash.index.digest);
    }

    /// Opens a blob where it is. Who reads it verifies it.
    pub(crate) fn open(
        &self,
        workshop: &Workshop,
        blob: &LayerBlob,
    ) -> Result<Box<dyn Read + Send>, BackendError> {
        self.place.backend.open(workshop, blob)
    }
}
