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
//! At the end come the last lines of what failed, and the warnings of checks, each with its place:
//!
//! ```text
//! ------
//!  > [build 2/3] RUN make:
//! 0.153 cc: not found
//! ------
//!
//!  1 warning found:
//!  - StageNameCasing: Stage name 'Build' should be lowercase (line 1)
//! ```
//!
//! When another step speaks before one is done, the first is left with `#2 ...` and named again later.

mod ending;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use solver::event::{Moved, NoticeLevel, Origin, StepId};
use solver::{Event, TimedEvent};
use store::Held;

use super::runner::{Folds, Title};
use super::size::size;
use super::{DEFINITION, waiting};
use ending::Ending;

/// How often it is told how far something is.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What is known of a step.
#[derive(Debug, Clone)]
struct Step {
    number: usize,
    name: String,
    started: Duration,
    is_over: bool,
}

/// Renders events as lines.
#[derive(Debug, Default)]
pub(crate) struct Plain {
    steps: BTreeMap<StepId, Step>,
    /// When it was last told how far each thing is that is counted.
    counted: BTreeMap<(StepId, String), Duration>,
    /// The step whose lines stand last, if it is not done.
    current: Option<StepId>,
    /// What is said of the whole build, until it is said.
    opening: Option<String>,
    /// Whether anything was written.
    begun: bool,
    /// What is said at the end.
    ending: Ending,
    /// What a runner is told beside the lines.
    folds: Option<Folds>,
}

impl Plain {
    /// Begins. `opening` is said of the whole build before its steps.
    pub(super) fn new(folds: Option<Folds>, opening: Option<String>) -> Self {
        Self {
            opening,
            folds,
            ..Self::default()
        }
    }

    /// Says what there is to say at the end, and ends what was begun beside the lines.
    pub(super) fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let text = std::mem::take(&mut self.ending).into_text();
        match &mut self.folds {
            Some(folds) => {
                folds.close(out)?;
                if !text.is_empty() {
                    folds.guard(out)?;
                    let harmless = text.split(|byte| *byte == b'\n');
                    let harmless: Vec<_> = harmless.map(|line| folds.harmless(line)).collect();
                    out.write_all(&harmless.join(&b'\n'))?;
                }
                folds.close(out)
            }
            None => out.write_all(&text),
        }
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
        if let Some(opening) = self.opening.take() {
            self.begun = true;
            writeln!(out, "#0 {opening}")?;
        }
        match &timed.event {
            Event::Waited {
                lock,
                held: Held::Work,
                over: false,
                ..
            } => self.say(waiting(lock), out),
            Event::Planned { .. }
            | Event::Waited { .. }
            | Event::Keyed { .. }
            | Event::Layers { .. }
            | Event::Packed { .. } => Ok(()),
            Event::Started { step, name } => {
                self.begin(step, name, timed.at);
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
                self.end(step);
                self.ending.failed(step, name);
                writeln!(out, "#{number} ERROR: {error}")
            }
            Event::Cancelled { step, name } => {
                self.meet(step, name, timed.at);
                let number = self.turn(step, out)?;
                self.end(step);
                writeln!(out, "#{number} CANCELED")
            }
            Event::Warning { text } => self.say(&format!("warning: {text}\n"), out),
            Event::Notice {
                level: NoticeLevel::Warning,
                short,
                text,
            } => self.warning(short, text, out),
            Event::Notice { text, .. } => self.say(text, out),
        }
    }

    /// Tells what was found in the Dockerfile, in the step that reads it.
    fn warning(&mut self, short: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
        let definition = StepId(DEFINITION.to_owned());
        if !self.steps.contains_key(&definition) {
            return self.say(text, out);
        }
        self.ending.warned(short, text);
        let number = self.turn(&definition, out)?;
        writeln!(out, "#{number} WARN: {}", one_line(short))
    }

    /// Takes note that a step begins, maybe not for the first time.
    fn begin(&mut self, step: &StepId, name: &str, at: Duration) {
        self.meet(step, name, at);
        if let Some(step) = self.steps.get_mut(step) {
            (step.started, step.is_over) = (at, false);
        }
    }

    /// Takes note that a step is over. What is said of it after that begins with its name again.
    fn end(&mut self, step: &StepId) {
        self.current = None;
        if let Some(step) = self.steps.get_mut(step) {
            step.is_over = true;
        }
    }

    fn meet(&mut self, step: &StepId, name: &str, at: Duration) {
        let number = self.steps.len() + 1;
        let new = || Step {
            number,
            name: name.to_owned(),
            started: at,
            is_over: false,
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
        let left = self.current.take();
        let left = left.and_then(|left| self.steps.get(&left));
        if let Some(left) = left.filter(|left| !left.is_over) {
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
            self.ending.wrote(step, seconds, line);
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
        self.end(step);
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
        let mut plain = Plain::new(None, Some("building".to_owned()));
        let mut out = Vec::new();
        for (at, event) in events {
            let timed = TimedEvent {
                at: Duration::from_millis(*at),
                event: event.clone(),
            };
            plain.render(&timed, &mut out).unwrap();
        }
        plain.finish(&mut out).unwrap();
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
    fn a_wait_for_a_step_is_told_while_it_lasts_and_no_other() {
        const KEY: &str = "key userns-multi/sha256:1";
        let waited = |lock: &str, held, over| Event::Waited {
            lock: lock.to_owned(),
            held,
            lasted: Duration::from_secs(1),
            over,
        };
        let text = text(&[
            (900, waited("store", Held::Work, false)),
            (1000, waited(KEY, Held::Work, false)),
            (1100, waited(KEY, Held::Work, true)),
            (1200, waited("object sha256:1", Held::Moments, false)),
        ]);
        let expected = "#0 building\n\
            waiting for another careen, which makes the store or looks after it\n\
            waiting for a step of this or another build, which makes or uses the same\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_failed_and_what_was_warned_of_come_again_at_the_end() {
        let notice = Event::Notice {
            level: NoticeLevel::Warning,
            short: "Rule: it is odd (line 1)".to_owned(),
            text: "warning: Rule: it is odd (line 1)\n --> Dockerfile:1:1\n".to_owned(),
        };
        let failed = Event::Failed {
            step: StepId("b".to_owned()),
            name: "[b 1/1] RUN x".to_owned(),
            error: "it failed".to_owned(),
        };
        let text = text(&[
            (0, started(DEFINITION)),
            (10, finished(DEFINITION, Origin::Made)),
            (20, started("b")),
            (30, notice),
            (120, output("b", "one\n")),
            (130, failed),
        ]);
        insta::assert_snapshot!(text, @r"
        #0 building

        #1 [definition 1/1] RUN x
        #1 DONE 0.0s

        #2 [b 1/1] RUN x
        #2 ...

        #1 [definition 1/1] RUN x
        #1 WARN: Rule: it is odd (line 1)

        #2 [b 1/1] RUN x
        #2 0.100 one
        #2 ERROR: it failed
        ------
         > [b 1/1] RUN x:
        0.100 one
        ------

         1 warning found:
         - Rule: it is odd (line 1)
         --> Dockerfile:1:1
        ");
    }

    #[test]
    fn a_step_that_goes_on_counts_its_time_anew() {
        let text = text(&[
            (0, started("a")),
            (100, finished("a", Origin::Made)),
            (9000, started("a")),
            (9300, finished("a", Origin::Made)),
        ]);
        insta::assert_snapshot!(text, @r"
        #0 building

        #1 [a 1/1] RUN x
        #1 DONE 0.1s

        #1 [a 1/1] RUN x
        #1 DONE 0.3s
        ");
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
        #0 building

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
