//! Events → text. A renderer holds no truth: the same events give the same text.

mod plain;

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use solver::{Event, TimedEvent};

use crate::args::ProgressArgument;
use plain::Plain;

/// How long what happened is gathered before it is shown. Nobody sees the difference, and to wake a thread for each
/// event takes longer than most of what a cached build does.
const GATHERING: Duration = Duration::from_millis(10);

/// A thread that shows events on standard error.
pub(crate) struct Display {
    thread: JoinHandle<()>,
}

impl Display {
    /// Starts to show events.
    pub(crate) fn start(kind: ProgressArgument, events: Receiver<TimedEvent>) -> Self {
        let show = move || show(kind, &events, &mut io::stderr(), GATHERING);
        Self {
            thread: thread::spawn(show),
        }
    }

    /// Waits until all is shown. It ends when nobody can tell it anything any more: whoever could must be gone.
    pub(crate) fn finish(self) {
        self.thread.thread().unpark();
        if let Err(panic) = self.thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

/// Shows events until there are no more: the first at once, and those of the next time together.
fn show(
    kind: ProgressArgument,
    events: &Receiver<TimedEvent>,
    out: &mut dyn Write,
    gathering: Duration,
) {
    let mut plain = Plain::new();
    let mut next = events.recv().ok();
    while let Some(timed) = next {
        let written = match kind {
            ProgressArgument::Auto | ProgressArgument::Plain => plain.render(&timed, out),
            ProgressArgument::Quiet => match &timed.event {
                Event::Warning { text } => writeln!(out, "warning: {text}"),
                _ => Ok(()),
            },
            ProgressArgument::None => Ok(()),
        };
        // The terminal is gone; the build goes on, and its exit status tells how it ended.
        drop(written);
        next = gathered(events, gathering);
    }
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
                // Longer than any test may take: only to be woken ends the gathering.
                show(ProgressArgument::Quiet, &receiver, &mut out, Duration::MAX);
                sender.send(out).unwrap();
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
