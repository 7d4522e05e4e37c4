//! A blob → a directory.

use std::io::{self, Read};

use layer::{Applied, ApplyOptions, Limits};
use oci::{DiffId, Hasher};
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
    let cancel = &workshop.cancel;
    let read_error = |source| {
        if cancel.is_cancelled() {
            return RealiseError::Cancelled;
        }
        let layer = name.to_owned();
        RealiseError::Read { layer, source }
    };
    let tar = layer::decompressor(Cancellable::new(blob, cancel)).map_err(read_error)?;
    let mut tar = Hashing {
        inner: tar,
        hasher: Hasher::new(),
    };
    let options = ApplyOptions {
        ids: workshop.ids,
        limits: Limits::default(),
    };
    let applied = layer::apply(&mut tar, target, &options).map_err(|source| {
        if cancel.is_cancelled() {
            return RealiseError::Cancelled;
        }
        let layer = name.to_owned();
        RealiseError::Unpack { layer, source }
    })?;
    // What stands behind the end of the archive is part of the digest.
    io::copy(&mut tar, &mut io::sink()).map_err(read_error)?;
    let found = DiffId::new(tar.hasher.finish());
    if found != *diff_id {
        return Err(RealiseError::WrongDiffId {
            expected: diff_id.clone(),
            found,
        });
    }
    Ok(applied)
}

/// A reader that digests what passes.
struct Hashing<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
