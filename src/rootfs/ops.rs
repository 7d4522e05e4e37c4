//! Changes below a [`Root`]. Each one acts on the last component itself and follows no link there.
//!
//! What is made belongs to this process and is closed to others (0700, 0600); owner, mode and times
//! are set afterwards through the [`Inode`](crate::Inode), owner first.

use std::fs::File;
use std::os::fd::AsFd as _;

use nix::fcntl::OFlag;
use nix::sys::stat::{SFlag, makedev};

use crate::attr::{FileKind, Mode};
use crate::call;
use crate::copy::write_all;
use crate::error::FsError;
use crate::owner::Device;
use crate::path::RootPath;
use crate::root::Root;

impl Root {
    /// Makes a directory.
    ///
    /// # Errors
    ///
    /// Fails where something is at the path, or its parent is not there.
    pub fn mkdir(&self, path: &RootPath) -> Result<(), FsError> {
        let (dir, name) = self.parent(path)?;
        call::mkdirat(dir.as_fd(), name)
    }

    /// Makes a directory and those above it that are missing, with a mode, and returns the paths
    /// that it made. Symlinks on the way are followed inside the root.
    ///
    /// # Errors
    ///
    /// Fails where something else is on the way.
    pub fn mkdir_all(&self, path: &RootPath, mode: Mode) -> Result<Vec<RootPath>, FsError> {
        let real = self.resolve(path)?;
        let mut made = Vec::new();
        for directory in real.ancestors().chain([real.clone()]) {
            if directory.is_root() {
                continue;
            }
            match self.mkdir(&directory) {
                Ok(()) => {}
                Err(error) if error.is_already_there() => continue,
                Err(error) => return Err(error),
            }
            self.set_mode(&directory, mode)?;
            made.push(directory);
        }
        // The last one may have been there as something else.
        self.open_dir(&real)?;
        Ok(made)
    }

    /// Makes an empty file that was not there and opens it for reading and writing.
    ///
    /// # Errors
    ///
    /// Fails where something is at the path, also a symlink that leads nowhere.
    pub fn create_file(&self, path: &RootPath) -> Result<File, FsError> {
        let (dir, name) = self.parent(path)?;
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
        call::openat(dir.as_fd(), name, flags).map(File::from)
    }

    /// Gives a regular file other bytes. It stays the file that it is, for whoever has it open and under each of its
    /// names; of its attributes only the times change.
    ///
    /// # Errors
    ///
    /// Fails where there is none or it may not be written, with `ELOOP` where it is a symlink.
    pub fn rewrite(&self, path: &RootPath, bytes: &[u8]) -> Result<(), FsError> {
        let (dir, name) = self.parent(path)?;
        let flags = OFlag::O_WRONLY | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        write_all(&File::from(call::openat(dir.as_fd(), name, flags)?), bytes)
    }

    /// Makes a symlink that says `target`, whatever that is.
    ///
    /// # Errors
    ///
    /// Fails where something is at the path, and on an empty target.
    pub fn symlink(&self, target: &[u8], path: &RootPath) -> Result<(), FsError> {
        let (dir, name) = self.parent(path)?;
        call::symlinkat(target, dir.as_fd(), name)
    }

    /// Gives what is at `from`, a symlink itself included, a second name.
    ///
    /// # Errors
    ///
    /// Fails where nothing, or a directory, is at `from`, or something is at `to`.
    pub fn hard_link(&self, from: &RootPath, to: &RootPath) -> Result<(), FsError> {
        self.hard_link_into(from, self, to)
    }

    /// Gives what is at `from` a second name in another root on the same file system.
    ///
    /// # Errors
    ///
    /// Fails where nothing, or a directory, is at `from`, something is at `to`, or the file systems differ.
    pub fn hard_link_into(
        &self,
        from: &RootPath,
        other: &Self,
        to: &RootPath,
    ) -> Result<(), FsError> {
        let (from_dir, from_name) = self.parent(from)?;
        let (to_dir, to_name) = other.parent(to)?;
        call::linkat((from_dir.as_fd(), from_name), (to_dir.as_fd(), to_name))
    }

    /// Makes a named pipe.
    ///
    /// # Errors
    ///
    /// Fails where something is at the path.
    pub fn mkfifo(&self, path: &RootPath) -> Result<(), FsError> {
        let (dir, name) = self.parent(path)?;
        call::mkfifoat(dir.as_fd(), name)
    }

