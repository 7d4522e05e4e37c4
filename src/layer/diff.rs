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
//!
//! Names are read in order by whoever asks for changes; of a large tree the objects behind them are looked at by rayon's
//! threads, a batch at a time, since the kernel takes longer to answer for them than all else of a layer of small files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::{iter, vec};

use rayon::iter::{IndexedParallelIterator as _, IntoParallelIterator as _, ParallelIterator as _};
use rootfs::{FileKind, FsError, Metadata, NamedEntry, Owners, Root, RootPath, Walk};

use crate::change::{Change, ChangeKind, Node, NodeKind};
use crate::node;

/// How many objects are looked at together. Each may hold a directory open; fewer are not worth a thread.
const BATCH: usize = 128;

/// The fewest objects that one thread takes of a batch.
const SHARE: usize = 16;

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
    /// What was looked at and not yet asked for.
    looked: vec::IntoIter<Result<Looked, DiffError>>,
    /// The first path of each inode that has several.
    links: BTreeMap<(u64, u64), RootPath>,
}

/// An object that was looked at.
#[derive(Debug)]
struct Looked {
    path: RootPath,
    metadata: Metadata,
    object: Object,
}

/// What an object is to a layer.
#[derive(Debug)]
enum Object {
    Whiteout,
    Node(Node),
    /// No tar can hold it.
    Socket,
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
        looked: Vec::new().into_iter(),
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
    /// Looks at the next objects; there are none at the end.
    fn look_ahead(
        &self,
        names: Vec<Result<NamedEntry, FsError>>,
    ) -> Vec<Result<Looked, DiffError>> {
        let look = |name| self.look(name);
        if names.len() < BATCH {
            return names.into_iter().map(look).collect();
        }
        let names = names.into_par_iter().with_min_len(SHARE);
        names.map(look).collect()
    }

    /// Looks at one object, on whatever thread.
    fn look(&self, name: Result<NamedEntry, FsError>) -> Result<Looked, DiffError> {
        let entry = name.and_then(NamedEntry::look);
        let entry = entry.map_err(|source| walk_error(&self.upper, source))?;
        let object = if entry.metadata.is_whiteout() {
            Object::Whiteout
        } else {
            node::stored_node(&self.upper, &entry, &self.owners)?
                .map_or(Object::Socket, Object::Node)
        };
        Ok(Looked {
            path: entry.path,
            metadata: entry.metadata,
            object,
        })
    }

    /// Returns the change that an object is, `None` for a socket.
    fn change(&mut self, looked: Looked) -> Option<Change> {
        let Looked {
            path,
            metadata,
            object,
        } = looked;
        let kind = match object {
            Object::Socket => return None,
            Object::Whiteout => ChangeKind::Delete,
            Object::Node(mut node) => {
                if let Some(link) = self.first_name(&path, &metadata) {
                    node.kind = link;
                }
                ChangeKind::Put(node)
            }
        };
        Some(Change { path, kind })
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
            let Some(looked) = self.looked.next() else {
                let names = iter::from_fn(|| self.walk.next_name().transpose());
                let names: Vec<_> = names.take(BATCH).collect();
                if names.is_empty() {
                    return None;
                }
                self.looked = self.look_ahead(names).into_iter();
                continue;
            };
            match looked {
                Ok(looked) => {
                    if let Some(change) = self.change(looked) {
                        return Some(Ok(change));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
