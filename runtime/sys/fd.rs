//! Descriptors that a system call has just made.

#![expect(
    unsafe_code,
    reason = "descriptors come from the kernel as bare numbers"
)]

use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

use libc::c_long;
use nix::errno::Errno;

/// Returns the descriptor that `result` is, or the error it stands for.
///
/// # Safety
///
/// `result` must be what a system call returned that makes a descriptor, and nobody else may own
/// it.
pub(super) unsafe fn owned(result: c_long) -> nix::Result<OwnedFd> {
    let number = Errno::result(result)?;
    let number = RawFd::try_from(number).map_err(|_too_large| Errno::EBADF)?;
    // SAFETY: the caller vouches for it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
