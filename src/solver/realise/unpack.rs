//! A blob → a directory.

use std::io::Read;

use layer::{Applied, ApplyOptions, Limits, UnpackError};
use oci::DiffId;
use rootfs::Root;

use super::error::RealiseError;
use crate::cancel::Cancellable;
use crate::job::Workshop;

/// Reads a blob into a directory; its tar must be the one that `diff_id` names.
pub(super) fn unpack(
    workshop: &Workshop,
    name: &str,
    blob: Box<dyn Read + Send>,
    (diff_id, target): (&DiffId, &Root),
) -> Result<Applied, RealiseError> {
    let options = ApplyOptions {
        ids: workshop.ids,
        limits: Limits::default(),
    };
    let blob = Cancellable::new(blob, &workshop.cancel);
    let unpacked = layer::unpack(blob, &workshop.decoders, target, &options);
    let (applied, found) = unpacked.map_err(|error| failed(workshop, name, error))?;
    if found != *diff_id {
        return Err(RealiseError::WrongDiffId {
            expected: diff_id.clone(),
            found,
        });
    }
    Ok(applied)
}

fn failed(workshop: &Workshop, name: &str, error: UnpackError) -> RealiseError {
    if workshop.cancel.is_cancelled() {
        return RealiseError::Cancelled;
    }
    let layer = name.to_owned();
    match error {
        UnpackError::Read(source) => RealiseError::Read { layer, source },
        UnpackError::Apply(source) => RealiseError::Unpack { layer, source },
    }
}
