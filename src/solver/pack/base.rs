//! The layers of bases as blobs: as they are, or compressed once more.

use std::io::{Read, Write};

use layer::Packed;
use oci::Digest;

use super::{LayerBlob, PACK_FORMAT, PackLayerError, PackPlan, find_blob, telling};
use crate::base::open_layer;
use crate::cancel::Cancellable;
use crate::event::StepId;
use crate::job::Workshop;
use crate::result::BaseLayer;

/// Returns the blob of a layer of a base.
pub(super) fn pack(
    workshop: &Workshop,
    step: &StepId,
    layer: &BaseLayer,
    plan: &PackPlan,
) -> Result<LayerBlob, PackLayerError> {
    if plan.takes(&layer.media_type) {
        return Ok(LayerBlob {
            diff_id: layer.diff_id.clone(),
            digest: layer.digest.clone(),
            size_bytes: layer.size_bytes,
            media_type: layer.media_type.clone(),
        });
    }
    let key = record_key(layer, plan);
    if let Some(blob) = find_blob(workshop, &key)? {
        return Ok(blob);
    }
    let what = format!("compressing {} again", layer.digest);
    let blob = telling(workshop, step, &what, || compress(workshop, layer, plan))?;
    workshop.store.records().put(&key, &blob)?;
    Ok(blob)
}

/// Compresses the tar of a layer in another way. The tar stays what it is, to the byte.
fn compress(
    workshop: &Workshop,
    layer: &BaseLayer,
    plan: &PackPlan,
) -> Result<LayerBlob, PackLayerError> {
    let blob = Cancellable::new(open_layer(workshop, layer)?, &workshop.cancel);
    let mut ingest = workshop.store.content().ingest_hashed(&workshop.lease)?;
    let packed = repack(workshop, blob, plan, &mut ingest);
    let packed = packed.map_err(|source| PackLayerError::Recompress {
        digest: layer.digest.clone(),
        source,
    })?;
    if packed.diff_id != layer.diff_id {
        return Err(PackLayerError::WrongDiffId {
            expected: layer.diff_id.clone(),
            found: packed.diff_id,
        });
    }
    ingest.commit(Some((&packed.digest, packed.size_bytes)))?;
    Ok(LayerBlob::of(
        packed,
        plan.compression.kind().oci_media_type(),
    ))
}

pub(super) fn repack<R: Read + Send>(
    workshop: &Workshop,
    blob: R,
    plan: &PackPlan,
    out: &mut dyn Write,
) -> Result<Packed, layer::RepackError> {
    let tar = workshop.decoders.decompressor(blob);
    layer::repack(
        tar.map_err(layer::RepackError::Read)?,
        plan.compression,
        out,
    )
}

fn record_key(layer: &BaseLayer, plan: &PackPlan) -> Digest {
    let (from, to) = (&layer.digest, plan.compression);
    Digest::of(format!("repack\0{PACK_FORMAT}\0{from}\0{to:?}").as_bytes())
}
