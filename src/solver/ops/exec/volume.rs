//! `--volume`: files and directories of the machine that every command sees.
//!
//! They enter no key: a step that is in the cache is not run again when they change.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rootfs::{FileKind, FsError, Inode, Root, RootPath};
use runtime::{Access, OverlayOptions, Submounts, TargetKind, Upper};
use serde::{Deserialize, Serialize};

use super::error::MountError;
use super::mounts::{Held, MountTable, Mounted, Source};
use crate::error::StepError;
use crate::job::Workshop;

/// A file or directory of the machine that every command sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// The absolute path on the machine.
    pub host: PathBuf,
    /// The absolute path in the sandbox.
    pub target: String,
    /// What commands may do with it.
    pub access: VolumeAccess,
}

/// What commands may do with a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VolumeAccess {
    /// Reading.
    ReadOnly,
    /// Reading and writing.
    ReadWrite,
    /// Reading and writing; what is written is discarded after each command.
    Discard,
}

/// Prepares a volume.
pub(crate) fn mount(
    workshop: &Workshop,
    volume: &Volume,
    table: &mut MountTable,
) -> Result<Mounted, StepError> {
    let (inode, kind) = open(&volume.host).map_err(|source| MountError::Volume {
        path: volume.host.clone(),
        source,
    })?;
    let bound = |access| {
        let bound = runtime::bind(inode.as_fd(), Submounts::With, access);
        bound.map_err(|source| MountError::Call {
            target: volume.target.clone(),
            source,
        })
    };
    let (mount, access) = match volume.access {
        VolumeAccess::ReadOnly => (bound(Access::ReadOnly)?, Access::ReadOnly),
        VolumeAccess::ReadWrite => (bound(Access::ReadWrite)?, Access::ReadWrite),
        VolumeAccess::Discard => (
            discarding(workshop, volume, &inode, table)?,
            Access::ReadWrite,
        ),
    };
    Ok(Mounted {
        target: volume.target.clone(),
        source: Source::Descriptor(mount),
        kind,
        access,
    })
}

/// Opens a path of the machine, links followed.
fn open(path: &Path) -> Result<(Inode, TargetKind), FsError> {
    let machine = Root::open(Path::new("/"))?;
    let path = RootPath::lexical(path.as_os_str().as_encoded_bytes())?;
    let inode = machine.inode(&machine.resolve(&path)?)?;
    let kind = match inode.metadata()?.kind {
        FileKind::Directory => TargetKind::Directory,
        _ => TargetKind::File,
    };
    Ok((inode, kind))
}

/// Mounts a directory so that what is written goes elsewhere.
fn discarding(
    workshop: &Workshop,
    volume: &Volume,
    inode: &Inode,
    table: &mut MountTable,
) -> Result<OwnedFd, StepError> {
    if workshop.unions.trees(workshop).is_some() {
        return Err(MountError::NoOverlay {
            path: volume.host.clone(),
        }
        .into());
    }
    let active = workshop.store.snapshots().prepare(&workshop.lease)?;
    let upper = Upper {
        upper: active.fs().as_fd(),
        work: active.work().as_fd(),
    };
    let options = OverlayOptions { volatile: true };
    let whole = runtime::mount_overlay(&[inode.as_fd()], Some(upper), options, &workshop.features);
    let whole = whole.map_err(|source| MountError::Overlay {
        target: volume.target.clone(),
        source,
    })?;
    table.hold(Held::Discarded(Box::new(active)));
    Ok(whole)
}
