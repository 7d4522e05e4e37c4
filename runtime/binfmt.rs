//! `binfmt_misc` in the builder's user namespace: programs of other processors, with nothing
//! registered on the host.
//!
//! Since Linux 6.7 a user namespace can have handlers of its own
//! (`Documentation/admin-guide/binfmt-misc.rst`); namespaces below it use them too. They last as
//! long as the file system they were registered in, which a descriptor of its mount keeps. The
//! mount is attached nowhere: no command can reach it, and it is gone with the builder.
//!
//! An instance hides the host's handlers from the namespace, also when it has none of its own: it
//! is mounted only by a build that needs an emulator.

use std::os::fd::{AsFd as _, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::write;
use thiserror::Error;

use crate::sys::mount::{self, Setting};
use crate::sys::{CallError, Called as _, file};

/// The handlers of this user namespace. Dropping it takes them away.
#[derive(Debug)]
pub struct BinfmtInstance {
    mount: OwnedFd,
}

/// Why there are no handlers of our own.
#[derive(Debug, Error)]
pub enum BinfmtError {
    /// The kernel has none for user namespaces: it is older than 6.7, or lacks `binfmt_misc`. The
    /// host's handlers may serve.
    #[error("mount binfmt_misc in a user namespace, which takes Linux 6.7")]
    Unsupported(#[source] CallError),
    /// The kernel refused a call.
    #[error("mount binfmt_misc")]
    Mount(#[source] CallError),
    /// A handler was refused.
    #[error("register `{line}` with binfmt_misc")]
    Register {
        /// The line that describes it.
        line: String,
        /// The call.
        source: CallError,
    },
}

impl BinfmtInstance {
    /// Makes the instance of this user namespace, with no handlers.
    ///
    /// # Errors
    ///
    /// Fails with [`BinfmtError::Unsupported`] where only the host can have handlers.
    pub fn mount() -> Result<Self, BinfmtError> {
        let context = mount::fsopen(c"binfmt_misc").map_err(tell)?;
        mount::fsconfig(context.as_fd(), Setting::Create).map_err(tell)?;
        let mount = mount::fsmount(context.as_fd(), 0).map_err(tell)?;
        Ok(Self { mount })
    }

    /// Registers a handler, given as [`vendor_shim::emulation::registration_line`] writes it.
    ///
    /// # Errors
    ///
    /// Fails when the kernel refuses the line, or cannot open the interpreter that it names.
    pub fn register(&self, line: &[u8]) -> Result<(), BinfmtError> {
        let registered =
            file::open(self.mount.as_fd(), c"register", OFlag::O_WRONLY, 0).and_then(|register| {
                // One write is one handler.
                write(&register, line)
                    .map(drop)
                    .called(|| "write(\"register\")".to_owned())
            });
        registered.map_err(|source| {
            let line = String::from_utf8_lossy(line).into_owned();
            BinfmtError::Register { line, source }
        })
    }
}

/// Mounts the handlers of the machine where everybody looks for them; they may be there already.
///
/// # Errors
///
/// Fails for whoever is not root, and in a container that may not mount.
pub fn mount_machines() -> Result<(), BinfmtError> {
    mount::mount(c"binfmt_misc", c"/proc/sys/fs/binfmt_misc", c"").map_err(BinfmtError::Mount)
}

fn tell(error: CallError) -> BinfmtError {
    match error.errno() {
        Errno::EPERM | Errno::ENODEV => BinfmtError::Unsupported(error),
        _ => BinfmtError::Mount(error),
    }
}
