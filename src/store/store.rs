//! [`Store`]: the handle on everything.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use oci::Digest;

use crate::cache_mount::Caches;
use crate::check::{self, CheckError, Checked, CompareFiles, Mending};
use crate::claim::{Claim, Claims};
use crate::collect::{self, CollectError, Collected};
use crate::content::{self, ContentStore};
use crate::file::{FileError, SyncPolicy};
use crate::gc::{self, RemoveError, Removed};
use crate::hint::Hints;
use crate::kept::KeptSteps;
use crate::later::{Later, LaterError};
use crate::layout::Layout;
use crate::lease::{Lease, LeaseError};
use crate::list::ListStore;
use crate::name::{IdMapName, ObjectId};
use crate::open::{OpenError, OpenOptions, open};
use crate::policy::Rule;
use crate::record::RecordStore;
use crate::repository::{Repository, RepositoryError};
use crate::scratch::Spool;
use crate::snapshot::Snapshotter;
use crate::sweep::{self, SweepError, Swept};
use crate::usage::{Usage, UsageError};

/// An open store. A clone is another handle on the same one, and costs next to nothing.
#[derive(Clone, Debug)]
pub struct Store {
    layout: Arc<Layout>,
    content: ContentStore,
    snapshots: Snapshotter,
    records: RecordStore,
    claims: Claims,
    caches: Caches,
    later: Later,
}

impl Store {
    /// Opens the store at an absolute path, makes it if it is not there, and removes what dead
    /// processes left in it.
    ///
    /// # Errors
    ///
    /// Fails when the directory belongs to somebody else, others may enter it, it is something else
    /// than a store, its format is newer than [`FORMAT`](crate::FORMAT), or it cannot be written.
    pub fn open(path: &Path, options: OpenOptions) -> Result<Self, OpenError> {
        let layout = open(path, options)?;
        let content =
            ContentStore::open(Arc::clone(&layout)).map_err(|source| OpenError::Content {
                path: path.to_owned(),
                source,
            })?;
        let later = Later::new(Arc::clone(&layout));
        Ok(Self {
            content,
            snapshots: Snapshotter::new(Arc::clone(&layout), later.clone()),
            records: RecordStore::new(Arc::clone(&layout), later.clone()),
            claims: Claims::new(Arc::clone(&layout)),
            caches: Caches::new(Arc::clone(&layout)),
            later,
            layout,
        })
    }

    /// Makes the frame of a store's image layout anew, where opening the store says that it is none
    /// ([`OpenError::Content`]). No blob and no image is touched.
    ///
    /// # Errors
    ///
    /// Fails when its directories or the file with its version cannot be made.
    pub fn mend_content(path: &Path, sync: SyncPolicy) -> Result<(), FileError> {
        content::mend(path, sync)
    }

    #[cfg(test)]
    pub(crate) fn layout(&self) -> Arc<Layout> {
        Arc::clone(&self.layout)
    }

    /// Returns where the store is.
    pub fn path(&self) -> &Path {
        &self.layout.root
    }

    /// Tells whether what is made is to survive a loss of power.
    pub fn sync_policy(&self) -> SyncPolicy {
        self.layout.sync
    }

    /// Returns the name of the id map that snapshots and records are of.
    pub fn id_map(&self) -> &IdMapName {
        &self.layout.id_map
    }

    /// Returns the blobs and the tags.
    pub fn content(&self) -> &ContentStore {
        &self.content
    }

    /// Returns the snapshots.
    pub fn snapshots(&self) -> &Snapshotter {
        &self.snapshots
    }

    /// Returns the cache records.
    pub fn records(&self) -> &RecordStore {
        &self.records
    }

    /// Returns the lists of manifests that are being put together.
    pub fn lists(&self) -> ListStore {
        ListStore::new(Arc::clone(&self.layout))
    }

    /// Returns what makes builds faster and is not needed.
    pub fn hints(&self) -> Hints {
        Hints::new(Arc::clone(&self.layout))
    }

    /// Returns what is kept of steps that failed.
    pub fn kept(&self) -> KeptSteps {
        KeptSteps::new(Arc::clone(&self.layout))
    }

