//! Locks on files that have an owner: leases, unfinished writes, and the store itself.
//!
//! A lock is a `flock` on an open file: it belongs to the open file and not to the process, so that
//! two threads exclude each other as two processes do, and the kernel releases it when its holder
//! dies, however it dies. Descriptors are close-on-exec; no child keeps a lock.
//!
//! A file that is there and not locked has no owner, and whoever finds it removes it. So a new file is
//! its maker's only when it is locked *and* still has its name: between making and locking, another
//! process may have found it.
//!
//! Nothing here waits inside the kernel, where only a signal could end the wait. A waiting thread
//! tries, and parks between two tries for at most [`POLL`]; who wants to be heard at once unparks it.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::file::open_nofollow;

/// The longest that a waiting thread does not look whether it may go on.
const POLL: Duration = Duration::from_millis(20);

/// The first pause of a waiting thread; each one is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_micros(250);

/// Who else may hold a lock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sharing {
    /// Others who share it.
    Shared,
    /// Nobody.
    Exclusive,
}

/// Tries for a lock and returns whether it was free.
pub(crate) fn try_lock(file: &File, sharing: Sharing) -> io::Result<bool> {
    uninterrupted(|| {
        let tried = match sharing {
            Sharing::Shared => file.try_lock_shared(),
            Sharing::Exclusive => file.try_lock(),
        };
        match tried {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    })
}

/// Repeats a call that a signal interrupted: a file system that asks another process for a lock may be, also where the
/// caller does not wait.
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Waits for a lock that is never held for long.
pub(crate) fn lock(file: &File, sharing: Sharing) -> io::Result<()> {
    wait(|| try_lock(file, sharing), &never).map(drop)
}

/// Tries until it is done, and returns whether it was done before `cancelled` said yes.
pub(crate) fn wait<T>(attempt: T, cancelled: &dyn Fn() -> bool) -> io::Result<bool>
where
    T: Fn() -> io::Result<bool>,
{
    let mut pause = FIRST_PAUSE;
    while !attempt()? {
        if cancelled() {
            return Ok(false);
        }
        thread::park_timeout(pause);
        pause = (pause * 2).min(POLL);
    }
    Ok(true)
}

/// Never gives up: for waits that end as soon as somebody has renamed something.
pub(crate) fn never() -> bool {
    false
}

/// Tells whether an open file or directory is the one that has the name.
fn has_name(file: &File, path: &Path) -> io::Result<bool> {
    let named = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let open = file.metadata()?;
    Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
}

/// Locks a file or directory that was just made; `false` where another process found it without an
/// owner first.
pub(crate) fn lock_new(file: &File, path: &Path) -> io::Result<bool> {
    lock(file, Sharing::Exclusive)?;
    has_name(file, path)
}

/// Opens and locks a file or directory that its owner keeps locked, if that owner is gone. `None`
/// where the owner lives, or the name is free by now.
pub(crate) fn take_abandoned(path: &Path) -> io::Result<Option<File>> {
    let file = match open_nofollow(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let ours = try_lock(&file, Sharing::Exclusive)? && has_name(&file, path)?;
    Ok(ours.then_some(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_was_interrupted_is_made_again() {
        let mut answers = [ErrorKind::Interrupted, ErrorKind::Interrupted].into_iter();
        let done = uninterrupted(|| answers.next().map_or(Ok(7), |kind| Err(kind.into())));
        assert_eq!(done.unwrap(), 7);
        let failed: io::Result<()> = uninterrupted(|| Err(ErrorKind::NotFound.into()));
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::NotFound);
    }
}
