//! The events of a build as they are kept: those of `--event-log` but for how far things are, within a limit.
//!
//! They are gathered in memory, so that a build writes one file once.

use oci::Timestamp;
use serde::Serialize;
use solver::{Event, TimedEvent};

use crate::progress::EventHead;

/// How much is kept of what the steps of a build print, in bytes of the file. `--log-dir` keeps all of it.
pub(crate) const OUTPUT_LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// The events of a build, a JSON object a line.
#[derive(Debug, Default)]
pub(crate) struct CompactLog {
    text: Vec<u8>,
    output_bytes: usize,
    is_clipped: bool,
}

impl CompactLog {
    /// Begins one.
    pub(crate) fn new(start: Timestamp) -> Self {
        let mut log = Self::default();
        log.line(&EventHead::new(start));
        log
    }

    /// Takes in what happened.
    pub(crate) fn take(&mut self, timed: &TimedEvent) {
        match &timed.event {
            Event::Progress {
                bytes: Some(_),
                done: false,
                ..
            } => {}
            Event::Output { .. } if self.is_clipped => {}
            Event::Output { .. } => self.output(timed),
            _ => self.line(timed),
        }
    }

    /// Returns the lines, and whether some of what steps printed is missing.
    pub(crate) fn finish(self) -> (Vec<u8>, bool) {
        (self.text, self.is_clipped)
    }

    fn output(&mut self, timed: &TimedEvent) {
        let before = self.text.len();
        self.line(timed);
        let written = self.text.len() - before;
        if self.output_bytes + written > OUTPUT_LIMIT_BYTES {
            self.text.truncate(before);
            self.is_clipped = true;
            return;
        }
        self.output_bytes += written;
    }

    fn line<T: Serialize>(&mut self, line: &T) {
        let before = self.text.len();
        // Nothing else can fail in memory than a value that is no JSON, and then there is no line.
        match serde_json::to_writer(&mut self.text, line) {
            Ok(()) => self.text.push(b'\n'),
            Err(_) => self.text.truncate(before),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use solver::event::{Moved, OutputStream, StepId};

    use super::*;

    fn timed(event: Event) -> TimedEvent {
        let at = Duration::ZERO;
        TimedEvent { at, event }
    }

    fn output(text: Vec<u8>) -> TimedEvent {
        timed(Event::Output {
            step: StepId("s".to_owned()),
            stream: OutputStream::Stdout,
            text,
        })
    }

    fn progress(bytes: Option<Moved>, done: bool) -> TimedEvent {
        timed(Event::Progress {
            step: StepId("s".to_owned()),
            what: "w".to_owned(),
            bytes,
            done,
        })
    }

    #[test]
    fn how_far_something_is_is_kept_when_it_is_done() {
        let mut log = CompactLog::new(Timestamp::UNIX_EPOCH);
        let moved = Moved {
            current: 1,
            total: None,
        };
        for (bytes, done) in [(None, false), (Some(moved), false), (Some(moved), true)] {
            log.take(&progress(bytes, done));
        }
        let (text, is_clipped) = log.finish();
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                r#"{"careen":"events","version":1,"start":"1970-01-01T00:00:00Z"}"#,
                r#"{"at":0.0,"event":"progress","step":"s","what":"w","done":false}"#,
                r#"{"at":0.0,"event":"progress","step":"s","what":"w","bytes":{"current":1,"total":null},"done":true}"#,
            ]
        );
        assert!(!is_clipped);
    }

    #[test]
    fn what_steps_print_is_kept_up_to_a_limit_and_other_events_after_it() {
        let mut log = CompactLog::new(Timestamp::UNIX_EPOCH);
        for _ in 0..5 {
            log.take(&output(vec![b'x'; OUTPUT_LIMIT_BYTES / 4]));
        }
        log.take(&output(b"small\n".to_vec()));
        log.take(&timed(Event::Warning {
            text: "w".to_owned(),
        }));
        let (text, is_clipped) = log.finish();
        assert!(is_clipped);
        let lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
        assert_eq!(lines.len(), 1 + 3 + 1 + 1);
        assert_eq!(lines[4], br#"{"at":0.0,"event":"warning","text":"w"}"#);
    }
}
