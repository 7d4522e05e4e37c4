//! What a display is told of the steps.

use graph::{Op, SourceOp, VertexId};

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
