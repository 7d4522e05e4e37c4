//! `--mount=type=bind`: the files of a stage, an image or a context, as an overlay of their layers.
//!
//! What a command writes to one goes to a directory that is removed after the command. Where the store can hold no
//! overlay, what is only read is a directory of second names, and what is written to a copy.

use std::os::fd::{AsFd as _, OwnedFd};

use graph::{BindMount, MountAccess};
use rootfs::{FileKind, Root, RootPath};
use runtime::{Access, OverlayOptions, Submounts, TargetKind, Upper};

use super::error::MountError;
use super::mounts::{Held, MountTable, Mounted, Source, access};
use super::recorded::Below;
use crate::error::StepError;
use crate::ops::copy;
use crate::owners;
use crate::result::{Output, Stack};
use crate::trees::Trees;
use crate::worker::Step;

/// The mode of the root of an empty file system.
const EMPTY_MODE: u32 = 0o755;

/// Prepares a bind.
pub(super) fn mount(
    step: &Step<'_>,
    mount: &BindMount,
    table: &mut MountTable,
) -> Result<Mounted, StepError> {
    let stack = stack(step, mount.input)?;
    let path = source_path(&mount.source)?;
    let (source, kind) = if stack.layers().is_empty() {
        (empty(mount, &path)?, TargetKind::Directory)
    } else {
        let whole = match step.workshop.unions.trees(step.workshop) {
            None => overlay(step, mount, stack, table),
            Some(trees) => directory(step, mount, (stack, trees), table),
        }?;
        let view = whole.try_clone().map_err(StepError::Descriptor)?;
        let view = Root::from_fd(view, "/");
        table.record(Below::find(step.workshop, stack, &view)?.files);
        part(step, mount, whole, (&view, &path))?
    };
    Ok(Mounted {
        target: mount.target.clone(),
        source,
        kind,
        access: access(mount.access),
    })
}

/// Returns the file system of an input.
pub(super) fn stack<'a>(step: &Step<'a>, index: usize) -> Result<&'a Stack, StepError> {
    match step.inputs.get(index) {
        Some(Some(Output::Files(stack))) => Ok(stack),
        _ => Err(StepError::MissingInput { index }),
    }
}

pub(super) fn source_path(source: &str) -> Result<RootPath, MountError> {
    RootPath::lexical(source).map_err(|error| MountError::Path {
        path: source.to_owned(),
        source: error,
    })
}

/// Stands for a file system without anything.
fn empty(mount: &BindMount, path: &RootPath) -> Result<Source, MountError> {
    if !path.is_root() {
        return Err(MountError::SourceNotFound {
            path: mount.source.clone(),
            place: "an empty file system".to_owned(),
            similar: None,
        });
    }
    Ok(Source::Memory {
        size_bytes: None,
        mode: EMPTY_MODE,
    })
}

/// Mounts the layers, detached, with something to write to where that is asked for.
fn overlay(
    step: &Step<'_>,
    mount: &BindMount,
    stack: &Stack,
    table: &mut MountTable,
) -> Result<OwnedFd, StepError> {
    let workshop = step.workshop;
    let lowers = super::lowers(step, stack)?;
    let discarded = match mount.access {
        MountAccess::ReadOnly => None,
        MountAccess::ReadWrite => Some(workshop.store.snapshots().prepare(&workshop.lease)?),
    };
    if let Some(active) = &discarded {
        owners::inherit_top(workshop, active.fs(), lowers.last())?;
    }
    let layers: Vec<_> = lowers.iter().rev().map(|root| root.as_fd()).collect();
    let upper = discarded.as_ref().map(|active| Upper {
        upper: active.fs().as_fd(),
        work: active.work().as_fd(),
    });
    let options = OverlayOptions {
        volatile: upper.is_some(),
    };
    let whole = runtime::mount_overlay(&layers, upper, options, &workshop.features);
    let whole = whole.map_err(|source| MountError::Overlay {
        target: mount.target.clone(),
        source,
    })?;
    if let Some(active) = discarded {
        table.hold(Held::Discarded(Box::new(active)));
    }
    Ok(whole)
}

/// Mounts the layers as a directory, detached: a copy of them where it may be written to.
fn directory(
    step: &Step<'_>,
    mount: &BindMount,
    (stack, trees): (&Stack, &Trees),
    table: &mut MountTable,
) -> Result<OwnedFd, StepError> {
    let workshop = step.workshop;
    let lowers = super::lowers(step, stack)?;
    let bound = |files: &Root, access| {
        let bound = runtime::bind(files.as_fd(), Submounts::Without, access);
        bound.map_err(|source| MountError::Call {
            target: mount.target.clone(),
            source,
        })
    };
    if mount.access == MountAccess::ReadOnly {
        let files = trees.merged(workshop, &lowers)?;
        return Ok(bound(&files, Access::ReadOnly)?);
    }
    let copy = trees.copy(workshop, &lowers)?;
    let whole = bound(copy.root(), Access::ReadWrite)?;
    table.hold(Held::Copy(Box::new(copy)));
    Ok(whole)
}

/// Returns the mount of the path that is asked for. Links in it are followed inside the file system.
fn part(
    step: &Step<'_>,
    mount: &BindMount,
    whole: OwnedFd,
    (root, path): (&Root, &RootPath),
) -> Result<(Source, TargetKind), StepError> {
    let failed = |source| MountError::File {
        target: mount.target.clone(),
        source,
    };
    let real = root.resolve(path).map_err(failed)?;
    let Some(metadata) = root.metadata(&real).map_err(failed)? else {
        return Err(MountError::SourceNotFound {
            path: mount.source.clone(),
            place: "the file system that is mounted from".to_owned(),
            similar: copy::similar(root, &real),
        }
        .into());
    };
    if real.is_root() {
        return Ok((Source::Descriptor(whole), TargetKind::Directory));
    }
    let kind = match metadata.kind {
        FileKind::Directory => TargetKind::Directory,
        _ => TargetKind::File,
    };
    let place = root.inode(&real).map_err(failed)?;
    let taken = runtime::subtree(root.as_fd(), place.as_fd(), &step.workshop.features);
    let taken = taken.map_err(|source| MountError::Subtree {
        target: mount.target.clone(),
        source,
    })?;
    Ok((Source::Descriptor(taken), kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use graph::MountKey;

    #[test]
    fn an_empty_file_system_has_nothing_but_its_top() {
        let mount = BindMount {
            target: "/a".to_owned(),
            input: 1,
            source: "/b".to_owned(),
            access: MountAccess::ReadOnly,
            keyed_by: MountKey::Definition,
        };
        let path = source_path("/b").unwrap();
        let refused = empty(&mount, &path).err().map(|error| error.to_string());
        assert_eq!(refused.as_deref(), Some("mount source not found: `/b`"));
        empty(&mount, &RootPath::root()).unwrap();
        assert_eq!(access(mount.access), Access::ReadOnly);
    }
}
