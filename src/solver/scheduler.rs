//! The one owner of all states: hands out actions, takes in what came of them.
//!
//! It never blocks but on its inbox. Work is done by threads that receive an action with what it needs
//! and send back a report; they share no state with it. What is looked up is looked up here, one record at a time: a
//! thread would take longer to be woken. Commands, what servers have, and digests and copies have each their own
//! bound, so that none waits for another. Of commands that could begin, the one with the most work after it does, and
//! a few more are prepared than may run: `crate::admission` lets them in. One that waits for somebody else, who unpacks its
//! base, has its cache or carries out the same step, steps aside: the next one is prepared in its place.

mod keyed;
mod lane;
mod news;
mod outcome;
mod telling;

use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Scope, available_parallelism};

use graph::{Input, Op, SourceOp, VertexId};
use oci::Digest;

use crate::admission::{Admission, Limits};
use crate::cache::Found;
use crate::crew::Crew;
use crate::error::{SolveError, StepError};
use crate::experience;
use crate::job::{Job, Workshop};
use crate::ops::copy::Collected;
use crate::reach::Reach;
use crate::result::{Held, Output, Stack, StackLayer};
use crate::state::{Action, Machine, Verdict, seen_by_commands};
use crate::worker::{self, Order, Turn};

pub use keyed::{KeyedLayer, Solved};
use lane::{Lane, PREPARED, TRANSFERS, Waiting};
pub(crate) use news::News;
use news::Report;

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
    // What was found before may have been damaged, and be gone.
    workshop.memo.clear();
    let (sender, inbox) = channel();
    let admission = Admission::new(Limits {
        jobs: job.options.jobs,
        budget_bytes: job.options.memory_budget_bytes,
    });
    let solved = std::thread::scope(|scope| {
        Scheduler::new(job, workshop, &admission, sender).run(scope, &inbox)
    });
    let kept = workshop.store.finish().map_err(SolveError::Keep);
    let stacks = solved?;
    kept.map(|()| stacks)
}

/// What the scheduler holds of a vertex beside its phase.
#[derive(Default, Clone)]
struct Slot {
    found: Option<Found>,
    collected: Option<Arc<Collected>>,
    /// The digest of what a copy found when it was checked.
    content: Option<Digest>,
    output: Option<Output>,
    /// Whether a display was told that it began, and not yet that it ended.
    announced: bool,
    /// The directory of the user's that is read for it now.
    reads: Option<VertexId>,
    /// How many vertices this directory is read for now, and how much was read of it.
    readers: usize,
    read_bytes: u64,
    /// Whether one of them was ended.
    is_cut_off: bool,
}

struct Scheduler<'job> {
    job: &'job Job,
    workshop: &'job Workshop,
    machine: Machine<'job>,
    slots: Vec<Slot>,
    admission: &'job Admission,
    /// Where workers tell what there is; they have copies of it.
    news: Sender<News>,
    /// What is new and not looked at.
    new: VecDeque<Action>,
    /// What is asked of the cache.
    look_ups: VecDeque<Action>,
    commands: Waiting,
    transfers: Waiting,
    files: Waiting,
    /// How much work comes after each vertex, as soon as one command has to wait for another.
    ranks: Vec<u64>,
    /// Which vertices' files a command will see.
    seen: Vec<bool>,
    /// The directories of the user's that displays show as being read.
    read: BTreeSet<VertexId>,
    /// The vertices whose layers are those of a target.
    chains: BTreeSet<VertexId>,
    failure: Option<SolveError>,
}

impl<'job> Scheduler<'job> {
    fn new(
        job: &'job Job,
        workshop: &'job Workshop,
        admission: &'job Admission,
        news: Sender<News>,
    ) -> Self {
        let cores = available_parallelism().map_or(2, usize::from);
        Self {
            job,
            workshop,
            machine: Machine::new(&job.definition, job.options.reuse),
            slots: vec![Slot::default(); job.definition.len()],
            admission,
            news,
            new: VecDeque::new(),
            look_ups: VecDeque::new(),
            commands: Waiting::new(job.options.jobs.get().saturating_add(PREPARED)),
            transfers: Waiting::new(TRANSFERS),
            files: Waiting::new(cores * 2),
            ranks: Vec::new(),
            seen: seen_by_commands(&job.definition),
            read: BTreeSet::new(),
            chains: chains(job),
            failure: None,
        }
    }

