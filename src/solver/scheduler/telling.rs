//! What a display is told of the steps.

use graph::{Input, Op, SourceOp, VertexId};

use super::{Scheduler, vertex_of};
use crate::event::{Event, Events, LayerSize, Operation, Origin, StepId};
use crate::result::Held;
use crate::state::Action;

impl Scheduler<'_> {
    pub(super) fn events(&self) -> &Events {
        &self.workshop.events
    }

    pub(super) fn step_id(&self, id: VertexId) -> StepId {
        StepId(self.job.definition.digest(id).to_string())
    }

    /// Tells the display what there may be to do.
    pub(super) fn tell_plan(&self) {
        let definition = &self.job.definition;
        for id in (0..definition.len()).map(VertexId::new) {
            if self.is_silent(id) {
                continue;
            }
            let vertex = definition.vertex(id);
            let inputs = vertex.inputs.iter().filter_map(|input| match input {
                Input::Vertex(input) => Some(*input),
                Input::Scratch => None,
            });
            let inputs = inputs.filter(|input| !self.is_silent(*input));
            self.events().emit(Event::Planned {
                step: self.step_id(id),
                label: vertex.label.clone(),
                inputs: inputs.map(|input| self.step_id(input)).collect(),
            });
        }
    }

    /// Tells the display that a step begins, once, when it is certain that something is done.
    pub(super) fn announce(&mut self, action: &Action) {
        let id = action.vertex();
        let is_work = matches!(action, Action::Run { .. } | Action::Check { .. });
        if !is_work || self.slots[id.index()].announced || self.is_silent(id) {
            return;
        }
        self.slots[id.index()].announced = true;
        self.events().emit(Event::Started {
            step: self.step_id(id),
            name: self.job.definition.vertex(id).label.to_string(),
        });
    }

    pub(super) fn tell_finished(&self, id: VertexId, origin: Origin) {
        if self.is_silent(id) {
            return;
        }
        self.events().emit(Event::Finished {
            step: self.step_id(id),
            name: self.job.definition.vertex(id).label.to_string(),
            origin,
        });
    }

    /// Tells what the steps were looked for by, however the job ended.
    pub(super) fn tell_keys(&self) {
        for id in self.job.definition.ids() {
            self.tell_key(id);
        }
    }

    /// Tells what a step was looked for by, if it was.
    pub(super) fn tell_key(&self, id: VertexId) {
        let Some(key) = self.machine.phase(id).key() else {
            return;
        };
        let vertex = self.job.definition.vertex(id);
        let inputs = vertex.inputs.iter();
        let inputs = inputs.map(|input| vertex_of(*input).map(|input| self.step_id(input)));
        self.events().emit(Event::Keyed {
            step: self.step_id(id),
            key: key.clone(),
            operation: Operation::of(vertex),
            inputs: inputs.collect(),
            content: self.slots[id.index()].content.clone(),
        });
    }

    /// Tells of each target what its steps add to it.
    pub(super) fn tell_layers(&self) {
        for (target, input) in self.job.targets.iter().enumerate() {
            let mut chain = Vec::new();
            let mut next = vertex_of(*input);
            while let Some(id) = next {
                chain.push(id);
                let below = self.job.definition.vertex(id).inputs.first();
                next = below.and_then(|input| vertex_of(*input));
            }
            for id in chain.into_iter().rev() {
                let layers = self.added_by(id);
                let layers = layers.iter().map(|layer| LayerSize {
                    layer: layer.id.to_string(),
                    size_bytes: match &layer.held {
                        Held::Base(base) => Some(base.size_bytes),
                        Held::Stored | Held::Remote(_) | Held::Recipe(_) => None,
                    },
                });
                self.events().emit(Event::Layers {
                    target,
                    step: self.step_id(id),
                    layers: layers.collect(),
                });
            }
        }
    }

    /// A directory of the user's is opened and nothing more: no step of its own.
    fn is_silent(&self, id: VertexId) -> bool {
        matches!(
            self.job.definition.vertex(id).op,
            Op::Source(SourceOp::Local(_))
        )
    }
}
