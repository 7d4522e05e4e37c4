//! `mknod` of a device: a placeholder with a record, which the layer's tar has as the device.
//!
//! | Asked for | Answer |
//! | --- | --- |
//! | character device 0:0 | `EPERM`: overlayfs would take it for a removed name, and refuses it itself |
//! | by a caller without `CAP_MKNOD` or `CAP_DAC_OVERRIDE` | `EPERM` |
//! | in a directory of somebody who is not in the sandbox | `EACCES` |
//! | on a file system that holds no attributes of users | `EPERM`, as without a supervisor |
//! | anything else | a placeholder of the caller's, with the permissions that its umask leaves |
//!
//! The caller is to have `CAP_DAC_OVERRIDE` because the placeholder is made with the builder's rights: with it, the
//! caller may write in each directory of the sandbox's ids, which are the directories that are taken here.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{FileStat, Mode as Permissions, SFlag, major, minor};
use nix::unistd::{UnlinkatFlags, unlinkat};
use rootfs::{
    Device, FileKind, FsError, IdStorage, Inode, Mode, OwnerRecord, OwnerTable, Owners, RootPath,
};

use crate::credentials;
use crate::executor::ExecutorMode;
use crate::notify::caller::{Caller, Rights};
use crate::sys::{file, process};
use crate::userns::{BuilderId, IdMap, SandboxId};

/// `AT_FDCWD`, as callers give it.
const AT_FDCWD_NUMBER: i32 = libc::AT_FDCWD;

/// A call that would make a device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DeviceCall {
    /// Where a relative path begins; `None` for the working directory.
    start: Option<i32>,
    /// Where the path is in the caller's memory.
    path: u64,
    /// Its permissions.
    mode: u32,
    device: Device,
}

/// A path, divided.
#[derive(Debug, PartialEq, Eq)]
struct Target<'p> {
    /// The directory.
    parent: &'p [u8],
    /// The name in it.
    name: &'p [u8],
}

impl DeviceCall {
    /// Tells whether the call of this name would make a device.
    pub(super) fn is_one(name: &str, arguments: &[u64; 6]) -> bool {
        let [_, second, third, ..] = *arguments;
        let mode = low_half(if name == "mknodat" { third } else { second });
        let kind = SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits());
        matches!(kind, SFlag::S_IFCHR | SFlag::S_IFBLK)
    }

    /// Reads the arguments of the call of this name.
    pub(super) fn read(name: &str, arguments: &[u64; 6]) -> Result<Self, Errno> {
        let [first, second, third, fourth, ..] = *arguments;
        let (start, path, mode, number) = match name {
            "mknod" => (AT_FDCWD_NUMBER, first, second, third),
            "mknodat" => (low_half(first).cast_signed(), second, third, fourth),
            _ => return Err(Errno::ENOSYS),
        };
        let mode = low_half(mode);
        Ok(Self {
            start: (start != AT_FDCWD_NUMBER).then_some(start),
            path,
            mode,
            device: device(mode, low_half(number))?,
        })
    }

    /// Makes the placeholder as `caller` would have made the node.
    pub(super) fn make(self, caller: &Caller<'_>, ids: IdMap) -> Result<(), Errno> {
        let rights = caller.rights()?;
        if !rights.may_make_nodes() {
            return Err(Errno::EPERM);
        }
        let path = caller.path(self.path)?;
        let target = Target::divide(&path)?;
        let is_absolute = path.starts_with(b"/");
        let start = caller.start(self.start.filter(|_| !is_absolute))?;
        process::change_root(caller.root()?.as_fd(), start.as_fd())
            .and_then(|()| file::open_place(target.parent))
            .map_err(|error| error.errno())
            .and_then(|parent| self.make_in(&parent, target.name, &rights, ids))
    }

    fn make_in(
        self,
        parent: &OwnedFd,
        name: &[u8],
        rights: &Rights,
        ids: IdMap,
    ) -> Result<(), Errno> {
        let directory = file::stat(parent.as_fd()).map_err(|error| error.errno())?;
        let owner = owner(&directory, rights, ids).ok_or(Errno::EACCES)?;
        let record = OwnerRecord {
            mode: Mode::new(self.mode & !rights.umask),
            device: Some(self.device),
            ..owner
        };
        let name = CString::new(name).map_err(|_zero| Errno::EINVAL)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
        let made = credentials::with_file_ids(rights.user, rights.group, || {
            file::open(parent.as_fd(), &name, flags, 0)
        });
        let made = made.map_err(|error| error.errno())?;
        set(made, &record, ids).map_err(|error| {
            // The command sees the first failure; what is left is empty and its own.
            unlinkat(parent, name.as_c_str(), UnlinkatFlags::NoRemoveDir).ok();
            refusal(&error)
        })
    }
}

impl<'p> Target<'p> {
    /// Divides a path as the kernel does before it makes a node.
    fn divide(path: &'p [u8]) -> Result<Self, Errno> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            None => (&b"."[..], path),
            Some(0) => path.split_at(1),
            Some(at) => (
                path.get(..at).unwrap_or_default(),
                path.get(at + 1..).unwrap_or_default(),
            ),
        };
        match name {
            b"." | b".." => Err(Errno::EEXIST),
            // Only a directory has a name with a slash behind it.
            b"" if path.iter().all(|byte| *byte == b'/') => Err(Errno::EEXIST),
            b"" => Err(Errno::ENOENT),
            name => Ok(Self { parent, name }),
        }
    }
}

