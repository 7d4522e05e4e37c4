//! How much memory the decoders of one process take together: [`DecoderRoom`].
//!
//! A decoder of zstd or xz keeps as much of what it wrote as the archive asks for, up to 128 MiB, and layers are decoded
//! side by side. So decoders share a room: small ones go on beside each other, and one that needs more than all of it
//! waits until it is alone. No decoder waits for another one while it has room, so that each gets its turn.

use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::decompress::decompressor_in;
use crate::limits::DECODER_ROOM_BYTES;

/// The memory that decoders share. Clones are the same room.
#[derive(Clone, Default)]
pub struct DecoderRoom {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// How many bytes are taken, by decoders on several threads.
    taken: Mutex<u64>,
    /// Told when some of them were given back.
    given_back: Condvar,
}

impl fmt::Debug for DecoderRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecoderRoom").finish_non_exhaustive()
    }
}

impl DecoderRoom {
    /// Returns a reader of what was compressed, as [`decompressor`](crate::decompressor()) does, which waits while
    /// others have the memory that it needs.
    ///
    /// # Errors
    ///
    /// Fails where the start cannot be read or a decoder cannot be set up.
    pub fn decompressor<'r, R: Read + Send + 'r>(
        &self,
        reader: R,
    ) -> io::Result<Box<dyn Read + Send + 'r>> {
        decompressor_in(self, reader)
    }

    /// Waits until there is room for so many bytes.
    pub(crate) fn take(&self, bytes: u64) -> Taken {
        let taken = self
            .shared
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .shared
            .given_back
            .wait_while(taken, |taken| !admits(*taken, bytes));
        let mut taken = waited.unwrap_or_else(PoisonError::into_inner);
        *taken = taken.saturating_add(bytes);
        Taken {
            room: self.clone(),
            bytes,
        }
    }

    #[cfg(test)]
    pub(crate) fn taken(&self) -> u64 {
        *self.shared.taken.lock().unwrap()
    }
}

/// Tells whether there is room for more.
fn admits(taken: u64, bytes: u64) -> bool {
    taken == 0 || taken.saturating_add(bytes) <= DECODER_ROOM_BYTES
}

/// Memory that a decoder may use until this is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    room: DecoderRoom,
    bytes: u64,
}

impl Taken {
    /// Returns how many bytes that is.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let shared = &self.room.shared;
        let mut taken = shared.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken = taken.saturating_sub(self.bytes);
        shared.given_back.notify_all();
    }
}

/// A reader with the memory that it may use.
pub(crate) struct Roomy<R> {
    reader: R,
    _taken: Taken,
}

impl<R> Roomy<R> {
    pub(crate) fn new(reader: R, taken: Taken) -> Self {
        Self {
            reader,
            _taken: taken,
        }
    }
}

impl<R: Read> Read for Roomy<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn what_needs_more_than_all_gets_in_alone() {
        for (taken, bytes, expected) in [
            (0, 8 * MIB, true),
            (0, 128 * MIB, true),
            (1, 128 * MIB, false),
            (24 * MIB, 8 * MIB, true),
            (24 * MIB, 8 * MIB + 1, false),
            (128 * MIB, 0, false),
            (32 * MIB, 0, true),
        ] {
            assert_eq!(admits(taken, bytes), expected, "{taken} and {bytes}");
        }
    }

    #[test]
    fn many_threads_never_have_more_than_there_is() {
        let room = DecoderRoom::default();
        let (now, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let turn = |number: usize| {
            let bytes = [MIB, 8 * MIB, 20 * MIB][number % 3];
            let _taken = room.take(bytes);
            let sum = now.fetch_add(bytes, Ordering::SeqCst) + bytes;
            most.fetch_max(sum, Ordering::SeqCst);
            now.fetch_sub(bytes, Ordering::SeqCst);
        };
        std::thread::scope(|scope| {
            for thread in 0..8 {
                scope.spawn(move || (thread..thread + 200).for_each(turn));
            }
        });
        assert!(most.into_inner() <= DECODER_ROOM_BYTES);
        assert_eq!(room.taken(), 0);
    }
}
