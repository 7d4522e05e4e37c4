//! A directory of one image, with its blobs as files: what skopeo calls `dir:`.
//!
//! ```text
//! version                "Directory Transport Version: 1.1"
//! manifest.json          the manifest or the index
//! HEX                    a blob by its SHA-256; `sha512-HEX` by another algorithm
//! HEX.manifest.json      a manifest that the index names
//! ```
//!
//! Signatures in files of their own (`signature-N`) are neither read nor written.

use std::fs;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use oci::check;
use oci::descriptor;
use oci::digest::{Algorithm, DigestError};
use oci::limits::MANIFEST_MAX_BYTES;
use oci::media_type::{OCI_INDEX, OCI_MANIFEST};
use oci::{Descriptor, Digest, VerifiedReader};
use rootfs::{FileKind, FsError, Mode, Root, RootPath};
use serde::Deserialize;

use crate::place::{Document, PlaceError, Source, Target, Transferred};

/// The file that says what the directory is.
const VERSION_FILE: &str = "version";

/// Its text.
const VERSION_TEXT: &[u8] = b"Directory Transport Version: 1.1\n";

/// How the text of every version begins.
const VERSION_START: &[u8] = b"Directory Transport Version: 1.";

/// The file of the manifest or the index.
const MANIFEST_FILE: &str = "manifest.json";

/// Most bytes of [`VERSION_FILE`].
const VERSION_MAX_BYTES: u64 = 256;

