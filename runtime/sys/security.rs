#![expect(unsafe_code, reason = "system calls without a safe wrapper")]
//! What a thread puts on itself: filters of system calls, Landlock, a keyring of its own.

use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::ptr;

use libc::{c_int, c_long, c_uint};
use nix::errno::Errno;

use super::fd::owned;
use super::{CallError, Called as _, shown};

/// One instruction of a filter.
pub(crate) use libc::sock_filter as Instruction;

/// `LANDLOCK_CREATE_RULESET_VERSION` (`Documentation/userspace-api/landlock.rst`).
const LANDLOCK_CREATE_RULESET_VERSION: c_uint = 1;
/// `LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET`, since version 6.
pub(crate) const LANDLOCK_SCOPE_ABSTRACT_SOCKETS: u64 = 1;
/// `LANDLOCK_SCOPE_SIGNAL`, since version 6.
pub(crate) const LANDLOCK_SCOPE_SIGNALS: u64 = 2;
/// `LANDLOCK_RULE_PATH_BENEATH`.
const LANDLOCK_RULE_PATH_BENEATH: c_uint = 1;
/// `KEYCTL_JOIN_SESSION_KEYRING` (`Documentation/security/keys/core.rst`).
const KEYCTL_JOIN_SESSION_KEYRING: c_uint = 1;

/// `struct landlock_ruleset_attr` of version 6. An older kernel takes it while what it does not know is 0.
#[repr(C)]
struct RulesetAttributes {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent: c_int,
}

/// Puts a filter of system calls on this thread and on whatever it starts.
///
/// Needs `CAP_SYS_ADMIN` in the thread's user namespace, or `no_new_privs`.
pub(crate) fn set_seccomp_filter(program: &[Instruction]) -> Result<(), CallError> {
    seccomp_filter(program, 0).map(drop)
}

/// The same with a filter that asks: returns the descriptor at which the questions come in.
///
/// Fails with `EBUSY` where a filter that asks is in force already.
pub(crate) fn set_asking_filter(program: &[Instruction]) -> Result<OwnedFd, CallError> {
    let listen = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // A signal that a program handles is not to break off and begin again what is being answered. Since Linux 5.19.
    let patient = libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    let made = match seccomp_filter(program, listen | patient) {
        Err(error) if error.errno() == Errno::EINVAL => seccomp_filter(program, listen),
        made => made,
    }?;
    // SAFETY: with this flag the call makes a descriptor.
    unsafe { owned(made) }.called(|| "seccomp(SECCOMP_FILTER_FLAG_NEW_LISTENER)".to_owned())
}

fn seccomp_filter(program: &[Instruction], flags: libc::c_ulong) -> Result<c_long, CallError> {
    let describe = || {
        format!(
            "seccomp(SECCOMP_SET_MODE_FILTER, {flags:#x}, {} instructions)",
            program.len()
        )
    };
    let length = u16::try_from(program.len())
        .map_err(|_too_long| Errno::E2BIG)
        .called(describe)?;
    let program = libc::sock_fprog {
        len: length,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the program has the length that is given; the kernel copies it and writes to no
    // memory of ours, though the C declaration has no `const`.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const program,
        )
    };
    Errno::result(result).called(describe)
}

/// Returns the version of Landlock's interface that the kernel has.
pub(crate) fn landlock_version() -> Result<c_long, CallError> {
    // SAFETY: a question for the version takes no attributes: null with size 0.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            ptr::null::<RulesetAttributes>(),
            0_usize,
            LANDLOCK_CREATE_RULESET_VERSION,
        )
    };
    Errno::result(result)
        .called(|| "landlock_create_ruleset(LANDLOCK_CREATE_RULESET_VERSION)".to_owned())
}

/// Makes a set of rules that forbids the ways of using files in `access`, and what leaves the domain in the ways of
/// `scoped`, and nothing else.
pub(crate) fn landlock_ruleset(access: u64, scoped: u64) -> Result<OwnedFd, CallError> {
    let attributes = RulesetAttributes {
        handled_access_fs: access,
        handled_access_net: 0,
        scoped,
    };
    // SAFETY: the attributes live on our stack with the size that is given; the kernel reads them
    // only.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const attributes,
            size_of_val(&attributes),
            0_u32,
        )
    };
    // SAFETY: the call makes a descriptor.
    unsafe { owned(result) }
        .called(|| format!("landlock_create_ruleset(files {access:#x}, scoped {scoped:#x})"))
}

/// Adds a rule that allows `access` to all that is beneath a directory.
pub(crate) fn landlock_allow_beneath(
    ruleset: BorrowedFd<'_>,
    directory: BorrowedFd<'_>,
    access: u64,
) -> Result<(), CallError> {
    let rule = PathBeneath {
        allowed_access: access,
        parent: directory.as_raw_fd(),
    };
    // SAFETY: the rule lives on our stack and has the type that the kernel reads for this number; the kernel reads it
    // only.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            LANDLOCK_RULE_PATH_BENEATH,
            &raw const rule,
            0_u32,
        )
    };
    Errno::result(result)
        .map(drop)
        .called(|| format!("landlock_add_rule({}, {access:#x})", shown(directory)))
}

/// Puts a set of rules on this thread and on whatever it starts. Needs what a seccomp filter needs.
pub(crate) fn landlock_restrict(ruleset: BorrowedFd<'_>) -> Result<(), CallError> {
    // SAFETY: all arguments are numbers.
    let result =
        unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0_u32) };
    Errno::result(result)
        .map(drop)
        .called(|| "landlock_restrict_self()".to_owned())
}

/// Takes an empty session keyring without a name in place of the one that this thread inherited.
pub(crate) fn join_new_session_keyring() -> Result<(), CallError> {
    // SAFETY: null asks for a keyring without a name; there is no other pointer.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_JOIN_SESSION_KEYRING,
            ptr::null::<libc::c_char>(),
        )
    };
    Errno::result(result)
        .map(drop)
        .called(|| "keyctl(KEYCTL_JOIN_SESSION_KEYRING)".to_owned())
}
