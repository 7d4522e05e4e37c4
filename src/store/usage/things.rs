//! The items of each kind, as the directories of the store have them.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use oci::Digest;
use oci::digest::Algorithm;

use super::size::{Links, Sizes, Stamp, measure};
use super::{Item, ItemId, ItemKind, Notes, UsageError, entries, name_of};
use crate::cache_mount::{CacheId, CacheMeta};
use crate::claim::{ClaimName, Claims};
use crate::content::ContentStore;
use crate::file::{self, FileError};
use crate::layout::{CACHE_MARK, Layout, MARK};
use crate::limits::MARK_LIMIT_BYTES;
use crate::mark::{SnapshotKind, SnapshotMeta};
use crate::name::SnapshotId;
use crate::snapshot;
use crate::{repository, wanted};

/// Git checkouts are snapshots of this prefix.
const GIT: &str = "git-";

/// Returns an item of which the rest is to be filled in.
fn plain(id: ItemId, kind: ItemKind, times: (SystemTime, SystemTime)) -> Item {
    let (created, used) = times;
    Item {
        id,
        kind,
        parent: None,
        size_bytes: 0,
        created,
        used,
        is_in_use: false,
        is_shared: false,
        is_mutable: false,
        is_second_names: false,
        is_recorded: false,
        description: String::new(),
    }
}

/// Looks at what a path of the store leads to; none where it is gone.
fn look(path: &Path) -> Result<Option<Metadata>, FileError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::of("stat", path)(error)),
    }
}

