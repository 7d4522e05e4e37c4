//! The upper directory of an overlay → changes.
//!
//! | In the directory | Change |
//! | --- | --- |
//! | character device 0:0 | the path is gone |
//! | `user.overlay.opaque` = `y` on a directory | an opaque directory |
//! | a placeholder with a record of a device | that device |
//! | a second name of an inode | a hard link to the first one |
//! | a socket | none: a tar cannot hold it |
//!
//! The top directory itself is no change, as for BuildKit.

use std::collections::BTreeMap;
use std::sync::Arc;

use rootfs::{Entry, FileKind, FsError, Metadata, Owners, Root, RootPath, Walk};

use crate::change::{Change, ChangeKind, NodeKind};
use crate::node;

/// A tree that cannot be read as changes.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// The tree cannot be walked.
    #[error("read the tree at `{}`", shown.display())]
    Walk {
        /// The tree.
        shown: std::path::PathBuf,
        /// Why not.
        #[source]
        source: FsError,
    },
    /// One object cannot be read.
    #[error("read `{}` of the image", path.absolute())]
    Read {
        /// The object.
        path: RootPath,
        /// Why not.
        #[source]
        source: FsError,
    },
    /// An object is of a kind that a tree of ours never has.
    #[error("`{}` of the image is a device node, which are never made here", path.absolute())]
    RealDevice {
        /// The object.
        path: RootPath,
    },
}

/// The changes that an overlay's upper directory holds, read while they are asked for.
#[derive(Debug)]
pub struct UpperDiff {
    upper: Arc<Root>,
    owners: Owners,
    walk: Walk,
    /// The first path of each inode that has several.
    links: BTreeMap<(u64, u64), RootPath>,
}

/// Starts reading the changes that the upper directory of an overlay holds, in the order of a walk.
///
/// # Errors
///
/// Fails where the directory cannot be read.
pub fn diff_upper(upper: Arc<Root>, owners: Owners) -> Result<UpperDiff, DiffError> {
    let walk = upper.walk().map_err(|source| walk_error(&upper, source))?;
    Ok(UpperDiff {
        upper,
        owners,
        walk,
        links: BTreeMap::new(),
    })
}

fn walk_error(upper: &Root, source: FsError) -> DiffError {
    DiffError::Walk {
        shown: upper.shown().to_owned(),
        source,
    }
}

impl UpperDiff {
    /// Returns the change that an object is, `None` for a socket.
    fn change(&mut self, entry: &Entry) -> Result<Option<Change>, DiffError> {
        let path = entry.path.clone();
        if entry.metadata.is_whiteout() {
            return Ok(Some(Change {
                path,
                kind: ChangeKind::Delete,
            }));
        }
        let Some(mut node) = node::stored_node(&self.upper, entry, &self.owners)? else {
            return Ok(None);
        };
        if let Some(link) = self.first_name(&path, &entry.metadata) {
            node.kind = link;
        }
        Ok(Some(Change {
            path,
            kind: ChangeKind::Put(node),
        }))
    }

    /// Returns a link to the first name of an inode, `None` where this is the first or only one.
    fn first_name(&mut self, path: &RootPath, metadata: &Metadata) -> Option<NodeKind> {
        if metadata.nlink < 2 || metadata.kind == FileKind::Directory {
            return None;
        }
        let inode = (metadata.dev, metadata.ino);
        if let Some(first) = self.links.get(&inode) {
            return Some(NodeKind::HardLink {
                target: first.clone(),
            });
        }
        self.links.insert(inode, path.clone());
        None
    }
}

impl Iterator for UpperDiff {
    type Item = Result<Change, DiffError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = match self.walk.next()? {
                Ok(entry) => entry,
                Err(source) => return Some(Err(walk_error(&self.upper, source))),
            };
            if let Some(change) = self.change(&entry).transpose() {
                return Some(change);
            }
        }
    }
}
