//! Bytes on their way from one thread to others, in blocks that are used again.
//!
//! Whoever is behind holds the others up: no more blocks than a channel takes are under way, so memory does not grow
//! with what passes.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

/// How large a block is, in bytes.
const BLOCK_BYTES: usize = 256 * 1024;

/// How many blocks wait in one channel.
pub(crate) const BLOCKS_AHEAD: usize = 4;

/// Some of the bytes.
pub(crate) type Block = Arc<Vec<u8>>;

/// What a reader of blocks is sent: a block, or why there are no more.
pub(crate) type Sent = io::Result<Block>;

/// Reads to the end, and gives each block to whoever digests it and to whoever reads it. Ends early when the reader is
/// gone.
pub(crate) fn pump<R: Read>(mut from: R, digester: &SyncSender<Block>, reader: &SyncSender<Sent>) {
    let mut blocks = Blocks::default();
    loop {
        match blocks.fill(&mut from) {
            Ok(block) if block.is_empty() => return,
            Ok(block) => {
                let digested = digester.send(Arc::clone(&block));
                if digested.is_err() || reader.send(Ok(block)).is_err() {
                    return;
                }
            }
            Err(error) => {
                // Where nobody listens any more, nobody misses it.
                drop(reader.send(Err(error)));
                return;
            }
        }
    }
}

/// The blocks that were sent, the oldest first.
#[derive(Default)]
struct Blocks {
    sent: VecDeque<Block>,
}

impl Blocks {
    /// Reads a block; one with nothing in it at the end.
    fn fill<R: Read>(&mut self, from: &mut R) -> io::Result<Block> {
        let mut bytes = self.unused();
        bytes.resize(BLOCK_BYTES, 0);
        let mut length = 0;
        while length < BLOCK_BYTES {
            match from.read(&mut bytes[length..]) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(length);
        let block = Arc::new(bytes);
        self.sent.push_back(Arc::clone(&block));
        Ok(block)
    }

    /// Takes the memory of a block that everybody is done with.
    fn unused(&mut self) -> Vec<u8> {
        let is_done = |oldest: &mut Block| Arc::get_mut(oldest).is_some();
        let oldest = self.sent.pop_front_if(is_done);
        oldest.and_then(Arc::into_inner).unwrap_or_default()
    }
}

/// Reads what a [`pump`] sends.
pub(crate) struct BlockReader {
    receiver: Receiver<Sent>,
    block: Block,
    at: usize,
}

impl BlockReader {
    pub(crate) fn new(receiver: Receiver<Sent>) -> Self {
        Self {
            receiver,
            block: Block::default(),
            at: 0,
        }
    }
}

impl BufRead for BlockReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.block.len() {
            let Ok(sent) = self.receiver.recv() else {
                return Ok(&[]);
            };
            (self.block, self.at) = (sent?, 0);
        }
        Ok(&self.block[self.at..])
    }

    fn consume(&mut self, count: usize) {
        self.at = (self.at + count).min(self.block.len());
    }
}

impl Read for BlockReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    /// Gives its bytes in pieces of odd sizes, and then fails.
    struct Failing(usize);

    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::other("the end"));
            }
            let count = buffer.len().min(self.0).min(99_991);
            buffer[..count].fill(7);
            self.0 -= count;
            Ok(count)
        }
    }

    /// Reads through a pump: what the reader got, how many bytes were digested, and how it ended.
    fn pumped<R: Read + Send>(from: R) -> (Vec<u8>, usize, io::Result<()>) {
        let (digester, digested) = sync_channel(BLOCKS_AHEAD);
        let (sender, receiver) = sync_channel(BLOCKS_AHEAD);
        std::thread::scope(|scope| {
            scope.spawn(move || pump(from, &digester, &sender));
            let digested = scope.spawn(move || digested.iter().map(|block| block.len()).sum());
            let mut bytes = Vec::new();
            let read = BlockReader::new(receiver).read_to_end(&mut bytes);
            (bytes, digested.join().unwrap(), read.map(drop))
        })
    }

    #[test]
    fn what_passes_is_what_came_whatever_its_length() {
        for length in [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, 20 * BLOCK_BYTES + 5] {
            let bytes: Vec<u8> = (0..251).cycle().take(length).collect();
            let (read, digested, end) = pumped(bytes.as_slice());
            assert!(read == bytes, "{length}");
            assert_eq!((digested, end.is_ok()), (length, true));
        }
    }

    #[test]
    fn a_failure_comes_after_the_blocks_before_it() {
        let (read, digested, end) = pumped(Failing(3 * BLOCK_BYTES));
        assert_eq!((read.len(), digested), (3 * BLOCK_BYTES, 3 * BLOCK_BYTES));
        assert_eq!(end.unwrap_err().to_string(), "the end");
    }

    #[test]
    fn blocks_that_everybody_is_done_with_are_used_again() {
        let mut blocks = Blocks::default();
        let mut from = io::repeat(1).take(3 * BLOCK_BYTES as u64);
        let first = blocks.fill(&mut from).unwrap();
        let place = first.as_ptr();
        let second = blocks.fill(&mut from).unwrap();
        assert_ne!(second.as_ptr(), place);
        drop(first);
        assert_eq!(blocks.fill(&mut from).unwrap().as_ptr(), place);
    }
}
