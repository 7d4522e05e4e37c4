//! Metadata, modes and times, and [`Inode`]: an object held by a descriptor whose attributes are
//! read and set without a path.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::stat::{FileStat, SFlag};

use crate::call;
use crate::error::FsError;
use crate::owner::Device;
use crate::xattr::{self, XattrPlace};

/// What kind of object an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

/// The twelve permission bits: read, write and execute of three classes, set-uid, set-gid, sticky.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mode(u16);

impl Mode {
    /// Takes the twelve lower bits of a mode.
    pub const fn new(bits: u32) -> Self {
        Self((bits & 0o7777) as u16)
    }

    /// Returns the twelve bits.
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A time of an inode, since 1970 in UTC; before it the seconds are negative and the nanoseconds
/// count upwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FileTime {
    /// Whole seconds.
    pub seconds: i64,
    /// Nanoseconds above the seconds, below 1,000,000,000.
    pub nanos: u32,
}

/// What `stat` says of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// The kind of object.
    pub kind: FileKind,
    /// The permission bits.
    pub mode: Mode,
    /// The owner, as this process sees it.
    pub uid: u32,
    /// The group, as this process sees it.
    pub gid: u32,
    /// The size in bytes.
    pub size: u64,
    /// The time of the last modification.
    pub mtime: FileTime,
    /// The time of the last change of the inode, which nobody can set back.
    pub ctime: FileTime,
    /// The device that the inode is on.
    pub dev: u64,
    /// The number of the inode there.
    pub ino: u64,
    /// The number of names that the inode has.
    pub nlink: u64,
    /// The device that the inode stands for.
    pub rdev: u64,
    /// What the file system has set aside for the content, in bytes: less than the size where there are holes.
    pub allocated_bytes: u64,
}

impl Metadata {
    /// Returns the metadata of an open file.
    ///
    /// # Errors
    ///
    /// Fails when the kernel does.
    pub fn of<F: AsFd>(file: &F) -> Result<Self, FsError> {
        call::fstat(file.as_fd()).map(|stat| Self::from_stat(&stat))
    }

    pub(crate) fn from_stat(stat: &FileStat) -> Self {
        Self {
            kind: kind_of(stat.st_mode),
            mode: Mode::new(stat.st_mode),
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: FileTime {
                seconds: stat.st_mtime,
                nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
            },
            ctime: FileTime {
                seconds: stat.st_ctime,
                nanos: u32::try_from(stat.st_ctime_nsec).unwrap_or(0),
            },
            dev: stat.st_dev,
            ino: stat.st_ino,
            nlink: stat.st_nlink,
            rdev: stat.st_rdev,
            // In units of 512 bytes, whatever the block size is (stat(2), `st_blocks`).
            allocated_bytes: u64::try_from(stat.st_blocks)
                .unwrap_or(0)
                .saturating_mul(512),
        }
    }

    /// Tells whether this is overlayfs' mark of a removed name: the character device 0:0
    /// (overlayfs.rst, "whiteouts and opaque directories"), or what stands for it where that cannot be made.
    pub fn is_whiteout(&self) -> bool {
        match self.kind {
            FileKind::CharDevice => matches!(self.rdev, 0 | call::OTHER_WHITEOUT),
            // A socket that nobody may use: none that a command leaves.
            FileKind::Socket => self.mode == Mode::new(0),
            _ => false,
        }
    }

    /// Returns which device this is a node of, `None` for anything else.
    pub fn device(&self) -> Option<Device> {
        let part = |part: u64| u32::try_from(part).unwrap_or(u32::MAX);
        let (major, minor) = (
            part(nix::sys::stat::major(self.rdev)),
            part(nix::sys::stat::minor(self.rdev)),
        );
        match self.kind {
            FileKind::CharDevice => Some(Device::Char { major, minor }),
            FileKind::BlockDevice => Some(Device::Block { major, minor }),
            _ => None,
        }
    }
}

fn kind_of(mode: u32) -> FileKind {
    match SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFDIR => FileKind::Directory,
        SFlag::S_IFLNK => FileKind::Symlink,
        SFlag::S_IFIFO => FileKind::Fifo,
        SFlag::S_IFSOCK => FileKind::Socket,
        SFlag::S_IFCHR => FileKind::CharDevice,
        SFlag::S_IFBLK => FileKind::BlockDevice,
        _ => FileKind::File,
    }
}

