//! The records of the store as far as they say what is used: where each is, when it was used, and what it names.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use oci::Digest;

use super::{Item, ItemId, entries};
use crate::file::{self, FileError};
use crate::layout::Layout;
use crate::limits::RECORD_LIMIT_BYTES;
use crate::name::SnapshotId;

/// A record.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    /// Its file.
    pub(crate) path: PathBuf,
    /// When it was used last.
    pub(crate) used: SystemTime,
    /// What it takes on the disk, in bytes.
    pub(crate) size_bytes: u64,
    /// The items that it names and that are there.
    pub(crate) names: Vec<ItemId>,
    /// Whether a running build uses something that it names.
    pub(crate) is_in_use: bool,
}

/// All records of an id map.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) all: Vec<Note>,
}

impl Notes {
    /// Reads all records.
    pub(crate) fn read(
        layout: &Layout,
        items: &BTreeMap<ItemId, Item>,
        is_leased: &dyn Fn(&ItemId) -> bool,
    ) -> Result<Self, FileError> {
        let mut all = Vec::new();
        for group in entries(&layout.records())? {
            for path in entries(&group)? {
                all.extend(note(&path, items, is_leased)?);
            }
        }
        Ok(Self { all })
    }
}

/// Reads a record; none where it is gone.
fn note(
    path: &Path,
    items: &BTreeMap<ItemId, Item>,
    is_leased: &dyn Fn(&ItemId) -> bool,
) -> Result<Option<Note>, FileError> {
    let Ok(file) = file::open_nofollow(path) else {
        return Ok(None);
    };
    let metadata = file.metadata().map_err(FileError::of("stat", path))?;
    // What is no record, or is too large for one, names nothing.
    let bytes = file::read_described(&file, &metadata, RECORD_LIMIT_BYTES).unwrap_or_default();
    let mut names = named_in(&bytes);
    // Also what is not there yet.
    let is_in_use = names.iter().any(is_leased);
    names.retain(|id| items.contains_key(id));
    names.sort();
    names.dedup();
    Ok(Some(Note {
        path: path.to_owned(),
        used: metadata.modified().map_err(FileError::of("stat", path))?,
        size_bytes: metadata.blocks().saturating_mul(512),
        names,
        is_in_use,
    }))
}

/// Returns what looks like the name of an object in a document.
fn named_in(bytes: &[u8]) -> Vec<ItemId> {
    let text = String::from_utf8_lossy(bytes);
    // Names stand in quotes in JSON, alone or behind the `@` of a reference.
    let words = text.split(['"', '@']);
    words.filter_map(named).collect()
}

fn named(word: &str) -> Option<ItemId> {
    if word.contains(':') {
        return Digest::parse(word).ok().map(ItemId::Blob);
    }
    // Every snapshot has a prefix; short words of JSON have none.
    let id = word.contains('-').then(|| SnapshotId::new(word).ok());
    id.flatten().map(ItemId::Snapshot)
}
