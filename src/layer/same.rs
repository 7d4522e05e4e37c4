//! Whether two upper directories say the same: what a command that ran again has made is compared with what it made
//! before.
//!
//! | Of an object | Compared |
//! | --- | --- |
//! | path, kind, owner, mode, xattrs, size, link target, device number | as they are |
//! | that a name is gone, that a directory hides what is below it, which names are one inode | as they are |
//! | the bytes of a file | as they are, after everything else |
//! | the time of the last modification | as it is, but one within the run of the command only says when it ran |
//!
//! The time rule is that of `SOURCE_DATE_EPOCH`, with the run of each command in the place of the epoch: a command that
//! sets a time (`touch -d`, an archive that is unpacked) is told from one that sets another.

use std::io::{self, Read as _};
use std::sync::Arc;

use rootfs::{File, FileTime, Owners, Root, RootPath};

use crate::change::{Attributes, Change, ChangeKind, Content, Node, NodeKind};
use crate::content::{self, ContentError};
use crate::diff::{DiffError, diff_upper};

/// How many bytes of each file are compared at once.
const CHUNK_BYTES: u64 = 128 * 1024;

/// Two trees that cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The changes cannot be read.
    #[error("read the files to be compared")]
    Changes(#[source] DiffError),
    /// A file cannot be read.
    #[error("compare `{path}`")]
    Content {
        /// The file.
        path: RootPath,
        /// Why not.
        #[source]
        source: ContentError,
    },
}

/// When a command ran: both ends count as its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// No file that it wrote is older.
    pub began: FileTime,
    /// No file that it wrote is newer, unless it set the time.
    pub ended: FileTime,
}

impl Span {
    /// Returns a time that was set, `None` for one that only says when the command ran.
    fn told(self, time: FileTime) -> Option<FileTime> {
        (time < self.began || time > self.ended).then_some(time)
    }
}

/// What a command left.
#[derive(Debug, Clone)]
pub struct Made {
    /// The upper directory.
    pub upper: Arc<Root>,
    /// How the owners of its files are held.
    pub owners: Owners,
    /// When the command ran.
    pub span: Span,
}

/// How much of the objects is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// What `stat` and the directories say.
    Names,
    /// The bytes of files too.
    Bytes,
}

/// Tells whether two commands on the same files have made the same. Files are read only if all else agrees; memory does
/// not grow with their number.
///
/// # Errors
///
/// Fails where a directory or a file cannot be read.
pub fn made_the_same(one: &Made, other: &Made) -> Result<bool, CompareError> {
    Ok(compare(one, other, Depth::Names)? && compare(one, other, Depth::Bytes)?)
}

fn compare(one: &Made, other: &Made, depth: Depth) -> Result<bool, CompareError> {
    let stream = |made: &Made| diff_upper(Arc::clone(&made.upper), made.owners.clone());
    let mut ours = stream(one).map_err(CompareError::Changes)?;
    let mut theirs = stream(other).map_err(CompareError::Changes)?;
    loop {
        let next = (ours.next().transpose(), theirs.next().transpose());
        let (ours, theirs) = match (
            next.0.map_err(CompareError::Changes)?,
            next.1.map_err(CompareError::Changes)?,
        ) {
            (None, None) => return Ok(true),
            (Some(ours), Some(theirs)) => (ours, theirs),
            (Some(_), None) | (None, Some(_)) => return Ok(false),
        };
        if !is_same_change((&ours, one.span), (&theirs, other.span), depth)? {
            return Ok(false);
        }
    }
}

fn is_same_change(
    (one, one_span): (&Change, Span),
    (other, other_span): (&Change, Span),
    depth: Depth,
) -> Result<bool, CompareError> {
    if one.path != other.path {
        return Ok(false);
    }
    match (&one.kind, &other.kind) {
        (ChangeKind::Delete, ChangeKind::Delete) => Ok(true),
        (ChangeKind::Put(ours), ChangeKind::Put(theirs)) => {
            let same = is_same_node(ours, theirs)
                && one_span.told(ours.attributes.mtime) == other_span.told(theirs.attributes.mtime);
            match depth {
                Depth::Bytes if same => has_same_bytes(&one.path, &ours.kind, &theirs.kind),
                Depth::Names | Depth::Bytes => Ok(same),
            }
        }
        (ChangeKind::Delete, ChangeKind::Put(_)) | (ChangeKind::Put(_), ChangeKind::Delete) => {
            Ok(false)
        }
    }
}

/// Compares all but times and bytes.
fn is_same_node(one: &Node, other: &Node) -> bool {
    let (ours, theirs) = (&one.attributes, &other.attributes);
    // The mode of a symbolic link says nothing.
    let is_link = matches!(one.kind, NodeKind::Symlink { .. });
    let mode = |attributes: &Attributes| (!is_link).then_some(attributes.mode);
    (ours.uid, ours.gid, mode(ours)) == (theirs.uid, theirs.gid, mode(theirs))
        && ours.xattrs == theirs.xattrs
        && is_same_kind(&one.kind, &other.kind)
}

fn is_same_kind(one: &NodeKind, other: &NodeKind) -> bool {
    match (one, other) {
        (NodeKind::Directory { opaque: ours }, NodeKind::Directory { opaque: theirs }) => {
            ours == theirs
        }
        (NodeKind::File { size: ours, .. }, NodeKind::File { size: theirs, .. }) => ours == theirs,
        (NodeKind::Symlink { target: ours }, NodeKind::Symlink { target: theirs }) => {
            ours == theirs
        }
        (NodeKind::HardLink { target: ours }, NodeKind::HardLink { target: theirs }) => {
            ours == theirs
        }
        (
            NodeKind::CharDevice { major, minor },
            NodeKind::CharDevice {
                major: other_major,
                minor: other_minor,
            },
        )
        | (
            NodeKind::BlockDevice { major, minor },
            NodeKind::BlockDevice {
                major: other_major,
                minor: other_minor,
            },
        ) => (major, minor) == (other_major, other_minor),
        (NodeKind::Fifo, NodeKind::Fifo) => true,
        _ => false,
    }
}

fn has_same_bytes(path: &RootPath, one: &NodeKind, other: &NodeKind) -> Result<bool, CompareError> {
    let (
        NodeKind::File { content: ours, .. },
        NodeKind::File {
            content: theirs, ..
        },
    ) = (one, other)
    else {
        return Ok(true);
    };
    let failed = |source| CompareError::Content {
        path: path.clone(),
        source,
    };
    match (ours, theirs) {
        (Content::Bytes(ours), Content::Bytes(theirs)) => Ok(ours == theirs),
        (
            Content::File { root, path, .. },
            Content::File {
                root: other_root,
                path: other_path,
                ..
            },
        ) => {
            let ours = content::open(root, path).map_err(failed)?;
            let theirs = content::open(other_root, other_path).map_err(failed)?;
            is_same_file(&ours, &theirs).map_err(|source| failed(ContentError::Read(source)))
        }
        (Content::Bytes(_), Content::File { .. }) | (Content::File { .. }, Content::Bytes(_)) => {
            Ok(false)
        }
    }
}

pub(crate) fn is_same_file(one: &File, other: &File) -> io::Result<bool> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    loop {
        for (mut file, chunk) in [(one, &mut ours), (other, &mut theirs)] {
            chunk.clear();
            file.by_ref().take(CHUNK_BYTES).read_to_end(chunk)?;
        }
        if ours != theirs {
            return Ok(false);
        }
        if ours.is_empty() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
#[path = "same_tests.rs"]
mod tests;
