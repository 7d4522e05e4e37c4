//! Changes → a directory of their own in overlay form: how a `COPY` becomes a snapshot.

use std::mem;
use std::thread;

use rootfs::{Device, File, FsError, IdStorage, OwnerTable, Root, RootPath};

use crate::change::{Change, ChangeKind, Changes, Content, Node, NodeKind};
use crate::content::{self, ContentError};
use crate::diff::DiffError;
use crate::placer::{Linked, Placer};
use crate::writers::{NewFile, Writers};

/// Changes that cannot be put into a directory.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The changes cannot be read.
    #[error("read the changes to be placed")]
    Changes(#[source] DiffError),
    /// An object cannot be made.
    #[error("write `{}` in the image", path.absolute())]
    Write {
        /// The object.
        path: RootPath,
        /// Why not.
        #[source]
        source: FsError,
    },
    /// The bytes of a file are not what the change says.
    #[error("copy to `{}` in the image", path.absolute())]
    Content {
        /// The file in the image.
        path: RootPath,
        /// What is wrong.
        #[source]
        source: ContentError,
    },
    /// A hard link is to something that no earlier change puts.
    #[error("`{}` is a link to `{}`, which the changes do not have before it", path.absolute(), target.absolute())]
    LinkTarget {
        /// The link.
        path: RootPath,
        /// What it should be a name of.
        target: RootPath,
    },
}

/// Puts changes into `target`, an empty directory of their own, and returns the owner records to be kept
/// beside it (none but for [`IdStorage::Recorded`]). Regular files are written by several threads.
///
/// # Errors
///
/// Fails where the changes or a file cannot be read, a file is not what its change says, or an object
/// cannot be made; the directory is of no use then.
pub fn place<C: Changes>(
    changes: C,
    target: &Root,
    ids: IdStorage,
) -> Result<OwnerTable, PlaceError> {
    thread::scope(|scope| {
        let mut placing = Placing {
            placer: Placer::new(target, ids),
            writers: Some(Writers::new(scope, ids)),
            links: Vec::new(),
        };
        let placed = changes
            .map(|change| change.map_err(PlaceError::Changes))
            .try_for_each(|change| placing.change(change?));
        // What failed on a thread comes before what it kept from being done.
        placing.settle()?;
        placed?;
        let placed = placing.placer.finish();
        let placed = placed.map_err(|source| PlaceError::Write {
            path: RootPath::root(),
            source,
        })?;
        Ok(placed.owners.into_table())
    })
}

/// Changes on their way into a directory.
struct Placing<'scope, 'env, 'target> {
    placer: Placer<'target>,
    /// Who writes files; nobody from the first object on to which a link leads, so that what comes later in the order
    /// replaces what is in its way and not the other way round.
    writers: Option<Writers<'scope, 'env>>,
    /// Hard links, which wait for the files that they are names of.
    links: Vec<Change>,
}

impl Placing<'_, '_, '_> {
    fn change(&mut self, Change { path, kind }: Change) -> Result<(), PlaceError> {
        match kind {
            ChangeKind::Put(node) => self.put(path, node),
            ChangeKind::Delete => {
                let deleted = self.placer.delete(&path);
                deleted.map_err(|source| PlaceError::Write { path, source })
            }
        }
    }

    fn put(&mut self, path: RootPath, node: Node) -> Result<(), PlaceError> {
        if self.writers.is_none() || path.is_root() {
            return self.put_now(&path, &node);
        }
        let spot = match self.placer.direct_spot(&path) {
            Ok(Some(spot)) => spot,
            Ok(None) => {
                self.settle()?;
                return self.put_now(&path, &node);
            }
            Err(source) => return Err(PlaceError::Write { path, source }),
        };
        match (node.kind, self.writers.as_mut()) {
            (NodeKind::File { size, content }, Some(writers)) => writers.give(NewFile {
                spot,
                path,
                attributes: node.attributes,
                size,
                content,
            }),
            (kind @ NodeKind::HardLink { .. }, _) => {
                let kind = ChangeKind::Put(Node { kind, ..node });
                self.links.push(Change { path, kind });
                Ok(())
            }
            (kind, _) => self.put_now(&path, &Node { kind, ..node }),
        }
    }

    fn put_now(&mut self, path: &RootPath, node: &Node) -> Result<(), PlaceError> {
        put(&mut self.placer, path, node).map_err(|error| error.at(path.clone()))
    }

    /// Waits for the files that are being written, and makes the links to them.
    fn settle(&mut self) -> Result<(), PlaceError> {
        if let Some(writers) = self.writers.take() {
            writers.finish()?;
        }
        for Change { path, kind } in mem::take(&mut self.links) {
            if let ChangeKind::Put(node) = kind {
                self.put_now(&path, &node)?;
            }
        }
        Ok(())
    }
}

