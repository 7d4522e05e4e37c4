//! The files of the layout.
//!
//! ```text
//! DIR/
//! ├── oci-layout
//! ├── index.json               every tag of every repository; replaced as a whole
//! ├── blobs/<algorithm>/
//! │   └── <digits>             a blob or a manifest, once for all repositories
//! └── .registry/
//!     ├── lock                 held by the one process that may write
//!     └── uploads/<id>         what is not complete yet; a new process removes it
//! ```
//!
//! Whatever becomes visible is synced before it is renamed into its place, and the directory after that.

use std::fs::{File, TryLockError};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::check::{DocumentError, parse_index, parse_layout};
use oci::limits::LAYOUT_MAX_BYTES;
use oci::{Digest, Hasher, ImageIndex};
use rootfs::{FsError, Mode, Root, RootPath, write_atomic};

use crate::limits::MANIFEST_LIMIT_BYTES;

const VERSION: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const EMPTY_INDEX: &[u8] =
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

const OCI_LAYOUT: &str = "oci-layout";
const INDEX: &str = "index.json";
const UPLOADS: &str = ".registry/uploads";
const LOCK: &str = ".registry/lock";

/// Files can be read by whoever may enter the directory, as those of other layouts can.
const FILE_MODE: Mode = Mode::new(0o644);
const DIRECTORY_MODE: Mode = Mode::new(0o755);

/// How much is hashed at once, in bytes.
const READ_BYTES: usize = 256 * 1024;

/// What may be done with a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    ReadWrite,
    /// Nothing is written, by clients or by the registry itself.
    ReadOnly,
}

/// The directory cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be made.
    #[error("make the directory `{}`", path.display())]
    Make {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// It cannot be read or written.
    #[error("open the image layout `{}`", path.display())]
    Files {
        /// The directory.
        path: PathBuf,
        /// What failed.
        #[source]
        source: FsError,
    },
    /// It has something else in it.
    #[error("`{}` has files in it and is no image layout: it has no `{missing}`", path.display())]
    NotALayout {
        /// The directory.
        path: PathBuf,
        /// What a layout has.
        missing: &'static str,
    },
    /// One of its files is malformed.
    #[error("read `{name}` of the image layout `{}`", path.display())]
    Document {
        /// The directory.
        path: PathBuf,
        /// The file.
        name: &'static str,
        /// What is wrong with it.
        #[source]
        source: DocumentError,
    },
    /// What it has cannot be read.
    #[error("read the image layout `{}`", path.display())]
    Read {
        /// The directory.
        path: PathBuf,
        /// What failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another process serves it.
    #[error("`{}` is served by another process", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// It cannot be locked.
    #[error("lock the image layout `{}`", path.display())]
    Lock {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// The storage fails while it is in use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageError {
    #[error("{0}")]
    Files(#[from] FsError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("`index.json` would have more than {MANIFEST_LIMIT_BYTES} bytes")]
    IndexFull,
}

impl StorageError {
    /// Tells whether there is no room for what is to be written.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Files(error) => error.is_full(),
            Self::Io(error) => matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ),
            Self::IndexFull => true,
        }
    }
}

/// The files of one layout.
#[derive(Debug)]
pub(crate) struct Files {
    root: Root,
    /// Holds the lock of whoever may write.
    _lock: Option<File>,
}

impl Files {
    /// Opens a layout; makes one where there is nothing and it may be written.
    pub(crate) fn open(path: &Path, access: Access) -> Result<(Self, ImageIndex), OpenError> {
        if access == Access::ReadWrite {
            std::fs::create_dir_all(path).map_err(|source| OpenError::Make {
                path: path.to_owned(),
                source,
            })?;
        }
        let failed = |source| OpenError::Files {
            path: path.to_owned(),
            source,
        };
        let root = Root::open(path).map_err(failed)?;
        if access == Access::ReadWrite && root.names().map_err(failed)?.is_empty() {
            make(&root).map_err(failed)?;
        }
        let layout = read(&root, OCI_LAYOUT, LAYOUT_MAX_BYTES)?;
        parse_layout(&layout).map_err(|source| malformed(path, OCI_LAYOUT, source))?;
        let lock = match access {
            Access::ReadOnly => None,
            Access::ReadWrite => Some(lock(&root)?),
        };
        if lock.is_some() {
            // Before the lock, they could have been another process's.
            clear_uploads(&root).map_err(failed)?;
        }
        let index = read(&root, INDEX, MANIFEST_LIMIT_BYTES)?;
        let index = parse_index(&index).map_err(|source| malformed(path, INDEX, source))?;
        Ok((Self { root, _lock: lock }, index))
    }

    /// Opens a blob, and returns its size; `None` where there is none.
    pub(crate) fn open_blob(&self, digest: &Digest) -> Result<Option<(File, u64)>, StorageError> {
        let file = match self.root.open_file_nofollow(&blob_path(digest)) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        Ok(metadata.is_file().then_some((file, metadata.len())))
    }

