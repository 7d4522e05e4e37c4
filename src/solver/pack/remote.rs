//! The layers of caches as blobs: as they are, or compressed once more.

use oci::Digest;

use super::base::repack;
use super::{LayerBlob, PACK_FORMAT, PackLayerError, PackPlan, find_blob, telling};
use crate::cancel::Cancellable;
use crate::event::StepId;
use crate::import::RemoteLayer;
use crate::job::Workshop;

/// Returns the blob of a layer of a cache.
pub(super) fn pack(
    workshop: &Workshop,
    step: &StepId,
    layer: &RemoteLayer,
    plan: &PackPlan,
) -> Result<LayerBlob, PackLayerError> {
    if plan.takes(&layer.blob().media_type) {
        return Ok(layer.blob().clone());
    }
    let (from, to) = (&layer.blob().digest, plan.compression);
    let key = Digest::of(format!("repack\0{PACK_FORMAT}\0{from}\0{to:?}").as_bytes());
    if let Some(blob) = find_blob(workshop, &key)? {
        return Ok(blob);
    }
    let what = format!("compressing {from} again");
    let blob = telling(workshop, step, &what, || {
        compress(workshop, (step, layer), plan)
    })?;
    workshop.store.records().put(&key, &blob)?;
    Ok(blob)
}

/// Compresses the tar of a layer in another way. The tar stays what it is, to the byte.
fn compress(
    workshop: &Workshop,
    (step, layer): (&StepId, &RemoteLayer),
    plan: &PackPlan,
) -> Result<LayerBlob, PackLayerError> {
    let opened = layer.open(workshop, Some(step));
    let blob = Cancellable::new(opened.map_err(PackLayerError::Import)?, &workshop.cancel);
    let mut ingest = workshop.store.content().ingest(&workshop.lease)?;
    let packed = repack(workshop, blob, plan, &mut ingest)
        .map_err(|error| PackLayerError::Import(layer.useless(workshop, error)))?;
    let expected = &layer.blob().diff_id;
    if packed.diff_id != *expected {
        let error = PackLayerError::WrongDiffId {
            expected: expected.clone(),
            found: packed.diff_id,
        };
        return Err(PackLayerError::Import(layer.useless(workshop, error)));
    }
    ingest.commit(Some((&packed.digest, packed.size_bytes)))?;
    Ok(LayerBlob::of(
        packed,
        plan.compression.kind().oci_media_type(),
    ))
}
