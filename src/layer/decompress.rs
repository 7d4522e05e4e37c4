//! Reading compressed archives as a stream, with bounds on the memory that they ask for and on what they become.
//!
//! Nothing is started for it: no program of the host or of an image sees an archive (CVE-2014-9357).

use std::io::{self, BufRead as _, BufReader, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use crate::expansion::{Counted, Expansion};
use crate::limits::XZ_MEMORY_MAX_BYTES;
use crate::room::{DecoderRoom, Roomy};
use crate::zstd_frames::ZstdFrames;

/// How much of a blob is read at once.
const BUFFER_BYTES: usize = 128 * 1024;

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveFormat {
    /// Not at all, or in a way that is not known.
    Plain,
    /// By gzip (RFC 1952).
    Gzip,
    /// By zstd (RFC 8878).
    Zstd,
    /// By bzip2.
    Bzip2,
    /// By xz.
    Xz,
}

/// Tells from its first bytes, at least six if there are as many, how an archive is compressed.
pub fn sniff(start: &[u8]) -> ArchiveFormat {
    match start {
        [0x1f, 0x8b, 8, ..] => ArchiveFormat::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => ArchiveFormat::Zstd,
        // A skippable frame, which may come before the first real one.
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => ArchiveFormat::Zstd,
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => ArchiveFormat::Bzip2,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => ArchiveFormat::Xz,
        _ => ArchiveFormat::Plain,
    }
}

/// Returns a reader of what was compressed, however that was done.
///
/// All members, frames and streams one after the other are read, and what comes after the last one is an
/// error, as for Go's readers. Errors in the data come out of the reader as `InvalidData`,
/// `InvalidInput` or `UnexpectedEof`.
///
/// # Errors
///
/// Fails where the start cannot be read or a decoder cannot be set up.
pub fn decompressor<'r, R: Read + Send + 'r>(reader: R) -> io::Result<Box<dyn Read + Send + 'r>> {
    decompressor_in(&DecoderRoom::default(), reader)
}

/// As [`decompressor`], with the memory that a room has for it.
pub(crate) fn decompressor_in<'r, R: Read + Send + 'r>(
    room: &DecoderRoom,
    reader: R,
) -> io::Result<Box<dyn Read + Send + 'r>> {
    decompressor_within(Expansion::of, room, reader)
}

/// As [`decompressor_in`], with bounds on what an archive of a format becomes.
pub(crate) fn decompressor_within<'r, R: Read + Send + 'r>(
    expansion: fn(ArchiveFormat) -> Expansion,
    room: &DecoderRoom,
    reader: R,
) -> io::Result<Box<dyn Read + Send + 'r>> {
    let counted = Counted::new(PeekFirst::new(reader));
    let mut input = BufReader::with_capacity(BUFFER_BYTES, counted);
    let format = sniff(input.fill_buf()?);
    let bound = input.get_ref().bound(expansion(format));
    Ok(match format {
        ArchiveFormat::Plain => Box::new(input),
        ArchiveFormat::Gzip => Box::new(bound.on(MultiGzDecoder::new(input))),
        ArchiveFormat::Zstd => Box::new(bound.on(ZstdFrames::new(input, room))),
        ArchiveFormat::Bzip2 => Box::new(bound.on(MultiBzDecoder::new(input))),
        ArchiveFormat::Xz => {
            let stream = Stream::new_stream_decoder(XZ_MEMORY_MAX_BYTES, CONCATENATED)?;
            let taken = room.take(XZ_MEMORY_MAX_BYTES);
            let decoder = Roomy::new(XzDecoder::new_stream(input, stream), taken);
            Box::new(bound.on(decoder))
        }
    })
}

/// Makes sure that the first read has enough bytes to tell the format, where there are as many.
struct PeekFirst<R> {
    inner: R,
    is_first: bool,
}

impl<R> PeekFirst<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            is_first: true,
        }
    }
}

impl<R: Read> Read for PeekFirst<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        /// As many as the longest magic number has.
        const MAGIC_BYTES: usize = 6;
        if !self.is_first {
            return self.inner.read(buffer);
        }
        self.is_first = false;
        let mut have = 0;
        while have < MAGIC_BYTES.min(buffer.len()) {
            match self.inner.read(&mut buffer[have..]) {
                Ok(0) => break,
                Ok(count) => have += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(have)
    }
}
