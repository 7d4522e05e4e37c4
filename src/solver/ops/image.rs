//! A base image: its layers, as blobs that are not looked into yet.

use std::sync::Arc;

use graph::{ImageOrigin, ImageSource};
use oci::ChainId;
use store::{ObjectId, SnapshotId};

use crate::base::{self, BaseStep};
use crate::error::StepError;
use crate::job::Workshop;
use crate::result::{BaseLayer, Held, Output, Stack, StackLayer};
use crate::worker::Step;

/// Returns an image's files.
pub(crate) fn run(step: &Step<'_>, source: &ImageSource) -> Result<Output, StepError> {
    tell_resolved(step, source);
    let shown = BaseStep::new(step.step_id(), step.vertex.label.to_string());
    stack_shown(step.workshop, source, Some(&Arc::new(shown))).map(Output::Files)
}

/// Tells which image of a registry a name stands for, in BuildKit's words.
fn tell_resolved(step: &Step<'_>, source: &ImageSource) {
    if let (ImageOrigin::Registry { .. }, Some(pinned)) = (&source.origin, &source.pinned) {
        let what = format!("resolve {pinned}");
        step.workshop.events.progress(&step.step_id(), what, true);
    }
}

/// Returns the stack of an image's layers, which this job keeps.
///
/// # Errors
///
/// Fails when the image's documents cannot be read.
pub fn stack(workshop: &Workshop, source: &ImageSource) -> Result<Stack, StepError> {
    stack_shown(workshop, source, None)
}

fn stack_shown(
    workshop: &Workshop,
    source: &ImageSource,
    step: Option<&Arc<BaseStep>>,
) -> Result<Stack, StepError> {
    let image = base::open(workshop, source)?;
    let source = Arc::new(source.clone());
    let mut chain: Option<ChainId> = None;
    let mut layers = Vec::new();
    for (descriptor, diff_id) in image.layers {
        let next = ChainId::extend(chain.as_ref(), &diff_id);
        let id = SnapshotId::from_digest("chain", next.digest())?;
        workshop
            .lease
            .add(&ObjectId::Blob(descriptor.digest.clone()))?;
        let held = Held::Base(BaseLayer {
            image: Arc::clone(&source),
            digest: descriptor.digest,
            size_bytes: descriptor.size_bytes,
            media_type: descriptor.media_type,
            diff_id,
            step: step.cloned(),
        });
        chain = Some(next);
        layers.push(Arc::new(StackLayer {
            id,
            held,
            created: None,
        }));
    }
    Ok(Stack::from_iter(layers))
}
