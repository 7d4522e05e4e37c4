//! What a live display knows of a build: its steps, how far each is, and what it said last.
//!
//! It is made of events and of nothing else: the same events give the same picture.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use graph::StepLabel;
use solver::event::{Moved, Origin, StepId};
use solver::{Event, TimedEvent};

use super::clean::clean;

/// How much of a line is kept: more than any terminal is wide.
const LINE_LIMIT_CHARS: usize = 1000;

/// How a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Phase {
    /// It was not begun, and may never be.
    #[default]
    Planned,
    /// It runs.
    Running,
    /// An earlier build had it.
    Cached,
    /// It is done.
    Done,
    /// It failed.
    Failed,
    /// It was ended, since another one failed or the build was to end.
    Cancelled,
    /// It is work beside the steps, which has no beginning and no end of its own.
    Beside,
}

/// Where a step belongs: the platform and the stage, as the Dockerfile's steps have them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane {
    pub(super) platform: Option<String>,
    pub(super) stage: String,
}

/// Something of a step that is told of on its own: a layer that is fetched, a manifest that is written.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) what: String,
    pub(super) begun: Duration,
    pub(super) ended: Option<Duration>,
    pub(super) bytes: Option<Moved>,
    /// When bytes were first told of, and how many there were.
    first: Option<(Duration, u64)>,
}

impl Item {
    /// Makes one that is over.
    #[cfg(test)]
    pub(super) fn over(what: &str, begun: Duration, ended: Duration) -> Self {
        Self {
            what: what.to_owned(),
            begun,
            ended: Some(ended),
            bytes: None,
            first: None,
        }
    }

    /// Returns how many bytes a second were moved, from the first that was told of.
    pub(super) fn rate(&self, now: Duration) -> Option<f64> {
        let (since, before) = self.first?;
        let seconds = now.saturating_sub(since).as_secs_f64();
        let moved = self.bytes?.current.saturating_sub(before);
        // The first moments tell nothing.
        (seconds >= 0.5 && moved > 0).then(|| precise(moved) / seconds)
    }

    /// Returns how many seconds are left, if it goes on as it did.
    pub(super) fn seconds_left(&self, now: Duration) -> Option<f64> {
        let Moved { current, total } = self.bytes?;
        Some(precise(total?.saturating_sub(current)) / self.rate(now)?)
    }
}

#[expect(clippy::cast_precision_loss, reason = "what is shown has three digits")]
fn precise(bytes: u64) -> f64 {
    bytes as f64
}

/// What is known of a step.
#[derive(Debug, Clone, Default)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) lane: Option<Lane>,
    pub(super) phase: Phase,
    pub(super) begun: Duration,
    pub(super) ended: Duration,
    pub(super) items: Vec<Item>,
    /// Its last lines, the newest last.
    pub(super) tail: VecDeque<String>,
}

impl Step {
    pub(super) fn is_over(&self) -> bool {
        matches!(
            self.phase,
            Phase::Cached | Phase::Done | Phase::Failed | Phase::Cancelled
        )
    }

    /// Tells whether something is done for it now.
    pub(super) fn is_running(&self) -> bool {
        let goes_on = || self.items.iter().any(|item| item.ended.is_none());
        self.phase == Phase::Running || (self.phase == Phase::Beside && goes_on())
    }

    /// Returns how long it has taken.
    pub(super) fn took(&self, now: Duration) -> Duration {
        let end = if self.is_running() { now } else { self.ended };
        end.saturating_sub(self.begun)
    }

    fn item(&mut self, what: &str, at: Duration) -> &mut Item {
        let found = self.items.iter().position(|item| item.what == what);
        let place = found.unwrap_or(self.items.len());
        if place == self.items.len() {
            self.items.push(Item {
                what: what.to_owned(),
                begun: at,
                ended: None,
                bytes: None,
                first: None,
            });
        }
        &mut self.items[place]
    }

    fn progress(&mut self, at: Duration, (what, bytes, done): (&str, Option<Moved>, bool)) {
        let item = self.item(what, at);
        if let Some(bytes) = bytes {
            // A whole that was begun anew: the rate is that of what comes now.
            let begins = item.first.is_none_or(|(_, before)| before > bytes.current);
            if begins {
                item.first = Some((item.begun.min(at), 0));
            }
            item.bytes = Some(bytes);
        }
        item.ended = done.then_some(at);
    }
}

