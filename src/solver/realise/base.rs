//! The layers of a base as directories.
//!
//! They are read side by side, each into a directory of its own. What a layer says about things below it
//! is settled from the bottom up, when all are there. A layer that says nothing about what is below is
//! kept by its diff id and shared by every base that has it; one that does is kept by its chain id.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::thread::{ScopedJoinHandle, available_parallelism};

use layer::Applied;
use rootfs::Root;
use store::{ActiveSnapshot, Claim, NameError, Snapshot, SnapshotId, SnapshotKind, SnapshotMeta};

use super::Maker;
use super::error::RealiseError;
use super::unpack::unpack;
use crate::base;
use crate::event::Event;
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
        let wanted = bases.iter().map(|(id, base)| self.unless_there(id, base));
        let wanted = wanted.collect::<Result<_, _>>()?;
        let threads = available_parallelism().map_or(2, usize::from);
        let mut directories = Vec::new();
        std::thread::scope(|scope| {
            // They are fetched in the order in which they are unpacked, and some are ahead.
            let coming = base::fetch_all(scope, self.workshop, &self.step, wanted);
            let mut running = VecDeque::new();
            for (place, (id, base)) in bases.iter().copied().enumerate() {
                coming.wait(place)?;
                if running.len() >= threads {
                    directories.extend(running.pop_front().map(joined).transpose()?);
                }
                running.push_back(scope.spawn(move || self.unpack_base(id, base)));
            }
            for thread in running {
                directories.push(joined(thread)?);
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
        let reader = base::open_layer(self.workshop, base)?;
        let name = base.digest.to_string();
        self.tell(&format!("extracting {name}"), false);
        let applied = unpack(self.workshop, &name, reader, (&base.diff_id, active.fs()))?;
        self.tell(&format!("extracting {name}"), true);
        Ok(BaseDirectory::Unpacked(Box::new(Unpacked {
            active,
            applied,
        })))
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
        let id = if unsettled.is_empty() {
            independent(base)?
        } else {
            let name = base.diff_id.to_string();
            self.settle(&name, active.fs(), (&unsettled, &mut owners), below)?;
            chain.clone()
        };
        owners::remember(self.workshop, &id, &owners)?;
        Ok(Arc::new(active.commit(&id, meta)?.fs))
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
        let step = self.step.clone();
        self.workshop.events.emit(Event::Progress {
            step,
            what: what.to_owned(),
            done,
        });
    }
}

/// Waits for a thread.
fn joined(
    thread: ScopedJoinHandle<'_, Result<BaseDirectory, RealiseError>>,
) -> Result<BaseDirectory, RealiseError> {
    match thread.join() {
        Ok(made) => made,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn base_of<'a>(layer: &'a &Arc<StackLayer>) -> Option<(&'a SnapshotId, &'a BaseLayer)> {
    match &layer.held {
        Held::Base(base) => Some((&layer.id, base)),
        Held::Stored | Held::Recipe(_) | Held::Remote(_) => None,
    }
}

/// Names the directory of a layer that depends on nothing below it.
fn independent(base: &BaseLayer) -> Result<SnapshotId, NameError> {
    SnapshotId::from_digest("layer", base.diff_id.digest())
}
