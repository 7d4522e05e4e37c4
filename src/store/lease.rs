//! What a running build keeps alive.
//!
//! A lease is a file in `leases/` that its owner keeps locked, with the name of one object a line; it
//! only grows. When the owner dies the lock is free, and the lease is nothing.
//!
//! ```text
//! to use an object        1 write its name into my lease
//!                         2 take a shared claim on it
//!                         3 look whether it is there
//!                         4 give the claim back
//!
//! to make an object       1 write its name into my lease
//!                         2 take the exclusive claim on it
//!                         3 rename it into its place
//!                         4 give the claim back
//!
//! to remove an object     1 try for the exclusive claim on it      taken: it is in use
//!                         2 read all live leases                   named: it is in use
//!                         3 rename it into the trash
//!                         4 give the claim back
//!                         5 delete it
//! ```
//!
//! Who removes and who uses are never both inside their claims. If the user comes first, its lease
//! was written before the remover reads the leases. If the remover comes first, the user finds
//! nothing and makes the object again. Nobody waits for a build to end, and no step waits for the
//! disk.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::claim::{Claim, ClaimError, ClaimName, Claims};
use crate::file::{self, FILE_MODE, FileError, open_nofollow, random_name};
use crate::layout::Layout;
use crate::limits::LEASE_LIMIT_BYTES;
use crate::lock::{Sharing, lock_new, try_lock};
use crate::name::ObjectId;
use crate::opened::Opened;

/// A lease cannot be made or written.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Its file cannot be made.
    #[error("make a lease in the store")]
    Create(#[source] FileError),
    /// An object cannot be added.
    #[error("keep {object} in the store")]
    Add {
        /// The object.
        object: ObjectId,
        /// What failed.
        #[source]
        source: FileError,
    },
    /// An object cannot be claimed to look whether it is there.
    #[error("keep {object} in the store")]
    Claim {
        /// The object.
        object: ObjectId,
        /// What failed.
        #[source]
        source: ClaimError,
    },
}

/// Whether an object is in the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Presence {
    /// It is there, and stays as long as the lease that named it.
    Present,
    /// It is not there.
    Absent,
}

/// Keeps objects from being removed until the last clone of it is dropped, or its process dies.
#[derive(Clone, Debug)]
pub struct Lease {
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    layout: Arc<Layout>,
    claims: Claims,
    path: PathBuf,
    file: File,
    /// The names in the file, so that none is written twice. Threads of one build share the lease;
    /// there is nobody who could own the set for them, and each call must have ended its write
    /// before it returns.
    named: Mutex<BTreeSet<ObjectId>>,
    /// What was opened, for whoever opens it again; for the same reason no channel.
    opened: Mutex<Opened>,
}

impl Lease {
    pub(crate) fn create(layout: &Arc<Layout>) -> Result<Self, LeaseError> {
        loop {
            let path = layout.leases().join(random_name());
            let Some(file) = create_locked(&path).map_err(LeaseError::Create)? else {
                continue;
            };
            let held = Held {
                layout: Arc::clone(layout),
                claims: Claims::new(Arc::clone(layout)),
                path,
                file,
                named: Mutex::default(),
                opened: Mutex::default(),
            };
            return Ok(Self {
                held: Arc::new(held),
            });
        }
    }

    /// Writes an object into the lease, whether it is there or not.
    ///
    /// # Errors
    ///
    /// Fails when the lease cannot be written.
    pub fn add(&self, object: &ObjectId) -> Result<(), LeaseError> {
        if self.names(|named| named.contains(object)) {
            return Ok(());
        }
        let line = format!("{}\n", object.text(&self.held.layout.id_map));
        // One call, at the end of the file: lines of two threads do not mix.
        (&self.held.file)
            .write_all(line.as_bytes())
            .map_err(|error| LeaseError::Add {
                object: object.clone(),
                source: FileError::of("write", &self.held.path)(error),
            })?;
        self.names(|named| named.insert(object.clone()));
        Ok(())
    }

    /// Writes an object into the lease and tells whether it is in the store. If it is, it is not
    /// removed as long as the lease is there. Whether it is intact is found out by who reads it.
    ///
    /// # Errors
    ///
    /// Fails when the lease cannot be written or the object cannot be claimed.
    pub fn hold(&self, object: &ObjectId) -> Result<Presence, LeaseError> {
        let claim = self.claim(object)?;
        let found = fs::symlink_metadata(self.held.layout.object(object));
        drop(claim);
        match found {
            Ok(_) => Ok(Presence::Present),
            Err(error) if is_nothing(&error) => Ok(Presence::Absent),
            Err(error) => {
                let source = FileError::of("stat", &self.held.layout.object(object))(error);
                Err(LeaseError::Add {
                    object: object.clone(),
                    source,
                })
            }
        }
    }

