//! Changes of many files in little memory.
//!
//! A copy of a million files is held as a list until it is made or packed. As values that own their names, digests and
//! paths each of them would take several hundred bytes; here it is some sixty. Entries are bytes in blocks of
//! [`BLOCK_ENTRIES`], in the order in which they were added:
//!
//! ```text
//! tag · path · [inode: device, number] · [attributes · mtime: seconds, nanoseconds · what the kind has]
//! ```
//!
//! A path says how many bytes it shares with that of the entry before it, and its own rest. Attributes, trees and bytes in
//! memory are in tables beside the blocks, where each stands once. The path of a file in its tree mostly ends like that in
//! the image: it says how many bytes it shares with the end of that, and what it begins with is written like a path. Each
//! block begins anew, so that entries which are in order are found by a search over blocks.

use std::collections::BTreeMap;
use std::sync::Arc;

use oci::Digest;
use rootfs::{FileTime, Root, RootPath};

use super::{Attributes, Change, ChangeKind, Content, Node, NodeKind};

mod bytes;
mod read;

use bytes::Writer;
use read::Reader;

/// How many entries a block has: to find one, half as many are read.
const BLOCK_ENTRIES: usize = 16;

/// One entry of a list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What is said of which path.
    pub change: Change,
    /// Device and inode number, of a file that has several names.
    pub inode: Option<(u64, u64)>,
}

impl From<Change> for Listed {
    fn from(change: Change) -> Self {
        Self {
            change,
            inode: None,
        }
    }
}

/// A list of changes in little memory.
#[derive(Debug, Clone, Default)]
pub struct ChangeList {
    blocks: Vec<Box<[u8]>>,
    /// The block that is not full.
    open: Writer,
    count: usize,
    /// How many files of it are on disk and have no digest.
    unread: usize,
    last: Option<RootPath>,
    tables: Tables,
}

/// What many entries have in common.
#[derive(Debug, Clone, Default)]
struct Tables {
    attributes: Vec<Attributes>,
    /// Where attributes stand.
    places: BTreeMap<Shared, usize>,
    roots: Vec<Arc<Root>>,
    bytes: Vec<Arc<[u8]>>,
}

/// Owner, group, mode and extended attributes.
type Shared = (u32, u32, u32, BTreeMap<Vec<u8>, Vec<u8>>);

/// The kinds of entries, in the lower bits of their tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Delete,
    Directory,
    OpaqueDirectory,
    /// A file on disk whose digest is not known.
    Unread,
    /// A file on disk with its SHA-256.
    Sha256,
    /// A file on disk with another digest.
    OtherDigest,
    Bytes,
    Symlink,
    HardLink,
    CharDevice,
    BlockDevice,
    Fifo,
}

/// Set in the tag of an entry that has device and inode number.
const HAS_INODE: u8 = 1 << 7;

impl ChangeList {
    /// Returns how many entries there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns how many entries are files on disk whose digest is not known.
    pub fn unread(&self) -> usize {
        self.unread
    }

    /// Returns the path of the last entry.
    pub fn last_path(&self) -> Option<&RootPath> {
        self.last.as_ref()
    }

    /// Adds an entry.
    pub fn push(&mut self, listed: Listed) {
        let Listed { change, inode } = listed;
        let kind = tag_of(&change.kind);
        self.open.byte(kind as u8 | inode.map_or(0, |_| HAS_INODE));
        self.open.path(change.path.as_bytes());
        if let Some((device, number)) = inode {
            self.open.number(device);
            self.open.number(number);
        }
        if let ChangeKind::Put(node) = &change.kind {
            self.put(node, change.path.as_bytes());
        }
        self.unread += usize::from(kind == Kind::Unread);
        self.count += 1;
        self.last = Some(change.path);
        if self.count.is_multiple_of(BLOCK_ENTRIES) {
            self.blocks.push(self.open.take());
        }
    }

    fn put(&mut self, node: &Node, path: &[u8]) {
        let Node { attributes, kind } = node;
        let place = self.tables.attributes(attributes);
        self.open.length(place);
        let FileTime { seconds, nanos } = attributes.mtime;
        self.open.seconds(seconds);
        self.open.number(u64::from(nanos));
        match kind {
            NodeKind::Directory { .. } | NodeKind::Fifo => {}
            NodeKind::File { size, content } => {
                self.open.number(*size);
                self.content(content, path);
            }
            NodeKind::Symlink { target } => self.open.text(target),
            NodeKind::HardLink { target } => self.open.text(target.as_bytes()),
            NodeKind::CharDevice { major, minor } | NodeKind::BlockDevice { major, minor } => {
                self.open.number(u64::from(*major));
                self.open.number(u64::from(*minor));
            }
        }
    }

    fn content(&mut self, content: &Content, path: &[u8]) {
        match content {
            Content::Bytes(bytes) => {
                let place = self.tables.bytes.len();
                self.tables.bytes.push(Arc::clone(bytes));
                self.open.length(place);
            }
            Content::File {
                root,
                path: place,
                expected,
            } => {
                let root = self.tables.root(root);
                self.open.length(root);
                self.open.place(place.as_bytes(), path);
                match expected.as_ref().map(|digest| (digest, digest.to_sha256())) {
                    None => {}
                    Some((_, Some(hash))) => self.open.bytes(&hash),
                    Some((digest, None)) => self.open.text(digest.as_str().as_bytes()),
                }
            }
        }
    }

