//! Plain text, a line at a time, in the format of BuildKit's plain progress, which scripts parse:
//!
//! ```text
//! #2 [build 2/3] RUN make
//! #2 0.153 cc -o x x.c
//! #2 DONE 1.2s
//!
//! #3 [build 3/3] COPY a b
//! #3 CACHED
//! ```
//!
//! When another step speaks before one is done, the first is left with `#2 ...` and named again later.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use solver::event::{Moved, Origin, StepId};
use solver::{Event, TimedEvent};

use super::runner::{Folds, Title};
use super::size::size;

/// How often it is told how far something is.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What is known of a step.
#[derive(Debug, Clone)]
struct Step {
    number: usize,
    name: String,
    started: Duration,
}

/// Renders events as lines.
#[derive(Debug, Default)]
pub(crate) struct Plain {
    steps: BTreeMap<StepId, Step>,
    /// When it was last told how far each thing is that is counted.
    counted: BTreeMap<(StepId, String), Duration>,
    /// The step whose lines stand last, if it is not done.
    current: Option<StepId>,
    /// Whether anything was written.
    begun: bool,
    /// What a runner is told beside the lines.
    folds: Option<Folds>,
}

impl Plain {
    pub(super) fn new(folds: Option<Folds>) -> Self {
        Self {
            folds,
            ..Self::default()
        }
    }

    /// Ends what was begun beside the lines.
    pub(super) fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.folds.as_mut().map_or(Ok(()), |folds| folds.close(out))
    }

    /// Writes words for the user, which may repeat those of strangers.
    fn say(&mut self, text: &str, out: &mut dyn Write) -> io::Result<()> {
        if let Some(folds) = &mut self.folds {
            folds.guard(out)?;
        }
        out.write_all(text.as_bytes())
    }

    /// Writes what an event says.
    pub(crate) fn render(&mut self, timed: &TimedEvent, out: &mut dyn Write) -> io::Result<()> {
        match &timed.event {
            Event::Planned { .. }
            | Event::Keyed { .. }
            | Event::Layers { .. }
            | Event::Packed { .. } => Ok(()),
            Event::Started { step, name } => {
                self.meet(step, name, timed.at);
                self.turn_to(step, out)
            }
            Event::Output { step, text, .. } => self.output(step, timed.at, text, out),
            Event::Progress {
                step,
                what,
                bytes,
                done,
            } => self.progress(step, timed.at, (what, *bytes, *done), out),
            Event::Finished { step, name, origin } => {
                self.meet(step, name, timed.at);
                self.finished(step, timed.at, *origin, out)
            }
            Event::Failed { step, name, error } => {
                self.meet(step, name, timed.at);
                let number = self.turn(step, out)?;
                self.current = None;
                writeln!(out, "#{number} ERROR: {error}")
            }
            Event::Warning { text } => self.say(&format!("warning: {text}\n"), out),
            Event::Notice { text, .. } => self.say(text, out),
        }
    }

    fn meet(&mut self, step: &StepId, name: &str, at: Duration) {
        let number = self.steps.len() + 1;
        let new = || Step {
            number,
            name: name.to_owned(),
            started: at,
        };
        self.steps.entry(step.clone()).or_insert_with(new);
    }

    /// Makes a step the one whose lines come next; returns its number.
    fn turn(&mut self, step: &StepId, out: &mut dyn Write) -> io::Result<usize> {
        self.turn_to(step, out)?;
        Ok(self.steps.get(step).map_or(0, |step| step.number))
    }

    fn turn_to(&mut self, step: &StepId, out: &mut dyn Write) -> io::Result<()> {
        if self.current.as_ref() == Some(step) {
            return Ok(());
        }
        if let Some(left) = self.current.take().and_then(|left| self.steps.get(&left)) {
            writeln!(out, "#{} ...", left.number)?;
        }
        self.current = Some(step.clone());
        let known = self.steps.get(step);
        let title = known.map(|known| format!("#{} {}", known.number, one_line(&known.name)));
        let written = match (&mut self.folds, &title) {
            (Some(folds), Some(title)) => folds.open(title, out)?,
            _ => Title::Missing,
        };
        if written == Title::Written {
            return Ok(());
        }
        if std::mem::replace(&mut self.begun, true) {
            writeln!(out)?;
        }
        title.map_or(Ok(()), |title| writeln!(out, "{title}"))
    }

    fn progress(
        &mut self,
        step: &StepId,
        at: Duration,
        (what, bytes, done): (&str, Option<Moved>, bool),
        out: &mut dyn Write,
    ) -> io::Result<()> {
        // What goes on beside the steps is none of BuildKit's lines.
        let is_beside = !self.steps.contains_key(step);
        if is_beside || (bytes.is_some() && !done && !self.is_time(step, what, at)) {
            return Ok(());
        }
        let number = self.turn(step, out)?;
        write!(out, "#{number} {what}")?;
        if let Some(bytes) = bytes {
            write!(out, " {}", moved(bytes))?;
        }
        writeln!(out, "{}", if done { " done" } else { "" })
    }

    /// Tells whether it was long ago that it was told how far something is. It begins to be so when it is first asked.
    fn is_time(&mut self, step: &StepId, what: &str, at: Duration) -> bool {
        let key = (step.clone(), what.to_owned());
        let Some(last) = self.counted.get_mut(&key) else {
            self.counted.insert(key, at);
            return false;
        };
        let is_time = at.saturating_sub(*last) >= TELL_EVERY;
        if is_time {
            *last = at;
        }
        is_time
    }

    fn output(
        &mut self,
        step: &StepId,
        at: Duration,
        text: &[u8],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let number = self.turn(step, out)?;
        let started = self.steps.get(step).map_or(at, |step| step.started);
        let seconds = at.saturating_sub(started).as_secs_f64();
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        for line in text.split(|byte| *byte == b'\n') {
            write!(out, "#{number} {seconds:.3} ")?;
            match &self.folds {
                Some(folds) => out.write_all(&folds.harmless(line))?,
                None => out.write_all(line)?,
            }
            writeln!(out)?;
        }
        Ok(())
    }

    fn finished(
        &mut self,
        step: &StepId,
        at: Duration,
        origin: Origin,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let number = self.turn(step, out)?;
        self.current = None;
        let started = self.steps.get(step).map_or(at, |step| step.started);
        match origin {
            Origin::Cached => writeln!(out, "#{number} CACHED"),
            Origin::Made => {
                let seconds = at.saturating_sub(started).as_secs_f64();
                writeln!(out, "#{number} DONE {seconds:.1}s")
            }
        }
    }
}

