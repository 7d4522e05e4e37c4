//! What a cache elsewhere has of a mount → a directory.
//!
//! The index is fetched into the store, where the next export looks for it. Packs are read once, from where they
//! are, and never stored.

use std::io;

use layer::{StashFillError, StashFiller, StashIndex, StashIndexError};
use oci::VerifiedReader;
use rootfs::{OwnerTable, Root};

use super::StashPack;
use crate::cancel::Cancellable;
use crate::event::StepId;
use crate::import::{BackendError, RemoteStash};
use crate::job::Workshop;

/// What a cache elsewhere has of a mount is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FillError {
    /// Its index cannot be fetched.
    #[error("fetch the index of the cache mount")]
    Fetch(#[source] BackendError),
    /// Its index is damaged, or beyond a bound.
    #[error(transparent)]
    Index(#[from] StashIndexError),
    /// A pack cannot be opened.
    #[error("open a pack of the cache mount")]
    Open(#[source] BackendError),
    /// A pack cannot be uncompressed, or is another one.
    #[error("read a pack of the cache mount")]
    Read(#[source] io::Error),
    /// A pack is damaged, or a file cannot be written.
    #[error(transparent)]
    Fill(#[from] StashFillError),
}

/// Fills an empty directory; returns its index, and the owners that its files cannot hold. What is in it after an error
/// is of no use.
pub(crate) fn fill(
    workshop: &Workshop,
    step: &StepId,
    remote: &RemoteStash,
    target: &Root,
) -> Result<(StashIndex, OwnerTable), FillError> {
    let blob = remote.open_index(workshop).map_err(FillError::Fetch)?;
    let index = StashIndex::read(Cancellable::new(blob, &workshop.cancel))?;
    let mut filler = StashFiller::start(&index, target, workshop.ids)?;
    for (number, pack) in (0..).zip(&remote.stash().packs) {
        if filler.needs(number) {
            let what = format!("extracting {}", pack.blob.digest);
            tell(workshop, step, &what, false);
            take(workshop, remote, pack, &mut filler)?;
            tell(workshop, step, &what, true);
        }
    }
    let owners = filler.finish()?;
    Ok((index, owners))
}

fn tell(workshop: &Workshop, step: &StepId, what: &str, done: bool) {
    workshop.events.progress(step, what, done);
}

/// Takes what is missing from one pack, and reads it to its end, which is where it is verified.
fn take(
    workshop: &Workshop,
    remote: &RemoteStash,
    pack: &StashPack,
    filler: &mut StashFiller<'_>,
) -> Result<(), FillError> {
    let opened = remote.open(workshop, &pack.blob);
    let blob = Cancellable::new(opened.map_err(FillError::Open)?, &workshop.cancel);
    let mut blob = VerifiedReader::new(blob, &pack.blob.digest, pack.blob.size_bytes);
    let tar = workshop.decoders.decompressor(&mut blob);
    let mut tar = tar.map_err(FillError::Read)?;
    filler.pack(&mut tar)?;
    drop(tar);
    io::copy(&mut blob, &mut io::sink()).map_err(FillError::Read)?;
    Ok(())
}
