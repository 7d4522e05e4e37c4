//! What is in the files of a copy, and what all of it is worth as a cache key.

use std::sync::Arc;

use layer::{Content, Node, NodeKind};
use oci::{Digest, Hasher};
use runtime::CancelToken;

use super::collect::{Found, check};
use super::error::CopyError;
use crate::context::KnownDigests;

/// How many files are digested between two looks whether the job was cancelled.
const HASH_BATCH: usize = 1024;

/// Digests every file whose digest is not known, over all cores, so that what is read later can be held against it.
pub(super) fn hash_contents(
    sources: &mut [Found],
    known: Option<&KnownDigests>,
    cancel: &CancelToken,
) -> Result<(), CopyError> {
    let entries = sources.iter_mut().flat_map(|found| &mut found.entries);
    let mut nodes = entries
        .map(|entry| &mut entry.node)
        .filter(|node| is_unread(node));
    loop {
        check(cancel)?;
        let mut batch: Vec<_> = nodes.by_ref().take(HASH_BATCH).collect();
        if batch.is_empty() {
            return Ok(());
        }
        hash_batch(&mut batch, known)?;
    }
}

fn hash_batch(batch: &mut [&mut Node], known: Option<&KnownDigests>) -> Result<(), CopyError> {
    let files = batch.iter().filter_map(|node| match &node.kind {
        NodeKind::File {
            content: Content::File { root, path, .. },
            ..
        } => Some((Arc::clone(root), path.clone())),
        _ => None,
    });
    let hashed = layer::hash_files(&files.collect::<Vec<_>>())?;
    for (node, file) in batch.iter_mut().zip(hashed) {
        let Node { attributes, kind } = &mut **node;
        if let (Some(known), Some(metadata)) = (known, &file.metadata)
            && attributes.xattrs.is_empty()
        {
            known.learn(metadata, &file.digest);
        }
        if let NodeKind::File {
            content: Content::File { expected, .. },
            ..
        } = kind
        {
            *expected = Some(file.digest);
        }
    }
    Ok(())
}

/// Tells whether a node is a file on disk whose digest is not known.
fn is_unread(node: &Node) -> bool {
    matches!(
        &node.kind,
        NodeKind::File {
            content: Content::File { expected: None, .. },
            ..
        }
    )
}

/// Returns the digest of all sources but their times.
pub(super) fn digest(sources: &[Found]) -> Result<Digest, CopyError> {
    let mut hasher = Hasher::new();
    for found in sources {
        hasher.update(&(found.name.len() as u64).to_le_bytes());
        hasher.update(&found.name);
        let nodes = found.entries.iter().map(|entry| (&entry.tail, &entry.node));
        hasher.update(layer::digest_nodes(nodes)?.as_str().as_bytes());
    }
    Ok(hasher.finish())
}
