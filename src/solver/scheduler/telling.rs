//! What a display is told of the steps.

use graph::{Input, Op, SourceOp, VertexId};

use super::Scheduler;
use crate::event::{Event, Events, Origin, StepId};
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

    /// A directory of the user's is opened and nothing more: no step of its own.
    fn is_silent(&self, id: VertexId) -> bool {
        matches!(
            self.job.definition.vertex(id).op,
            Op::Source(SourceOp::Local(_))
        )
    }
}
