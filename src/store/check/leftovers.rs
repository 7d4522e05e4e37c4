//! What nobody has any more: opening the store has removed it, if that was possible.
//!
//! What came after that opening is somebody's: for a moment nobody has locked what was just made or put into the trash.
//! If its owner dies, the next opening removes it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{CheckError, Checker, Part, Wrong, entries};
use crate::layout::Layout;
use crate::lock::take_abandoned;
use crate::trash;

impl Checker<'_> {
    /// Looks at what is unfinished, is being removed, and is kept.
    pub(super) fn leftovers(&mut self) -> Result<(), CheckError> {
        for (directory, part) in [
            (self.layout.leases(), Part::Lease),
            (self.layout.ingest(), Part::Leftover),
            (self.layout.trash(), Part::Leftover),
        ] {
            for path in entries(&directory)? {
                self.go_on()?;
                self.leftover(part, &path);
            }
        }
        Ok(())
    }

    fn leftover(&mut self, part: Part, path: &Path) {
        let held = take_abandoned(path);
        // Somebody has it, or has just removed it; or will have it, or remove it, at once.
        if matches!(held, Ok(None)) || is_young(self.layout, path) {
            self.count(part, 0);
            return;
        }
        self.tell((part, path), Wrong::Abandoned, |layout| {
            let removed = trash::discard(layout, path);
            removed
                .map(|()| super::Mended::Removed)
                .map_err(|error| super::said(&error))
        });
        drop(held);
    }
}

/// Tells whether something was made or renamed since the store was opened, by the clock of its file system: the time of
/// the last change of its inode, which nobody can set.
fn is_young(layout: &Layout, path: &Path) -> bool {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return true;
    };
    let (seconds, nanoseconds) = (metadata.ctime(), metadata.ctime_nsec());
    let since = u64::try_from(seconds)
        .ok()
        .zip(u32::try_from(nanoseconds).ok());
    let changed = since.and_then(|(seconds, nanoseconds)| {
        SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
    });
    changed.is_some_and(|changed| changed >= layout.opened_at)
}
