//! Changes → a directory of their own in overlay form: how a `COPY` becomes a snapshot.

use rootfs::{Device, File, FsError, IdStorage, OwnerTable, Root, RootPath};

use crate::change::{Change, ChangeKind, Changes, Content, Node, NodeKind};
use crate::content::{self, ContentError};
use crate::diff::DiffError;
use crate::placer::{Linked, Placer};

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
/// beside it (none but for [`IdStorage::Recorded`]).
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
    let mut placer = Placer::new(target, ids);
    for change in changes {
        let Change { path, kind } = change.map_err(PlaceError::Changes)?;
        let done = match &kind {
            ChangeKind::Delete => placer.delete(&path).map_err(PutError::from),
            ChangeKind::Put(node) => put(&mut placer, &path, node),
        };
        done.map_err(|error| error.at(path))?;
    }
    let placed = placer.finish();
    let placed = placed.map_err(|source| PlaceError::Write {
        path: RootPath::root(),
        source,
    })?;
    Ok(placed.owners.into_table())
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
enum PutError {
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
    fn at(self, path: RootPath) -> PlaceError {
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