/// A directory cannot give or take an image.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It cannot be made, or written to.
    #[error("write `{}`", path.display())]
    Write {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file in it cannot be read or written.
    #[error("use the directory `{}`", path.display())]
    Fs {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: FsError,
    },
    /// It is none of an image.
    #[error("`{}` is no directory of an image: it has no `{name}`", path.display())]
    NoImage {
        /// The directory.
        path: PathBuf,
        /// What it does not have.
        name: &'static str,
    },
    /// It is none of a version that is known.
    #[error("`{}` has another version than 1.x of `dir:`", path.display())]
    Version {
        /// The directory.
        path: PathBuf,
    },
    /// It has something else in it.
    #[error("`{}` is not empty and has no image in it", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// A blob is not there.
    #[error("blob `{digest}` is not in `{}`", path.display())]
    Absent {
        /// The directory.
        path: PathBuf,
        /// The blob.
        digest: Digest,
    },
    /// A blob is not what its digest says.
    #[error("read blob `{digest}` of `{}`", path.display())]
    Read {
        /// The directory.
        path: PathBuf,
        /// The blob.
        digest: Digest,
        /// Why.
        source: io::Error,
    },
    /// A digest cannot be verified.
    #[error("a digest of the image is malformed")]
    Digest(#[from] DigestError),
}

/// A directory that is open.
#[derive(Debug)]
struct Directory {
    root: Root,
    path: PathBuf,
}

impl Directory {
    fn open(path: &Path) -> Result<Self, DirectoryError> {
        let path = path.to_owned();
        match Root::open(&path) {
            Ok(root) => Ok(Self { root, path }),
            Err(source) => Err(DirectoryError::Fs { path, source }),
        }
    }

    fn failed(&self, source: FsError) -> DirectoryError {
        DirectoryError::Fs {
            path: self.path.clone(),
            source,
        }
    }

    /// Reads a small file; nothing where there is none.
    fn small(&self, name: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, DirectoryError> {
        let name = file(name);
        let found = self.root.metadata(&name);
        if found.map_err(|source| self.failed(source))?.is_none() {
            return Ok(None);
        }
        let read = self.root.read_to_end_limited(&name, limit_bytes);
        read.map_err(|source| self.failed(source))
    }

    fn needed(&self, name: &'static str, limit_bytes: u64) -> Result<Vec<u8>, DirectoryError> {
        let found = self.small(name, limit_bytes)?;
        found.ok_or_else(|| DirectoryError::NoImage {
            path: self.path.clone(),
            name,
        })
    }

    /// Returns the version, if there is one that is known.
    fn check_version(&self) -> Result<(), DirectoryError> {
        let version = self.needed(VERSION_FILE, VERSION_MAX_BYTES)?;
        if version.starts_with(VERSION_START) {
            return Ok(());
        }
        Err(DirectoryError::Version {
            path: self.path.clone(),
        })
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), DirectoryError> {
        rootfs::write_atomic(&self.root, &file(name), bytes, Mode::new(0o644))
            .map_err(|source| self.failed(source))
    }

    /// Copies under a temporary name and renames: a reader never sees half of a blob.
    fn copy(&self, reader: &mut dyn Read, digest: &Digest) -> Result<(), DirectoryError> {
        let failed = |source| self.failed(source);
        let temporary = format!("{}{}", rootfs::TEMPORARY_PREFIX, digest.encoded());
        let (temporary, target) = (file(&temporary), file(&blob_name(digest)));
        if self.root.metadata(&temporary).map_err(failed)?.is_some() {
            self.root.remove_file(&temporary).map_err(failed)?;
        }
        let mut out = self.root.create_file(&temporary).map_err(failed)?;
        let copied = io::copy(reader, &mut out).and_then(|_| out.sync_all());
        if let Err(source) = copied {
            // The first error is the one to report.
            drop(self.root.remove_file(&temporary));
            let path = self.path.clone();
            return Err(DirectoryError::Write { path, source });
        }
        let finished = self
            .root
            .set_mode(&temporary, Mode::new(0o644))
            .and_then(|()| self.root.rename(&temporary, &target));
        finished.map_err(failed)
    }
}

/// Returns the name of a blob.
fn blob_name(digest: &Digest) -> String {
    match digest.algorithm() {
        Algorithm::Sha256 => digest.encoded().to_owned(),
        Algorithm::Sha512 => format!("{}-{}", digest.algorithm().as_str(), digest.encoded()),
    }
}

/// Returns the name of a manifest that the index names.
fn document_name(digest: &Digest) -> String {
    format!("{}.{MANIFEST_FILE}", blob_name(digest))
}

fn file(name: &str) -> RootPath {
    RootPath::strict(name).expect("digits and the names of our files are one component")
}

/// An image in a directory.
#[derive(Debug)]
pub struct DirectorySource {
    directory: Directory,
    root: Document,
}

impl DirectorySource {
    /// Opens a directory.
    ///
    /// # Errors
    ///
    /// Fails when there is none, or none of an image.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let directory = Directory::open(path)?;
        directory.check_version()?;
        let bytes = directory.needed(MANIFEST_FILE, MANIFEST_MAX_BYTES)?;
        let root = Document::new(&media_type(&bytes), bytes);
        Ok(Self { directory, root })
    }

    fn read(&self, descriptor: &Descriptor) -> Result<Document, DirectoryError> {
        let digest = descriptor::digest_of(descriptor)?;
        let bytes = match self
            .directory
            .small(&document_name(&digest), MANIFEST_MAX_BYTES)?
        {
            Some(bytes) => bytes,
            None => self.root.bytes.clone(),
        };
        let verified = VerifiedReader::new(bytes.as_slice(), &digest, descriptor.size());
        verified.finish().map_err(|source| DirectoryError::Read {
            path: self.directory.path.clone(),
            digest,
            source,
        })?;
        Ok(Document {
            descriptor: descriptor.clone(),
            bytes,
        })
    }

    fn open_blob(
        &self,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<Box<dyn Read + Send>, DirectoryError> {
        let digest = descriptor::digest_of(descriptor)?;
        let opened = self
            .directory
            .root
            .open_file_nofollow(&file(&blob_name(&digest)));
        let mut opened = opened.map_err(|source| {
            if source.is_not_found() {
                let path = self.directory.path.clone();
                let digest = digest.clone();
                return DirectoryError::Absent { path, digest };
            }
            self.directory.failed(source)
        })?;
        if from == 0 {
            let verified = VerifiedReader::new(opened, &digest, descriptor.size());
            return Ok(Box::new(verified));
        }
        let moved = opened.seek(SeekFrom::Start(from));
        moved.map_err(|source| DirectoryError::Read {
            path: self.directory.path.clone(),
            digest,
            source,
        })?;
        Ok(Box::new(opened))
    }
}

/// Returns the media type of the document that nothing describes: what it says itself, or what it looks like.
fn media_type(bytes: &[u8]) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Stated {
        media_type: Option<String>,
    }
    let stated = serde_json::from_slice(bytes).ok();
    let stated = stated.and_then(|stated: Stated| stated.media_type);
    stated.unwrap_or_else(|| {
        let guessed = if check::is_index(bytes) {
            OCI_INDEX
        } else {
            OCI_MANIFEST
        };
        guessed.to_owned()
    })
}

impl Source for DirectorySource {
    fn shown(&self) -> String {
        format!("dir:{}", self.directory.path.display())
    }

    fn root(&self) -> Result<Document, PlaceError> {
        Ok(self.root.clone())
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document, PlaceError> {
        Ok(self.read(descriptor)?)
    }

    fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, PlaceError> {
        Ok(self.open_blob(descriptor, from)?)
    }

    /// The directory has one image, and nothing that refers to it.
    fn referrers(&self, _subject: &Digest) -> Result<Vec<Descriptor>, PlaceError> {
        Ok(Vec::new())
    }
}

/// A directory that takes an image in place of the one that it has. Blobs of that one stay.
#[derive(Debug)]
pub struct DirectoryTarget {
    directory: Directory,
}

impl DirectoryTarget {
    /// Opens a directory, or makes it.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be made, or has something else in it.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        fs::create_dir_all(path).map_err(|source| DirectoryError::Write {
            path: path.to_owned(),
            source,
        })?;
        let directory = Directory::open(path)?;
        let names = directory.root.names();
        let names = names.map_err(|source| directory.failed(source))?;
        if !names.is_empty() && directory.small(VERSION_FILE, VERSION_MAX_BYTES)?.is_none() {
            return Err(DirectoryError::NotEmpty {
                path: path.to_owned(),
            });
        }
        if names.is_empty() {
            directory.put(VERSION_FILE, VERSION_TEXT)?;
        } else {
            directory.check_version()?;
        }
        Ok(Self { directory })
    }

    fn has(&self, digest: &Digest, size_bytes: u64) -> Result<bool, DirectoryError> {
        let found = self.directory.root.metadata(&file(&blob_name(digest)));
        let found = found.map_err(|source| self.directory.failed(source))?;
        Ok(found.is_some_and(|found| found.kind == FileKind::File && found.size == size_bytes))
    }
}

impl Target for DirectoryTarget {
    fn shown(&self) -> String {
        format!("dir:{}", self.directory.path.display())
    }

    fn put_blob(
        &self,
        descriptor: &Descriptor,
        source: &dyn Source,
    ) -> Result<Transferred, PlaceError> {
        let digest = descriptor::digest_of(descriptor).map_err(DirectoryError::from)?;
        if self.has(&digest, descriptor.size())? {
            return Ok(Transferred::Present);
        }
        let reader = source.blob(descriptor, 0)?;
        let mut reader = VerifiedReader::new(reader, &digest, descriptor.size());
        self.directory.copy(&mut reader, &digest)?;
        Ok(Transferred::Copied)
    }

    fn put_document(&self, document: &Document) -> Result<(), PlaceError> {
        let digest = document.digest().map_err(DirectoryError::from)?;
        Ok(self
            .directory
            .put(&document_name(&digest), &document.bytes)?)
    }

    fn finish(&self, root: &Document) -> Result<(), PlaceError> {
        Ok(self.directory.put(MANIFEST_FILE, &root.bytes)?)
    }
}
