//! Events → text. A renderer holds no truth: the same events give the same text.

mod plain;

use std::io::Write;
use std::sync::mpsc::Receiver;

use solver::{Event, TimedEvent};

use crate::args::ProgressArgument;
use plain::Plain;

/// Shows events until there are no more.
pub(crate) fn show(kind: ProgressArgument, events: &Receiver<TimedEvent>, out: &mut dyn Write) {
    let mut plain = Plain::new();
    for timed in events {
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
    }
}
