//! [`Root`]: a directory that no name leads out of.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode as NixMode;

use crate::attr::{FileKind, Inode, Metadata};
use crate::call::{self, Links};
use crate::error::{FsError, Quoted, Shown};
use crate::follow::{FollowError, Way, follow};
use crate::path::RootPath;

/// A directory, held by a descriptor, below which paths from outside are used.
///
/// Look-ups follow symlinks as if the directory were `/`: an absolute target starts at it, and `..`
/// does not leave it. It stays the same directory when it is renamed.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    shown: PathBuf,
}

/// The directory that a name is in.
pub(crate) enum Parent<'a> {
    Itself(BorrowedFd<'a>),
    Below(OwnedFd),
}

impl AsFd for Parent<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Itself(fd) => fd.as_fd(),
            Self::Below(fd) => fd.as_fd(),
        }
    }
}

impl Root {
    /// Opens a directory of this machine. The path is trusted: it comes from a flag or from our own
    /// configuration.
    ///
    /// # Errors
    ///
    /// Fails where there is no such directory or it may not be searched.
    pub fn open(path: &Path) -> Result<Self, FsError> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd = open(path, flags, NixMode::empty()).map_err(|errno| {
            FsError::call(
                errno,
                format_args!("open(\"{}\", {flags:?})", path.display()),
            )
        })?;
        Ok(Self {
            fd,
            shown: path.to_owned(),
        })
    }

    /// Takes a descriptor of a directory, and the path that messages show for it.
    pub fn from_fd<P: Into<PathBuf>>(fd: OwnedFd, shown: P) -> Self {
        Self {
            fd,
            shown: shown.into(),
        }
    }

    /// Returns a second handle on the same directory.
    ///
    /// # Errors
    ///
    /// Fails when this process has no descriptor left.
    pub fn try_clone(&self) -> Result<Self, FsError> {
        Ok(Self {
            fd: call::duplicate(self.as_fd())?,
            shown: self.shown.clone(),
        })
    }

    /// Returns the path that messages show for this directory. It is not looked up any more.
    pub fn shown(&self) -> &Path {
        &self.shown
    }

    /// Returns the path that messages show for a path below this directory.
    pub fn shown_below(&self, path: &RootPath) -> PathBuf {
        if path.is_root() {
            self.shown.clone()
        } else {
            self.shown.join(path.to_string())
        }
    }

    /// Returns the directory that the last component of a path is in, and that component.
    pub(crate) fn parent<'p>(&self, path: &'p RootPath) -> Result<(Parent<'_>, &'p [u8]), FsError> {
        match path.split_last() {
            None => Ok((Parent::Itself(self.as_fd()), b".")),
            Some(([], name)) => Ok((Parent::Itself(self.as_fd()), name)),
            Some((parent, name)) => {
                let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
                let fd = call::openat2(self.as_fd(), parent, flags, Links::Follow)?;
                Ok((Parent::Below(fd), name))
            }
        }
    }

    /// Returns the real path below this directory that a path leads to: without symlinks, the last
    /// component's included. What does not exist is appended as it stands, so that the path can be
    /// made.
    ///
    /// # Errors
    ///
    /// Fails with `ELOOP` after 40 symlinks, with `ENOTDIR` where something else is on the way, and
    /// where the real path is too long.
    pub fn resolve(&self, path: &RootPath) -> Result<RootPath, FsError> {
        match call::openat2(self.as_fd(), path.as_bytes(), OFlag::O_PATH, Links::Refuse) {
            Ok(_) => return Ok(path.clone()),
            Err(error) if error.is_not_found() || error.is_errno(Errno::ELOOP) => {}
            Err(error) => return Err(error),
        }
        follow(path, |path| self.way(path)).map_err(|error| match error {
            FollowError::Look(error) => error,
            FollowError::Path(error) => error.into(),
            FollowError::Blocked { path } => self.resolve_error(&path, Errno::ENOTDIR),
            FollowError::TooManyLinks => self.resolve_error(path, Errno::ELOOP),
        })
    }

    fn way(&self, path: &RootPath) -> Result<Way, FsError> {
        let Some(metadata) = self.metadata(path)? else {
            return Ok(Way::Open);
        };
        Ok(match metadata.kind {
            FileKind::Symlink => Way::Link(self.read_link(path)?),
            FileKind::Directory => Way::Open,
            // Below a removed name there is nothing, which is no obstacle.
            _ if metadata.is_whiteout() => Way::Open,
            _ => Way::Blocked,
        })
    }

    fn resolve_error(&self, path: &RootPath, errno: Errno) -> FsError {
        let (root, path) = (Shown(self.as_fd()), Quoted(path.as_bytes()));
        FsError::call(errno, format_args!("resolve({root}, {path})"))
    }

    /// Returns the metadata of what is at a path, `None` where there is nothing. The last component
    /// is not followed.
    ///
    /// # Errors
    ///
    /// Fails where the parent cannot be searched.
    pub fn metadata(&self, path: &RootPath) -> Result<Option<Metadata>, FsError> {
        let Some((dir, name)) = absent_is_none(self.parent(path))? else {
            return Ok(None);
        };
        match call::fstatat_if_there(dir.as_fd(), name) {
            Ok(stat) => Ok(stat.map(|stat| Metadata::from_stat(&stat))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the metadata of what a path leads to, `None` where it leads nowhere.
    ///
    /// # Errors
    ///
    /// Fails where a directory on the way cannot be searched, and on a loop of symlinks.
    pub fn metadata_follow(&self, path: &RootPath) -> Result<Option<Metadata>, FsError> {
        let inode = call::openat2(self.as_fd(), path.as_bytes(), OFlag::O_PATH, Links::Follow);
        absent_is_none(inode.and_then(|fd| Inode::from_fd(fd).metadata()))
    }

    /// Opens a file for reading, following symlinks inside this directory. A fifo does not block.
    ///
    /// # Errors
    ///
    /// Fails where there is none or it may not be read.
    pub fn open_file(&self, path: &RootPath) -> Result<File, FsError> {
        self.open_reading(path, OFlag::empty())
    }

    /// Opens a file for reading; its last component is not followed. A fifo does not block.
    ///
    /// # Errors
    ///
    /// Fails where there is none or it may not be read, with `ELOOP` where it is a symlink.
    pub fn open_file_nofollow(&self, path: &RootPath) -> Result<File, FsError> {
        self.open_reading(path, OFlag::O_NOFOLLOW)
    }

    /// Opens a file for reading as [`Root::open_file_nofollow`] does, without a trace of it where that is allowed: the
    /// time of the last reading, which costs a write for each file, stays (open(2), `O_NOATIME`).
    ///
    /// # Errors
    ///
    /// Fails as [`Root::open_file_nofollow`] does.
    pub fn open_file_traceless(&self, path: &RootPath) -> Result<File, FsError> {
        match self.open_reading(path, OFlag::O_NOFOLLOW | OFlag::O_NOATIME) {
            // It is somebody else's.
            Err(error) if error.raw_os_error() == Some(Errno::EPERM as i32) => {
                self.open_file_nofollow(path)
            }
            opened => opened,
        }
    }

    fn open_reading(&self, path: &RootPath, flags: OFlag) -> Result<File, FsError> {
        let flags = flags | OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let fd = call::openat2(self.as_fd(), path.as_bytes(), flags, Links::Follow)?;
        Ok(File::from(fd))
    }

    /// Opens a directory, following symlinks inside this one. It becomes a root of its own.
    ///
    /// # Errors
    ///
    /// Fails where there is no such directory.
    pub fn open_dir(&self, path: &RootPath) -> Result<Self, FsError> {
        self.open_dir_with(path, OFlag::empty())
    }

    /// Opens a directory; its last component is not followed.
    ///
    /// # Errors
    ///
    /// Fails where there is no such directory, with `ENOTDIR` where it is a symlink.
    pub fn open_dir_nofollow(&self, path: &RootPath) -> Result<Self, FsError> {
        self.open_dir_with(path, OFlag::O_NOFOLLOW)
    }

    /// Opens a directory to which no symlink leads, `None` where there is none or a symlink or
    /// something else is on the way.
    ///
    /// # Errors
    ///
    /// Fails where the path cannot be searched.
    pub fn open_dir_direct(&self, path: &RootPath) -> Result<Option<Self>, FsError> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        match call::openat2(self.as_fd(), path.as_bytes(), flags, Links::Refuse) {
            Ok(fd) => Ok(Some(Self {
                fd,
                shown: self.shown_below(path),
            })),
            Err(error) if error.is_not_found() || error.is_errno(Errno::ELOOP) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open_dir_with(&self, path: &RootPath, flags: OFlag) -> Result<Self, FsError> {
        let flags = flags | OFlag::O_PATH | OFlag::O_DIRECTORY;
        let fd = call::openat2(self.as_fd(), path.as_bytes(), flags, Links::Follow)?;
        Ok(Self {
            fd,
            shown: self.shown_below(path),
        })
    }

    /// Holds what is at a path, a symlink itself included.
    ///
    /// # Errors
    ///
    /// Fails where there is nothing.
    pub fn inode(&self, path: &RootPath) -> Result<Inode, FsError> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
        call::openat2(self.as_fd(), path.as_bytes(), flags, Links::Follow).map(Inode::from_fd)
    }

    /// Returns what the symlink at a path says, as it says it.
    ///
    /// # Errors
    ///
    /// Fails where there is no symlink.
    pub fn read_link(&self, path: &RootPath) -> Result<Vec<u8>, FsError> {
        let (dir, name) = self.parent(path)?;
        call::readlinkat(dir.as_fd(), name)
    }

    /// Reads a regular file of at most `limit_bytes`, following symlinks inside this directory;
    /// `None` where there is nothing.
    ///
    /// # Errors
    ///
    /// Fails where it is no regular file, has more bytes than the limit, or cannot be read.
    pub fn read_to_end_limited(
        &self,
        path: &RootPath,
        limit_bytes: u64,
    ) -> Result<Option<Vec<u8>>, FsError> {
        let Some(file) = absent_is_none(self.open_file(path))? else {
            return Ok(None);
        };
        let metadata = Metadata::from_stat(&call::fstat(file.as_fd())?);
        if metadata.kind != FileKind::File {
            return Err(FsError::NotAFile { path: path.clone() });
        }
        let too_large = || FsError::TooLarge {
            path: path.clone(),
            limit_bytes,
        };
        if metadata.size > limit_bytes {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        // The size may have been true a moment ago only, and is 0 in /proc.
        (&file)
            .take(limit_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|source| {
                FsError::call(source, format_args!("read({})", Shown(file.as_fd())))
            })?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit_bytes) {
            Ok(Some(bytes))
        } else {
            Err(too_large())
        }
    }

    /// Reads the names in this directory, sorted by bytes, without `.` and `..`.
    ///
    /// # Errors
    ///
    /// Fails where it may not be read.
    pub fn names(&self) -> Result<Vec<Vec<u8>>, FsError> {
        let names = crate::walk::sorted_names(self.as_fd())?;
        Ok(names
            .into_iter()
            .map(|name| name.text.into_bytes())
            .collect())
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Makes "there is nothing" an answer.
fn absent_is_none<T>(found: Result<T, FsError>) -> Result<Option<T>, FsError> {
    match found {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
