#![expect(unsafe_code, reason = "system calls without a safe wrapper")]
#![expect(clippy::disallowed_methods, reason = "runtime is what mounts")]
//! Mounts: the calls since Linux 5.2 that go by descriptor, and the older ones by path.
//!
//! `Documentation/filesystems/mount_api.rst` describes the file system context (`fsopen`,
//! `fsconfig`, `fsmount`). A *detached* mount is one that is in no mount namespace yet; its
//! descriptor keeps it.

use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::ptr;

use libc::{c_int, c_uint};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags};

use super::fd::owned;
use super::{CallError, Called as _, shown};

/// `MOUNT_ATTR_RDONLY`.
pub(crate) const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY;
/// `MOUNT_ATTR_NOSUID`.
pub(crate) const NO_SUID: u64 = libc::MOUNT_ATTR_NOSUID;
/// `MOUNT_ATTR_NODEV`.
pub(crate) const NO_DEVICES: u64 = libc::MOUNT_ATTR_NODEV;
/// `MOUNT_ATTR_NOEXEC`.
pub(crate) const NO_EXECUTION: u64 = libc::MOUNT_ATTR_NOEXEC;
/// `MOUNT_ATTR_STRICTATIME`.
pub(crate) const STRICT_ACCESS_TIME: u64 = libc::MOUNT_ATTR_STRICTATIME;

/// Whether a call concerns the mounts below the one it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The one mount.
    Single,
    /// Those below it too.
    Recursive,
}

/// One call of `fsconfig`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting<'s> {
    /// A parameter with a value.
    String(&'s CStr, &'s CStr),
    /// A parameter without one.
    Flag(&'s CStr),
    /// Makes the superblock from what was set.
    Create,
}

/// Begins a mount of a file system of this type.
pub(crate) fn fsopen(kind: &CStr) -> Result<OwnedFd, CallError> {
    // SAFETY: the name is a C string that outlives the call, which writes to no memory of ours.
    let result = unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), libc::FSOPEN_CLOEXEC) };
    // SAFETY: the call makes a descriptor.
    unsafe { owned(result) }.called(|| format!("fsopen({kind:?})"))
}

/// Sets one parameter of a mount that was begun.
pub(crate) fn fsconfig(context: BorrowedFd<'_>, setting: Setting<'_>) -> Result<(), CallError> {
    let (command, key, value) = match setting {
        Setting::String(key, value) => (libc::FSCONFIG_SET_STRING, key.as_ptr(), value.as_ptr()),
        Setting::Flag(key) => (libc::FSCONFIG_SET_FLAG, key.as_ptr(), ptr::null()),
        Setting::Create => (libc::FSCONFIG_CMD_CREATE, ptr::null(), ptr::null()),
    };
    // SAFETY: key and value are null where the command wants none, else C strings that outlive the
    // call; the kernel copies them and writes to no memory of ours.
    let result = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            command,
            key,
            value,
            0_i32,
        )
    };
    Errno::result(result).map(drop).called(|| match setting {
        Setting::String(key, value) => format!("fsconfig(FSCONFIG_SET_STRING, {key:?}, {value:?})"),
        Setting::Flag(key) => format!("fsconfig(FSCONFIG_SET_FLAG, {key:?})"),
        Setting::Create => "fsconfig(FSCONFIG_CMD_CREATE)".to_owned(),
    })
}

/// Returns the detached mount of a file system whose superblock was made.
pub(crate) fn fsmount(context: BorrowedFd<'_>, attributes: u64) -> Result<OwnedFd, CallError> {
    let describe = || format!("fsmount({attributes:#x})");
    let flags = c_uint::try_from(attributes)
        .map_err(|_too_large| Errno::EINVAL)
        .called(describe)?;
    // SAFETY: all arguments are numbers.
    let result = unsafe {
        libc::syscall(
            libc::SYS_fsmount,
            context.as_raw_fd(),
            libc::FSMOUNT_CLOEXEC,
            flags,
        )
    };
    // SAFETY: the call makes a descriptor.
    unsafe { owned(result) }.called(describe)
}

