//! Results of builds that were made elsewhere: asked for when the store has none, and fetched when they are needed.
//!
//! A [`CacheBackend`] is a place that knows results. [`Imports`] asks a job's places in their order, the first time
//! when something is missing in the store: a build that finds everything there asks nobody. What is found is a layer
//! that is held as a blob elsewhere ([`RemoteLayer`]); its bytes are fetched when a command or a look-up needs its
//! files, or an output its bytes.
//!
//! Places are not trusted further than they have to be. Blobs are verified against their digests, and unpacked ones
//! against their diff ids. A layer is named by the key that led to it and by its diff id, never by a name that a place
//! gives, so that it cannot take the place of another result. What turns out to be damaged, or cannot be fetched, is
//! taken no more ([`ImportError`]): whoever carries the job out begins again, and the step is run.

mod stash;

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::io::Read;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use graph::CacheKey;
use layer::Times;
use oci::{DiffId, Digest, Hasher, MediaType, Reference, Timestamp};
use store::{BlobSource as _, ClaimName, NameError, ObjectId, Presence, RecordError, SnapshotId};

use crate::cancel::Cancellable;
use crate::counted::{Count, Counted};
use crate::error::StepError;
use crate::event::StepId;
use crate::footing;
use crate::job::Workshop;
use crate::pack::{self, LayerBlob, PackLayerError};
use crate::result::{Held, StackLayer};
use crate::stash::Stash;

pub(crate) use stash::RemoteStash;

/// How many layers of a place may be of no use before nothing more is taken from it.
const FAILURES_MAX: usize = 3;

/// How much of a layer is read at once while it is verified.
const BUFFER_BYTES: usize = 64 * 1024;

/// How many layers are fetched at the same time.
const PARALLEL: usize = 4;

/// Why a place cannot give what it is asked for: its own error, whose text says what was tried and where.
pub type BackendError = Box<dyn Error + Send + Sync>;

/// A place that has results of other builds.
pub trait CacheBackend: fmt::Debug + Send + Sync {
    /// Returns the place as messages name it.
    fn shown(&self) -> String;

    /// Finds out what the place knows. It is called once, before the first question, maybe beside others. A place that
    /// cannot be read, or has nothing, says so in an event, and knows nothing.
    fn load(&self, workshop: &Workshop);

    /// Returns what a key led to.
    fn find(&self, key: &CacheKey) -> Option<ImportedLayer>;

    /// Returns the content key that a definition led to.
    fn find_alias(&self, definition: &CacheKey) -> Option<CacheKey>;

    /// Returns what the place has of a cache mount, whose `name` is the digest of all that tells it from others.
    fn find_stash(&self, name: &Digest) -> Option<Stash> {
        let _ = name;
        None
    }

    /// Opens a blob from its beginning. Who reads it verifies it.
    ///
    /// # Errors
    ///
    /// Fails when the place does not give it.
    fn open(
        &self,
        workshop: &Workshop,
        blob: &LayerBlob,
    ) -> Result<Box<dyn Read + Send>, BackendError>;

    /// Returns the repository of a registry that has the blobs, if the place is one: another repository there can take
    /// them from it.
    fn repository(&self) -> Option<Reference> {
        None
    }
}

/// A layer that a place knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedLayer {
    /// Its blob.
    pub blob: LayerBlob,
    /// What was done to the times of its files when it was packed.
    pub times: Times,
    /// When it was made, as images tell it.
    pub created: Timestamp,
    /// When it was made.
    pub made: Timestamp,
    /// The results of commands that it stood on ([`crate::digest_of_commands`]); none if there were none.
    pub on: Option<Digest>,
    /// The key of an earlier result that is the same, by which what stands on it is found.
    pub earlier: Option<CacheKey>,
}

/// What is looked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Since when it must have been made.
    pub(crate) oldest: Option<Timestamp>,
    /// What it must have stood on.
    pub(crate) on: On,
}

/// What a result must have stood on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// That is not known yet, or does not matter.
    Anything,
    /// These results of commands, or none.
    This(Option<Digest>),
}

