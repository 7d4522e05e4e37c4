//! What is in the files of a copy, and what all of it is worth as a cache key.

use std::sync::Arc;

use layer::{ChangeKind, Content, Listed, Node, NodeKind};
use oci::{Digest, Hasher};
use rootfs::{Root, RootPath};
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
    for found in sources {
        if found.entries.unread() == 0 {
            continue;
        }
        let mut entries = std::mem::take(&mut found.entries).drain();
        loop {
            check(cancel)?;
            let mut batch: Vec<_> = entries.by_ref().take(HASH_BATCH).collect();
            if batch.is_empty() {
                break;
            }
            hash_batch(&mut batch, known)?;
            found.entries.extend(batch);
        }
    }
    Ok(())
}

fn hash_batch(batch: &mut [Listed], known: Option<&KnownDigests>) -> Result<(), CopyError> {
    let mut unread: Vec<_> = batch.iter_mut().filter_map(unread).collect();
    let files = unread
        .iter()
        .map(|file| (Arc::clone(file.root), file.path.clone()));
    let hashed = layer::hash_files(&files.collect::<Vec<_>>())?;
    for (file, hashed) in unread.iter_mut().zip(hashed) {
        if let (Some(known), Some(metadata)) = (known, &hashed.metadata)
            && !file.has_xattrs
        {
            known.learn(metadata, &hashed.digest);
        }
        *file.expected = Some(hashed.digest);
    }
    Ok(())
}

/// A file on disk whose digest is not known.
struct Unread<'a> {
    root: &'a Arc<Root>,
    path: &'a RootPath,
    expected: &'a mut Option<Digest>,
    has_xattrs: bool,
}

fn unread(listed: &mut Listed) -> Option<Unread<'_>> {
    let ChangeKind::Put(Node { attributes, kind }) = &mut listed.change.kind else {
        return None;
    };
    match kind {
        NodeKind::File {
            content:
                Content::File {
                    root,
                    path,
                    expected: expected @ None,
                },
            ..
        } => Some(Unread {
            root,
            path,
            expected,
            has_xattrs: !attributes.xattrs.is_empty(),
        }),
        _ => None,
    }
}

/// Returns the digest of all sources but their times, and the size of their files in bytes.
pub(super) fn digest(sources: &[Found]) -> Result<(Digest, u64), CopyError> {
    let (mut hasher, mut size_bytes) = (Hasher::new(), 0);
    for found in sources {
        hasher.update(&(found.name.len() as u64).to_le_bytes());
        hasher.update(&found.name);
        let entries = found.entries.iter().map(|entry| {
            size_bytes += size_of(&entry.change.kind);
            Ok(entry.change)
        });
        hasher.update(layer::digest_changes(entries)?.as_str().as_bytes());
    }
    Ok((hasher.finish(), size_bytes))
}

fn size_of(kind: &ChangeKind) -> u64 {
    match kind {
        ChangeKind::Put(Node {
            kind: NodeKind::File { size, .. },
            ..
        }) => *size,
        _ => 0,
    }
}
