//! What one layer says of a path.

use rootfs::{FileKind, Owners, Root, RootPath};

use super::{LookedInto, Undecided};
use crate::change::{Attributes, ChangeKind, ChangeSet, NodeKind};
use crate::index::{Indexed, LayerIndex};
use crate::indexer::unsaid;
use crate::node::directory_attributes;
use crate::xattr;

/// What one layer, or all of them, say of a path.
#[derive(Debug, Clone)]
pub(super) enum Said {
    Nothing,
    Gone,
    Directory(Found),
    Link(Vec<u8>),
    Other(FileKind),
}

/// A directory of one layer.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) attributes: Attributes,
    pub(super) opaque: bool,
    pub(super) implied: bool,
}

impl Found {
    pub(super) fn unsaid() -> Self {
        Self {
            attributes: unsaid(),
            opaque: false,
            implied: false,
        }
    }
}

impl LookedInto {
    /// Says what this layer has at a path; what the path leads through are directories of it.
    pub(super) fn at(&self, path: &RootPath) -> Result<Said, Undecided> {
        match self {
            Self::Index(index) => Ok(said_by_index(index, path)),
            Self::Changes(changes) => said_by_changes(changes, path),
            Self::Directory(root, owners) => said_by_directory(root, owners, path),
        }
    }
}

fn said_by_index(index: &LayerIndex, path: &RootPath) -> Said {
    match index.entries.get(path) {
        None => Said::Nothing,
        Some(Indexed::Gone) => Said::Gone,
        Some(Indexed::Directory(directory)) => Said::Directory(Found {
            attributes: directory.attributes.clone(),
            opaque: directory.opaque,
            implied: directory.implied,
        }),
        Some(Indexed::Symlink(target)) => Said::Link(target.clone()),
        Some(Indexed::File(_)) => Said::Other(FileKind::File),
        Some(Indexed::Fifo) => Said::Other(FileKind::Fifo),
    }
}

fn said_by_changes(changes: &ChangeSet, path: &RootPath) -> Result<Said, Undecided> {
    let Some(change) = changes.at_or_after(path) else {
        return Ok(Said::Nothing);
    };
    if change.path != *path {
        // A directory that nothing is said of is made of what is in it.
        let is_above = change.path.starts_with(path);
        return Ok(if is_above {
            Said::Directory(Found::unsaid())
        } else {
            Said::Nothing
        });
    }
    let node = match &change.kind {
        ChangeKind::Delete => return Ok(Said::Gone),
        ChangeKind::Put(node) => node,
    };
    Ok(match &node.kind {
        NodeKind::Directory { opaque } => Said::Directory(Found {
            attributes: node.attributes.clone(),
            opaque: *opaque,
            implied: false,
        }),
        NodeKind::Symlink { target } => Said::Link(target.clone()),
        NodeKind::Fifo => Said::Other(FileKind::Fifo),
        NodeKind::HardLink { target } if target < path => return said_by_changes(changes, target),
        NodeKind::HardLink { .. } => return Err(Undecided),
        NodeKind::File { .. } | NodeKind::CharDevice { .. } | NodeKind::BlockDevice { .. } => {
            Said::Other(FileKind::File)
        }
    })
}

fn said_by_directory(root: &Root, owners: &Owners, path: &RootPath) -> Result<Said, Undecided> {
    let unreadable = |_: rootfs::FsError| Undecided;
    let Some(metadata) = root.metadata(path).map_err(unreadable)? else {
        return Ok(Said::Nothing);
    };
    if metadata.is_whiteout() {
        return Ok(Said::Gone);
    }
    match metadata.kind {
        FileKind::Symlink => Ok(Said::Link(root.read_link(path).map_err(unreadable)?)),
        FileKind::Directory => {
            let attributes = directory_attributes(root, path, owners);
            let attributes = attributes.map_err(|_unreadable| Undecided)?;
            let inode = root.inode(path).map_err(unreadable)?;
            let opaque = xattr::is_opaque(&inode).map_err(unreadable)?;
            Ok(Said::Directory(Found {
                attributes: attributes.ok_or(Undecided)?,
                opaque,
                implied: false,
            }))
        }
        kind => Ok(Said::Other(kind)),
    }
}
