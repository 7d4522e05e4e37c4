//! A live display: frames that are painted over each other on a terminal.
//!
//! ```text
//! what was said before (warnings, the shell)
//! [+] Building 12.3s (7/14)      the frame: never more lines than the terminal has rows, less one
//!  => …
//! ▁                              the cursor, in the first column, while nothing is painted
//! ```
//!
//! Nothing of the terminal is changed but for the time of one write: the cursor is hidden and lines do not go on below
//! their ends while a frame is painted. So whatever ends the process leaves the terminal as it was.

use std::io::{self, Write};
use std::time::Duration;

use runtime::TerminalSize;
use solver::{Event, TimedEvent};
use store::Held;
use unicode_width::UnicodeWidthStr as _;

use super::clean::clean;
use super::frame::{Line, frame, painted, summary};
use super::look::{Look, Paint};
use super::picture::Picture;
use super::waiting;

/// Hides the cursor, and has lines end at the terminal's border (DECTCEM, DECAWM).
const BEGIN: &str = "\u{1b}[?25l\u{1b}[?7l";
/// Puts both back.
const END: &str = "\u{1b}[?7h\u{1b}[?25h";
/// Clears the rest of a line, and of the screen.
const CLEAR_LINE: &str = "\u{1b}[K";
const CLEAR_BELOW: &str = "\u{1b}[J";

/// More than anybody reads.
const WARNING_LIMIT_CHARS: usize = 10_000;

/// What a terminal is taken for that does not say its size.
const USUAL: TerminalSize = TerminalSize {
    rows: 24,
    columns: 80,
};

/// Paints events.
#[derive(Debug)]
pub(super) struct Tty {
    picture: Picture,
    look: Look,
    /// The frame that stands on the terminal.
    shown: Vec<Line>,
    size: TerminalSize,
    /// When the last event was.
    at: Duration,
}

impl Tty {
    pub(super) fn new(look: Look) -> Self {
        Self {
            picture: Picture::new(look.tail_lines),
            look,
            shown: Vec::new(),
            size: USUAL,
            at: Duration::ZERO,
        }
    }

    /// Takes in what happened. Words for the user are written above the frame at once.
    pub(super) fn take(&mut self, timed: &TimedEvent, out: &mut dyn Write) -> io::Result<()> {
        self.at = timed.at;
        self.picture.take(timed);
        match &timed.event {
            Event::Warning { text } => {
                let text = format!("warning: {}", clean(text, WARNING_LIMIT_CHARS));
                self.say(
                    &format!("{}\n", self.look.painted(&text, Paint::Warning)),
                    out,
                )
            }
            Event::Waited {
                lock,
                held: Held::Work,
                over: false,
                ..
            } => self.say(waiting(lock), out),
            Event::Notice { text, .. } => self.say(text, out),
            _ => Ok(()),
        }
    }

    /// Paints how it is now, if that is not what stands there.
    pub(super) fn paint(
        &mut self,
        size: Option<TerminalSize>,
        now: Duration,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let size = usable(size);
        if self.picture.steps.is_empty() {
            return Ok(());
        }
        let lines = frame(&self.picture, size, now);
        if lines == self.shown && size == self.size {
            return Ok(());
        }
        self.replace(lines, size, out)
    }

    /// Paints what is left when the build is over.
    pub(super) fn finish(
        &mut self,
        size: Option<TerminalSize>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        if self.picture.steps.is_empty() {
            return Ok(());
        }
        let size = usable(size);
        let lines = summary(&self.picture, size, self.at);
        self.replace(lines, size, out)?;
        self.shown.clear();
        Ok(())
    }

    /// Writes a text where the frame stands, which is painted again below it.
    fn say(&mut self, text: &str, out: &mut dyn Write) -> io::Result<()> {
        let up = up(self.rows_in(self.size));
        self.shown.clear();
        // Line by line: some terminals keep what a whole screen showed before it was cleared.
        let text = text.replace('\n', &format!("{CLEAR_LINE}\r\n"));
        write!(out, "{up}{text}{CLEAR_BELOW}")?;
        out.flush()
    }

    /// Paints lines over those that stand there, in one write. Those that are the same are passed over.
    fn replace(
        &mut self,
        lines: Vec<Line>,
        size: TerminalSize,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let rows = self.rows_in(size);
        let mut text = format!("{BEGIN}{}", up(rows));
        if size != self.size {
            // Lines may stand in other places now: all are painted.
            self.shown.clear();
        }
        for (place, line) in lines.iter().enumerate() {
            if self.shown.get(place) != Some(line) {
                text.push_str(&painted(line, &self.look));
                text.push_str(CLEAR_LINE);
            }
            text.push_str("\r\n");
        }
        // Keys that were typed meanwhile stand below, too.
        text.push_str(CLEAR_BELOW);
        text.push_str(END);
        self.shown = lines;
        self.size = size;
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Returns how many rows the frame takes on a terminal that may have become narrower since: most terminals let a line
    /// go on in the next row then.
    fn rows_in(&self, size: TerminalSize) -> usize {
        if size.columns >= self.size.columns {
            return self.shown.len();
        }
        let columns = usize::from(size.columns);
        let rows = self
            .shown
            .iter()
            .map(|line| line.text.width().div_ceil(columns).max(1));
        rows.sum::<usize>()
            .min(usize::from(size.rows).saturating_sub(1))
    }
}

fn usable(size: Option<TerminalSize>) -> TerminalSize {
    size.filter(|size| size.rows > 0 && size.columns > 0)
        .unwrap_or(USUAL)
}

fn up(rows: usize) -> String {
    match rows {
        0 => "\r".to_owned(),
        rows => format!("\r\u{1b}[{rows}A"),
    }
}

#[cfg(test)]
mod tests;
