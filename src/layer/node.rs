//! One entry of a tree as a layer would say it.

use std::collections::BTreeMap;
use std::sync::Arc;

use oci::Digest;
use rootfs::{Device, Entry, FileKind, FsError, Metadata, OWNER_XATTR, Owners, Root, RootPath};

use crate::change::{Attributes, Content, Node, NodeKind};
use crate::diff::DiffError;
use crate::xattr;

/// Reads an entry of a tree that careen wrote: its owner is the image's, through `owners`.
///
/// Returns `None` for a socket, which no tar can hold.
///
/// # Errors
///
/// Fails when the entry cannot be read, or is a device node, which are never made here.
pub fn stored_node(
    root: &Arc<Root>,
    entry: &Entry,
    owners: &Owners,
) -> Result<Option<Node>, DiffError> {
    let path = &entry.path;
    match entry.metadata.kind {
        FileKind::Socket => return Ok(None),
        FileKind::CharDevice | FileKind::BlockDevice => {
            return Err(DiffError::RealDevice { path: path.clone() });
        }
        _ => {}
    }
    let read = |source| DiffError::Read {
        path: path.clone(),
        source,
    };
    let raw = xattrs_of(entry).map_err(read)?;
    let record = raw.get(OWNER_XATTR).map(Vec::as_slice);
    let owner = owners.read(path, &entry.metadata, record).map_err(read)?;
    let opaque = xattr::has_opaque(&raw);
    let kind = match owner.device {
        Some(Device::Char { major, minor }) => NodeKind::CharDevice { major, minor },
        Some(Device::Block { major, minor }) => NodeKind::BlockDevice { major, minor },
        None => plain_kind(root, entry, opaque).map_err(read)?,
    };
    let attributes = Attributes {
        uid: owner.uid,
        gid: owner.gid,
        mode: owner.mode,
        mtime: entry.metadata.mtime,
        xattrs: xattr::of_image(raw),
    };
    Ok(Some(Node { attributes, kind }))
}

/// Reads an entry of a tree of the user's: owners of this machine mean nothing in an image, and all is
/// root's.
///
/// Returns `None` for a device node. A socket becomes an empty file, as it does for `BuildKit`.
///
/// # Errors
///
/// Fails when the entry cannot be read.
pub fn local_node(root: &Arc<Root>, entry: &Entry) -> Result<Option<Node>, DiffError> {
    if matches!(
        entry.metadata.kind,
        FileKind::CharDevice | FileKind::BlockDevice
    ) {
        return Ok(None);
    }
    let read = |source| DiffError::Read {
        path: entry.path.clone(),
        source,
    };
    let Metadata { mode, mtime, .. } = entry.metadata;
    let xattrs = xattr::of_image(xattrs_of(entry).map_err(read)?);
    let kind = plain_kind(root, entry, false).map_err(read)?;
    Ok(Some(Node {
        attributes: Attributes {
            uid: 0,
            gid: 0,
            mode,
            mtime,
            xattrs,
        },
        kind,
    }))
}

/// Returns a regular file of a tree of the user's of which everything is known: it has no extended attribute of an
/// image, and its bytes have this digest.
pub fn known_file(root: &Arc<Root>, entry: &Entry, digest: Digest) -> Node {
    let Metadata {
        mode, mtime, size, ..
    } = entry.metadata;
    Node {
        attributes: Attributes {
            mode,
            mtime,
            ..Attributes::default()
        },
        kind: NodeKind::File {
            size,
            content: Content::File {
                root: Arc::clone(root),
                path: entry.path.clone(),
                expected: Some(digest),
            },
        },
    }
}

/// Reads the attributes of a directory that careen wrote; `None` if there is none at the path.
///
/// # Errors
///
/// Fails when it cannot be read.
pub fn directory_attributes(
    root: &Root,
    path: &RootPath,
    owners: &Owners,
) -> Result<Option<Attributes>, DiffError> {
    let read = |source| DiffError::Read {
        path: path.clone(),
        source,
    };
    let Some(metadata) = root.metadata(path).map_err(read)? else {
        return Ok(None);
    };
    if metadata.kind != FileKind::Directory {
        return Ok(None);
    }
    let raw = root
        .inode(path)
        .and_then(|inode| inode.xattrs())
        .map_err(read)?;
    let record = raw.get(OWNER_XATTR).map(Vec::as_slice);
    let owner = owners.read(path, &metadata, record).map_err(read)?;
    Ok(Some(Attributes {
        uid: owner.uid,
        gid: owner.gid,
        mode: owner.mode,
        mtime: metadata.mtime,
        xattrs: xattr::of_image(raw),
    }))
}

fn plain_kind(root: &Arc<Root>, entry: &Entry, opaque: bool) -> Result<NodeKind, FsError> {
    Ok(match entry.metadata.kind {
        FileKind::Directory => NodeKind::Directory { opaque },
        FileKind::Symlink => NodeKind::Symlink {
            target: entry.read_link()?,
        },
        FileKind::Fifo => NodeKind::Fifo,
        FileKind::Socket => NodeKind::File {
            size: 0,
            content: Content::Bytes(Arc::from([])),
        },
        _ => NodeKind::File {
            size: entry.metadata.size,
            content: Content::File {
                root: Arc::clone(root),
                path: entry.path.clone(),
                expected: None,
            },
        },
    })
}

/// Reads the extended attributes of what can have those of an image (xattr(7)).
pub(crate) fn xattrs_of(entry: &Entry) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, FsError> {
    match entry.metadata.kind {
        FileKind::File | FileKind::Directory => entry.xattrs(),
        _ => Ok(BTreeMap::new()),
    }
}
