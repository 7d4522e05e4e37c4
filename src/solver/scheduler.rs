//! The one owner of all states: hands out actions, takes in what came of them.
//!
//! It never blocks but on its inbox. Work is done by threads that receive an action with what it needs
//! and send back a report; they share no state with it. Commands have `--jobs` slots; everything else
//! (look-ups, digests, copies) has its own bound, so that a slot never waits for a look-up.

mod keyed;

use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Scope, available_parallelism};

use graph::{Input, Op, SourceOp, VertexId};

use crate::crew::{Crew, Member};
use crate::error::{SolveError, StepError};
use crate::event::{Event, Events, Origin, StepId};
use crate::job::{Job, Workshop};
use crate::ops::copy::Collected;
use crate::result::{Output, Stack, StackLayer};
use crate::state::{Action, Machine, Phase, Verdict};
use crate::worker::{self, Answer, Order};

pub use keyed::{KeyedLayer, Solved};

/// Carries out a job; returns the file systems of its targets, in order.
///
/// # Errors
///
/// Fails when a step fails or the job is cancelled: the first failure, with its vertex. Steps that
/// were running are waited for, or end with the cancellation. Whatever comes of it, what was made is kept.
pub fn solve(job: &Job, workshop: &Workshop) -> Result<Vec<Stack>, SolveError> {
    solve_keyed(job, workshop).map(|solved| solved.stacks)
}

/// Carries out a job; returns the file systems of its targets, and what keys led to, as far as the job asks for that.
///
/// # Errors
///
/// As [`solve`].
pub fn solve_keyed(job: &Job, workshop: &Workshop) -> Result<Solved, SolveError> {
    let (sender, inbox) = channel();
    let solved =
        std::thread::scope(|scope| Scheduler::new(job, workshop).run(scope, &sender, &inbox));
    let kept = workshop.store.finish().map_err(SolveError::Keep);
    let stacks = solved?;
    kept.map(|()| stacks)
}

/// What a worker sends back.
struct Report {
    vertex: VertexId,
    /// Who has carried it out, and is free again; none when there was no thread for it.
    member: Option<Member>,
    result: Result<Answer, StepError>,
}

/// What the scheduler holds of a vertex beside its phase.
#[derive(Default, Clone)]
struct Slot {
    found: Option<Arc<StackLayer>>,
    collected: Option<Arc<Collected>>,
    output: Option<Output>,
    announced: bool,
}

/// How many actions are under way, and how many may be.
struct Bound {
    running: usize,
    limit: usize,
}

impl Bound {
    fn take(&mut self) -> bool {
        let free = self.running < self.limit;
        self.running += usize::from(free);
        free
    }
}

struct Scheduler<'job> {
    job: &'job Job,
    workshop: &'job Workshop,
    machine: Machine<'job>,
    slots: Vec<Slot>,
    commands: Bound,
    others: Bound,
    waiting: VecDeque<Action>,
    /// The vertices whose layers are those of a target.
    chains: BTreeSet<VertexId>,
    failure: Option<SolveError>,
}

impl<'job> Scheduler<'job> {
    fn new(job: &'job Job, workshop: &'job Workshop) -> Self {
        let cores = available_parallelism().map_or(2, usize::from);
        Self {
            job,
            workshop,
            machine: Machine::new(&job.definition, job.options.reuse),
            slots: vec![Slot::default(); job.definition.len()],
            commands: Bound {
                running: 0,
                limit: job.options.jobs.get(),
            },
            others: Bound {
                running: 0,
                limit: cores * 2,
            },
            waiting: VecDeque::new(),
            chains: chains(job),
            failure: None,
        }
    }

