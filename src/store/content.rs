//! Blobs by digest, kept as an OCI image layout: [`ContentStore`].
//!
//! The layout is one that every tool can read, and `ocidir` opens it. It is written here: `ocidir` 0.8 has no lock on
//! the index, and drops an entry when another one of the same tag comes; and it makes a layout with more syncs than one
//! needs, for which everybody would wait.
//!
//! A blob is written into `ingest/`, synced, made read-only, renamed to its digest, and the directory
//! synced; so a name in `blobs/` never stands for fewer bytes. It is verified on every reading all the
//! same, since disks and people change files.

use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::check::parse_index;
use oci::limits::LAYOUT_MAX_BYTES;
use oci::{Digest, OciLayout, VerifiedReader};
use ocidir::OciDir;
use ocidir::cap_std::{ambient_authority, fs::Dir};
use rootfs::{FsError, Root, RootPath};

use crate::blob::{BlobDirectory, BlobError, BlobReader, BlobSource, check_size};
use crate::claim::{ClaimError, ClaimName, Claims};
use crate::file::{self, FileError, SyncPolicy};
use crate::ingest::{Hashing, Ingest, IngestError, expect_end};
use crate::layout::Layout;
use crate::lease::Lease;
use crate::limits::INDEX_LIMIT_BYTES;
use crate::name::ObjectId;
use crate::tags::EMPTY_INDEX;
use crate::trash;
use crate::whole::WholeBlobs;

/// The version of the image layout; image-spec `image-layout.md`, "oci-layout file".
pub(crate) const LAYOUT_VERSION: &str = "1.0.0";

/// How many bytes of a blob are read at once.
const READ_BYTES: usize = 256 * 1024;

/// The file that says so.
pub(crate) const OCI_LAYOUT: &str = "oci-layout";

/// The content store cannot be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// It cannot be made, or is none.
    #[error("open the image layout `{}`", path.display())]
    Layout {
        /// Where it is.
        path: PathBuf,
        /// What `ocidir` said.
        #[source]
        source: ocidir::Error,
    },
    /// A file in it cannot be made or read.
    #[error("open the image layout `{}`", path.display())]
    File {
        /// Where it is.
        path: PathBuf,
        /// What failed.
        #[source]
        source: FileError,
    },
    /// Its directory cannot be opened.
    #[error("open the image layout `{}`", path.display())]
    Root {
        /// Where it is.
        path: PathBuf,
        /// What failed.
        #[source]
        source: FsError,
    },
    /// Its `oci-layout` is not that of version 1.0.0.
    #[error("`{}` does not say that this is an image layout of version {LAYOUT_VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
    },
}

/// Makes the image layout of a store, without an image, or completes one: a list of images that is whole stays. It is on
/// the disk when this returns, for two syncs of files and two of directories: others wait for the store meanwhile.
pub(crate) fn create(store: &Path) -> Result<(), FileError> {
    let index = store.join("content").join("index.json");
    let listed = file::read_limited(&index, INDEX_LIMIT_BYTES).ok().flatten();
    if listed.is_none_or(|bytes| parse_index(&bytes).is_err()) {
        file::write_new(&index, EMPTY_INDEX.as_bytes(), SyncPolicy::Full)?;
    }
    mend(store, SyncPolicy::Full)
}

/// Makes the frame of an image layout anew: its directories where they are missing, and the file with its version. The
/// blobs and the list of images stay.
pub(crate) fn mend(store: &Path, sync: SyncPolicy) -> Result<(), FileError> {
    let path = &store.join("content");
    let blobs = path.join("blobs");
    for directory in [path, &blobs, &blobs.join("sha256")] {
        file::create_dir(directory)?;
    }
    let version = path.join(OCI_LAYOUT);
    if version.symlink_metadata().is_ok() {
        // Whatever it is. The next opening of the store empties the trash.
        file::rename(&version, &store.join("trash").join(file::random_name()))?;
    }
    let text = format!(r#"{{"imageLayoutVersion":"{LAYOUT_VERSION}"}}"#);
    file::write_new(&version, text.as_bytes(), sync)?;
    file::sync_dir(&blobs, sync)?;
    file::sync_dir(path, sync)
}

/// Tells whether the bytes of an `oci-layout` file say a version that we know.
pub(crate) fn is_layout(bytes: &[u8]) -> bool {
    serde_json::from_slice::<OciLayout>(bytes)
        .is_ok_and(|layout| layout.image_layout_version() == LAYOUT_VERSION)
}

/// The blobs of a store and the tags on them; a cheap handle.
#[derive(Clone, Debug)]
pub struct ContentStore {
    pub(crate) layout: Arc<Layout>,
    blobs: Arc<BlobDirectory>,
    whole: WholeBlobs,
}

/// Whether a blob got a second name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lent {
    /// It did.
    Yes,
    /// It cannot have one there: the place is on another file system, or its file system has none.
    No,
}

