//! The layers of a base as directories.
//!
//! They are read side by side, each into a directory of its own. What a layer says about things below it
//! is settled from the bottom up, when all are there. A layer that says nothing about what is below is
//! kept by its diff id and shared by every base that has it; one that does is kept by its chain id.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;
use std::thread::{ScopedJoinHandle, available_parallelism};

use layer::Applied;
use rootfs::Root;
use store::{ActiveSnapshot, NameError, Snapshot, SnapshotId, SnapshotKind, SnapshotMeta};

use super::Maker;
use super::error::RealiseError;
use super::pile::Pile;
use super::unpack::unpack;
use crate::base::{self, ArrivingBlob, Awaited};
use crate::counted::{Count, Counted};
use crate::owners;
use crate::result::{BaseLayer, Held, StackLayer};

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

impl Maker<'_> {
    /// Returns the directories of a base's layers.
    pub(super) fn base(&self, layers: &[&Arc<StackLayer>]) -> Result<Vec<Arc<Root>>, RealiseError> {
        if let Some(roots) = self.base_that_is_there(layers)? {
            return Ok(roots);
        }
        let bases: Vec<_> = layers.iter().filter_map(|layer| base_of(layer)).collect();
        let _claims = self.claims(bases.iter().map(|(_, base)| *base))?;
        let unpacked = self.unpack_all(&bases)?;
        self.settle_all(&bases, unpacked)
    }

    /// Returns the directories of layers of a base if all of them are there.
    pub(super) fn base_that_is_there(
        &self,
        layers: &[&Arc<StackLayer>],
    ) -> Result<Option<Vec<Arc<Root>>>, RealiseError> {
        let bases = layers.iter().filter_map(|layer| base_of(layer));
        let found = bases.map(|(id, base)| self.open_base(id, base));
        let found: Vec<_> = found.collect::<Result<_, _>>()?;
        let roots = found.into_iter().map(|found| Some(Arc::new(found?.fs)));
        Ok(roots.collect())
    }

    /// Unpacks the layers that are not there, side by side.
    fn unpack_all(
        &self,
        bases: &[(&SnapshotId, &BaseLayer)],
    ) -> Result<Vec<BaseDirectory>, RealiseError> {
        let wanted = bases.iter().map(|(id, base)| self.unless_there(id, base));
        let wanted = wanted.collect::<Result<_, _>>()?;
        let threads = available_parallelism().map_or(2, usize::from);
        let mut directories = Vec::new();
        std::thread::scope(|scope| {
            // They are fetched in the order in which they are unpacked, and some are ahead.
            let coming = base::fetch_all(scope, self.workshop, &self.step, wanted);
            let ended = |unpacking| ended(&coming, unpacking);
            let mut running = VecDeque::new();
            for (place, (id, base)) in bases.iter().copied().enumerate() {
                let arriving = coming.begun(place);
                if arriving.is_none() {
                    coming.wait(place)?;
                }
                if running.len() >= threads {
                    directories.extend(running.pop_front().map(ended).transpose()?);
                }
                let unpack = move || self.unpack_base(place, (id, base), arriving);
                running.push_back((place, scope.spawn(unpack)));
            }
            for unpacking in running {
                directories.push(ended(unpacking)?);
            }
            Ok(directories)
        })
    }

    /// Returns a layer unless its directory is there.
    fn unless_there(
        &self,
        id: &SnapshotId,
        base: &BaseLayer,
    ) -> Result<Option<BaseLayer>, RealiseError> {
        let found = self.open_base(id, base)?;
        Ok(found.is_none().then(|| base.clone()))
    }

    /// Unpacks a layer, from what arrives if it does.
    fn unpack_base(
        &self,
        place: usize,
        (id, base): (&SnapshotId, &BaseLayer),
        arriving: Option<ArrivingBlob>,
    ) -> Result<BaseDirectory, RealiseError> {
        if let Some(snapshot) = self.open_base(id, base)? {
            return Ok(BaseDirectory::There(snapshot));
        }
        let active = self
            .workshop
            .store
            .snapshots()
            .prepare(&self.workshop.lease)?;
        let reader: Box<dyn Read + Send> = match arriving {
            Some(blob) => Box::new(blob),
            None => base::open_layer(self.workshop, base)?,
        };
        let name = base.digest.to_string();
        let what = format!("extracting {name}");
        let (total, events) = (Some(base.size_bytes), &self.workshop.events);
        let (_work, step) = base.shown(Some(&self.step), (events, &self.workshop.cancel));
        let tell = |done| step.map_or((), |step| events.progress(step, &*what, done));
        tell(false);
        let count = Count::new(events, step, what.clone(), total);
        let reader = Box::new(Counted::new(reader, count));
        let applied = unpack(self.workshop, &name, reader, (&base.diff_id, active.fs()))?;
        tell(true);
        let unpacked = Unpacked { active, applied };
        if unpacked.applied.unsettled.is_empty() && (place == 0 || !unpacked.applied.root_is_opaque)
        {
            // Nothing below matters, so that the disk is busy with this one while others are unpacked.
            let complete = self.complete(id, base, unpacked, &[])?;
            return Ok(BaseDirectory::There(complete));
        }
        Ok(BaseDirectory::Unpacked(Box::new(unpacked)))
    }

    /// Settles what layers say about those below them, from the bottom up, and completes them.
    fn settle_all(
        &self,
        bases: &[(&SnapshotId, &BaseLayer)],
        directories: Vec<BaseDirectory>,
    ) -> Result<Vec<Arc<Root>>, RealiseError> {
        let mut roots: Vec<Arc<Root>> = Vec::new();
        let mut below = Pile::default();
        for ((chain, base), directory) in bases.iter().zip(directories) {
            let root = match directory {
                BaseDirectory::There(snapshot) => Arc::new(snapshot.fs),
                BaseDirectory::Unpacked(unpacked) => {
                    let complete = self.complete(chain, base, *unpacked, &below.roots())?;
                    Arc::new(complete.fs)
                }
            };
            self.put(&mut below, chain, vec![Arc::clone(&root)])?;
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
    ) -> Result<Snapshot, RealiseError> {
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
        let meta = SnapshotMeta {
            blob: unsettled.is_empty().then(|| base.digest.clone()),
            description: Some(format!("an unpacked layer of `{}`", base.image.name)),
            ..SnapshotMeta::of(SnapshotKind::Layer)
        };
        let id = if unsettled.is_empty() {
            independent(base)?
        } else {
            let name = base.diff_id.to_string();
            self.settle(&name, active.fs(), (&unsettled, &mut owners), below)?;
            chain.clone()
        };
        owners::remember(self.workshop, &id, &owners)?;
        Ok(active.commit(&id, meta)?)
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

    pub(super) fn tell(&self, what: &str, done: bool) {
        self.workshop.events.progress(&self.step, what, done);
    }
}

/// A layer that a thread unpacks, with its place.
type Unpacking<'scope> = (
    usize,
    ScopedJoinHandle<'scope, Result<BaseDirectory, RealiseError>>,
);

/// Waits for a thread. What did not arrive could not be unpacked, and why it did not is what is told.
fn ended(coming: &Awaited, (place, thread): Unpacking<'_>) -> Result<BaseDirectory, RealiseError> {
    let made = match thread.join() {
        Ok(made) => made,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    if made.is_err() && coming.has_failed(place) {
        coming.wait(place)?;
    }
    made
}

fn base_of<'a>(layer: &'a &Arc<StackLayer>) -> Option<(&'a SnapshotId, &'a BaseLayer)> {
    match &layer.held {
        Held::Base(base) => Some((&layer.id, base)),
        Held::Stored | Held::Recipe(_) | Held::Remote(_) => None,
    }
}

/// Names the directory of a layer that depends on nothing below it.
pub(super) fn independent(base: &BaseLayer) -> Result<SnapshotId, NameError> {
    SnapshotId::from_digest("layer", base.diff_id.digest())
}
