//! Reading blobs, from wherever they are: [`BlobSource`].
//!
//! A blob is a regular file named by its digest, and nothing else is taken for one: a symlink would
//! lead to any file of this machine, a fifo would wait for ever. Its bytes are verified while they
//! are read, against the digest and the size that the reader expects.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use nix::libc::{ELOOP, ENXIO};
use oci::{Digest, VerifiedReader, VerifyError};
use rootfs::{FileKind, FsError, Root, RootPath};

/// A blob cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// It is not there.
    #[error("blob `{digest}` is not in `{}`", place.display())]
    Absent {
        /// The blob.
        digest: Digest,
        /// The directory of the layout that was looked into.
        place: PathBuf,
    },
    /// Something else is where it should be: a symlink, a directory, a fifo.
    #[error("blob `{digest}` in `{}` is no regular file", place.display())]
    NotAFile {
        /// The blob.
        digest: Digest,
        /// The directory of the layout that was looked into.
        place: PathBuf,
    },
    /// It is larger than the reader takes.
    #[error("blob `{digest}` has {size_bytes} bytes, more than {limit_bytes}")]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// Its size.
        size_bytes: u64,
        /// What the reader takes.
        limit_bytes: u64,
    },
    /// Its bytes are not those that the digest and the size name.
    #[error(transparent)]
    Damaged(#[from] VerifyError),
    /// It cannot be opened.
    #[error("open blob `{digest}`")]
    Open {
        /// The blob.
        digest: Digest,
        /// What failed.
        #[source]
        source: FsError,
    },
    /// It cannot be read.
    #[error("read blob `{digest}`")]
    Read {
        /// The blob.
        digest: Digest,
        /// What failed.
        #[source]
        source: io::Error,
    },
}

impl BlobError {
    /// Returns the error of reading a blob: the verdict of a [`VerifiedReader`], if it is one.
    pub fn from_read(digest: &Digest, error: io::Error) -> Self {
        match VerifyError::in_error(&error) {
            Some(verdict) => Self::Damaged(verdict.clone()),
            None => Self::Read {
                digest: digest.clone(),
                source: error,
            },
        }
    }
}

/// Reads one blob and verifies it meanwhile. Its errors are turned into a [`BlobError`] by
/// [`BlobError::from_read`].
pub type BlobReader = VerifiedReader<File>;

/// Something that has blobs in files: the store, a user's image layout.
pub trait BlobSource {
    /// Opens a blob of a known size. What is read is verified.
    ///
    /// # Errors
    ///
    /// Fails when the blob is not there or has another size.
    fn open_blob(&self, digest: &Digest, size_bytes: u64) -> Result<BlobReader, BlobError>;

    /// Reads a whole blob of at most `limit_bytes`, and verifies it.
    ///
    /// # Errors
    ///
    /// Fails when the blob is not there, is larger, or is damaged.
    fn read_blob(&self, digest: &Digest, limit_bytes: u64) -> Result<Vec<u8>, BlobError>;
}

/// The blobs of an OCI image layout; image-spec `image-layout.md`, "Blobs".
#[derive(Debug)]
pub(crate) struct BlobDirectory {
    root: Root,
}

impl BlobDirectory {
    /// Takes the directory of a layout.
    pub(crate) fn new(root: Root) -> Self {
        Self { root }
    }

    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// Returns the size of a blob, without opening it; `None` where no regular file is there.
    pub(crate) fn size(&self, digest: &Digest) -> Result<Option<u64>, BlobError> {
        let found = self.root.metadata(&blob_path(digest));
        let found = found.map_err(|source| BlobError::Open {
            digest: digest.clone(),
            source,
        })?;
        let regular = found.filter(|metadata| metadata.kind == FileKind::File);
        Ok(regular.map(|metadata| metadata.size))
    }

    /// Opens the file of a blob that has to have a certain size.
    fn open_sized(&self, digest: &Digest, size_bytes: u64) -> Result<File, BlobError> {
        let (file, found_bytes) = self.open_file(digest)?;
        // The reader would find this out too, after all the bytes.
        check_size(digest, size_bytes, found_bytes)?;
        Ok(file)
    }

    /// Opens the regular file of a blob, and returns its size.
    pub(crate) fn open_file(&self, digest: &Digest) -> Result<(File, u64), BlobError> {
        let file = match self.root.open_file_nofollow(&blob_path(digest)) {
            Ok(file) => file,
            Err(error) => return Err(self.not_open(digest, error)),
        };
        let metadata = file.metadata().map_err(|source| BlobError::Read {
            digest: digest.clone(),
            source,
        })?;
        if !metadata.is_file() {
            return Err(self.not_a_file(digest));
        }
        Ok((file, metadata.len()))
    }

    /// Gives the file of a blob a second name, where there is nothing of it.
    pub(crate) fn link(
        &self,
        digest: &Digest,
        (other, path): (&Root, &RootPath),
    ) -> Result<(), FsError> {
        self.root.hard_link_into(&blob_path(digest), other, path)
    }

    fn not_open(&self, digest: &Digest, error: FsError) -> BlobError {
        match error.raw_os_error() {
            _ if error.is_not_found() => BlobError::Absent {
                digest: digest.clone(),
                place: self.place(),
            },
            // A symlink, and a socket or the device of nothing.
            Some(ELOOP | ENXIO) => self.not_a_file(digest),
            _ => BlobError::Open {
                digest: digest.clone(),
                source: error,
            },
        }
    }

    fn not_a_file(&self, digest: &Digest) -> BlobError {
        BlobError::NotAFile {
            digest: digest.clone(),
            place: self.place(),
        }
    }

    fn place(&self) -> PathBuf {
        self.root.shown().to_owned()
    }
}

impl BlobSource for BlobDirectory {
    fn open_blob(&self, digest: &Digest, size_bytes: u64) -> Result<BlobReader, BlobError> {
        let file = self.open_sized(digest, size_bytes)?;
        Ok(VerifiedReader::new(file, digest, size_bytes))
    }

    fn read_blob(&self, digest: &Digest, limit_bytes: u64) -> Result<Vec<u8>, BlobError> {
        let (file, size_bytes) = self.open_file(digest)?;
        if size_bytes > limit_bytes {
            return Err(BlobError::TooLarge {
                digest: digest.clone(),
                size_bytes,
                limit_bytes,
            });
        }
        let mut bytes = Vec::new();
        let mut reader = VerifiedReader::new(file, digest, size_bytes);
        reader
            .read_to_end(&mut bytes)
            .map_err(|error| BlobError::from_read(digest, error))?;
        Ok(bytes)
    }
}

/// Compares the size of a blob with the one that it should have.
pub(crate) fn check_size(
    digest: &Digest,
    size_bytes: u64,
    found_bytes: u64,
) -> Result<(), VerifyError> {
    let digest = digest.clone();
    match found_bytes.cmp(&size_bytes) {
        Ordering::Less => Err(VerifyError::Short {
            digest,
            size_bytes,
            found_bytes,
        }),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(VerifyError::Long { digest, size_bytes }),
    }
}

fn blob_path(digest: &Digest) -> RootPath {
    RootPath::strict(format!(
        "blobs/{}/{}",
        digest.algorithm().as_str(),
        digest.encoded()
    ))
    .expect("a digest is one short path component")
}
