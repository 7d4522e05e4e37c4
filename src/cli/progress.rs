//! Events → text. A renderer holds no truth: the same events give the same text.
//!
//! One thread takes the events, shows them on standard error, and writes what is to be recorded into files.

mod chronicle;
mod clean;
mod event_log;
mod frame;
mod log_directory;
mod look;
mod picture;
mod plain;
mod rawjson;
mod record;
#[cfg(test)]
mod recorded;
mod replay;
mod runner;
mod size;
mod timeline;
mod tty;

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use oci::{Clock, Timestamp};
use runtime::TerminalSize;
use solver::event::NoticeLevel;
use solver::{Event, TimedEvent};

use crate::env::Runner;
use crate::options::ProgressOptions;
use crate::report;
pub(crate) use chronicle::{Chronicle, Keeping};
pub(crate) use clean::clean;
pub(crate) use event_log::Head as EventHead;
pub(crate) use look::Look;
use plain::Plain;
use rawjson::RawJson;
pub(crate) use record::RecordError;
use record::Records;
pub(crate) use replay::Replay;
use runner::Folds;
pub(crate) use runner::{Folding, guarded, unheard};
use tty::Tty;

/// Returns what is said when the wait for a lock lasts that is held while something is made or used.
fn waiting(lock: &str) -> &'static str {
    if lock == store::WHOLE {
        "waiting for another careen, which makes the store or looks after it\n"
    } else {
        "waiting for a step of this or another build, which makes or uses the same\n"
    }
}

/// How long what happened is gathered before it is shown. Nobody sees the difference, and to wake a thread for each
/// event takes longer than most of what a cached build does.
const GATHERING: Duration = Duration::from_millis(10);

/// The step whose lines tell what was found in the Dockerfile.
pub(crate) const DEFINITION: &str = "definition";

/// The least time between two frames of a live display.
const FRAME: Duration = Duration::from_millis(100);

/// How progress is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// A live display.
    Tty(Look),
    /// Plain text; a runner is told what folds.
    Plain(Option<(Runner, Folding)>),
    /// BuildKit's JSON.
    Rawjson,
    /// Errors and warnings.
    Quiet,
    /// Errors.
    None,
}

/// A thread that shows events on standard error.
pub(crate) struct Display {
    thread: JoinHandle<(Records, Chronicle)>,
}

impl Display {
    /// Starts to show events, and to record them.
    ///
    /// # Errors
    ///
    /// Fails when a file or a directory for records cannot be made.
    pub(crate) fn start(
        options: &ProgressOptions,
        keeping: Keeping,
        events: Receiver<TimedEvent>,
    ) -> Result<Self, RecordError> {
        let start = Clock::System.now();
        let records = Records::open(options, start)?;
        let said = (&*options.token, options.opening.clone());
        let chronicle = Chronicle::new(start, keeping);
        Ok(Self::showing(
            (&options.way, said),
            (events, records),
            chronicle,
        ))
    }

    /// Starts to show warnings.
    pub(crate) fn quiet(events: Receiver<TimedEvent>) -> Self {
        let records = Records::default();
        let chronicle = Chronicle::new(Timestamp::UNIX_EPOCH, Keeping::Nothing);
        Self::showing((&Way::Quiet, ("", None)), (events, records), chronicle)
    }

    fn showing(
        (way, said): (&Way, (&str, Option<String>)),
        (events, records): (Receiver<TimedEvent>, Records),
        chronicle: Chronicle,
    ) -> Self {
        let mut showing = Showing {
            shown: Shown::new(way, said, chronicle.start),
            records,
            chronicle,
        };
        let show = move || {
            showing.all(&events, &mut io::stderr(), GATHERING);
            (showing.records, showing.chronicle)
        };
        Self {
            thread: thread::spawn(show),
        }
    }

    /// Shows events that have all happened, of what began when the chronicle did, and returns what is left of them. They
    /// are not recorded.
    pub(crate) fn show(
        options: &ProgressOptions,
        (start, keeping): (Timestamp, Keeping),
        events: &Receiver<TimedEvent>,
    ) -> Chronicle {
        let mut showing = Showing {
            shown: Shown::new(
                &options.way,
                (&options.token, options.opening.clone()),
                start,
            ),
            records: Records::default(),
            chronicle: Chronicle::new(start, keeping),
        };
        showing.all(events, &mut io::stderr(), Duration::ZERO);
        showing.chronicle
    }

