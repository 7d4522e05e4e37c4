//! What was changed in a bundle: its files, held against what is known of them.
//!
//! In a bundle all files belong to the user, none has set-user-id or set-group-id bits, there are no devices and no
//! extended attributes but `user.*`. Of a file that is still of its kind, those are what they were in the image;
//! a new one is root's.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use layer::{Change, ChangeKind, ChangeSet, DiffError, Node, NodeKind, local_node};
use rootfs::{Entry, FsError, Mode, Root, RootPath};

use crate::command::files::{FileEntry, FileRecord, FilesError, Kind, add_digests, shown_xattrs};

/// The bits that files of a bundle do not have.
const OWNERS_RIGHTS: u32 = 0o6000;

/// What begins the extended attributes that files of a bundle have.
const USER_XATTR: &[u8] = b"user.";

/// Why the changes cannot be found.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChangesError {
    #[error("cannot read the files of the bundle")]
    Read(#[from] FsError),
    #[error("cannot read the files of the bundle")]
    Node(#[from] DiffError),
    #[error("cannot read the files of the bundle")]
    Content(#[from] FilesError),
}

type Recorded = BTreeMap<RootPath, FileRecord>;

/// A file of the bundle.
struct Found {
    entry: FileEntry,
    node: Node,
    /// The device and the number of what has several names.
    inode: Option<(u64, u64)>,
}

/// Returns what a layer says that makes the files of the bundle of those of the image.
pub(super) fn of(rootfs: &Path, recorded: &Recorded) -> Result<ChangeSet, ChangesError> {
    let found = read(rootfs)?;
    let mut changes = deletions(recorded, &found);
    let mut names = BTreeMap::new();
    for file in found.into_values() {
        let known = known(recorded, &file.entry.path);
        if known.is_some_and(|known| is_unchanged(&file.entry.record, known)) {
            continue;
        }
        changes.push(put(file, known, &mut names));
    }
    Ok(ChangeSet::new(changes))
}

/// Reads the bundle, but for its top.
fn read(rootfs: &Path) -> Result<BTreeMap<RootPath, Found>, ChangesError> {
    let root = Arc::new(Root::open(rootfs)?);
    let mut found = Vec::new();
    for entry in root.walk()? {
        found.extend(read_one(&root, &entry?)?);
    }
    add_digests(found.iter_mut().map(|file| &mut file.entry))?;
    let by_path = |file: Found| (file.entry.path.clone(), file);
    Ok(found.into_iter().map(by_path).collect())
}

/// Nothing comes of a device: there is none in a bundle that was not put there by hand, and root alone can.
fn read_one(root: &Arc<Root>, entry: &Entry) -> Result<Option<Found>, ChangesError> {
    if entry.path.is_root() {
        return Ok(None);
    }
    let Some(node) = local_node(root, entry)? else {
        return Ok(None);
    };
    let is_shared = entry.metadata.nlink > 1 && !matches!(node.kind, NodeKind::Directory { .. });
    Ok(Some(Found {
        entry: FileEntry::new(entry.path.clone(), node.clone()),
        node,
        inode: is_shared.then_some((entry.metadata.dev, entry.metadata.ino)),
    }))
}

/// Returns what is known of a path. Of another name it is what is known of the first.
fn known<'r>(recorded: &'r Recorded, path: &RootPath) -> Option<&'r FileRecord> {
    let record = recorded.get(path)?;
    match (&record.kind, &record.target) {
        (Kind::Hardlink, Some(target)) => recorded.get(&RootPath::from_escaped(target).ok()?),
        _ => Some(record),
    }
}

/// Returns the uppermost paths that are gone. A device was never there.
fn deletions(recorded: &Recorded, found: &BTreeMap<RootPath, Found>) -> Vec<Change> {
    let is_device = |path: &RootPath| {
        let kind = known(recorded, path).map(|known| known.kind);
        matches!(kind, Some(Kind::Char | Kind::Block))
    };
    let is_directory = |path: &RootPath| {
        path.is_root()
            || found
                .get(path)
                .is_some_and(|file| file.entry.record.kind == Kind::Directory)
    };
    let gone = recorded.keys().filter(|path| {
        let is_uppermost = path.parent().is_none_or(|parent| is_directory(&parent));
        !found.contains_key(*path) && !is_device(path) && is_uppermost
    });
    gone.map(|path| Change {
        path: path.clone(),
        kind: ChangeKind::Delete,
    })
    .collect()
}

/// Tells whether a file is as it was written when the image was unpacked.
fn is_unchanged(found: &FileRecord, known: &FileRecord) -> bool {
    let is_link = known.kind == Kind::Symlink;
    found.kind == known.kind
        && (is_link || found.mode == shown_mode(known))
        && found.mtime == known.mtime
        && found.size == known.size
        && found.digest == known.digest
        && found.target == known.target
        && found.xattrs == users(known)
}

/// Returns the mode that a file has in a bundle.
fn shown_mode(known: &FileRecord) -> String {
    match (known.kind, known.mode()) {
        (Kind::Directory, _) | (_, None) => known.mode.clone(),
        (_, Some(mode)) => Mode::new(mode.bits() & !OWNERS_RIGHTS).to_string(),
    }
}

fn users(known: &FileRecord) -> BTreeMap<String, String> {
    let mut all = known.xattrs().unwrap_or_default();
    all.retain(|name, _| name.starts_with(USER_XATTR));
    shown_xattrs(&all)
}

/// Says what a file is now. Several names of one file stay that.
fn put(
    file: Found,
    known: Option<&FileRecord>,
    names: &mut BTreeMap<(u64, u64), RootPath>,
) -> Change {
    let Found {
        entry,
        mut node,
        inode,
    } = file;
    if let Some(known) = known.filter(|known| known.kind == entry.record.kind) {
        give_back(&mut node, &entry.record, known);
    }
    if let Some(inode) = inode {
        match names.get(&inode) {
            Some(first) => {
                node.kind = NodeKind::HardLink {
                    target: first.clone(),
                };
            }
            None => drop(names.insert(inode, entry.path.clone())),
        }
    }
    Change {
        path: entry.path,
        kind: ChangeKind::Put(node),
    }
}

/// Gives a file what it had in the image and could not have in the bundle.
fn give_back(node: &mut Node, found: &FileRecord, known: &FileRecord) {
    node.attributes.uid = known.uid;
    node.attributes.gid = known.gid;
    if let Some(mode) = known.mode().filter(|_| found.mode == shown_mode(known)) {
        node.attributes.mode = mode;
    }
    // The kernel takes capabilities away from a file that is written to.
    if found.digest == known.digest {
        let others = known.xattrs().unwrap_or_default();
        let others = others
            .into_iter()
            .filter(|(name, _)| !name.starts_with(USER_XATTR));
        node.attributes.xattrs.extend(others);
    }
}

#[cfg(test)]
mod tests;
