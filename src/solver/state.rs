//! Which vertex is where, and what happens next: pure decisions, no I/O.
//!
//! A vertex is only touched when somebody needs it, and then only as far as they need it: its *key*
//! (to look up what is made from it) or its *result* (to make something from it, or to export it).
//!
//! ```text
//!            inputs keyed                    lookup            hit: input 0 done
//! Unkeyed ───────────────► Keyed ──────────────────► LookingUp ─────────────► Hit ──► Done
//!    │ copy                  ▲                           │ miss
//!    ▼         hit           │                           ▼      inputs done
//! Aliasing ─────────────────────────────────► Hit     Missed ─────────────► Running ──► Done
//!    │ miss                  ▲
//!    ▼       source done     │ content key known
//! NeedsContent ─────────► Checking
//!
//! any ──► Failed (its own action failed) or Cancelled (what it needs failed)
//! ```
//!
//! What was found ahead of its input may have stood on another result of that than there is now: then it is not taken but
//! goes back from `Running` to `Unkeyed`, and what is looked up after that is known to stand on what is there.
//!
//! *Aliasing* asks the cache whether the definition of a copy is known to have led to some content;
//! if so, what it copies from need not exist. `Checking` digests what would be copied. A command that
//! mounts files of stages or images goes the way of a copy.
//!
//! *Early cut-off*: a command that ran may have made what it made before, under another key. Its vertex is then `Done`
//! with that earlier key, and so is one whose record says so. What was keyed by its first key, looked up ahead and not
//! found goes back to `Unkeyed` and is looked up once more. Only what stands directly on it does: the next ones follow
//! when it is known what became of that, so that a look-up is repeated once for each key that turned out to be another.
//!
//! The law: while a needed vertex is unfinished, at least one action is outstanding. Otherwise
//! [`Machine::stalled`] tells which vertices nothing can move any more.
#![warn(clippy::wildcard_enum_match_arm)]

mod keys;
mod phase;
mod rank;
mod seen;
#[cfg(test)]
mod tests;

use graph::{CacheKey, Definition, Input, InputKey, Op, VertexId};

use keys::Keys;
pub use phase::{Action, Demand, Former, Phase, Reuse, Verdict};
pub use rank::ranks;
pub use seen::seen_by_commands;

/// The states of all vertices of one job.
#[derive(Debug)]
pub struct Machine<'a> {
    definition: &'a Definition,
    reuse: Reuse,
    phases: Vec<Phase>,
    keys: Vec<Keys>,
    demands: Vec<Demand>,
    dependants: Vec<Vec<VertexId>>,
    outstanding: usize,
    stopping: bool,
    /// A copy began to wait for what it copies from, so that others may be held up by it.
    looks_ahead: bool,
}

impl<'a> Machine<'a> {
    /// Starts with every vertex untouched.
    pub fn new(definition: &'a Definition, reuse: Reuse) -> Self {
        let mut dependants = vec![Vec::new(); definition.len()];
        for id in definition.ids() {
            for input in definition.input_ids(id) {
                dependants[input.index()].push(id);
            }
        }
        Self {
            definition,
            reuse,
            phases: vec![Phase::Unkeyed; definition.len()],
            keys: definition.ids().map(|_| Keys::default()).collect(),
            demands: vec![Demand::Nothing; definition.len()],
            dependants,
            outstanding: 0,
            stopping: false,
            looks_ahead: false,
        }
    }

    /// Returns where a vertex is.
    pub fn phase(&self, vertex: VertexId) -> &Phase {
        &self.phases[vertex.index()]
    }