    /// Reads a manifest or an index; `None` where there is none that has this digest.
    pub(crate) fn read_document(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StorageError> {
        let path = blob_path(digest);
        let bytes = self.root.read_to_end_limited(&path, MANIFEST_LIMIT_BYTES)?;
        let is_right = |bytes: &Vec<u8>| {
            let mut hasher = Hasher::with_algorithm(digest.algorithm());
            hasher.update(bytes);
            hasher.finish() == *digest
        };
        Ok(bytes.filter(is_right))
    }

    /// Replaces `index.json`.
    pub(crate) fn write_index(&self, bytes: &[u8]) -> Result<(), StorageError> {
        if bytes.len() as u64 > MANIFEST_LIMIT_BYTES {
            return Err(StorageError::IndexFull);
        }
        Ok(write_atomic(&self.root, &plain(INDEX), bytes, FILE_MODE)?)
    }

    /// Removes a blob.
    pub(crate) fn remove_blob(&self, digest: &Digest) -> Result<(), StorageError> {
        match self.root.remove_file(&blob_path(digest)) {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Makes a file for what is not complete yet. Dropped before it is in its place, it is removed.
    pub(crate) fn temporary(self: &Arc<Self>, name: &str) -> Result<Temporary, StorageError> {
        let path = plain(&format!("{UPLOADS}/{name}"));
        let file = self.root.create_file(&path)?;
        Ok(Temporary {
            files: Arc::clone(self),
            path,
            file,
            size_bytes: 0,
            is_placed: false,
        })
    }
}

/// A file that is not complete yet.
#[derive(Debug)]
pub(crate) struct Temporary {
    files: Arc<Files>,
    path: RootPath,
    file: File,
    size_bytes: u64,
    is_placed: bool,
}

impl Temporary {
    /// Returns how many bytes were written.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Adds bytes at the end.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(bytes) {
            // So much of it may have been written: the next ones stand where these should have.
            self.file.set_len(self.size_bytes)?;
            self.file.seek(io::SeekFrom::Start(self.size_bytes))?;
            return Err(error);
        }
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Takes everything away that was written.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.size_bytes = 0;
        Ok(())
    }

    /// Returns the digest of what was written, of the algorithm that another digest has.
    pub(crate) fn digest_like(&mut self, other: &Digest) -> io::Result<Digest> {
        let mut hasher = Hasher::with_algorithm(other.algorithm());
        let mut buffer = vec![0; READ_BYTES];
        self.file.rewind()?;
        loop {
            match io::Read::read(&mut self.file, &mut buffer)? {
                0 => return Ok(hasher.finish()),
                count => hasher.update(buffer.get(..count).unwrap_or_default()),
            }
        }
    }

    /// Makes sure that a loss of power does not take it.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        rootfs::Inode::of(&self.file)?.set_mode(FILE_MODE)?;
        Ok(self.file.sync_all()?)
    }

    /// Makes it the blob of this digest, which it has; it was synced before.
    pub(crate) fn place(mut self, digest: &Digest) -> Result<(), StorageError> {
        let root = &self.files.root;
        let directory = plain(&format!("blobs/{}", digest.algorithm().as_str()));
        root.mkdir_all(&directory, DIRECTORY_MODE)?;
        root.rename(&self.path, &blob_path(digest))?;
        self.is_placed = true;
        Ok(root.open_file(&directory)?.sync_all()?)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_placed {
            // What stays is removed by the next process.
            drop(self.files.root.remove_file(&self.path));
        }
    }
}

/// Makes a layout of nothing.
fn make(root: &Root) -> Result<(), FsError> {
    root.mkdir_all(&plain("blobs/sha256"), DIRECTORY_MODE)?;
    write_atomic(root, &plain(INDEX), EMPTY_INDEX, FILE_MODE)?;
    // It makes the directory a layout, so it comes last.
    write_atomic(root, &plain(OCI_LAYOUT), VERSION, FILE_MODE)
}

fn lock(root: &Root) -> Result<File, OpenError> {
    let failed = |source| OpenError::Files {
        path: root.shown().to_owned(),
        source,
    };
    let (path, uploads) = (plain(LOCK), plain(UPLOADS));
    root.mkdir_all(&uploads, DIRECTORY_MODE).map_err(failed)?;
    let file = match root.create_file(&path) {
        Err(error) if error.is_already_there() => root.open_file_nofollow(&path),
        made => made,
    };
    let file = file.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: root.shown().to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(OpenError::Lock {
            path: root.shown().to_owned(),
            source,
        }),
    }
}

/// Removes what a process that is gone has left.
fn clear_uploads(root: &Root) -> Result<(), FsError> {
    let uploads = root.open_dir_nofollow(&plain(UPLOADS))?;
    for name in uploads.names()? {
        uploads.remove_all(&RootPath::strict(name)?)?;
    }
    Ok(())
}

fn read(root: &Root, name: &'static str, limit_bytes: u64) -> Result<Vec<u8>, OpenError> {
    let path = root.shown().to_owned();
    match root.read_to_end_limited(&plain(name), limit_bytes) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(OpenError::NotALayout {
            path,
            missing: name,
        }),
        Err(source) => Err(OpenError::Files { path, source }),
    }
}

fn malformed(path: &Path, name: &'static str, source: DocumentError) -> OpenError {
    OpenError::Document {
        path: path.to_owned(),
        name,
        source,
    }
}

fn plain(path: &str) -> RootPath {
    RootPath::strict(path).expect("a name of ours is a path")
}

fn blob_path(digest: &Digest) -> RootPath {
    let (algorithm, digits) = (digest.algorithm().as_str(), digest.encoded());
    plain(&format!("blobs/{algorithm}/{digits}"))
}
