//! Which layers an image has, and their blobs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::{ScopedJoinHandle, available_parallelism};

use solver::pack::PackLayerError;
use solver::result::{Held, StackLayer};
use solver::{LayerBlob, PackPlan, PlatformResult, Stack, pack_layer, pack_squashed};

use crate::exporter::{ExportError, ExportStep};
use crate::output::Squash;

/// How many layers are packed at the same time at most. A large one uses all processors by itself, and each takes memory
/// for what they are at.
const LAYERS_AT_ONCE: usize = 4;

/// A layer of an image.
#[derive(Debug, Clone)]
pub(super) enum Part {
    /// One of the stack.
    Layer(Arc<StackLayer>),
    /// All of the stack but the first ones, as one.
    Squashed {
        /// The stack.
        stack: Stack,
        /// How many stay below.
        kept: usize,
    },
}

impl Part {
    /// Returns what tells it from others.
    fn key(&self) -> String {
        match self {
            Self::Layer(layer) => layer.id.to_string(),
            Self::Squashed { stack, kept } => {
                let ids = stack.layers().iter().map(|layer| layer.id.as_str());
                let ids: Vec<_> = ids.collect();
                format!("{kept} {}", ids.join(" "))
            }
        }
    }

    fn pack(&self, step: &ExportStep<'_>, plan: &PackPlan) -> Result<LayerBlob, ExportError> {
        match self {
            Self::Layer(layer) => Ok(pack_layer(step.workshop, &step.id, layer, plan)?),
            Self::Squashed { stack, kept } => {
                let stack = (stack, *kept);
                Ok(pack_squashed(step.workshop, &step.id, stack, plan)?)
            }
        }
    }
}

/// Tells whether a layer is the base's.
pub(super) fn is_base(layer: &Arc<StackLayer>) -> bool {
    matches!(layer.held, Held::Base(_))
}

/// Returns the layers of an image, the lowest first. One layer alone stays what it is.
pub(super) fn parts(platform: &PlatformResult, squash: Squash) -> Vec<Part> {
    let stack = &platform.stack;
    let layers = stack.layers();
    let kept = match squash {
        Squash::None => layers.len(),
        Squash::New => layers.iter().take_while(|layer| is_base(layer)).count(),
        Squash::All => 0,
    };
    if layers.len() - kept < 2 {
        return layers.iter().cloned().map(Part::Layer).collect();
    }
    let below = layers[..kept].iter().cloned().map(Part::Layer);
    let above = Part::Squashed {
        stack: stack.clone(),
        kept,
    };
    below.chain([above]).collect()
}

/// The blob of each layer.
#[derive(Debug)]
pub(super) struct Packed(BTreeMap<String, LayerBlob>);

impl Packed {
    /// Returns the blob of a layer.
    pub(super) fn blob_of(&self, part: &Part) -> Result<&LayerBlob, ExportError> {
        let found = self.0.get(&part.key());
        found.ok_or_else(|| match part {
            Part::Layer(layer) => gone(layer),
            Part::Squashed { stack, kept } => gone(&stack.layers()[*kept]),
        })
    }
}

fn gone(layer: &Arc<StackLayer>) -> ExportError {
    let layer = layer.id.clone();
    PackLayerError::Gone { layer }.into()
}

/// Packs layers, several side by side: a small one need not wait for a large one.
pub(super) fn pack_all<'p>(
    parts: impl Iterator<Item = &'p Part>,
    step: &ExportStep<'_>,
    plan: &PackPlan,
) -> Result<Packed, ExportError> {
    let parts: BTreeMap<String, &Part> = parts.map(|part| (part.key(), part)).collect();
    let parts: Vec<_> = parts.into_iter().collect();
    let cores = available_parallelism().map_or(2, usize::from);
    let mut packed = BTreeMap::new();
    for batch in parts.chunks(cores.clamp(1, LAYERS_AT_ONCE)) {
        step.check_cancelled()?;
        packed.extend(pack_batch(batch, step, plan)?);
    }
    Ok(Packed(packed))
}

fn pack_batch(
    batch: &[(String, &Part)],
    step: &ExportStep<'_>,
    plan: &PackPlan,
) -> Result<BTreeMap<String, LayerBlob>, ExportError> {
    std::thread::scope(|scope| {
        let spawn = |(key, part): &(String, &Part)| {
            let (key, part) = (key.clone(), (*part).clone());
            scope.spawn(move || part.pack(step, plan).map(|blob| (key, blob)))
        };
        let threads: Vec<_> = batch.iter().map(spawn).collect();
        let join = |thread: ScopedJoinHandle<'_, _>| match thread.join() {
            Ok(packed) => packed,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        threads.into_iter().map(join).collect()
    })
}
