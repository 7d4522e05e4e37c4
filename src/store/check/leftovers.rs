//! What nobody has any more: opening the store has removed it, if that was possible.

use std::path::Path;

use super::{CheckError, Checker, Part, Wrong, entries};
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
        if matches!(held, Ok(None)) {
            // Somebody has it, or has just removed it.
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
