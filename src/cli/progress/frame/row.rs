//! One line each: the head of the display, a step, what a step says.

use std::time::Duration;

use solver::event::Moved;
use unicode_width::UnicodeWidthStr as _;

use super::super::clean::{clean, fit, padded};
use super::super::look::Paint;
use super::super::picture::{Item, Phase, Picture, Step};
use super::super::size::size;
use super::{Line, View};

/// A line as wide as this has room for bytes, rates and times.
const WIDE_COLUMNS: usize = 70;

/// How many digits of a digest are shown.
const DIGEST_DIGITS: usize = 12;

/// More than any instruction that is worth reading in a line.
const NAME_LIMIT_CHARS: usize = 1000;

pub(super) fn header(picture: &Picture, end: &str, view: View) -> Line {
    let (over, all) = picture.count();
    let over_of = match end {
        "" => format!("({over}/{all})"),
        _ => format!("({over}/{over})"),
    };
    let text = format!("[+] Building {} {over_of}{end}", seconds(view.now));
    plain(fit(&text, view.columns))
}

/// A step that runs.
pub(super) fn running(step: &Step, view: View) -> Line {
    plain(step_text("", step, view))
}

/// A step that runs no more.
pub(super) fn ended(step: &Step, view: View) -> Line {
    let (word, paint) = match step.phase {
        Phase::Cached => ("CACHED ", Paint::Run),
        Phase::Done | Phase::Beside => ("", Paint::Run),
        Phase::Failed => ("ERROR ", Paint::Error),
        // The build may be over where it is not.
        Phase::Cancelled | Phase::Running | Phase::Planned => ("CANCELED ", Paint::Cancel),
    };
    let text = step_text(word, step, view);
    Line { text, paint }
}

fn step_text(word: &str, step: &Step, view: View) -> String {
    let name = clean(&step.name.replace('\n', " "), NAME_LIMIT_CHARS);
    let left = format!(" => {word}{name}");
    columns(&left, &seconds(step.took(view.now)), view)
}

/// Steps of a stage in one line.
pub(super) fn folded(text: &str, took: Duration, view: View) -> Line {
    let text = clean(text, NAME_LIMIT_CHARS);
    let text = columns(&format!(" => {text}"), &seconds(took), view);
    let paint = Paint::Run;
    Line { text, paint }
}

/// A stage that waits for others.
pub(super) fn waiting(text: &str, view: View) -> Line {
    let text = clean(text, NAME_LIMIT_CHARS);
    plain(columns(&format!(" => {text}"), "waits", view))
}

/// How many have no line of their own.
pub(super) fn rest(count: usize, word: &str, view: View) -> Line {
    plain(fit(&format!(" => … {count} more {word}"), view.columns))
}

/// A line that a step wrote.
pub(super) fn output(line: &str, view: View) -> Line {
    plain(fit(&format!(" => => # {line}"), view.columns))
}

/// What a step tells of on its own.
pub(super) fn item(item: &Item, view: View) -> Line {
    let left = format!(" => => {}", short(&clean(&item.what, NAME_LIMIT_CHARS)));
    let text = columns(&left, &amount(item, view), view);
    let paint = match item.ended {
        Some(_) => Paint::Run,
        None => Paint::Plain,
    };
    Line { text, paint }
}

/// How far something is, as much of it as the terminal has room for.
fn amount(item: &Item, view: View) -> String {
    let end = item.ended.unwrap_or(view.now);
    let took = seconds(end.saturating_sub(item.begun));
    let Some(bytes) = item.bytes else {
        return took;
    };
    if item.ended.is_some() {
        return format!("{} {took}", size(bytes.current));
    }
    let rate = item.rate(view.now);
    let left = item.seconds_left(view.now).map(left);
    if view.columns < WIDE_COLUMNS {
        let short = match bytes.total {
            Some(total) => percent(bytes.current, total),
            None => size(bytes.current),
        };
        return left.map_or(short.clone(), |left| format!("{short} {left}"));
    }
    let rate = rate.map(|rate| format!("{}/s", size(whole(rate))));
    let left = left.map(|left| format!("{left} left"));
    let words = std::iter::once(of_total(bytes)).chain(rate).chain(left);
    words.collect::<Vec<_>>().join(" ")
}

fn of_total(bytes: Moved) -> String {
    match bytes.total {
        Some(total) => format!("{} / {}", size(bytes.current), size(total)),
        None => size(bytes.current),
    }
}

fn percent(current: u64, total: u64) -> String {
    let percent = u128::from(current) * 100 / u128::from(total.max(1));
    format!("{percent}%")
}

/// How long something may still take: nobody needs it to the second when it is long.
fn left(seconds: f64) -> String {
    match whole(seconds.ceil()) {
        seconds @ ..100 => format!("{seconds}s"),
        seconds @ ..6000 => format!("{}m", seconds / 60),
        seconds => format!("{}h", seconds / 3600),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, and what is too much is shown as much"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

fn seconds(time: Duration) -> String {
    format!("{:.1}s", time.as_secs_f64())
}

/// Shortens digests, which nobody reads to the end.
fn short(what: &str) -> String {
    let words = what.split(' ').map(|word| {
        let digits = word.rsplit([':', '-']).next().unwrap_or_default();
        let is_digest = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let cut = if is_digest { 64 - DIGEST_DIGITS } else { 0 };
        word.get(..word.len() - cut).unwrap_or(word)
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A text on the left, and another on the right, which is never cut for the first.
fn columns(left: &str, right: &str, view: View) -> String {
    let room = view.columns.saturating_sub(right.width() + 1);
    fit(&format!("{} {right}", padded(left, room)), view.columns)
}

fn plain(text: String) -> Line {
    let paint = Paint::Plain;
    Line { text, paint }
}