/// Returns a detached copy of the mount at `path`, seen from `directory`, with that place as its
/// root.
///
/// An empty path means `directory` itself, which may be a file. Symbolic links are not followed.
pub(crate) fn open_tree(
    directory: BorrowedFd<'_>,
    path: &CStr,
    depth: Depth,
) -> Result<OwnedFd, CallError> {
    let flags = libc::OPEN_TREE_CLONE
        | libc::OPEN_TREE_CLOEXEC
        | at_flag(libc::AT_EMPTY_PATH)
        | at_flag(libc::AT_SYMLINK_NOFOLLOW)
        | depth.flag();
    // SAFETY: the path is a C string that outlives the call, which writes to no memory of ours.
    let result = unsafe {
        libc::syscall(
            libc::SYS_open_tree,
            directory.as_raw_fd(),
            path.as_ptr(),
            flags,
        )
    };
    // SAFETY: the call makes a descriptor.
    unsafe { owned(result) }.called(|| format!("open_tree({}, {path:?})", shown(directory)))
}

/// Attaches the detached `mount` on the file or directory that `target` is.
pub(crate) fn move_mount(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<(), CallError> {
    // SAFETY: both paths are empty constant strings; the call writes to no memory of ours.
    let result = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            target.as_raw_fd(),
            c"".as_ptr(),
            libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH,
        )
    };
    Errno::result(result)
        .map(drop)
        .called(|| format!("move_mount({}, {})", shown(mount), shown(target)))
}

/// Sets attributes of `mount`. Since Linux 5.12.
pub(crate) fn mount_setattr(
    mount: BorrowedFd<'_>,
    attributes: u64,
    depth: Depth,
) -> Result<(), CallError> {
    let change = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the path is an empty constant string, and `change` lives on our stack with the size
    // that is given; the kernel reads both and writes to neither.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            at_flag(libc::AT_EMPTY_PATH) | depth.flag(),
            &raw const change,
            size_of_val(&change),
        )
    };
    Errno::result(result)
        .map(drop)
        .called(|| format!("mount_setattr({}, {attributes:#x})", shown(mount)))
}

/// Makes every mount of this namespace private: nothing that is mounted here or there is seen by
/// the other.
pub(crate) fn make_private() -> Result<(), CallError> {
    nix::mount::mount(
        None::<&CStr>,
        c"/",
        None::<&CStr>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&CStr>,
    )
    .called(|| "mount(\"/\", MS_REC|MS_PRIVATE)".to_owned())
}

/// Mounts by path, with all parameters in one string of less than a page.
pub(crate) fn mount(kind: &CStr, target: &CStr, parameters: &CStr) -> Result<(), CallError> {
    nix::mount::mount(
        Some(kind),
        target,
        Some(kind),
        MsFlags::empty(),
        Some(parameters),
    )
    .called(|| format!("mount({kind:?}, {target:?}, {parameters:?})"))
}

/// Makes `new_root` the root directory; the old root is mounted on top of it at the same place.
///
/// Both paths are `.`, the working directory (`pivot_root(2)`, at its end).
pub(crate) fn pivot_root_here() -> Result<(), CallError> {
    nix::unistd::pivot_root(c".", c".").called(|| "pivot_root(\".\", \".\")".to_owned())
}

/// Takes away what is mounted at the working directory, at once and with all below it.
pub(crate) fn detach_here() -> Result<(), CallError> {
    nix::mount::umount2(c".", MntFlags::MNT_DETACH)
        .called(|| "umount2(\".\", MNT_DETACH)".to_owned())
}

impl Depth {
    fn flag(self) -> c_uint {
        match self {
            Self::Single => 0,
            Self::Recursive => at_flag(libc::AT_RECURSIVE),
        }
    }
}

fn at_flag(flag: c_int) -> c_uint {
    flag.cast_unsigned()
}