    /// Writes an object into the lease and shares the claim on it, to look at it.
    pub(crate) fn claim(&self, object: &ObjectId) -> Result<Claim, LeaseError> {
        self.add(object)?;
        self.held
            .claims
            .shared(ClaimName::Object(object))
            .map_err(|source| LeaseError::Claim {
                object: object.clone(),
                source,
            })
    }

    /// Writes an object into the lease and takes the claim on it, to put it into its place.
    pub(crate) fn claim_exclusive(&self, object: &ObjectId) -> Result<Claim, LeaseError> {
        self.add(object)?;
        self.held
            .claims
            .exclusive(ClaimName::Object(object))
            .map_err(|source| LeaseError::Claim {
                object: object.clone(),
                source,
            })
    }

    /// Returns the snapshots that were opened through this lease.
    pub(crate) fn opened(&self) -> MutexGuard<'_, Opened> {
        let opened = self.held.opened.lock();
        // A table that a panicking thread left is a table.
        opened.unwrap_or_else(PoisonError::into_inner)
    }

    fn names<R>(&self, look: impl FnOnce(&mut BTreeSet<ObjectId>) -> R) -> R {
        // A set that a panicking thread left is a set.
        look(
            &mut self
                .held
                .named
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // A lease that stays is recognised by its free lock.
        drop(fs::remove_file(&self.path));
        drop(self.file.unlock());
    }
}

/// Makes and locks a file; `None` where the name is taken, or another process took the file for one
/// of the dead before it was locked.
fn create_locked(path: &Path) -> Result<Option<File>, FileError> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .append(true)
        .create_new(true)
        .mode(FILE_MODE);
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(FileError::of("create", path)(error)),
    };
    let ours = lock_new(&file, path).map_err(FileError::of("lock", path))?;
    Ok(ours.then_some(file))
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Tells whether a live lease names an object.
pub(crate) fn is_leased(layout: &Layout, object: &ObjectId) -> Result<bool, FileError> {
    let text = object.text(&layout.id_map);
    for path in file::entries(&layout.leases())? {
        if names(&path, &text).map_err(FileError::of("read", &path))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What the live leases name.
#[derive(Debug, Default)]
pub(crate) struct Leased {
    lines: BTreeSet<Vec<u8>>,
    is_everything: bool,
}

impl Leased {
    /// Reads all live leases.
    pub(crate) fn read(layout: &Layout) -> Result<Self, FileError> {
        let mut leased = Self::default();
        for path in file::entries(&layout.leases())? {
            match lines(&path).map_err(FileError::of("read", &path))? {
                Lines::These(bytes) => {
                    let new = bytes.split(|&byte| byte == b'\n').map(<[u8]>::to_vec);
                    leased.lines.extend(new);
                }
                Lines::Unknown => leased.is_everything = true,
            }
        }
        Ok(leased)
    }

    /// Tells whether an object is in use.
    pub(crate) fn names(&self, layout: &Layout, object: &ObjectId) -> bool {
        self.is_everything || self.lines.contains(object.text(&layout.id_map).as_bytes())
    }
}

/// Tells whether the lease at a path is live and has a line.
fn names(path: &Path, text: &str) -> io::Result<bool> {
    Ok(match lines(path)? {
        Lines::These(bytes) => bytes
            .split(|&byte| byte == b'\n')
            .any(|line| line == text.as_bytes()),
        Lines::Unknown => true,
    })
}

/// The lines of a lease.
enum Lines {
    These(Vec<u8>),
    /// What cannot be read to its end may name everything.
    Unknown,
}

/// Reads the lease at a path; one that is not live has no lines.
fn lines(path: &Path) -> io::Result<Lines> {
    let file = match open_nofollow(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Lines::These(Vec::new())),
        Err(error) => return Err(error),
    };
    if try_lock(&file, Sharing::Shared)? {
        // Nobody keeps it: the next opening removes it.
        return Ok(Lines::These(Vec::new()));
    }
    match file::read_all(&file, LEASE_LIMIT_BYTES) {
        Ok(bytes) => Ok(Lines::These(bytes)),
        Err(error) if error.kind() == ErrorKind::FileTooLarge => Ok(Lines::Unknown),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
