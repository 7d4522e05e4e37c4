//! What became of a build: an account of its steps and layers, made of its events and of nothing else.
//!
//! It is what is told when the build is over, what is kept of it, and what a later build is compared with. The same
//! events, read again from where they were kept, give the same account.

mod layers;
mod markdown;
mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use graph::{CacheKey, StepLabel};
use oci::Digest;
use solver::event::{FileSize, LayerSize, Operation, Origin, StepId};
use solver::{Event, TimedEvent};

pub(crate) use layers::{LargeFile, LayerRow};
pub(crate) use markdown::markdown;
pub(crate) use text::{seconds, summary};

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum End {
    /// Nothing needed it, or it had not ended when the build did.
    #[default]
    None,
    /// An earlier build had it.
    Cached,
    /// It ran.
    Made,
    /// It failed.
    Failed,
    /// It was ended, since another one failed or the build was to end.
    Cancelled,
}

/// What a step was looked for by.
#[derive(Debug, Clone)]
pub(crate) struct Keyed {
    pub(crate) key: CacheKey,
    pub(crate) operation: Operation,
    pub(crate) inputs: Vec<Option<StepId>>,
    pub(crate) content: Option<Digest>,
}

/// What became of a step.
#[derive(Debug, Clone, Default)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) label: Option<StepLabel>,
    pub(crate) end: End,
    pub(crate) error: Option<String>,
    pub(crate) keyed: Option<Keyed>,
    begun: Option<Duration>,
    ended: Duration,
}

impl Step {
    /// Returns the manifest of the base that it brings in, if it does.
    pub(crate) fn manifest(&self) -> Option<String> {
        let manifest = self.keyed.as_ref()?.operation.manifest();
        manifest.map(str::to_owned)
    }

    /// Returns which kind of operation it is: `source`, `exec` or `file`.
    pub(crate) fn kind(&self) -> Option<&str> {
        self.keyed.as_ref().map(|keyed| keyed.operation.kind())
    }

    /// Tells whether it did something itself: what only brings a base into the build did not.
    pub(crate) fn has_run(&self) -> bool {
        let did = matches!(self.end, End::Made | End::Failed | End::Cancelled);
        did && self.kind().is_some_and(|kind| kind != "source")
    }

    /// Returns how long it took.
    pub(crate) fn took(&self) -> Duration {
        let begun = self.begun.unwrap_or(self.ended);
        self.ended.saturating_sub(begun)
    }
}

/// A layer as a blob.
#[derive(Debug, Clone, Default)]
struct Blob {
    size_bytes: u64,
    files: Vec<FileSize>,
}

/// What became of a build.
#[derive(Debug, Default)]
pub(crate) struct Account {
    places: BTreeMap<StepId, usize>,
    steps: Vec<Step>,
    /// What the steps of each target add to it, the lowest first.
    targets: BTreeMap<usize, Vec<(usize, Vec<LayerSize>)>>,
    blobs: BTreeMap<String, Blob>,
    warnings: usize,
    ended: Duration,
}

/// How many steps a build has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Counts {
    /// Those that there are.
    pub(crate) total: usize,
    /// Those that have a result.
    pub(crate) completed: usize,
    /// Those whose result an earlier build had.
    pub(crate) cached: usize,
}

impl Account {
    /// Takes in what happened.
    pub(crate) fn take(&mut self, TimedEvent { at, event }: &TimedEvent) {
        self.ended = self.ended.max(*at);
        match event {
            Event::Planned { step, label, .. } => {
                let step = self.step(step);
                step.name = label.to_string();
                step.label = Some(label.clone());
            }
            Event::Started { step, name } => self.named(step, name).begun = Some(*at),
            Event::Finished { step, name, origin } => {
                let end = match origin {
                    Origin::Cached => End::Cached,
                    Origin::Made => End::Made,
                };
                self.end(step, name, (*at, end));
            }
            Event::Failed { step, name, error } => {
                self.end(step, name, (*at, End::Failed));
                self.step(step).error = Some(error.clone());
            }
            Event::Cancelled { step, name } => self.end(step, name, (*at, End::Cancelled)),
            Event::Keyed {
                step,
                key,
                operation,
                inputs,
                content,
            } => {
                self.step(step).keyed = Some(Keyed {
                    key: key.clone(),
                    operation: operation.clone(),
                    inputs: inputs.clone(),
                    content: content.clone(),
                });
            }
            Event::Layers {
                target,
                step,
                layers,
            } => self.layers(*target, step, layers),
            Event::Packed {
                layer,
                size_bytes,
                files,
            } => self.packed(layer, *size_bytes, files),
            Event::Warning { .. } | Event::Notice { .. } => self.warnings += 1,
            Event::Output { .. } | Event::Progress { .. } | Event::Waited { .. } => {}
        }
    }

    /// Returns the steps, in the order in which they were told of.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Returns a step.
    pub(crate) fn get(&self, id: &StepId) -> Option<&Step> {
        self.places.get(id).map(|place| &self.steps[*place])
    }

    /// Returns when the last thing happened, from the start of the build.
    pub(crate) fn ended(&self) -> Duration {
        self.ended
    }

    /// Returns how many warnings there were.
    pub(crate) fn warnings(&self) -> usize {
        self.warnings
    }

    /// Returns how many steps there are, as a display counts them: those that were needed.
    pub(crate) fn counts(&self) -> Counts {
        let count = |is: &dyn Fn(End) -> bool| {
            let ends = self.steps.iter().map(|step| step.end);
            ends.filter(|end| is(*end)).count()
        };
        Counts {
            total: count(&|end| end != End::None),
            completed: count(&|end| matches!(end, End::Cached | End::Made)),
            cached: count(&|end| end == End::Cached),
        }
    }

    fn place(&mut self, id: &StepId) -> usize {
        if let Some(place) = self.places.get(id) {
            return *place;
        }
        let place = self.steps.len();
        self.places.insert(id.clone(), place);
        self.steps.push(Step {
            name: id.0.clone(),
            ..Step::default()
        });
        place
    }

    fn step(&mut self, id: &StepId) -> &mut Step {
        let place = self.place(id);
        &mut self.steps[place]
    }

    fn named(&mut self, id: &StepId, name: &str) -> &mut Step {
        let step = self.step(id);
        if step.label.is_none() {
            name.clone_into(&mut step.name);
        }
        step
    }

    fn end(&mut self, id: &StepId, name: &str, (at, end): (Duration, End)) {
        let step = self.named(id, name);
        step.end = end;
        step.error = None;
        step.ended = at;
    }

    /// Takes in what a step adds to a target. A build that is carried out once more tells it once more.
    fn layers(&mut self, target: usize, step: &StepId, layers: &[LayerSize]) {
        let place = self.place(step);
        let of_target = self.targets.entry(target).or_default();
        match of_target.iter_mut().find(|(known, _)| *known == place) {
            Some((_, known)) => *known = layers.to_vec(),
            None => of_target.push((place, layers.to_vec())),
        }
    }

    /// Takes in a blob. A layer that is asked for again, after it was packed, is told of without its files.
    fn packed(&mut self, layer: &str, size_bytes: u64, files: &[FileSize]) {
        let blob = self.blobs.entry(layer.to_owned()).or_default();
        blob.size_bytes = size_bytes;
        if !files.is_empty() {
            blob.files = files.to_vec();
        }
    }
}

#[cfg(test)]
mod tests;
