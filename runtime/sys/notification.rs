#![expect(unsafe_code, reason = "system calls without a safe wrapper")]
//! Questions of a filter of system calls, and answers to them (`seccomp_unotify(2)`).

use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::unistd::Pid;

use super::{CallError, Called as _};

/// A system call that waits for an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    /// What it is answered by.
    pub(crate) id: u64,
    /// The thread that makes the call, as this process sees it.
    pub(crate) thread: Pid,
    /// The kernel's number for the kind of program (`AUDIT_ARCH_*`).
    pub(crate) audit: u32,
    /// The number of the call for that kind.
    pub(crate) number: u32,
    /// What the call was given.
    pub(crate) arguments: [u64; 6],
}

/// Takes the next question.
///
/// Fails with `ENOENT` if the thread that asked is gone.
pub(crate) fn receive(listener: BorrowedFd<'_>) -> Result<Question, CallError> {
    // SAFETY: the struct is made of integers, for which zero is a value; the kernel wants it all zero.
    let mut notification: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the struct lives on our stack and is the one that the request names, with its size.
    let result = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_RECV,
            &raw mut notification,
        )
    };
    Errno::result(result).called(|| "ioctl(SECCOMP_IOCTL_NOTIF_RECV)".to_owned())?;
    let libc::seccomp_data { nr, arch, args, .. } = notification.data;
    Ok(Question {
        id: notification.id,
        thread: Pid::from_raw(notification.pid.cast_signed()),
        audit: arch,
        number: nr.cast_unsigned(),
        arguments: args,
    })
}

/// The version of Linux since which [`receive`] ends when nobody is left to ask.
const RECEIVING_ENDS_SINCE: (u32, u32) = (6, 11);

/// Tells whether [`receive`] fails with `ENOENT` when nobody is left to ask. Before Linux 6.11 it waits for ever, and one has
/// to look first whether there is a question.
pub(crate) fn receiving_ends() -> bool {
    static ENDS: OnceLock<bool> = OnceLock::new();
    *ENDS.get_or_init(|| {
        let name = nix::sys::utsname::uname();
        let version = name.as_ref().ok().and_then(|name| name.release().to_str());
        version
            .and_then(parse_version)
            .is_some_and(|version| version >= RECEIVING_ENDS_SINCE)
    })
}

/// Reads the first two numbers of a release of Linux (`6.11.0-rc1`, `6.18.44-arch1`).
fn parse_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    let mut number = || numbers.next()?.parse().ok();
    Some((number()?, number()?))
}

/// Tells whether the thread that asked still waits. While it does, its number is nobody else's.
pub(crate) fn is_waiting(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the number lives on our stack and has the size that the request names.
    let result = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_ID_VALID,
            &raw const id,
        )
    };
    result == 0
}

/// What becomes of a call that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is not made and returns this.
    Value(i64),
    /// It is made, as if nobody had asked. What its arguments point to may have changed since it was looked at, so
    /// nothing that must not happen is let through with this.
    GoesOn,
    /// It has been answered already.
    Given,
}

impl Answer {
    /// The call is not made and returns 0.
    pub(crate) const DONE: Self = Self::Value(0);
}

/// Answers: the call returns a value, fails with this error, or is made.
///
/// Fails with `ENOENT` if the thread that asked is gone.
pub(crate) fn answer(
    listener: BorrowedFd<'_>,
    id: u64,
    result: Result<Answer, Errno>,
) -> Result<(), CallError> {
    let (val, error, flags) = match result {
        Ok(Answer::Value(value)) => (value, 0, 0),
        Ok(Answer::GoesOn) => (0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE),
        Ok(Answer::Given) => return Ok(()),
        Err(errno) => (0, -(errno as i32), 0),
    };
    let flags = u32::try_from(flags).unwrap_or_default();
    let mut response = libc::seccomp_notif_resp {
        id,
        val,
        error,
        flags,
    };
    // SAFETY: the struct lives on our stack and is the one that the request names, with its size.
    let result = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SEND,
            &raw mut response,
        )
    };
    Errno::result(result)
        .map(drop)
        .called(|| "ioctl(SECCOMP_IOCTL_NOTIF_SEND)".to_owned())
}

/// `SECCOMP_IOCTL_NOTIF_SET_FLAGS` and `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP` (linux/seccomp.h).
const SET_FLAGS: nix::sys::ioctl::ioctl_num_type = nix::request_code_write!(b'!', 4, 8);
const SYNC_WAKE_UP: u64 = 1;

/// Has whoever asks and whoever answers take turns on one processor, since each waits for the other. Since Linux 6.6;
/// before that nothing changes.
pub(crate) fn take_turns(listener: BorrowedFd<'_>) {
    // SAFETY: the request takes a number.
    unsafe { libc::ioctl(listener.as_raw_fd(), SET_FLAGS, SYNC_WAKE_UP) };
}

/// Answers with a descriptor: the caller gets a copy of `file` with the lowest free number, which the call returns.
/// Returns what is left to be answered: before Linux 5.14 the number, and nothing since.
///
/// Fails with `ENOENT` if the thread that asked is gone, and with `EMFILE` where it may have no more; then the call
/// still waits.
pub(crate) fn hand_over(
    listener: BorrowedFd<'_>,
    id: u64,
    file: BorrowedFd<'_>,
    closes_on_exec: bool,
) -> Result<Answer, CallError> {
    let flags = if closes_on_exec { libc::O_CLOEXEC } else { 0 };
    let mut added = libc::seccomp_notif_addfd {
        id,
        flags: u32::try_from(libc::SECCOMP_ADDFD_FLAG_SEND).unwrap_or_default(),
        srcfd: file.as_raw_fd().cast_unsigned(),
        newfd: 0,
        newfd_flags: flags.cast_unsigned(),
    };
    match add(listener, &mut added) {
        Ok(_) => Ok(Answer::Given),
        Err(Errno::EINVAL) => {
            added.flags = 0;
            add(listener, &mut added).map(|number| Answer::Value(number.into()))
        }
        Err(errno) => Err(errno),
    }
    .called(|| "ioctl(SECCOMP_IOCTL_NOTIF_ADDFD)".to_owned())
}

fn add(
    listener: BorrowedFd<'_>,
    added: &mut libc::seccomp_notif_addfd,
) -> nix::Result<libc::c_int> {
    // SAFETY: the struct is the one that the request names, with its size, and lives as long as the call.
    let result = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_ADDFD,
            std::ptr::from_mut(added),
        )
    };
    Errno::result(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (release, expected) in [
            ("6.11.0", Some(true)),
            ("6.18.44-arch1", Some(true)),
            ("10.0", Some(true)),
            ("6.9.1", Some(false)),
            ("5.15.0-91-generic", Some(false)),
            ("6", None),
            ("", None),
            ("linux", None),
        ] {
            let found = parse_version(release).map(|version| version >= RECEIVING_ENDS_SINCE);
            assert_eq!(found, expected, "{release}");
        }
    }
}
