//! Processes: namespaces, fork, execve, descriptors that refer to a process.

#![expect(unsafe_code, reason = "system calls without a safe wrapper")]
#![expect(
    clippy::disallowed_methods,
    reason = "runtime is what changes namespaces"
)]

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use libc::{c_int, c_uint};
use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid, fchdir};

use super::fd::owned;
use super::{CallError, Called as _, shown};

/// Leaves the namespaces in `flags` for new ones.
pub(crate) fn unshare(flags: CloneFlags) -> Result<(), CallError> {
    nix::sched::unshare(flags).called(|| format!("unshare({flags:?})"))
}

/// Enters the namespace that `namespace` refers to, which must be of the kind in `flags`.
pub(crate) fn setns(namespace: BorrowedFd<'_>, flags: CloneFlags) -> Result<(), CallError> {
    nix::sched::setns(namespace, flags).called(|| format!("setns({}, {flags:?})", shown(namespace)))
}

/// Makes a copy of this process.
///
/// Fails with `EINVAL` in a process that has a second thread: the copy would have the memory of
/// both and the locks that the other held, for ever.
pub(crate) fn fork() -> Result<ForkResult, CallError> {
    require_one_thread().called(|| "fork() in a process with threads".to_owned())?;
    // SAFETY: no other thread exists, so no lock is held and no memory is in a state between two.
    unsafe { nix::unistd::fork() }.called(|| "fork()".to_owned())
}

/// Tells whether this process has no second thread.
pub(crate) fn has_one_thread() -> bool {
    require_one_thread().is_ok()
}

/// Fails with `EINVAL` in a process that has a second thread.
fn require_one_thread() -> Result<(), Errno> {
    // The kernel grants this one only to a process with one thread, for which it changes nothing
    // (unshare(2), "CLONE_THREAD"). It costs less than to count threads in /proc.
    match nix::sched::unshare(CloneFlags::CLONE_THREAD) {
        // In a container whose filter of system calls allows no `unshare` whatever it asks for.
        Err(Errno::EPERM) => count_threads(),
        answered => answered,
    }
}

/// Fails with `EINVAL` unless `/proc` has one thread of this process: a directory has a link for each directory in it,
/// and two of its own.
fn count_threads() -> Result<(), Errno> {
    let threads = nix::sys::stat::stat("/proc/self/task")?;
    if threads.st_nlink == 3 {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

/// Makes a copy of this process that is a child of this process's parent, which has to reap it.
///
/// Fails with `EINVAL` in a process that has a second thread, as [`fork`] does.
pub(crate) fn fork_for_parent() -> Result<ForkResult, CallError> {
    require_one_thread().called(|| "clone() in a process with threads".to_owned())?;
    // What is told of the end is the signal that is told of this process's own (clone(2), "CLONE_PARENT").
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: no other thread exists, so no lock is held and no memory is in a state between two. Without a stack and
    // without CLONE_VM the copy goes on on its own copy of this one; what the C library knows of the thread's id is
    // that of the original, which nothing here asks for.
    let result = unsafe { libc::syscall(libc::SYS_clone, flags, 0_u64, 0_u64, 0_u64, 0_u64) };
    let pid = Errno::result(result).called(|| "clone(CLONE_PARENT)".to_owned())?;
    Ok(match libc::pid_t::try_from(pid) {
        Ok(pid @ 1..) => ForkResult::Parent {
            child: Pid::from_raw(pid),
        },
        _ => ForkResult::Child,
    })
}

/// Ends this process, a copy made by [`fork`]. What the callers have on their stacks is for the original to release.
#[expect(clippy::exit, reason = "nothing above is this process's to release")]
pub(crate) fn end(code: u8) -> ! {
    std::process::exit(code.into())
}

/// Makes `root` the root directory of this thread, and `start` its working directory. The thread must share neither
/// with another (`CLONE_FS`, unshare(2)).
pub(crate) fn change_root(root: BorrowedFd<'_>, start: BorrowedFd<'_>) -> Result<(), CallError> {
    fchdir(root).called(|| format!("fchdir({})", shown(root)))?;
    nix::unistd::chroot(".").called(|| "chroot(\".\")".to_owned())?;
    fchdir(start).called(|| format!("fchdir({})", shown(start)))
}

/// Replaces this process by the program at `path`.
pub(crate) fn execute(
    path: &CStr,
    arguments: &[CString],
    environment: &[CString],
) -> Result<Infallible, Errno> {
    nix::unistd::execve(path, arguments, environment)
}

/// Marks the descriptors from `first` to `last` to be closed by `execve`.
pub(crate) fn close_range_on_exec(first: c_uint, last: c_uint) -> Result<(), CallError> {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: all arguments are numbers, and no descriptor is closed now.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    Errno::result(result)
        .map(drop)
        .called(|| format!("close_range({first}, {last}, CLOSE_RANGE_CLOEXEC)"))
}

/// Returns a descriptor of the process `pid`, which must not have been reaped. Since Linux 5.3.
pub(crate) fn pidfd_open(pid: Pid) -> Result<OwnedFd, CallError> {
    // SAFETY: all arguments are numbers.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0_u32) };
    // SAFETY: the call makes a descriptor.
    unsafe { owned(result) }.called(|| format!("pidfd_open({pid})"))
}

/// `PIDFD_THREAD` (linux/pidfd.h).
const PIDFD_THREAD: c_uint = libc::O_EXCL.cast_unsigned();

/// Returns a descriptor of a thread, which must not be gone. Before Linux 6.9 of the first thread of a process alone.
pub(crate) fn thread_handle(thread: Pid) -> Result<OwnedFd, CallError> {
    // SAFETY: all arguments are numbers.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, thread.as_raw(), PIDFD_THREAD) };
    if result == -1 && Errno::last() == Errno::EINVAL {
        return pidfd_open(thread);
    }
    // SAFETY: the call makes a descriptor.
    unsafe { owned(result) }.called(|| format!("pidfd_open({thread}, PIDFD_THREAD)"))
}

/// Returns a copy of a descriptor of the process that `pidfd` refers to. Since Linux 5.6.
///
/// Needs the right to trace that process.
pub(crate) fn copy_descriptor(pidfd: BorrowedFd<'_>, number: c_int) -> Result<OwnedFd, CallError> {
    // SAFETY: all arguments are numbers.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0_u32) };
    // SAFETY: the call makes a descriptor.
    unsafe { owned(result) }.called(|| format!("pidfd_getfd({}, {number})", shown(pidfd)))
}

/// Sends `signal` to the process that `pidfd` refers to.
pub(crate) fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: Signal) -> Result<(), CallError> {
    // SAFETY: the third argument may be null, and the others are numbers.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal as c_int,
            std::ptr::null::<libc::siginfo_t>(),
            0_u32,
        )
    };
    Errno::result(result)
        .map(drop)
        .called(|| format!("pidfd_send_signal({}, {signal})", shown(pidfd)))
}

