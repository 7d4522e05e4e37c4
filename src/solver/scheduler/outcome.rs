//! What came of actions: results are kept and passed on, and the first failure ends the job.

use std::sync::Arc;

use graph::{Input, Op, VertexId};
use runtime::CancelReason;

use super::Scheduler;
use crate::cache;
use crate::error::{SolveError, StepError};
use crate::event::Origin;
use crate::result::{Output, Stack, StackLayer};
use crate::state::{Action, Verdict};
use crate::worker::Answer;

impl Scheduler<'_> {
    /// Puts what the cache has onto the result of input 0, if that is what it stood on.
    pub(super) fn take(&mut self, vertex: VertexId) {
        let verdict = match self.taken(vertex) {
            Ok(Some(stack)) => {
                self.slots[vertex.index()].output = Some(Output::Files(stack));
                self.pass_on(vertex);
                self.tell_finished(vertex, Origin::Cached);
                Verdict::Finished
            }
            Ok(None) => Verdict::StoodElsewhere,
            Err(error) => self.fail(vertex, error),
        };
        let actions = self.machine.step(vertex, verdict);
        self.new.extend(actions);
    }

    /// Returns the result of input 0 with what the cache has on top; none if that stood on something else.
    fn taken(&mut self, id: VertexId) -> Result<Option<Stack>, StepError> {
        let vertex = self.job.definition.vertex(id);
        let below = match vertex.inputs.first() {
            Some(Input::Vertex(input)) => self.slots[input.index()].output.clone(),
            Some(Input::Scratch) | None => Some(Output::Files(Stack::scratch())),
        };
        let (Some(Output::Files(below)), Some(found)) =
            (below, self.slots[id.index()].found.take())
        else {
            return Err(StepError::MissingInput { index: 0 });
        };
        if !cache::bears(self.workshop, vertex, (&below, &found))? {
            return Ok(None);
        }
        cache::settle(self.workshop, (&below, &found))?;
        Ok(Some(below.with_result_of(&vertex.op, found.layer)))
    }

    pub(super) fn absorb(&mut self, id: VertexId, result: Result<Answer, StepError>) {
        if let Ok(Answer::Checked {
            collected: Some(collected),
            ..
        }) = &result
        {
            self.note_read(id, collected.size_bytes);
        }
        let verdict = match result {
            Ok(answer) => self.keep(id, answer),
            Err(error) => self.fail(id, error),
        };
        self.end_reading(id);
        let actions = self.machine.step(id, verdict);
        self.new.extend(actions);
    }

    fn keep(&mut self, id: VertexId, answer: Answer) -> Verdict {
        let slot = &mut self.slots[id.index()];
        match answer {
            Answer::AliasFound { key, found } => {
                slot.found = Some(found);
                Verdict::AliasFound(key)
            }
            Answer::AliasUnknown => Verdict::AliasUnknown,
            Answer::Checked { key, collected } => {
                slot.content = collected.as_ref().map(|found| found.digest.clone());
                slot.collected = collected;
                Verdict::Checked(key)
            }
            Answer::Hit(found) => {
                let earlier = found.earlier.clone();
                slot.found = Some(found);
                earlier.map_or(Verdict::Hit, Verdict::HitAs)
            }
            Answer::Miss => Verdict::Miss,
            Answer::Made(product) => {
                slot.output = Some(product.output);
                slot.collected = None;
                self.pass_on(id);
                self.tell_finished(id, Origin::Made);
                let earlier = product.earlier;
                earlier.map_or(Verdict::Finished, Verdict::FinishedAs)
            }
        }
    }

    /// Passes on the layers that a vertex has added to a target: it adds one, or it is the base with all.
    fn pass_on(&self, id: VertexId) {
        let Some(layers) = self
            .job
            .options
            .layers
            .as_ref()
            .filter(|_| self.chains.contains(&id))
        else {
            return;
        };
        for layer in self.added_by(id) {
            // Whoever takes them no more has all that they want.
            drop(layers.send(layer));
        }
    }

    /// Returns the layers that a vertex adds to what is below it.
    pub(super) fn added_by(&self, id: VertexId) -> Vec<Arc<StackLayer>> {
        let Some(Output::Files(stack)) = &self.slots[id.index()].output else {
            return Vec::new();
        };
        match self.job.definition.vertex(id).op {
            Op::Source(_) => stack.layers().to_vec(),
            Op::Exec(_) | Op::File(_) => stack.top().cloned().into_iter().collect(),
        }
    }

    /// Ends the job: what is to be done next cannot be done in this process.
    pub(super) fn refuse(&mut self, action: &Action) {
        self.give_up();
        self.failure = Some(SolveError::OutOfReach);
        self.drop_action(action);
    }

    fn fail(&mut self, id: VertexId, error: StepError) -> Verdict {
        let digests = &self.workshop.digests;
        let was_lost = digests.is_lost();
        digests.hear(&error, &self.workshop.store);
        let is_lost = digests.is_lost() && !was_lost;
        // What a step waits for or talks to ends with the job: that it was missed is no reason of its own. A command that
        // was ended says so itself.
        let is_own = matches!(error, StepError::Command(_));
        let error = if self.workshop.cancel.is_cancelled() && !is_own {
            self.note_cut_off(id);
            StepError::Cancelled
        } else {
            error
        };
        let is_first = self.failure.is_none();
        if is_first {
            self.give_up();
            // A step that failed has no key any more.
            self.tell_key(id);
        }
        // What was not what it was held for, a blob or a file, is done without next time: with what the others make.
        let is_final = !error.is_of_blob() && !is_lost;
        if matches!(error, StepError::Cancelled) {
            self.tell_cancelled(id);
        } else if is_first || is_own {
            self.tell_failed(id, error.shown());
            if is_final {
                self.workshop.cancel.cancel(CancelReason::Abandoned);
            }
        }
        if is_first {
            self.failure = Some(SolveError::Step {
                vertex: id,
                error: Box::new(error),
            });
        }
        Verdict::Failed
    }
}
