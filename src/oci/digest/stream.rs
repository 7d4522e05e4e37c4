//! Hashing while bytes pass by: [`Hasher`], [`DigestWriter`], [`VerifiedReader`].

use std::fmt;
use std::io::{self, Read, Write};
use std::mem;

use sha2::Digest as _;

use super::{Algorithm, Digest};

/// A digest in the making.
#[derive(Clone)]
pub struct Hasher {
    state: State,
}

#[derive(Clone)]
enum State {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// Starts a SHA-256 digest.
    pub fn new() -> Self {
        Self::with_algorithm(Algorithm::Sha256)
    }

    /// Starts a digest of the given algorithm, to compare with one that somebody else chose.
    pub fn with_algorithm(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
        };
        Self { state }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha256(hasher) => hasher.update(bytes),
            State::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// Returns the digest of everything added.
    pub fn finish(self) -> Digest {
        match self.state {
            State::Sha256(hasher) => Digest::from_hash(Algorithm::Sha256, &hasher.finalize()),
            State::Sha512(hasher) => Digest::from_hash(Algorithm::Sha512, &hasher.finalize()),
        }
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").finish_non_exhaustive()
    }
}

/// Passes bytes on to a writer and remembers their digest and number.
#[derive(Debug)]
pub struct DigestWriter<W> {
    inner: W,
    hasher: Hasher,
    written_bytes: u64,
}

impl<W: Write> DigestWriter<W> {
    /// Starts at nothing written.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Hasher::new(),
            written_bytes: 0,
        }
    }

    /// Returns the writer, the SHA-256 digest of what it took and the number of those bytes.
    ///
    /// The writer is not flushed; whoever gets it decides what "written" means.
    pub fn finish(self) -> (W, Digest, u64) {
        (self.inner, self.hasher.finish(), self.written_bytes)
    }
}

impl<W: Write> Write for DigestWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.inner.write(bytes)?;
        // A writer that claims more than it was given is broken; hashing what there is shows it.
        let passed = bytes.get(..taken).unwrap_or(bytes);
        self.hasher.update(passed);
        self.written_bytes += passed.len() as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Why content is not what its descriptor says.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum VerifyError {
    /// The bytes are as many as announced, and others.
    #[error("blob `{expected}` is damaged: its {size_bytes} bytes hash to `{found}`")]
    WrongDigest {
        /// The digest that was asked for.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
        /// The number of bytes, as announced.
        size_bytes: u64,
    },
    /// The content ended early.
    #[error("blob `{digest}` ends after {found_bytes} of {size_bytes} bytes")]
    Short {
        /// The digest that was asked for.
        digest: Digest,
        /// The announced number of bytes.
        size_bytes: u64,
        /// The number of bytes that came.
        found_bytes: u64,
    },
    /// The content goes on after the announced size.
    #[error("blob `{digest}` goes on after its {size_bytes} bytes")]
    Long {
        /// The digest that was asked for.
        digest: Digest,
        /// The announced number of bytes.
        size_bytes: u64,
    },
}

impl VerifyError {
    /// Returns the digest that was asked for.
    pub fn digest(&self) -> &Digest {
        match self {
            Self::WrongDigest { expected, .. } => expected,
            Self::Short { digest, .. } | Self::Long { digest, .. } => digest,
        }
    }

    /// Returns the verdict inside an error that a [`VerifiedReader`] gave.
    pub fn in_error(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<VerifyError> for io::Error {
    fn from(error: VerifyError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// Reads content that has to have a certain digest and size.
///
/// Bytes are given out as they come, but the last of them only when the digest has been found right.
/// The end is reported only when nothing follows. Whoever stops before the end (a tar reader stops at
/// the end mark of the archive) calls [`VerifiedReader::finish`]. Never more than one byte beyond the
/// announced size is asked for: an endless body costs nothing.
#[derive(Debug)]
pub struct VerifiedReader<R> {
    inner: R,
    digest: Digest,
    size_bytes: u64,
    left_bytes: u64,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Some of the announced bytes are still to come.
    Content(Hasher),
    /// All of them came and are right; there must be no more.
    Probe,
    /// The end was seen where it should be.
    Verified,
    /// A verdict, repeated on every further read.
    Failed(VerifyError),
}

impl<R: Read> VerifiedReader<R> {
    /// Wraps a reader that should give `size_bytes` bytes with the digest `digest`.
    pub fn new(inner: R, digest: &Digest, size_bytes: u64) -> Self {
        Self {
            inner,
            digest: digest.clone(),
            size_bytes,
            left_bytes: size_bytes,
            stage: Stage::Content(Hasher::with_algorithm(digest.algorithm())),
        }
    }

    /// Reads what was not read yet, verifies the whole and returns the reader below.
    ///
    /// # Errors
    ///
    /// Fails as reading does: with the error of the reader below, or with a [`VerifyError`].
    pub fn finish(mut self) -> io::Result<R> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(self.inner)
    }

    /// Reads up to the announced end.
    fn read_content(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left_bytes)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let window = buffer.get_mut(..most).unwrap_or_default();
        let count = self.inner.read(window)?.min(most);
        if count == 0 {
            let found_bytes = self.size_bytes - self.left_bytes;
            return Err(self.fail(VerifyError::Short {
                digest: self.digest.clone(),
                size_bytes: self.size_bytes,
                found_bytes,
            }));
        }
        if let Stage::Content(hasher) = &mut self.stage {
            hasher.update(window.get(..count).unwrap_or_default());
        }
        self.left_bytes -= count as u64;
        if self.left_bytes == 0 {
            self.compare()?;
        }
        Ok(count)
    }

    /// Compares the digest of everything that came, once.
    fn compare(&mut self) -> io::Result<()> {
        let Stage::Content(hasher) = &mut self.stage else {
            return Ok(());
        };
        let found = mem::take(hasher).finish();
        if found == self.digest {
            self.stage = Stage::Probe;
            return Ok(());
        }
        let (expected, size_bytes) = (self.digest.clone(), self.size_bytes);
        Err(self.fail(VerifyError::WrongDigest {
            expected,
            found,
            size_bytes,
        }))
    }

    /// Asks for one byte more, which must not come.
    fn probe(&mut self) -> io::Result<usize> {
        if self.inner.read(&mut [0])? > 0 {
            let (digest, size_bytes) = (self.digest.clone(), self.size_bytes);
            return Err(self.fail(VerifyError::Long { digest, size_bytes }));
        }
        self.stage = Stage::Verified;
        Ok(0)
    }

    fn fail(&mut self, failure: VerifyError) -> io::Error {
        self.stage = Stage::Failed(failure.clone());
        failure.into()
    }
}

impl<R: Read> Read for VerifiedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.left_bytes == 0 {
            // Content of no bytes has a digest too.
            self.compare()?;
        }
        match &self.stage {
            Stage::Content(_) => self.read_content(buffer),
            Stage::Probe => self.probe(),
            Stage::Verified => Ok(0),
            Stage::Failed(failure) => Err(failure.clone().into()),
        }
    }
}
