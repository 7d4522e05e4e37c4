//! A directory → its index. Others may change the directory meanwhile.
//!
//! What is gone when it is looked at was not there. A file that changes while it is hashed is hashed again, and left
//! out in the end: an index never says of a file what it was not.

use std::collections::BTreeMap;
use std::sync::Arc;

use oci::Digest;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use rootfs::{Entry, FileKind, FileTime, FsError, Metadata, Owners, Root, RootPath};

use super::index::{StashEntry, StashIndex, StashObject};
use super::note::StashNote;
use crate::change::{Attributes, NodeKind};
use crate::content::{self, ContentError};
use crate::diff::DiffError;
use crate::limits::STASH_ENTRIES_MAX;
use crate::node;

/// How often a file that changes is hashed.
const TRIES: usize = 3;

/// A directory that cannot be read as a stash.
#[derive(Debug, thiserror::Error)]
pub enum StashScanError {
    /// It cannot be walked.
    #[error("read the files of a cache mount")]
    Walk(#[source] FsError),
    /// One object cannot be read.
    #[error("read the files of a cache mount")]
    Object(#[source] DiffError),
    /// A file cannot be hashed.
    #[error("hash `{}` of a cache mount", path.absolute())]
    Hash {
        /// The file.
        path: RootPath,
        /// Why not.
        #[source]
        source: ContentError,
    },
    /// There is more than one index holds.
    #[error("a cache mount has more than {STASH_ENTRIES_MAX} files and directories")]
    TooLarge,
    /// Its top is no directory.
    #[error("the cache mount is no directory")]
    NoDirectory,
}

/// A directory that was read.
#[derive(Debug, Clone, Default)]
pub struct StashScan {
    /// Everything in it. In which packs files are is not known yet.
    pub index: StashIndex,
    /// What files hashed to, for the next time.
    pub note: StashNote,
    /// What is in no stash: devices, sockets, and files that changed all the time.
    pub left_out: Vec<RootPath>,
}

/// Reads a directory. `note` is what is known of it, and `now` the time before this call.
///
/// # Errors
///
/// Fails where something that is there cannot be read, or there is too much.
pub fn scan(
    root: &Arc<Root>,
    owners: &Owners,
    note: &StashNote,
    now: FileTime,
) -> Result<StashScan, StashScanError> {
    let mut found = Found::default();
    found.walk(root, owners)?;
    let top = node::directory_attributes(root, &RootPath::root(), owners);
    let top = top.map_err(StashScanError::Object)?;
    let mut scan = StashScan {
        left_out: found.left_out,
        ..StashScan::default()
    };
    let entry = StashEntry {
        attributes: top.ok_or(StashScanError::NoDirectory)?,
        object: StashObject::Directory,
    };
    scan.index.entries.insert(RootPath::root(), entry);
    for object in hash_all(root, note, found.objects)? {
        scan.take(object, now);
    }
    Ok(scan)
}

/// An object that was found.
struct Object {
    path: RootPath,
    attributes: Attributes,
    kind: Kind,
}

/// What kind of object it is.
enum Kind {
    /// A file, and what it was when it was found.
    File(Metadata),
    /// One of which everything is known.
    Known(StashObject),
    /// A file that was hashed.
    Hashed(Hashed),
    /// A file that changed all the time.
    Unsteady,
    /// Something that is gone.
    Gone,
}

/// A file that was hashed.
struct Hashed {
    metadata: Metadata,
    digest: Digest,
    /// It is what an earlier note says.
    is_remembered: bool,
}

#[derive(Default)]
struct Found {
    objects: Vec<Object>,
    left_out: Vec<RootPath>,
    /// The first path of each inode that has several.
    links: BTreeMap<(u64, u64), RootPath>,
}

impl Found {
    fn walk(&mut self, root: &Arc<Root>, owners: &Owners) -> Result<(), StashScanError> {
        for entry in root.walk().map_err(StashScanError::Walk)? {
            match entry {
                Ok(entry) => self.entry(root, &entry, owners)?,
                Err(error) if is_gone(&error) => continue,
                Err(error) => return Err(StashScanError::Walk(error)),
            }
            if self.objects.len() as u64 >= STASH_ENTRIES_MAX {
                return Err(StashScanError::TooLarge);
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        root: &Arc<Root>,
        entry: &Entry,
        owners: &Owners,
    ) -> Result<(), StashScanError> {
        let is_device = matches!(
            entry.metadata.kind,
            FileKind::CharDevice | FileKind::BlockDevice | FileKind::Socket
        );
        if is_device {
            self.left_out.push(entry.path.clone());
            return Ok(());
        }
        let node = match node::stored_node(root, entry, owners) {
            Ok(node) => node,
            Err(DiffError::Read { source, .. }) if is_gone(&source) => return Ok(()),
            Err(error) => return Err(StashScanError::Object(error)),
        };
        let Some(node) = node else { return Ok(()) };
        match self.kind(entry, node.kind) {
            None => self.left_out.push(entry.path.clone()),
            Some(kind) => self.objects.push(Object {
                path: entry.path.clone(),
                attributes: node.attributes,
                kind,
            }),
        }
        Ok(())
    }

    /// Returns `None` for what is in no stash.
    fn kind(&mut self, entry: &Entry, kind: NodeKind) -> Option<Kind> {
        if let NodeKind::CharDevice { .. } | NodeKind::BlockDevice { .. } = kind {
            return None;
        }
        if let Some(target) = self.first_name(entry) {
            return Some(Kind::Known(StashObject::HardLink { target }));
        }
        Some(match kind {
            NodeKind::Directory { .. } => Kind::Known(StashObject::Directory),
            NodeKind::Symlink { target } => Kind::Known(StashObject::Symlink { target }),
            NodeKind::Fifo => Kind::Known(StashObject::Fifo),
            _ => Kind::File(entry.metadata),
        })
    }

    fn first_name(&mut self, entry: &Entry) -> Option<RootPath> {
        let metadata = &entry.metadata;
        if metadata.nlink < 2 || metadata.kind == FileKind::Directory {
            return None;
        }
        let inode = (metadata.dev, metadata.ino);
        if let Some(first) = self.links.get(&inode) {
            return Some(first.clone());
        }
        self.links.insert(inode, entry.path.clone());
        None
    }
}

/// Tells whether something that was there is not there any more.
fn is_gone(error: &FsError) -> bool {
    error.is_not_found() || matches!(error, FsError::Replaced { .. })
}

/// Hashes the files that are not known, side by side.
fn hash_all(
    root: &Root,
    note: &StashNote,
    objects: Vec<Object>,
) -> Result<Vec<Object>, StashScanError> {
    let hashed = objects.into_par_iter().map(|object| {
        let kind = match object.kind {
            Kind::File(metadata) => hash(root, note, &object.path, metadata)?,
            other => other,
        };
        Ok(Object { kind, ..object })
    });
    hashed.collect()
}

fn hash(
    root: &Root,
    note: &StashNote,
    path: &RootPath,
    metadata: Metadata,
) -> Result<Kind, StashScanError> {
    if let Some(digest) = note.find(path, &metadata) {
        return Ok(Kind::Hashed(Hashed {
            metadata,
            digest: digest.clone(),
            is_remembered: true,
        }));
    }
    match hash_steady(root, path) {
        Ok(kind) => Ok(kind),
        Err(ContentError::Open(error)) if is_gone(&error) => Ok(Kind::Gone),
        Err(ContentError::NotAFile) => Ok(Kind::Gone),
        Err(source) => Err(StashScanError::Hash {
            path: path.clone(),
            source,
        }),
    }
}

/// Hashes a file that is the same before and after.
fn hash_steady(root: &Root, path: &RootPath) -> Result<Kind, ContentError> {
    for _ in 0..TRIES {
        let (file, before) = content::open_and_look(root, path)?;
        let digest = content::digest(&file, before.size)?;
        let metadata = Metadata::of(&file).map_err(ContentError::Open)?;
        if metadata == before {
            return Ok(Kind::Hashed(Hashed {
                metadata,
                digest,
                is_remembered: false,
            }));
        }
    }
    Ok(Kind::Unsteady)
}

impl StashScan {
    /// Takes an object, if what it needs is there.
    fn take(&mut self, object: Object, now: FileTime) {
        let Object {
            path,
            mut attributes,
            kind,
        } = object;
        let object = match kind {
            Kind::Known(object) => object,
            Kind::Hashed(hashed) => {
                attributes.mtime = hashed.metadata.mtime;
                self.remember(&path, &hashed, now);
                StashObject::File {
                    size: hashed.metadata.size,
                    pack: 0,
                    digest: hashed.digest,
                }
            }
            Kind::Unsteady => return self.left_out.push(path),
            Kind::File(_) | Kind::Gone => return,
        };
        let needs = match &object {
            StashObject::HardLink { target } => target.clone(),
            _ => path.parent().unwrap_or_default(),
        };
        if self.index.get(&needs).is_some() {
            self.index
                .entries
                .insert(path, StashEntry { attributes, object });
        } else {
            self.left_out.push(path);
        }
    }

    fn remember(&mut self, path: &RootPath, hashed: &Hashed, now: FileTime) {
        let Hashed {
            metadata, digest, ..
        } = hashed;
        if hashed.is_remembered {
            self.note.keep(path, metadata, digest);
        } else {
            self.note.insert(path, metadata, digest, now);
        }
    }
}
