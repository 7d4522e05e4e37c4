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
//! Aliasing ──────────────────┤                         Missed ─────────────► Running ──► Done
//!    │ miss                  │
//!    ▼       source done     │ content key known
//! NeedsContent ─────────► Checking
//!
//! any ──► Failed (its own action failed) or Cancelled (what it needs failed)
//! ```
//!
//! *Aliasing* asks the cache whether the definition of a copy is known to have led to some content;
//! if so, what it copies from need not exist. `Checking` digests what would be copied.
//!
//! The law: while a needed vertex is unfinished, at least one action is outstanding. Otherwise
//! [`Machine::stalled`] tells which vertices nothing can move any more.
#![warn(clippy::wildcard_enum_match_arm)]

use graph::{CacheKey, CacheMap, Definition, Input, InputKey, KeyInput, Op, SourceOp, VertexId};

/// Where a vertex is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Its key is not known, and nothing is under way.
    Unkeyed,
    /// A copy whose definition is being looked up.
    Aliasing {
        /// The key of the definition.
        definition: CacheKey,
    },
    /// A copy that needs the files it copies from.
    NeedsContent {
        /// The key of the definition, if the source has a key.
        definition: Option<CacheKey>,
    },
    /// A copy whose content is being digested.
    Checking {
        /// The key of the definition, if the source has a key.
        definition: Option<CacheKey>,
    },
    /// Its key is known; nobody needed more.
    Keyed {
        /// The key.
        key: CacheKey,
        /// The key of the definition, to be recorded beside it.
        definition: Option<CacheKey>,
    },
    /// Its key is being looked up.
    LookingUp {
        /// The key.
        key: CacheKey,
        /// The key of the definition, to be recorded beside it.
        definition: Option<CacheKey>,
    },
    /// The cache has its result, which stands on that of input 0.
    Hit {
        /// The key.
        key: CacheKey,
    },
    /// The cache has no result.
    Missed {
        /// The key; none for a directory of the user's, which has no key of its own.
        key: Option<CacheKey>,
        /// The key of the definition, to be recorded beside it.
        definition: Option<CacheKey>,
    },
    /// It is being made.
    Running {
        /// The key.
        key: Option<CacheKey>,
    },
    /// It has a result.
    Done {
        /// The key.
        key: Option<CacheKey>,
    },
    /// Its action failed.
    Failed,
    /// Something that it needs failed, or the job was cancelled.
    Cancelled,
}

/// How much of a vertex is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Demand {
    /// Nothing.
    Nothing,
    /// Its key.
    Key,
    /// Its result.
    Result,
}

/// Whether results of earlier builds count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// They do.
    Yes,
    /// Everything is made again (`--no-cache`).
    No,
}

/// Work that somebody else is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Ask the cache which content this definition led to.
    FindAlias {
        /// The vertex.
        vertex: VertexId,
        /// The key of its definition.
        definition: CacheKey,
    },
    /// Digest what the copy would copy.
    Check {
        /// The vertex.
        vertex: VertexId,
    },
    /// Ask the cache for a result.
    LookUp {
        /// The vertex.
        vertex: VertexId,
        /// Its key.
        key: CacheKey,
        /// The key of its definition, to be recorded with a hit.
        definition: Option<CacheKey>,
    },
    /// Put a result of the cache onto that of input 0.
    Take {
        /// The vertex.
        vertex: VertexId,
    },
    /// Make the result.
    Run {
        /// The vertex.
        vertex: VertexId,
        /// Its key.
        key: Option<CacheKey>,
        /// The key of its definition, to be recorded beside it.
        definition: Option<CacheKey>,
    },
}

impl Action {
    /// Returns the vertex that the action is for.
    pub fn vertex(&self) -> VertexId {
        match self {
            Self::FindAlias { vertex, .. }
            | Self::Check { vertex }
            | Self::LookUp { vertex, .. }
            | Self::Take { vertex }
            | Self::Run { vertex, .. } => *vertex,
        }
    }
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The definition led to this content key, and its result is there.
    AliasFound(CacheKey),
    /// The cache does not know the definition.
    AliasUnknown,
    /// The content key of a copy.
    Checked(CacheKey),
    /// The cache has the result.
    Hit,
    /// The cache does not have the result.
    Miss,
    /// The result is there.
    Finished,
    /// The action failed.
    Failed,
}

