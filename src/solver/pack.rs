//! Layers as blobs, made only when something is exported, and never twice.

mod base;
mod held;
mod remote;

use std::sync::Arc;

use layer::{
    Changes, Compression, DiffError, LargeFile, PackError, PackOptions, Packed, RepackError,
    TarOptions, Times, UpperDiff,
};
use oci::{DiffId, Digest, MediaType};
use serde::{Deserialize, Serialize};
use store::{
    ClaimError, ClaimName, IngestError, LeaseError, ObjectId, Presence, RecordError, SnapshotError,
    SnapshotId,
};

pub use held::HeldBlobs;

use crate::base::BaseError;
use crate::cancel::Cancellable;
use crate::compared;
use crate::counted::{Count, Counted};
use crate::event::{Event, FileSize, StepId};
use crate::import::ImportError;
use crate::job::Workshop;
use crate::realise::{self, RealiseError, View};
use crate::result::{Held, Stack, StackLayer};

/// Raised when the bytes that a change set is packed to change, so that nothing of the older kind is
/// taken for it.
const PACK_FORMAT: u32 = 2;

/// How layers are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackPlan {
    /// The compression.
    pub compression: Compression,
    /// Which times the files of new layers have.
    pub times: Times,
    /// What happens to the layers of bases.
    pub base: BaseLayers,
}

impl PackPlan {
    /// Tells whether a layer that is there as a blob is left as it is.
    pub(crate) fn takes(&self, media_type: &str) -> bool {
        let compression = MediaType::parse(media_type).layer_compression();
        self.base == BaseLayers::AsTheyAre || compression == Some(self.compression.kind())
    }
}

/// What happens to the layers of bases that are compressed in another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseLayers {
    /// Nothing: not one byte of them is compressed again.
    AsTheyAre,
    /// They are compressed as new layers are (`force-compression`).
    Recompressed,
}

/// A layer as a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerBlob {
    /// The digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// The digest of the blob.
    pub digest: Digest,
    /// The size of the blob, in bytes.
    pub size_bytes: u64,
    /// The media type of the blob.
    pub media_type: String,
}

impl LayerBlob {
    /// Returns the blob that was packed.
    pub(crate) fn of(packed: Packed, media_type: &str) -> Self {
        Self {
            diff_id: packed.diff_id,
            digest: packed.digest,
            size_bytes: packed.size_bytes,
            media_type: media_type.to_owned(),
        }
    }
}

/// When a layer came to be a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackedWhen {
    /// It was one of a base, or of an earlier build.
    Before,
    /// This build packed it.
    Now,
}

