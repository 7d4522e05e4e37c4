//! What a display is told of the steps.
//!
//! A directory of the user's is opened and nothing more; what takes time is to read what a copy copies of it. So its step
//! goes on while copies are checked, be they one or many.

use std::collections::BTreeSet;

use graph::{FileAction, Op, SourceOp, VertexId};

use super::{Scheduler, vertex_of};
use crate::event::{Event, Events, LayerSize, Moved, Operation, Origin, StepId};
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
        let ids = || (0..definition.len()).map(VertexId::new);
        let read: BTreeSet<_> = ids().filter_map(|id| self.context_of(id)).collect();
        let is_shown = |id: VertexId| !self.is_silent(id) || read.contains(&id);
        for id in ids().filter(|id| is_shown(*id)) {
            let vertex = definition.vertex(id);
            let inputs = vertex.inputs.iter().filter_map(|input| vertex_of(*input));
            let inputs = inputs.filter(|input| is_shown(*input));
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
        let is_work = match action {
            Action::Check { .. } => !self.begin_to_read(id),
            Action::Run { .. } => !self.is_named_as_context(id) || !self.begin_to_read(id),
            _ => false,
        };
        if !is_work || self.slots[id.index()].announced || self.is_silent(id) {
            return;
        }
        self.slots[id.index()].announced = true;
        self.events().emit(Event::Started {
            step: self.step_id(id),
            name: self.name(id),
        });
    }

    pub(super) fn tell_finished(&mut self, id: VertexId, origin: Origin) {
        self.slots[id.index()].announced = false;
        if self.is_silent(id) {
            return;
        }
        self.events().emit(Event::Finished {
            step: self.step_id(id),
            name: self.name(id),
            origin,
        });
    }

    pub(super) fn tell_failed(&mut self, id: VertexId, error: String) {
        self.slots[id.index()].announced = false;
        self.events().emit(Event::Failed {
            step: self.step_id(id),
            name: self.name(id),
            error,
        });
    }

    /// Tells the display that a step was ended, if that knows that it was begun.
    pub(super) fn tell_cancelled(&mut self, id: VertexId) {
        let is_begun = std::mem::take(&mut self.slots[id.index()].announced);
        if is_begun && !self.is_silent(id) {
            self.events().emit(Event::Cancelled {
                step: self.step_id(id),
                name: self.name(id),
            });
        }
    }

    /// Tells of what was begun, as far as to look what it copies, and was given up with the job.
    pub(super) fn tell_given_up(&mut self) {
        if self.workshop.cancel.is_cancelled() {
            for id in self.job.definition.ids() {
                self.tell_cancelled(id);
            }
        }
    }

    /// Takes note that a directory of the user's was read for a step that was ended.
    pub(super) fn note_cut_off(&mut self, id: VertexId) {
        if let Some(context) = self.slots[id.index()].reads {
            self.slots[context.index()].is_cut_off = true;
        }
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

    /// Tells that a directory of the user's is read for a copy, if it copies from one.
    fn begin_to_read(&mut self, id: VertexId) -> bool {
        let Some(context) = self.context_of(id) else {
            return false;
        };
        self.slots[id.index()].reads = Some(context);
        self.slots[context.index()].readers += 1;
        if self.read.insert(context) {
            self.events().emit(Event::Started {
                step: self.step_id(context),
                name: self.name(context),
            });
        }
        true
    }

    /// Takes note of how much a copy has read of a directory of the user's.
    pub(super) fn note_read(&mut self, id: VertexId, size_bytes: u64) {
        if let Some(context) = self.slots[id.index()].reads {
            self.slots[context.index()].read_bytes += size_bytes;
        }
    }

    /// Takes note that a copy reads no more, if it did.
    pub(super) fn end_reading(&mut self, id: VertexId) {
        if let Some(context) = self.slots[id.index()].reads.take() {
            self.slots[context.index()].readers -= 1;
        }
    }

    /// Tells which directories of the user's are read no more. The next copy of the same one is often checked as soon as
    /// the one before it was looked up: so this is told when there is nothing else to do.
    pub(super) fn tell_what_was_read(&mut self) {
        let read = std::mem::take(&mut self.read);
        let is_read = |context: &VertexId| self.slots[context.index()].readers > 0;
        let (goes_on, over) = read.into_iter().partition(is_read);
        self.read = goes_on;
        let over: BTreeSet<VertexId> = over;
        for context in over {
            self.tell_transfer(context);
            let (step, name) = (self.step_id(context), self.name(context));
            self.events()
                .emit(if self.slots[context.index()].is_cut_off {
                    Event::Cancelled { step, name }
                } else {
                    let origin = Origin::Made;
                    Event::Finished { step, name, origin }
                });
        }
    }

    fn tell_transfer(&self, context: VertexId) {
        let Op::Source(SourceOp::Local(source)) = &self.job.definition.vertex(context).op else {
            return;
        };
        let moved = Moved {
            current: self.slots[context.index()].read_bytes,
            total: None,
        };
        let what = format!("transferring {}:", source.name);
        self.events()
            .moved(&self.step_id(context), what, moved, true);
    }

    pub(super) fn name(&self, id: VertexId) -> String {
        self.job.definition.vertex(id).label.to_string()
    }

    /// Returns the directory of the user's that a copy copies from.
    fn context_of(&self, id: VertexId) -> Option<VertexId> {
        let vertex = self.job.definition.vertex(id);
        let is_copy =
            matches!(&vertex.op, Op::File(file) if matches!(file.action, FileAction::Copy(_)));
        let sources = vertex.inputs.iter().filter(|_| is_copy);
        let mut sources = sources.filter_map(|input| vertex_of(*input));
        sources.find(|source| self.is_local(*source))
    }

    /// Tells whether a step is shown as the directory that it copies from: the copy that a mount is of.
    fn is_named_as_context(&self, id: VertexId) -> bool {
        let label = |id| &self.job.definition.vertex(id).label.text;
        self.context_of(id)
            .is_some_and(|context| label(context) == label(id))
    }

    fn is_local(&self, id: VertexId) -> bool {
        let op = &self.job.definition.vertex(id).op;
        matches!(op, Op::Source(SourceOp::Local(_)))
    }

    /// No step of its own: a directory of the user's that no copy reads, and what is shown as that.
    fn is_silent(&self, id: VertexId) -> bool {
        self.is_local(id) || self.is_named_as_context(id)
    }
}
