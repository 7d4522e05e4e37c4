//! Directories of change sets: made when a command or a look-up needs them, and never before.
//!
//! The layers of a base are read side by side, each into a directory of its own. What a layer says about
//! things below it is settled from the bottom up, when all are there. A layer that says nothing about
//! what is below is kept by its diff id and shared by every base that has it; one that does is kept by
//! its chain id.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::thread::available_parallelism;

use layer::{Applied, ApplyError, ApplyOptions, Attributes, Limits, PlaceError, SettleError};
use oci::{DiffId, Digest, Hasher};
use rootfs::{FsError, Metadata, Owners, ResolvedUser, Root, RootPath, UserError};
use runtime::{CancelToken, KernelFeatures, OverlayError, OverlayOptions};
use store::{
    ActiveSnapshot, BlobError, BlobSource as _, Claim, ClaimError, ClaimName, NameError, Snapshot,
    SnapshotError, SnapshotId, SnapshotKind, SnapshotMeta,
};

use crate::base::{self, BaseError};
use crate::event::{Event, StepId};
use crate::job::Workshop;
use crate::owners::{self, OwnersError};
use crate::pack;
use crate::result::{BaseLayer, Held, Stack, StackLayer};

/// Why a layer could not be made a directory.
#[derive(Debug, thiserror::Error)]
pub enum RealiseError {
    /// The job was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The base cannot be read.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// A layer of a base cannot be unpacked.
    #[error("cannot unpack the layer `{layer}`")]
    Unpack {
        /// The diff id, or the name of the layer.
        layer: String,
        /// Why.
        source: ApplyError,
    },
    /// A layer of a base cannot be read.
    #[error("cannot read the layer `{layer}`")]
    Read {
        /// The diff id, or the name of the layer.
        layer: String,
        /// Why.
        source: io::Error,
    },
    /// What a layer says about those below it cannot be carried out.
    #[error("cannot put the layer `{layer}` onto those below it")]
    Settle {
        /// The diff id.
        layer: String,
        /// Why.
        source: SettleError,
    },
    /// The tar of a layer is not the one that the configuration names.
    #[error("the layer `{expected}` is damaged: it unpacks to `{found}`")]
    WrongDiffId {
        /// What the configuration says.
        expected: DiffId,
        /// What was found.
        found: DiffId,
    },
    /// A layer hides everything below it, which overlayfs cannot express at the top.
    #[error("the layer `{layer}` hides all layers below it, which is not supported yet")]
    OpaqueTop {
        /// The diff id.
        layer: DiffId,
    },
    /// The files of a copy cannot be placed.
    #[error("cannot copy the files of the layer `{layer}`")]
    Place {
        /// The layer.
        layer: SnapshotId,
        /// Why.
        source: PlaceError,
    },
    /// The blob of a layer of ours cannot be read.
    #[error("cannot read the layer `{layer}`")]
    Blob {
        /// The layer.
        layer: SnapshotId,
        /// Why.
        source: BlobError,
    },
    /// A layer is neither there as a directory nor packed.
    #[error("the layer `{layer}` is gone from the store")]
    Gone {
        /// The layer.
        layer: SnapshotId,
    },
    /// The layers cannot be seen as one file system.
    #[error("cannot put the layers together")]
    Overlay(#[from] OverlayError),
    /// A directory cannot be read or written.
    #[error("cannot read or write a layer")]
    Fs(#[from] FsError),
    /// The store failed.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The store failed.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// A name of ours is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The store failed.
    #[error(transparent)]
    Owners(#[from] OwnersError),
    /// The store failed.
    #[error(transparent)]
    Packed(#[from] Box<pack::PackLayerError>),
}

/// Returns the directories of a stack, the lowest first.
///
/// # Errors
///
/// Fails when a layer cannot be read, is damaged, or the store cannot hold it.
pub(crate) fn lowers(
    workshop: &Workshop,
    step: StepId,
    stack: &Stack,
) -> Result<Vec<Arc<Root>>, RealiseError> {
    let is_base = |layer: &&Arc<StackLayer>| matches!(layer.held, Held::Base(_));
    let base: Vec<_> = stack.layers().iter().take_while(is_base).collect();
    let maker = Maker { workshop, step };
    let mut roots = maker.base(&base)?;
    for layer in &stack.layers()[base.len()..] {
        let root = maker.layer(layer, roots.last())?;
        roots.push(root);
    }
    Ok(roots)
}

/// Returns a read-only view of a stack as one file system.
///
/// # Errors
///
/// As [`lowers`].
pub(crate) fn view(workshop: &Workshop, step: StepId, stack: &Stack) -> Result<View, RealiseError> {
    let roots = lowers(workshop, step, stack)?;
    let owners = owners::of_stack(workshop, stack)?;
    let root = (!roots.is_empty())
        .then(|| merged(&roots, workshop.features))
        .transpose()?;
    Ok(View { root, owners })
}

/// Mounts directories as one, the lowest first.
fn merged(roots: &[Arc<Root>], features: KernelFeatures) -> Result<Arc<Root>, RealiseError> {
    let top_first: Vec<_> = roots.iter().rev().map(|root| root.as_fd()).collect();
    let mount = runtime::mount_overlay(&top_first, None, OverlayOptions::default(), &features)?;
    Ok(Arc::new(Root::from_fd(mount, "/")))
}

/// A stack as one file system that is only looked at.
pub(crate) struct View {
    root: Option<Arc<Root>>,
    owners: Owners,
}

impl View {
    /// Makes a view of one directory of the store.
    pub(crate) fn of_directory(root: Arc<Root>, owners: Owners) -> Self {
        Self {
            root: Some(root),
            owners,
        }
    }

    /// Returns the file system; none if it is empty.
    pub(crate) fn root(&self) -> Option<&Arc<Root>> {
        self.root.as_ref()
    }

    /// Returns how the ids of the image are held.
    pub(crate) fn owners(&self) -> &Owners {
        &self.owners
    }

    /// Returns what is at a path; the last component is not followed.
    pub(crate) fn metadata(&self, path: &RootPath) -> Result<Option<Metadata>, FsError> {
        self.root
            .as_ref()
            .map_or(Ok(None), |root| root.metadata(path))
    }

    /// Follows the symbolic links of a path, as far as it exists.
    pub(crate) fn resolve(&self, path: &RootPath) -> Result<RootPath, FsError> {
        self.root
            .as_ref()
            .map_or_else(|| Ok(path.clone()), |root| root.resolve(path))
    }

    /// Returns the attributes of a directory; none if there is no directory at the path.
    pub(crate) fn directory(
        &self,
        path: &RootPath,
    ) -> Result<Option<Attributes>, layer::DiffError> {
        let Some(root) = &self.root else {
            return Ok(None);
        };
        layer::directory_attributes(root, path, &self.owners)
    }

    /// Looks a user up in the image's own tables.
    pub(crate) fn resolve_user(&self, user: &str) -> Result<ResolvedUser, UserError> {
        match &self.root {
            Some(root) => rootfs::resolve_user(root, user),
            None => rootfs::resolve_user_without_tables(user),
        }
    }
}

/// A layer of a base whose directory is not there yet.
struct Unpacked {
    active: ActiveSnapshot,
    applied: Applied,
}

/// A layer of a base on its way to a directory.
enum BaseDirectory {
    There(Snapshot),
    Unpacked(Box<Unpacked>),
}

struct Maker<'a> {
    workshop: &'a Workshop,
    step: StepId,
}

impl Maker<'_> {
    /// Returns the directory of a layer that is not a base's.
    fn layer(
        &self,
        layer: &StackLayer,
        below: Option<&Arc<Root>>,
    ) -> Result<Arc<Root>, RealiseError> {
        if let Some(snapshot) = self.open(&layer.id)? {
            return Ok(Arc::new(snapshot.fs));
        }
        let _claim = self.claim(&Digest::of(layer.id.as_str().as_bytes()))?;
        if let Some(snapshot) = self.open(&layer.id)? {
            return Ok(Arc::new(snapshot.fs));
        }
        let active = self
            .workshop
            .store
            .snapshots()
            .prepare(&self.workshop.lease)?;
        match &layer.held {
            Held::Recipe(changes) => {
                let owners = layer::place(changes.stream(), active.fs(), self.workshop.ids);
                let owners = owners.map_err(|source| RealiseError::Place {
                    layer: layer.id.clone(),
                    source,
                })?;
                owners::remember(self.workshop, &layer.id, &owners)?;
            }
            Held::Stored | Held::Base(_) => self.unpack_stored(layer, &active)?,
        }
        owners::inherit_top(self.workshop, active.fs(), below)?;
        let meta = SnapshotMeta::of(SnapshotKind::Files);
        Ok(Arc::new(active.commit(&layer.id, meta)?.fs))
    }

    /// Unpacks a layer of ours of which only the blob is left.
    fn unpack_stored(
        &self,
        layer: &StackLayer,
        active: &ActiveSnapshot,
    ) -> Result<(), RealiseError> {
        let gone = || RealiseError::Gone {
            layer: layer.id.clone(),
        };
        let plan = self.workshop.pack.as_ref().ok_or_else(gone)?;
        let blob = pack::find_packed(self.workshop, &layer.id, plan).map_err(Box::new)?;
        let blob = blob.ok_or_else(gone)?;
        let content = self.workshop.store.content();
        let reader = content
            .open_blob(&blob.digest, blob.size_bytes)
            .map_err(|source| RealiseError::Blob {
                layer: layer.id.clone(),
                source,
            })?;
        let name = layer.id.to_string();
        let applied = self.unpack(&name, Box::new(reader), &blob.diff_id, active.fs())?;
        Ok(owners::remember(self.workshop, &layer.id, &applied.owners)?)
    }

    /// Returns the directories of a base's layers.
    fn base(&self, layers: &[&Arc<StackLayer>]) -> Result<Vec<Arc<Root>>, RealiseError> {
        let bases: Vec<_> = layers.iter().filter_map(|layer| base_of(layer)).collect();
        let found = bases.iter().map(|(id, base)| self.open_base(id, base));
        let found: Vec<_> = found.collect::<Result<_, _>>()?;
        if let Some(roots) = found
            .into_iter()
            .map(|found| Some(Arc::new(found?.fs)))
            .collect()
        {
            return Ok(roots);
        }
        // In one order everywhere, so that two processes never wait for each other.
        let names: BTreeSet<_> = bases
            .iter()
            .map(|(_, base)| base.diff_id.digest())
            .collect();
        let claims: Result<Vec<Claim>, _> =
            names.into_iter().map(|name| self.claim(name)).collect();
        let _claims = claims?;
        let unpacked = self.unpack_all(&bases)?;
        self.settle_all(&bases, unpacked)
    }

    /// Unpacks the layers that are not there, side by side.
    fn unpack_all(
        &self,
        bases: &[(&SnapshotId, &BaseLayer)],
    ) -> Result<Vec<BaseDirectory>, RealiseError> {
        let threads = available_parallelism().map_or(2, usize::from);
        let mut directories = Vec::new();
        for batch in bases.chunks(threads) {
            let made = std::thread::scope(|scope| {
                let spawn = |(id, base)| scope.spawn(move || self.unpack_base(id, base));
                let threads: Vec<_> = batch.iter().copied().map(spawn).collect();
                let join = |thread: std::thread::ScopedJoinHandle<'_, _>| match thread.join() {
                    Ok(made) => made,
                    Err(panic) => std::panic::resume_unwind(panic),
                };
                threads.into_iter().map(join).collect::<Result<Vec<_>, _>>()
            })?;
            directories.extend(made);
        }
        Ok(directories)
    }

    fn unpack_base(
        &self,
        id: &SnapshotId,
        base: &BaseLayer,
    ) -> Result<BaseDirectory, RealiseError> {
        if let Some(snapshot) = self.open_base(id, base)? {
            return Ok(BaseDirectory::There(snapshot));
        }
        let active = self
            .workshop
            .store
            .snapshots()
            .prepare(&self.workshop.lease)?;
        let reader = base::open_layer(&self.workshop.store, base)?;
        let name = base.digest.to_string();
        self.tell(&format!("extracting {name}"), false);
        let applied = self.unpack(&name, reader, &base.diff_id, active.fs())?;
        self.tell(&format!("extracting {name}"), true);
        Ok(BaseDirectory::Unpacked(Box::new(Unpacked {
            active,
            applied,
        })))
    }

    /// Reads a blob into a directory; its tar must be the one that `diff_id` names.
    fn unpack(
        &self,
        name: &str,
        blob: Box<dyn Read + Send>,
        diff_id: &DiffId,
        target: &Root,
    ) -> Result<Applied, RealiseError> {
        let read_error = |source| RealiseError::Read {
            layer: name.to_owned(),
            source,
        };
        let blob = Cancellable {
            inner: blob,
            cancel: &self.workshop.cancel,
        };
        let tar = layer::decompressor(blob).map_err(read_error)?;
        let mut tar = Hashing {
            inner: tar,
            hasher: Hasher::new(),
        };
        let options = ApplyOptions {
            ids: self.workshop.ids,
            limits: Limits::default(),
        };
        let applied = layer::apply(&mut tar, target, &options);
        let applied = applied.map_err(|source| self.unpack_error(name, source))?;
        // What stands behind the end of the archive is part of the digest.
        io::copy(&mut tar, &mut io::sink()).map_err(read_error)?;
        let found = DiffId::new(tar.hasher.finish());
        if found != *diff_id {
            return Err(RealiseError::WrongDiffId {
                expected: diff_id.clone(),
                found,
            });
        }
        Ok(applied)
    }

    fn unpack_error(&self, name: &str, source: ApplyError) -> RealiseError {
        if self.workshop.cancel.is_cancelled() {
            return RealiseError::Cancelled;
        }
        RealiseError::Unpack {
            layer: name.to_owned(),
            source,
        }
    }

    /// Settles what layers say about those below them, from the bottom up, and completes them.
    fn settle_all(
        &self,
        bases: &[(&SnapshotId, &BaseLayer)],
        directories: Vec<BaseDirectory>,
    ) -> Result<Vec<Arc<Root>>, RealiseError> {
        let mut roots: Vec<Arc<Root>> = Vec::new();
        for ((chain, base), directory) in bases.iter().zip(directories) {
            let root = match directory {
                BaseDirectory::There(snapshot) => Arc::new(snapshot.fs),
                BaseDirectory::Unpacked(unpacked) => {
                    self.complete(chain, base, *unpacked, &roots)?
                }
            };
            roots.push(root);
        }
        Ok(roots)
    }

    fn complete(
        &self,
        chain: &SnapshotId,
        base: &BaseLayer,
        unpacked: Unpacked,
        below: &[Arc<Root>],
    ) -> Result<Arc<Root>, RealiseError> {
        let Unpacked { active, applied } = unpacked;
        let Applied {
            unsettled,
            mut owners,
            root_is_set,
            root_is_opaque,
            ..
        } = applied;
        if root_is_opaque && !below.is_empty() {
            return Err(RealiseError::OpaqueTop {
                layer: base.diff_id.clone(),
            });
        }
        if !root_is_set {
            owners::inherit_top(self.workshop, active.fs(), None)?;
        }
        let meta = SnapshotMeta::of(SnapshotKind::Layer);
        if unsettled.is_empty() || below.is_empty() {
            let id = if unsettled.is_empty() {
                independent(base)?
            } else {
                chain.clone()
            };
            owners::remember(self.workshop, &id, &owners)?;
            return Ok(Arc::new(active.commit(&id, meta)?.fs));
        }
        let below = merged(below, self.workshop.features)?;
        layer::settle(active.fs(), &below, &unsettled, &mut owners).map_err(|source| {
            RealiseError::Settle {
                layer: base.diff_id.to_string(),
                source,
            }
        })?;
        owners::remember(self.workshop, chain, &owners)?;
        Ok(Arc::new(active.commit(chain, meta)?.fs))
    }

    fn open_base(
        &self,
        chain: &SnapshotId,
        base: &BaseLayer,
    ) -> Result<Option<Snapshot>, RealiseError> {
        match self.open(&independent(base)?)? {
            Some(snapshot) => Ok(Some(snapshot)),
            None => self.open(chain),
        }
    }

    /// Takes a snapshot into this job's lease and opens it.
    fn open(&self, id: &SnapshotId) -> Result<Option<Snapshot>, RealiseError> {
        Ok(self
            .workshop
            .store
            .snapshots()
            .open(&self.workshop.lease, id)?)
    }

    /// Makes sure that nobody else, here or in another process, makes the same at the same time.
    fn claim(&self, what: &Digest) -> Result<Claim, RealiseError> {
        let cancelled = || self.workshop.cancel.is_cancelled();
        let claims = self.workshop.store.claims();
        claims
            .exclusive_or(ClaimName::Key(what), &cancelled)?
            .ok_or(RealiseError::Cancelled)
    }

    fn tell(&self, what: &str, done: bool) {
        let step = self.step.clone();
        self.workshop.events.emit(Event::Progress {
            step,
            what: what.to_owned(),
            done,
        });
    }
}

fn base_of<'a>(layer: &'a &Arc<StackLayer>) -> Option<(&'a SnapshotId, &'a BaseLayer)> {
    match &layer.held {
        Held::Base(base) => Some((&layer.id, base)),
        Held::Stored | Held::Recipe(_) => None,
    }
}

/// Names the directory of a layer that depends on nothing below it.
fn independent(base: &BaseLayer) -> Result<SnapshotId, NameError> {
    SnapshotId::from_digest("layer", base.diff_id.digest())
}

/// A reader that ends with the job.
struct Cancellable<'a> {
    inner: Box<dyn Read + Send>,
    cancel: &'a CancelToken,
}

impl Read for Cancellable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("the build was cancelled"));
        }
        self.inner.read(buffer)
    }
}

/// A reader that digests what passes.
struct Hashing<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
