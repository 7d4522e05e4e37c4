//! Layers of a registry's images → the store, each verified, and none that is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;

use fetch::ClientError;
use graph::ImageOrigin;
use oci::{Digest, Reference, descriptor};
use registry::{Access, RegistryError};
use rootfs::File;
use store::{ClaimError, ClaimName, IngestError, LeaseError, ObjectId, Presence};

use super::BaseError;
use super::arriving::{Arrival, ArrivingBlob, End, Ending};
use crate::cancel::Cancellable;
use crate::counted::{Count, Counted};
use crate::event::StepId;
use crate::job::Workshop;
use crate::registries::Pulling;
use crate::result::BaseLayer;

/// How many layers of an image are fetched at the same time.
const PARALLEL: usize = 4;

/// Why a layer cannot be brought into the store.
#[derive(Debug, thiserror::Error)]
pub enum FetchLayerError {
    /// The job was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// No registry may be asked.
    #[error("it is not in the store, and `--pull=never` forbids to ask a registry")]
    Forbidden,
    /// The registry does not give it.
    #[error(transparent)]
    Registry(Box<RegistryError>),
    /// It cannot be claimed.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// It cannot be kept alive.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// It cannot be read to its end, or not be written.
    #[error(transparent)]
    Ingest(#[from] IngestError),
}

/// Makes sure that the store has a layer, if it is one of a registry's image. A display is told under the identity of
/// the step, if there is one.
///
/// # Errors
///
/// Fails when it cannot be fetched.
pub fn bring(
    workshop: &Workshop,
    layer: &BaseLayer,
    step: Option<&StepId>,
) -> Result<(), BaseError> {
    bring_watched(workshop, layer, step, &Arrival::default())
}

/// As [`bring`], with somebody who may read the layer meanwhile.
fn bring_watched(
    workshop: &Workshop,
    layer: &BaseLayer,
    step: Option<&StepId>,
    arrival: &Arrival,
) -> Result<(), BaseError> {
    let ImageOrigin::Registry { repository } = &layer.image.origin else {
        return Ok(());
    };
    let fetching = Fetching {
        workshop,
        layer,
        step,
        arrival,
    };
    let brought = match fetching.bring(repository) {
        Err(Failed::Client(error)) => return Err(BaseError::Client(error)),
        Err(Failed::Layer(error)) => Err(error),
        Ok(()) => Ok(()),
    };
    brought.map_err(|source| BaseError::Fetch {
        name: layer.image.name.clone(),
        digest: layer.digest.clone(),
        source,
    })
}

/// Makes sure that the store has layers, several at a time.
///
/// # Errors
///
/// Fails with the first one that cannot be fetched.
pub fn bring_all(
    workshop: &Workshop,
    step: &StepId,
    layers: Vec<BaseLayer>,
) -> Result<(), BaseError> {
    let count = layers.len();
    std::thread::scope(|scope| {
        let layers = layers.into_iter().map(Some).collect();
        let coming = fetch_all(scope, workshop, step, layers);
        (0..count).try_for_each(|place| coming.wait(place))
    })
}

/// What came of a layer.
type Brought = Result<(), BaseError>;

/// Layers that are on their way, each with who waits for it. What nobody began to fetch when it is dropped is not
/// fetched.
pub(crate) struct Awaited {
    brought: Vec<Receiver<Brought>>,
    work: Arc<Work>,
}

impl Awaited {
    /// Waits for one of the layers, by its place. Each is waited for once.
    pub(crate) fn wait(&self, place: usize) -> Result<(), BaseError> {
        match self.brought.get(place).map(Receiver::recv) {
            Some(Ok(brought)) => brought,
            // It is not one of a registry's, or the thread is gone: who opens it says what is wrong.
            Some(Err(_)) | None => Ok(()),
        }
    }

    /// Waits until one of the layers begins to arrive, and returns a reader of it; `None` where there is nothing to
    /// wait for any more, or never was.
    pub(crate) fn begun(&self, place: usize) -> Option<ArrivingBlob> {
        let is_awaited = !self.brought.is_empty();
        let awaited = self.work.layers.get(place).filter(|_| is_awaited);
        awaited.and_then(|awaited| awaited.arrival.begun())
    }