    /// Asks for the results of these vertices; returns the first actions.
    pub fn start(&mut self, targets: &[VertexId]) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut worklist = targets.to_vec();
        worklist.retain(|target| self.raise(*target, Demand::Result));
        self.advance_all(worklist, &mut actions);
        self.look_ahead(&mut actions);
        self.count(actions)
    }

    /// Takes in what came of an action; returns what is to be done now.
    pub fn step(&mut self, vertex: VertexId, verdict: Verdict) -> Vec<Action> {
        self.outstanding -= 1;
        let mut actions = Vec::new();
        self.settle(vertex, verdict);
        if matches!(self.phase(vertex), Phase::Failed) {
            self.stop();
        }
        self.looks_ahead |= self.phase(vertex).waits_for_content();
        let mut worklist = vec![vertex];
        worklist.extend(self.dependants[vertex.index()].iter().copied());
        self.advance_all(worklist, &mut actions);
        self.look_ahead(&mut actions);
        self.count(actions)
    }

    /// Stops: no action is given out any more, and what has not finished is cancelled.
    pub fn stop(&mut self) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        for phase in &mut self.phases {
            if !phase.is_outstanding() && !phase.is_final() {
                *phase = Phase::Cancelled;
            }
        }
    }

    /// Tells how many actions have no verdict yet.
    pub fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Returns the needed vertices that nothing moves any more, which is a fault of ours.
    pub fn stalled(&self) -> Vec<(VertexId, Phase)> {
        if self.outstanding > 0 {
            return Vec::new();
        }
        let unfinished = |id: &VertexId| {
            self.demands[id.index()] == Demand::Result && !self.phase(*id).is_final()
        };
        let ids = self.definition.ids().filter(unfinished);
        ids.map(|id| (id, self.phase(id).clone())).collect()
    }

    fn count(&mut self, actions: Vec<Action>) -> Vec<Action> {
        self.outstanding += actions.len();
        actions
    }

    /// Moves these vertices, and all that their moves let move, as far as they go.
    fn advance_all(&mut self, mut worklist: Vec<VertexId>, actions: &mut Vec<Action>) {
        // An explicit list: a chain of 10,000 stages must not end our stack.
        while let Some(id) = worklist.pop() {
            let before = self.phase(id).clone();
            let mut wanted = Vec::new();
            self.advance(id, &mut wanted, actions);
            for (input, demand) in wanted {
                if self.raise(input, demand) {
                    worklist.push(input);
                }
            }
            if *self.phase(id) != before {
                self.looks_ahead |= self.phase(id).waits_for_content();
                worklist.extend(self.dependants[id.index()].iter().copied());
            }
        }
    }

    /// Asks for what later copies copy from, where a copy below them waits for what it copies from
    /// itself. Their keys are not known before that is there; without this, one stage would be built
    /// after the other although neither needs the other.
    fn look_ahead(&mut self, actions: &mut Vec<Action>) {
        while std::mem::take(&mut self.looks_ahead) {
            let held_up = self.held_up();
            let mut sources: Vec<_> = held_up
                .into_iter()
                .flat_map(|id| self.content_sources(id))
                .collect();
            sources.retain(|source| self.raise(*source, Demand::Result));
            self.advance_all(sources, actions);
        }
    }

    /// Returns the needed vertices whose key waits for what a copy below them copies from.
    fn held_up(&self) -> Vec<VertexId> {
        // One pass: what is below a vertex has a lower id.
        let mut is_held_up = vec![false; self.phases.len()];
        let mut found = Vec::new();
        for id in self.definition.ids() {
            let (Phase::Unkeyed, Some(below)) = (self.phase(id), self.below(id)) else {
                continue;
            };
            let waits = self.phase(below).waits_for_content() || is_held_up[below.index()];
            is_held_up[id.index()] = waits;
            if waits && self.demands[id.index()] > Demand::Nothing {
                found.push(id);
            }
        }
        found
    }

    fn below(&self, id: VertexId) -> Option<VertexId> {
        match self.definition.vertex(id).inputs.first() {
            Some(Input::Vertex(below)) => Some(*below),
            Some(Input::Scratch) | None => None,
        }
    }

    /// Asks for more of a vertex; tells whether that is new.
    fn raise(&mut self, vertex: VertexId, demand: Demand) -> bool {
        let asked = &mut self.demands[vertex.index()];
        let is_new = *asked < demand;
        *asked = demand.max(*asked);
        is_new
    }

    fn settle(&mut self, vertex: VertexId, verdict: Verdict) {
        let index = vertex.index();
        self.keys[index].note(self.phases[index].keys_given_up(&verdict));
        let phase = std::mem::replace(&mut self.phases[index], Phase::Failed);
        self.phases[index] = phase.next(verdict);
        if self.stopping && !self.phase(vertex).is_final() {
            self.phases[index] = Phase::Cancelled;
        }
        if std::mem::take(&mut self.keys[index].is_stale) {
            self.key_anew(vertex);
        }
        self.show(vertex);
    }

    /// Moves a vertex as far as it goes without waiting.
    fn advance(
        &mut self,
        id: VertexId,
        pending: &mut Vec<(VertexId, Demand)>,
        actions: &mut Vec<Action>,
    ) {
        if self.stopping {
            return;
        }
        while let Some(phase) = self.advanced(id, pending, actions) {
            self.phases[id.index()] = phase;
            self.show(id);
        }
    }

    /// Returns the next phase if there is one to go to now, with the actions of going there.
    fn advanced(
        &self,
        id: VertexId,
        pending: &mut Vec<(VertexId, Demand)>,
        actions: &mut Vec<Action>,
    ) -> Option<Phase> {
        let demand = self.demands[id.index()];
        match self.phase(id) {
            _ if demand == Demand::Nothing => None,
            Phase::Unkeyed => self.keyed(id, pending, actions),
            Phase::NeedsContent { definition } => {
                let sources = self.content_sources(id);
                let definition = definition.clone();
                let are_made = self.want(&sources, Demand::Result, pending);
                let are_keyed = self.want(&self.keyed_inputs(id), Demand::Key, pending);
                (are_made && are_keyed).then(|| {
                    let inputs = self.key_inputs(id);
                    actions.push(Action::Check { vertex: id, inputs });
                    Phase::Checking { definition }
                })
            }
            Phase::Keyed { key, definition } if demand == Demand::Result => {
                Some(self.looked_up(id, key, definition.as_ref(), actions))
            }
            Phase::Hit { key } if demand == Demand::Result => {
                let below: Vec<_> = self.definition.input_ids(id).take(1).collect();
                let ready = !self.stands_on_input(id) || self.want(&below, Demand::Result, pending);
                let key = Some(key.clone());
                ready.then(|| {
                    actions.push(Action::Take { vertex: id });
                    Phase::Running { key }
                })
            }
            Phase::Missed { key, definition } => {
                let inputs: Vec<_> = self.definition.input_ids(id).collect();
                let ready = self.want(&inputs, Demand::Result, pending);
                ready.then(|| begun(id, key.clone(), definition.clone(), actions))
            }
            Phase::Keyed { .. }
            | Phase::Hit { .. }
            | Phase::Aliasing { .. }
            | Phase::Checking { .. }
            | Phase::LookingUp { .. }
            | Phase::Running { .. }
            | Phase::Done { .. }
            | Phase::Failed
            | Phase::Cancelled => None,
        }
    }

    fn looked_up(
        &self,
        id: VertexId,
        key: &CacheKey,
        definition: Option<&CacheKey>,
        actions: &mut Vec<Action>,
    ) -> Phase {
        let (key, definition) = (key.clone(), definition.cloned());
        // An image is not made but named: there is nothing to look up.
        let is_source = matches!(self.definition.vertex(id).op, Op::Source(_));
        if is_source || !self.reuses(id) {
            return Phase::Missed {
                key: Some(key),
                definition,
            };
        }
        let action = Action::LookUp {
            vertex: id,
            key: key.clone(),
            definition: definition.clone(),
        };
        actions.push(action);
        Phase::LookingUp { key, definition }
    }

    fn keyed(
        &self,
        id: VertexId,
        pending: &mut Vec<(VertexId, Demand)>,
        actions: &mut Vec<Action>,
    ) -> Option<Phase> {
        let Some(map) = self.map(id) else {
            return Some(Phase::Missed {
                key: None,
                definition: None,
            });
        };
        let content = self.content_sources(id);
        // What a server has is needed whatever the keys are: it is asked for at once, and not one file after the other.
        let keyless = content.iter().copied().filter(|id| self.is_keyless(*id));
        let keyless: Vec<_> = keyless.collect();
        self.want(&keyless, Demand::Result, pending);
        if !self.want(&self.keyed_inputs(id), Demand::Key, pending) {
            return None;
        }
        if content.is_empty() && !map.inputs.contains(&InputKey::KeyThenContent) {
            return Some(Phase::Keyed {
                key: map.key(&self.key_inputs(id)),
                definition: None,
            });
        }
        if content.is_empty() || !keyless.is_empty() {
            return Some(Phase::NeedsContent { definition: None });
        }
        let definition = map.key(&self.key_inputs(id));
        // What a source that is made again has led to before says nothing.
        if !self.reuses(id) || !content.iter().all(|source| self.reuses(*source)) {
            return Some(Phase::NeedsContent {
                definition: Some(definition),
            });
        }
        actions.push(Action::FindAlias {
            vertex: id,
            definition: definition.clone(),
        });
        Some(Phase::Aliasing { definition })
    }

    /// Tells whether earlier results of a vertex count.
    fn reuses(&self, id: VertexId) -> bool {
        self.reuse == Reuse::Yes && !self.definition.is_renewed(id)
    }

    /// Tells whether the result is a change on top of input 0.
    fn stands_on_input(&self, id: VertexId) -> bool {
        matches!(
            self.definition.vertex(id).inputs.first(),
            Some(Input::Vertex(_))
        )
    }

    /// Asks for the inputs; tells whether all have what is asked for.
    fn want(
        &self,
        inputs: &[VertexId],
        demand: Demand,
        pending: &mut Vec<(VertexId, Demand)>,
    ) -> bool {
        let mut ready = true;
        for input in inputs {
            pending.push((*input, demand));
            ready &= match demand {
                Demand::Nothing => true,
                Demand::Key => self.phase(*input).key().is_some(),
                Demand::Result => matches!(self.phase(*input), Phase::Done { .. }),
            };
        }
        ready
    }
}

/// Gives out the action that makes a result; returns the phase of a vertex that is being made.
fn begun(
    vertex: VertexId,
    key: Option<CacheKey>,
    definition: Option<CacheKey>,
    actions: &mut Vec<Action>,
) -> Phase {
    actions.push(Action::Run {
        vertex,
        key: key.clone(),
        definition,
    });
    Phase::Running { key }
}
