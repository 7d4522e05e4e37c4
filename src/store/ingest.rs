//! Writing one blob: [`Ingest`].

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek as _, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use oci::digest::Algorithm;
use oci::{Digest, DigestWriter, Hasher, VerifiedReader, VerifyError};
use tracing::debug;

use crate::blob::{BlobError, check_size};
use crate::file::{self, FileError};
use crate::layout::{Layout, parent};
use crate::lease::{Lease, LeaseError};
use crate::name::ObjectId;
use crate::scratch::Scratch;
use crate::whole::WholeBlobs;

/// The mode of a blob: nobody writes to it again.
pub(crate) const BLOB_MODE: u32 = 0o444;

/// How much is copied at once, in bytes.
const COPY_BYTES: usize = 256 * 1024;

/// A blob cannot be stored.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// It cannot be written.
    #[error("write a blob into the store")]
    Write(#[source] FileError),
    /// Its bytes are not those that were expected.
    #[error(transparent)]
    Unexpected(#[from] VerifyError),
    /// What it is copied from cannot be read.
    #[error(transparent)]
    Read(#[from] BlobError),
    /// It cannot be kept while it is put into its place.
    #[error("put blob `{digest}` into its place")]
    Lease {
        /// The blob.
        digest: Digest,
        /// What failed.
        #[source]
        source: LeaseError,
    },
    /// It cannot be put into its place.
    #[error("put blob `{digest}` into its place")]
    Place {
        /// The blob.
        digest: Digest,
        /// What failed.
        #[source]
        source: FileError,
    },
}

/// Who makes the digest of a blob that is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hashing {
    /// [`Ingest`] does, of the bytes that it is given.
    Here,
    /// The writer does, of the bytes that it gives: its word is taken.
    ByTheWriter,
}

/// A blob that is being written. Its digest is made meanwhile. Dropped before it is committed, it
/// leaves nothing; nor does a process that dies.
///
/// There is no buffer: write in large pieces.
#[derive(Debug)]
pub struct Ingest {
    layout: Arc<Layout>,
    lease: Lease,
    scratch: Scratch,
    /// None where the writer makes the digest.
    hasher: Option<Hasher>,
    written_bytes: u64,
    whole: WholeBlobs,
}

impl Ingest {
    pub(crate) fn create(
        layout: &Arc<Layout>,
        lease: &Lease,
        (hashing, whole): (Hashing, &WholeBlobs),
    ) -> Result<Self, IngestError> {
        let scratch = Scratch::file(layout).map_err(IngestError::Write)?;
        Ok(Self {
            layout: Arc::clone(layout),
            lease: lease.clone(),
            scratch,
            hasher: (hashing == Hashing::Here).then(Hasher::new),
            written_bytes: 0,
            whole: whole.clone(),
        })
    }

    pub(crate) fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), IngestError> {
        let written = self.write_all(bytes);
        written
            .map_err(FileError::of("write", self.scratch.path()))
            .map_err(IngestError::Write)
    }

    /// Takes everything that a reader of the blob `digest` gives.
    pub(crate) fn copy_from<R: Read>(
        &mut self,
        mut reader: R,
        digest: &Digest,
        mut came: impl FnMut(&File, u64),
    ) -> Result<(), IngestError> {
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    self.write_bytes(buffer.get(..count).unwrap_or_default())?;
                    came(self.scratch.handle(), self.written_bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(from_read(digest, error)),
            }
        }
    }

    /// Puts the blob into the store and returns its digest and size. The lease names it before
    /// anybody can see it. A blob of the same digest that is there already is replaced, which
    /// changes nothing, or heals it.
    ///
    /// With `expected`, the blob has to have that digest and size; a writer that makes the digest itself has to say
    /// it.
    ///
    /// # Errors
    ///
    /// Fails when the bytes are not the expected ones, or cannot be synced or put into their place;
    /// nothing is stored then.
    pub fn commit(
        mut self,
        expected: Option<(&Digest, u64)>,
    ) -> Result<(Digest, u64), IngestError> {
        let size_bytes = self.written_bytes;
        let digest = self.verify(expected)?;
        self.finish().map_err(IngestError::Write)?;
        let object = ObjectId::Blob(digest.clone());
        let claim = self
            .lease
            .claim_exclusive(&object)
            .map_err(|source| IngestError::Lease {
                digest: digest.clone(),
                source,
            })?;
        let sync = |directory: &Path| file::sync_dir(directory, self.layout.sync);
        let placed = place(&mut self.scratch, &self.layout.blob(&digest), sync);
        placed.map_err(|source| IngestError::Place {
            digest: digest.clone(),
            source,
        })?;
        self.layout.note_growth();
        // Under the claim nobody replaces it. Without the note it is read once more, so a failure costs no more.
        if let Ok(metadata) = self.scratch.handle().metadata() {
            self.whole.note(&digest, &metadata);
        }
        drop(claim);
        debug!(%digest, size_bytes, "blob committed");
        Ok((digest, size_bytes))
    }

    /// Returns the digest, if it is the expected one.
    fn verify(&mut self, expected: Option<(&Digest, u64)>) -> Result<Digest, IngestError> {
        let found = self.hasher.take().map(Hasher::finish);
        let Some((digest, size_bytes)) = expected else {
            return found.map_or_else(|| self.hash_again(), Ok);
        };
        check_size(digest, size_bytes, self.written_bytes)?;
        let Some(found) = found else {
            return Ok(digest.clone());
        };
        if digest.algorithm() != Algorithm::Sha256 {
            // Rare enough to read it a second time.
            self.read_again(digest, size_bytes)?;
            return Ok(digest.clone());
        }
        if found != *digest {
            let expected = digest.clone();
            return Err(VerifyError::WrongDigest {
                expected,
                found,
                size_bytes,
            }
            .into());
        }
        Ok(found)
    }

    /// Makes the digest that the writer did not say.
    fn hash_again(&self) -> Result<Digest, IngestError> {
        let mut file = self.scratch.handle();
        let mut hashed = DigestWriter::new(io::sink());
        file.rewind()
            .and_then(|()| io::copy(&mut file, &mut hashed))
            .map_err(FileError::of("read", self.scratch.path()))
            .map_err(IngestError::Write)?;
        Ok(hashed.finish().1)
    }

    fn read_again(&self, digest: &Digest, size_bytes: u64) -> Result<(), IngestError> {
        let mut file = self.scratch.handle();
        file.rewind()
            .map_err(FileError::of("seek", self.scratch.path()))
            .map_err(IngestError::Write)?;
        let reader: VerifiedReader<&File> = VerifiedReader::new(file, digest, size_bytes);
        reader
            .finish()
            .map(drop)
            .map_err(|error| from_read(digest, error))
    }

    /// Makes the file what it will be for ever.
    fn finish(&self) -> Result<(), FileError> {
        let (file, path) = (self.scratch.handle(), self.scratch.path());
        file.set_permissions(Permissions::from_mode(BLOB_MODE))
            .map_err(FileError::of("chmod", path))?;
        file::sync(file, path, self.layout.sync)
    }
}