impl ContentStore {
    pub(crate) fn open(layout: Arc<Layout>) -> Result<Self, ContentError> {
        let path = layout.content();
        let opened = Dir::open_ambient_dir(&path, ambient_authority());
        let opened = opened.map_err(Into::into).and_then(OciDir::open);
        opened.map_err(|source| ContentError::Layout {
            path: path.clone(),
            source,
        })?;
        let version = path.join(OCI_LAYOUT);
        let found = file::read_limited(&version, LAYOUT_MAX_BYTES).map_err(|source| {
            ContentError::File {
                path: path.clone(),
                source,
            }
        })?;
        if !found.is_some_and(|bytes| is_layout(&bytes)) {
            return Err(ContentError::Version { path: version });
        }
        let root = Root::open(&path).map_err(|source| ContentError::Root { path, source })?;
        Ok(Self {
            layout,
            blobs: Arc::new(BlobDirectory::new(root)),
            whole: WholeBlobs::default(),
        })
    }

    /// Returns the directory of the store's image layout; a blob is at `blobs/ALGORITHM/DIGITS` below it.
    pub fn root(&self) -> &Root {
        self.blobs.root()
    }

    /// Returns the size of a blob that is there, without opening it. Only a blob that a lease names is
    /// sure to be there a moment later: see [`Lease::hold`].
    ///
    /// # Errors
    ///
    /// Fails when the directory cannot be searched.
    pub fn has(&self, digest: &Digest) -> Result<Option<u64>, BlobError> {
        self.blobs.size(digest)
    }

    /// Opens a blob as it is, to copy it; nobody verifies what is read.
    ///
    /// # Errors
    ///
    /// Fails when no regular file is there.
    pub fn open_raw(&self, digest: &Digest) -> Result<File, BlobError> {
        self.blobs.open_file(digest).map(|(file, _)| file)
    }

    /// Starts a blob whose digest is not known yet.
    ///
    /// # Errors
    ///
    /// Fails when no file can be made.
    pub fn ingest(&self, lease: &Lease) -> Result<Ingest, IngestError> {
        Ingest::create(&self.layout, lease, (Hashing::Here, &self.whole))
    }

    /// Starts a blob whose digest the writer makes of the bytes that it gives: they are not hashed once more, and
    /// [`Ingest::commit`] takes its word.
    ///
    /// # Errors
    ///
    /// Fails when no file can be made.
    pub fn ingest_hashed(&self, lease: &Lease) -> Result<Ingest, IngestError> {
        Ingest::create(&self.layout, lease, (Hashing::ByTheWriter, &self.whole))
    }

    /// Gives a blob a second name, at a path that has none. Its bytes are verified, unless this process wrote them:
    /// damage is not passed on.
    ///
    /// The blob stays read-only. Who writes to it all the same damages it here too, which the next reader finds; what
    /// is found here is discarded.
    ///
    /// # Errors
    ///
    /// Fails when the blob is not there, has another size, is damaged or cannot be read.
    pub fn lend(
        &self,
        (digest, size_bytes): (&Digest, u64),
        (other, path): (&Root, &RootPath),
    ) -> Result<Lent, BlobError> {
        let (file, found_bytes) = self.blobs.open_file(digest)?;
        check_size(digest, size_bytes, found_bytes)?;
        // Asked before there is a second name, which changes the times.
        let metadata = file.metadata();
        let metadata = metadata.map_err(|source| BlobError::from_read(digest, source))?;
        let is_known = self.whole.knows(digest, &metadata);
        if self.blobs.link(digest, (other, path)).is_err() {
            // Whatever the reason, a copy can be tried, and says what is wrong.
            return Ok(Lent::No);
        }
        let verified = if is_same(&metadata, (other, path)) {
            self.verify(&file, digest, is_known)
        } else {
            Ok(Lent::No)
        };
        if !matches!(verified, Ok(Lent::Yes)) {
            // Nobody knows the name yet. What cannot be removed, the next writer of the name replaces.
            drop(other.remove_file(path));
        }
        if matches!(verified, Err(BlobError::Damaged(_))) {
            // So that it is made again the next time. The damage is the error to report.
            drop(self.discard_damaged(digest));
        }
        verified
    }

    /// Makes sure that a blob is whole: reads it unless it is known.
    fn verify(&self, file: &File, digest: &Digest, is_known: bool) -> Result<Lent, BlobError> {
        let unreadable = |source| BlobError::from_read(digest, source);
        let metadata = file.metadata().map_err(unreadable)?;
        if !is_known {
            let reader = BufReader::with_capacity(READ_BYTES, file);
            let reader = VerifiedReader::new(reader, digest, metadata.len());
            reader.finish().map_err(unreadable)?;
        }
        self.whole.note(digest, &metadata);
        Ok(Lent::Yes)
    }

    /// Stores bytes, and returns their digest.
    ///
    /// # Errors
    ///
    /// Fails when they cannot be written.
    pub fn put(&self, lease: &Lease, bytes: &[u8]) -> Result<Digest, IngestError> {
        let mut ingest = self.ingest(lease)?;
        ingest.write_bytes(bytes)?;
        ingest.commit(None).map(|(digest, _)| digest)
    }

