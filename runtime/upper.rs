//! Whether a file system can hold the upper directory of an overlay: found by mounting one and changing something in it.
//!
//! Some refuse it when the overlay is mounted (another overlay, FUSE, network file systems), some say yes and cannot hold a
//! whiteout or the mark of an opaque directory.

use std::os::fd::{AsFd as _, BorrowedFd};

use rootfs::{FsError, Root, RootPath};
use thiserror::Error;

use crate::features::KernelFeatures;
use crate::overlay::{OverlayError, OverlayOptions, Upper, mount_overlay};

/// overlayfs' mark of a directory that hides what is below (overlayfs.rst, "whiteouts and opaque directories").
const OPAQUE: &[u8] = b"user.overlay.opaque";

/// Why a directory cannot hold the upper directory of an overlay.
#[derive(Debug, Error)]
pub enum UpperError {
    /// The overlay cannot be mounted.
    #[error(transparent)]
    Overlay(#[from] OverlayError),
    /// It can be mounted and not be changed.
    #[error("change something in an overlay")]
    Change(#[from] FsError),
    /// It does not say what was done in it.
    #[error("{what} in an overlay leaves no mark in its upper directory")]
    NoMark {
        /// What was done.
        what: &'static str,
    },
}

/// Tries an overlay whose upper directory is in `place`, an empty directory, and leaves there what it made.
///
/// # Errors
///
/// Fails when there can be none.
pub fn try_upper(place: BorrowedFd<'_>, features: &KernelFeatures) -> Result<(), UpperError> {
    let place = Root::from_fd(place.try_clone_to_owned().map_err(descriptor)?, "/");
    let [lower, upper, work] = ["lower", "upper", "work"].map(|name| directory(&place, name));
    let (lower, upper, work) = (lower?, upper?, work?);
    let [file, kept] = [at("file")?, at("directory")?];
    lower.create_file(&file)?;
    lower.mkdir(&kept)?;
    let writable = Upper {
        upper: upper.as_fd(),
        work: work.as_fd(),
    };
    let options = OverlayOptions { volatile: true };
    let mount = mount_overlay(&[lower.as_fd()], Some(writable), options, features)?;
    let root = Root::from_fd(mount, "/");
    root.remove_file(&file)?;
    root.remove_dir(&kept)?;
    root.mkdir(&kept)?;
    let whiteout = upper.metadata(&file)?;
    if !whiteout.is_some_and(|found| found.is_whiteout()) {
        let what = "the removal of a file";
        return Err(UpperError::NoMark { what });
    }
    if upper.inode(&kept)?.xattr(OPAQUE)?.is_none() {
        let what = "the replacement of a directory";
        return Err(UpperError::NoMark { what });
    }
    Ok(())
}

/// Returns what names this boot of the machine (`random(4)`), where that can be read. What a kernel can do holds as long.
pub fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

fn directory(place: &Root, name: &str) -> Result<Root, FsError> {
    let path = at(name)?;
    place.mkdir(&path)?;
    place.open_dir_nofollow(&path)
}

fn at(name: &str) -> Result<RootPath, FsError> {
    Ok(RootPath::strict(name)?)
}

fn descriptor(source: std::io::Error) -> FsError {
    FsError::Call {
        call: "fcntl(…, F_DUPFD_CLOEXEC)".to_owned(),
        source,
    }
}
