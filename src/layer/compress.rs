//! Compression of a layer, with bytes that do not depend on the number of threads.
//!
//! gzip: the input is cut into blocks of exactly 1 MiB, and each block becomes a member of its own (RFC
//! 1952, section 2.2: "a gzip file consists of a series of members"), so that the blocks of one layer
//! are compressed side by side. zstd cuts its input by itself; its bytes are the same for any number of
//! workers but zero.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use libdeflater::{CompressionLvl, Compressor};
use oci::media_type::LayerCompression;
use zstd::stream::write::Encoder as ZstdEncoder;
use zstd::zstd_safe::CParameter;

/// How many bytes of input become one gzip member. The digest of every layer depends on it.
pub(crate) const BLOCK_BYTES: usize = 1024 * 1024;

/// How many bytes one worker of zstd is given at a time. Its own choice is four times as much, and as
/// much more memory. The digest of every layer depends on it.
const ZSTD_JOB_BYTES: u32 = 2 * 1024 * 1024;

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Uncompressed,
    /// By gzip.
    Gzip {
        /// libdeflate's level, 1 to 12.
        level: u8,
    },
    /// By zstd.
    Zstd {
        /// zstd's level, 1 to 22.
        level: u8,
    },
}

impl Compression {
    /// gzip at the level whose size is that of Go's default.
    pub const GZIP: Self = Self::Gzip { level: 4 };

    /// zstd at its own default.
    pub const ZSTD: Self = Self::Zstd { level: 3 };

    /// Returns the compression without its level.
    pub fn kind(self) -> LayerCompression {
        match self {
            Self::Uncompressed => LayerCompression::None,
            Self::Gzip { .. } => LayerCompression::Gzip,
            Self::Zstd { .. } => LayerCompression::Zstd,
        }
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self::GZIP
    }
}

/// A piece of a stream, shared by those who hash and compress it.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) bytes: Vec<u8>,
}

/// Compresses blocks into a writer.
pub(crate) enum BlockCompressor<W: Write> {
    Plain(W),
    Gzip(GzipBlocks<W>),
    Zstd(Box<ZstdEncoder<'static, W>>),
}

impl<W: Write> BlockCompressor<W> {
    pub(crate) fn new(compression: Compression, out: W) -> io::Result<Self> {
        match compression {
            Compression::Uncompressed => Ok(Self::Plain(out)),
            Compression::Gzip { level } => GzipBlocks::new(level, out).map(Self::Gzip),
            Compression::Zstd { level } => {
                let mut encoder = ZstdEncoder::new(out, i32::from(level))?;
                let workers = u32::try_from(rayon::current_num_threads()).unwrap_or(1);
                encoder.multithread(workers.max(1))?;
                encoder.set_parameter(CParameter::JobSize(ZSTD_JOB_BYTES))?;
                Ok(Self::Zstd(Box::new(encoder)))
            }
        }
    }

    /// Takes a block: [`BLOCK_BYTES`] of input, and fewer only at its end.
    pub(crate) fn block(&mut self, block: Arc<Block>) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.write_all(&block.bytes),
            Self::Gzip(gzip) => gzip.block(block),
            Self::Zstd(encoder) => encoder.write_all(&block.bytes),
        }
    }

    /// Writes what is left, and returns the writer.
    pub(crate) fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(out) => Ok(out),
            Self::Gzip(gzip) => gzip.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

/// A block on its way through rayon's threads, with what it needs there and can be used again.
struct Job {
    number: u64,
    compressor: Compressor,
    input: Arc<Block>,
    output: Vec<u8>,
}

/// Compresses blocks on rayon's threads, and writes them in their order on the caller's. Only the
/// caller's thread waits.
pub(crate) struct GzipBlocks<W> {
    out: W,
    idle: Vec<Job>,
    sender: Sender<io::Result<Job>>,
    receiver: Receiver<io::Result<Job>>,
    /// Finished blocks whose turn has not come.
    finished: BTreeMap<u64, Job>,
    next_in: u64,
    next_out: u64,
}

impl<W: Write> GzipBlocks<W> {
    fn new(level: u8, out: W) -> io::Result<Self> {
        let level = CompressionLvl::new(i32::from(level)).map_err(|_unknown| {
            io::Error::new(io::ErrorKind::InvalidInput, "gzip has the levels 1 to 12")
        })?;
        // Twice as many as threads, so that none waits for the writing of another one's block.
        let jobs = 2 * rayon::current_num_threads();
        let job = |_| Job {
            number: 0,
            compressor: Compressor::new(level),
            input: Arc::default(),
            output: Vec::new(),
        };
        let (sender, receiver) = channel();
        Ok(Self {
            out,
            idle: (0..jobs).map(job).collect(),
            sender,
            receiver,
            finished: BTreeMap::new(),
            next_in: 0,
            next_out: 0,
        })
    }

    fn block(&mut self, block: Arc<Block>) -> io::Result<()> {
        while self.idle.is_empty() {
            self.receive()?;
        }
        let Some(mut job) = self.idle.pop() else {
            return Ok(());
        };
        job.number = self.next_in;
        self.next_in += 1;
        job.input = block;
        let sender = self.sender.clone();
        rayon::spawn(move || {
            // The receiver is gone where the writing failed, and then nobody waits for the block.
            drop(sender.send(compress(job)));
        });
        Ok(())
    }

    /// Waits for a block, and writes those whose turn has come.
    fn receive(&mut self) -> io::Result<()> {
        let job = self.receiver.recv().map_err(io::Error::other)??;
        self.finished.insert(job.number, job);
        while let Some(job) = self.finished.remove(&self.next_out) {
            self.out.write_all(&job.output)?;
            self.next_out += 1;
            self.idle.push(job);
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<W> {
        if self.next_in == 0 {
            // An empty input is one empty member: no member at all would be no gzip file.
            self.block(Arc::default())?;
        }
        while self.next_out < self.next_in {
            self.receive()?;
        }
        Ok(self.out)
    }
}

/// Makes a gzip member of a block. libdeflate writes no time and "unknown" for the operating system.
fn compress(mut job: Job) -> io::Result<Job> {
    let bound = job.compressor.gzip_compress_bound(job.input.bytes.len());
    let mut output = mem::take(&mut job.output);
    output.resize(bound, 0);
    let length = job
        .compressor
        .gzip_compress(&job.input.bytes, &mut output)
        .map_err(io::Error::other)?;
    output.truncate(length);
    job.output = output;
    // Whoever made the block waits to use it again.
    job.input = Arc::default();
    Ok(job)
}
