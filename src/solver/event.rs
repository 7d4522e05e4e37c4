//! What a build tells while it runs: the only thing that a progress display sees.
//!
//! A display holds no truth: the same events, replayed, give the same picture. Times are relative to
//! the start of the job.

mod operation;

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use graph::{CacheKey, StepLabel};
use oci::Digest;
use runtime::CancelToken;
use serde::{Deserialize, Serialize};
use store::{Held, Waits};

pub use operation::Operation;

/// Something that happened, and when.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TimedEvent {
    /// Time since the job's start, written as seconds.
    #[serde(with = "seconds")]
    pub at: Duration,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Which output of a command a chunk came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a vertex got its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// An earlier build left it.
    Cached,
    /// It was made now.
    Made,
}

/// Something that happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A step belongs to the job. It may turn out that nothing needs it.
    Planned {
        /// Which step: the digest of its vertex.
        step: StepId,
        /// How it is called, and where it belongs.
        label: StepLabel,
        /// The steps that it waits for.
        inputs: Vec<StepId>,
    },
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
        /// Whole lines, or the end of the output; written as text.
        #[serde(with = "text")]
        text: Vec<u8>,
    },
    /// Something that takes long moved on.
    Progress {
        /// Which step; one that was never told of is work beside the steps, which displays need not show.
        step: StepId,
        /// What is moved, such as `extracting sha256:…`.
        what: String,
        /// How much of it was moved, where that is counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bytes: Option<Moved>,
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
    /// A step was ended, since another one failed or the whole build is to end.
    Cancelled {
        /// Which step.
        step: StepId,
        /// How it is called.
        name: String,
    },
    /// A step has a key: what it was looked for by, whatever came of that.
    Keyed {
        /// Which step.
        step: StepId,
        /// The key.
        key: CacheKey,
        /// What is done, on which platform: with the keys of the inputs all that the key is made of.
        operation: Operation,
        /// The steps that it is made from, in the order in which the operation takes them; none for the empty file system.
        inputs: Vec<Option<StepId>>,
        /// The digest of the files that it copies, where that was found out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<Digest>,
    },
    /// What a step adds to a result of the build. Of each target these are told from the lowest on.
    Layers {
        /// Which target.
        target: usize,
        /// Which step.
        step: StepId,
        /// The layers: one, or all of a base.
        layers: Vec<LayerSize>,
    },
    /// A layer is there as a blob.
    Packed {
        /// The layer.
        layer: String,
        /// The size of the blob.
        size_bytes: u64,
        /// The largest files in it, the largest first, if it was packed now.
        files: Vec<FileSize>,
    },
    /// A lock of the store was not free, and was waited for.
    Waited {
        /// What the lock is on.
        lock: String,
        /// How long others have it.
        held: Held,
        /// How long it has been waited for, written as seconds.
        #[serde(with = "seconds", rename = "seconds")]
        lasted: Duration,
        /// Whether the wait is over: one that is long is told of before, too.
        over: bool,
    },
    /// The user must know something.
    Warning {
        /// What.
        text: String,
    },
    /// Something was found in the Dockerfile, or keeps the build waiting.
    Notice {
        /// How bad it is.
        level: NoticeLevel,
        /// It in one line.
        short: String,
        /// All that is said of it: whole lines, as they are shown.
        text: String,
    },
}

/// A layer of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerSize {
    /// Its name.
    pub layer: String,
    /// The size of its blob, where that is known: of a base's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
}

/// A file of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSize {
    /// Where it is in the image.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
}

/// How bad something is that the user is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoticeLevel {
    /// The build ends because of it.
    Error,
    /// The build goes on.
    Warning,
}

/// How far something is that is moved, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// How many have been moved.
    pub current: u64,
    /// How many there are, if it is known.
    pub total: Option<u64>,
}

/// The identity of a step in displays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub String);

/// The sending end: cheap to copy, never blocks.
#[derive(Debug, Clone)]
pub struct Events {
    start: Instant,
    /// The only one: when no clone of this has it any more, the other end is told.
    sender: Arc<Sender<TimedEvent>>,
    /// Who is told too.
    copy: Option<Sender<Event>>,
}

impl Events {
    /// Makes both ends; the clock starts now.
    pub fn channel() -> (Self, Receiver<TimedEvent>) {
        let (sender, receiver) = channel();
        (
            Self {
                start: Instant::now(),
                sender: Arc::new(sender),
                copy: None,
            },
            receiver,
        )
    }

    /// Returns what tells the same ends, and another one too.
    pub(crate) fn copied(&self) -> (Self, Receiver<Event>) {
        let (sender, receiver) = channel();
        let copied = Self {
            copy: Some(sender),
            ..self.clone()
        };
        (copied, receiver)
    }

    /// Tells something.
    pub fn emit(&self, event: Event) {
        if let Some(copy) = &self.copy {
            drop(copy.send(event.clone()));
        }
        let timed = TimedEvent {
            at: self.start.elapsed(),
            event,
        };
        // An error says that the display is gone; there is nobody to tell.
        drop(self.sender.send(timed));
    }

