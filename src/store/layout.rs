//! The names of the store's directories, and who writes what.
//!
//! ```text
//! $XDG_DATA_HOME/careen/
//! ├── VERSION                        number of the format; a newer one is refused
//! ├── lock                           shared while in use, exclusive while made or upgraded
//! ├── UNSYNCED                       start of the machine in which something was not synced
//! ├── claims                         locks on names, a byte a name; it has no bytes
//! ├── collected                      its time is that of the last collection; it has no bytes
//! ├── content/                       an OCI image layout, for every id map
//! │   ├── oci-layout
//! │   ├── index.json                 what the tags name
//! │   └── blobs/
//! │       └── <algorithm>/
//! │           └── <digits>           a blob, 0444
//! ├── snapshots/
//! │   └── <id map>/
//! │       └── <id>/
//! │           ├── fs/                the files
//! │           └── snapshot.json      kind, parent, owner key, blob, size; written last
//! ├── records/
//! │   └── <id map>/
//! │       └── <2>/                   the first two digits of the key
//! │           └── <key>              what the key led to; its time is that of the last use
//! ├── caches/
//! │   └── <id map>/
//! │       └── <name>-<number>/           a cache of RUN --mount=type=cache; made whole, never emptied
//! │           ├── fs/                the files
//! │           ├── cache.json         whose it is: namespace, id, what it began with
//! │           ├── note.json          what its files hashed to when it was exported last
//! │           └── owners.json        owners of its links, pipes and sockets, with one id
//! ├── kept/
//! │   └── <id map>/
//! │       └── <id>                   a step that failed, whose files are in snapshots/<id map>/kept-<id>-<number>/
//! ├── repositories/
//! │   └── <digits>/                  a git repository, of a remote's URL; only who has the claim looks
//! ├── lists/
//! │   └── <digits>                  a list of manifests that is put together, of its name
//! ├── hints/
//! │   └── <name>                     what makes a build faster and is not needed
//! ├── leases/
//! │   └── <job>                      what a running build keeps, an object a line
//! ├── ingest/
//! │   ├── <random>                   an unfinished blob, record or index, locked by its writer
//! │   └── <random>/                  an unfinished snapshot, locked by its writer
//! │       ├── fs/
//! │       └── work/                  what an overlay needs beside it
//! └── trash/
//!     └── <random>                   what is being removed
//! ```
//!
//! Everything is 0700 or 0600 and belongs to one user, apart from blobs (0444), which nobody writes
//! again, and what is below `fs/`, which has the owners and modes of an image.
//!
//! An *id map* is the way in which the owners of files are kept on disk. Snapshots and records of one
//! are of no use in another, so each has its directories, and a user may change from one to another
//! and back. Blobs are the same for all.
//!
//! | Directory | Written by |
//! | --- | --- |
//! | `VERSION`, `lock` | `open` |
//! | `UNSYNCED` | `unsynced` |
//! | `content/` | `content`, `tags` |
//! | `snapshots/` | `snapshot` |
//! | `records/` | `record` |
//! | `caches/` | `cache_mount`, `cache_note` |
//! | `kept/` | `kept` |
//! | `repositories/` | `repository`, `git` |
//! | `lists/` | `list` |
//! | `hints/` | `hint` |
//! | `leases/` | `lease` |
//! | `claims` | `claim` |
//! | `collected` | `collect` |
//! | `ingest/` | `scratch` |
//! | `trash/` | `trash` |

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use oci::Digest;

use crate::cache_mount::CacheId;
use crate::file::SyncPolicy;
use crate::name::{IdMapName, ObjectId, SnapshotId};
use crate::wait::Waits;

/// The format of the store that this program makes and reads.
pub const FORMAT: u32 = 1;

/// What the user may have put beside all that: the usual place of the store is that of careen's other data too.
pub(crate) const EMULATORS: &str = "emulators";

/// The records of past builds, which those who build write there.
pub(crate) const HISTORY: &str = "history";

/// How the names of directories begin in which `runtime::probe` tries what the file system can.
pub(crate) const PROBE: &str = ".careen-probe-";

pub(crate) const VERSION: &str = "VERSION";
pub(crate) const LOCK: &str = "lock";
/// What is said to be waited for where that is the lock of the store.
pub const WHOLE: &str = "store";
pub(crate) const CLAIMS: &str = "claims";
pub(crate) const UNSYNCED: &str = "UNSYNCED";
pub(crate) const COLLECTED: &str = "collected";

/// The directory of hints, which is made when there is one.
pub(crate) const HINTS: &str = "hints";

/// The directories of a store that are there whatever is in it.
pub(crate) const DIRECTORIES: [&str; 10] = [
    "content",
    "snapshots",
    "records",
    "caches",
    "kept",
    "repositories",
    "lists",
    "leases",
    "ingest",
    "trash",
];

