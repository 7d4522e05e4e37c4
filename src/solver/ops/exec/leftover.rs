//! The directories that a command leaves behind in an image that lacks them: `/dev`, `/proc` and `/sys`.
//!
//! `BuildKit`'s runtime makes them in the root, to mount on them, and leaves them there; so an image that is made
//! from nothing has them after its first `RUN`. Here they are mounted elsewhere (ADR 4), and made afterwards: the
//! command never sees them come.

use std::sync::Arc;

use oci::Clock;
use rootfs::{FsError, IdStorage, Mode, Root, RootPath};

use crate::ops::copy;

const NAMES: [&str; 3] = ["dev", "proc", "sys"];

/// Makes what neither the layers below nor the command's own changes have.
pub(super) fn make(
    upper: &Root,
    lowers: &[Arc<Root>],
    ids: IdStorage,
    clock: &Clock,
) -> Result<(), FsError> {
    let top = RootPath::root();
    let before = upper.metadata(&top)?;
    let mut is_changed = false;
    for name in NAMES {
        let path = RootPath::root().child(name.as_bytes());
        let path = path.expect("the names have neither slashes nor dots");
        if is_there(upper, lowers, &path)? {
            continue;
        }
        upper.mkdir(&path)?;
        upper.set_mode(&path, Mode::new(0o755))?;
        if ids != IdStorage::Recorded {
            let root = ids.to_disk(0).unwrap_or_default();
            upper.set_owner(&path, root, root)?;
        }
        upper.set_times(&path, copy::file_time(clock))?;
        is_changed = true;
    }
    match before {
        // The command did not change the top.
        Some(before) if is_changed => upper.set_times(&top, before.mtime),
        _ => Ok(()),
    }
}

/// Tells whether a path is taken: by a whiteout, too, since somebody wanted it gone.
fn is_there(upper: &Root, lowers: &[Arc<Root>], path: &RootPath) -> Result<bool, FsError> {
    if upper.metadata(path)?.is_some() {
        return Ok(true);
    }
    for lower in lowers {
        if lower.metadata(path)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
