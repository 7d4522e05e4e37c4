//! What is over, in few lines: one for each stage of a platform, however many steps it has.

use std::time::Duration;

use super::super::picture::{Lane, Phase, Picture, Step};
use super::{Line, View, row};

/// The steps of one stage for one platform, together.
struct Together<'a> {
    lane: &'a Lane,
    all: usize,
    over: usize,
    cached: usize,
    running: usize,
    begun: Duration,
    ended: Duration,
}

impl<'a> Together<'a> {
    fn new(lane: &'a Lane) -> Self {
        Self {
            lane,
            all: 0,
            over: 0,
            cached: 0,
            running: 0,
            begun: Duration::MAX,
            ended: Duration::ZERO,
        }
    }

    fn add(&mut self, step: &Step) {
        self.all += 1;
        self.over += usize::from(step.is_over());
        self.cached += usize::from(step.phase == Phase::Cached);
        self.running += usize::from(step.phase == Phase::Running);
        if step.is_over() {
            self.begun = self.begun.min(step.begun);
            self.ended = self.ended.max(step.ended);
        }
    }

    /// Returns its line, if it has one: one that runs is shown by what runs.
    fn line(&self, view: View) -> Option<Line> {
        if self.over == 0 || (self.running > 0 && self.over < self.all) {
            return None;
        }
        if self.over < self.all {
            let text = format!("{} {}/{}", self.name(), self.over, self.all);
            return Some(row::waiting(&text, view));
        }
        let steps = if self.all == 1 { "step" } else { "steps" };
        let cached = match self.cached {
            0 => String::new(),
            all if all == self.all => ", all cached".to_owned(),
            some => format!(", {some} cached"),
        };
        let text = format!("{} {} {steps}{cached}", self.name(), self.all);
        let took = self.ended.saturating_sub(self.begun);
        Some(row::folded(&text, took, view))
    }

    fn name(&self) -> String {
        let stage = match &*self.lane.stage {
            "" => None,
            stage => Some(stage),
        };
        let words: Vec<_> = self
            .lane
            .platform
            .as_deref()
            .into_iter()
            .chain(stage)
            .collect();
        format!("[{}]", words.join(" "))
    }
}

/// Returns the lines of what is over, in the order in which it was planned. What failed comes last, where it is seen.
pub(super) fn over(picture: &Picture, view: View) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut stages: Vec<Together<'_>> = Vec::new();
    for step in &picture.steps {
        match &step.lane {
            None if step.is_over() && step.phase != Phase::Failed => {
                lines.push(row::ended(step, view));
            }
            None => {}
            Some(lane) => together(&mut stages, lane).add(step),
        }
    }
    lines.extend(stages.iter().filter_map(|stage| stage.line(view)));
    let failed = picture
        .steps
        .iter()
        .filter(|step| step.phase == Phase::Failed);
    lines.extend(failed.map(|step| row::ended(step, view)));
    lines
}

fn together<'s, 'a>(stages: &'s mut Vec<Together<'a>>, lane: &'a Lane) -> &'s mut Together<'a> {
    let found = stages.iter().position(|stage| stage.lane == lane);
    let place = found.unwrap_or(stages.len());
    if place == stages.len() {
        stages.push(Together::new(lane));
    }
    &mut stages[place]
}
