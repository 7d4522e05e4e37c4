//! The error of a file operation: the call that failed, written as `strace` would write it.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::readlink;

use crate::owner::{IdError, RecordError};
use crate::path::{PathError, RootPath};

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum FsError {
    /// A system call failed.
    #[error("{call}")]
    Call {
        /// The call with its arguments and the path behind each descriptor.
        call: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The kernel has no `openat2`, without which nothing confines a path.
    #[error("{call}: this kernel has no openat2 (Linux 5.6)")]
    NoOpenat2 {
        /// The call with its arguments.
        call: String,
    },
    /// A path is no path below a root.
    #[error("a path that cannot be used")]
    Path(#[from] PathError),
    /// A file has more bytes than its reader takes.
    #[error("`{path}` has more than {limit_bytes} bytes")]
    TooLarge {
        /// The file.
        path: RootPath,
        /// What the reader takes.
        limit_bytes: u64,
    },
    /// A regular file was expected.
    #[error("`{path}` is no regular file")]
    NotAFile {
        /// What is something else.
        path: RootPath,
    },
    /// Something else took the place of a directory while it was read.
    #[error("`{path}` was replaced while it was read")]
    Replaced {
        /// The directory.
        path: RootPath,
    },
    /// An owner cannot be held here, or is none of the image's.
    #[error("the owner of `{path}`")]
    Id {
        /// The file.
        path: RootPath,
        /// Which id, and why.
        #[source]
        source: IdError,
    },
    /// The owner record of a file is not one.
    #[error("the owner record of `{path}`")]
    Record {
        /// The file.
        path: RootPath,
        /// What is wrong with it.
        #[source]
        source: RecordError,
    },
}

impl FsError {
    /// Returns the error of a call.
    pub(crate) fn call<E: Into<io::Error>>(error: E, call: fmt::Arguments<'_>) -> Self {
        Self::Call {
            call: call.to_string(),
            source: error.into(),
        }
    }

    /// Returns the kernel's error number, where a call failed.
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::Call { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    /// Tells whether there is nothing at the path.
    pub fn is_not_found(&self) -> bool {
        self.is_errno(Errno::ENOENT) || self.is_errno(Errno::ENOTDIR)
    }

    /// Tells whether symbolic links lead in a circle, or are where none may be (`ELOOP`).
    pub fn is_loop(&self) -> bool {
        self.is_errno(Errno::ELOOP)
    }

    /// Tells whether something is at the path already.
    pub fn is_already_there(&self) -> bool {
        self.is_errno(Errno::EEXIST)
    }

    /// Tells whether this process may not do it (`EPERM`).
    pub fn is_not_permitted(&self) -> bool {
        self.is_errno(Errno::EPERM)
    }

    /// Tells whether the file system has no such thing (`EOPNOTSUPP`).
    pub fn is_unsupported(&self) -> bool {
        self.is_errno(Errno::EOPNOTSUPP)
    }

    /// Tells whether an object has as many names as the file system takes.
    pub fn is_linked_too_often(&self) -> bool {
        self.is_errno(Errno::EMLINK)
    }

    /// Tells whether the disk, the quota or the inodes are used up.
    pub fn is_full(&self) -> bool {
        self.is_errno(Errno::ENOSPC) || self.is_errno(Errno::EDQUOT)
    }

    /// Tells whether the disk, or the file system on it, is damaged.
    pub fn is_damage(&self) -> bool {
        let damaged = [Errno::EIO, Errno::EUCLEAN, Errno::EBADMSG];
        damaged.into_iter().any(|errno| self.is_errno(errno))
    }

    /// Tells whether a call failed with this number.
    pub(crate) fn is_errno(&self, errno: Errno) -> bool {
        self.raw_os_error() == Some(errno as i32)
    }
}

/// Shows a descriptor as `strace -y` does: `[9]<…/fs>`.
pub(crate) struct Shown<'a>(pub(crate) BorrowedFd<'a>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0.as_raw_fd();
        // An error text must not fail because /proc is not there.
        match readlink(format!("/proc/self/fd/{number}").as_str()) {
            Ok(path) => write!(f, "[{number}]<{}>", path.display()),
            Err(_) => write!(f, "[{number}]"),
        }
    }
}

/// Shows the bytes of an argument between quotes.
pub(crate) struct Quoted<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}