/// An object held by a descriptor, so that what is set is set on that object, whatever happens to
/// its name.
#[derive(Debug)]
pub struct Inode {
    fd: OwnedFd,
    access: Access,
}

/// What the descriptor of an object can be used for.
#[derive(Debug, Clone, Copy)]
enum Access {
    /// It names the object (`O_PATH`), or may do no more than that.
    Name,
    /// The object is open, so that calls on descriptors take it and no name is looked up.
    Open,
}

impl Inode {
    pub(crate) fn from_fd(fd: OwnedFd) -> Self {
        let access = Access::Name;
        Self { fd, access }
    }

    /// Holds what a file that was open is, closing it for reading and writing through it.
    pub fn from_file(file: File) -> Self {
        Self {
            fd: OwnedFd::from(file),
            access: Access::Open,
        }
    }

    /// Holds the object that an open file is.
    ///
    /// # Errors
    ///
    /// Fails when this process has no descriptor left.
    pub fn of<F: AsFd>(file: &F) -> Result<Self, FsError> {
        Ok(Self {
            fd: call::duplicate(file.as_fd())?,
            access: Access::Name,
        })
    }

    /// Returns the object's metadata.
    ///
    /// # Errors
    ///
    /// Fails when the kernel does.
    pub fn metadata(&self) -> Result<Metadata, FsError> {
        Metadata::of(&self.fd)
    }

    /// Returns when the object was made, `None` where its file system does not know. With its number it tells the object
    /// from every other one, since numbers are used again.
    ///
    /// # Errors
    ///
    /// Fails when the kernel does.
    pub fn born(&self) -> Result<Option<FileTime>, FsError> {
        call::born(self.fd.as_fd())
    }

    /// Sets owner and group, as this process sees ids. The kernel takes the set-uid and set-gid bits
    /// off, so the mode is set after this.
    ///
    /// # Errors
    ///
    /// Fails where the ids are not in this process' user namespace or it may not give files away.
    pub fn set_owner(&self, uid: u32, gid: u32) -> Result<(), FsError> {
        call::chown(self.fd.as_fd(), uid, gid)
    }

    /// Sets the permission bits.
    ///
    /// # Errors
    ///
    /// Fails on an object of somebody else, and on a symlink, which has none.
    pub fn set_mode(&self, mode: Mode) -> Result<(), FsError> {
        match self.access {
            Access::Name => call::chmod(self.fd.as_fd(), mode),
            Access::Open => call::fchmod(self.fd.as_fd(), mode),
        }
    }

    /// Sets the times of last access and modification.
    ///
    /// # Errors
    ///
    /// Fails on an object of somebody else.
    pub fn set_mtime(&self, time: FileTime) -> Result<(), FsError> {
        call::utimens(self.fd.as_fd(), time)
    }

    /// Returns an extended attribute, `None` where there is none of that name.
    ///
    /// # Errors
    ///
    /// Fails where the attribute may not be read.
    pub fn xattr(&self, name: &[u8]) -> Result<Option<Vec<u8>>, FsError> {
        xattr::get(&XattrPlace::inode(self.as_fd()), name)
    }

    /// Returns all extended attributes that this process can see.
    ///
    /// # Errors
    ///
    /// Fails where one of them may not be read.
    pub fn xattrs(&self) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, FsError> {
        xattr::all(&XattrPlace::inode(self.as_fd()))
    }

    /// Sets an extended attribute.
    ///
    /// # Errors
    ///
    /// Fails where the file system has none, the object can hold none of that name (`user.` is for
    /// regular files and directories, xattr(7)), or it may not be set.
    pub fn set_xattr(&self, name: &[u8], value: &[u8]) -> Result<(), FsError> {
        match self.access {
            Access::Name => xattr::set(&XattrPlace::inode(self.as_fd()), name, value),
            Access::Open => xattr::set_on_open(self.as_fd(), name, value),
        }
    }

    /// Removes an extended attribute, if it is there.
    ///
    /// # Errors
    ///
    /// Fails where it may not be removed.
    pub fn remove_xattr(&self, name: &[u8]) -> Result<(), FsError> {
        xattr::remove(&XattrPlace::inode(self.as_fd()), name)
    }
}

impl AsFd for Inode {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
