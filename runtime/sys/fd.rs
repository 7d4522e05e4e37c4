//! Descriptors that a system call has just made.

#![expect(
    unsafe_code,
    reason = "descriptors come from the kernel as bare numbers"
)]

use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use libc::c_long;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

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

/// Makes the table of descriptors large enough for the number `highest`, once and for all; `any` is one of them.
///
/// The table grows by doubling, and in a process with threads the kernel waits each time until no processor can be
/// looking at the old one (`expand_fdtable` in fs/file.c): up to two hundredths of a second, in which nothing else is done.
pub(crate) fn reserve(any: BorrowedFd<'_>, highest: RawFd) -> nix::Result<()> {
    let number = fcntl(any, FcntlArg::F_DUPFD_CLOEXEC(highest))?;
    // SAFETY: the call made it, and nobody else knows of it. Closing it leaves the table as large as it is.
    drop(unsafe { OwnedFd::from_raw_fd(number) });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;

    #[test]
    fn the_table_has_room_afterwards_and_nothing_more_is_open() {
        let any = std::fs::File::open("/dev/null").unwrap();
        let highest = 1000;
        reserve(any.as_fd(), highest).unwrap();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let size = status
            .lines()
            .find_map(|line| line.strip_prefix("FDSize:\t"))
            .and_then(|size| size.parse().ok());
        assert!(size.is_some_and(|size: RawFd| size > highest), "{size:?}");
        let left = std::fs::symlink_metadata(format!("/proc/self/fd/{highest}"));
        assert_eq!(left.unwrap_err().kind(), std::io::ErrorKind::NotFound);
    }
}
