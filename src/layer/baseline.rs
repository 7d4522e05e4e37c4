//! What a tree was before a command changed it in place, and what it changed.
//!
//! An inode counts as changed when its number or the time of its last change is another one: no program can set either.
//! That is what an overlay would have copied up, with one exception, which is decided by looking closely:
//!
//! | What happened to a path | In the layer |
//! | --- | --- |
//! | its inode is another one, or changed | the object |
//! | something in the directory came, went or was renamed | the directory, without what is as it was |
//! | it is gone, and its directory is not | a whiteout |
//! | a directory is where something else or another directory was | an opaque directory with all that is in it |
//! | another name of its inode went, and nothing else of it changed | nothing |
//!
//! A directory that was removed and made anew may have got the number of the old one. Then what is gone from it has
//! whiteouts one by one, which comes to the same.
//!
//! Times have a grain in kernels before 6.13: what is changed within some milliseconds has one time. So nobody may change
//! anything before [`Baseline::record`] has returned, which waits for the next grain.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rootfs::{Entry, FileKind, FileTime, FsError, Metadata, Root, RootPath};

use crate::lay::TreeForm;
use crate::node::xattrs_of;
use crate::replica::{Devices, Replica, ReplicaError, Xattrs};
use crate::same::is_same_file;
use crate::xattr;

/// How long a file system may take to have a later time: far longer than any that tells the time of a change does.
const GRAIN_LIMIT: Duration = Duration::from_secs(5);

/// What a command changed cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// The tree cannot be read, or the changes cannot be kept.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// Two states of a file cannot be compared.
    #[error("compare `{}` with what it was", path.absolute())]
    Compare {
        /// The file.
        path: RootPath,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// What a tree was.
#[derive(Debug)]
pub struct Baseline {
    was: BTreeMap<RootPath, Metadata>,
}

impl Baseline {
    /// Notes what a tree is. `clock` is an empty directory on the same file system.
    ///
    /// # Errors
    ///
    /// Fails where the tree cannot be read.
    pub fn record(tree: &Root, clock: &Root) -> Result<Self, BaselineError> {
        let mut was = BTreeMap::new();
        for entry in tree.walk().map_err(ReplicaError::walk(tree))? {
            let entry = entry.map_err(ReplicaError::walk(tree))?;
            was.insert(entry.path, entry.metadata);
        }
        next_grain(clock).map_err(ReplicaError::walk(clock))?;
        Ok(Self { was })
    }

    /// Tells whether what is at a path now is what was there, unchanged.
    pub fn is_unchanged(&self, path: &RootPath, now: &Metadata) -> bool {
        self.was.get(path).is_some_and(|was| is_same(was, now))
    }

    /// Takes what is at a path now for what was there: it was changed by nobody but us.
    pub fn renew(&mut self, path: &RootPath, now: Metadata) {
        self.was.insert(path.clone(), now);
    }

    /// Puts what changed into `upper`, an empty directory, in overlay form. `below` are the directories that the tree
    /// was made of, the lowest first; `form` is that in which they were put there. What is `apart`, with everything below,
    /// counts as it was.
    ///
    /// # Errors
    ///
    /// Fails where the tree cannot be read or the directory cannot be written.
    pub fn extract(
        mut self,
        (tree, form): (&Root, TreeForm),
        apart: &BTreeSet<RootPath>,
        (below, upper): (&[Arc<Root>], &Root),
    ) -> Result<(), BaselineError> {
        let devices = match form {
            TreeForm::Real => Devices::Placeholders,
            TreeForm::Stored => Devices::Kept,
        };
        let is_apart = |path: &RootPath| {
            apart.contains(path) || path.ancestors().any(|above| apart.contains(&above))
        };
        self.was.retain(|path, _| !is_apart(path));
        let mut extraction = Extraction {
            before: self,
            tree,
            form,
            below,
            upper,
            replica: Replica::new(upper, devices),
            replaced: None,
            kept: BTreeSet::from([RootPath::root()]),
        };
        let mut walk = tree.walk().map_err(ReplicaError::walk(tree))?;
        while let Some(entry) = walk.next() {
            let entry = entry.map_err(ReplicaError::walk(tree))?;
            if apart.contains(&entry.path) {
                walk.skip_directory();
            } else {
                extraction.take(&entry)?;
            }
        }
        extraction.finish()
    }
}

/// Changes on their way into a directory.
struct Extraction<'e> {
    /// What was not seen again yet.
    before: Baseline,
    tree: &'e Root,
    form: TreeForm,
    below: &'e [Arc<Root>],
    upper: &'e Root,
    replica: Replica<'e>,
    /// The directory that the walk is in and that is not what was there: nothing below it is.
    replaced: Option<RootPath>,
    /// The directories that are still those that were there.
    kept: BTreeSet<RootPath>,
}

