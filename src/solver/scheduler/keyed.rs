//! What the keys of a job led to: what of it others can use when they have the same keys.

use std::collections::BTreeSet;
use std::sync::Arc;

use graph::{CacheKey, Input, Op, VertexId};
use oci::{Clock, Timestamp};

use super::{Scheduler, vertex_of};
use crate::cache;
use crate::error::{SolveError, StepError};
use crate::job::KeyedLayers;
use crate::result::{Output, Stack, StackLayer};
use crate::state::{Phase, Reuse};
use crate::worker::Step;

/// What a job led to.
#[derive(Debug, Clone, Default)]
pub struct Solved {
    /// The file systems of the targets, in order.
    pub stacks: Vec<Stack>,
    /// For each target, in order, what the keys of its vertices led to; as much of it as was asked for.
    pub keyed: Vec<Vec<KeyedLayer>>,
}

/// What a key led to.
#[derive(Debug, Clone)]
pub struct KeyedLayer {
    /// The key.
    pub key: CacheKey,
    /// The key of the definition, where the content of what is copied or mounted is part of the key, and the definition
    /// is known without it.
    pub definition: Option<CacheKey>,
    /// The layer.
    pub layer: Arc<StackLayer>,
    /// When it was made.
    pub made: Timestamp,
}

impl Scheduler<'_> {
    /// Returns what the keys of each target led to.
    pub(super) fn keyed(&self) -> Result<Vec<Vec<KeyedLayer>>, SolveError> {
        let targets = self.job.targets.iter();
        let keyed = targets.map(|target| {
            let vertices = self.vertices_of(*target).into_iter();
            let layers = vertices.map(|id| {
                self.keyed_layer(id).map_err(|error| SolveError::Step {
                    vertex: id,
                    error: Box::new(error),
                })
            });
            layers.filter_map(Result::transpose).collect()
        });
        keyed.collect()
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
    fn keyed_layer(&self, id: VertexId) -> Result<Option<KeyedLayer>, StepError> {
        let vertex = self.job.definition.vertex(id);
        let Some(key) = self.machine.phase(id).key() else {
            return Ok(None);
        };
        if matches!(vertex.op, Op::Source(_)) {
            return Ok(None);
        }
        let layer = match (&self.slots[id.index()].output, self.machine.phase(id)) {
            (Some(Output::Files(stack)), _) => stack.layers().last().cloned(),
            (_, Phase::Keyed { .. } | Phase::Hit { .. }) => self.find_unneeded(id, key)?,
            _ => None,
        };
        let made = cache::made(self.workshop, key)?;
        Ok(layer.map(|layer| KeyedLayer {
            key: key.clone(),
            definition: self.machine.definition_of(id),
            layer,
            made: made.unwrap_or_else(|| Clock::System.now()),
        }))
    }

    /// Looks up a vertex of which only the key was needed: what copies from it was found without it.
    fn find_unneeded(
        &self,
        id: VertexId,
        key: &CacheKey,
    ) -> Result<Option<Arc<StackLayer>>, StepError> {
        if self.job.options.reuse == Reuse::No {
            return Ok(None);
        }
        let step = Step {
            job: self.job,
            workshop: self.workshop,
            vertex: self.job.definition.vertex(id),
            id,
            inputs: &[],
            turn: self.turn(id),
        };
        Ok(cache::find(&step, key)?.map(|found| found.layer))
    }
}