    /// Tells whether fetching one of the layers failed.
    pub(crate) fn has_failed(&self, place: usize) -> bool {
        let awaited = self.work.layers.get(place);
        awaited.is_some_and(|awaited| awaited.arrival.has_failed())
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.work.next.store(usize::MAX / 2, Ordering::Relaxed);
    }
}

/// What is to be fetched.
struct Work {
    workshop: Workshop,
    step: StepId,
    layers: Vec<AwaitedLayer>,
    /// The first one that nobody has begun.
    next: AtomicUsize,
}

/// A layer with who waits for it.
struct AwaitedLayer {
    /// The layer; none where nothing is needed.
    layer: Option<BaseLayer>,
    /// Who wants to know what came of it.
    sender: Sender<Brought>,
    /// Who reads it meanwhile.
    arrival: Arc<Arrival>,
}

/// Fetches layers side by side, the first ones first, on threads of a scope. Places without a layer need nothing.
pub(crate) fn fetch_all<'scope>(
    scope: &'scope Scope<'scope, '_>,
    workshop: &Workshop,
    step: &StepId,
    layers: Vec<Option<BaseLayer>>,
) -> Awaited {
    let wanted = layers.iter().flatten().filter(|layer| is_remote(layer));
    let threads = wanted.count().min(PARALLEL);
    let (layers, brought) = layers
        .into_iter()
        .map(|layer| {
            let (sender, receiver) = channel();
            let awaited = AwaitedLayer {
                layer,
                sender,
                arrival: Arc::default(),
            };
            (awaited, receiver)
        })
        .unzip();
    let work = Arc::new(Work {
        workshop: workshop.clone(),
        step: step.clone(),
        layers,
        next: AtomicUsize::new(0),
    });
    if threads == 0 {
        // Nobody is to wait for what nobody does.
        return Awaited {
            brought: Vec::new(),
            work,
        };
    }
    for _ in 0..threads {
        let work = Arc::clone(&work);
        scope.spawn(move || work.run());
    }
    Awaited { brought, work }
}

impl Work {
    fn run(&self) {
        while let Some(awaited) = self.layers.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let _ending = Ending(&awaited.arrival);
            let brought = match &awaited.layer {
                Some(layer) => {
                    bring_watched(&self.workshop, layer, Some(&self.step), &awaited.arrival)
                }
                None => Ok(()),
            };
            if brought.is_ok() {
                awaited.arrival.end(End::There);
            }
            // Who waited may have given up.
            drop(awaited.sender.send(brought));
        }
    }
}

fn is_remote(layer: &BaseLayer) -> bool {
    matches!(layer.image.origin, ImageOrigin::Registry { .. })
}

/// Why a layer was not brought.
enum Failed {
    Client(ClientError),
    Layer(FetchLayerError),
}

impl<E: Into<FetchLayerError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Layer(error.into())
    }
}

/// A layer that is fetched.
struct Fetching<'a> {
    workshop: &'a Workshop,
    layer: &'a BaseLayer,
    step: Option<&'a StepId>,
    arrival: &'a Arrival,
}

impl Fetching<'_> {
    fn bring(&self, repository: &Reference) -> Result<(), Failed> {
        if self.is_there()? {
            return Ok(());
        }
        if self.workshop.registries.pulling() == Pulling::Forbidden {
            return Err(FetchLayerError::Forbidden.into());
        }
        // Nobody fetches the same beside us, here or in another process.
        let key = Digest::of(format!("fetch\0{}", self.layer.digest).as_bytes());
        let cancelled = || self.workshop.cancel.is_cancelled();
        let claims = self.workshop.store.claims();
        let claim = claims.exclusive_or(ClaimName::Key(&key), &cancelled)?;
        let _claim = claim.ok_or(FetchLayerError::Cancelled)?;
        if self.is_there()? {
            return Ok(());
        }
        self.fetch(repository)
    }

    fn is_there(&self) -> Result<bool, FetchLayerError> {
        let object = ObjectId::Blob(self.layer.digest.clone());
        let there = self.workshop.lease.hold(&object)?;
        Ok(there == Presence::Present)
    }

    fn fetch(&self, repository: &Reference) -> Result<(), Failed> {
        let workshop = self.workshop;
        let BaseLayer {
            digest,
            size_bytes,
            media_type,
            ..
        } = self.layer;
        let registry = workshop.registries.usual().map_err(Failed::Client)?;
        let repository = registry.repository(repository, Access::Pull)?;
        // The store verifies what it takes.
        let descriptor = descriptor::descriptor(media_type, digest, *size_bytes);
        let blob = repository.unverified_blob(&descriptor)?;
        let (what, total) = (digest.to_string(), Some(*size_bytes));
        let (_work, step) = self
            .layer
            .shown(self.step, (&workshop.events, &workshop.cancel));
        let mut count = Count::new(&workshop.events, step, what, total);
        let told = Counted::new(Cancellable::new(blob, &workshop.cancel), &mut count);
        let content = workshop.store.content();
        let came = |file: &File, bytes| self.arrival.came(file, bytes);
        content.copy_in_watched(&workshop.lease, (digest, *size_bytes), told, came)?;
        count.end();
        Ok(())
    }
}

impl From<RegistryError> for FetchLayerError {
    fn from(error: RegistryError) -> Self {
        Self::Registry(Box::new(error))
    }
}
