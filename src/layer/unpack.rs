//! A compressed layer → a directory of its own, in one pass over all cores.
//!
//! ```text
//! blob ──decompress──► blocks ─┬─► digest of the tar
//!                              └─► entries ──► files
//! ```
//!
//! Each arrow is the border of a thread. The entries are applied one after the other, so the directory is what one
//! thread would have made of it.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::ScopedJoinHandle;

use oci::{DiffId, Hasher};
use rootfs::Root;

use crate::apply::{Applied, ApplyError, ApplyOptions, apply_buffered};
use crate::blocks::{BLOCKS_AHEAD, Block, BlockReader, pump};
use crate::room::DecoderRoom;

/// A layer that cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// Its beginning cannot be read, or says that it cannot be decompressed.
    #[error("decompress the layer")]
    Read(#[source] io::Error),
    /// Its archive cannot be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// Unpacks the blob of a layer into `target`, an empty directory of its own, and returns the digest of its tar. The
/// blob is read to its end, with memory of the room.
///
/// # Errors
///
/// Fails where the blob cannot be read, the archive or an entry is refused, or an object cannot be made; what is in
/// the directory then is of no use.
pub fn unpack<R: Read + Send>(
    blob: R,
    room: &DecoderRoom,
    target: &Root,
    options: &ApplyOptions,
) -> Result<(Applied, DiffId), UnpackError> {
    let tar = room.decompressor(blob).map_err(UnpackError::Read)?;
    digested(tar, |tar| apply_buffered(tar, target, options))
}

/// Reads a tar by a function, with its digest and what is before it on other threads.
pub(crate) fn digested<T>(
    tar: impl Read + Send,
    read: impl FnOnce(BlockReader) -> Result<T, ApplyError>,
) -> Result<(T, DiffId), UnpackError> {
    let (digester, to_digest) = sync_channel(BLOCKS_AHEAD);
    let (sender, receiver) = sync_channel(BLOCKS_AHEAD);
    std::thread::scope(|scope| {
        scope.spawn(move || pump(tar, &digester, &sender));
        let digest = scope.spawn(move || digest(&to_digest));
        let read = read(BlockReader::new(receiver))?;
        Ok((read, DiffId::new(joined(digest))))
    })
}

fn digest(blocks: &Receiver<Block>) -> oci::Digest {
    let mut hasher = Hasher::new();
    for block in blocks {
        hasher.update(&block);
    }
    hasher.finish()
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(made) => made,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