/// Renames a file to the place of a blob and syncs the directory. The claim on the blob is held: if its name is not on the
/// disk it is taken away before anybody has seen it, so that nobody takes it for one that is.
fn place<S>(scratch: &mut Scratch, place: &Path, sync: S) -> Result<(), FileError>
where
    S: FnOnce(&Path) -> Result<(), FileError>,
{
    // The directory of an algorithm that this store had no blob of.
    file::create_dir(parent(place))?;
    // One that is there has its name on the disk, whichever of the two files that is.
    let is_new = fs::symlink_metadata(place).is_err();
    scratch.replace(place)?;
    let synced = sync(parent(place));
    if synced.is_err()
        && is_new
        && let Err(error) = file::remove_file(place)
    {
        debug!(%error, "blob with a name that is not on the disk");
    }
    synced
}

impl Write for Ingest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.scratch.handle().write(bytes)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes.get(..count).unwrap_or(bytes));
        }
        self.written_bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes sure that a reader of a blob, which gave as many bytes as it has, gives no more.
pub(crate) fn expect_end<R: Read>(
    digest: &Digest,
    size_bytes: u64,
    mut reader: R,
) -> Result<(), IngestError> {
    let more = io::copy(&mut reader.by_ref().take(1), &mut io::sink());
    match more.map_err(|error| from_read(digest, error))? {
        0 => Ok(()),
        _ => Err(VerifyError::Long {
            digest: digest.clone(),
            size_bytes,
        }
        .into()),
    }
}

fn from_read(digest: &Digest, error: io::Error) -> IngestError {
    match BlobError::from_read(digest, error) {
        BlobError::Damaged(verdict) => IngestError::Unexpected(verdict),
        error => IngestError::Read(error),
    }
}

#[cfg(test)]
#[path = "ingest_tests.rs"]
mod tests;
