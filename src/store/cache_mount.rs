//! Directories that commands keep between builds (`RUN --mount=type=cache`): [`Caches`].
//!
//! A cache has a name, made of all that tells it from others, and a number: of one name there are several when
//! several commands want one that nobody else uses. Who may use which is said by claims
//! ([`ClaimName::Cache`](crate::ClaimName::Cache)); nothing here takes any.
//!
//! A cache is made in `ingest/` and renamed when it is whole, so that a command that was killed while it was made
//! leaves none. Two may make the same; the first one wins. Afterwards its files are the commands' own, and the store
//! never writes to them.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::Digest;
use oci::digest::Algorithm;
use rootfs::{FsError, Root, sync_file_system};
use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::file::{self, FileError, SyncPolicy};
use crate::layout::{CACHE_MARK, FS, Layout};
use crate::scratch::Scratch;
use crate::used;

/// The mode of a new cache's directory.
const FS_MODE: u32 = 0o755;

/// The name and the number of a cache.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct CacheId {
    name: Digest,
    number: u32,
}

impl CacheId {
    /// Takes the digest of all that tells a cache from others, and a number from 0.
    pub fn new(name: Digest, number: u32) -> Self {
        Self { name, number }
    }

    /// Returns the digest of all that tells the cache from others.
    pub fn name(&self) -> &Digest {
        &self.name
    }

    /// Returns the number, from 0.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Reads the name of a cache's directory.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (name, number) = text.split_once('-')?;
        let name = Digest::parse(&format!("{}:{name}", Algorithm::Sha256.as_str())).ok()?;
        let id = Self::new(name, number.parse().ok()?);
        (id.to_string() == text).then_some(id)
    }
}

/// The name of its directory.
impl fmt::Display for CacheId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.name.encoded(), self.number)
    }
}

/// What people may want to know of a cache.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CacheMeta {
    /// What keeps equal ids apart.
    pub namespace: String,
    /// The id that the Dockerfile gives it.
    pub id: String,
    /// What it began with, in words.
    pub seed: String,
}

/// A cache cannot be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The directory of a new one cannot be made.
    #[error("make a cache")]
    Prepare(#[source] FileError),
    /// Its directory cannot be opened.
    #[error("open the cache in `{}`", path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// What failed.
        #[source]
        source: FsError,
    },
    /// A new one cannot be synced.
    #[error("keep the cache `{id}`")]
    Sync {
        /// The cache.
        id: CacheId,
        /// What failed.
        #[source]
        source: FsError,
    },
    /// It cannot be found out which there are.
    #[error("list the caches")]
    List(#[source] FileError),
    /// What is noted of it cannot be written.
    #[error("note the files of the cache `{id}`")]
    Note {
        /// The cache.
        id: CacheId,
        /// What failed.
        #[source]
        source: FileError,
    },
    /// A new one cannot be put into its place.
    #[error("keep the cache `{id}`")]
    Place {
        /// The cache.
        id: CacheId,
        /// What failed.
        #[source]
        source: FileError,
    },
}

/// The caches of a store; a cheap handle.
#[derive(Clone, Debug)]
pub struct Caches {
    pub(crate) layout: Arc<Layout>,
}

/// A cache that is there.
#[derive(Debug)]
pub struct CacheDirectory {
    /// Its files.
    pub fs: Root,
}

impl Caches {
    pub(crate) fn new(layout: Arc<Layout>) -> Self {
        Self { layout }
    }

    /// Opens a cache; none if there is none.
    ///
    /// # Errors
    ///
    /// Fails when it is there and cannot be opened.
    pub fn open(&self, id: &CacheId) -> Result<Option<CacheDirectory>, CacheError> {
        let path = self.layout.cache(id).join(FS);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            _ => {
                let fs = open_root(&path)?;
                // Whatever its files were measured to be before, whoever opens it may change them.
                used::touch_now(&self.layout.cache(id).join(CACHE_MARK));
                self.layout.note_growth();
                Ok(Some(CacheDirectory { fs }))
            }
        }
    }

    /// Makes an empty directory for somebody to fill, with mode 0755.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be made.
    pub fn prepare(&self) -> Result<NewCache, CacheError> {
        let scratch = Scratch::directory(&self.layout).map_err(CacheError::Prepare)?;
        let fs = scratch.path().join(FS);
        file::create_dir(&fs).map_err(CacheError::Prepare)?;
        file::set_mode(&fs, FS_MODE).map_err(CacheError::Prepare)?;
        Ok(NewCache {
            layout: Arc::clone(&self.layout),
            fs: open_root(&fs)?,
            scratch,
        })
    }
}

/// A cache that is being made. Dropped before it is committed it is removed, and so it is when its process dies.
#[derive(Debug)]
pub struct NewCache {
    layout: Arc<Layout>,
    fs: Root,
    scratch: Scratch,
}

impl NewCache {
    /// Returns the directory that becomes the cache.
    pub fn fs(&self) -> &Root {
        &self.fs
    }

    /// Returns the directory that this one is put into place with.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Makes it the cache of this name and number. If that is there already, it is returned and these files are
    /// removed.
    ///
    /// # Errors
    ///
    /// Fails when the files cannot be synced or put into their place; they are removed then.
    ///
    /// # Panics
    ///
    /// Never: what is known of a cache can always be written as JSON.
    pub fn commit(mut self, id: &CacheId, meta: &CacheMeta) -> Result<CacheDirectory, CacheError> {
        let failed = |source| CacheError::Place {
            id: id.clone(),
            source,
        };
        if self.layout.sync == SyncPolicy::Full {
            sync_file_system(&self.fs).map_err(|source| CacheError::Sync {
                id: id.clone(),
                source,
            })?;
        }
        let text = serde_json::to_vec(meta).expect("a cache is described by texts only");
        let mark = self.scratch.path().join(CACHE_MARK);
        file::write_new(&mark, &text, SyncPolicy::None).map_err(failed)?;
        let place = self.layout.cache(id);
        match self.scratch.rename_to(&place) {
            // Somebody else was faster: that one is used.
            Err(error) if is_occupied(&error) => {}
            renamed => renamed.map_err(failed)?,
        }
        self.layout.note_growth();
        debug!(%id, cache = meta.id, "cache made");
        let fs = open_root(&place.join(FS))?;
        Ok(CacheDirectory { fs })
    }
}

fn is_occupied(error: &FileError) -> bool {
    matches!(
        error.source.kind(),
        ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists
    )
}

fn open_root(path: &Path) -> Result<Root, CacheError> {
    Root::open(path).map_err(|source| CacheError::Open {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
#[path = "cache_mount_tests.rs"]
mod tests;