    /// Waits until all is shown, and returns what is left of it. It ends when nobody can tell it anything any more:
    /// whoever could must be gone.
    pub(crate) fn finish(self) -> Chronicle {
        self.thread.thread().unpark();
        match self.thread.join() {
            Ok((records, chronicle)) => {
                for error in records.finish() {
                    report::print_text(&error);
                }
                chronicle
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// What is shown.
enum Shown {
    Tty(Box<Tty>),
    Plain(Plain),
    Rawjson(RawJson),
    Quiet,
    None,
}

impl Shown {
    fn new(way: &Way, (token, opening): (&str, Option<String>), start: Timestamp) -> Self {
        match way {
            Way::Tty(look) => Self::Tty(Box::new(Tty::new(look.clone()))),
            Way::Plain(runner) => {
                let folds = runner.map(|runner| Folds::new(runner, token.to_owned(), start));
                Self::Plain(Plain::new(folds, opening))
            }
            Way::Rawjson => Self::Rawjson(RawJson::new(start)),
            Way::Quiet => Self::Quiet,
            Way::None => Self::None,
        }
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Tty(tty) => tty.finish(terminal_size(), out),
            Self::Plain(plain) => plain.finish(out),
            Self::Rawjson(_) | Self::Quiet | Self::None => Ok(()),
        }
    }

    fn take(&mut self, timed: &TimedEvent, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Tty(tty) => tty.take(timed, out),
            Self::Plain(plain) => plain.render(timed, out),
            Self::Rawjson(json) => json.render(timed, out),
            Self::Quiet => match &timed.event {
                Event::Warning { text } => writeln!(out, "warning: {text}"),
                Event::Notice { text, .. } => out.write_all(text.as_bytes()),
                _ => Ok(()),
            },
            Self::None => match &timed.event {
                Event::Notice { level, text, .. } if *level == NoticeLevel::Error => {
                    out.write_all(text.as_bytes())
                }
                _ => Ok(()),
            },
        }
    }
}

/// What events are for.
struct Showing {
    shown: Shown,
    records: Records,
    chronicle: Chronicle,
}

impl Showing {
    /// Shows events until there are no more: the first at once, and those of the next time together.
    fn all(&mut self, events: &Receiver<TimedEvent>, out: &mut dyn Write, gathering: Duration) {
        let mut next = events.recv().ok();
        let mut pace = Pace::new(next.as_ref());
        while let Some(timed) = next {
            self.records.take(&timed);
            self.chronicle.take(&timed);
            // The terminal is gone; the build goes on, and its exit status tells how it ended.
            drop(self.shown.take(&timed, out));
            next = match &mut self.shown {
                Shown::Tty(tty) => pace.next(events, tty, out),
                _ => gathered(events, gathering),
            };
        }
        // As above.
        drop(self.shown.finish(out));
    }
}

fn terminal_size() -> Option<TerminalSize> {
    runtime::terminal_size(io::stderr())
}

/// Returns the next event. Where none is there yet, one more is not looked for before the time has passed or
/// [`Display::finish`] is called.
fn gathered(events: &Receiver<TimedEvent>, gathering: Duration) -> Option<TimedEvent> {
    match events.try_recv() {
        Ok(timed) => Some(timed),
        Err(TryRecvError::Disconnected) => None,
        Err(TryRecvError::Empty) => {
            thread::park_timeout(gathering);
            events.recv().ok()
        }
    }
}

/// When frames are painted.
struct Pace {
    /// When the job began, by the clock of this thread.
    start: Instant,
    painted: Instant,
}

impl Pace {
    fn new(first: Option<&TimedEvent>) -> Self {
        let now = Instant::now();
        let at = first.map_or(Duration::ZERO, |timed| timed.at);
        Self {
            start: now.checked_sub(at).unwrap_or(now),
            painted: now,
        }
    }

    /// Returns the next event, and paints frames until there is one.
    fn next(
        &mut self,
        events: &Receiver<TimedEvent>,
        tty: &mut Tty,
        out: &mut dyn Write,
    ) -> Option<TimedEvent> {
        loop {
            let left = FRAME.saturating_sub(self.painted.elapsed());
            if left.is_zero() {
                // The terminal is gone: as in `Showing::all`.
                drop(tty.paint(terminal_size(), self.start.elapsed(), out));
                self.painted = Instant::now();
                continue;
            }
            if let Ok(timed) = events.try_recv() {
                return Some(timed);
            }
            thread::park_timeout(GATHERING.min(left));
            match events.recv_timeout(left) {
                Ok(timed) => return Some(timed),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use solver::Events;

    #[test]
    fn everything_is_shown_in_its_order_and_the_end_waits_for_no_more() {
        let (events, receiver) = Events::channel();
        let (sender, shown) = std::sync::mpsc::channel();
        let display = Display {
            thread: thread::spawn(move || {
                let mut out = Vec::new();
                let mut showing = Showing {
                    shown: Shown::Quiet,
                    records: Records::default(),
                    chronicle: Chronicle::new(Timestamp::UNIX_EPOCH, Keeping::Nothing),
                };
                // Longer than any test may take: only to be woken ends the gathering.
                showing.all(&receiver, &mut out, Duration::MAX);
                sender.send(out).unwrap();
                (showing.records, showing.chronicle)
            }),
        };
        for text in ["one", "two", "three"] {
            events.warn(text);
            thread::yield_now();
        }
        drop(events);
        display.finish();
        let shown = shown.recv().unwrap();
        let expected = "warning: one\nwarning: two\nwarning: three\n";
        assert_eq!(String::from_utf8(shown).unwrap(), expected);
    }
}
