//! File systems on disk: [`Snapshotter`].
//!
//! ```text
//! prepare ──► ingest/<random>/{fs, work}      active: one writer, locked
//!                │
//!             commit   1 remove work/
//!                │     2 sync the file system of the store
//!                │     3 write the mark, snapshot.json
//!                │     4 rename to snapshots/<id map>/<id>
//!                ▼
//!             Snapshot { fs, meta }           committed: nobody writes to it again
//! ```
//!
//! A snapshot is visible when it is renamed, and counts only with an intact mark. So there is none
//! that is half-written: before step 4 the dead writer's directory has a free lock and is removed, and
//! a mark that a loss of power tore is no mark. The mark itself needs no sync: without it, the work of
//! one step is lost and nothing else.
//!
//! The time of a snapshot's last use is that of its mark, set when it is an hour old or more.
//!
//! Two processes may commit the same id. The first one wins; the other one's files are removed, and it
//! gets the snapshot of the first.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rootfs::{FsError, Root, RootPath, sync_file_system};
use tracing::debug;

use crate::file::{self, FileError, SyncPolicy};
use crate::later::{Later, LaterError};
use crate::layout::{FS, Layout, MARK, WORK};
use crate::lease::{Lease, LeaseError};
use crate::mark::{Mark, SnapshotMeta};
use crate::name::{ObjectId, SnapshotId};
use crate::scratch::Scratch;
use crate::{trash, used};

/// The mode of a new file system's root: that of `/` everywhere.
const FS_MODE: u32 = 0o755;

/// A snapshot cannot be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The directories of an active snapshot cannot be made.
    #[error("prepare a snapshot")]
    Prepare(#[source] FileError),
    /// A directory cannot be opened.
    #[error("open the snapshot in `{}`", path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// What failed.
        #[source]
        source: FsError,
    },
    /// The mark cannot be read.
    #[error("open snapshot `{id}`")]
    Read {
        /// The snapshot.
        id: SnapshotId,
        /// What failed.
        #[source]
        source: FileError,
    },
    /// The snapshot cannot be kept.
    #[error("keep snapshot `{id}`")]
    Lease {
        /// The snapshot.
        id: SnapshotId,
        /// What failed.
        #[source]
        source: LeaseError,
    },
    /// The files cannot be made ready or synced.
    #[error("commit snapshot `{id}`")]
    Finish {
        /// The snapshot.
        id: SnapshotId,
        /// What failed.
        #[source]
        source: FsError,
    },
    /// It cannot be put into its place.
    #[error("commit snapshot `{id}`")]
    Place {
        /// The snapshot.
        id: SnapshotId,
        /// What failed.
        #[source]
        source: FileError,
    },
}

impl SnapshotError {
    /// Returns a function that makes the error of a lease, for `map_err`.
    fn lease(id: &SnapshotId) -> impl FnOnce(LeaseError) -> Self {
        |source| Self::Lease {
            id: id.clone(),
            source,
        }
    }

    fn finish(id: &SnapshotId) -> impl FnOnce(FsError) -> Self {
        |source| Self::Finish {
            id: id.clone(),
            source,
        }
    }

    fn place(id: &SnapshotId) -> impl FnOnce(FileError) -> Self {
        |source| Self::Place {
            id: id.clone(),
            source,
        }
    }
}

/// What something is opened for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// To be used, which is noted.
    Use,
    /// To be looked at.
    Look,
}

/// The snapshots of a store; a cheap handle.
#[derive(Clone, Debug)]
pub struct Snapshotter {
    layout: Arc<Layout>,
    later: Later,
}

impl Snapshotter {
    pub(crate) fn new(layout: Arc<Layout>, later: Later) -> Self {
        Self { layout, later }
    }

    /// Makes an empty file system for somebody to fill.
    ///
    /// # Errors
    ///
    /// Fails when its directories cannot be made.
    pub fn prepare(&self, lease: &Lease) -> Result<ActiveSnapshot, SnapshotError> {
        let scratch = Scratch::directory(&self.layout).map_err(SnapshotError::Prepare)?;
        let (fs, work) = (scratch.path().join(FS), scratch.path().join(WORK));
        for directory in [&fs, &work] {
            file::create_dir(directory).map_err(SnapshotError::Prepare)?;
        }
        file::set_mode(&fs, FS_MODE).map_err(SnapshotError::Prepare)?;
        Ok(ActiveSnapshot {
            layout: Arc::clone(&self.layout),
            later: self.later.clone(),
            lease: lease.clone(),
            fs: open_root(&fs)?,
            work: open_root(&work)?,
            scratch,
        })
    }

