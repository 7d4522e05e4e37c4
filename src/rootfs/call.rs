//! The system calls of this crate, one function each, failing with the call as `strace` shows it.
//!
//! Names are single components or, for [`openat2`] alone, paths that the kernel resolves inside the
//! directory. None of the calls follows a link in the last component.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, RenameFlags, ResolveFlag};
use nix::sys::stat::{FileStat, Mode as NixMode, SFlag};
use nix::unistd::{Gid, Uid, UnlinkatFlags};
use nix::{fcntl, sys::stat, unistd};
use rustix::fs::{AtFlags as RustixAt, StatxFlags, Timespec, Timestamps};

use crate::attr::{FileTime, Mode};
use crate::error::{FsError, Quoted, Shown};
use crate::xattr::{self, XattrPlace};

/// How often a look-up that raced with a rename is tried again (openat2(2), "EAGAIN").
const RACE_TRIES: usize = 1024;

/// How a path is kept inside the directory that it is looked up in.
const CONFINED: ResolveFlag =
    ResolveFlag::RESOLVE_IN_ROOT.union(ResolveFlag::RESOLVE_NO_MAGICLINKS);

/// What the symlinks of a path do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// They are followed inside the directory.
    Follow,
    /// They are an error (`ELOOP`).
    Refuse,
}

/// Opens a path inside a directory.
pub(crate) fn openat2(
    dir: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlag,
    links: Links,
) -> Result<OwnedFd, FsError> {
    let resolve = match links {
        Links::Follow => CONFINED,
        Links::Refuse => CONFINED.union(ResolveFlag::RESOLVE_NO_SYMLINKS),
    };
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(resolve);
    let name = if path.is_empty() { b"." } else { path };
    let mut found = Err(Errno::EAGAIN);
    for _ in 0..RACE_TRIES {
        found = fcntl::openat2(dir, name, how);
        if !matches!(found, Err(Errno::EAGAIN | Errno::EINTR)) {
            break;
        }
    }
    found.map_err(|errno| {
        let call = format!("openat2({}, {}, {flags:?})", Shown(dir), Quoted(name));
        match errno {
            Errno::ENOSYS => FsError::NoOpenat2 { call },
            _ => FsError::Call {
                call,
                source: errno.into(),
            },
        }
    })
}

/// Opens one name in a directory, following nothing. Files are made with mode 0600.
pub(crate) fn openat(dir: BorrowedFd<'_>, name: &[u8], flags: OFlag) -> Result<OwnedFd, FsError> {
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mode = NixMode::S_IRUSR | NixMode::S_IWUSR;
    retry(|| fcntl::openat(dir, name, flags, mode)).map_err(|errno| {
        FsError::call(
            errno,
            format_args!("openat({}, {}, {flags:?})", Shown(dir), Quoted(name)),
        )
    })
}

/// Opens for reading the directory that a handle stands for.
pub(crate) fn open_for_reading(dir: BorrowedFd<'_>) -> Result<OwnedFd, FsError> {
    openat(dir, b".", OFlag::O_RDONLY | OFlag::O_DIRECTORY)
}

/// Returns the status of a descriptor.
pub(crate) fn fstat(fd: BorrowedFd<'_>) -> Result<FileStat, FsError> {
    stat::fstat(fd).map_err(|errno| FsError::call(errno, format_args!("fstat({})", Shown(fd))))
}

/// Returns the status of one name in a directory.
pub(crate) fn fstatat(dir: BorrowedFd<'_>, name: &[u8]) -> Result<FileStat, FsError> {
    stat::fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)
        .map_err(|errno| refused_stat(dir, name, errno))
}

/// Returns the status of one name in a directory, `None` where there is no such name: often asked, so that no error is
/// made of it, which would look up what the directory is called.
pub(crate) fn fstatat_if_there(
    dir: BorrowedFd<'_>,
    name: &[u8],
) -> Result<Option<FileStat>, FsError> {
    match stat::fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(refused_stat(dir, name, errno)),
    }
}

fn refused_stat(dir: BorrowedFd<'_>, name: &[u8], errno: Errno) -> FsError {
    FsError::call(
        errno,
        format_args!("fstatat({}, {})", Shown(dir), Quoted(name)),
    )
}

