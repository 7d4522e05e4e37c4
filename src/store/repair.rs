//! What is done with a half-written store: at every opening, not in a mode of its own.
//!
//! Whatever a process makes step by step carries that process's lock, so what is not locked belongs
//! to nobody. This costs one reading of three directories, which are empty when no other process
//! works on the store and none was killed, and of the store's own. A probe has no lock, and takes a moment.
//!
//! | Found without an owner | Done |
//! | --- | --- |
//! | a file or directory in `ingest/` | removed |
//! | a lease | removed |
//! | anything in the trash | deleted |
//! | a directory of a probe that is a minute old | removed |
//!
//! What cannot be removed is left: files of a snapshot may belong to ids that only another id map
//! reaches. The store works all the same.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::libc::ELOOP;
use tracing::debug;

use crate::file::{self, FileError};
use crate::layout::{Layout, PROBE};
use crate::lock::take_abandoned;
use crate::trash;

/// How old the directory of a probe is that nobody works in any more.
const PROBE_AGE: Duration = Duration::from_mins(1);

/// Removes what dead processes left.
pub(crate) fn repair(layout: &Layout) -> Result<(), FileError> {
    for directory in [layout.ingest(), layout.leases()] {
        for path in file::entries(&directory)? {
            sweep(layout, &path);
        }
    }
    for path in file::entries(&layout.root)? {
        if is_old_probe(layout, &path) {
            discard(layout, &path);
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
    discard(layout, path);
    drop(held);
}

fn discard(layout: &Layout, path: &Path) {
    match trash::discard(layout, path) {
        Ok(()) => debug!(path = %path.display(), "removed what a dead process left"),
        Err(error) => debug!(path = %path.display(), %error, "left in the store"),
    }
}

/// Tells whether something is the directory of a probe that has ended long ago.
fn is_old_probe(layout: &Layout, path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let age = || {
        let made = fs::symlink_metadata(path).ok()?.modified().ok()?;
        layout.opened_at.duration_since(made).ok()
    };
    name.starts_with(PROBE.as_bytes()) && age().is_some_and(|age| age >= PROBE_AGE)
}

#[cfg(test)]
#[path = "repair_tests.rs"]
mod tests;
