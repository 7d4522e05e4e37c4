//! What the store keeps, and how much room it takes: [`Usage`].
//!
//! Each object is an [`Item`]: its size as the file system counts it, when it was used last, whether somebody uses it now
//! and whether an image needs it. Bytes that several names lead to are counted once as far as `stat` tells: hard links
//! within an object, and those of merged directories, whose files are the layers' own. What file systems share below that
//! (reflinks) is counted for each.
//!
//! | Item | Used last |
//! | --- | --- |
//! | a snapshot | when it was opened, or a record that names it was read; a parent when its children were |
//! | a blob | when a record that names it was read, else when it came |
//! | a cache mount, a repository | when it was opened |
//! | records, hints | when one of them was read |
//!
//! Trees are measured once and their sizes remembered (`usage::size`).

mod records;
mod size;
mod things;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use oci::Digest;

use crate::WantedError;
use crate::cache_mount::CacheId;
use crate::claim::ClaimError;
use crate::content::ContentStore;
use crate::file::FileError;
use crate::layout::Layout;
use crate::lease::Leased;
use crate::name::{ObjectId, SnapshotId};
use crate::tags::TagError;

pub(crate) use records::{Note, Notes};
use size::Sizes;

/// What an item is.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ItemId {
    /// A committed snapshot.
    Snapshot(SnapshotId),
    /// A blob.
    Blob(Digest),
    /// A cache of `RUN --mount=type=cache`.
    Cache(CacheId),
    /// A git repository, by the digest of its remote.
    Repository(Digest),
    /// All cache records.
    Records,
    /// All hints.
    Hints,
    /// Something that no prune removes: what builds that run now have unfinished, and what other id maps have.
    Rest(String),
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Snapshot(id) => id.fmt(f),
            Self::Blob(digest) => digest.fmt(f),
            Self::Cache(id) => write!(f, "cache-{id}"),
            Self::Repository(name) => write!(f, "git-repository-{}", name.encoded()),
            Self::Records => f.write_str("records"),
            Self::Hints => f.write_str("hints"),
            Self::Rest(name) => f.write_str(name),
        }
    }
}

/// The kind of an item, in BuildKit's words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ItemKind {
    /// What a step or a pull left.
    Regular,
    /// What careen keeps for itself.
    Internal,
    /// A cache mount.
    CacheMount,
    /// A git repository, or a checkout of one.
    GitCheckout,
}

impl ItemKind {
    /// Returns BuildKit's name of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::Internal => "internal",
            Self::CacheMount => "exec.cachemount",
            Self::GitCheckout => "source.git.checkout",
        }
    }
}

/// One object, with what is to be known to decide whether it goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// What it is.
    pub id: ItemId,
    /// Its kind.
    pub kind: ItemKind,
    /// The item without which it is nothing.
    pub parent: Option<ItemId>,
    /// What it takes on the disk, in bytes.
    pub size_bytes: u64,
    /// When it was made.
    pub created: SystemTime,
    /// When it was used last, to the hour.
    pub used: SystemTime,
    /// Whether a running build uses it; such an item is not removed.
    pub is_in_use: bool,
    /// Whether an image of the store needs it; such an item goes with its image and not before.
    pub is_shared: bool,
    /// Whether its files are changed by those who use it.
    pub is_mutable: bool,
    /// Whether its files are second names of others', so that these take room until it is gone.
    pub is_second_names: bool,
    /// Whether a record leads to it, so that a build may use it again.
    pub is_recorded: bool,
    /// What it is, for people.
    pub description: String,
}

impl Item {
    /// Tells whether a prune may remove it.
    pub fn is_reclaimable(&self) -> bool {
        !self.is_in_use && !self.is_shared
    }
}