    /// Opens a committed snapshot and keeps it as long as the lease is there. A damaged one is none.
    ///
    /// # Errors
    ///
    /// Fails when it is there and cannot be opened or kept.
    pub fn open(&self, lease: &Lease, id: &SnapshotId) -> Result<Option<Snapshot>, SnapshotError> {
        self.open_for(Purpose::Use, lease, id)
    }

    /// Does the same for somebody who only looks at it: that is no use, and the time of the last one stays.
    ///
    /// # Errors
    ///
    /// Fails as [`Snapshotter::open`] does.
    pub fn look_at(
        &self,
        lease: &Lease,
        id: &SnapshotId,
    ) -> Result<Option<Snapshot>, SnapshotError> {
        self.open_for(Purpose::Look, lease, id)
    }

    fn open_for(
        &self,
        purpose: Purpose,
        lease: &Lease,
        id: &SnapshotId,
    ) -> Result<Option<Snapshot>, SnapshotError> {
        if let Some(known) = lease.opened().get(id) {
            return Ok(Some(known.try_clone()?));
        }
        let object = ObjectId::Snapshot(id.clone());
        let claim = lease.claim(&object).map_err(SnapshotError::lease(id))?;
        let found = read(&self.layout, id);
        if let (Ok(Some(_)), Purpose::Use) = (&found, purpose) {
            used::touch_at(&self.layout, &self.layout.snapshot(id).join(MARK));
        }
        drop(claim);
        if let Ok(Some(snapshot)) = &found {
            lease.opened().add(snapshot.try_clone()?);
        }
        found
    }
}

/// A file system that is being filled. Dropped before it is committed it is removed, and so it is when
/// its process dies.
#[derive(Debug)]
pub struct ActiveSnapshot {
    layout: Arc<Layout>,
    later: Later,
    lease: Lease,
    fs: Root,
    work: Root,
    scratch: Scratch,
}

impl ActiveSnapshot {
    /// Returns the directory that becomes the snapshot's files.
    pub fn fs(&self) -> &Root {
        &self.fs
    }

    /// Returns an empty directory beside it, for what an overlay needs.
    pub fn work(&self) -> &Root {
        &self.work
    }

    /// Makes the files a snapshot that everybody can use, and keeps it as long as the lease is there.
    /// Nothing may be mounted on them any more. If there is a snapshot of this id already, that one is
    /// returned and these files are removed.
    ///
    /// # Errors
    ///
    /// Fails when the files cannot be synced or put into their place; they are removed then.
    pub fn commit(self, id: &SnapshotId, meta: SnapshotMeta) -> Result<Snapshot, SnapshotError> {
        self.sync(id)?;
        let mut complete = Complete {
            active: self,
            id: id.clone(),
            meta,
        };
        complete.place()
    }

    /// Makes the files a snapshot that this process can use at once, and everybody as soon as the disk has them
    /// ([`Store::finish`](crate::Store::finish)). Nothing may be mounted on them any more.
    ///
    /// The id must be one that nobody else can give to anything: [`SnapshotId::random`].
    ///
    /// # Errors
    ///
    /// Fails when the snapshot cannot be opened again, no thread can be had that waits for the disk, or what was committed
    /// before could not be kept.
    pub fn commit_later(self, id: &SnapshotId, meta: SnapshotMeta) -> Result<Snapshot, LaterError> {
        let snapshot = Snapshot {
            id: id.clone(),
            fs: open_root(&self.scratch.path().join(FS))?,
            meta: meta.clone(),
        };
        self.lease.opened().add_waiting(snapshot.try_clone()?);
        let later = self.later.clone();
        later.add(Complete {
            active: self,
            id: id.clone(),
            meta,
        })?;
        Ok(snapshot)
    }

    /// Removes what only the writer needed.
    fn finish(&self) -> Result<(), FsError> {
        let directory = Root::open(self.scratch.path())?;
        let work = RootPath::strict(WORK).expect("the name is one component");
        directory.remove_all(&work)
    }

    /// Removes what only the writer needed, and syncs the rest.
    fn sync(&self, id: &SnapshotId) -> Result<(), SnapshotError> {
        self.finish().map_err(SnapshotError::finish(id))?;
        sync(&self.layout, &self.fs).map_err(SnapshotError::finish(id))
    }

    /// Renames the directory to its id, unless an intact one is there, and returns what is there
    /// then. The claim on the id is held.
    fn place(&mut self, Mark { id, meta }: Mark) -> Result<Snapshot, SnapshotError> {
        let place = self.layout.snapshot(&id);
        match self.scratch.rename_to(&place) {
            Err(error) if is_occupied(&error.source) => {
                if let Some(winner) = read(&self.layout, &id)? {
                    return Ok(winner);
                }
                trash::clear(&self.layout, &place).map_err(SnapshotError::place(&id))?;
                self.scratch
                    .rename_to(&place)
                    .map_err(SnapshotError::place(&id))?;
            }
            renamed => renamed.map_err(SnapshotError::place(&id))?,
        }
        self.layout.note_growth();
        debug!(%id, size_bytes = meta.size_bytes, "snapshot committed");
        let fs = open_root(&place.join(FS))?;
        Ok(Snapshot { id, fs, meta })
    }
}