/// How a process ended, as `waitpid(2)` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself, with this code.
    Exited(i32),
    /// By the signal of this number, which may be one without a name (`SIGRTMIN` and above).
    Signaled(i32),
}

/// Waits for the end of `child` and reaps it.
pub(crate) fn wait(child: Pid) -> Result<Ending, CallError> {
    loop {
        let mut status = 0;
        // SAFETY: the status lives on our stack and is an int, which is what the call writes.
        let result = unsafe { libc::waitpid(child.as_raw(), &raw mut status, 0) };
        match Errno::result(result) {
            // A stop and a continuation of this process interrupt it.
            Err(Errno::EINTR) => {}
            waited => {
                return waited
                    .map(|_| Ending::read(status))
                    .called(|| format!("waitpid({child})"));
            }
        }
    }
}

/// Waits until a child ends, and reaps it. Without a child there is nothing to wait for.
pub(crate) fn wait_for_any_child() -> Result<(), CallError> {
    match wait(Pid::from_raw(-1)) {
        Err(error) if error.errno() == Errno::ECHILD => Ok(()),
        waited => waited.map(drop),
    }
}

/// Reaps a child that has ended, if there is one.
pub(crate) fn reap_any() -> Result<Option<(Pid, Ending)>, CallError> {
    const ANY: libc::pid_t = -1;
    let mut status = 0;
    // SAFETY: the status lives on our stack and is an int, which is what the call writes.
    let result = unsafe { libc::waitpid(ANY, &raw mut status, libc::WNOHANG) };
    match Errno::result(result) {
        Ok(0) | Err(Errno::ECHILD) => Ok(None),
        waited => waited
            .map(|pid| Some((Pid::from_raw(pid), Ending::read(status))))
            .called(|| "waitpid(-1, WNOHANG)".to_owned()),
    }
}

impl Ending {
    /// Reads a status of `waitpid`. (nix's takes a signal without a name for an error.)
    fn read(status: c_int) -> Self {
        if libc::WIFSIGNALED(status) {
            Self::Signaled(libc::WTERMSIG(status))
        } else {
            // Neither stops nor continuations were asked for: it exited.
            Self::Exited(libc::WEXITSTATUS(status))
        }
    }
}

/// Gives this process the name that `ps` and `pkill` know it by. Started as `/proc/self/exe` it would be
/// called `exe`.
pub(crate) fn set_name(name: &CStr) -> Result<(), CallError> {
    nix::sys::prctl::set_name(name).called(|| format!("prctl(PR_SET_NAME, {name:?})"))
}

/// Sets the execution domain of this thread and returns the one before.
#[cfg(target_arch = "aarch64")]
pub(crate) fn personality(domain: libc::c_ulong) -> Result<c_int, CallError> {
    // SAFETY: the argument is a number.
    let result = unsafe { libc::personality(domain) };
    Errno::result(result).called(|| format!("personality({domain:#x})"))
}

/// Makes this process the one that orphans below it become children of.
pub(crate) fn adopt_orphans() -> Result<(), CallError> {
    nix::sys::prctl::set_child_subreaper(true)
        .called(|| "prctl(PR_SET_CHILD_SUBREAPER, 1)".to_owned())
}

/// Gives up for good that a program gets more rights by being executed.
pub(crate) fn give_up_new_privileges() -> Result<(), CallError> {
    nix::sys::prctl::set_no_new_privs().called(|| "prctl(PR_SET_NO_NEW_PRIVS, 1)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_thread_is_noticed_without_unshare_too() {
        // Tests run in threads of their own beside the main one.
        assert_eq!(count_threads(), Err(Errno::EINVAL));
        assert_eq!(require_one_thread(), Err(Errno::EINVAL));
    }
}