/// The states of all vertices of one job.
#[derive(Debug)]
pub struct Machine<'a> {
    definition: &'a Definition,
    reuse: Reuse,
    phases: Vec<Phase>,
    demands: Vec<Demand>,
    dependants: Vec<Vec<VertexId>>,
    outstanding: usize,
    stopping: bool,
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
            demands: vec![Demand::Nothing; definition.len()],
            dependants,
            outstanding: 0,
            stopping: false,
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
        let mut worklist = vec![vertex];
        worklist.extend(self.dependants[vertex.index()].iter().copied());
        self.advance_all(worklist, &mut actions);
        self.count(actions)
    }

    /// Stops: no action is given out any more, and what has not finished is cancelled.
    pub fn stop(&mut self) {
        self.stopping = true;
        for phase in &mut self.phases {
            if !is_outstanding(phase) && !is_final(phase) {
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
            self.demands[id.index()] == Demand::Result && !is_final(self.phase(*id))
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
                worklist.extend(self.dependants[id.index()].iter().copied());
            }
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
        let phase = std::mem::replace(&mut self.phases[vertex.index()], Phase::Failed);
        self.phases[vertex.index()] = next(phase, verdict);
        if self.stopping && !is_final(self.phase(vertex)) {
            self.phases[vertex.index()] = Phase::Cancelled;
        }
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
                let source: Vec<_> = self.content_source(id).into_iter().collect();
                self.want(&source, Demand::Result, pending).then(|| {
                    actions.push(Action::Check { vertex: id });
                    Phase::Checking {
                        definition: definition.clone(),
                    }
                })
            }
            Phase::Keyed { key, definition } if demand == Demand::Result => {
                Some(self.looked_up(id, key, definition.as_ref(), actions))
            }
            Phase::Hit { key } => {
                let below: Vec<_> = self.definition.input_ids(id).take(1).collect();
                let ready = !self.stands_on_input(id) || self.want(&below, Demand::Result, pending);
                ready.then(|| {
                    actions.push(Action::Take { vertex: id });
                    Phase::Running {
                        key: Some(key.clone()),
                    }
                })
            }
            Phase::Missed { key, definition } => {
                let inputs: Vec<_> = self.definition.input_ids(id).collect();
                self.want(&inputs, Demand::Result, pending).then(|| {
                    let (key, definition) = (key.clone(), definition.clone());
                    actions.push(Action::Run {
                        vertex: id,
                        key: key.clone(),
                        definition,
                    });
                    Phase::Running { key }
                })
            }
            Phase::Keyed { .. }
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
        if is_source || self.reuse == Reuse::No {
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
        let Some(map) = CacheMap::of(self.definition.vertex(id)) else {
            return Some(Phase::Missed {
                key: None,
                definition: None,
            });
        };
        let wanted: Vec<_> = self
            .definition
            .input_ids(id)
            .filter(|id| !self.is_local(*id))
            .collect();
        if !self.want(&wanted, Demand::Key, pending) {
            return None;
        }
        let content = self.content_source(id);
        if content.is_none() && !map.inputs.contains(&InputKey::KeyThenContent) {
            return Some(Phase::Keyed {
                key: map.key(&self.key_inputs(id)),
                definition: None,
            });
        }
        if content.is_none_or(|source| self.is_local(source)) {
            return Some(Phase::NeedsContent { definition: None });
        }
        let definition = map.key(&self.key_inputs(id));
        if self.reuse == Reuse::No {
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

    /// Returns the keys that the inputs give, as far as they have them.
    pub fn key_inputs(&self, id: VertexId) -> Vec<KeyInput> {
        let inputs = self.definition.vertex(id).inputs.iter();
        let keys = inputs.filter_map(|input| match input {
            Input::Scratch => Some(KeyInput::Scratch),
            Input::Vertex(input) => key_of(self.phase(*input)).cloned().map(KeyInput::Key),
        });
        keys.collect()
    }

    fn content_source(&self, id: VertexId) -> Option<VertexId> {
        let vertex = self.definition.vertex(id);
        let map = CacheMap::of(vertex)?;
        let parts = vertex.inputs.iter().zip(&map.inputs);
        parts
            .into_iter()
            .find_map(|(input, part)| match (input, part) {
                (Input::Vertex(source), InputKey::KeyThenContent) => Some(*source),
                (Input::Vertex(_), InputKey::Key) | (Input::Scratch, _) => None,
            })
    }

    fn is_local(&self, id: VertexId) -> bool {
        matches!(
            self.definition.vertex(id).op,
            Op::Source(SourceOp::Local(_))
        )
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
                Demand::Key => key_of(self.phase(*input)).is_some(),
                Demand::Result => matches!(self.phase(*input), Phase::Done { .. }),
            };
        }
        ready
    }
}

/// Returns the phase that a verdict leads to. A verdict that does not fit is a failure.
fn next(phase: Phase, verdict: Verdict) -> Phase {
    match (phase, verdict) {
        (Phase::Aliasing { definition }, Verdict::AliasFound(key)) => Phase::Keyed {
            key,
            definition: Some(definition),
        },
        (Phase::Aliasing { definition }, Verdict::AliasUnknown) => Phase::NeedsContent {
            definition: Some(definition),
        },
        (Phase::Checking { definition }, Verdict::Checked(key)) => Phase::Keyed { key, definition },
        (Phase::LookingUp { key, .. }, Verdict::Hit) => Phase::Hit { key },
        (Phase::LookingUp { key, definition }, Verdict::Miss) => Phase::Missed {
            key: Some(key),
            definition,
        },
        (Phase::Running { key }, Verdict::Finished) => Phase::Done { key },
        (_, _) => Phase::Failed,
    }
}

fn key_of(phase: &Phase) -> Option<&CacheKey> {
    match phase {
        Phase::Keyed { key, .. } | Phase::LookingUp { key, .. } | Phase::Hit { key } => Some(key),
        Phase::Missed { key, .. } | Phase::Running { key } | Phase::Done { key } => key.as_ref(),
        Phase::Unkeyed
        | Phase::Aliasing { .. }
        | Phase::NeedsContent { .. }
        | Phase::Checking { .. }
        | Phase::Failed
        | Phase::Cancelled => None,
    }
}

fn is_outstanding(phase: &Phase) -> bool {
    match phase {
        Phase::Aliasing { .. }
        | Phase::Checking { .. }
        | Phase::LookingUp { .. }
        | Phase::Running { .. } => true,
        Phase::Unkeyed
        | Phase::NeedsContent { .. }
        | Phase::Keyed { .. }
        | Phase::Hit { .. }
        | Phase::Missed { .. }
        | Phase::Done { .. }
        | Phase::Failed
        | Phase::Cancelled => false,
    }
}

fn is_final(phase: &Phase) -> bool {
    matches!(phase, Phase::Done { .. } | Phase::Failed | Phase::Cancelled)
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
