//! What is done with a half-written store: at every opening, not in a mode of its own.
//!
//! Whatever a process makes step by step carries that process's lock, so what is not locked belongs
//! to nobody. This costs one reading of three directories, which are empty when no other process
//! works on the store and none was killed.
//!
//! | Found without an owner | Done |
//! | --- | --- |
//! | a file or directory in `ingest/` | removed |
//! | a lease | removed |
//! | anything in the trash | deleted |
//!
//! What cannot be removed is left: files of a snapshot may belong to ids that only another id map
//! reaches. The store works all the same.

use std::path::Path;

use nix::libc::ELOOP;
use tracing::debug;

use crate::file::{self, FileError};
use crate::layout::Layout;
use crate::lock::take_abandoned;
use crate::trash;

/// Removes what dead processes left.
pub(crate) fn repair(layout: &Layout) -> Result<(), FileError> {
    for directory in [layout.ingest(), layout.leases()] {
        for path in file::entries(&directory)? {
            sweep(layout, &path);
        }
    }
    for error in trash::empty(layout)? {
        debug!(error = %error, "left in the trash");
    }
    Ok(())
}

/// Removes one file or directory if nobody has it locked.
fn sweep(layout: &Layout, path: &Path) {
    let held = match take_abandoned(path) {
        Ok(None) => return,
        Ok(held) => held,
        // A symlink is nothing that anybody of ours has locked.
        Err(error) if error.raw_os_error() == Some(ELOOP) => None,
        // It may have an owner all the same: perhaps we have no descriptor left.
        Err(error) => {
            debug!(path = %path.display(), %error, "not looked into");
            return;
        }
    };
    match trash::discard(layout, path) {
        Ok(()) => debug!(path = %path.display(), "removed what a dead process left"),
        Err(error) => debug!(path = %path.display(), %error, "left in the store"),
    }
    drop(held);
}

#[cfg(test)]
#[path = "repair_tests.rs"]
mod tests;