/// It cannot be found out what the store keeps.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// A directory or a file of the store cannot be read.
    #[error("find out what the store keeps")]
    Read(#[from] FileError),
    /// The tags cannot be read.
    #[error("find out what the images of the store need")]
    Tags(#[from] TagError),
    /// It cannot be found out what records need.
    #[error("find out what the records of the store need")]
    Wanted(#[from] WantedError),
    /// The claims cannot be asked.
    #[error("find out what running builds use")]
    Claim(#[from] ClaimError),
}

/// What a store keeps.
#[derive(Debug)]
pub struct Usage {
    /// Its objects, in the order of their ids.
    pub items: Vec<Item>,
    /// The records, by their places.
    pub(crate) notes: Notes,
    /// When it was looked at.
    pub(crate) now: SystemTime,
}

impl Usage {
    /// Looks at everything in the store.
    pub(crate) fn read(layout: &Arc<Layout>, content: &ContentStore) -> Result<Self, UsageError> {
        // Leases first: what is made after that is in use, and is not here or is newer than what goes.
        let leased = Leased::read(layout)?;
        let mut sizes = Sizes::read(layout);
        let mut items = things::snapshots(layout, &mut sizes)?;
        items.extend(things::blobs(layout, content)?);
        items.extend(things::caches(layout, &mut sizes)?);
        items.extend(things::repositories(layout, &mut sizes)?);
        sizes.keep(layout);
        let mut items: BTreeMap<ItemId, Item> = items
            .into_iter()
            .map(|item| (item.id.clone(), item))
            .collect();
        for item in items.values_mut() {
            item.is_in_use |= is_leased(layout, &leased, &item.id);
        }
        let notes = Notes::read(layout, &items, &|id| is_leased(layout, &leased, id))?;
        use_as_records_say(&mut items, &notes);
        use_parents(&mut items);
        items.extend(things::records(&notes));
        items.extend(things::hints(layout)?);
        items.extend(things::rest(layout)?);
        Ok(Self {
            items: items.into_values().collect(),
            notes,
            now: layout.opened_at,
        })
    }

    /// Returns when it was looked at, by the clock of the store's file system.
    pub fn now(&self) -> SystemTime {
        self.now
    }

    /// Returns what the items take that images do not need, in bytes: the build cache.
    pub fn cache_bytes(&self) -> u64 {
        cache_bytes(&self.items)
    }
}

/// Adds up what these items take that images do not need, in bytes.
pub(crate) fn cache_bytes(items: &[Item]) -> u64 {
    let own = items.iter().filter(|item| !item.is_shared);
    own.map(|item| item.size_bytes).sum()
}

/// Tells whether a running build keeps an item.
pub(crate) fn is_leased(layout: &Layout, leased: &Leased, id: &ItemId) -> bool {
    object_of(id).is_some_and(|object| leased.names(layout, &object))
}

/// Returns the object that leases know an item by.
pub(crate) fn object_of(id: &ItemId) -> Option<ObjectId> {
    match id {
        ItemId::Snapshot(id) => Some(ObjectId::Snapshot(id.clone())),
        ItemId::Blob(digest) => Some(ObjectId::Blob(digest.clone())),
        _ => None,
    }
}

/// What a record names was used when the record was. A blob is not noted to be read, so its own time is that of its
/// coming, which says nothing where a record says more.
fn use_as_records_say(items: &mut BTreeMap<ItemId, Item>, notes: &Notes) {
    for note in &notes.all {
        for id in &note.names {
            if let Some(item) = items.get_mut(id) {
                item.used = item.used.max(note.used);
                item.is_recorded = true;
            }
        }
    }
}

/// Who uses a delta uses what it stands on.
fn use_parents(items: &mut BTreeMap<ItemId, Item>) {
    let of_child = |item: &Item| Some((item.parent.clone()?, item.used));
    let uses: Vec<_> = items.values().filter_map(of_child).collect();
    for (parent, used) in uses {
        if let Some(item) = items.get_mut(&parent) {
            item.used = item.used.max(used);
        }
    }
}

/// Returns the last component of a path as text.
fn name_of(path: &std::path::Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Returns the paths in a directory, none where there is no such directory.
fn entries(path: &std::path::Path) -> Result<Vec<PathBuf>, FileError> {
    match crate::file::entries(path) {
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        entries => entries,
    }
}

#[cfg(test)]
#[path = "usage/tests.rs"]
mod tests;
