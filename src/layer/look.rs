//! Looking names up in a stack of layers of which not all are directories: as overlayfs would find them.

use std::sync::Arc;

use rootfs::{FileKind, Owners, Root, RootPath, TABLE_LIMIT_BYTES, Way};

use crate::change::{Attributes, Change, ChangeKind, ChangeSet, NodeKind};
use crate::index::{Indexed, LayerIndex};
use crate::indexer::unsaid;
use crate::node::directory_attributes;
use crate::xattr;

/// The layers cannot be looked into without directories of them: something is not known, or is in the way. Whoever
/// needs the answer, or the words of the error, makes the directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not to be known without the files of the layers")]
pub struct Undecided;

/// A layer that is looked into.
#[derive(Debug, Clone)]
pub enum LookedInto {
    /// A layer of which there is an index.
    Index(Arc<LayerIndex>),
    /// A layer that is made of files which are elsewhere.
    Changes(Arc<ChangeSet>),
    /// A layer that is a directory, settled onto those below it.
    Directory(Arc<Root>, Owners),
}

/// What one layer, or all of them, say of a path.
#[derive(Debug, Clone)]
enum Said {
    Nothing,
    Gone,
    Directory(Found),
    Link(Vec<u8>),
    Other(FileKind),
}

/// A directory of one layer.
#[derive(Debug, Clone)]
struct Found {
    attributes: Attributes,
    opaque: bool,
    implied: bool,
}

/// A stack of layers that names are looked up in.
#[derive(Debug)]
pub struct Lookups {
    /// The lowest first.
    layers: Vec<LookedInto>,
}

impl Lookups {
    /// Takes the layers, the lowest first.
    ///
    /// # Errors
    ///
    /// Fails where a layer has files below what is no directory in the layers below it, which has to be settled.
    pub fn new(layers: Vec<LookedInto>) -> Result<Self, Undecided> {
        let lookups = Self { layers };
        for (count, layer) in lookups.layers.iter().enumerate() {
            let LookedInto::Index(index) = layer else {
                continue;
            };
            for path in index.implied() {
                match lookups.look_below(count, path)? {
                    Said::Nothing | Said::Gone | Said::Directory(_) => {}
                    Said::Link(_) | Said::Other(_) => return Err(Undecided),
                }
            }
        }
        Ok(lookups)
    }