/// Writes how far something is as BuildKit does.
fn moved(bytes: Moved) -> String {
    match bytes.total {
        Some(total) => format!("{} / {}", size(bytes.current), size(total)),
        None => size(bytes.current),
    }
}

fn one_line(name: &str) -> String {
    name.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use solver::event::OutputStream;

    fn text(events: &[(u64, Event)]) -> String {
        let mut plain = Plain::new(None);
        let mut out = Vec::new();
        for (at, event) in events {
            let timed = TimedEvent {
                at: Duration::from_millis(*at),
                event: event.clone(),
            };
            plain.render(&timed, &mut out).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    fn started(step: &str) -> Event {
        Event::Started {
            step: StepId(step.to_owned()),
            name: format!("[{step} 1/1] RUN x"),
        }
    }

    fn output(step: &str, line: &str) -> Event {
        Event::Output {
            step: StepId(step.to_owned()),
            stream: OutputStream::Stdout,
            text: line.as_bytes().to_vec(),
        }
    }

    fn finished(step: &str, origin: Origin) -> Event {
        let name = format!("[{step} 1/1] RUN x");
        Event::Finished {
            step: StepId(step.to_owned()),
            name,
            origin,
        }
    }

    #[test]
    fn steps_that_alternate_are_named_again() {
        let text = text(&[
            (0, started("a")),
            (100, output("a", "one\ntwo\n")),
            (200, started("b")),
            (250, output("b", "bee\n")),
            (300, output("a", "three\n")),
            (1300, finished("a", Origin::Made)),
            (1400, finished("b", Origin::Made)),
            (1500, finished("c", Origin::Cached)),
        ]);
        insta::assert_snapshot!(text, @r"
        #1 [a 1/1] RUN x
        #1 0.100 one
        #1 0.100 two
        #1 ...

        #2 [b 1/1] RUN x
        #2 0.050 bee
        #2 ...

        #1 [a 1/1] RUN x
        #1 0.300 three
        #1 DONE 1.3s

        #2 [b 1/1] RUN x
        #2 DONE 1.2s

        #3 [c 1/1] RUN x
        #3 CACHED
        ");
    }
}