    /// Stores what a reader gives, which has to be a certain blob. Never more than its size is written.
    ///
    /// # Errors
    ///
    /// Fails when the bytes are others, fewer or more, cannot be read, or cannot be written; nothing is
    /// stored then.
    pub fn copy_in<R: Read>(
        &self,
        lease: &Lease,
        (digest, size_bytes): (&Digest, u64),
        reader: R,
    ) -> Result<(), IngestError> {
        self.copy_in_watched(lease, (digest, size_bytes), reader, |_, _| ())
    }

    /// As [`Self::copy_in`]. `came` is told, whenever more was written, into which file and how many bytes it has by
    /// then: they can be read at once, and are not verified before this returns.
    ///
    /// # Errors
    ///
    /// As [`Self::copy_in`].
    pub fn copy_in_watched<R: Read, C: FnMut(&File, u64)>(
        &self,
        lease: &Lease,
        (digest, size_bytes): (&Digest, u64),
        mut reader: R,
        came: C,
    ) -> Result<(), IngestError> {
        let mut ingest = self.ingest(lease)?;
        ingest.copy_from(reader.by_ref().take(size_bytes), digest, came)?;
        expect_end(digest, size_bytes, reader)?;
        ingest.commit(Some((digest, size_bytes))).map(drop)
    }

    /// Removes a blob whose bytes are not those that its digest names, whoever uses it; tells whether
    /// it was damaged. Who finds damage while reading calls this and makes the blob again.
    ///
    /// # Errors
    ///
    /// Fails when the blob cannot be read or moved.
    pub fn discard_damaged(&self, digest: &Digest) -> Result<bool, DiscardError> {
        let found = self.find_damaged(digest).map_err(DiscardError::Read)?;
        if let Some(damaged) = &found {
            self.discard(digest, damaged)?;
        }
        Ok(found.is_some())
    }

    /// Reads a blob without a claim on it, which others would wait for as long as that takes; nothing where it is whole
    /// or not there.
    fn find_damaged(&self, digest: &Digest) -> Result<Option<Damaged>, BlobError> {
        let (file, size_bytes) = match self.blobs.open_file(digest) {
            Ok(found) => found,
            Err(BlobError::Absent { .. }) => return Ok(None),
            Err(BlobError::NotAFile { .. }) => return Ok(Some(Damaged::NotAFile)),
            Err(error) => return Err(error),
        };
        let read = io::copy(
            &mut VerifiedReader::new(&file, digest, size_bytes),
            &mut io::sink(),
        );
        match read.map_err(|error| BlobError::from_read(digest, error)) {
            Ok(_) => Ok(None),
            Err(BlobError::Damaged(_)) => Ok(Some(Damaged::File(file))),
            Err(error) => Err(error),
        }
    }

    /// Removes what was found in the place of a blob, unless somebody else has by now.
    fn discard(&self, digest: &Digest, damaged: &Damaged) -> Result<(), DiscardError> {
        let object = ObjectId::Blob(digest.clone());
        // Nobody puts a whole one into the place between looking and removing.
        let claim = Claims::new(Arc::clone(&self.layout))
            .exclusive(ClaimName::Object(&object))
            .map_err(DiscardError::Claim)?;
        let cleared = if self.is_there(digest, damaged) {
            trash::clear(&self.layout, &self.layout.blob(digest))
        } else {
            Ok(())
        };
        drop(claim);
        cleared.map_err(DiscardError::Remove)
    }

    fn is_there(&self, digest: &Digest, damaged: &Damaged) -> bool {
        match (self.blobs.open_file(digest), damaged) {
            (Err(error), Damaged::NotAFile) => matches!(error, BlobError::NotAFile { .. }),
            (Ok((now, _)), Damaged::File(then)) => {
                let id = |file: &File| file.metadata().ok().map(|it| (it.dev(), it.ino()));
                id(&now) == id(then)
            }
            _ => false,
        }
    }
}

impl BlobSource for ContentStore {
    fn open_blob(&self, digest: &Digest, size_bytes: u64) -> Result<BlobReader, BlobError> {
        self.blobs.open_blob(digest, size_bytes)
    }

    fn read_blob(&self, digest: &Digest, limit_bytes: u64) -> Result<Vec<u8>, BlobError> {
        self.blobs.read_blob(digest, limit_bytes)
    }
}

/// Tells whether a path leads to a file. Another process may have put its own into the place of the blob since it was
/// opened.
fn is_same(file: &Metadata, (root, path): (&Root, &RootPath)) -> bool {
    let found = root.metadata(path).ok().flatten();
    found.is_some_and(|found| (found.dev, found.ino) == (file.dev(), file.ino()))
}

/// What is in the place of a blob and is not that blob.
enum Damaged {
    /// A directory, a symlink and the like.
    NotAFile,
    /// A file with other bytes. While it is open no other file has its number.
    File(File),
}

/// A damaged blob cannot be discarded.
#[derive(Debug, thiserror::Error)]
pub enum DiscardError {
    /// It cannot be claimed.
    #[error("discard a damaged blob")]
    Claim(#[source] ClaimError),
    /// It cannot be read to see whether it is damaged.
    #[error("discard a damaged blob")]
    Read(#[source] BlobError),
    /// It cannot be removed.
    #[error("discard a damaged blob")]
    Remove(#[source] FileError),
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
