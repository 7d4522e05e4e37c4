//! The step that displays show for a base image.
//!
//! The image is resolved at once, and the step is over. Its layers are fetched and unpacked when somebody needs them,
//! maybe by several threads: meanwhile the step goes on.

use std::sync::{Arc, Mutex, PoisonError};

use runtime::CancelToken;

use crate::event::{Event, Events, StepId};

/// The step of a base image.
#[derive(Debug)]
pub struct BaseStep {
    id: StepId,
    name: String,
    /// How many are at work. It is held while that is told, so that beginnings and ends are told in their order; an
    /// atomic number could not do that.
    at_work: Mutex<usize>,
}

impl BaseStep {
    pub(crate) fn new(id: StepId, name: String) -> Self {
        Self {
            id,
            name,
            at_work: Mutex::new(0),
        }
    }

    /// Returns the identity of the step.
    pub(crate) fn id(&self) -> &StepId {
        &self.id
    }

    /// Lets the step go on until what is returned is dropped.
    pub(crate) fn work(self: &Arc<Self>, (events, cancel): (&Events, &CancelToken)) -> BaseWork {
        self.count(|at_work| {
            if *at_work == 0 {
                events.emit(Event::Started {
                    step: self.id.clone(),
                    name: self.name.clone(),
                });
            }
            *at_work += 1;
        });
        BaseWork {
            step: Arc::clone(self),
            events: events.clone(),
            cancel: cancel.clone(),
        }
    }

    fn count(&self, change: impl FnOnce(&mut usize)) {
        change(&mut self.at_work.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Work that a step goes on for.
#[derive(Debug)]
pub(crate) struct BaseWork {
    step: Arc<BaseStep>,
    events: Events,
    cancel: CancelToken,
}

impl Drop for BaseWork {
    fn drop(&mut self) {
        let step = &self.step;
        step.count(|at_work| {
            *at_work -= 1;
            if *at_work == 0 {
                let name = step.name.clone();
                // What failed is told of the step that needed it.
                self.events.ended((&step.id, name), &self.cancel);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::CancelReason;

    #[test]
    fn a_base_is_at_work_from_the_first_that_begins_to_the_last_that_ends() {
        let (events, receiver) = Events::channel();
        let cancel = CancelToken::create().unwrap();
        let with = (&events, &cancel);
        let step = Arc::new(BaseStep::new(StepId("s".to_owned()), "FROM a".to_owned()));
        let first = step.work(with);
        let second = step.work(with);
        drop(first);
        events.progress(step.id(), "extracting", true);
        drop(second);
        drop(step.work(with));
        let third = step.work(with);
        cancel.cancel(CancelReason::Abandoned);
        drop(third);
        let told: Vec<_> = receiver
            .try_iter()
            .map(|timed| match timed.event {
                Event::Started { .. } => "started",
                Event::Progress { .. } => "progress",
                Event::Finished { .. } => "finished",
                Event::Cancelled { .. } => "cancelled",
                _ => "other",
            })
            .collect();
        let expected = "started progress finished started finished started cancelled";
        assert_eq!(told.join(" "), expected);
    }
}