impl On {
    fn is(&self, other: Option<&Digest>) -> bool {
        match self {
            Self::Anything => true,
            Self::This(on) => on.as_ref() == other,
        }
    }
}

/// What a key led to elsewhere.
#[derive(Debug)]
pub(crate) struct Imported {
    pub(crate) layer: StackLayer,
    /// When it was made.
    pub(crate) made: Timestamp,
    /// What it stood on.
    pub(crate) on: Option<Digest>,
    /// The key of an earlier result that is the same.
    pub(crate) earlier: Option<CacheKey>,
}

/// A layer that is a blob elsewhere.
#[derive(Debug, Clone)]
pub struct RemoteLayer {
    /// What it is.
    pub layer: ImportedLayer,
    /// The name of its directory.
    id: SnapshotId,
    place: Arc<Place>,
}

/// A layer of a cache is of no use.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the layer `{digest}` of the cache `{shown}`")]
pub struct ImportError {
    /// The blob.
    pub digest: Digest,
    /// The place.
    pub shown: String,
    /// Why.
    source: BackendError,
}

impl ImportError {
    /// Returns the error of a layer of a cache that is behind another error.
    pub fn behind<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        fetch::nearest_cause(error)
    }
}

/// The places that a job imports from, in the order in which they are asked.
#[derive(Debug, Clone, Default)]
pub struct Imports {
    places: Vec<Arc<Place>>,
    loaded: Arc<OnceLock<()>>,
}

/// A place, with what of it turned out to be of no use.
#[derive(Debug)]
struct Place {
    backend: Arc<dyn CacheBackend>,
    /// Threads that fetch add to it while others look things up.
    useless: Mutex<BTreeSet<Digest>>,
}

impl Place {
    fn takes(&self, digest: &Digest) -> bool {
        let useless = self.useless.lock().unwrap_or_else(PoisonError::into_inner);
        useless.len() < FAILURES_MAX && !useless.contains(digest)
    }

    /// Returns the key of the earlier result that a layer is, as long as it leads to the same there.
    fn same_as(&self, layer: &ImportedLayer) -> Option<CacheKey> {
        let earlier = layer.earlier.as_ref()?;
        let there = self.backend.find(earlier)?;
        let is_same = there.blob == layer.blob && there.on == layer.on;
        is_same.then(|| earlier.clone())
    }

    fn give_up(&self, digest: &Digest) {
        let mut useless = self.useless.lock().unwrap_or_else(PoisonError::into_inner);
        useless.insert(digest.clone());
    }
}

impl Imports {
    /// Makes it; nobody is asked yet.
    pub fn new(backends: Vec<Arc<dyn CacheBackend>>) -> Self {
        let place = |backend| {
            Arc::new(Place {
                backend,
                useless: Mutex::default(),
            })
        };
        Self {
            places: backends.into_iter().map(place).collect(),
            loaded: Arc::default(),
        }
    }

    /// Tells whether there is nobody to ask.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Returns what a key led to elsewhere.
    pub(crate) fn find(
        &self,
        workshop: &Workshop,
        key: &CacheKey,
        wanted: &Wanted,
    ) -> Result<Option<Imported>, StepError> {
        let Some(times) = wanted_times(workshop).filter(|_| !self.is_empty()) else {
            return Ok(None);
        };
        self.load(workshop);
        let counts = |layer: &ImportedLayer| {
            let stood_on_it = wanted.on.is(layer.on.as_ref());
            let is_new = Some(layer.made) >= wanted.oldest;
            layer.times == times && is_new && stood_on_it && is_readable(&layer.blob)
        };
        let found = self.places.iter().find_map(|place| {
            let layer = place.backend.find(key).filter(counts)?;
            let is_taken = place.takes(&layer.blob.digest);
            is_taken.then(|| (Arc::clone(place), layer))
        });
        let Some((place, layer)) = found else {
            return Ok(None);
        };
        let blob = ObjectId::Blob(layer.blob.digest.clone());
        workshop.lease.add(&blob)?;
        let (made, on) = (layer.made, layer.on.clone());
        let earlier = place.same_as(&layer);
        let id = directory_of(earlier.as_ref().unwrap_or(key), &layer.blob)?;
        footing::remember_tar(workshop, &id, (&layer.blob.diff_id, times))?;
        let remote = RemoteLayer { layer, id, place };
        Ok(Some(Imported {
            layer: remote.into_stack_layer(),
            made,
            on,
            earlier,
        }))
    }

