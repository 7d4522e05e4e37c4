//! A file system in memory, for files that a sandbox sees and nobody keeps.

use std::os::fd::{AsFd as _, OwnedFd};

use crate::sys::CallError;
use crate::sys::mount::{self, Setting};

/// Returns a new, empty file system in memory as a detached mount, which nobody but its owner may write.
///
/// # Errors
///
/// Fails when the kernel refuses it.
pub fn mount_memory() -> Result<OwnedFd, CallError> {
    let context = mount::fsopen(c"tmpfs")?;
    mount::fsconfig(context.as_fd(), Setting::String(c"mode", c"0755"))?;
    mount::fsconfig(context.as_fd(), Setting::Create)?;
    mount::fsmount(context.as_fd(), mount::NO_DEVICES | mount::NO_SUID)
}
