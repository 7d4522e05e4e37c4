//! A picture of a build → the lines of a screen: a pure function of the picture, the size and the time.
//!
//! ```text
//! [+] Building 12.3s (7/14)
//!  => [linux/amd64 base] 3 steps, 2 cached                       1.2s    what is done, folded
//!  => [linux/amd64 build 3/5] RUN make                           2.1s    what runs,
//!  => => # cc -o x x.c                                                   what it said last,
//!  => [linux/arm64 build 1/5] FROM alpine                        2.1s
//!  => => sha256:1f0c9ab277de           3.10MB / 30.10MB 1.50MB/s 18s     what it fetches and packs
//! ```
//!
//! What runs has a line each before anything else has one; then half of what is left is for what is done.

mod fold;
mod row;

use std::time::Duration;

use runtime::TerminalSize;

use super::look::{Look, Paint};
use super::picture::{Phase, Picture, Step};

/// A line of a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) paint: Paint,
}

/// What lines depend on beside the picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    /// When it is.
    pub(super) now: Duration,
    /// How wide a line may be.
    pub(super) columns: usize,
}

impl View {
    /// Leaves the last column free: some terminals begin a new line in it.
    pub(super) fn new(size: TerminalSize, now: Duration) -> Self {
        let columns = usize::from(size.columns).saturating_sub(1).max(1);
        Self { now, columns }
    }
}

/// Returns the lines of a screen of this size while the build goes on. They leave its last row free.
pub(super) fn frame(picture: &Picture, size: TerminalSize, now: Duration) -> Vec<Line> {
    let view = View::new(size, now);
    let rows = usize::from(size.rows).saturating_sub(2).max(1);
    let mut lines = vec![row::header(picture, "", view)];
    lines.extend(body(picture, rows, view));
    lines
}

/// Returns what is left on the terminal when the build is over: a line for each step, as BuildKit has them.
pub(super) fn summary(picture: &Picture, size: TerminalSize, now: Duration) -> Vec<Line> {
    let view = View::new(size, now);
    let is_whole = picture.steps.iter().all(|step| {
        !matches!(
            step.phase,
            Phase::Running | Phase::Failed | Phase::Cancelled
        )
    });
    let end = if is_whole { " FINISHED" } else { "" };
    let mut lines = vec![row::header(picture, end, view)];
    for step in picture
        .steps
        .iter()
        .filter(|step| step.phase != Phase::Planned)
    {
        lines.push(row::ended(step, view));
        let items = step.items.iter();
        lines.extend(items.map(|item| row::item(item, view)));
    }
    lines
}

/// Returns at most so many lines.
fn body(picture: &Picture, rows: usize, view: View) -> Vec<Line> {
    let running: Vec<&Step> = picture
        .steps
        .iter()
        .filter(|step| step.is_running())
        .collect();
    if running.len() > rows {
        let shown = rows.saturating_sub(1);
        let mut lines: Vec<_> = running[..shown]
            .iter()
            .map(|step| row::running(step, view))
            .collect();
        lines.push(row::rest(running.len() - shown, "running", view));
        return lines;
    }
    let over = fold::over(picture, view);
    let left = rows - running.len();
    let details: Vec<Details> = running.iter().map(|step| Details::of(step, view)).collect();
    let wanted: Vec<usize> = details.iter().map(Details::len).collect();
    let for_over = left.saturating_sub(wanted.iter().sum()).max(left / 2);
    let mut lines = last_of(over, for_over, view);
    let shares = shared(left - lines.len(), &wanted);
    for ((step, details), share) in running.iter().zip(details).zip(shares) {
        lines.push(row::running(step, view));
        lines.extend(details.some(share));
    }
    lines
}

/// Returns the last of what is over; the first line tells of those that have no room.
fn last_of(mut over: Vec<Line>, rows: usize, view: View) -> Vec<Line> {
    if over.len() <= rows {
        return over;
    }
    let Some(shown) = rows.checked_sub(1) else {
        return Vec::new();
    };
    let rest = over.len() - shown;
    let mut lines = vec![row::rest(rest, "done", view)];
    lines.extend(over.drain(rest..));
    lines
}

/// Shares lines out, one at a time, among those that want more.
fn shared(mut left: usize, wanted: &[usize]) -> Vec<usize> {
    let mut shares = vec![0; wanted.len()];
    loop {
        let before = left;
        for (share, wanted) in shares.iter_mut().zip(wanted) {
            if left > 0 && *share < *wanted {
                *share += 1;
                left -= 1;
            }
        }
        if left == before {
            return shares;
        }
    }
}

/// What there is to say of a running step beside its name.
struct Details {
    items: Vec<Line>,
    tail: Vec<Line>,
}

impl Details {
    fn of(step: &Step, view: View) -> Self {
        let items = step.items.iter().filter(|item| item.ended.is_none());
        let tail = step.tail.iter();
        Self {
            items: items.map(|item| row::item(item, view)).collect(),
            tail: tail.map(|line| row::output(line, view)).collect(),
        }
    }

    fn len(&self) -> usize {
        self.items.len() + self.tail.len()
    }

    /// Returns so many lines: one of the output at least, if there is one, and the last ones of it.
    fn some(mut self, count: usize) -> Vec<Line> {
        let least = self.tail.len().min(1);
        let items = self.items.len().min(count.saturating_sub(least));
        let tail = self.tail.len().min(count - items);
        self.items.truncate(items);
        self.items.extend(self.tail.drain(self.tail.len() - tail..));
        self.items
    }
}

/// Returns a line as a terminal is told to show it.
pub(super) fn painted(line: &Line, look: &Look) -> String {
    if look.is_ascii {
        return look.painted(&super::clean::ascii(&line.text), line.paint);
    }
    look.painted(&line.text, line.paint)
}

#[cfg(test)]
mod tests;
