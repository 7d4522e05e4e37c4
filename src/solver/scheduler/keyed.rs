//! What the keys of a job led to: what of it others can use when they have the same keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use graph::{CacheKey, Input, Op, VertexId};
use oci::{Clock, Timestamp};

use super::{Scheduler, vertex_of};
use crate::cache;
use crate::error::{SolveError, StepError};
use crate::job::KeyedLayers;
use crate::result::{Output, Stack, StackLayer};
use crate::state::{Former, Phase, Reuse};
use crate::worker::Step;

/// What a job led to.
#[derive(Debug, Clone, Default)]
pub struct Solved {
    /// The file systems of the targets, in order.
    pub stacks: Vec<Stack>,
    /// For each target, in order, what the keys of its vertices led to; as much of it as was asked for.
    pub keyed: Vec<Vec<KeyedLayer>>,
    /// Whether the next job like this one will find all that it needs by looking it up ([`Reach::Known`](crate::Reach)).
    pub is_known: bool,
}

/// What a key led to.
#[derive(Debug, Clone)]
pub struct KeyedLayer {
    /// The key.
    pub key: CacheKey,
    /// Other keys that led to it: those that are asked for by whoever does not know yet that it is an earlier result.
    pub asked: Vec<CacheKey>,
    /// The keys of the definition, where the content of what is copied or mounted is part of the key, and the definition
    /// is known without it.
    pub definitions: Vec<CacheKey>,
    /// The layer.
    pub layer: Arc<StackLayer>,
    /// What it stood on. Of a base that nobody needed, the layers are missing.
    pub on: Stack,
    /// When it was made.
    pub made: Timestamp,
}

/// The results of vertices, as far as they are there.
type Stacks = BTreeMap<VertexId, Stack>;

impl Scheduler<'_> {
    /// Returns what the keys of each target led to.
    pub(super) fn keyed(&self) -> Result<Vec<Vec<KeyedLayer>>, SolveError> {
        let targets = self.job.targets.iter();
        targets.map(|target| self.keyed_of(*target)).collect()
    }

    fn keyed_of(&self, target: Input) -> Result<Vec<KeyedLayer>, SolveError> {
        let mut keyed = Vec::new();
        let mut stacks = Stacks::new();
        // What is below a vertex has a lower id.
        for id in self.vertices_of(target) {
            let found = self.keyed_layer(id, &mut stacks);
            keyed.extend(found.map_err(|error| SolveError::Step {
                vertex: id,
                error: Box::new(error),
            })?);
        }
        Ok(keyed)
    }

    /// Returns the vertices of a target that are asked about.
    fn vertices_of(&self, target: Input) -> BTreeSet<VertexId> {
        let mut found = BTreeSet::new();
        let mut worklist: Vec<_> = vertex_of(target).into_iter().collect();
        while let Some(id) = worklist.pop() {
            if !found.insert(id) {
                continue;
            }
            let inputs = self.job.definition.vertex(id).inputs.iter();
            let count = match self.job.options.keyed {
                KeyedLayers::None => return BTreeSet::new(),
                KeyedLayers::OfResults => 1,
                KeyedLayers::All => inputs.len(),
            };
            worklist.extend(inputs.take(count).filter_map(|input| vertex_of(*input)));
        }
        found
    }

    /// Returns what the key of a vertex led to, if it has one and the result is there.
    fn keyed_layer(
        &self,
        id: VertexId,
        stacks: &mut Stacks,
    ) -> Result<Option<KeyedLayer>, StepError> {
        let Some(stack) = self.stack_of(id, stacks)? else {
            return Ok(None);
        };
        stacks.insert(id, stack.clone());
        let (Some(key), Some((layer, on))) = (self.machine.phase(id).key(), stack.split_top())
        else {
            return Ok(None);
        };
        if matches!(self.job.definition.vertex(id).op, Op::Source(_)) {
            return Ok(None);
        }
        let made = cache::made(self.workshop, key)?;
        let (asked, definitions) = self.other_keys(id, key);
        Ok(Some(KeyedLayer {
            key: key.clone(),
            asked,
            definitions,
            layer: Arc::clone(layer),
            on,
            made: made.unwrap_or_else(|| Clock::System.now()),
        }))
    }

    /// Returns the keys beside the one of the result that somebody may ask for: of the result, and of its definition.
    fn other_keys(&self, id: VertexId, key: &CacheKey) -> (Vec<CacheKey>, Vec<CacheKey>) {
        let mut asked = Vec::new();
        let mut definitions: Vec<_> = self.machine.definition_of(id).into_iter().collect();
        for former in self.machine.former_keys(id) {
            let (keys, former) = match former {
                Former::Result(former) if former == key => continue,
                Former::Result(former) => (&mut asked, former),
                Former::Definition(former) => (&mut definitions, former),
            };
            if !keys.contains(former) {
                keys.push(former.clone());
            }
        }
        (asked, definitions)
    }

    /// Returns the result of a vertex, if it is there.
    fn stack_of(&self, id: VertexId, stacks: &Stacks) -> Result<Option<Stack>, StepError> {
        let vertex = self.job.definition.vertex(id);
        match (&self.slots[id.index()].output, self.machine.phase(id)) {
            (Some(Output::Files(stack)), _) => Ok(Some(stack.clone())),
            (None, Phase::Keyed { .. }) if matches!(vertex.op, Op::Source(_)) => {
                Ok(Some(Stack::scratch()))
            }
            (None, Phase::Keyed { key, .. } | Phase::Hit { key }) => {
                let below = vertex.inputs.first().and_then(|input| match input {
                    Input::Scratch => Some(Stack::scratch()),
                    Input::Vertex(below) => stacks.get(below).cloned(),
                });
                below.map_or(Ok(None), |below| self.find_unneeded(id, key, &below))
            }
            _ => Ok(None),
        }
    }

    /// Looks up a vertex of which only the key was needed: what copies from it was found without it.
    fn find_unneeded(
        &self,
        id: VertexId,
        key: &CacheKey,
        below: &Stack,
    ) -> Result<Option<Stack>, StepError> {
        if self.job.options.reuse == Reuse::No {
            return Ok(None);
        }
        let vertex = self.job.definition.vertex(id);
        let step = Step {
            job: self.job,
            workshop: self.workshop,
            vertex,
            id,
            inputs: &[Some(Output::Files(below.clone()))],
            turn: self.turn(id),
        };
        let found = cache::find(&step, key)?;
        Ok(found.map(|found| below.with_result_of(&vertex.op, found.layer)))
    }
}