/// Returns when something was changed last; before all else where the file system does not tell.
fn time_of(metadata: &Metadata) -> SystemTime {
    metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Returns when something was made: its birth, where the file system tells, else the last change.
fn born(metadata: &Metadata) -> SystemTime {
    metadata.created().unwrap_or_else(|_| time_of(metadata))
}

pub(super) fn snapshots(layout: &Layout, sizes: &mut Sizes) -> Result<Vec<Item>, UsageError> {
    let mut items = Vec::new();
    for path in entries(&layout.snapshots())? {
        if let Ok(id) = SnapshotId::new(&name_of(&path)) {
            items.extend(of_snapshot((&path, id), sizes)?);
        }
    }
    Ok(items)
}

fn of_snapshot(
    (path, id): (&Path, SnapshotId),
    sizes: &mut Sizes,
) -> Result<Option<Item>, UsageError> {
    let Some(directory) = look(path)? else {
        return Ok(None);
    };
    let used = look(&path.join(MARK))?.map_or(SystemTime::UNIX_EPOCH, |mark| time_of(&mark));
    // Without a mark that is intact it is none, and goes first.
    let meta = snapshot::read_meta(path, &id).unwrap_or_default();
    let used = meta.as_ref().map_or(SystemTime::UNIX_EPOCH, |_| used);
    let is_merged = meta
        .as_ref()
        .is_some_and(|meta| meta.kind == SnapshotKind::Merged);
    let links = if is_merged { Links::Others } else { Links::Own };
    let size_bytes = sizes.of(id.as_str(), Stamp::of(&directory), || measure(path, links));
    let kind = if id.as_str().starts_with(GIT) {
        ItemKind::GitCheckout
    } else {
        ItemKind::Regular
    };
    let parent = meta.as_ref().and_then(|meta| meta.parent.clone());
    Ok(Some(Item {
        parent: parent.map(ItemId::Snapshot),
        size_bytes,
        is_second_names: is_merged,
        description: described(meta.as_ref()),
        ..plain(ItemId::Snapshot(id), kind, (born(&directory), used))
    }))
}

fn described(meta: Option<&SnapshotMeta>) -> String {
    let Some(meta) = meta else {
        return "a damaged directory".to_owned();
    };
    let usual = match meta.kind {
        SnapshotKind::Layer => "an unpacked layer of a base image",
        SnapshotKind::Upper => "what a command changed",
        SnapshotKind::Files => "files of a copy",
        SnapshotKind::Merged => "several layers as one directory",
    };
    // It may be an image's name, or a command: nothing that should reach a terminal as it is.
    let told = meta.description.as_deref();
    told.map_or_else(|| usual.to_owned(), |text| text.escape_debug().to_string())
}

pub(super) fn blobs(layout: &Layout, content: &ContentStore) -> Result<Vec<Item>, UsageError> {
    let needed = wanted::named(content)?;
    let mut items = Vec::new();
    for algorithm in entries(&layout.all_blobs())? {
        for path in entries(&algorithm)? {
            let text = format!("{}:{}", name_of(&algorithm), name_of(&path));
            let found = look(&path)?;
            if let (Ok(digest), Some(metadata)) = (Digest::parse(&text), found) {
                items.push(of_blob(digest, &metadata, &needed));
            }
        }
    }
    Ok(items)
}

fn of_blob(digest: Digest, metadata: &Metadata, needed: &BTreeSet<Digest>) -> Item {
    let is_shared = needed.contains(&digest);
    let description = if is_shared {
        "a blob that an image needs"
    } else {
        "a blob"
    };
    // Nobody notes that a blob is read; it came when it was written.
    let came = time_of(metadata);
    Item {
        size_bytes: metadata.blocks().saturating_mul(512),
        is_shared,
        description: description.to_owned(),
        ..plain(ItemId::Blob(digest), ItemKind::Regular, (came, came))
    }
}

pub(super) fn caches(layout: &Arc<Layout>, sizes: &mut Sizes) -> Result<Vec<Item>, UsageError> {
    let mut items = Vec::new();
    for path in entries(&layout.caches())? {
        let Some(id) = CacheId::parse(&name_of(&path)) else {
            continue;
        };
        let mark = path.join(CACHE_MARK);
        let claim = ClaimName::Cache(&id);
        let Some((tree, is_in_use)) = changing(layout, sizes, (&path, &mark), claim)? else {
            continue;
        };
        let text = file::read_limited(&mark, MARK_LIMIT_BYTES).ok().flatten();
        let meta = serde_json::from_slice::<CacheMeta>(&text.unwrap_or_default());
        let name = meta.map_or_else(
            |_| "of unknown name".to_owned(),
            |meta| format!("`{}`", meta.id.escape_debug()),
        );
        items.push(Item {
            is_in_use,
            is_mutable: true,
            size_bytes: tree.size_bytes,
            description: format!("the cache mount {name}"),
            ..plain(ItemId::Cache(id), ItemKind::CacheMount, tree.times)
        });
    }
    Ok(items)
}

pub(super) fn repositories(
    layout: &Arc<Layout>,
    sizes: &mut Sizes,
) -> Result<Vec<Item>, UsageError> {
    let mut items = Vec::new();
    for path in entries(&layout.all_repositories())? {
        let text = format!("{}:{}", Algorithm::Sha256.as_str(), name_of(&path));
        let Ok(name) = Digest::parse(&text) else {
            continue;
        };
        let key = repository::key(&name);
        let claim = ClaimName::Key(&key);
        let Some((tree, is_in_use)) = changing(layout, sizes, (&path, &path), claim)? else {
            continue;
        };
        items.push(Item {
            is_in_use,
            is_mutable: true,
            size_bytes: tree.size_bytes,
            description: "a git repository".to_owned(),
            ..plain(ItemId::Repository(name), ItemKind::GitCheckout, tree.times)
        });
    }
    Ok(items)
}

/// A tree that commands change.
struct Tree {
    times: (SystemTime, SystemTime),
    size_bytes: u64,
}

/// Looks at a tree that is changed by whoever has the claim; tells whether somebody has it now. `opened` is the file whose
/// time is that of the last opening.
fn changing(
    layout: &Arc<Layout>,
    sizes: &mut Sizes,
    (path, opened): (&Path, &Path),
    claim: ClaimName<'_>,
) -> Result<Option<(Tree, bool)>, UsageError> {
    let is_in_use = Claims::new(Arc::clone(layout)).is_taken(claim)?;
    let (Some(directory), Some(mark)) = (look(path)?, look(opened)?) else {
        return Ok(None);
    };
    let size = || measure(path, Links::Own);
    let size_bytes = if is_in_use {
        size().unwrap_or(0)
    } else {
        let stamp = Stamp::of_opened(&directory, &mark);
        sizes.of(&name_of(path), stamp, size)
    };
    let times = (born(&directory), time_of(&mark));
    Ok(Some((Tree { times, size_bytes }, is_in_use)))
}

pub(super) fn records(notes: &Notes) -> Option<(ItemId, Item)> {
    let used = notes.all.iter().map(|note| note.used).max()?;
    let sizes = notes.all.iter().map(|note| note.size_bytes);
    let item = Item {
        size_bytes: sizes.sum(),
        is_mutable: true,
        description: format!("what {} keys led to", notes.all.len()),
        ..plain(ItemId::Records, ItemKind::Internal, (used, used))
    };
    Some((ItemId::Records, item))
}

pub(super) fn hints(layout: &Layout) -> Result<Option<(ItemId, Item)>, UsageError> {
    let (mut size_bytes, mut used) = (0, SystemTime::UNIX_EPOCH);
    for path in entries(&layout.hints())? {
        if let Some(metadata) = look(&path)? {
            size_bytes += metadata.blocks().saturating_mul(512);
            used = used.max(time_of(&metadata));
        }
    }
    if used == SystemTime::UNIX_EPOCH {
        return Ok(None);
    }
    let item = Item {
        size_bytes,
        is_mutable: true,
        description: "what makes builds faster and is not needed".to_owned(),
        ..plain(ItemId::Hints, ItemKind::Internal, (used, used))
    };
    Ok(Some((ItemId::Hints, item)))
}

/// Returns what is not removed by pruning: the unfinished work of running builds, and what other id maps have.
pub(super) fn rest(layout: &Layout) -> Result<Vec<(ItemId, Item)>, UsageError> {
    let unfinished = [(layout.ingest(), "ingest"), (layout.trash(), "trash")];
    let mut items = Vec::new();
    for (path, name) in unfinished {
        items.extend(fixed(
            &path,
            name.to_owned(),
            "what running builds have not finished",
        )?);
    }
    for (above, what) in [
        (layout.snapshots(), "snapshots"),
        (layout.records(), "records"),
        (layout.caches(), "caches"),
    ] {
        for path in entries(crate::layout::parent(&above))? {
            if path == above {
                continue;
            }
            let map = name_of(&path);
            let description = format!("`--executor {map}` shows and prunes it");
            items.extend(fixed(&path, format!("{map}-{what}"), &description)?);
        }
    }
    Ok(items)
}

/// Returns an item for a directory that stays, if something is in it.
fn fixed(
    path: &Path,
    name: String,
    description: &str,
) -> Result<Option<(ItemId, Item)>, UsageError> {
    let Some(metadata) = look(path)?.filter(Metadata::is_dir) else {
        return Ok(None);
    };
    if entries(path)?.is_empty() {
        return Ok(None);
    }
    let times = (born(&metadata), time_of(&metadata));
    let id = ItemId::Rest(name);
    let item = Item {
        size_bytes: measure(path, Links::Own).unwrap_or(0),
        is_in_use: true,
        is_mutable: true,
        description: description.to_owned(),
        ..plain(id.clone(), ItemKind::Internal, times)
    };
    Ok(Some((id, item)))
}