/// Why a layer cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackLayerError {
    /// Its change set cannot be read or written.
    #[error("cannot pack the layer `{layer}`")]
    Pack {
        /// The layer.
        layer: SnapshotId,
        /// Why.
        source: PackError,
    },
    /// Its directory cannot be read.
    #[error("cannot read the layer `{layer}`")]
    Diff {
        /// The layer.
        layer: SnapshotId,
        /// Why.
        source: DiffError,
    },
    /// Its directory is gone.
    #[error("the layer `{layer}` is gone from the store")]
    Gone {
        /// The layer.
        layer: SnapshotId,
    },
    /// The blob cannot be kept.
    #[error(transparent)]
    Blob(#[from] IngestError),
    /// Its directory cannot be opened.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Its directory cannot be put together.
    #[error(transparent)]
    Realise(#[from] Box<RealiseError>),
    /// What was packed cannot be recorded.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Nobody can be kept from packing it at the same time.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The blob cannot be kept alive.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// A layer of a base cannot be read.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// A layer of a cache is of no use.
    #[error("cannot pack a layer of a cache")]
    Import(#[source] ImportError),
    /// A layer of a base cannot be compressed in another way.
    #[error("cannot compress the layer `{digest}` again")]
    Recompress {
        /// Its blob.
        digest: Digest,
        /// Why.
        source: RepackError,
    },
    /// A layer of a base is not the tar that its configuration names.
    #[error("the layer `{expected}` is damaged: it unpacks to `{found}`")]
    WrongDiffId {
        /// What the configuration says.
        expected: DiffId,
        /// What was found.
        found: DiffId,
    },
}

/// Returns a layer as a blob of the store, or of its base; packs it if that was not done before.
///
/// # Errors
///
/// Fails when the change set cannot be read or the blob cannot be written. Nothing half-written
/// stays.
pub fn pack_layer(
    workshop: &Workshop,
    step: &StepId,
    layer: &Arc<StackLayer>,
    plan: &PackPlan,
) -> Result<LayerBlob, PackLayerError> {
    pack_early(workshop, step, layer, plan).map(|(blob, _)| blob)
}

/// Does the same, and tells whether it was done before.
///
/// # Errors
///
/// Fails as [`pack_layer`] does.
pub fn pack_early(
    workshop: &Workshop,
    step: &StepId,
    layer: &Arc<StackLayer>,
    plan: &PackPlan,
) -> Result<(LayerBlob, PackedWhen), PackLayerError> {
    let (blob, when) = match &layer.held {
        Held::Base(base) => (base::pack(workshop, step, base, plan)?, PackedWhen::Before),
        Held::Remote(remote) => {
            let blob = remote::pack(workshop, step, remote, plan)?;
            (blob, PackedWhen::Before)
        }
        Held::Stored | Held::Recipe(_) => pack_ours(workshop, step, layer, plan)?,
    };
    if when == PackedWhen::Before {
        tell_packed(workshop, layer, &blob, &[]);
    }
    Ok((blob, when))
}

/// Returns a layer of the build's own as a blob.
fn pack_ours(
    workshop: &Workshop,
    step: &StepId,
    layer: &Arc<StackLayer>,
    plan: &PackPlan,
) -> Result<(LayerBlob, PackedWhen), PackLayerError> {
    if let Some(blob) = find_packed(workshop, &layer.id, plan)? {
        return Ok((blob, PackedWhen::Before));
    }
    // Several platforms, and several builds, may have it. One that is cancelled while it waits notices when it reads.
    let cancelled = || workshop.cancel.is_cancelled();
    let key = record_key(&layer.id, plan);
    let claims = workshop.store.claims();
    let _claim = claims.exclusive_or(ClaimName::Key(&key), &cancelled)?;
    if let Some(blob) = find_packed(workshop, &layer.id, plan)? {
        return Ok((blob, PackedWhen::Before));
    }
    let what = format!("packing {}", layer.id);
    let packed = || pack_now(workshop, layer, plan, (step, &what));
    let blob = telling(workshop, step, &what, packed)?;
    remember_packed(workshop, &layer.id, plan, &blob)?;
    compared::remember_packed(&workshop.store, &layer.id, &blob.digest)?;
    Ok((blob, PackedWhen::Now))
}

/// Tells that a layer is there as a blob.
fn tell_packed(workshop: &Workshop, layer: &StackLayer, blob: &LayerBlob, files: &[LargeFile]) {
    let files = files.iter().map(|file| FileSize {
        path: file.path.absolute(),
        size_bytes: file.size_bytes,
    });
    workshop.events.emit(Event::Packed {
        layer: layer.id.to_string(),
        size_bytes: blob.size_bytes,
        files: files.collect(),
    });
}

/// Tells the display that something is done, and when it is over.
fn telling<T>(
    workshop: &Workshop,
    step: &StepId,
    what: &str,
    work: impl FnOnce() -> Result<T, PackLayerError>,
) -> Result<T, PackLayerError> {
    let tell = |done| {
        workshop.events.progress(step, what, done);
    };
    tell(false);
    let done = work()?;
    tell(true);
    Ok(done)
}

/// Tells whether a layer is packed in every way in which it will be exported: it need not be there as
/// a directory then.
pub(crate) fn is_packed(workshop: &Workshop, layer: &SnapshotId) -> Result<bool, PackLayerError> {
    for plan in &workshop.pack {
        if find_packed(workshop, layer, plan)?.is_none() {
            return Ok(false);
        }
    }
    Ok(!workshop.pack.is_empty())
}

/// Tells whether all layers of these stacks that were made here are packed in every way in which they will be exported:
/// nobody has to look into a directory then.
///
/// # Errors
///
/// Fails when the store cannot be read.
pub fn are_packed(workshop: &Workshop, stacks: &[Stack]) -> Result<bool, PackLayerError> {
    let layers = stacks.iter().flat_map(Stack::layers);
    for layer in layers.filter(|layer| !matches!(layer.held, Held::Base(_))) {
        for plan in &workshop.pack {
            if find_packed(workshop, &layer.id, plan)?.is_none() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Returns what a layer was packed to before, in whichever of the ways that are asked for.
pub(crate) fn find_any(
    workshop: &Workshop,
    layer: &SnapshotId,
) -> Result<Option<LayerBlob>, PackLayerError> {
    for plan in &workshop.pack {
        if let Some(blob) = find_packed(workshop, layer, plan)? {
            return Ok(Some(blob));
        }
    }
    Ok(None)
}

/// Returns what a layer was packed to before, if the blob is there.
pub(crate) fn find_packed(
    workshop: &Workshop,
    layer: &SnapshotId,
    plan: &PackPlan,
) -> Result<Option<LayerBlob>, PackLayerError> {
    find_blob(workshop, &record_key(layer, plan))
}

/// Remembers what a layer is as a blob that is packed in a way.
pub(crate) fn remember_packed(
    workshop: &Workshop,
    layer: &SnapshotId,
    plan: &PackPlan,
    blob: &LayerBlob,
) -> Result<(), RecordError> {
    workshop.store.records().put(&record_key(layer, plan), blob)
}

/// Returns the blob that a record names, if it is there.
fn find_blob(workshop: &Workshop, key: &Digest) -> Result<Option<LayerBlob>, PackLayerError> {
    let known = match workshop.blobs.get(key) {
        Some(blob) => Some(blob),
        None => workshop.store.records().get::<LayerBlob>(key)?,
    };
    let Some(blob) = known else { return Ok(None) };
    // Looked at each time: one that turned out to be damaged is discarded.
    let there = workshop.lease.hold(&ObjectId::Blob(blob.digest.clone()))?;
    if there == Presence::Absent {
        workshop.blobs.forget(key);
        return Ok(None);
    }
    workshop.blobs.add(key, &blob);
    Ok(Some(blob))
}

fn pack_now(
    workshop: &Workshop,
    layer: &StackLayer,
    plan: &PackPlan,
    (step, what): (&StepId, &str),
) -> Result<LayerBlob, PackLayerError> {
    let count = Count::new(&workshop.events, Some(step), what.to_owned(), None);
    match &layer.held {
        Held::Recipe(changes) => pack_changes(workshop, layer, (plan, count), changes.stream()),
        Held::Stored | Held::Base(_) | Held::Remote(_) => {
            let changes = stored_changes(workshop, layer)?;
            pack_changes(workshop, layer, (plan, count), changes)
        }
    }
}

fn pack_changes<C: Changes + Send>(
    workshop: &Workshop,
    layer: &StackLayer,
    (plan, mut count): (&PackPlan, Count),
    changes: C,
) -> Result<LayerBlob, PackLayerError> {
    let mut ingest = workshop.store.content().ingest_hashed(&workshop.lease)?;
    let out = Counted::new(&mut ingest, &mut count);
    let mut out = Cancellable::new(out, &workshop.cancel);
    let options = PackOptions {
        tar: TarOptions {
            times: plan.times,
            ..TarOptions::default()
        },
        compression: plan.compression,
    };
    let packed = layer::pack(changes, &options, &mut out);
    let mut packed = packed.map_err(|source| {
        workshop.digests.hear(&source, &workshop.store);
        PackLayerError::Pack {
            layer: layer.id.clone(),
            source,
        }
    })?;
    ingest.commit(Some((&packed.digest, packed.size_bytes)))?;
    let largest = std::mem::take(&mut packed.largest);
    let blob = LayerBlob::of(packed, plan.compression.kind().oci_media_type());
    tell_packed(workshop, layer, &blob, &largest);
    Ok(blob)
}

/// Reads the directory of a layer of ours as changes.
fn stored_changes(workshop: &Workshop, layer: &StackLayer) -> Result<UpperDiff, PackLayerError> {
    let view = realise::stored(workshop, &layer.id).map_err(Box::new)?;
    let gone = || PackLayerError::Gone {
        layer: layer.id.clone(),
    };
    let (root, owners) = view.and_then(View::into_parts).ok_or_else(gone)?;
    layer::diff_upper(root, owners).map_err(|source| PackLayerError::Diff {
        layer: layer.id.clone(),
        source,
    })
}

fn record_key(layer: &SnapshotId, plan: &PackPlan) -> Digest {
    let PackPlan {
        compression, times, ..
    } = plan;
    Digest::of(format!("pack\0{PACK_FORMAT}\0{layer}\0{compression:?}\0{times:?}").as_bytes())
}
