//! A file or directory inside a detached mount, as a detached mount of its own.
//!
//! | Kernel | How |
//! | --- | --- |
//! | 6.15 and later | `open_tree` takes places of mounts that are in no namespace |
//! | before | the mount is attached in a mount namespace of a thread's own for as long as that takes |

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::thread;

use nix::sched::CloneFlags;
use thiserror::Error;

use crate::features::KernelFeatures;
use crate::overlay::open_directory;
use crate::sys::mount::{self, Depth};
use crate::sys::{CallError, process};

/// Why a part of a mount cannot be a mount.
#[derive(Debug, Error)]
pub enum SubtreeError {
    /// The kernel refused a call.
    #[error("make a part of a file system a mount of its own")]
    Call(#[from] CallError),
    /// No thread could be started for it.
    #[error("start a thread to make a part of a file system a mount of its own")]
    Thread(#[source] std::io::Error),
}

/// Returns a detached mount of `place`, a file or directory of `whole`, which is the root of a detached mount.
///
/// On an older kernel this can be done once with each `whole`, which can still be read afterwards.
///
/// # Errors
///
/// Fails when the kernel refuses it.
pub fn subtree(
    whole: BorrowedFd<'_>,
    place: BorrowedFd<'_>,
    features: &KernelFeatures,
) -> Result<OwnedFd, SubtreeError> {
    if features.parts_of_detached_mounts {
        return Ok(mount::open_tree(place, c"", Depth::Single)?);
    }
    attached(whole, place)
}

/// Attaches the whole where nobody else sees it and takes the part from there.
fn attached(whole: BorrowedFd<'_>, place: BorrowedFd<'_>) -> Result<OwnedFd, SubtreeError> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("subtree".to_owned());
        let thread = thread.spawn_scoped(scope, || in_own_namespace(whole, place));
        match thread.map_err(SubtreeError::Thread)?.join() {
            Ok(taken) => Ok(taken?),
            Err(_panic) => Err(SubtreeError::Thread(std::io::Error::other("it panicked"))),
        }
    })
}

fn in_own_namespace(whole: BorrowedFd<'_>, place: BorrowedFd<'_>) -> Result<OwnedFd, CallError> {
    process::unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_FS)?;
    mount::make_private()?;
    // Any directory that every host has.
    mount::move_mount(whole, open_directory(c"/dev")?.as_fd())?;
    mount::open_tree(place, c"", Depth::Single)
}
