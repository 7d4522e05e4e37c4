//! Files that a build's events are written into while it runs.
//!
//! One that cannot be made ends the build before it begins. One that cannot be written to its end, since the disk is full,
//! does not: the build is told of it when it is over, and what was shown is whole.

use std::io;
use std::path::PathBuf;

use oci::Timestamp;
use solver::TimedEvent;

use super::event_log::EventLog;
use super::log_directory::LogDirectory;
use super::timeline::Timeline;
use crate::options::ProgressOptions;

/// A record of a build cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}`", path.display())]
pub(crate) struct RecordError {
    /// The file, or the directory.
    pub(crate) path: PathBuf,
    /// Why.
    pub(crate) source: io::Error,
}

/// A place for events.
pub(super) trait Record: Send {
    /// Takes in what happened.
    fn take(&mut self, timed: &TimedEvent) -> Result<(), RecordError>;

    /// Sees to it that all is written.
    fn finish(&mut self) -> Result<(), RecordError>;
}

/// The places that a build's events are written to.
#[derive(Default)]
pub(super) struct Records {
    open: Vec<Box<dyn Record>>,
    failed: Vec<RecordError>,
}

impl Records {
    /// Makes what the user asks for.
    pub(super) fn open(options: &ProgressOptions, start: Timestamp) -> Result<Self, RecordError> {
        let mut records = Self::default();
        if let Some(path) = &options.event_log {
            records.open.push(Box::new(EventLog::create(path, start)?));
        }
        if let Some(path) = &options.log_directory {
            records.open.push(Box::new(LogDirectory::create(path)?));
        }
        if let Some(path) = &options.timeline {
            records.open.push(Box::new(Timeline::create(path)?));
        }
        Ok(records)
    }

    /// Writes what happened. A place that takes it not gets nothing more.
    pub(super) fn take(&mut self, timed: &TimedEvent) {
        let failed = &mut self.failed;
        self.open.retain_mut(|record| match record.take(timed) {
            Ok(()) => true,
            Err(error) => {
                failed.push(error);
                false
            }
        });
    }

    /// Ends all; returns what is said of those that are not whole.
    pub(super) fn finish(mut self) -> Vec<String> {
        let ended = self.open.iter_mut().map(|record| record.finish());
        self.failed.extend(ended.filter_map(Result::err));
        let failed = self.failed.iter();
        failed
            .map(|error| format!("warning: {error}: {}; it ends early\n", error.source))
            .collect()
    }
}
