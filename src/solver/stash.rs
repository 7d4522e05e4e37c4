//! What cache mounts hold, as blobs: written beside a cache that is exported, and what new ones begin with.
//!
//! `layer` makes an index and packs of a directory, and a directory of these. Here stands which directories those are,
//! who may use them meanwhile, and what becomes of it when something is wrong: a mount that cannot be exported, or
//! turns out to be damaged when it is imported, is told in a warning, and the build goes on without it.

mod export;
mod fill;

use std::collections::BTreeSet;

use graph::{Definition, ExecMount, Op};
use rootfs::{IdStorage, OwnerTable};
use store::CacheId;

use crate::job::Workshop;
use crate::pack::LayerBlob;

pub(crate) use export::now;
pub use export::{EarlierStash, MountSelection, OpenBlob, StashError, keep, select};
pub(crate) use fill::fill;

/// The media type of an index.
pub const INDEX_MEDIA_TYPE: &str = "application/vnd.careen.cache.mount.index.v1+zstd";

/// What a cache mount held, as blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stash {
    /// The blob of the index; its diff id is the digest of the index's text.
    pub index: LayerBlob,
    /// The packs, in the order by which the index knows them.
    pub packs: Vec<StashPack>,
}

/// A pack of a stash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StashPack {
    /// The blob.
    pub blob: LayerBlob,
    /// The bytes of all files in it.
    pub file_bytes: u64,
}

/// What a Dockerfile calls a cache mount.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MountId {
    /// What keeps equal ids apart.
    pub namespace: String,
    /// The id.
    pub id: String,
}

/// Returns the cache mounts of a graph, whether its commands will run or not.
pub fn mounts_of(definition: &Definition) -> BTreeSet<MountId> {
    let ops = definition.ids().map(|id| &definition.vertex(id).op);
    let mounts = ops.filter_map(|op| match op {
        Op::Exec(op) => Some(&op.mounts),
        _ => None,
    });
    let caches = mounts.flatten().filter_map(|mount| match mount {
        ExecMount::Cache(mount) => Some(MountId {
            namespace: mount.namespace.clone(),
            id: mount.id.clone(),
        }),
        _ => None,
    });
    caches.collect()
}

/// Returns the owners that are kept beside a cache mount. Those that are damaged are none: what has no owner is root's.
pub(crate) fn kept_owners(workshop: &Workshop, id: &CacheId) -> OwnerTable {
    if workshop.ids != IdStorage::Recorded {
        return OwnerTable::default();
    }
    let text = workshop.store.caches().owners(id).unwrap_or_default();
    OwnerTable::parse(&text).unwrap_or_else(|error| {
        tracing::debug!(%id, %error, "owners of a cache mount not read");
        OwnerTable::default()
    })
}

/// Returns an error with all its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
