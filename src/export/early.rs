//! Layers are packed and pushed while later steps of the build still run, so that little is left to do at its end.
//!
//! ```text
//! scheduler ──layer──► packing (2 threads) ──blob──► pushing (2 threads) ──► registries
//! ```
//!
//! Nothing is pushed early until a layer was packed that was not before: an image without one is most likely where it is
//! pushed to, and then the registry is asked for its name alone.
//!
//! What is done early is remembered in the store, and found there by the exporter, as the registry has what was pushed.
//! What fails is left to the exporter, which does it again and says why it cannot be done: nothing here is an error.

mod held_back;
mod pool;

use std::sync::Arc;
use std::sync::mpsc::Sender;

use oci::Digest;
use runtime::{CancelReason, CancelToken};
use solver::event::{Moved, StepId};
use solver::result::StackLayer;
use solver::{PackPlan, Workshop, pack_early};
use transport::{RegistryTarget, Target as _, Transferred};

use crate::image::LayerFile;
use crate::output::{OutputSpec, Squash};
use crate::publish::{self, lone_layer};
use held_back::HeldBack;
use pool::Pool;

/// How many layers are packed at the same time. Packing one uses several processors, and most of them are for the
/// steps that still run.
const PACKING_THREADS: usize = 2;

/// How many blobs are pushed at the same time.
const PUSHING_THREADS: usize = 2;

/// What is wanted of each layer.
#[derive(Debug)]
struct Wanted {
    plan: PackPlan,
    /// The repositories that layers packed in this way are pushed to.
    targets: Vec<RegistryTarget>,
}

/// A layer on its way to the repositories of one of those who want it.
#[derive(Debug)]
struct Packed {
    digest: Digest,
    file: LayerFile,
    wanted: usize,
}

/// Threads that pack and push layers as they are made. They end with [`EarlyLayers::finish`] or
/// [`EarlyLayers::abandon`].
#[derive(Debug)]
pub struct EarlyLayers {
    packing: Pool<Arc<StackLayer>>,
    pushing: Pool<Packed>,
    /// Ends the work of these threads alone.
    own: CancelToken,
    /// What ends the whole job.
    outer: CancelToken,
}

impl EarlyLayers {
    /// Starts them; none where no output wants layers as the build makes them.
    pub fn start(outputs: &[OutputSpec], workshop: &Workshop) -> Option<Self> {
        let own = CancelToken::create().ok()?;
        let outer = workshop.cancel.clone();
        let workshop = own_workshop(workshop, &own);
        let wanted: Arc<[Wanted]> = wanted(outputs, &workshop).into();
        if wanted.is_empty() {
            return None;
        }
        let pusher = Pusher {
            workshop: workshop.clone(),
            wanted: Arc::clone(&wanted),
        };
        let pushing = Pool::start(PUSHING_THREADS, move |packed| pusher.push(&packed));
        let packer = Packer {
            workshop,
            wanted,
            pushing: HeldBack::new(pushing.sender()),
        };
        let packing = Pool::start(PACKING_THREADS, move |layer| packer.pack(&layer));
        Some(Self {
            packing,
            pushing,
            own,
            outer,
        })
    }

    /// Returns what takes the layers.
    pub fn sender(&self) -> Sender<Arc<StackLayer>> {
        self.packing.sender()
    }

    /// Waits until all layers that came are packed and pushed. There must be no other sender any more.
    pub fn finish(self) {
        let pass_on = || {
            if let Some(reason) = self.outer.reason() {
                self.own.cancel(reason);
            }
        };
        // The threads that pack hold senders to those that push.
        self.packing.finish(pass_on);
        self.pushing.finish(pass_on);
    }

    /// Gives up what is not done: nothing will be exported. There must be no other sender any more.
    pub fn abandon(self) {
        self.own.cancel(CancelReason::Abandoned);
        self.finish();
    }
}

/// Returns what the outputs want of layers one by one, each way of packing once.
fn wanted(outputs: &[OutputSpec], workshop: &Workshop) -> Vec<Wanted> {
    let mut all: Vec<Wanted> = Vec::new();
    for output in outputs {
        let Some(image) = output.image().filter(|image| image.squash == Squash::None) else {
            continue;
        };
        let plan = image.pack_plan();
        let targets = publish::targets(output, workshop);
        match all.iter_mut().find(|wanted| wanted.plan == plan) {
            Some(wanted) => wanted.targets.extend(targets),
            None => all.push(Wanted { plan, targets }),
        }
    }
    all
}

/// Returns a workshop whose work ends with its own token.
fn own_workshop(workshop: &Workshop, cancel: &CancelToken) -> Workshop {
    let stop = cancel.clone();
    let registries = workshop
        .registries
        .hurried(Arc::new(move || stop.is_cancelled()));
    Workshop {
        cancel: cancel.clone(),
        registries: Arc::new(registries),
        ..workshop.clone()
    }
}

/// Returns what displays know this work by, which goes on beside the steps of the build.
fn step() -> StepId {
    StepId("packing and pushing layers".to_owned())
}

/// Packs layers in every way that is wanted.
#[derive(Clone)]
struct Packer {
    workshop: Workshop,
    wanted: Arc<[Wanted]>,
    pushing: HeldBack,
}

impl Packer {
    fn pack(&self, layer: &Arc<StackLayer>) {
        let step = step();
        for (place, wanted) in self.wanted.iter().enumerate() {
            if self.workshop.cancel.is_cancelled() {
                return;
            }
            match pack_early(&self.workshop, &step, layer, &wanted.plan) {
                Ok((blob, when)) => {
                    let packed = Packed {
                        file: LayerFile::of(layer, &blob),
                        digest: blob.digest,
                        wanted: place,
                    };
                    self.pushing.pass(packed, when);
                }
                Err(error) => tracing::debug!(layer = %layer.id, %error, "not packed early"),
            }
        }
    }
}

/// Pushes packed layers.
#[derive(Clone)]
struct Pusher {
    workshop: Workshop,
    wanted: Arc<[Wanted]>,
}

impl Pusher {
    fn push(&self, packed: &Packed) {
        let Packed {
            digest,
            file,
            wanted,
        } = packed;
        let targets = self.wanted.get(*wanted).map(|wanted| &wanted.targets);
        let step = step();
        let source = lone_layer(file, (&self.workshop, &step));
        for target in targets.into_iter().flatten() {
            if self.workshop.cancel.is_cancelled() {
                return;
            }
            match target.put_blob(&file.descriptor(digest), &source) {
                Ok(Transferred::Copied) => self.tell(&step, digest, Some(file.size_bytes)),
                Ok(how) => tracing::debug!(%digest, ?how, "there already"),
                Err(error) => {
                    self.tell(&step, digest, None);
                    tracing::debug!(%digest, %error, "not pushed early");
                }
            }
        }
    }

    /// Tells that a blob was pushed, or is left to the exporter.
    fn tell(&self, step: &StepId, digest: &Digest, pushed_bytes: Option<u64>) {
        let events = &self.workshop.events;
        let what = publish::pushing(digest);
        match pushed_bytes {
            Some(bytes) => {
                let (current, total) = (bytes, Some(bytes));
                events.moved(step, what, Moved { current, total }, true);
            }
            None => events.progress(step, what, true),
        }
    }
}
