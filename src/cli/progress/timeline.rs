//! `--timeline`: one page with a chart of a build over its time, which needs nothing but a browser.
//!
//! There is one row for each step, in the order in which they were first told of, with a bar for each thing that it
//! fetched, unpacked, packed or pushed on top. Nothing in the page is executed, and nothing is loaded by it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use solver::TimedEvent;

use super::clean::clean;
use super::picture::{Item, Phase, Picture, Step};
use super::record::{Record, RecordError};

/// More than a row has room for.
const NAME_LIMIT_CHARS: usize = 300;

/// The kinds of what steps do beside running: how what they tell begins, and the class of its bar.
const KINDS: [(&str, &str); 5] = [
    ("sha256:", "fetch"),
    ("fetching ", "fetch"),
    ("extracting ", "unpack"),
    ("packing ", "pack"),
    ("pushing ", "push"),
];

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
    <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
    <title>careen build</title>\n<style>\n\
    body{font:13px/1.5 system-ui,sans-serif;margin:1.5em;color:#222;background:#fff}\n\
    .row{display:grid;grid-template-columns:minmax(12em,34%) 1fr 5em;gap:.6em;border-top:1px solid #eee}\n\
    .name{white-space:nowrap;overflow:hidden;text-overflow:ellipsis;font-family:ui-monospace,monospace}\n\
    .time{text-align:right;color:#666}.lane{position:relative;min-height:1.6em}\n\
    .bar{position:absolute;top:.2em;height:1.1em;min-width:2px;border-radius:2px;opacity:.9}\n\
    .item{top:.8em;height:.5em}\n\
    .key span{display:inline-block;width:1em;height:1em;margin:0 .3em 0 1em;vertical-align:-.15em;border-radius:2px}\n\
    .run{background:#4c8bf5}.cached{background:#b0b7c3}.failed{background:#d93025}.canceled{background:#e8a400}\n\
    .fetch{background:#7b3ff2}.unpack{background:#00897b}.pack{background:#f57c00}.push{background:#c2185b}\n\
    .other{background:#37474f}\n</style>\n";

/// A page that is written when the build is over.
pub(super) struct Timeline {
    path: PathBuf,
    picture: Picture,
    end: Duration,
}

impl Timeline {
    /// Makes the file, so that one that cannot be made is told of before the build begins.
    pub(super) fn create(path: &Path) -> Result<Self, RecordError> {
        let timeline = Self {
            path: path.to_owned(),
            picture: Picture::new(0),
            end: Duration::ZERO,
        };
        timeline.write("")?;
        Ok(timeline)
    }

    fn write(&self, text: &str) -> Result<(), RecordError> {
        fs::write(&self.path, text).map_err(|source| RecordError {
            path: self.path.clone(),
            source,
        })
    }
}

impl Record for Timeline {
    fn take(&mut self, timed: &TimedEvent) -> Result<(), RecordError> {
        self.picture.take(timed);
        self.end = timed.at;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), RecordError> {
        self.write(&page(&self.picture, self.end))
    }
}

/// Returns the page.
fn page(picture: &Picture, end: Duration) -> String {
    let begun = picture
        .steps
        .iter()
        .filter(|step| step.phase != Phase::Planned);
    let rows: String = begun.map(|step| row(step, end)).collect();
    let (over, all) = picture.count();
    let total = end.as_secs_f64();
    let keys = [
        "run", "cached", "failed", "canceled", "fetch", "unpack", "pack", "push",
    ];
    let key = keys.map(|key| format!("<span class=\"{key}\"></span>{key}"));
    let key = key.concat();
    format!(
        "{HEAD}<h1>careen build</h1>\n<p>{over} of {all} steps in {total:.1} s</p>\n<p class=\"key\">{key}</p>\n{rows}</html>\n"
    )
}

fn row(step: &Step, end: Duration) -> String {
    let name = escaped(&clean(&step.name.replace('\n', " "), NAME_LIMIT_CHARS));
    let class = match step.phase {
        Phase::Cached => "cached",
        Phase::Done | Phase::Planned => "run",
        Phase::Failed => "failed",
        Phase::Running => "canceled",
        Phase::Beside => "other",
    };
    let took = step.took(end);
    let mut bars = bar(class, &name, (step.begun, took), end);
    for item in &step.items {
        bars.push_str(&item_bar(item, end));
    }
    let seconds = took.as_secs_f64();
    format!(
        "<div class=\"row\"><div class=\"name\" title=\"{name}\">{name}</div><div class=\"lane\">{bars}</div><div \
         class=\"time\">{seconds:.1} s</div></div>\n"
    )
}

fn item_bar(item: &Item, end: Duration) -> String {
    let mut kinds = KINDS.iter();
    let kind = kinds.find(|(start, _)| item.what.starts_with(start));
    let class = kind.map_or("other", |(_, class)| class);
    let took = item.ended.unwrap_or(end).saturating_sub(item.begun);
    let what = escaped(&clean(&item.what, NAME_LIMIT_CHARS));
    bar(&format!("item {class}"), &what, (item.begun, took), end)
}

fn bar(class: &str, title: &str, (begun, took): (Duration, Duration), end: Duration) -> String {
    let whole = end.as_secs_f64().max(0.001);
    let (left, width) = (begun.as_secs_f64() / whole, took.as_secs_f64() / whole);
    let (left, width) = (left * 100.0, width * 100.0);
    let mut text = String::new();
    write!(
        text,
        "<div class=\"bar {class}\" style=\"left:{left:.2}%;width:{width:.2}%\" title=\"{title}: {:.1} s\"></div>",
        took.as_secs_f64()
    )
    .expect("a String takes what is written");
    text
}

/// Writes a text so that a browser shows it as it is.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::recorded;

    #[test]
    fn a_page_has_a_row_for_each_step_and_a_bar_for_what_it_moved() {
        let mut picture = Picture::new(0);
        let events = recorded::two_platforms();
        for timed in &events {
            picture.take(timed);
        }
        let page = page(&picture, events.last().unwrap().at);
        assert!(page.contains("<p>13 of 13 steps in 24.0 s</p>"), "{page}");
        assert_eq!(page.matches("class=\"row\"").count(), 14);
        for (class, expected) in [
            ("item fetch", 5),
            ("item unpack", 1),
            ("item pack", 3),
            ("item push", 6),
        ] {
            let bars = format!("class=\"bar {class}\"");
            assert_eq!(page.matches(&bars).count(), expected, "{class}");
        }
        assert!(page.contains("left:6.87%;width:30.16%"), "{page}");
    }

    #[test]
    fn what_steps_are_called_is_text() {
        assert_eq!(
            escaped("<a href=\"x\">&"),
            "&lt;a href=&quot;x&quot;&gt;&amp;"
        );
    }
}
