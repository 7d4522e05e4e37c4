//! Layers as blobs, made only when something is exported, and never twice.

use std::sync::Arc;

use layer::{Compression, DiffError, PackError, PackOptions, TarOptions, UpperDiff};
use oci::time::Timestamp;
use oci::{DiffId, Digest};
use serde::{Deserialize, Serialize};
use store::{IngestError, LeaseError, ObjectId, Presence, RecordError, SnapshotError, SnapshotId};

use crate::cancel::Cancellable;
use crate::event::{Event, StepId};
use crate::job::Workshop;
use crate::owners::{self, OwnersError};
use crate::result::{Held, StackLayer};

/// Raised when the bytes that a change set is packed to change, so that nothing of the older kind is
/// taken for it.
const PACK_FORMAT: u32 = 1;

/// How layers are packed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackPlan {
    /// The compression.
    #[serde(serialize_with = "compression_text")]
    pub compression: Compression,
    /// Times of files later than this become this (`rewrite-timestamp`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clamp: Option<Timestamp>,
}

/// The field as serde hands it over: by reference.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn compression_text<S: serde::Serializer>(
    compression: &Compression,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{compression:?}"))
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
    /// The owners of its links cannot be read.
    #[error(transparent)]
    Owners(#[from] OwnersError),
    /// What was packed cannot be recorded.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The blob cannot be kept alive.
    #[error(transparent)]
    Lease(#[from] LeaseError),
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
    if let Held::Base(base) = &layer.held {
        // A base's blobs are taken as they are: not one byte of them is compressed again.
        return Ok(LayerBlob {
            diff_id: base.diff_id.clone(),
            digest: base.digest.clone(),
            size_bytes: base.size_bytes,
            media_type: base.media_type.clone(),
        });
    }
    if let Some(blob) = find_packed(workshop, &layer.id, plan)? {
        return Ok(blob);
    }
    let what = format!("packing {}", layer.id);
    let tell = |done| {
        let event = Event::Progress {
            step: step.clone(),
            what: what.clone(),
            done,
        };
        workshop.events.emit(event);
    };
    tell(false);
    let blob = pack_now(workshop, layer, plan)?;
    workshop
        .store
        .records()
        .put(&record_key(&layer.id, plan), &blob)?;
    tell(true);
    Ok(blob)
}

/// Returns what a layer was packed to before, if the blob is there.
pub(crate) fn find_packed(
    workshop: &Workshop,
    layer: &SnapshotId,
    plan: &PackPlan,
) -> Result<Option<LayerBlob>, PackLayerError> {
    let record = workshop
        .store
        .records()
        .get::<LayerBlob>(&record_key(layer, plan))?;
    let Some(blob) = record else { return Ok(None) };
    let there = workshop.lease.hold(&ObjectId::Blob(blob.digest.clone()))?;
    Ok((there == Presence::Present).then_some(blob))
}

fn pack_now(
    workshop: &Workshop,
    layer: &StackLayer,
    plan: &PackPlan,
) -> Result<LayerBlob, PackLayerError> {
    let mut ingest = workshop.store.content().ingest(&workshop.lease)?;
    let mut out = Cancellable::new(&mut ingest, &workshop.cancel);
    let options = PackOptions {
        tar: TarOptions {
            clamp: plan.clamp,
            ..TarOptions::default()
        },
        compression: plan.compression,
    };
    let packed = match &layer.held {
        Held::Recipe(changes) => layer::pack(changes.stream(), &options, &mut out),
        Held::Stored | Held::Base(_) => {
            layer::pack(stored_changes(workshop, layer)?, &options, &mut out)
        }
    };
    let packed = packed.map_err(|source| PackLayerError::Pack {
        layer: layer.id.clone(),
        source,
    })?;
    ingest.commit(Some((&packed.digest, packed.size_bytes)))?;
    Ok(LayerBlob {
        diff_id: packed.diff_id,
        digest: packed.digest,
        size_bytes: packed.size_bytes,
        media_type: plan.compression.kind().oci_media_type().to_owned(),
    })
}

/// Reads the directory of a layer of ours as changes.
fn stored_changes(workshop: &Workshop, layer: &StackLayer) -> Result<UpperDiff, PackLayerError> {
    let snapshots = workshop.store.snapshots();
    let snapshot = snapshots.open(&workshop.lease, &layer.id)?;
    let snapshot = snapshot.ok_or_else(|| PackLayerError::Gone {
        layer: layer.id.clone(),
    })?;
    let owners = owners::of_layer(workshop, &layer.id)?;
    layer::diff_upper(Arc::new(snapshot.fs), owners).map_err(|source| PackLayerError::Diff {
        layer: layer.id.clone(),
        source,
    })
}

fn record_key(layer: &SnapshotId, plan: &PackPlan) -> Digest {
    let text = serde_json::to_vec(&("pack", PACK_FORMAT, layer.to_string(), plan))
        .expect("names and numbers are valid JSON");
    Digest::of(&text)
}
