//! What is left of a build's events when it is over: an account of its steps, and the events that are kept.

use oci::Timestamp;
use solver::TimedEvent;

use crate::account::Account;
use crate::history::CompactLog;

/// Whether the events of a build are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// In memory, until it is over.
    Events,
    /// Only what became of its steps.
    Nothing,
}

/// What is left of a build's events.
#[derive(Debug)]
pub(crate) struct Chronicle {
    /// When the build began.
    pub(crate) start: Timestamp,
    /// What became of it.
    pub(crate) account: Account,
    /// Its events, where they are kept.
    pub(crate) log: Option<CompactLog>,
}

impl Chronicle {
    /// Begins one.
    pub(super) fn new(start: Timestamp, keeping: Keeping) -> Self {
        Self {
            start,
            account: Account::default(),
            log: (keeping == Keeping::Events).then(|| CompactLog::new(start)),
        }
    }

    /// Takes in what happened.
    pub(super) fn take(&mut self, timed: &TimedEvent) {
        self.account.take(timed);
        if let Some(log) = &mut self.log {
            log.take(timed);
        }
    }
}
