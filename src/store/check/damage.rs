//! What can be wrong with a store, and what is done about it.

use std::fmt;

use oci::{Digest, VerifyError};

use crate::name::SnapshotId;

/// A part of a store.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Part {
    /// A directory of the store itself.
    Directory,
    /// A blob.
    Blob,
    /// The files that layers and steps left.
    Snapshot,
    /// What a key led to.
    Record,
    /// A cache of `RUN --mount=type=cache`.
    Cache,
    /// A list of manifests.
    List,
    /// What makes builds faster.
    Hint,
    /// What a build keeps.
    Lease,
    /// What was not finished or not removed.
    Leftover,
    /// The list of the images.
    Index,
    /// An image that has a name, or is kept without one.
    Image,
}

impl Part {
    /// Returns one word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Blob => "blob",
            Self::Snapshot => "snapshot",
            Self::Record => "record",
            Self::Cache => "cache",
            Self::List => "list",
            Self::Hint => "hint",
            Self::Lease => "lease",
            Self::Leftover => "leftover",
            Self::Index => "index",
            Self::Image => "image",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong with an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wrong {
    /// Its name is none that careen gives.
    Name,
    /// It is something else than it should be.
    Kind,
    /// It cannot be read; what the kernel said.
    Unreadable(String),
    /// Others may change or read it, or its owner may not read it.
    Mode(u32),
    /// Its bytes are others than its name says.
    Bytes(VerifyError),
    /// It does not say what it should, or was changed or cut off.
    Damaged,
    /// It has no mark that says that it is complete.
    NoMark,
    /// Its files are gone.
    NoFiles,
    /// The snapshot below it is gone.
    NoParent(SnapshotId),
    /// Files of it are others than its layer says.
    Files {
        /// The first of them, a path in the image.
        first: String,
        /// How many more there are.
        others: usize,
    },
    /// Files that are damaged may have second names in it.
    Shares(SnapshotId),
    /// Nobody has it any more.
    Abandoned,
    /// It needs a blob that is not there.
    Lacks(Digest),
    /// It needs a blob that is damaged.
    Needs(Digest),
    /// It needs a blob that has another size.
    Size {
        /// The blob.
        digest: Digest,
        /// The size that it should have, in bytes.
        expected_bytes: u64,
        /// The size that it has, in bytes.
        found_bytes: u64,
    },
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("its name is none of careen's"),
            Self::Kind => f.write_str("it is something else"),
            Self::Unreadable(error) => write!(f, "it cannot be read: {error}"),
            Self::Mode(mode) => write!(f, "its mode is {mode:04o}"),
            Self::Bytes(error) => write!(f, "{error}"),
            Self::Damaged => f.write_str("it was changed or cut off"),
            Self::NoMark => f.write_str("it has no intact mark that it is complete"),
            Self::NoFiles => f.write_str("its files are gone"),
            Self::NoParent(id) => write!(f, "the snapshot `{id}` below it is gone"),
            Self::Files { first, others: 0 } => {
                write!(f, "its file `{first}` is not as its layer says")
            }
            Self::Files { first, others } => write!(
                f,
                "its file `{first}` is not as its layer says, and {others} more are not"
            ),
            Self::Shares(id) => write!(f, "it may have files of `{id}`, which is damaged"),
            Self::Abandoned => f.write_str("nobody has it any more"),
            Self::Lacks(digest) => write!(f, "it needs `{digest}`, which is not there"),
            Self::Needs(digest) => write!(f, "it needs `{digest}`, which is damaged"),
            Self::Size {
                digest,
                expected_bytes,
                found_bytes,
            } => write!(
                f,
                "it needs `{digest}` with {expected_bytes} bytes, which has {found_bytes}"
            ),
        }
    }
}

/// What was done about damage.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mended {
    /// It is removed; who needs it makes or fetches it again.
    Removed,
    /// Its mode is what it should be.
    ModeSet,
    /// The image is not in the list any more; it has to be pulled or built again.
    Untagged,
    /// The list has the images that are there, without their names.
    Listed,
}

impl fmt::Display for Mended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Removed => "removed",
            Self::ModeSet => "mode set",
            Self::Untagged => "name taken away",
            Self::Listed => "images listed anew, without names",
        })
    }
}

/// Something in the store that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Damage {
    /// What it is.
    pub part: Part,
    /// Where it is: a path below the store, or the name of an image.
    pub place: String,
    /// What is wrong with it.
    pub wrong: Wrong,
    /// What was done about it; nothing where nothing was wanted, or could be done.
    pub mended: Option<Mended>,
    /// Why nothing could be done.
    pub why_not: Option<String>,
}