impl Extraction<'_> {
    fn take(&mut self, entry: &Entry) -> Result<(), BaselineError> {
        let path = &entry.path;
        if let Some(replaced) = &self.replaced
            && !path.starts_with(replaced)
        {
            self.replaced = None;
        }
        let was = self.before.was.remove(path);
        let was = was.filter(|_| self.replaced.is_none());
        let is_directory = entry.metadata.kind == FileKind::Directory;
        let is_kept = is_directory
            && was.is_some_and(|was| {
                was.kind == FileKind::Directory
                    && (is_one(&was, &entry.metadata) || is_same(&was, &entry.metadata))
            });
        if is_kept {
            self.kept.insert(path.clone());
        } else if is_directory && self.replaced.is_none() {
            self.replaced = Some(path.clone());
        }
        if let Some(was) = was
            && self.is_as_it_was(&was, entry)?
        {
            return Ok(());
        }
        self.replica.put_parents(self.tree, path)?;
        self.replica.put(entry)?;
        if is_directory && !is_kept && was.is_some() {
            let inode = self.upper.inode(path);
            let marked = inode.and_then(|inode| xattr::mark_opaque(&inode));
            marked.map_err(ReplicaError::object(path))?;
        }
        Ok(())
    }

    fn is_as_it_was(&self, was: &Metadata, entry: &Entry) -> Result<bool, BaselineError> {
        let now = &entry.metadata;
        if is_same(was, now) {
            return Ok(true);
        }
        let has_lost_a_name = now.kind != FileKind::Directory && now.nlink < was.nlink;
        let ours = |metadata: &Metadata| Metadata {
            nlink: 0,
            ctime: FileTime::default(),
            ..*metadata
        };
        if !has_lost_a_name || ours(was) != ours(now) {
            return Ok(false);
        }
        self.has_same_content(entry)
    }

    /// Compares a file with what it was, which the topmost layer that has it still has.
    fn has_same_content(&self, entry: &Entry) -> Result<bool, BaselineError> {
        let path = &entry.path;
        let failed = ReplicaError::object;
        for layer in self.below.iter().rev() {
            if layer.metadata(path).map_err(failed(path))?.is_none() {
                continue;
            }
            let before = layer.entry(path).map_err(failed(path))?;
            let xattrs = |entry: &Entry| xattrs_of(entry).map(|xattrs| self.compared(xattrs));
            let same =
                xattrs(&before).map_err(failed(path))? == xattrs(entry).map_err(failed(path))?;
            if !same || entry.metadata.kind != FileKind::File {
                return Ok(same);
            }
            let before = before.open_file().map_err(failed(path))?;
            let now = entry.open_file().map_err(failed(path))?;
            let path = path.clone();
            return is_same_file(&before, &now)
                .map_err(|source| BaselineError::Compare { path, source });
        }
        Ok(false)
    }

    /// Returns the attributes that make a difference: in the form of the store, owners are among them.
    fn compared(&self, mut xattrs: Xattrs) -> Xattrs {
        match self.form {
            TreeForm::Real => xattr::of_image(xattrs),
            TreeForm::Stored => {
                xattrs.retain(|name, _| xattr::belongs_to_inode(name));
                xattrs
            }
        }
    }

    /// Says what is gone, and gives directories their attributes.
    fn finish(mut self) -> Result<(), BaselineError> {
        for path in self.before.was.keys() {
            let parent = path.parent().unwrap_or_else(RootPath::root);
            if self.kept.contains(&parent) {
                self.replica.put_parents(self.tree, path)?;
                let made = self.upper.whiteout(path);
                made.map_err(ReplicaError::object(path))?;
            }
        }
        self.replica.put_top(self.tree)?;
        Ok(self.replica.finish()?)
    }
}

/// Tells whether two are one inode.
fn is_one(one: &Metadata, other: &Metadata) -> bool {
    (one.dev, one.ino) == (other.dev, other.ino)
}

/// Tells whether two are one inode, unchanged.
///
/// Of a directory the time is enough, since a new one has a later time: an overlay of several file systems numbers
/// directories anew when it has forgotten them (overlayfs.rst, "Inode properties").
fn is_same(was: &Metadata, now: &Metadata) -> bool {
    let are_directories = [was, now].map(|one| one.kind == FileKind::Directory) == [true, true];
    was.ctime == now.ctime && (are_directories || is_one(was, now))
}

/// Waits until what is changed from now on has a later time than what was changed before. It takes as long as a tick of
/// the kernel's clock, 10 ms at most, and where times are finer no time. `clock` is a directory on the file system in
/// question that nobody else changes.
///
/// # Errors
///
/// Fails where the directory cannot be changed, and where its time does not move on: some file systems of programs have
/// none.
pub fn next_grain(clock: &Root) -> Result<(), FsError> {
    let inode = clock.inode(&RootPath::root())?;
    let touch = || {
        inode.set_mtime(FileTime::default())?;
        inode.metadata().map(|metadata| metadata.ctime)
    };
    let (now, began) = (touch()?, Instant::now());
    while touch()? == now {
        if began.elapsed() > GRAIN_LIMIT {
            let call = format!("wait for a later ctime of `{}`", clock.shown().display());
            let source = io::ErrorKind::Unsupported.into();
            return Err(FsError::Call { call, source });
        }
        std::thread::yield_now();
    }
    Ok(())
}

#[cfg(test)]
#[path = "baseline_tests.rs"]
mod tests;
