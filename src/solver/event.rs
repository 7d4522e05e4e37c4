//! What a build tells while it runs: the only thing that a progress display sees.
//!
//! A display holds no truth: the same events, replayed, give the same picture. Times are relative to
//! the start of the job.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde::Serialize;

/// Something that happened, and when.
#[derive(Debug, Clone, Serialize)]
pub struct TimedEvent {
    /// Time since the job's start.
    pub at: Duration,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Which output of a command a chunk came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a vertex got its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// An earlier build left it.
    Cached,
    /// It was made now.
    Made,
}

/// Something that happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A step began.
    Started {
        /// Which step: the digest of its vertex, or a name of careen's own (`export`).
        step: StepId,
        /// How it is called.
        name: String,
    },
    /// A running command wrote something.
    Output {
        /// Which step.
        step: StepId,
        /// Where the command wrote it.
        stream: OutputStream,
        /// Whole lines, or the end of the output.
        text: Vec<u8>,
    },
    /// Something that takes long moved on.
    Progress {
        /// Which step.
        step: StepId,
        /// What is moved, such as `extracting sha256:…`.
        what: String,
        /// Whether it is over.
        done: bool,
    },
    /// A step has its result.
    Finished {
        /// Which step.
        step: StepId,
        /// How it is called.
        name: String,
        /// Where the result came from.
        origin: Origin,
    },
    /// A step failed.
    Failed {
        /// Which step.
        step: StepId,
        /// How it is called.
        name: String,
        /// What went wrong, in one line.
        error: String,
    },
    /// The user must know something.
    Warning {
        /// What.
        text: String,
    },
}

/// The identity of a step in displays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct StepId(pub String);

/// The sending end: cheap to copy, never blocks.
#[derive(Debug, Clone)]
pub struct Events {
    start: Instant,
    sender: Sender<TimedEvent>,
}

impl Events {
    /// Makes both ends; the clock starts now.
    pub fn channel() -> (Self, Receiver<TimedEvent>) {
        let (sender, receiver) = channel();
        (
            Self {
                start: Instant::now(),
                sender,
            },
            receiver,
        )
    }

    /// Tells something.
    pub fn emit(&self, event: Event) {
        let timed = TimedEvent {
            at: self.start.elapsed(),
            event,
        };
        // An error says that the display is gone; there is nobody to tell.
        drop(self.sender.send(timed));
    }

    /// Tells the user something that is no error.
    pub fn warn<T: Into<String>>(&self, text: T) {
        self.emit(Event::Warning { text: text.into() });
    }
}
