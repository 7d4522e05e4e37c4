//! Changes → a layer blob: tar, digest of the tar, compression, digest of the blob, in one pass with
//! bounded memory.
//!
//! ```text
//!  reading thread:   changes of a large layer, ahead of
//!  caller's thread:  tar ──1 MiB blocks──► compressor ──► out
//!                     │                       ▲  │
//!  hashing threads:   └──► diff id            │  └──► digest of the blob
//!  rayon's threads:                     gzip members
//! ```
//!
//! The caller's thread waits for the others; it must not be one of rayon's.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{self, Scope, ScopedJoinHandle};

use oci::media_type::{Distribution, Flavour, LayerMediaType};
use oci::{DiffId, Digest, Hasher, MediaType};

use crate::change::Changes;
use crate::compress::{BLOCK_BYTES, Block, BlockCompressor, Compression};
use crate::largest::{LargeFile, Largest};
use crate::read_ahead::ReadAhead;
use crate::write::{TarOptions, WriteError, write_tar};

/// How many blocks wait to be hashed. Each is 1 MiB or what one became.
const HASH_QUEUE: usize = 4;

/// How a layer is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PackOptions {
    /// How changes become a tar.
    pub tar: TarOptions,
    /// How the tar is compressed.
    pub compression: Compression,
}

/// A layer blob that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The digest of the tar.
    pub diff_id: DiffId,
    /// The digest of the blob.
    pub digest: Digest,
    /// The size of the blob.
    pub size_bytes: u64,
    /// The size of the tar.
    pub uncompressed_bytes: u64,
    /// OCI's media type of the blob.
    pub media_type: MediaType,
    /// The largest files in it, the largest first. Of a tar that was there nothing is known.
    pub largest: Vec<LargeFile>,
}

/// A layer that cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The tar cannot be made.
    #[error("make the tar of a layer")]
    Tar(#[source] WriteError),
    /// The blob cannot be compressed or written.
    #[error("write the blob of a layer")]
    Output(#[source] io::Error),
    /// A thread that hashes panicked.
    #[error("hash a layer")]
    Hashing,
}

/// A tar that cannot be packed once more.
#[derive(Debug, thiserror::Error)]
pub enum RepackError {
    /// The tar cannot be read.
    #[error("read the tar of a layer")]
    Read(#[source] io::Error),
    /// It cannot be packed.
    #[error(transparent)]
    Pack(#[from] PackError),
}

/// Packs changes into a blob. Its bytes depend on the changes and the options alone.
///
/// # Errors
///
/// Fails where the tar cannot be made or the output takes no more; what was written then is of no use.
pub fn pack<C: Changes + Send>(
    changes: C,
    options: &PackOptions,
    out: &mut dyn Write,
) -> Result<Packed, PackError> {
    let mut largest = Largest::default();
    let packed = thread::scope(|scope| {
        let changes = ReadAhead::start(scope, changes);
        let changes = changes.inspect(|change| {
            if let Ok(change) = change {
                largest.note(change);
            }
        });
        let fill = |mut tar: &mut dyn Write| {
            write_tar(changes, &options.tar, &mut tar).map_err(PackError::Tar)
        };
        pack_with(fill, options.compression, out)
    });
    Ok(Packed {
        largest: largest.into_files(),
        ..packed?
    })
}

/// Packs a tar that is there, byte for byte, into a blob of another compression.
///
/// # Errors
///
/// Fails where the tar cannot be read or the output takes no more; what was written then is of no use.
pub fn repack<R: Read>(
    mut tar: R,
    compression: Compression,
    out: &mut dyn Write,
) -> Result<Packed, RepackError> {
    let fill = |into: &mut dyn Write| {
        let copied = io::copy(&mut tar, into);
        copied.map(drop).map_err(RepackError::Read)
    };
    pack_with(fill, compression, out)
}

/// Packs what `fill` writes.
fn pack_with<E: From<PackError>>(
    fill: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    compression: Compression,
    out: &mut dyn Write,
) -> Result<Packed, E> {
    thread::scope(|scope| {
        let blob = BlobWriter::new(scope, out, compression);
        let compressor = BlockCompressor::new(compression, blob).map_err(PackError::Output)?;
        let mut blocks = Blocks {
            block: Vec::with_capacity(BLOCK_BYTES),
            compressor,
            hashing: HashThread::start(scope),
            length: 0,
            failed: None,
        };
        let filled = fill(&mut blocks);
        let blocks = blocks.check(filled)?;
        Ok(finish(blocks, compression)?)
    })
}

/// Completes a blob, and describes it.
fn finish(
    blocks: Blocks<'_, BlobWriter<'_, '_>>,
    compression: Compression,
) -> Result<Packed, PackError> {
    let (compressor, diff_id, uncompressed_bytes) = blocks.finish()?;
    let blob = compressor.finish().map_err(PackError::Output)?;
    let (digest, size_bytes) = blob.finish()?;
    Ok(Packed {
        digest: digest.unwrap_or_else(|| diff_id.clone()),
        diff_id: DiffId::new(diff_id),
        size_bytes,
        uncompressed_bytes,
        media_type: MediaType::Layer(LayerMediaType {
            flavour: Flavour::Oci,
            compression: compression.kind(),
            distribution: Distribution::Free,
        }),
        largest: Vec::new(),
    })
}

/// A thread that hashes the buffers that it is sent, and hands them back.
struct HashThread<'scope> {
    sender: SyncSender<Arc<Block>>,
    hashed: Receiver<Arc<Block>>,
    thread: ScopedJoinHandle<'scope, Digest>,
    /// Hashed buffers that others still used when they came back.
    in_use: VecDeque<Arc<Block>>,
}

impl<'scope> HashThread<'scope> {
    fn start(scope: &'scope Scope<'scope, '_>) -> Self {
        let (sender, receiver) = sync_channel::<Arc<Block>>(HASH_QUEUE);
        let (done, hashed) = channel();
        let thread = scope.spawn(move || {
            let mut hasher = Hasher::new();
            for block in receiver {
                hasher.update(&block.bytes);
                // Where nobody takes it back, the packing is over.
                drop(done.send(block));
            }
            hasher.finish()
        });
        Self {
            sender,
            hashed,
            thread,
            in_use: VecDeque::new(),
        }
    }

    fn send(&self, block: Arc<Block>) -> io::Result<()> {
        self.sender.send(block).map_err(io::Error::other)
    }

    /// Returns an empty buffer: one that everybody is done with, or a new one. Fresh memory for every
    /// block would cost more than hashing it.
    fn buffer(&mut self) -> Vec<u8> {
        self.in_use.extend(self.hashed.try_iter());
        match self.in_use.pop_front().map(Arc::try_unwrap) {
            Some(Ok(Block { mut bytes })) => {
                bytes.clear();
                bytes
            }
            Some(Err(still_used)) => {
                self.in_use.push_front(still_used);
                Vec::with_capacity(BLOCK_BYTES)
            }
            None => Vec::with_capacity(BLOCK_BYTES),
        }
    }

    fn finish(self) -> Result<Digest, PackError> {
        drop(self.sender);
        self.thread.join().map_err(|_panic| PackError::Hashing)
    }
}

/// Cuts the tar into blocks, each of which is hashed and compressed.
struct Blocks<'scope, W: Write> {
    block: Vec<u8>,
    compressor: BlockCompressor<W>,
    hashing: HashThread<'scope>,
    length: u64,
    /// Why a block could not be compressed or written, which is not the tar's fault.
    failed: Option<io::Error>,
}

impl<W: Write> Blocks<'_, W> {
    /// Passes a full block, or the last one, on.
    fn pass_on(&mut self) -> io::Result<()> {
        let next = self.hashing.buffer();
        let block = Arc::new(Block {
            bytes: mem::replace(&mut self.block, next),
        });
        self.length += block.bytes.len() as u64;
        self.hashing.send(Arc::clone(&block))?;
        self.compressor.block(block)
    }

    /// Tells an error of the output from one of the tar.
    fn check<E: From<PackError>>(mut self, written: Result<(), E>) -> Result<Self, E> {
        match (written, self.failed.take()) {
            (Ok(()), None) => Ok(self),
            (_, Some(error)) => Err(PackError::Output(error).into()),
            (Err(error), None) => Err(error),
        }
    }

    fn finish(mut self) -> Result<(BlockCompressor<W>, Digest, u64), PackError> {
        if !self.block.is_empty() {
            self.pass_on().map_err(PackError::Output)?;
        }
        Ok((self.compressor, self.hashing.finish()?, self.length))
    }
}