/// What is known of a build.
#[derive(Debug, Default)]
pub(super) struct Picture {
    places: BTreeMap<StepId, usize>,
    /// The steps, in the order in which they were first told of.
    pub(super) steps: Vec<Step>,
    /// How many lines of each are kept.
    tail_lines: usize,
}

impl Picture {
    /// Begins with nothing; so many of the last lines of each step are kept.
    pub(super) fn new(tail_lines: usize) -> Self {
        Self {
            tail_lines,
            ..Self::default()
        }
    }

    /// Takes in what happened.
    pub(super) fn take(&mut self, TimedEvent { at, event }: &TimedEvent) {
        match event {
            Event::Planned { step, label, .. } => self.plan(step, label),
            Event::Started { step, name } => self.begin(step, name, *at),
            Event::Output { step, text, .. } => self.output(step, text),
            Event::Progress {
                step,
                what,
                bytes,
                done,
            } => self.progress(step, *at, (what, *bytes, *done)),
            Event::Finished { step, name, origin } => {
                let phase = match origin {
                    Origin::Cached => Phase::Cached,
                    Origin::Made => Phase::Done,
                };
                self.end(step, name, (*at, phase));
            }
            Event::Failed { step, name, .. } => self.end(step, name, (*at, Phase::Failed)),
            Event::Cancelled { step, name } => self.end(step, name, (*at, Phase::Cancelled)),
            Event::Keyed { .. }
            | Event::Layers { .. }
            | Event::Packed { .. }
            | Event::Waited { .. }
            | Event::Warning { .. }
            | Event::Notice { .. } => {}
        }
    }

    /// Returns how many steps are over, and how many there are.
    pub(super) fn count(&self) -> (usize, usize) {
        let counts = |step: &&Step| step.phase != Phase::Beside;
        let steps = self.steps.iter().filter(counts);
        let over = steps.clone().filter(|step| step.is_over()).count();
        (over, steps.count())
    }

    fn step(&mut self, id: &StepId) -> &mut Step {
        let next = self.steps.len();
        let place = *self.places.entry(id.clone()).or_insert(next);
        if place == next {
            self.steps.push(Step {
                name: id.0.clone(),
                ..Step::default()
            });
        }
        &mut self.steps[place]
    }

    fn plan(&mut self, id: &StepId, label: &StepLabel) {
        let step = self.step(id);
        step.name = label.to_string();
        step.lane = (label.index > 0).then(|| Lane {
            platform: label.platform.clone(),
            stage: label.stage.clone(),
        });
    }

    fn begin(&mut self, id: &StepId, name: &str, at: Duration) {
        let step = self.step(id);
        // It may be begun anew, where a part of the cache was of no use.
        *step = Step {
            name: name.to_owned(),
            lane: step.lane.take(),
            phase: Phase::Running,
            begun: at,
            ..Step::default()
        };
    }

    fn end(&mut self, id: &StepId, name: &str, (at, phase): (Duration, Phase)) {
        let step = self.step(id);
        name.clone_into(&mut step.name);
        if step.phase != Phase::Running {
            step.begun = at;
        }
        step.phase = phase;
        step.ended = at;
        for item in &mut step.items {
            item.ended.get_or_insert(at);
        }
    }

    fn progress(&mut self, id: &StepId, at: Duration, told: (&str, Option<Moved>, bool)) {
        let is_known = self.places.contains_key(id);
        let step = self.step(id);
        if !is_known {
            (step.phase, step.begun) = (Phase::Beside, at);
        }
        step.ended = at;
        step.progress(at, told);
    }

    fn output(&mut self, id: &StepId, text: &[u8]) {
        let kept = self.tail_lines;
        let step = self.step(id);
        let text = String::from_utf8_lossy(text);
        let lines = text.lines().map(|line| clean(line, LINE_LIMIT_CHARS));
        for line in lines.filter(|line| !line.trim().is_empty()) {
            step.tail.push_back(line);
            if step.tail.len() > kept {
                step.tail.pop_front();
            }
        }
    }
}
