//! Looking at everything in a store, and mending what is damaged: [`Store::check`](crate::Store::check).
//!
//! ```text
//! blobs ──► what is written beside them (snapshots, records, caches, lists, hints) ──► leftovers ──► images
//! ```
//!
//! Images come last, because what they need may have turned out to be damaged. Builds may run meanwhile: what they
//! remove while it is looked at was never there, and what they use is removed for one reason alone, that it is
//! damaged. To mend is to remove what is damaged, so that it is fetched or made again by whoever needs it; a name
//! whose image cannot be had from the store is taken away, since it would be the name of nothing.
//!
//! The files of a snapshot are compared with the blob that they were unpacked from or packed to, where that is there:
//! nobody has digests of them. Who looks gives what can do that ([`CompareFiles`]), or leaves it out.
//!
//! What is not looked into: the files of other snapshots and of caches, and git repositories, which `git` checks itself.

mod blobs;
mod damage;
mod documents;
mod images;
mod leftovers;
mod modes;
mod snapshots;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::Digest;

pub use self::damage::{Damage, Mended, Part, Wrong};

use crate::claim::ClaimError;
use crate::content::ContentStore;
use crate::file::FileError;
use crate::layout::Layout;
use crate::name::SnapshotId;
use crate::tags::TagError;

/// What is done about damage.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mending {
    /// It is told.
    No,
    /// It is mended, and told.
    Yes,
}

/// How much of one part of the store was looked at.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Extent {
    /// The number of objects.
    pub count: u64,
    /// Their bytes, as far as they were read.
    pub bytes: u64,
}

/// What the files of a snapshot are beside what else says what they are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Compared {
    /// They are the same.
    Same,
    /// Some are not.
    Different {
        /// The first of them, a path in the image.
        first: String,
        /// How many more there are.
        others: usize,
    },
    /// They cannot be read; what the kernel said.
    Unreadable(String),
    /// Nothing says what they are.
    Unknown,
}

/// Compares the files of snapshots with their layers.
pub trait CompareFiles {
    /// Compares those of one. It is kept meanwhile, and no longer.
    fn compare(&self, snapshot: &SnapshotId) -> Compared;
}

/// What was found in a store.
#[derive(Debug, Default)]
pub struct Checked {
    /// What was looked at.
    pub extents: BTreeMap<Part, Extent>,
    /// How many snapshots have files that were compared with their layers.
    pub compared: u64,
    /// What is wrong, in the order in which it was found.
    pub damage: Vec<Damage>,
}

impl Checked {
    /// Tells whether nothing is wrong any more: everything was whole, or was mended.
    pub fn is_whole(&self) -> bool {
        self.damage.iter().all(|damage| damage.mended.is_some())
    }
}

/// A store cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A directory of the store cannot be read.
    #[error("look at what is in the store")]
    Read(#[source] FileError),
    /// An object cannot be claimed.
    #[error("look at what is in the store")]
    Claim(#[from] ClaimError),
    /// The tags cannot be written.
    #[error("mend the tags of the store")]
    Tags(#[from] TagError),
    /// Somebody wished that it ends.
    #[error("the store was not looked at to its end")]
    Cancelled,
}

/// One look at a store.
struct Checker<'a> {
    layout: &'a Arc<Layout>,
    content: &'a ContentStore,
    mending: Mending,
    files: Option<&'a dyn CompareFiles>,
    cancelled: &'a dyn Fn() -> bool,
    found: Checked,
    /// Blobs that are there and damaged.
    damaged: BTreeSet<Digest>,
}

/// Looks at everything.
pub(crate) fn check(
    (layout, content): (&Arc<Layout>, &ContentStore),
    (mending, files): (Mending, Option<&dyn CompareFiles>),
    cancelled: &dyn Fn() -> bool,
) -> Result<Checked, CheckError> {
    let mut checker = Checker {
        layout,
        content,
        mending,
        files,
        cancelled,
        found: Checked::default(),
        damaged: BTreeSet::new(),
    };
    checker.places()?;
    checker.blobs()?;
    checker.snapshots()?;
    checker.documents()?;
    checker.leftovers()?;
    checker.images()?;
    Ok(checker.found)
}

impl Checker<'_> {
    /// Ends the look where somebody wishes it.
    fn go_on(&self) -> Result<(), CheckError> {
        if (self.cancelled)() {
            return Err(CheckError::Cancelled);
        }
        Ok(())
    }

    /// Counts an object.
    fn count(&mut self, part: Part, bytes: u64) {
        let extent = self.found.extents.entry(part).or_default();
        extent.count += 1;
        extent.bytes += bytes;
    }

    /// Tells what is wrong with what is at a path, and mends it where that is wanted.
    fn tell<M>(&mut self, (part, path): (Part, &Path), wrong: Wrong, mend: M)
    where
        M: FnOnce(&Arc<Layout>) -> Result<Mended, String>,
    {
        let mended = match self.mending {
            Mending::No => None,
            Mending::Yes => Some(mend(self.layout)),
        };
        let place = path.strip_prefix(&self.layout.root).unwrap_or(path);
        let (mended, why_not) = match mended {
            None => (None, None),
            Some(Ok(mended)) => (Some(mended), None),
            Some(Err(why_not)) => (None, Some(why_not)),
        };
        self.found.damage.push(Damage {
            part,
            place: place.display().to_string(),
            wrong,
            mended,
            why_not,
        });
    }
}

/// Returns what is in a directory, in the order of the names; nothing where it is not there.
fn entries(path: &Path) -> Result<Vec<PathBuf>, CheckError> {
    match crate::file::entries(path) {
        Ok(mut entries) => {
            entries.sort();
            Ok(entries)
        }
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        Err(error) => Err(CheckError::Read(error)),
    }
}

/// Tells whether a directory is at a path; a link to one is none.
fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Returns the name of a file or directory; an empty one where it is no text.
fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

/// Takes what is at a path out of the store.
fn remove(layout: &Layout, path: &Path) -> Result<Mended, String> {
    let removed = crate::trash::clear(layout, path);
    removed
        .map(|()| Mended::Removed)
        .map_err(|error| said(&error))
}

/// Joins the texts of an error and its causes.
fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