    /// Returns what tells of waits for locks of a store. One that lasts, for a lock that others should have for moments
    /// only, is a warning too. It does not keep the other end waiting for more: a store may be open longer than there is
    /// anybody to tell.
    pub fn waits(&self) -> Waits {
        let (start, sender) = (self.start, Arc::downgrade(&self.sender));
        Waits::told_to(move |wait| {
            let Some(sender) = sender.upgrade() else {
                return;
            };
            let events = Self {
                start,
                sender,
                copy: None,
            };
            events.emit(Event::Waited {
                lock: wait.lock.clone(),
                held: wait.held,
                lasted: wait.lasted,
                over: wait.is_over,
            });
            if !wait.is_over && wait.held == Held::Moments {
                events.warn(format!(
                    "waiting for a lock of the store, `{}`: another careen has it, and may be stopped",
                    wait.lock
                ));
            }
        })
    }

    /// Tells that something that takes long begins or is over.
    pub fn progress<T: Into<String>>(&self, step: &StepId, what: T, done: bool) {
        self.emit(Event::Progress {
            step: step.clone(),
            what: what.into(),
            bytes: None,
            done,
        });
    }

    /// Tells how far something is that is counted in bytes.
    pub fn moved<T: Into<String>>(&self, step: &StepId, what: T, bytes: Moved, done: bool) {
        self.emit(Event::Progress {
            step: step.clone(),
            what: what.into(),
            bytes: Some(bytes),
            done,
        });
    }

    /// Shows what is done as a step of its own: work that is no vertex of a graph.
    ///
    /// # Errors
    ///
    /// Those of the work, which the step failed with then.
    pub fn show<T, E: fmt::Display, W: FnOnce() -> Result<T, E>>(
        &self,
        (step, name): (&StepId, &str),
        work: W,
    ) -> Result<T, E> {
        self.emit(Event::Started {
            step: step.clone(),
            name: name.to_owned(),
        });
        let done = work();
        self.end((step, name), done.as_ref().err());
        done
    }

    /// Ends a step that was begun.
    pub(crate) fn end<E: fmt::Display>(&self, (step, name): (&StepId, &str), error: Option<&E>) {
        let (step, name) = (step.clone(), name.to_owned());
        self.emit(match error {
            None => Event::Finished {
                step,
                name,
                origin: Origin::Made,
            },
            Some(error) => Event::Failed {
                step,
                name,
                error: error.to_string(),
            },
        });
    }

    /// Ends a step that was begun and cannot fail: it is done, unless everything is to end.
    pub fn ended(&self, (step, name): (&StepId, String), cancel: &CancelToken) {
        let step = step.clone();
        self.emit(if cancel.is_cancelled() {
            Event::Cancelled { step, name }
        } else {
            let origin = Origin::Made;
            Event::Finished { step, name, origin }
        });
    }

    /// Tells the user something that is no error.
    pub fn warn<T: Into<String>>(&self, text: T) {
        self.emit(Event::Warning { text: text.into() });
    }
}

/// Durations as seconds, so that people can read the log.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[expect(
        clippy::cast_precision_loss,
        reason = "a build takes no 285 years, up to which microseconds are exact"
    )]
    pub(super) fn serialize<S: Serializer>(at: &Duration, to: S) -> Result<S::Ok, S::Error> {
        // Whole microseconds: more digits say nothing.
        let micros = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        to.serialize_f64(micros as f64 / 1e6)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// What a command wrote as text. What is not UTF-8 is replaced: the log is for people and programs that read JSON.
mod text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(text: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&String::from_utf8_lossy(text))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        String::deserialize(from).map(String::into_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_back_as_it_was_written() {
        let step = StepId("sha256:1".to_owned());
        let moved = Moved {
            current: 3,
            total: Some(9),
        };
        let what = "fetching".to_owned();
        for (event, expected) in [
            (
                Event::Waited {
                    lock: "tags".to_owned(),
                    held: Held::Moments,
                    lasted: Duration::from_millis(20),
                    over: true,
                },
                r#"{"at":1.5,"event":"waited","lock":"tags","held":"moments","seconds":0.02,"over":true}"#,
            ),
            (
                Event::Output {
                    step: step.clone(),
                    stream: OutputStream::Stderr,
                    text: b"a\xff\n".to_vec(),
                },
                r#"{"at":1.5,"event":"output","step":"sha256:1","stream":"stderr","text":"a�\n"}"#,
            ),
            (
                Event::Progress {
                    step,
                    what,
                    bytes: Some(moved),
                    done: false,
                },
                r#"{"at":1.5,"event":"progress","step":"sha256:1","what":"fetching","bytes":{"current":3,"total":9},"done":false}"#,
            ),
        ] {
            let at = Duration::from_millis(1500);
            let text = serde_json::to_string(&TimedEvent { at, event }).unwrap();
            assert_eq!(text, expected);
            let again: TimedEvent = serde_json::from_str(&text).unwrap();
            assert_eq!(again.at, at);
            assert_eq!(serde_json::to_string(&again).unwrap(), text);
        }
    }

    #[test]
    fn who_listens_for_waits_keeps_nobody_waiting() {
        let (events, told) = Events::channel();
        let waits = events.waits();
        drop(events);
        told.recv().unwrap_err();
        drop(waits);
    }
}