/// The file system of a snapshot, in its directory.
pub(crate) const FS: &str = "fs";
/// The work directory of an overlay, in the directory of an active snapshot.
pub(crate) const WORK: &str = "work";
/// What is known of a cache, in its directory.
pub(crate) const CACHE_MARK: &str = "cache.json";
/// What is noted of a cache's files, in its directory.
pub(crate) const CACHE_NOTE: &str = "note.json";
/// The owners that a cache's files cannot hold themselves, in its directory.
pub(crate) const CACHE_OWNERS: &str = "owners.json";
/// The mark that makes a snapshot complete.
pub(crate) const MARK: &str = "snapshot.json";

/// An open store: where it is and how it is used.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
    pub(crate) id_map: IdMapName,
    pub(crate) sync: SyncPolicy,
    /// Who is told when a lock was not free.
    pub(crate) waits: Waits,
    /// When the store was opened, by the clock of its file system.
    pub(crate) opened_at: SystemTime,
    /// Holds the lock of the store, shared, as long as anything uses the store.
    pub(crate) lock: File,
    /// Whether something was put into the store since it was opened. Only ever set, by whichever thread.
    pub(crate) is_grown: AtomicBool,
}

impl Drop for Layout {
    fn drop(&mut self) {
        // Closing is not enough while a child that was just forked has yet to reach its `execve`.
        drop(self.lock.unlock());
    }
}

impl Layout {
    /// Notes that something was put into the store, or is changed by a command.
    pub(crate) fn note_growth(&self) {
        self.is_grown.store(true, Ordering::Relaxed);
    }

    /// Tells whether something was put into the store since it was opened.
    pub(crate) fn has_grown(&self) -> bool {
        self.is_grown.load(Ordering::Relaxed)
    }

    pub(crate) fn content(&self) -> PathBuf {
        self.root.join("content")
    }

    pub(crate) fn blobs(&self, digest: &Digest) -> PathBuf {
        self.content()
            .join("blobs")
            .join(digest.algorithm().as_str())
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs(digest).join(digest.encoded())
    }

    /// Returns the directory with a directory for each algorithm.
    pub(crate) fn all_blobs(&self) -> PathBuf {
        self.content().join("blobs")
    }

    /// Returns the directory with a directory for each id map.
    pub(crate) fn all_records(&self) -> PathBuf {
        self.root.join("records")
    }

    /// Returns the directory with a directory for each id map.
    pub(crate) fn all_snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    /// Returns the directory with a directory for each id map.
    pub(crate) fn all_caches(&self) -> PathBuf {
        self.root.join("caches")
    }

    pub(crate) fn unsynced(&self) -> PathBuf {
        self.root.join(UNSYNCED)
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots").join(self.id_map.as_str())
    }

    pub(crate) fn snapshot(&self, id: &SnapshotId) -> PathBuf {
        self.snapshots().join(id.as_str())
    }

    pub(crate) fn records(&self) -> PathBuf {
        self.root.join("records").join(self.id_map.as_str())
    }

    pub(crate) fn caches(&self) -> PathBuf {
        self.root.join("caches").join(self.id_map.as_str())
    }

    pub(crate) fn cache(&self, id: &CacheId) -> PathBuf {
        self.caches().join(id.to_string())
    }

    /// Returns the directory with a directory for each id map.
    pub(crate) fn all_kept(&self) -> PathBuf {
        kept_steps(&self.root)
    }

    pub(crate) fn kept(&self) -> PathBuf {
        kept_steps(&self.root).join(self.id_map.as_str())
    }

    pub(crate) fn repository(&self, name: &Digest) -> PathBuf {
        self.root.join("repositories").join(name.encoded())
    }

    pub(crate) fn all_repositories(&self) -> PathBuf {
        self.root.join("repositories")
    }

    pub(crate) fn lists(&self) -> PathBuf {
        self.root.join("lists")
    }

    pub(crate) fn hints(&self) -> PathBuf {
        self.root.join(HINTS)
    }

    pub(crate) fn leases(&self) -> PathBuf {
        self.root.join("leases")
    }

    pub(crate) fn claims(&self) -> PathBuf {
        self.root.join(CLAIMS)
    }

    pub(crate) fn ingest(&self) -> PathBuf {
        self.root.join("ingest")
    }

    pub(crate) fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    pub(crate) fn object(&self, object: &ObjectId) -> PathBuf {
        match object {
            ObjectId::Blob(digest) => self.blob(digest),
            ObjectId::Snapshot(id) => self.snapshot(id),
        }
    }

    pub(crate) fn index(&self) -> PathBuf {
        content_index(&self.root)
    }
}

/// Returns the index of the content of a store.
pub(crate) fn content_index(store: &Path) -> PathBuf {
    store.join("content/index.json")
}

/// Returns the directory of the steps that a store keeps.
pub(crate) fn kept_steps(store: &Path) -> PathBuf {
    store.join("kept")
}

/// Returns the directory that a path of the store is in.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent()
        .expect("every path of the store is below its root")
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
