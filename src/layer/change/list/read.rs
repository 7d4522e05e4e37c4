//! The entries of one block, read back.

use std::sync::Arc;

use oci::Digest;
use rootfs::{FileTime, RootPath};

use super::{HAS_INODE, Kind, Listed, Tables};
use crate::change::{Attributes, Change, ChangeKind, Content, Node, NodeKind};

/// What holds of all that is read: [`super::ChangeList`] alone writes blocks.
const WRITTEN: &str = "a block has what was written to it";

/// Reads the entries of a block.
pub(super) struct Reader<'a> {
    left: &'a [u8],
    tables: &'a Tables,
    path: Vec<u8>,
    start: Vec<u8>,
    seconds: i64,
    inode: Option<(u64, u64)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(block: &'a [u8], tables: &'a Tables) -> Self {
        Self {
            left: block,
            tables,
            path: Vec::new(),
            start: Vec::new(),
            seconds: 0,
            inode: None,
        }
    }

    /// Tells whether the first entry is at a path or before it.
    pub(super) fn begins_up_to(mut self, path: &RootPath) -> bool {
        self.head().is_some() && self.compares(path).is_le()
    }

    /// Returns the first entry at a path or behind it.
    pub(super) fn at_or_after(mut self, path: &RootPath) -> Option<Listed> {
        while let Some(kind) = self.head() {
            if self.compares(path).is_ge() {
                return Some(self.entry(kind));
            }
            self.pass(kind);
        }
        None
    }

    /// Goes to the next entry, of which only [`Reader::path`] is read.
    pub(super) fn next_name(&mut self) -> Option<Kind> {
        let kind = self.head()?;
        self.pass(kind);
        Some(kind)
    }

    /// Goes to the next entry, and hands its path, owner, mode and extended attributes to `take`; none of these of one that
    /// is gone. Tells whether there was one.
    pub(super) fn read_attributes(
        &mut self,
        take: &mut impl FnMut(&[u8], Option<&Attributes>),
    ) -> bool {
        let Some(kind) = self.head() else {
            return false;
        };
        let rest = self.left;
        let attributes = (kind != Kind::Delete).then(|| {
            let place = self.length();
            &self.tables.attributes[place]
        });
        take(&self.path, attributes);
        self.left = rest;
        self.pass(kind);
        true
    }

    /// Returns the path of the entry that was read last.
    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    fn compares(&self, other: &RootPath) -> std::cmp::Ordering {
        rootfs::compare_paths(&self.path, other.as_bytes())
    }

    fn root_path(&self) -> RootPath {
        RootPath::from_normal(self.path.clone())
    }

    /// Reads the tag, the path and the inode.
    fn head(&mut self) -> Option<Kind> {
        if self.left.is_empty() {
            return None;
        }
        let tag = self.byte();
        let shared = self.length();
        self.path.truncate(shared);
        let rest = self.text();
        self.path.extend_from_slice(rest);
        self.inode = (tag & HAS_INODE != 0).then(|| (self.number(), self.number()));
        Some(kind_of(tag & !HAS_INODE))
    }

    /// Passes over what comes after the head.
    fn pass(&mut self, kind: Kind) {
        if kind == Kind::Delete {
            return;
        }
        self.length();
        self.time();
        match kind {
            Kind::Unread | Kind::Sha256 | Kind::OtherDigest => {
                self.number();
                self.length();
                self.place();
                match kind {
                    Kind::Sha256 => {
                        self.bytes(32);
                    }
                    Kind::OtherDigest => {
                        self.text();
                    }
                    _ => {}
                }
            }
            Kind::Bytes | Kind::CharDevice | Kind::BlockDevice => {
                self.number();
                self.number();
            }
            Kind::Symlink | Kind::HardLink => {
                self.text();
            }
            Kind::Delete | Kind::Directory | Kind::OpaqueDirectory | Kind::Fifo => {}
        }
    }

    fn entry(&mut self, kind: Kind) -> Listed {
        let path = self.root_path();
        let inode = self.inode;
        let kind = if kind == Kind::Delete {
            ChangeKind::Delete
        } else {
            ChangeKind::Put(self.node(kind, &path))
        };
        Listed {
            change: Change { path, kind },
            inode,
        }
    }

    fn node(&mut self, kind: Kind, path: &RootPath) -> Node {
        let place = self.length();
        let mtime = self.time();
        let attributes = Attributes {
            mtime,
            ..self.tables.attributes[place].clone()
        };
        let kind = match kind {
            Kind::Delete | Kind::Directory => NodeKind::Directory { opaque: false },
            Kind::OpaqueDirectory => NodeKind::Directory { opaque: true },
            Kind::Unread | Kind::Sha256 | Kind::OtherDigest | Kind::Bytes => NodeKind::File {
                size: self.number(),
                content: self.content(kind, path),
            },
            Kind::Symlink => NodeKind::Symlink {
                target: self.text().to_vec(),
            },
            Kind::HardLink => NodeKind::HardLink {
                target: RootPath::from_normal(self.text().to_vec()),
            },
            Kind::CharDevice => NodeKind::CharDevice {
                major: self.half(),
                minor: self.half(),
            },
            Kind::BlockDevice => NodeKind::BlockDevice {
                major: self.half(),
                minor: self.half(),
            },
            Kind::Fifo => NodeKind::Fifo,
        };
        Node { attributes, kind }
    }

    fn content(&mut self, kind: Kind, path: &RootPath) -> Content {
        let place = self.length();
        if kind == Kind::Bytes {
            return Content::Bytes(Arc::clone(&self.tables.bytes[place]));
        }
        let end = self.place();
        let end = &path.as_bytes()[path.as_bytes().len() - end..];
        let path = [&self.start, end].concat();
        let expected = match kind {
            Kind::Sha256 => {
                let hash = self.bytes(32).try_into().expect(WRITTEN);
                Some(Digest::from_sha256(hash))
            }
            Kind::OtherDigest => {
                let text = std::str::from_utf8(self.text()).expect(WRITTEN);
                Some(Digest::parse(text).expect(WRITTEN))
            }
            _ => None,
        };
        Content::File {
            root: Arc::clone(&self.tables.roots[place]),
            path: RootPath::from_normal(path),
            expected,
        }
    }

    /// Reads how a place begins, and returns how much of the end it shares with the path.
    fn place(&mut self) -> usize {
        let end = self.length();
        let shared = self.length();
        self.start.truncate(shared);
        let rest = self.text();
        self.start.extend_from_slice(rest);
        end
    }

    fn time(&mut self) -> FileTime {
        let more = self.number();
        let more = (more >> 1).cast_signed() ^ -((more & 1).cast_signed());
        self.seconds = self.seconds.wrapping_add(more);
        FileTime {
            seconds: self.seconds,
            nanos: self.half(),
        }
    }

    fn byte(&mut self) -> u8 {
        let (byte, left) = self.left.split_first().expect(WRITTEN);
        self.left = left;
        *byte
    }

    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, left) = self.left.split_at(count);
        self.left = left;
        bytes
    }

    fn text(&mut self) -> &'a [u8] {
        let length = self.length();
        self.bytes(length)
    }

    fn number(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    }

    fn length(&mut self) -> usize {
        usize::try_from(self.number()).expect(WRITTEN)
    }

    fn half(&mut self) -> u32 {
        u32::try_from(self.number()).expect(WRITTEN)
    }
}

impl Iterator for Reader<'_> {
    type Item = Listed;

    fn next(&mut self) -> Option<Listed> {
        let kind = self.head()?;
        Some(self.entry(kind))
    }
}

fn kind_of(tag: u8) -> Kind {
    const KINDS: [Kind; 12] = [
        Kind::Delete,
        Kind::Directory,
        Kind::OpaqueDirectory,
        Kind::Unread,
        Kind::Sha256,
        Kind::OtherDigest,
        Kind::Bytes,
        Kind::Symlink,
        Kind::HardLink,
        Kind::CharDevice,
        Kind::BlockDevice,
        Kind::Fifo,
    ];
    KINDS[usize::from(tag)]
}