/// The bytes of a file that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] FsError),
    /// The bytes are not those that are meant.
    #[error(transparent)]
    Content(#[from] ContentError),
}

/// Why one object cannot be put.
pub(crate) enum PutError {
    Write(FsError),
    Content(ContentError),
    LinkTarget(RootPath),
}

impl From<FillError> for PutError {
    fn from(error: FillError) -> Self {
        match error {
            FillError::Write(source) => Self::Write(source),
            FillError::Content(source) => Self::Content(source),
        }
    }
}

impl From<FsError> for PutError {
    fn from(error: FsError) -> Self {
        Self::Write(error)
    }
}

impl PutError {
    pub(crate) fn at(self, path: RootPath) -> PlaceError {
        match self {
            Self::Write(source) => PlaceError::Write { path, source },
            Self::Content(source) => PlaceError::Content { path, source },
            Self::LinkTarget(target) => PlaceError::LinkTarget { path, target },
        }
    }
}

fn put(placer: &mut Placer<'_>, path: &RootPath, node: &Node) -> Result<(), PutError> {
    let attributes = &node.attributes;
    match &node.kind {
        NodeKind::Directory { opaque } => Ok(placer.directory(path, attributes, *opaque)?),
        NodeKind::File { size, content } => {
            placer.file(path, attributes, |file| Ok(fill(file, *size, content)?))
        }
        NodeKind::Symlink { target } => Ok(placer.symlink(path, attributes, target)?),
        NodeKind::HardLink { target } => match placer.hard_link(path, target)? {
            Linked::Here => Ok(()),
            Linked::TargetMissing { .. } | Linked::TargetHidden => {
                Err(PutError::LinkTarget(target.clone()))
            }
        },
        NodeKind::CharDevice { major, minor } => {
            let device = Device::Char {
                major: *major,
                minor: *minor,
            };
            Ok(placer.device(path, attributes, device)?)
        }
        NodeKind::BlockDevice { major, minor } => {
            let device = Device::Block {
                major: *major,
                minor: *minor,
            };
            Ok(placer.device(path, attributes, device)?)
        }
        NodeKind::Fifo => Ok(placer.fifo(path, attributes)?),
    }
}

/// Writes the bytes of a file, sharing its blocks or copying inside the kernel where that can be. What
/// has to have a digest is hashed as it is now in the new file, which nobody else changes.
///
/// # Errors
///
/// Fails where the content cannot be read, is not what is expected, or the file takes no more.
pub fn fill(file: &File, size: u64, content: &Content) -> Result<(), FillError> {
    match content {
        Content::File {
            root,
            path,
            expected,
        } => {
            let from = content::open(root, path)?;
            match expected {
                Some(expected) if rootfs::share_contents(&from, file) => {
                    Ok(content::verify(file, size, expected)?)
                }
                Some(_) => write_through(file, size, content),
                None => copy(&from, file, size),
            }
        }
        Content::Bytes(_) => write_through(file, size, content),
    }
}

fn copy(from: &File, to: &File, size: u64) -> Result<(), FillError> {
    rootfs::copy_contents(from, to)?;
    let found = rootfs::Metadata::of(to)?.size;
    if found == size {
        return Ok(());
    }
    Err(ContentError::Size {
        expected: size,
        found,
    }
    .into())
}

fn write_through(file: &File, size: u64, content: &Content) -> Result<(), FillError> {
    content::read(content, size, |chunk| Ok(rootfs::write_all(file, chunk)?))
}