impl<W: Write> Write for Blocks<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BLOCK_BYTES - self.block.len();
        let taken = &bytes[..bytes.len().min(room)];
        self.block.extend_from_slice(taken);
        if self.block.len() == BLOCK_BYTES
            && let Err(error) = self.pass_on()
        {
            self.failed = Some(error);
            return Err(io::Error::other("the blob takes no more"));
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Passes the bytes of a blob on and has them hashed, in pieces that are worth sending to another
/// thread; an uncompressed blob has the digest that its tar has.
struct BlobWriter<'scope, 'out> {
    out: &'out mut dyn Write,
    hashing: Option<HashThread<'scope>>,
    gathered: Vec<u8>,
    length: u64,
}

impl<'scope, 'out> BlobWriter<'scope, 'out> {
    fn new(
        scope: &'scope Scope<'scope, '_>,
        out: &'out mut dyn Write,
        compression: Compression,
    ) -> Self {
        let is_compressed = compression != Compression::Uncompressed;
        let hashing = is_compressed.then(|| HashThread::start(scope));
        Self {
            out,
            hashing,
            gathered: Vec::new(),
            length: 0,
        }
    }

    fn pass_on(&mut self) -> io::Result<()> {
        self.out.write_all(&self.gathered)?;
        if let Some(hashing) = &mut self.hashing {
            let next = hashing.buffer();
            let bytes = mem::replace(&mut self.gathered, next);
            hashing.send(Arc::new(Block { bytes }))?;
        }
        self.gathered.clear();
        Ok(())
    }

    /// Returns the digest, if it is not that of the tar, and the size.
    fn finish(mut self) -> Result<(Option<Digest>, u64), PackError> {
        self.pass_on().map_err(PackError::Output)?;
        self.out.flush().map_err(PackError::Output)?;
        let digest = self.hashing.map(HashThread::finish).transpose()?;
        Ok((digest, self.length))
    }
}

impl Write for BlobWriter<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.length += bytes.len() as u64;
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= BLOCK_BYTES / 2 {
            self.pass_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
