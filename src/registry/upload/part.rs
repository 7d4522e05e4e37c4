//! A part of a blob on its way to a registry, hashed as it is sent.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fetch::Body;
use oci::{Digest, Hasher, VerifyError};

use super::BlobBody;

/// Some of the bytes of a blob. Those before them were hashed; when the last byte of the blob is among them it is
/// given out only if the digest of all is right, so that a request with wrong content is never complete.
pub(super) struct Part<'a> {
    body: &'a dyn BlobBody,
    digest: &'a Digest,
    size_bytes: u64,
    range: Range<u64>,
    /// The digest of what stands before the part.
    before: Hasher,
    /// The digest with the part, once it was read to its end. The reader is made by the one who sends, and gone then.
    after: Mutex<Option<Hasher>>,
}

impl<'a> Part<'a> {
    pub(super) fn new(
        body: &'a dyn BlobBody,
        digest: &'a Digest,
        size_bytes: u64,
        range: Range<u64>,
        before: &Hasher,
    ) -> Self {
        Self {
            body,
            digest,
            size_bytes,
            range,
            before: before.clone(),
            after: Mutex::new(None),
        }
    }

    /// Returns the digest of everything up to the end of the part, if it was read to its end.
    pub(super) fn into_hasher(self) -> Option<Hasher> {
        self.after
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the part for its digest alone.
    pub(super) fn hash(&self) -> io::Result<()> {
        io::copy(&mut self.open()?, &mut io::sink()).map(drop)
    }

    fn after(&self) -> MutexGuard<'_, Option<Hasher>> {
        self.after.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for Part<'_> {
    fn size_bytes(&self) -> u64 {
        self.range.end - self.range.start
    }

    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        let mut reader = PartReader {
            part: self,
            inner: self.body.open(self.range.start)?,
            left: self.size_bytes(),
            hasher: Some(self.before.clone()),
        };
        if reader.left == 0 {
            reader.finish()?;
        }
        Ok(Box::new(reader))
    }
}

struct PartReader<'a> {
    part: &'a Part<'a>,
    inner: Box<dyn Read + Send + 'a>,
    left: u64,
    hasher: Option<Hasher>,
}

impl PartReader<'_> {
    /// Keeps the digest; fails when it is that of the blob and not the right one.
    fn finish(&mut self) -> io::Result<()> {
        let Some(hasher) = self.hasher.take() else {
            return Ok(());
        };
        if self.part.range.end == self.part.size_bytes {
            let found = hasher.clone().finish();
            if found != *self.part.digest {
                let expected = self.part.digest.clone();
                let size_bytes = self.part.size_bytes;
                return Err(VerifyError::WrongDigest {
                    expected,
                    found,
                    size_bytes,
                }
                .into());
            }
        }
        *self.part.after() = Some(hasher);
        Ok(())
    }
}

impl Read for PartReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let window = buffer.get_mut(..most).unwrap_or_default();
        if window.is_empty() {
            return Ok(0);
        }
        let count = self.inner.read(window)?.min(most);
        if count == 0 {
            return Err(VerifyError::Short {
                digest: self.part.digest.clone(),
                size_bytes: self.part.size_bytes,
                found_bytes: self.part.range.end - self.left,
            }
            .into());
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(window.get(..count).unwrap_or_default());
        }
        self.left -= count as u64;
        if self.left == 0 {
            self.finish()?;
        }
        Ok(count)
    }
}