    fn run<'scope>(
        mut self,
        scope: &'scope Scope<'scope, 'job>,
        sender: &Sender<Report>,
        inbox: &Receiver<Report>,
    ) -> Result<Solved, SolveError> {
        let targets: Vec<_> = self
            .job
            .targets
            .iter()
            .filter_map(|target| vertex_of(*target))
            .collect();
        self.waiting = self.machine.start(&targets).into();
        let mut crew = Crew::new(scope);
        loop {
            self.dispatch(&mut crew, sender);
            if self.machine.outstanding() == 0 {
                break;
            }
            let report = inbox.recv().expect("this function holds a sender");
            if let Some(member) = report.member {
                crew.is_free(member);
            }
            self.absorb(report);
        }
        self.finish()
    }

    /// Hands out what may be done now.
    fn dispatch(&mut self, crew: &mut Crew<'_, 'job>, sender: &Sender<Report>) {
        let mut held_back = VecDeque::new();
        while let Some(action) = self.waiting.pop_front() {
            if let Action::Take { vertex } = action {
                self.take(vertex);
                continue;
            }
            if self.failure.is_some() {
                self.drop_action(&action);
                continue;
            }
            if !self.bound_of(&action).take() {
                held_back.push_back(action);
                continue;
            }
            self.announce(&action);
            self.hand_out(action, crew, sender);
        }
        self.waiting = held_back;
    }

    /// Gives an action to a thread that has no other. Whatever becomes of it there, a report comes of it: the inbox is
    /// all that the scheduler waits for.
    fn hand_out(&mut self, action: Action, crew: &mut Crew<'_, 'job>, sender: &Sender<Report>) {
        let vertex = action.vertex();
        let (job, workshop) = (self.job, self.workshop);
        let order = self.order(action);
        let own = sender.clone();
        let work = move |member| {
            let result = reported(|| worker::perform(job, workshop, order));
            // The scheduler is gone only if it panicked; there is nobody to tell.
            drop(own.send(Report {
                vertex,
                member: Some(member),
                result,
            }));
        };
        if let Err(error) = crew.hand_out(Box::new(work)) {
            drop(sender.send(Report {
                vertex,
                member: None,
                result: Err(StepError::Thread(error)),
            }));
        }
    }

    /// Gives up an action that was not begun.
    fn drop_action(&mut self, action: &Action) {
        let actions = self.machine.step(action.vertex(), Verdict::Failed);
        self.waiting.extend(actions);
    }

    fn bound_of(&mut self, action: &Action) -> &mut Bound {
        let vertex = self.job.definition.vertex(action.vertex());
        match (action, &vertex.op) {
            (Action::Run { .. }, Op::Exec(_)) => &mut self.commands,
            _ => &mut self.others,
        }
    }

    fn order(&mut self, action: Action) -> Order {
        let id = action.vertex();
        let inputs = self.job.definition.vertex(id).inputs.iter();
        let outputs = inputs.map(|input| match vertex_of(*input) {
            None => Some(Output::Files(Stack::scratch())),
            Some(input) => self.slots[input.index()].output.clone(),
        });
        Order {
            inputs: outputs.collect(),
            key_inputs: self.machine.key_inputs(id),
            collected: self.collected_for(&action),
            action,
        }
    }

    /// Gives away what a copy found, to whoever makes its result.
    fn collected_for(&mut self, action: &Action) -> Option<Arc<Collected>> {
        let is_run = matches!(action, Action::Run { .. });
        let slot = &mut self.slots[action.vertex().index()];
        is_run.then(|| slot.collected.take()).flatten()
    }

    /// Puts what the cache has onto the result of input 0.
    fn take(&mut self, vertex: VertexId) {
        let below = match self.job.definition.vertex(vertex).inputs.first() {
            Some(Input::Vertex(input)) => self.slots[input.index()].output.clone(),
            Some(Input::Scratch) | None => Some(Output::Files(Stack::scratch())),
        };
        let verdict = match (below, self.slots[vertex.index()].found.take()) {
            (Some(Output::Files(stack)), Some(layer)) => {
                self.slots[vertex.index()].output = Some(Output::Files(stack.with(layer)));
                self.pass_on(vertex);
                self.tell_finished(vertex, Origin::Cached);
                Verdict::Finished
            }
            _ => Verdict::Failed,
        };
        let actions = self.machine.step(vertex, verdict);
        self.waiting.extend(actions);
    }

    fn absorb(&mut self, report: Report) {
        let id = report.vertex;
        let was_command = matches!(self.machine.phase(id), Phase::Running { .. })
            && matches!(self.job.definition.vertex(id).op, Op::Exec(_));
        let bound = if was_command {
            &mut self.commands
        } else {
            &mut self.others
        };
        bound.running -= 1;
        let verdict = match report.result {
            Ok(answer) => self.keep(id, answer),
            Err(error) => self.fail(id, error),
        };
        let actions = self.machine.step(id, verdict);
        self.waiting.extend(actions);
    }

    fn keep(&mut self, id: VertexId, answer: Answer) -> Verdict {
        let slot = &mut self.slots[id.index()];
        match answer {
            Answer::AliasFound { key, layer } => {
                slot.found = Some(layer);
                Verdict::AliasFound(key)
            }
            Answer::AliasUnknown => Verdict::AliasUnknown,
            Answer::Checked { key, collected } => {
                slot.collected = collected;
                Verdict::Checked(key)
            }
            Answer::Hit { layer } => {
                slot.found = Some(layer);
                Verdict::Hit
            }
            Answer::Miss => Verdict::Miss,
            Answer::Made { output } => {
                slot.output = Some(output);
                slot.collected = None;
                self.pass_on(id);
                self.tell_finished(id, Origin::Made);
                Verdict::Finished
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
        let Some(Output::Files(stack)) = &self.slots[id.index()].output else {
            return;
        };
        let is_base = matches!(self.job.definition.vertex(id).op, Op::Source(_));
        let known = if is_base {
            0
        } else {
            stack.layers().len().saturating_sub(1)
        };
        for layer in stack.layers().iter().skip(known) {
            // Whoever takes them no more has all that they want.
            drop(layers.send(Arc::clone(layer)));
        }
    }

    fn fail(&mut self, id: VertexId, error: StepError) -> Verdict {
        self.workshop.digests.hear(&error, &self.workshop.store);
        if self.failure.is_none() {
            self.events().emit(Event::Failed {
                step: self.step_id(id),
                name: self.job.definition.vertex(id).label.to_string(),
                error: error.to_string(),
            });
            self.failure = Some(SolveError::Step {
                vertex: id,
                error: Box::new(error),
            });
        }
        Verdict::Failed
    }

    fn finish(self) -> Result<Solved, SolveError> {
        self.keep_digests();
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let stalled = self.machine.stalled();
        if !stalled.is_empty() {
            let states = stalled
                .iter()
                .map(|(id, phase)| format!("{} {phase:?}", self.job.definition.digest(*id)));
            return Err(SolveError::Stalled {
                states: states.collect(),
            });
        }
        let stacks = self
            .job
            .targets
            .iter()
            .map(|target| match vertex_of(*target) {
                None => Ok(Stack::scratch()),
                Some(id) => match &self.slots[id.index()].output {
                    Some(Output::Files(stack)) => Ok(stack.clone()),
                    Some(Output::Local(_) | Output::Fetched(_)) | None => {
                        Err(SolveError::NoResult { vertex: id })
                    }
                },
            });
        Ok(Solved {
            stacks: stacks.collect::<Result<_, _>>()?,
            keyed: self.keyed()?,
        })
    }

    /// Keeps what was found out of files of the user's, however the job ended.
    fn keep_digests(&self) {
        for slot in &self.slots {
            if let Some(Output::Local(directory)) = &slot.output
                && let Some(known) = &directory.known
            {
                known.keep();
            }
        }
    }

    fn events(&self) -> &Events {
        &self.workshop.events
    }

    fn step_id(&self, id: VertexId) -> StepId {
        StepId(self.job.definition.digest(id).to_string())
    }

    /// Tells the display that a step begins, once, when it is certain that something is done.
    fn announce(&mut self, action: &Action) {
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

    fn tell_finished(&self, id: VertexId, origin: Origin) {
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

/// Returns the vertices whose layers are those of a target: from each target the one that it is put onto, and so on
/// down.
fn chains(job: &Job) -> BTreeSet<VertexId> {
    let mut chains = BTreeSet::new();
    for target in &job.targets {
        let mut next = vertex_of(*target);
        while let Some(id) = next.filter(|id| chains.insert(*id)) {
            let below = job.definition.vertex(id).inputs.first();
            next = below.and_then(|input| vertex_of(*input));
        }
    }
    chains
}

/// Makes an error of a panic. What it left half done is this step's own: nothing else looks at it.
fn reported<T>(work: impl FnOnce() -> Result<T, StepError>) -> Result<T, StepError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(StepError::Panicked))
}

fn vertex_of(input: Input) -> Option<VertexId> {
    match input {
        Input::Scratch => None,
        Input::Vertex(id) => Some(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_reported_like_any_other_failure() {
        let panicked = reported::<()>(|| panic!("a step's own fault"));
        assert!(matches!(panicked, Err(StepError::Panicked)));
        assert_eq!(reported(|| Ok(1)).ok(), Some(1));
    }

    #[test]
    fn a_bound_gives_out_no_more_than_its_limit() {
        let mut bound = Bound {
            running: 0,
            limit: 2,
        };
        assert_eq!(
            [bound.take(), bound.take(), bound.take()],
            [true, true, false]
        );
        bound.running -= 1;
        assert!(bound.take());
    }
}