    /// Returns the content keys that a definition led to elsewhere.
    pub(crate) fn find_aliases(&self, workshop: &Workshop, definition: &CacheKey) -> Vec<CacheKey> {
        if self.is_empty() {
            return Vec::new();
        }
        self.load(workshop);
        let found = |place: &Arc<Place>| place.backend.find_alias(definition);
        self.places.iter().filter_map(found).collect()
    }

    /// Lets every place find out what it knows, side by side, once.
    fn load(&self, workshop: &Workshop) {
        self.loaded.get_or_init(|| {
            thread::scope(|scope| {
                for place in &self.places {
                    scope.spawn(|| place.backend.load(workshop));
                }
            });
        });
    }
}

/// Returns what happens to the times of files in all outputs of a job; none if they differ, since a layer of a cache is
/// what it is.
pub(crate) fn wanted_times(workshop: &Workshop) -> Option<Times> {
    let mut plans = workshop.pack.iter().map(|plan| plan.times);
    let first = plans.next().unwrap_or_default();
    plans.all(|times| times == first).then_some(first)
}

/// Tells whether it is compressed in a way that is understood.
fn is_readable(blob: &LayerBlob) -> bool {
    let media_type = MediaType::parse(&blob.media_type);
    media_type.layer_compression().is_some()
}

/// Names a layer by what led to it and what it is. Its files may depend on those below it, which are others for another
/// key.
fn directory_of(key: &CacheKey, blob: &LayerBlob) -> Result<SnapshotId, NameError> {
    let name = Digest::of(format!("import\0{key}\0{}", blob.diff_id).as_bytes());
    SnapshotId::from_digest("import", &name)
}

impl RemoteLayer {
    fn into_stack_layer(self) -> StackLayer {
        StackLayer {
            id: self.id.clone(),
            created: Some(self.layer.created),
            held: Held::Remote(self),
        }
    }

    /// Returns the blob.
    pub fn blob(&self) -> &LayerBlob {
        &self.layer.blob
    }

    /// Returns the repository that has the blob.
    pub fn repository(&self) -> Option<Reference> {
        self.place.backend.repository()
    }

    /// Says that the layer is of no use, and takes it no more. The end of the job says nothing of it.
    pub(crate) fn useless<E: Into<BackendError>>(
        &self,
        workshop: &Workshop,
        error: E,
    ) -> ImportError {
        let digest = self.blob().digest.clone();
        if !workshop.cancel.is_cancelled() {
            self.place.give_up(&digest);
        }
        ImportError {
            digest,
            shown: self.place.backend.shown(),
            source: error.into(),
        }
    }

    /// Makes sure that the store has the blob, that it is the tar that it should be, and that the store knows it as this
    /// layer. A display is told under the identity of the step, if there is one.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be fetched, is another one, or cannot be kept.
    pub fn bring(&self, workshop: &Workshop, step: Option<&StepId>) -> Result<(), ImportError> {
        self.fetch(workshop, step)?;
        let known = || -> Result<(), BackendError> {
            if pack::find_any(workshop, &self.id)?.is_none() {
                self.verify(workshop)?;
                self.remember_packed(workshop)?;
            }
            Ok(())
        };
        known().map_err(|error| self.useless(workshop, error))
    }

    /// Makes sure that the store has the blob. What it unpacks to is not looked at: who unpacks it does.
    pub(crate) fn fetch(
        &self,
        workshop: &Workshop,
        step: Option<&StepId>,
    ) -> Result<(), ImportError> {
        let fetched = self.fetched(workshop, step);
        fetched.map_err(|error| self.useless(workshop, error))
    }

