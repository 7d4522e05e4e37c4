//! How much room trees take: measured once each, and remembered in a hint.
//!
//! ```text
//! NAME INODE STAMP SIZE        a line each: what it is, the inode of its directory, when it was opened last if its
//!                              files change, and what it takes, in bytes
//! ```
//!
//! A tree is known again by its name and its inode, and by the stamp. What somebody changes while it is measured is
//! measured again the next time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use rootfs::{FileKind, FsError, Root};
use tracing::debug;

use crate::file::FileError;
use crate::hint::Hints;
use crate::layout::Layout;
use crate::name::SnapshotId;

/// What tells a tree from an earlier one of its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp {
    inode: u64,
    opened: (i64, i64),
}

impl Stamp {
    /// Returns that of a directory whose files nobody changes.
    pub(super) fn of(directory: &Metadata) -> Self {
        Self {
            inode: directory.ino(),
            opened: (0, 0),
        }
    }

    /// Returns that of a directory whose files change, by the file that tells when it was opened.
    pub(super) fn of_opened(directory: &Metadata, opened: &Metadata) -> Self {
        Self {
            inode: directory.ino(),
            opened: (opened.mtime(), opened.mtime_nsec()),
        }
    }
}

/// Whether files of which there are other names belong to a tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Links {
    /// They do, each once.
    Own,
    /// They are others'.
    Others,
}

/// The sizes that are known.
#[derive(Debug)]
pub(super) struct Sizes {
    /// What earlier ones found.
    earlier: BTreeMap<String, (Stamp, u64)>,
    /// What is there now.
    found: BTreeMap<String, (Stamp, u64)>,
    is_changed: bool,
}

impl Sizes {
    /// Reads what earlier ones found.
    pub(super) fn read(layout: &Arc<Layout>) -> Self {
        let hint = hint_name(layout).and_then(|name| Hints::new(Arc::clone(layout)).get(&name));
        let text = String::from_utf8(hint.unwrap_or_default()).unwrap_or_default();
        Self {
            earlier: text.lines().filter_map(parse).collect(),
            found: BTreeMap::new(),
            is_changed: false,
        }
    }

    /// Returns what a tree takes, in bytes; measures it if that is not known.
    pub(super) fn of(
        &mut self,
        name: &str,
        stamp: Stamp,
        measured: impl FnOnce() -> Result<u64, FsError>,
    ) -> u64 {
        let known = self.earlier.get(name).filter(|(known, _)| *known == stamp);
        let size_bytes = known.map(|(_, size_bytes)| *size_bytes);
        let size_bytes = size_bytes.or_else(|| {
            self.is_changed = true;
            // One that is just being removed takes nothing.
            measured()
                .inspect_err(|error| debug!(%error, name, "not measured"))
                .ok()
        });
        let size_bytes = size_bytes.unwrap_or(0);
        self.found.insert(name.to_owned(), (stamp, size_bytes));
        size_bytes
    }

    /// Remembers what was found, for those that come after.
    pub(super) fn keep(&self, layout: &Arc<Layout>) {
        if !self.is_changed {
            return;
        }
        let lines = self.found.iter().map(|(name, (stamp, size_bytes))| {
            let (seconds, nanos) = stamp.opened;
            format!("{name} {} {seconds}.{nanos} {size_bytes}\n", stamp.inode)
        });
        let text: String = lines.collect();
        if let Err(error) = write(layout, &text) {
            debug!(%error, "sizes not remembered");
        }
    }
}

fn write(layout: &Arc<Layout>, text: &str) -> Result<(), FileError> {
    let Some(name) = hint_name(layout) else {
        return Ok(());
    };
    let mut hint = Hints::new(Arc::clone(layout)).create(&name)?;
    hint.write(text.as_bytes())?;
    hint.commit()
}

fn hint_name(layout: &Layout) -> Option<SnapshotId> {
    SnapshotId::new(&format!("sizes-{}", layout.id_map)).ok()
}

fn parse(line: &str) -> Option<(String, (Stamp, u64))> {
    let mut words = line.split(' ');
    let (name, inode) = (words.next()?, words.next()?.parse().ok()?);
    let (seconds, nanos) = words.next()?.split_once('.')?;
    let opened = (seconds.parse().ok()?, nanos.parse().ok()?);
    let size_bytes = words.next()?.parse().ok()?;
    Some((name.to_owned(), (Stamp { inode, opened }, size_bytes)))
}

/// Adds up what a directory and everything below it takes on the disk, in bytes; what cannot be looked at is left out.
pub(super) fn measure(path: &Path, links: Links) -> Result<u64, FsError> {
    let root = Root::open(path)?;
    let mut linked = BTreeSet::new();
    let mut size_bytes = root
        .metadata(&rootfs::RootPath::root())?
        .map_or(0, |top| top.allocated_bytes);
    for entry in root.walk()? {
        let Ok(entry) = entry else { continue };
        let found = entry.metadata;
        let is_linked = found.kind != FileKind::Directory && found.nlink > 1;
        if is_linked && (links == Links::Others || !linked.insert((found.dev, found.ino))) {
            continue;
        }
        size_bytes = size_bytes.saturating_add(found.allocated_bytes);
    }
    Ok(size_bytes)
}
