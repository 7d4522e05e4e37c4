//! Mounts that stay as they are, whatever capabilities a command has.
//!
//! A command that is confined by its user namespace alone may mount, and so change the attributes of
//! what is mounted: a read-only directory of the store would be written to after a `remount`. But
//! when a mount namespace is copied for another user namespace, the kernel locks the attributes
//! that its mounts have (`mount_namespaces(7)`, "Restrictions on mount namespaces"), and a copy of
//! such a mount is locked like it. So the mounts are attached in a namespace of the builder's, get
//! their attributes there, and are taken from the copy of it that the sandbox has.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::sched::CloneFlags;
use nix::sys::stat::SFlag;
use nix::unistd::fchdir;

use super::root::{KERNEL_FILES, make, place};
use crate::executor::ExecutorMode;
use crate::mountpoint::kind_of;
use crate::protocol::Setup;
use crate::spec::{Access, MountSource};
use crate::sys::mount::{self, Depth, READ_ONLY};
use crate::sys::{CallError, Called as _, file, process, shown};

/// Directories of the host that nothing here needs, of which every host has one. The root directory
/// is none: what lies over it could not be taken away with it, and the kernel takes a process below
/// it for one in a changed root.
const SHELF_PLACES: [&CStr; 3] = [c"/run", c"/tmp", c"/usr"];

/// What the maps of a namespace with one id say: the id is root here and there.
const ONE_ID: &str = "0 0 1\n";

/// Attaches `mounts`, with their attributes, in a new namespace of the builder's, below the working
/// directory.
pub(super) fn attach(setup: &Setup, mounts: &[OwnedFd]) -> Result<(), CallError> {
    process::unshare(CloneFlags::CLONE_NEWNS)?;
    mount::make_private()?;
    // Whoever joins another user namespace has to find the way through it.
    let shelf = make(c"tmpfs", &[(c"mode", c"711")], KERNEL_FILES)?;
    mount::move_mount(shelf.as_fd(), shelf_place()?.as_fd())?;
    for (index, mount) in mounts.iter().enumerate() {
        if is_read_only(setup, index) {
            mount::mount_setattr(mount.as_fd(), READ_ONLY, Depth::Recursive)?;
        }
        attach_one(shelf.as_fd(), &name(index), mount.as_fd())?;
    }
    fchdir(&shelf).called(|| format!("fchdir({})", shown(shelf.as_fd())))
}

/// Makes a user namespace for the sandbox where it joins none: that of a command with one id would be
/// the builder's.
pub(super) fn leave_builder(setup: &Setup) -> Result<(), CallError> {
    if setup.joins_user_namespace || setup.ids.mode() != ExecutorMode::UsernsSingle {
        return Ok(());
    }
    process::unshare(CloneFlags::CLONE_NEWUSER)?;
    ["/proc/self/uid_map", "/proc/self/gid_map"]
        .into_iter()
        .try_for_each(|path| fs::write(path, ONE_ID).map_err(|error| refused(path, &error)))
}

/// Returns the mounts of the copied namespace, detached again, in their order.
pub(super) fn detach(count: usize) -> Result<Vec<OwnedFd>, CallError> {
    (0..count)
        .map(|index| mount::open_tree(AT_FDCWD, &name(index), Depth::Recursive))
        .collect()
}

fn shelf_place() -> Result<OwnedFd, CallError> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
    let mut found = Err(CallError::new("find a place to mount on", Errno::ENOENT));
    for path in SHELF_PLACES {
        found = file::open(AT_FDCWD, path, flags, 0);
        if found.is_ok() {
            break;
        }
    }
    found
}

fn is_read_only(setup: &Setup, index: usize) -> bool {
    let mut mounts = setup.spec.mounts.iter();
    mounts.any(|mount| {
        mount.source == MountSource::Descriptor(index) && mount.access == Access::ReadOnly
    })
}

fn attach_one(shelf: BorrowedFd<'_>, name: &CStr, mount: BorrowedFd<'_>) -> Result<(), CallError> {
    if kind_of(&file::stat(mount)?) == SFlag::S_IFDIR {
        file::make_directory(shelf, name, 0o711)?;
    } else {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        drop(file::open(shelf, name, flags, 0o600)?);
    }
    mount::move_mount(mount, place(shelf, name)?.as_fd())
}

fn name(index: usize) -> CString {
    CString::new(index.to_string()).expect("digits have no zero byte")
}

fn refused(path: &str, error: &io::Error) -> CallError {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or_default());
    CallError::new(format!("write({path:?}, {ONE_ID:?})"), errno)
}