    fn verify(&self, workshop: &Workshop) -> Result<(), BackendError> {
        let LayerBlob {
            digest,
            size_bytes,
            diff_id,
            ..
        } = self.blob();
        let blob = workshop.store.content().open_blob(digest, *size_bytes)?;
        let mut tar = workshop
            .decoders
            .decompressor(Cancellable::new(blob, &workshop.cancel))?;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let count = tar.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
        }
        let found = DiffId::new(hasher.finish());
        if found != *diff_id {
            return Err(PackLayerError::WrongDiffId {
                expected: diff_id.clone(),
                found,
            }
            .into());
        }
        Ok(())
    }

    fn fetched(&self, workshop: &Workshop, step: Option<&StepId>) -> Result<(), BackendError> {
        if self.is_there(workshop)? {
            return Ok(());
        }
        let LayerBlob {
            digest, size_bytes, ..
        } = self.blob();
        // The name that a base's layer has while it is fetched: it may be the same one.
        let key = Digest::of(format!("fetch\0{digest}").as_bytes());
        let cancelled = || workshop.cancel.is_cancelled();
        let claims = workshop.store.claims();
        let claim = claims.exclusive_or(ClaimName::Key(&key), &cancelled)?;
        let _claim = claim.ok_or(StepError::Cancelled)?;
        if self.is_there(workshop)? {
            return Ok(());
        }
        self.tell(workshop, step, false);
        let blob = Cancellable::new(
            self.place.backend.open(workshop, self.blob())?,
            &workshop.cancel,
        );
        let content = workshop.store.content();
        let what = format!("fetching {digest}");
        let mut count = Count::new(&workshop.events, step, what, Some(*size_bytes));
        let counted = Counted::new(blob, &mut count);
        content.copy_in(&workshop.lease, (digest, *size_bytes), counted)?;
        self.tell(workshop, step, true);
        Ok(())
    }

    /// Remembers that the layer is packed in those ways of the job that the blob has. It must be verified.
    pub(crate) fn remember_packed(&self, workshop: &Workshop) -> Result<(), RecordError> {
        for plan in &workshop.pack {
            if self.layer.times == plan.times && plan.takes(&self.blob().media_type) {
                pack::remember_packed(workshop, &self.id, plan, self.blob())?;
            }
        }
        Ok(())
    }

    fn is_there(&self, workshop: &Workshop) -> Result<bool, BackendError> {
        let blob = ObjectId::Blob(self.blob().digest.clone());
        Ok(workshop.lease.hold(&blob)? == Presence::Present)
    }

    fn tell(&self, workshop: &Workshop, step: Option<&StepId>, done: bool) {
        let Some(step) = step else { return };
        let what = format!("fetching {}", self.blob().digest);
        workshop.events.progress(step, what, done);
    }

    /// Opens the blob, which is fetched first; what is read is verified.
    pub(crate) fn open(
        &self,
        workshop: &Workshop,
        step: Option<&StepId>,
    ) -> Result<Box<dyn Read + Send>, ImportError> {
        self.fetch(workshop, step)?;
        let LayerBlob {
            digest, size_bytes, ..
        } = self.blob();
        match workshop.store.content().open_blob(digest, *size_bytes) {
            Ok(blob) => Ok(Box::new(blob)),
            Err(error) => Err(self.useless(workshop, error)),
        }
    }
}

/// Makes sure that the store has the blobs of layers, several at a time.
pub(crate) fn bring_all(
    workshop: &Workshop,
    step: &StepId,
    layers: &[&StackLayer],
) -> Result<(), ImportError> {
    for some in layers.chunks(PARALLEL) {
        thread::scope(|scope| {
            let fetch = |layer: &&StackLayer| match &layer.held {
                Held::Remote(remote) => remote.fetch(workshop, Some(step)),
                Held::Base(_) | Held::Stored | Held::Recipe(_) => Ok(()),
            };
            let fetching: Vec<_> = some
                .iter()
                .map(|layer| scope.spawn(move || fetch(layer)))
                .collect();
            fetching
                .into_iter()
                .try_for_each(|thread| match thread.join() {
                    Ok(brought) => brought,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
        })?;
    }
    Ok(())
}