fn low_half(argument: u64) -> u32 {
    // Both are `unsigned int` to the kernel, which does not look at what is above.
    u32::try_from(argument & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

/// Returns the device of a kind of node and a number as system calls have it.
fn device(mode: u32, number: u32) -> Result<Device, Errno> {
    let number = u64::from(number);
    let part = |part: u64| u32::try_from(part).map_err(|_too_large| Errno::EINVAL);
    let (major, minor) = (part(major(number))?, part(minor(number))?);
    match SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFCHR if (major, minor) == (0, 0) => Err(Errno::EPERM),
        SFlag::S_IFCHR => Ok(Device::Char { major, minor }),
        SFlag::S_IFBLK => Ok(Device::Block { major, minor }),
        _ => Err(Errno::EINVAL),
    }
}

/// Returns whom a new file in `directory` belongs to, `None` where a caller with all rights over the ids of a sandbox
/// could not make one.
fn owner(directory: &FileStat, rights: &Rights, ids: IdMap) -> Option<OwnerRecord> {
    let inside = |id| ids.sandbox_id(BuilderId(id)).map(|SandboxId(id)| id);
    let (_, directory_group) = (inside(directory.st_uid)?, inside(directory.st_gid)?);
    let hands_group_down = directory.st_mode & Permissions::S_ISGID.bits() != 0;
    Some(OwnerRecord {
        uid: inside(rights.user.0)?,
        gid: if hands_group_down {
            directory_group
        } else {
            inside(rights.group.0)?
        },
        mode: Mode::new(0),
        device: None,
    })
}

/// Makes an empty file a placeholder.
fn set(made: OwnedFd, record: &OwnerRecord, ids: IdMap) -> Result<(), FsError> {
    let storage = match ids.mode() {
        ExecutorMode::UsernsMulti | ExecutorMode::Chroot => IdStorage::Shifted {
            by: ids.container_root().0,
            count: ids.count(),
        },
        ExecutorMode::UsernsSingle | ExecutorMode::Nothing => IdStorage::Recorded,
    };
    let inode = Inode::from_file(File::from(made));
    let mut owners = Owners::new(storage, OwnerTable::default());
    owners.set(&inode, &RootPath::default(), FileKind::File, record)
}

fn refusal(error: &FsError) -> Errno {
    if error.is_unsupported() {
        return Errno::EPERM;
    }
    error.raw_os_error().map_or(Errno::EPERM, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAR: u64 = 0o020_666;
    const NULL: Device = Device::Char { major: 1, minor: 3 };

    #[test]
    fn both_calls_are_read() {
        let expected = DeviceCall {
            start: None,
            path: 7,
            mode: 0o020_666,
            device: NULL,
        };
        let above = 0xdead_beef_0000_0000;
        let cwd = u64::from(AT_FDCWD_NUMBER.cast_unsigned());
        for (name, arguments) in [
            ("mknod", [7, CHAR | above, 0x103 | above, 9, 9, 9]),
            ("mknodat", [cwd | above, 7, CHAR, 0x103, 9, 9]),
        ] {
            assert_eq!(DeviceCall::read(name, &arguments), Ok(expected), "{name}");
        }
        let below = DeviceCall::read("mknodat", &[5 | above, 7, CHAR, 0x103, 0, 0]).unwrap();
        assert_eq!(below.start, Some(5));
        let other = DeviceCall::read("chown", &[0; 6]);
        assert_eq!(other, Err(Errno::ENOSYS));
    }

    #[test]
    fn numbers_have_twelve_and_twenty_bits() {
        for (mode, number, expected) in [
            (0o020_000, 0x103, Ok(NULL)),
            (0o060_000, 0x800, Ok(Device::Block { major: 8, minor: 0 })),
            (0o060_000, 0, Ok(Device::Block { major: 0, minor: 0 })),
            (
                0o020_000,
                0xffff_ffff,
                Ok(Device::Char {
                    major: 0xfff,
                    minor: 0xf_ffff,
                }),
            ),
            (
                0o020_000,
                0x1230_0145,
                Ok(Device::Char {
                    major: 1,
                    minor: 0x1_2345,
                }),
            ),
            (0o020_000, 0, Err(Errno::EPERM)),
            (0o030_000, 0x103, Err(Errno::EINVAL)),
            (0o070_000, 0x103, Err(Errno::EINVAL)),
        ] {
            assert_eq!(device(mode, number), expected, "{mode:o} {number:x}");
        }
    }

    #[test]
    fn paths_are_divided_as_the_kernel_does() {
        for (path, expected) in [
            ("a", Ok((".", "a"))),
            ("a/b", Ok(("a", "b"))),
            ("../b", Ok(("..", "b"))),
            ("a//b", Ok(("a/", "b"))),
            ("/b", Ok(("/", "b"))),
            ("//b", Ok(("/", "b"))),
            ("/a/b", Ok(("/a", "b"))),
            ("a/...", Ok(("a", "..."))),
            ("", Err(Errno::ENOENT)),
            ("a/", Err(Errno::ENOENT)),
            ("/", Err(Errno::EEXIST)),
            ("//", Err(Errno::EEXIST)),
            (".", Err(Errno::EEXIST)),
            ("a/..", Err(Errno::EEXIST)),
        ] {
            let expected = expected.map(|(parent, name): (&str, &str)| Target {
                parent: parent.as_bytes(),
                name: name.as_bytes(),
            });
            assert_eq!(Target::divide(path.as_bytes()), expected, "{path}");
        }
    }
}