/// Syncs the file system of the store, where the policy asks for it.
fn sync(layout: &Layout, fs: &Root) -> Result<(), FsError> {
    match layout.sync {
        // Of the store's own file system: through an overlay it may be skipped (overlayfs.rst,
        // "Volatile mount").
        SyncPolicy::Full => sync_file_system(fs),
        SyncPolicy::None => Ok(()),
    }
}

/// A file system that nobody writes to any more, and that has no name yet.
#[derive(Debug)]
pub(crate) struct Complete {
    active: ActiveSnapshot,
    id: SnapshotId,
    meta: SnapshotMeta,
}

impl Complete {
    /// Puts it into its place. It is synced.
    fn place(&mut self) -> Result<Snapshot, SnapshotError> {
        let Self { active, id, meta } = self;
        let mark = Mark {
            id: id.clone(),
            meta: meta.clone(),
        };
        let written = mark.write(active.scratch.path());
        written.map_err(SnapshotError::place(id))?;
        let object = ObjectId::Snapshot(id.clone());
        let claim = active
            .lease
            .claim_exclusive(&object)
            .map_err(SnapshotError::lease(id))?;
        let committed = active.place(mark);
        drop(claim);
        committed
    }
}

/// Puts snapshots into their places, after one sync for all of them. Those that are left after an error are not in theirs.
pub(crate) fn place_all(
    layout: &Layout,
    all: &mut VecDeque<Complete>,
) -> Result<(), SnapshotError> {
    for complete in &*all {
        let finished = complete.active.finish();
        finished.map_err(SnapshotError::finish(&complete.id))?;
    }
    if let Some(last) = all.back() {
        sync(layout, &last.active.fs).map_err(SnapshotError::finish(&last.id))?;
    }
    while let Some(complete) = all.front_mut() {
        drop(complete.place()?);
        complete.active.lease.opened().placed(&complete.id);
        all.pop_front();
    }
    Ok(())
}

/// A file system that nobody changes any more.
#[derive(Debug)]
pub struct Snapshot {
    /// Its name.
    pub id: SnapshotId,
    /// Its files.
    pub fs: Root,
    /// What is known of it.
    pub meta: SnapshotMeta,
}

impl Snapshot {
    /// Returns another handle on it.
    pub(crate) fn try_clone(&self) -> Result<Self, SnapshotError> {
        let fs = self.fs.try_clone();
        Ok(Self {
            id: self.id.clone(),
            fs: fs.map_err(|source| SnapshotError::Open {
                path: self.fs.shown().to_owned(),
                source,
            })?,
            meta: self.meta.clone(),
        })
    }
}

/// Reads a committed snapshot; `None` where there is none with an intact mark. The claim on the id is
/// held.
fn read(layout: &Layout, id: &SnapshotId) -> Result<Option<Snapshot>, SnapshotError> {
    let directory = layout.snapshot(id);
    let Some(mark) = read_mark(&directory, id)? else {
        return Ok(None);
    };
    let fs = directory.join(FS);
    if !fs::symlink_metadata(&fs).is_ok_and(|metadata| metadata.is_dir()) {
        debug!(%id, "snapshot without files");
        return Ok(None);
    }
    if let Some(parent) = &mark.meta.parent
        && read_mark(&layout.snapshot(parent), parent)?.is_none()
    {
        debug!(%id, %parent, "snapshot without the one below");
        return Ok(None);
    }
    Ok(Some(Snapshot {
        id: mark.id,
        fs: open_root(&fs)?,
        meta: mark.meta,
    }))
}

/// Reads what the mark of a snapshot says; `None` where there is no intact one.
pub(crate) fn read_meta(
    directory: &Path,
    id: &SnapshotId,
) -> Result<Option<SnapshotMeta>, SnapshotError> {
    Ok(read_mark(directory, id)?.map(|mark| mark.meta))
}

fn read_mark(directory: &Path, id: &SnapshotId) -> Result<Option<Mark>, SnapshotError> {
    Mark::read(directory, id).map_err(|source| SnapshotError::Read {
        id: id.clone(),
        source,
    })
}

/// Tells whether a directory could not be renamed because something is in its place.
fn is_occupied(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists | ErrorKind::NotADirectory
    )
}

fn open_root(path: &Path) -> Result<Root, SnapshotError> {
    Root::open(path).map_err(|source| SnapshotError::Open {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