    /// Returns the entries in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = Listed> + use<'_> {
        self.blocks()
            .flat_map(|block| Reader::new(block, &self.tables))
    }

    /// Returns the first entry.
    pub fn first(&self) -> Option<Listed> {
        self.iter().next()
    }

    /// Hands out the entries and gives the memory of each block back when it has been.
    pub fn drain(self) -> impl Iterator<Item = Listed> {
        let Self {
            blocks,
            mut open,
            tables,
            ..
        } = self;
        let last = open.take();
        let blocks = blocks.into_iter().chain([last]);
        blocks.flat_map(move |block| Reader::new(&block, &tables).collect::<Vec<_>>())
    }

    /// Returns the first entry at a path or behind it, of entries that are in order.
    pub fn at_or_after(&self, path: &RootPath) -> Option<Listed> {
        let is_before = |block: &&[u8]| Reader::new(block, &self.tables).begins_up_to(path);
        let blocks: usize = partition_point(self.blocks.len() + 1, |index| {
            self.block(index).as_ref().is_some_and(is_before)
        });
        (blocks.saturating_sub(1)..=self.blocks.len())
            .filter_map(|index| self.block(index))
            .find_map(|block| Reader::new(block, &self.tables).at_or_after(path))
    }

    /// Returns the entry of a path, of entries that are in order.
    pub fn get(&self, path: &RootPath) -> Option<Listed> {
        self.at_or_after(path)
            .filter(|found| found.change.path == *path)
    }

    /// Hands the paths of all entries to `take`, each with whether it is a directory that hides nothing below it.
    pub(crate) fn for_each_name(&self, mut take: impl FnMut(&[u8], bool)) {
        for block in self.blocks() {
            let mut reader = Reader::new(block, &self.tables);
            while let Some(kind) = reader.next_name() {
                take(reader.path(), kind == Kind::Directory);
            }
        }
    }

    /// Hands the paths of all entries to `take`, each with its owner, mode and extended attributes, but not its time; none
    /// of one that is gone.
    pub fn for_each_attributes<T: FnMut(&[u8], Option<&Attributes>)>(&self, mut take: T) {
        for block in self.blocks() {
            let mut reader = Reader::new(block, &self.tables);
            while reader.read_attributes(&mut take) {}
        }
    }

    fn blocks(&self) -> impl Iterator<Item = &[u8]> {
        (0..=self.blocks.len()).filter_map(|index| self.block(index))
    }

    /// Returns a block; none of an open one that is empty.
    fn block(&self, index: usize) -> Option<&[u8]> {
        match self.blocks.get(index) {
            Some(block) => Some(block),
            None => Some(self.open.written()).filter(|block| !block.is_empty()),
        }
    }
}

impl Extend<Listed> for ChangeList {
    fn extend<I: IntoIterator<Item = Listed>>(&mut self, entries: I) {
        entries.into_iter().for_each(|entry| self.push(entry));
    }
}

impl FromIterator<Listed> for ChangeList {
    fn from_iter<I: IntoIterator<Item = Listed>>(entries: I) -> Self {
        let mut list = Self::default();
        list.extend(entries);
        list
    }
}

/// Returns how many of the first numbers up to `count` are what is asked for.
fn partition_point(count: usize, mut is_so: impl FnMut(usize) -> bool) -> usize {
    let (mut from, mut to) = (0, count);
    while from < to {
        let middle = usize::midpoint(from, to);
        if is_so(middle) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    from
}

impl Tables {
    /// Returns where attributes stand, whatever the time.
    fn attributes(&mut self, attributes: &Attributes) -> usize {
        let key = (
            attributes.uid,
            attributes.gid,
            attributes.mode.bits(),
            attributes.xattrs.clone(),
        );
        let next = self.attributes.len();
        let place = *self.places.entry(key).or_insert(next);
        if place == next {
            self.attributes.push(Attributes {
                mtime: FileTime::default(),
                ..attributes.clone()
            });
        }
        place
    }

    /// Returns where a tree stands. There are few, and mostly it is the last one.
    fn root(&mut self, root: &Arc<Root>) -> usize {
        let place = self
            .roots
            .iter()
            .rposition(|known| Arc::ptr_eq(known, root));
        place.unwrap_or_else(|| {
            self.roots.push(Arc::clone(root));
            self.roots.len() - 1
        })
    }
}

fn tag_of(kind: &ChangeKind) -> Kind {
    let node = match kind {
        ChangeKind::Delete => return Kind::Delete,
        ChangeKind::Put(node) => node,
    };
    match &node.kind {
        NodeKind::Directory { opaque: false } => Kind::Directory,
        NodeKind::Directory { opaque: true } => Kind::OpaqueDirectory,
        NodeKind::File { content, .. } => match content {
            Content::Bytes(_) => Kind::Bytes,
            Content::File { expected, .. } => digest_tag(expected.as_ref()),
        },
        NodeKind::Symlink { .. } => Kind::Symlink,
        NodeKind::HardLink { .. } => Kind::HardLink,
        NodeKind::CharDevice { .. } => Kind::CharDevice,
        NodeKind::BlockDevice { .. } => Kind::BlockDevice,
        NodeKind::Fifo => Kind::Fifo,
    }
}

fn digest_tag(digest: Option<&Digest>) -> Kind {
    match digest.map(Digest::algorithm) {
        None => Kind::Unread,
        Some(oci::digest::Algorithm::Sha256) => Kind::Sha256,
        Some(oci::digest::Algorithm::Sha512) => Kind::OtherDigest,
    }
}

#[cfg(test)]
mod tests;
