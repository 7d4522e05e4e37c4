//! Events of a build that is over, shown as they were.

use std::io::{self, Write};

use oci::Timestamp;
use solver::TimedEvent;

use super::{Shown, Way};

/// Shows events that were kept.
pub(crate) struct Replay<'a> {
    shown: Shown,
    out: &'a mut dyn Write,
    /// The first that could not be written.
    failed: io::Result<()>,
}

impl<'a> Replay<'a> {
    /// Begins to show them, those of a build that began at a time. `token` is a word that nobody else knows, for
    /// runners.
    pub(crate) fn new(
        (way, token): (&Way, &str),
        start: Timestamp,
        out: &'a mut dyn Write,
    ) -> Self {
        Self {
            shown: Shown::new(way, (token, None), start),
            out,
            failed: Ok(()),
        }
    }

    /// Shows one.
    pub(crate) fn take(&mut self, timed: &TimedEvent) {
        if self.failed.is_ok() {
            self.failed = self.shown.take(timed, self.out);
        }
    }

    /// Ends what was begun.
    ///
    /// # Errors
    ///
    /// Fails when something could not be written.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.failed?;
        self.shown.finish(self.out)?;
        self.out.flush()
    }
}
