//! What one layer says of each path.

mod list;
mod set;

use std::collections::BTreeMap;
use std::sync::Arc;

use oci::Digest;
use rootfs::{FileTime, Mode, Root, RootPath};

use crate::diff::DiffError;

pub use list::{ChangeList, Listed};
pub use set::{ChangeSet, ChangeSetBuilder};

/// What a layer says of one path.
#[derive(Debug, Clone)]
pub struct Change {
    /// The path in the image.
    pub path: RootPath,
    /// What is said of it.
    pub kind: ChangeKind,
}

/// What is said of a path.
#[derive(Debug, Clone)]
pub enum ChangeKind {
    /// This is there now, whatever was.
    Put(Node),
    /// Nothing is there any more.
    Delete,
}

/// An object of a file system.
#[derive(Debug, Clone)]
pub struct Node {
    /// Owner, mode, time and extended attributes.
    pub attributes: Attributes,
    /// What kind of object it is, with what only that kind has.
    pub kind: NodeKind,
}

/// What every object has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The owner, an id of the image.
    pub uid: u32,
    /// The group, an id of the image.
    pub gid: u32,
    /// The permission bits; a symlink's say nothing.
    pub mode: Mode,
    /// The time of the last modification.
    pub mtime: FileTime,
    /// The extended attributes that belong to the image.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// A kind of object.
#[derive(Debug, Clone)]
pub enum NodeKind {
    /// A directory. What is in it are changes of their own.
    Directory {
        /// It hides what the layers below have in it.
        opaque: bool,
    },
    /// A regular file.
    File {
        /// Its size in bytes, which its content has to have.
        size: u64,
        /// Where its bytes are.
        content: Content,
    },
    /// A symbolic link.
    Symlink {
        /// What it says.
        target: Vec<u8>,
    },
    /// Another name of an object that an earlier change of the same set puts.
    HardLink {
        /// The path of that object.
        target: RootPath,
    },
    /// A character device.
    CharDevice {
        /// Which driver.
        major: u32,
        /// Which of its devices.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Which driver.
        major: u32,
        /// Which of its devices.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// Where the bytes of a file are.
#[derive(Debug, Clone)]
pub enum Content {
    /// In a file on disk, read when they are needed.
    File {
        /// The tree that it is in.
        root: Arc<Root>,
        /// Its path there; the last component is not followed.
        path: RootPath,
        /// What it has to hash to when it is read, so that what was decided on is what is used.
        expected: Option<Digest>,
    },
    /// In memory.
    Bytes(Arc<[u8]>),
}

/// A stream of changes, each path once, in the order of [`RootPath`]: a directory before what is in it.
///
/// Who reads it stops at the first error: what comes after one may have gaps.
pub trait Changes: Iterator<Item = Result<Change, DiffError>> {}

impl<I: Iterator<Item = Result<Change, DiffError>>> Changes for I {}
