//! What a set of changes is worth as a cache key, and digests of many files at once.
//!
//! The key of a `COPY` is over what it puts there and never over when it was last changed: every checkout
//! would be a miss. Each change adds, every part with its length before it:
//!
//! ```text
//! path · kind · uid · gid · mode · number of xattrs · (name · value)… · link, device or content digest
//! ```

use std::sync::Arc;

use oci::{Digest, Hasher};
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use rootfs::{FileTime, Metadata, Root, RootPath};

use crate::change::{Attributes, Change, ChangeKind, Changes, Content, Node, NodeKind};
use crate::content::{self, ContentError};
use crate::diff::DiffError;

/// A digest of a tree that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ChecksumError {
    /// The changes cannot be read.
    #[error("read the changes to be hashed")]
    Changes(#[source] DiffError),
    /// A file cannot be read.
    #[error("hash `{path}`")]
    Content {
        /// The file.
        path: RootPath,
        /// Why not.
        #[source]
        source: ContentError,
    },
}

/// Returns the digest of everything that changes say but times. The digest of a file that its change
/// gives is taken for true; another file is read.
///
/// # Errors
///
/// Fails where the changes or a file cannot be read.
pub fn digest_changes<C: Changes>(changes: C) -> Result<Digest, ChecksumError> {
    let mut hasher = Hasher::new();
    let mut bytes = Vec::new();
    for change in changes {
        let Change { path, kind } = change.map_err(ChecksumError::Changes)?;
        match &kind {
            ChangeKind::Put(node) => add_node(&mut bytes, &path, node)?,
            ChangeKind::Delete => {
                add(&mut bytes, path.as_bytes());
                add(&mut bytes, b"delete");
            }
        }
        hasher.update(&bytes);
        bytes.clear();
    }
    Ok(hasher.finish())
}

/// Returns a digest of all that a change which puts an object says, its time included; with an equal one the same is made.
///
/// # Errors
///
/// Fails where a file of which the digest is not given cannot be read.
pub fn fingerprint(path: &RootPath, node: &Node) -> Result<Digest, ChecksumError> {
    let mut bytes = Vec::new();
    add_node(&mut bytes, path, node)?;
    let FileTime { seconds, nanos } = node.attributes.mtime;
    add(&mut bytes, &seconds.to_le_bytes());
    add(&mut bytes, &nanos.to_le_bytes());
    Ok(Digest::of(&bytes))
}

/// A regular file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashedFile {
    /// The digest of its bytes.
    pub digest: Digest,
    /// What `stat` said before it was read and after it; none if that was not the same.
    pub metadata: Option<Metadata>,
}

/// Returns the digests of many regular files, read side by side. The last component of a path is not
/// followed.
///
/// # Errors
///
/// Fails where a file cannot be read.
pub fn hash_files(files: &[(Arc<Root>, RootPath)]) -> Result<Vec<HashedFile>, ChecksumError> {
    files
        .par_iter()
        .map(|(root, path)| hash_file(root, path))
        .collect()
}

fn hash_file(root: &Root, path: &RootPath) -> Result<HashedFile, ChecksumError> {
    let hash = || {
        let (file, before) = content::open_and_look(root, path)?;
        let digest = content::digest(&file, before.size)?;
        let after = Metadata::of(&file).map_err(ContentError::Open)?;
        Ok(HashedFile {
            digest,
            metadata: (before == after).then_some(after),
        })
    };
    hash().map_err(|source| ChecksumError::Content {
        path: path.clone(),
        source,
    })
}

fn add_node(hashed: &mut Vec<u8>, path: &RootPath, node: &Node) -> Result<(), ChecksumError> {
    add(hashed, path.as_bytes());
    add(hashed, kind_name(&node.kind));
    add_attributes(hashed, &node.attributes);
    match &node.kind {
        NodeKind::Directory { opaque } => add(hashed, &[u8::from(*opaque)]),
        NodeKind::File { content, .. } => {
            add(hashed, content_digest(content)?.as_str().as_bytes());
        }
        NodeKind::Symlink { target } => add(hashed, target),
        NodeKind::HardLink { target } => add(hashed, target.as_bytes()),
        NodeKind::CharDevice { major, minor } | NodeKind::BlockDevice { major, minor } => {
            add(hashed, &major.to_le_bytes());
            add(hashed, &minor.to_le_bytes());
        }
        NodeKind::Fifo => {}
    }
    Ok(())
}

fn add_attributes(hashed: &mut Vec<u8>, attributes: &Attributes) {
    for number in [attributes.uid, attributes.gid, attributes.mode.bits()] {
        add(hashed, &number.to_le_bytes());
    }
    add(hashed, &(attributes.xattrs.len() as u64).to_le_bytes());
    for (name, value) in &attributes.xattrs {
        add(hashed, name);
        add(hashed, value);
    }
}

fn content_digest(content: &Content) -> Result<Digest, ChecksumError> {
    match content {
        Content::Bytes(bytes) => Ok(Digest::of(bytes)),
        Content::File {
            expected: Some(digest),
            ..
        } => Ok(digest.clone()),
        Content::File {
            root,
            path,
            expected: None,
        } => Ok(hash_file(root, path)?.digest),
    }
}

fn kind_name(kind: &NodeKind) -> &'static [u8] {
    match kind {
        NodeKind::Directory { .. } => b"directory",
        NodeKind::File { .. } => b"file",
        NodeKind::Symlink { .. } => b"symlink",
        NodeKind::HardLink { .. } => b"hard link",
        NodeKind::CharDevice { .. } => b"character device",
        NodeKind::BlockDevice { .. } => b"block device",
        NodeKind::Fifo => b"fifo",
    }
}

/// Adds bytes so that they cannot run into what comes before and after them.
fn add(hashed: &mut Vec<u8>, bytes: &[u8]) {
    hashed.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    hashed.extend_from_slice(bytes);
}
