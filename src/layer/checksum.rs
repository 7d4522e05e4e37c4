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
use rootfs::{Root, RootPath};

use crate::change::{Attributes, Change, ChangeKind, Changes, Content, NodeKind};
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
    for change in changes {
        add_change(&mut hasher, &change.map_err(ChecksumError::Changes)?)?;
    }
    Ok(hasher.finish())
}

/// Returns the digests of many regular files, read side by side. The last component of a path is not
/// followed.
///
/// # Errors
///
/// Fails where a file cannot be read.
pub fn hash_files(files: &[(Arc<Root>, RootPath)]) -> Result<Vec<Digest>, ChecksumError> {
    files
        .par_iter()
        .map(|(root, path)| hash_file(root, path))
        .collect()
}

fn hash_file(root: &Root, path: &RootPath) -> Result<Digest, ChecksumError> {
    let digest = content::open(root, path).and_then(|file| content::digest(&file));
    digest.map_err(|source| ChecksumError::Content {
        path: path.clone(),
        source,
    })
}

fn add_change(hasher: &mut Hasher, change: &Change) -> Result<(), ChecksumError> {
    add(hasher, change.path.as_bytes());
    let node = match &change.kind {
        ChangeKind::Delete => {
            add(hasher, b"delete");
            return Ok(());
        }
        ChangeKind::Put(node) => node,
    };
    add(hasher, kind_name(&node.kind));
    add_attributes(hasher, &node.attributes);
    match &node.kind {
        NodeKind::Directory { opaque } => add(hasher, &[u8::from(*opaque)]),
        NodeKind::File { content, .. } => {
            add(hasher, content_digest(content)?.as_str().as_bytes());
        }
        NodeKind::Symlink { target } => add(hasher, target),
        NodeKind::HardLink { target } => add(hasher, target.as_bytes()),
        NodeKind::CharDevice { major, minor } | NodeKind::BlockDevice { major, minor } => {
            add(hasher, &major.to_le_bytes());
            add(hasher, &minor.to_le_bytes());
        }
        NodeKind::Fifo => {}
    }
    Ok(())
}

fn add_attributes(hasher: &mut Hasher, attributes: &Attributes) {
    for number in [attributes.uid, attributes.gid, attributes.mode.bits()] {
        add(hasher, &number.to_le_bytes());
    }
    add(hasher, &(attributes.xattrs.len() as u64).to_le_bytes());
    for (name, value) in &attributes.xattrs {
        add(hasher, name);
        add(hasher, value);
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
        } => hash_file(root, path),
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
fn add(hasher: &mut Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}
