//! How much a compressed archive may become: a bound that needs no size from whoever made it.
//!
//! What comes out of a decoder is compared with what has gone into it so far. A little may become anything, since real
//! archives begin with files of nothing but zeros; much may not become more than the decoder can make of it.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::decompress::ArchiveFormat;
use crate::limits::{
    EXPANSION_FREE_BYTES, EXPANSION_RATIO_MAX, XZ_EXPANSION_RATIO_MAX, ZSTD_EXPANSION_RATIO_MAX,
};

/// What an archive may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expansion {
    /// So many bytes whatever its size.
    pub(crate) free_bytes: u64,
    /// So many times its size.
    pub(crate) ratio: u64,
}

impl Expansion {
    /// Returns what an archive of a format may become.
    pub(crate) fn of(format: ArchiveFormat) -> Self {
        let ratio = match format {
            ArchiveFormat::Zstd => ZSTD_EXPANSION_RATIO_MAX,
            ArchiveFormat::Xz => XZ_EXPANSION_RATIO_MAX,
            // bzip2 could do a thousand times more, and nobody's layers are in it.
            ArchiveFormat::Gzip | ArchiveFormat::Bzip2 | ArchiveFormat::Plain => {
                EXPANSION_RATIO_MAX
            }
        };
        Self {
            free_bytes: EXPANSION_FREE_BYTES,
            ratio,
        }
    }

    fn allows(self, taken: u64, given: u64) -> bool {
        given <= self.free_bytes.max(taken.saturating_mul(self.ratio))
    }
}

/// An archive that became too much.
#[derive(Debug, thiserror::Error)]
#[error(
    "the archive expands to more than {free_bytes} bytes and to more than {ratio} times its size"
)]
struct Expanded {
    free_bytes: u64,
    ratio: u64,
}

/// Counts what a decoder takes.
pub(crate) struct Counted<R> {
    input: R,
    /// Read by [`Bounded`], which is on the other side of the decoder in the same thread.
    taken: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    /// Makes a reader that counts what goes into a decoder.
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            taken: Arc::default(),
        }
    }

    /// Returns a bound on what comes out of the decoder.
    pub(crate) fn bound(&self, allowed: Expansion) -> Bound {
        Bound {
            taken: Arc::clone(&self.taken),
            allowed,
        }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.taken.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// The bound on what comes out of a decoder.
pub(crate) struct Bound {
    taken: Arc<AtomicU64>,
    allowed: Expansion,
}

impl Bound {
    /// Holds a decoder to it.
    pub(crate) fn on<R>(self, decoder: R) -> Bounded<R> {
        Bounded {
            decoder,
            bound: self,
            given: 0,
        }
    }
}

/// A decoder that gives no more than it may.
pub(crate) struct Bounded<R> {
    decoder: R,
    bound: Bound,
    given: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(buffer)?;
        self.given = self.given.saturating_add(count as u64);
        let taken = self.bound.taken.load(Ordering::Relaxed);
        let Expansion { free_bytes, ratio } = self.bound.allowed;
        if !self.bound.allowed.allows(taken, self.given) {
            let error = Expanded { free_bytes, ratio };
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Expansion = Expansion {
        free_bytes: 1000,
        ratio: 10,
    };

    /// Reads `given` bytes from what stands for a decoder that has taken `taken`.
    fn read(taken: usize, given: u64) -> io::Result<u64> {
        let input = vec![0; taken];
        let mut counted = Counted::new(input.as_slice());
        let bound = counted.bound(SMALL);
        io::copy(&mut counted, &mut io::sink())?;
        io::copy(&mut bound.on(io::repeat(0).take(given)), &mut io::sink())
    }

    #[test]
    fn one_byte_more_than_an_archive_may_become_is_refused() {
        // A small one may become anything up to a size, a larger one a multiple of itself.
        for (taken, most) in [(1, 1000), (100, 1000), (101, 1010), (500, 5000)] {
            assert_eq!(read(taken, most).unwrap(), most);
            let error = read(taken, most + 1).unwrap_err();
            assert_eq!(
                error.to_string(),
                "the archive expands to more than 1000 bytes and to more than 10 times its size"
            );
        }
    }

    #[test]
    fn what_a_decoder_can_do_at_most_is_allowed() {
        for (format, best) in [
            // Deflate makes 258 bytes of two bits at best (RFC 1951, 3.2.5).
            (ArchiveFormat::Gzip, 258 * 8 / 2),
            // A block of one byte, repeated, has four bytes for 128 KiB (RFC 8878, 3.1.1.2).
            (ArchiveFormat::Zstd, 128 * 1024 / 4),
            // 273 bytes of 14 bits, each of which takes log2(2048/2017) of one: the tests of xz make 6,900.
            (ArchiveFormat::Xz, 7050),
        ] {
            let allowed = Expansion::of(format);
            let taken = u64::MAX / allowed.ratio;
            assert!(allowed.allows(taken, taken * best), "{format:?}");
        }
    }
}
