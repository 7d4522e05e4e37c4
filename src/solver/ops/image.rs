//! A base image: its layers, as blobs that are not looked into yet.

use std::sync::Arc;

use graph::ImageSource;
use oci::ChainId;
use store::{ObjectId, SnapshotId};

use crate::base;
use crate::error::StepError;
use crate::result::{BaseLayer, Held, Output, Stack, StackLayer};
use crate::worker::Step;

/// Returns the stack of an image's layers.
pub(crate) fn run(step: &Step<'_>, source: &ImageSource) -> Result<Output, StepError> {
    let image = base::open(&step.workshop.store, source)?;
    let source = Arc::new(source.clone());
    let mut chain: Option<ChainId> = None;
    let mut layers = Vec::new();
    for (descriptor, diff_id) in image.layers {
        let next = ChainId::extend(chain.as_ref(), &diff_id);
        let id = SnapshotId::from_digest("chain", next.digest())?;
        step.workshop
            .lease
            .add(&ObjectId::Blob(descriptor.digest.clone()))?;
        let held = Held::Base(BaseLayer {
            image: Arc::clone(&source),
            digest: descriptor.digest,
            size_bytes: descriptor.size_bytes,
            media_type: descriptor.media_type,
            diff_id,
        });
        chain = Some(next);
        layers.push(Arc::new(StackLayer {
            id,
            held,
            created: None,
        }));
    }
    Ok(Output::Files(Stack::from_iter(layers)))
}