    fn run<'scope>(
        mut self,
        scope: &'scope Scope<'scope, 'job>,
        inbox: &Receiver<News>,
    ) -> Result<Solved, SolveError> {
        let targets: Vec<_> = self
            .job
            .targets
            .iter()
            .filter_map(|target| vertex_of(*target))
            .collect();
        self.tell_plan();
        self.new = self.machine.start(&targets).into();
        let mut crew = Crew::new(scope);
        loop {
            self.dispatch(&mut crew);
            // A command that ended is not kept waiting by what is looked up.
            let news = if self.look_up() {
                inbox.try_recv().ok()
            } else if self.machine.outstanding() > 0 {
                self.tell_what_was_read();
                Some(inbox.recv().expect("the scheduler holds a sender"))
            } else {
                break;
            };
            if let Some(news) = news {
                self.hear(news, &mut crew);
            }
        }
        self.tell_what_was_read();
        self.tell_given_up();
        self.finish()
    }

    /// Takes in what a worker tells.
    fn hear(&mut self, news: News, crew: &mut Crew<'_, 'job>) {
        match news {
            News::StepsAside => self.commands.aside += 1,
            News::IsBack => self.commands.aside -= 1,
            News::Ended(report) => {
                if let Some(member) = report.member {
                    crew.is_free(member);
                }
                self.waiting(report.lane).running -= 1;
                self.absorb(report.vertex, report.result);
            }
        }
    }

    /// Hands out what may be done now.
    fn dispatch(&mut self, crew: &mut Crew<'_, 'job>) {
        while let Some(action) = self.new.pop_front() {
            match action {
                Action::Take { vertex } => self.take(vertex),
                action if self.failure.is_some() => self.drop_action(&action),
                action if !self.workshop.reach.allows(&action, &self.job.definition) => {
                    self.refuse(&action);
                }
                // Caches of others may have to be asked by the network.
                Action::LookUp { .. } | Action::FindAlias { .. }
                    if self.job.options.imports.is_empty() =>
                {
                    self.look_ups.push_back(action);
                }
                // What little can be done in this process is no work for a thread.
                action if self.workshop.reach == Reach::Known => {
                    self.announce(&action);
                    self.look_ups.push_back(action);
                }
                Action::LookUp { .. }
                | Action::FindAlias { .. }
                | Action::Check { .. }
                | Action::Run { .. } => {
                    let lane = self.lane(&action);
                    self.waiting(lane).actions.push(action);
                }
            }
        }
        self.rank();
        for lane in [Lane::Commands, Lane::Transfers, Lane::Files] {
            while let Some(action) = self.next(lane) {
                self.announce(&action);
                self.hand_out((action, lane), crew);
            }
        }
    }

    /// Finds out how much work comes after each vertex if one command has to wait for another.
    fn rank(&mut self) {
        let Waiting {
            running, actions, ..
        } = &self.commands;
        let is_crowded = !actions.is_empty() && running + actions.len() > 1;
        if self.ranks.is_empty() && is_crowded {
            self.ranks = experience::ranks_of(self.workshop, &self.job.definition);
        }
    }

    fn rank_of(&self, vertex: VertexId) -> u64 {
        self.ranks.get(vertex.index()).copied().unwrap_or(0)
    }

    /// Asks the cache one question; tells whether there was one.
    fn look_up(&mut self) -> bool {
        let Some(action) = self.look_ups.pop_front() else {
            return false;
        };
        let (vertex, order) = (action.vertex(), self.order(action));
        let turn = self.turn(vertex);
        let result = reported(|| worker::perform(self.job, self.workshop, turn, order));
        self.absorb(vertex, result);
        true
    }

    fn turn(&self, vertex: VertexId) -> Turn<'_> {
        Turn {
            admission: self.admission,
            rank: self.rank_of(vertex),
            news: &self.news,
            is_seen_by_command: self.is_seen(vertex),
        }
    }

    fn is_seen(&self, vertex: VertexId) -> bool {
        self.seen.get(vertex.index()).copied().unwrap_or(true)
    }

    fn waiting(&mut self, lane: Lane) -> &mut Waiting {
        match lane {
            Lane::Commands => &mut self.commands,
            Lane::Transfers => &mut self.transfers,
            Lane::Files => &mut self.files,
        }
    }

    fn next(&mut self, lane: Lane) -> Option<Action> {
        let ranks = std::mem::take(&mut self.ranks);
        let rank = |vertex: VertexId| ranks.get(vertex.index()).copied().unwrap_or(0);
        let next = self.waiting(lane).next(rank);
        self.ranks = ranks;
        next
    }

    /// Gives an action to a thread that has no other. Whatever becomes of it there, a report comes of it: the inbox is
    /// all that the scheduler waits for.
    fn hand_out(&mut self, (action, lane): (Action, Lane), crew: &mut Crew<'_, 'job>) {
        let vertex = action.vertex();
        let (job, workshop) = (self.job, self.workshop);
        let (admission, rank, news) = (self.admission, self.rank_of(vertex), self.news.clone());
        let is_seen_by_command = self.is_seen(vertex);
        let order = self.order(action);
        let work = move |member| {
            let turn = Turn {
                admission,
                rank,
                news: &news,
                is_seen_by_command,
            };
            let result = reported(|| worker::perform(job, workshop, turn, order));
            // The scheduler is gone only if it panicked; there is nobody to tell.
            drop(news.send(News::Ended(Box::new(Report {
                vertex,
                lane,
                member: Some(member),
                result,
            }))));
        };
        if let Err(error) = crew.hand_out(Box::new(work)) {
            drop(self.news.send(News::Ended(Box::new(Report {
                vertex,
                lane,
                member: None,
                result: Err(StepError::Thread(error)),
            }))));
        }
    }

    /// Sees to it that nothing begins any more.
    fn give_up(&mut self) {
        self.admission.close();
        self.new.extend(self.look_ups.drain(..));
        for lane in [Lane::Commands, Lane::Transfers, Lane::Files] {
            let actions = std::mem::take(&mut self.waiting(lane).actions);
            self.new.extend(actions);
        }
    }

    /// Gives up an action that was not begun.
    fn drop_action(&mut self, action: &Action) {
        let actions = self.machine.step(action.vertex(), Verdict::Failed);
        self.new.extend(actions);
    }

    fn lane(&self, action: &Action) -> Lane {
        let vertex = self.job.definition.vertex(action.vertex());
        match (action, &vertex.op) {
            (Action::Run { .. }, Op::Exec(_)) => Lane::Commands,
            (Action::Run { .. }, Op::Source(SourceOp::Http(_) | SourceOp::Git(_))) => {
                Lane::Transfers
            }
            _ => Lane::Files,
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
            below: self.machine.below_key(id),
            former: self.machine.former_keys(id).to_vec(),
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

    fn finish(self) -> Result<Solved, SolveError> {
        let is_known = self.is_known();
        self.keep_digests();
        self.tell_keys();
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
        self.tell_layers();
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
            is_known,
        })
    }

    /// Tells whether the next job like this one will find all that it needs by looking it up.
    fn is_known(&self) -> bool {
        let is_kept = |layer: &Arc<StackLayer>| matches!(layer.held, Held::Stored | Held::Base(_));
        self.slots.iter().all(|slot| match &slot.output {
            None => true,
            Some(Output::Files(stack)) => stack.top().is_none_or(is_kept),
            Some(Output::Local(_) | Output::Fetched(_)) => false,
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
}
