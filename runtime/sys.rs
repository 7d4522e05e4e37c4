//! System calls without a safe wrapper elsewhere, one per function; the only `unsafe` code.
//!
//! What is called, and why, is decided one floor up. A call that fails says so as `strace` would:
//! its name, its arguments and the path behind each descriptor ([`CallError`]).

pub(crate) mod attribute;
pub(crate) mod environment;
pub(crate) mod fd;
pub(crate) mod file;
pub(crate) mod limit;
pub(crate) mod mount;
pub(crate) mod network;
pub(crate) mod notification;
pub(crate) mod process;
pub(crate) mod security;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod status;
pub(crate) mod terminal;

use std::os::fd::{AsRawFd as _, BorrowedFd};

use nix::errno::Errno;
use thiserror::Error;

/// A system call that failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{call}")]
pub struct CallError {
    call: String,
    #[source]
    errno: Errno,
}

impl CallError {
    /// Describes `call`, written as in C with its arguments, that failed with `errno`.
    pub(crate) fn new<S: Into<String>>(call: S, errno: Errno) -> Self {
        Self {
            call: call.into(),
            errno,
        }
    }

    /// Returns the call with its arguments.
    pub fn call(&self) -> &str {
        &self.call
    }

    /// Returns what the kernel said.
    pub fn errno(&self) -> Errno {
        self.errno
    }
}

/// Names the call that a result is from. The description is made for a failure alone.
pub(crate) trait Called<T> {
    /// Turns a bare error number into a [`CallError`].
    fn called<F: FnOnce() -> String>(self, describe: F) -> Result<T, CallError>;
}

impl<T> Called<T> for nix::Result<T> {
    fn called<F: FnOnce() -> String>(self, describe: F) -> Result<T, CallError> {
        self.map_err(|errno| CallError::new(describe(), errno))
    }
}

/// Returns `fd` with the path behind it: `[9]</srv/app>`.
pub(crate) fn shown(fd: BorrowedFd<'_>) -> String {
    let number = fd.as_raw_fd();
    if number == libc::AT_FDCWD {
        return "AT_FDCWD".to_owned();
    }
    // Where the path cannot be read the number alone must do: this is for an error message.
    match std::fs::read_link(format!("/proc/self/fd/{number}")) {
        Ok(path) => format!("[{number}]<{}>", path.display()),
        Err(_) => format!("[{number}]"),
    }
}

/// Returns bytes from outside in quotation marks, with everything but plain ASCII escaped.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}