    /// Makes a socket without permissions, which nobody listens on.
    ///
    /// # Errors
    ///
    /// Fails where something is at the path.
    pub fn mksocket(&self, path: &RootPath) -> Result<(), FsError> {
        let (dir, name) = self.parent(path)?;
        call::mknodat(dir.as_fd(), name, SFlag::S_IFSOCK, 0)
    }

    /// Makes a device node without permissions, for which root of the machine is needed.
    ///
    /// # Errors
    ///
    /// Fails where something is at the path, or the kernel refuses it to this process.
    pub fn mknod(&self, path: &RootPath, device: Device) -> Result<(), FsError> {
        let (dir, name) = self.parent(path)?;
        let (kind, major, minor) = match device {
            Device::Char { major, minor } => (SFlag::S_IFCHR, major, minor),
            Device::Block { major, minor } => (SFlag::S_IFBLK, major, minor),
        };
        let number = makedev(major.into(), minor.into());
        call::mknodat(dir.as_fd(), name, kind, number)
    }

    /// Makes overlayfs' mark of a removed name: the character device 0:0, or what stands for it where that cannot be made
    /// ([`Metadata::is_whiteout`](crate::Metadata::is_whiteout)).
    ///
    /// # Errors
    ///
    /// Fails where something is at the path.
    pub fn whiteout(&self, path: &RootPath) -> Result<(), FsError> {
        let (dir, name) = self.parent(path)?;
        call::mknod_whiteout(dir.as_fd(), name)
    }

    /// Renames, replacing what is at `to`.
    ///
    /// # Errors
    ///
    /// Fails where nothing is at `from`, or a directory would replace something else.
    pub fn rename(&self, from: &RootPath, to: &RootPath) -> Result<(), FsError> {
        self.rename_into(from, self, to)
    }

    /// Renames into another root on the same file system, replacing what is at `to`.
    ///
    /// # Errors
    ///
    /// Fails where nothing is at `from`, or a directory would replace something else.
    pub fn rename_into(&self, from: &RootPath, other: &Self, to: &RootPath) -> Result<(), FsError> {
        let (from_dir, from_name) = self.parent(from)?;
        let (to_dir, to_name) = other.parent(to)?;
        call::renameat((from_dir.as_fd(), from_name), (to_dir.as_fd(), to_name))
    }

    /// Removes what is at a path and is no directory.
    ///
    /// # Errors
    ///
    /// Fails where there is nothing, or a directory.
    pub fn remove_file(&self, path: &RootPath) -> Result<(), FsError> {
        let (dir, name) = self.parent(path)?;
        call::unlink(dir.as_fd(), name)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    ///
    /// Fails where there is none, or it has something in it.
    pub fn remove_dir(&self, path: &RootPath) -> Result<(), FsError> {
        let (dir, name) = self.parent(path)?;
        call::rmdir(dir.as_fd(), name)
    }

    /// Removes what is at a path with everything below it; where there is nothing, that is well.
    /// Symlinks are removed, not followed, and directories of our own are opened for it.
    ///
    /// # Errors
    ///
    /// Fails where something may not be removed; what went before it is gone.
    pub fn remove_all(&self, path: &RootPath) -> Result<(), FsError> {
        match self.metadata(path)? {
            None => Ok(()),
            Some(metadata) if metadata.kind == FileKind::Directory => {
                let (dir, name) = self.parent(path)?;
                crate::remove::remove_tree(dir.as_fd(), name)
            }
            Some(_) => self.remove_file(path),
        }
    }

    /// Sets owner and group of what is at a path, as this process sees ids.
    ///
    /// # Errors
    ///
    /// As [`Inode::set_owner`](crate::Inode::set_owner).
    pub fn set_owner(&self, path: &RootPath, uid: u32, gid: u32) -> Result<(), FsError> {
        self.inode(path)?.set_owner(uid, gid)
    }

    /// Sets the permission bits of what is at a path and is no symlink.
    ///
    /// # Errors
    ///
    /// As [`Inode::set_mode`](crate::Inode::set_mode).
    pub fn set_mode(&self, path: &RootPath, mode: Mode) -> Result<(), FsError> {
        self.inode(path)?.set_mode(mode)
    }

    /// Sets the times of what is at a path.
    ///
    /// # Errors
    ///
    /// As [`Inode::set_mtime`](crate::Inode::set_mtime).
    pub fn set_times(&self, path: &RootPath, mtime: crate::FileTime) -> Result<(), FsError> {
        self.inode(path)?.set_mtime(mtime)
    }
}