/// Returns what a symlink says.
pub(crate) fn readlinkat(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Vec<u8>, FsError> {
    fcntl::readlinkat(dir, name)
        .map(OsStringExt::into_vec)
        .map_err(|errno| {
            FsError::call(
                errno,
                format_args!("readlinkat({}, {})", Shown(dir), Quoted(name)),
            )
        })
}

/// Makes a directory with mode 0700 less the umask.
pub(crate) fn mkdirat(dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), FsError> {
    stat::mkdirat(dir, name, NixMode::S_IRWXU).map_err(|errno| {
        FsError::call(
            errno,
            format_args!("mkdirat({}, {}, 0700)", Shown(dir), Quoted(name)),
        )
    })
}

/// Makes a symlink.
pub(crate) fn symlinkat(target: &[u8], dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), FsError> {
    unistd::symlinkat(target, dir, name).map_err(|errno| {
        let (target, name) = (Quoted(target), Quoted(name));
        FsError::call(
            errno,
            format_args!("symlinkat({target}, {}, {name})", Shown(dir)),
        )
    })
}

/// Makes a hard link.
pub(crate) fn linkat(
    from: (BorrowedFd<'_>, &[u8]),
    to: (BorrowedFd<'_>, &[u8]),
) -> Result<(), FsError> {
    unistd::linkat(from.0, from.1, to.0, to.1, AtFlags::empty()).map_err(|errno| {
        let (from, to) = (show(from), show(to));
        FsError::call(errno, format_args!("linkat({from}, {to}, 0)"))
    })
}

/// Renames, replacing what is there.
pub(crate) fn renameat(
    from: (BorrowedFd<'_>, &[u8]),
    to: (BorrowedFd<'_>, &[u8]),
) -> Result<(), FsError> {
    fcntl::renameat(from.0, from.1, to.0, to.1).map_err(|errno| {
        let (from, to) = (show(from), show(to));
        FsError::call(errno, format_args!("renameat({from}, {to})"))
    })
}

/// Renames to a name that must be free.
pub(crate) fn rename_noreplace(
    from: (BorrowedFd<'_>, &[u8]),
    to: (BorrowedFd<'_>, &[u8]),
) -> Result<(), FsError> {
    let flag = RenameFlags::RENAME_NOREPLACE;
    fcntl::renameat2(from.0, from.1, to.0, to.1, flag).map_err(|errno| {
        let (from, to) = (show(from), show(to));
        FsError::call(
            errno,
            format_args!("renameat2({from}, {to}, RENAME_NOREPLACE)"),
        )
    })
}

fn show(place: (BorrowedFd<'_>, &[u8])) -> String {
    format!("{}, {}", Shown(place.0), Quoted(place.1))
}

/// Removes a name that is no directory.
pub(crate) fn unlink(dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), FsError> {
    unistd::unlinkat(dir, name, UnlinkatFlags::NoRemoveDir).map_err(|errno| {
        FsError::call(
            errno,
            format_args!("unlinkat({}, {}, 0)", Shown(dir), Quoted(name)),
        )
    })
}

/// Removes an empty directory.
pub(crate) fn rmdir(dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), FsError> {
    unistd::unlinkat(dir, name, UnlinkatFlags::RemoveDir).map_err(|errno| {
        let (dir, name) = (Shown(dir), Quoted(name));
        FsError::call(errno, format_args!("unlinkat({dir}, {name}, AT_REMOVEDIR)"))
    })
}

/// Makes a fifo with mode 0600.
pub(crate) fn mkfifoat(dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), FsError> {
    unistd::mkfifoat(dir, name, NixMode::S_IRUSR | NixMode::S_IWUSR).map_err(|errno| {
        FsError::call(
            errno,
            format_args!("mkfifoat({}, {}, 0600)", Shown(dir), Quoted(name)),
        )
    })
}

/// Makes the character device 0:0, which needs no privilege (since Linux 5.8) and is a whiteout.
///
/// Where the directory is itself in an overlay, that one keeps 0:0 to itself (`ovl_mknod` in the kernel's
/// `fs/overlayfs/dir.c`), and [`OTHER_WHITEOUT`] is made, for which root is needed; without that right a socket without
/// permissions, which everybody may make and no layer can hold.
pub(crate) fn mknod_whiteout(dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), FsError> {
    if swallows_whiteouts(dir) {
        return mknodat(dir, name, SFlag::S_IFSOCK, 0);
    }
    match mknodat(dir, name, SFlag::S_IFCHR, 0) {
        Err(error) if error.is_not_permitted() => {
            let others = [(SFlag::S_IFCHR, OTHER_WHITEOUT), (SFlag::S_IFSOCK, 0)];
            let mut others = others.into_iter();
            // What the kernel said first is what matters if all fail.
            let made = others.any(|(kind, number)| mknodat(dir, name, kind, number).is_ok());
            if made { Ok(()) } else { Err(error) }
        }
        made => made,
    }
}

/// Tells whether a directory is in `fuse-overlayfs`, which makes the device 0:0 in its upper directory and then finds neither
/// that nor what else is in the directory. It is told by the attributes that it keeps to itself.
fn swallows_whiteouts(dir: BorrowedFd<'_>) -> bool {
    const TRIAL: &[u8] = b"user.overlay.careen";
    let is_fuse = rustix::fs::fstatfs(dir).is_ok_and(|found| found.f_type == FUSE_SUPER_MAGIC);
    let place = XattrPlace::inode(dir);
    if !is_fuse || xattr::set(&place, TRIAL, b"").is_err() {
        return false;
    }
    let is_kept = xattr::get(&place, TRIAL).is_ok_and(|found| found.is_none());
    // Where it is not there, that is refused.
    drop(xattr::remove(&place, TRIAL));
    is_kept
}

/// The number of FUSE (`linux/magic.h`).
const FUSE_SUPER_MAGIC: rustix::fs::FsWord = 0x6573_5546;

/// The character device 0:1. No driver has the number 0, and no tree of ours any other device node.
pub(crate) const OTHER_WHITEOUT: u64 = 1;

/// Makes a device node without permissions.
pub(crate) fn mknodat(
    dir: BorrowedFd<'_>,
    name: &[u8],
    kind: SFlag,
    number: u64,
) -> Result<(), FsError> {
    stat::mknodat(dir, name, kind, NixMode::empty(), number).map_err(|errno| {
        let (dir, name) = (Shown(dir), Quoted(name));
        let (major, minor) = (stat::major(number), stat::minor(number));
        FsError::call(
            errno,
            format_args!("mknodat({dir}, {name}, {kind:?}, makedev({major}, {minor}))"),
        )
    })
}

/// Sets the owner of the inode that a descriptor stands for.
pub(crate) fn chown(fd: BorrowedFd<'_>, uid: u32, gid: u32) -> Result<(), FsError> {
    let (owner, group) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    unistd::fchownat(fd, b"".as_slice(), owner, group, AtFlags::AT_EMPTY_PATH).map_err(|errno| {
        FsError::call(
            errno,
            format_args!("fchownat({}, \"\", {uid}, {gid})", Shown(fd)),
        )
    })
}

/// Sets the mode of the inode that a descriptor, maybe an `O_PATH` one, stands for.
pub(crate) fn chmod(fd: BorrowedFd<'_>, mode: Mode) -> Result<(), FsError> {
    // fchmod refuses an O_PATH descriptor and fchmodat2 is of Linux 6.6: the link in /proc leads to
    // the very inode, and where that is a symlink the kernel says EOPNOTSUPP.
    let nix_mode = NixMode::from_bits_truncate(mode.bits());
    let flag = stat::FchmodatFlags::FollowSymlink;
    stat::fchmodat(fcntl::AT_FDCWD, proc_path(fd).as_str(), nix_mode, flag)
        .map_err(|errno| FsError::call(errno, format_args!("chmod({}, {mode})", Shown(fd))))
}

/// Sets the mode of an open file.
pub(crate) fn fchmod(fd: BorrowedFd<'_>, mode: Mode) -> Result<(), FsError> {
    stat::fchmod(fd, NixMode::from_bits_truncate(mode.bits()))
        .map_err(|errno| FsError::call(errno, format_args!("fchmod({}, {mode})", Shown(fd))))
}

/// Sets both times of the inode that a descriptor stands for.
pub(crate) fn utimens(fd: BorrowedFd<'_>, time: FileTime) -> Result<(), FsError> {
    let spec = Timespec {
        tv_sec: time.seconds,
        tv_nsec: time.nanos.into(),
    };
    let times = Timestamps {
        last_access: spec,
        last_modification: spec,
    };
    rustix::fs::utimensat(fd, "", &times, RustixAt::EMPTY_PATH).map_err(|errno| {
        FsError::call(
            errno,
            format_args!("utimensat({}, \"\", {})", Shown(fd), time.seconds),
        )
    })
}

/// Returns when an inode was made, where its file system knows.
pub(crate) fn born(fd: BorrowedFd<'_>) -> Result<Option<FileTime>, FsError> {
    let found = rustix::fs::statx(fd, "", RustixAt::EMPTY_PATH, StatxFlags::BTIME);
    let found = found.map_err(|errno| {
        FsError::call(
            errno,
            format_args!("statx({}, \"\", STATX_BTIME)", Shown(fd)),
        )
    })?;
    let is_known = found.stx_mask & StatxFlags::BTIME.bits() != 0;
    Ok(is_known.then_some(FileTime {
        seconds: found.stx_btime.tv_sec,
        nanos: found.stx_btime.tv_nsec,
    }))
}

/// Writes to the disk what was written through a descriptor.
pub(crate) fn fsync(fd: BorrowedFd<'_>) -> Result<(), FsError> {
    retry(|| unistd::fsync(fd))
        .map_err(|errno| FsError::call(errno, format_args!("fsync({})", Shown(fd))))
}

/// Writes to the disk everything on the file system that a descriptor is on.
pub(crate) fn syncfs(fd: BorrowedFd<'_>) -> Result<(), FsError> {
    rustix::fs::syncfs(fd)
        .map_err(|errno| FsError::call(errno, format_args!("syncfs({})", Shown(fd))))
}

/// Returns the name that leads to the inode behind a descriptor, and to no other.
pub(crate) fn proc_path(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Repeats a call that a signal interrupted.
pub(crate) fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            found => return found,
        }
    }
}

/// Returns a descriptor of the same open file.
pub(crate) fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd, FsError> {
    fd.try_clone_to_owned().map_err(|source: io::Error| {
        FsError::call(
            source,
            format_args!("fcntl({}, F_DUPFD_CLOEXEC)", Shown(fd)),
        )
    })
}