    /// Returns what makes claims.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Gives a claim back, when everything that was made under it can be found: at once, unless snapshots that were
    /// committed in this process still wait for the disk.
    pub fn give_back(&self, claim: Claim) {
        self.later.give_back(claim);
    }

    /// Waits until everything that was committed later in this process is on disk and can be found.
    ///
    /// # Errors
    ///
    /// Fails when something could not be kept. Then it is not there, and neither is what was committed or recorded
    /// after it.
    pub fn finish(&self) -> Result<(), LaterError> {
        self.later.finish()
    }

    /// Returns the caches of commands.
    pub fn caches(&self) -> &Caches {
        &self.caches
    }

    /// Returns the directory of a git repository, as soon as nobody else works in it; `None` when `cancelled` said yes
    /// first.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be claimed or made.
    pub fn repository(
        &self,
        name: &Digest,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Repository>, RepositoryError> {
        Repository::open(&self.layout, &self.claims, name, cancelled)
    }

    /// Removes what is in the directory of a repository, for one that turned out to be damaged.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be moved away.
    pub fn clear_repository(&self, repository: &mut Repository) -> Result<(), RepositoryError> {
        repository.clear(&self.layout)
    }

    /// Begins to keep objects; one lease a build.
    ///
    /// # Errors
    ///
    /// Fails when its file cannot be made or locked.
    pub fn lease(&self) -> Result<Lease, LeaseError> {
        Lease::create(&self.layout)
    }

    /// Makes a file for what comes only once and is read more than once.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be made.
    pub fn spool(&self) -> Result<Spool, FileError> {
        Spool::create(&self.layout)
    }

    /// Removes an object, unless a live lease names it or somebody is just looking at it. It waits for
    /// nobody.
    ///
    /// # Errors
    ///
    /// Fails when the leases cannot be read, or the object cannot be moved or deleted.
    pub fn remove(&self, object: &ObjectId) -> Result<Removed, RemoveError> {
        gc::remove(&self.layout, object)
    }

    /// Removes those of these blobs that no entry of the index leads to, no cache record names and nobody uses.
    ///
    /// # Errors
    ///
    /// Fails when the tags, records or leases cannot be read, or a blob cannot be moved or deleted.
    pub fn sweep(&self, candidates: BTreeSet<Digest>) -> Result<Swept, SweepError> {
        sweep::sweep(&self.layout, &self.content, candidates)
    }

    /// Does the same with all blobs.
    ///
    /// # Errors
    ///
    /// Fails as [`Store::sweep`] does, and when the blobs cannot be listed.
    pub fn sweep_all(&self) -> Result<Swept, SweepError> {
        self.sweep(sweep::all_blobs(&self.layout)?)
    }

    /// Finds out what the store keeps, and how much room that takes.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    pub fn usage(&self) -> Result<Usage, UsageError> {
        Usage::read(&self.layout, &self.content)
    }

    /// Removes what these rules say, one after the other. What somebody uses stays, and nobody is waited for.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read, or something cannot be moved or deleted.
    pub fn collect(&self, rules: &[Rule]) -> Result<Collected, CollectError> {
        collect::collect((&self.layout, &self.content), self.usage()?, rules)
    }

    /// Does the same when something was put into the store since it was opened, and the store may have become too large
    /// for the rules; leaves it to another process that does it now.
    ///
    /// # Errors
    ///
    /// Fails as [`Store::collect`] does.
    pub fn collect_after(&self, rules: &[Rule]) -> Result<Collected, CollectError> {
        collect::collect_after((&self.layout, &self.content), rules)
    }

    /// Looks at everything in the store, and mends what is damaged if that is wanted. The files of snapshots are looked
    /// into by `files`, or not at all. `cancelled` is asked between two objects.
    ///
    /// # Errors
    ///
    /// Fails when a directory of the store cannot be read, or an object cannot be claimed, and when `cancelled` says yes.
    pub fn check(
        &self,
        mending: Mending,
        files: Option<&dyn CompareFiles>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Checked, CheckError> {
        check::check((&self.layout, &self.content), (mending, files), cancelled)
    }
}
