//! `--timeline`: one page with a chart of a build over its time, which needs nothing but a browser.
//!
//! There is one row for each step, in the order in which they were first told of and below the name of its lane (a stage for
//! a platform), with a line for the time that it waited for what its lane did before, and a bar for each thing that it fetched,
//! unpacked, packed or pushed, below one another where they go on at the same time. Nothing in the page is executed, and nothing is
//! loaded by it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use solver::TimedEvent;

use super::clean::clean;
use super::picture::{Item, Lane, Phase, Picture, Step};
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

/// A step that begins so soon after the one before has not waited.
const WAIT_MIN: Duration = Duration::from_millis(50);

/// How many parts the axis has.
const AXIS_PARTS: u32 = 4;

/// Where the first of the bars that lie below a step's own begins, and how far they are apart, in ems.
const ITEMS_TOP_EMS: f64 = 1.5;
const ITEM_EMS: f64 = 0.6;

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width\">\n\
    <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
    <title>careen build</title>\n<style>\n\
    body{font:13px/1.5 system-ui,sans-serif;margin:1.5em;color:#222;background:#fff}h1{font-size:1.6em;margin:0}\n\
    h2{font:bold 1em ui-monospace,monospace;margin:1em 0 .2em;overflow-wrap:anywhere}\n\
    .row,.axis{display:grid;grid-template-columns:minmax(12em,34%) 1fr 5em;gap:0 .6em;border-top:1px solid #eee}\n\
    .name{white-space:nowrap;overflow:hidden;text-overflow:ellipsis;font-family:ui-monospace,monospace}\n\
    .time{text-align:right;color:#666;white-space:nowrap}.lane{position:relative;min-height:1.6em;grid-column:2;\
    background:repeating-linear-gradient(to right,#ddd 0 1px,transparent 1px 25%)}\n\
    .bar{position:absolute;top:.2em;height:1.1em;min-width:2px;border-radius:2px}\n\
    .item{height:.45em}.wait{top:.7em;height:2px;background:#b0b7c3}\n\
    .axis{border:0;color:#666}.axis .lane span{position:absolute;padding-left:.3em;font-size:.9em}\n\
    .key{margin:.6em 0}.key span{white-space:nowrap;margin-right:1em}\n\
    .key i{display:inline-block;width:1em;height:1em;margin-right:.3em;vertical-align:-.15em;border-radius:2px;position:static}\n\
    .key .wait{height:2px;vertical-align:.3em}\n\
    .run{background:#4c8bf5}.cached{background:#b0b7c3}.failed{background:#d93025}.canceled{background:#e8a400}\n\
    .fetch{background:#7b3ff2}.unpack{background:#00897b}.pack{background:#f57c00}.push{background:#c2185b}\n\
    .other{background:#37474f}\n\
    @media(max-width:700px){body{margin:.8em}.row,.axis{grid-template-columns:1fr 4.5em}.name{grid-column:1/-1;white-space:normal;\
    overflow-wrap:anywhere}.lane{grid-column:1}}\n</style>\n";

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
    let mut rows = String::new();
    let mut lane: Option<(&Lane, Duration)> = None;
    for step in begun {
        let before = lane.filter(|(lane, _)| Some(*lane) == step.lane.as_ref());
        if before.is_none() {
            rows.push_str(&heading(step.lane.as_ref(), lane.is_some()));
        }
        rows.push_str(&row(step, before.map(|(_, ended)| ended), end));
        lane = step
            .lane
            .as_ref()
            .map(|lane| (lane, step.begun + step.took(end)));
    }
    let (over, all) = picture.count();
    let total = end.as_secs_f64();
    let keys = [
        "wait", "run", "cached", "failed", "canceled", "fetch", "unpack", "pack", "push",
    ];
    let key = keys.map(|key| format!("<span><i class=\"{key}\"></i>{key}</span>\n"));
    let (key, axis) = (key.concat(), axis(end));
    format!(
        "{HEAD}<h1>careen build</h1>\n<p>{over} of {all} steps in {total:.1} s</p>\n<p class=\"key\">{key}</p>\n{axis}{rows}</html>\n"
    )
}

/// Returns the times at the lines behind the bars.
fn axis(end: Duration) -> String {
    let marks = (0..AXIS_PARTS).map(|part| {
        let seconds = (end * part / AXIS_PARTS).as_secs_f64();
        format!(
            "<span style=\"left:{}%\">{seconds:.1} s</span>",
            part * 100 / AXIS_PARTS
        )
    });
    let marks: String = marks.collect();
    format!("<div class=\"axis\"><div class=\"lane\">{marks}</div></div>\n")
}

/// Returns what stands above the steps of a lane; above those of none, a line if a lane came before.
fn heading(lane: Option<&Lane>, is_behind: bool) -> String {
    match lane {
        Some(lane) => format!(
            "<h2>{}</h2>\n",
            escaped(&clean(&lane_text(lane), NAME_LIMIT_CHARS))
        ),
        None if is_behind => "<h2>beside them</h2>\n".to_owned(),
        None => String::new(),
    }
}

fn lane_text(lane: &Lane) -> String {
    let platform = lane.platform.as_deref().unwrap_or_default();
    format!("{platform} {}", lane.stage).trim().to_owned()
}

/// Returns what a step is called below the name of its lane: `[2/3] RUN make`.
fn short_name(step: &Step) -> String {
    let lane = step.lane.as_ref().map(lane_text);
    let rest = lane.and_then(|lane| step.name.strip_prefix(&format!("[{lane} ")));
    let name = rest.map_or_else(|| step.name.clone(), |rest| format!("[{rest}"));
    clean(&name.replace('\n', " "), NAME_LIMIT_CHARS)
}

/// Returns the row of a step, whose lane was busy until then.
fn row(step: &Step, lane_free: Option<Duration>, end: Duration) -> String {
    let name = escaped(&short_name(step));
    let class = match step.phase {
        Phase::Cached => "cached",
        Phase::Done | Phase::Planned => "run",
        Phase::Failed => "failed",
        Phase::Cancelled | Phase::Running => "canceled",
        Phase::Beside => "other",
    };
    let took = step.took(end);
    let mut bars = String::new();
    let waited = lane_free.map(|free| (free, step.begun.saturating_sub(free)));
    if let Some((free, waited)) = waited.filter(|(_, waited)| *waited >= WAIT_MIN) {
        bars.push_str(&bar("wait", "waiting", (free, waited), end));
    }
    bars.push_str(&bar(class, &name, (step.begun, took), end));
    let mut tracks = Vec::new();
    for item in &step.items {
        bars.push_str(&item_bar(item, &mut tracks, end));
    }
    let seconds = took.as_secs_f64();
    let height = match tracks.len() {
        0 => String::new(),
        count => format!(" style=\"height:{:.1}em\"", item_top(count)),
    };
    format!(
        "<div class=\"row\"><div class=\"name\" title=\"{name}\">{name}</div><div class=\"lane\"{height}>{bars}</div><div \
         class=\"time\">{seconds:.1} s</div></div>\n"
    )
}

/// Returns where the bars of a track are, from the top of the lane, in ems.
fn item_top(track: usize) -> f64 {
    ITEMS_TOP_EMS + ITEM_EMS * f64::from(u32::try_from(track).unwrap_or(u32::MAX))
}

/// Returns the bar of an item, in the first track that is free by then; the tracks are known by when they are.
fn item_bar(item: &Item, tracks: &mut Vec<Duration>, end: Duration) -> String {
    let mut kinds = KINDS.iter();
    let kind = kinds.find(|(start, _)| item.what.starts_with(start));
    let class = kind.map_or("other", |(_, class)| class);
    let ended = item.ended.unwrap_or(end);
    let took = ended.saturating_sub(item.begun);
    let free = tracks.iter().position(|free| *free <= item.begun);
    let track = free.unwrap_or(tracks.len());
    match tracks.get_mut(track) {
        Some(free) => *free = ended,
        None => tracks.push(ended),
    }
    let what = escaped(&clean(&item.what, NAME_LIMIT_CHARS));
    let top = format!("top:{:.1}em;", item_top(track));
    placed_bar(
        &format!("item {class}"),
        &what,
        (item.begun, took),
        (&top, end),
    )
}

fn bar(class: &str, title: &str, time: (Duration, Duration), end: Duration) -> String {
    placed_bar(class, title, time, ("", end))
}

fn placed_bar(
    class: &str,
    title: &str,
    (begun, took): (Duration, Duration),
    (place, end): (&str, Duration),
) -> String {
    let whole = end.as_secs_f64().max(0.001);
    let (left, width) = (begun.as_secs_f64() / whole, took.as_secs_f64() / whole);
    let (left, width) = (left * 100.0, width * 100.0);
    let mut text = String::new();
    write!(
        text,
        "<div class=\"bar {class}\" style=\"{place}left:{left:.2}%;width:{width:.2}%\" title=\"{title}: {:.1} s\"></div>",
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
    fn a_lane_is_named_once_and_what_goes_on_together_lies_below_one_another() {
        let lane = Some(Lane {
            platform: Some("linux/arm64".to_owned()),
            stage: "one".to_owned(),
        });
        let seconds = Duration::from_secs;
        let step = |name: &str, begun, ended| Step {
            name: name.to_owned(),
            lane: lane.clone(),
            phase: Phase::Done,
            begun: seconds(begun),
            ended: seconds(ended),
            ..Step::default()
        };
        let mut picture = Picture::new(0);
        let steps = [
            step("[linux/arm64 one 1/2] FROM <base>", 0, 2),
            step("[linux/arm64 one 2/2] RUN a\nb", 6, 8),
        ];
        picture.steps.extend(steps);
        let shown = page(&picture, seconds(8));
        assert_eq!(shown.matches("<h2>").count(), 1, "{shown}");
        assert!(shown.contains("<h2>linux/arm64 one</h2>"), "{shown}");
        assert!(shown.contains(">[1/2] FROM &lt;base&gt;<"), "{shown}");
        assert!(shown.contains(">[2/2] RUN a b<"), "{shown}");
        let waits = "<div class=\"bar wait\" style=\"left:25.00%;width:50.00%\"";
        assert_eq!(shown.matches(waits).count(), 1, "{shown}");
        let mut tracks = Vec::new();
        for (begun, ended, top) in [(0, 4, "1.5"), (1, 2, "2.1"), (2, 5, "2.1"), (4, 5, "1.5")] {
            let item = Item::over("packing x", seconds(begun), seconds(ended));
            let bar = item_bar(&item, &mut tracks, seconds(8));
            assert!(bar.contains(&format!("top:{top}em")), "{bar}");
        }
    }

    #[test]
    fn what_steps_are_called_is_text() {
        assert_eq!(
            escaped("<a href=\"x\">&"),
            "&lt;a href=&quot;x&quot;&gt;&amp;"
        );
    }
}