    /// Returns the kind of what is at a path; the last component is not followed.
    ///
    /// # Errors
    ///
    /// Fails where that cannot be known.
    pub fn kind(&self, path: &RootPath) -> Result<Option<FileKind>, Undecided> {
        let real = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => self.resolve(&parent)?.child(name),
            _ => return Ok(Some(FileKind::Directory)),
        };
        Ok(match self.look(&real.map_err(|_too_long| Undecided)?)? {
            Said::Nothing | Said::Gone => None,
            Said::Directory(_) => Some(FileKind::Directory),
            Said::Link(_) => Some(FileKind::Symlink),
            Said::Other(kind) => Some(kind),
        })
    }

    /// Returns the path that a path leads to, without symbolic links, the last component's included. What does not
    /// exist is appended as it stands.
    ///
    /// # Errors
    ///
    /// Fails where that cannot be known, and where the path leads nowhere.
    pub fn resolve(&self, path: &RootPath) -> Result<RootPath, Undecided> {
        let real = rootfs::follow(path, |path| {
            self.look(path).map(|said| match said {
                Said::Link(target) => Way::Link(target),
                Said::Other(_) => Way::Blocked,
                Said::Nothing | Said::Gone | Said::Directory(_) => Way::Open,
            })
        });
        real.map_err(|_nowhere| Undecided)
    }

    /// Returns the attributes of a directory; none if there is no directory at the path, which no link leads to.
    ///
    /// # Errors
    ///
    /// Fails where that cannot be known.
    pub fn directory(&self, path: &RootPath) -> Result<Option<Attributes>, Undecided> {
        // What the top is like depends on how the layers are put together.
        if path.is_root()
            || self.resolve(&path.parent().unwrap_or_default())?
                != path.parent().unwrap_or_default()
        {
            return Err(Undecided);
        }
        Ok(match self.look(path)? {
            Said::Directory(found) => Some(found.attributes),
            Said::Nothing | Said::Gone | Said::Link(_) | Said::Other(_) => None,
        })
    }

    /// Reads a small file, following links; none where there is nothing.
    ///
    /// # Errors
    ///
    /// Fails where its bytes are not known.
    pub fn read(&self, path: &RootPath) -> Result<Option<Vec<u8>>, Undecided> {
        let real = self.resolve(path)?;
        match self.look(&real)? {
            Said::Nothing | Said::Gone => return Ok(None),
            Said::Other(FileKind::File) => {}
            Said::Directory(_) | Said::Link(_) | Said::Other(_) => return Err(Undecided),
        }
        let holds = |layer: &&LookedInto| matches!(layer.at(&real), Ok(Said::Other(_)));
        match self.layers.iter().rev().find(holds) {
            Some(LookedInto::Index(index)) => match index.entries.get(&real) {
                Some(Indexed::File(Some(bytes))) => Ok(Some(bytes.to_vec())),
                _ => Err(Undecided),
            },
            Some(LookedInto::Directory(root, _)) => root
                .read_to_end_limited(&real, TABLE_LIMIT_BYTES)
                .map_err(|_unreadable| Undecided),
            Some(LookedInto::Changes(_)) | None => Err(Undecided),
        }
    }

    fn look(&self, path: &RootPath) -> Result<Said, Undecided> {
        self.look_below(self.layers.len(), path)
    }

    /// Says what the lowest `count` layers have at a path to which no link leads.
    fn look_below(&self, count: usize, path: &RootPath) -> Result<Said, Undecided> {
        let mut seen: Vec<_> = self.layers[..count].iter().rev().collect();
        let mut said = Said::Directory(Found::unsaid());
        for at in path
            .ancestors()
            .filter(|at| !at.is_root())
            .chain([path.clone()])
        {
            if at.is_root() {
                break;
            }
            let Said::Directory(_) = said else {
                return Ok(Said::Nothing);
            };
            (said, seen) = merged(&seen, &at)?;
        }
        Ok(said)
    }
}

/// Says what layers, the uppermost first, have at a path, and which of them have something below it that is seen.
fn merged<'l>(
    layers: &[&'l LookedInto],
    at: &RootPath,
) -> Result<(Said, Vec<&'l LookedInto>), Undecided> {
    let mut result: Option<Found> = None;
    let mut seen = Vec::new();
    let mut is_hidden = false;
    for layer in layers {
        match layer.at(at)? {
            Said::Nothing => {}
            Said::Directory(found) => {
                if !is_hidden {
                    seen.push(*layer);
                }
                is_hidden |= found.opaque;
                result = Some(match result {
                    Some(above) if !above.implied => above,
                    // Of a directory that nothing is said of above, what is below counts.
                    Some(_) | None => found,
                });
                if is_hidden && result.as_ref().is_some_and(|found| !found.implied) {
                    break;
                }
            }
            other if result.is_none() => return Ok((other, Vec::new())),
            Said::Gone | Said::Link(_) | Said::Other(_) => break,
        }
    }
    Ok((result.map_or(Said::Nothing, Said::Directory), seen))
}

impl Found {
    fn unsaid() -> Self {
        Self {
            attributes: unsaid(),
            opaque: false,
            implied: false,
        }
    }
}

impl LookedInto {
    /// Says what this layer has at a path; what the path leads through are directories of it.
    fn at(&self, path: &RootPath) -> Result<Said, Undecided> {
        match self {
            Self::Index(index) => Ok(said_by_index(index, path)),
            Self::Changes(changes) => said_by_changes(changes.as_slice(), path),
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

fn said_by_changes(changes: &[Change], path: &RootPath) -> Result<Said, Undecided> {
    let place = changes.partition_point(|change| change.path < *path);
    let Some(change) = changes.get(place) else {
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
            let opaque = inode.xattr(xattr::OPAQUE).map_err(unreadable)?;
            Ok(Said::Directory(Found {
                attributes: attributes.ok_or(Undecided)?,
                opaque: opaque.is_some_and(|value| value == xattr::OPAQUE_VALUE),
                implied: false,
            }))
        }
        kind => Ok(Said::Other(kind)),
    }
}
