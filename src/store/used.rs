//! When something was used last: the time of the last change of one of its files.
//!
//! Looking up writes next to nothing, since a time that is less than an hour old is left. Where it cannot be set, what it
//! belongs to looks older than it is, and only goes earlier.

use std::fs::{File, FileTimes, Metadata};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;
use tracing::debug;

use crate::file;
use crate::layout::Layout;

/// How exactly the last use is known.
const GRANULARITY: Duration = Duration::from_hours(1);

/// Notes that an open file is in use.
pub(crate) fn touch(layout: &Layout, file: &File, metadata: &Metadata) {
    let now = layout.opened_at;
    let touched = match metadata.modified() {
        Ok(time) if is_old(time, now) => file.set_times(FileTimes::new().set_modified(now)),
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = touched {
        debug!(%error, "use not noted");
    }
}

/// Notes that the file at a path is in use.
pub(crate) fn touch_at(layout: &Layout, path: &Path) {
    let opened = || -> io::Result<()> {
        let file = file::open_nofollow(path)?;
        touch(layout, &file, &file.metadata()?);
        Ok(())
    };
    if let Err(error) = opened() {
        debug!(%error, path = %path.display(), "use not noted");
    }
}

/// Notes that what the file or directory at a path stands for may change from now on, to the tick of the file system's
/// clock.
pub(crate) fn touch_now(path: &Path) {
    let now = || -> io::Result<()> {
        let file = file::open_nofollow(path)?;
        let (atime, mtime) = (TimeSpec::UTIME_OMIT, TimeSpec::UTIME_NOW);
        Ok(futimens(&file, &atime, &mtime)?)
    };
    if let Err(error) = now() {
        debug!(%error, path = %path.display(), "use not noted");
    }
}

fn is_old(time: SystemTime, now: SystemTime) -> bool {
    match now.duration_since(time) {
        Ok(age) => age >= GRANULARITY,
        // The clock was ahead once.
        Err(ahead) => ahead.duration() >= GRANULARITY,
    }
}
