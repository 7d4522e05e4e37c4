//! Directories in memory for what must never be on a disk: secrets, and sockets that are gone with their step.
//!
//! They are of type `ramfs`, whose pages the kernel never swaps out (`ramfs-rootfs-initramfs.rst`); those of a
//! `tmpfs` it does. Nothing limits their size, so they are for what has a limit already, and a command gets
//! nothing of them to write to.

use std::os::fd::{AsFd as _, OwnedFd};

use crate::sys::CallError;
use crate::sys::mount::{self, Setting};

/// Returns an empty directory in memory, detached: it is gone when its last descriptor is closed and its last
/// mount ends.
///
/// # Errors
///
/// Fails when the kernel refuses it.
pub fn memory_directory() -> Result<OwnedFd, CallError> {
    let context = mount::fsopen(c"ramfs")?;
    let setting = |setting| mount::fsconfig(context.as_fd(), setting);
    setting(Setting::String(c"mode", c"0700"))?;
    setting(Setting::Create)?;
    mount::fsmount(
        context.as_fd(),
        mount::NO_SUID | mount::NO_DEVICES | mount::NO_EXECUTION,
    )
}
