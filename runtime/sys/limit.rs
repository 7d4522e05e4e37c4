//! Limits of other processes (`prlimit(2)`).

#![expect(unsafe_code, reason = "system calls without a safe wrapper")]

use nix::errno::Errno;
use nix::unistd::Pid;

use super::{CallError, Called as _};

/// A limit in force, and the one up to which a process may raise it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

/// Returns how long the process of a thread may run under real-time scheduling, in microseconds.
pub(crate) fn real_time(thread: Pid) -> Result<Limits, CallError> {
    let mut limits = libc::rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the new limits may be null; the old ones live on our stack and have the type that the call writes.
    let result = unsafe {
        libc::prlimit64(
            thread.as_raw(),
            libc::RLIMIT_RTTIME,
            std::ptr::null(),
            &raw mut limits,
        )
    };
    Errno::result(result).called(|| format!("prlimit({thread}, RLIMIT_RTTIME)"))?;
    Ok(Limits {
        soft: limits.rlim_cur,
        hard: limits.rlim_max,
    })
}

/// Sets how long it may.
pub(crate) fn set_real_time(thread: Pid, limits: Limits) -> Result<(), CallError> {
    let new = libc::rlimit64 {
        rlim_cur: limits.soft,
        rlim_max: limits.hard,
    };
    // SAFETY: the new limits live on our stack and have the type that the call reads; the old ones may be null.
    let result = unsafe {
        libc::prlimit64(
            thread.as_raw(),
            libc::RLIMIT_RTTIME,
            &raw const new,
            std::ptr::null_mut(),
        )
    };
    Errno::result(result)
        .map(drop)
        .called(|| format!("prlimit({thread}, RLIMIT_RTTIME, {limits:?})"))
}
