//! `ADD` of local archives: what is a tar by its content is unpacked, and its contents are copied.
//!
//! An archive is unpacked once, into a snapshot that is named by the digest of the archive.

use std::sync::Arc;

use graph::Archives;
use layer::{ApplyOptions, ChangeKind, ChecksumError, Content, ContentError, Limits, NodeKind};
use oci::Digest;
use rootfs::{Owners, Root, RootPath};
use store::{ClaimName, Snapshot, SnapshotId, SnapshotKind, SnapshotMeta};

use super::collect::{self, Collected, Found};
use super::error::CopyError;
use super::source::SourceTree;
use crate::cancel::Cancellable;
use crate::error::StepError;
use crate::job::Workshop;
use crate::owners;
use crate::realise::{self, View};

/// Puts what is in the archives into the place of the archives.
pub(crate) fn unpack_all(
    workshop: &Workshop,
    collected: Collected,
) -> Result<Collected, StepError> {
    let mut sources = Vec::new();
    for found in collected.sources {
        sources.push(match archive_of(&found)? {
            Some((root, path, digest)) => unpacked(workshop, &root, &path, &digest)?,
            None => found,
        });
    }
    Ok(Collected::new(sources)?)
}

/// Returns the file of a source that is an archive.
fn archive_of(found: &Found) -> Result<Option<(Arc<Root>, RootPath, Digest)>, CopyError> {
    if found.archives == Archives::Keep || found.entries.len() != 1 {
        return Ok(None);
    }
    let Some(ChangeKind::Put(node)) = found.entries.first().map(|entry| entry.change.kind) else {
        return Ok(None);
    };
    let NodeKind::File {
        content:
            Content::File {
                root,
                path,
                expected: Some(digest),
            },
        ..
    } = node.kind
    else {
        return Ok(None);
    };
    let file = root.open_file_nofollow(&path)?;
    let is_archive = layer::is_archive(&file).map_err(|source| CopyError::Archive {
        path: path.to_string(),
        source,
    })?;
    Ok(is_archive.then_some((root, path, digest)))
}

fn unpacked(
    workshop: &Workshop,
    root: &Arc<Root>,
    path: &RootPath,
    digest: &Digest,
) -> Result<Found, StepError> {
    let (root, owners) = directory_of(workshop, root, path, digest)?;
    let tree = SourceTree::Stage(View::of_directory(root, owners));
    Ok(collect::whole(&tree, &workshop.cancel)?)
}

/// Returns the directory that the archive of a digest becomes, and the owners of its files.
pub(crate) fn directory_of(
    workshop: &Workshop,
    root: &Arc<Root>,
    path: &RootPath,
    digest: &Digest,
) -> Result<(Arc<Root>, Owners), StepError> {
    let id = SnapshotId::from_digest("add", digest)?;
    let snapshot = match realise::open(workshop, &id)? {
        Some(snapshot) => snapshot,
        None => unpack(workshop, (root, path, digest), &id)?,
    };
    let owners = owners::of_layer(workshop, &id).map_err(CopyError::Owners)?;
    Ok((Arc::new(snapshot.fs), owners))
}

fn unpack(
    workshop: &Workshop,
    (root, path, digest): (&Arc<Root>, &RootPath, &Digest),
    id: &SnapshotId,
) -> Result<Snapshot, StepError> {
    let cancelled = || workshop.cancel.is_cancelled();
    let name = Digest::of(id.as_str().as_bytes());
    let claim = workshop
        .store
        .claims()
        .exclusive_or(ClaimName::Key(&name), &cancelled)?;
    let _claim = claim.ok_or(StepError::Cancelled)?;
    if let Some(snapshot) = realise::open(workshop, id)? {
        return Ok(snapshot);
    }
    let unreadable = |source| CopyError::Archive {
        path: path.to_string(),
        source,
    };
    let refused = |source| CopyError::Unpack {
        path: path.to_string(),
        source,
    };
    let active = workshop.store.snapshots().prepare(&workshop.lease)?;
    let file = Cancellable::new(root.open_file_nofollow(path)?, &workshop.cancel);
    let options = ApplyOptions {
        ids: workshop.ids,
        limits: Limits::default(),
    };
    let apply = |mut tar| layer::apply(&mut tar, active.fs(), &options).map_err(refused);
    let applied = workshop
        .decoders
        .decompressor(file)
        .map_err(unreadable)
        .and_then(apply);
    // When it was read: under the digest nothing else may be kept, and what it has become is why it could not be unpacked.
    check(root, path, digest)?;
    let applied = applied?;
    if let Some(link) = applied.unsettled.links.first() {
        let (path, target) = (path.to_string(), link.target.to_string());
        return Err(CopyError::ArchiveLink { path, target }.into());
    }
    if !applied.root_is_set {
        owners::inherit_top(workshop, active.fs(), None)?;
    }
    owners::remember(workshop, id, &applied.owners).map_err(CopyError::Owners)?;
    Ok(active.commit(id, SnapshotMeta::of(SnapshotKind::Files))?)
}

/// Makes sure that an archive has the digest under which it is kept, which may be known from an earlier build alone.
fn check(root: &Arc<Root>, path: &RootPath, expected: &Digest) -> Result<(), CopyError> {
    let hashed = layer::hash_files(&[(Arc::clone(root), path.clone())])?;
    match hashed.into_iter().find(|file| file.digest != *expected) {
        None => Ok(()),
        Some(file) => Err(CopyError::Digest(ChecksumError::Content {
            path: path.clone(),
            source: ContentError::Digest {
                expected: expected.clone(),
                found: file.digest,
            },
        })),
    }
}
