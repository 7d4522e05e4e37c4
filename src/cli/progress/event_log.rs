//! `--event-log`: the events of a build, a JSON object a line.
//!
//! ```text
//! {"careen":"events","version":1,"start":"2026-01-02T03:04:05.678Z"}
//! {"at":0.012,"event":"planned","step":"sha256:…","label":{…},"inputs":["sha256:…"]}
//! {"at":0.013,"event":"started","step":"sha256:…","name":"[build 2/3] RUN make"}
//! {"at":0.200,"event":"output","step":"sha256:…","stream":"stdout","text":"cc -o x x.c\n"}
//! ```
//!
//! `at` is seconds since `start`. What an older reader does not know is a new event, or a new field of one; anything else
//! raises the version.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use oci::Timestamp;
use serde::{Deserialize, Serialize};
use solver::TimedEvent;

use super::record::{Record, RecordError};

/// The version of the format.
const VERSION: u32 = 1;

/// What the line is, in its first field.
const KIND: &str = "events";

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    careen: String,
    version: u32,
    start: String,
}

impl Head {
    /// Makes that of a build that began at a time.
    pub(crate) fn new(start: Timestamp) -> Self {
        Self {
            careen: KIND.to_owned(),
            version: VERSION,
            start: start.to_string(),
        }
    }

    /// Returns when the build began; none if it is not the line that it should be.
    pub(crate) fn start(&self) -> Option<Timestamp> {
        let is_ours = self.careen == KIND && self.version == VERSION;
        let start = is_ours.then(|| Timestamp::parse(&self.start).ok());
        start.flatten()
    }
}

/// A file of events.
pub(super) struct EventLog {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventLog {
    /// Makes the file, or empties it.
    pub(super) fn create(path: &Path, start: Timestamp) -> Result<Self, RecordError> {
        let file = File::create(path).map_err(|source| RecordError {
            path: path.to_owned(),
            source,
        })?;
        let mut log = Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
        };
        log.line(&Head::new(start))?;
        Ok(log)
    }

    fn line<T: Serialize>(&mut self, line: &T) -> Result<(), RecordError> {
        let written = serde_json::to_writer(&mut self.file, line).map_err(Into::into);
        let written = written.and_then(|()| self.file.write_all(b"\n"));
        // Whoever follows the file sees each event when it is there.
        let written = written.and_then(|()| self.file.flush());
        written.map_err(|source| RecordError {
            path: self.path.clone(),
            source,
        })
    }
}

impl Record for EventLog {
    fn take(&mut self, timed: &TimedEvent) -> Result<(), RecordError> {
        self.line(timed)
    }

    fn finish(&mut self) -> Result<(), RecordError> {
        Ok(())
    }
}
