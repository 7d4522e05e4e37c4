//! Opening and making files relative to a directory's descriptor.

use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{FileStat, Mode, fstat, mkdirat};

use super::{CallError, Called as _, quoted, shown};

/// Opens one name in `directory`. Always close-on-exec.
pub(crate) fn open(
    directory: BorrowedFd<'_>,
    name: &CStr,
    flags: OFlag,
    mode: u32,
) -> Result<OwnedFd, CallError> {
    openat(
        directory,
        name,
        flags | OFlag::O_CLOEXEC,
        Mode::from_bits_truncate(mode),
    )
    .called(|| format!("openat({}, {name:?}, {flags:?})", shown(directory)))
}

/// Opens a directory by a path below the thread's root and working directory, for looking names up in it. Links are
/// followed, but for those of `/proc` that lead to what another process has open.
pub(crate) fn open_place(path: &[u8]) -> Result<OwnedFd, CallError> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    openat2(AT_FDCWD, path, how).called(|| format!("openat2({})", quoted(path)))
}

/// Opens what a path leads to, which begins in `start` unless it begins with a slash, below the thread's root. Links are
/// followed as by [`open_place`]; always close-on-exec.
pub(crate) fn open_from(
    start: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlag,
    mode: u32,
) -> Result<OwnedFd, CallError> {
    let mut how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    if flags.intersects(OFlag::O_CREAT | OFlag::O_TMPFILE) {
        how = how.mode(Mode::from_bits_truncate(mode));
    }
    openat2(start, path, how).called(|| format!("openat2({}, {})", shown(start), quoted(path)))
}

/// Makes a directory in `directory`.
pub(crate) fn make_directory(
    directory: BorrowedFd<'_>,
    name: &CStr,
    mode: u32,
) -> Result<(), CallError> {
    mkdirat(directory, name, Mode::from_bits_truncate(mode))
        .called(|| format!("mkdirat({}, {name:?}, {mode:#o})", shown(directory)))
}

/// Makes a symbolic link called `name` to `target` in `directory`.
pub(crate) fn symlink(
    target: &CStr,
    directory: BorrowedFd<'_>,
    name: &CStr,
) -> Result<(), CallError> {
    nix::unistd::symlinkat(target, directory, name)
        .called(|| format!("symlinkat({target:?}, {}, {name:?})", shown(directory)))
}

/// Returns what `fd` refers to.
pub(crate) fn stat(fd: BorrowedFd<'_>) -> Result<FileStat, CallError> {
    fstat(fd).called(|| format!("fstat({})", shown(fd)))
}
