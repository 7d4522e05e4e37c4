//! Directories of change sets: made when a command or a look-up needs them, and never before.
//!
//! A directory that is there under the layer's name is taken. Else whoever makes it holds a claim on the
//! name, so that nobody makes the same beside it, and commits it when it is whole.

mod base;
mod delta;
mod error;
mod lookup;
mod pile;
mod remote;
mod unpack;
mod view;

use std::collections::BTreeSet;
use std::io::Read;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use layer::{Applied, Changes, DeferredLink, DiffError, SettleError, Unsettled};
use oci::Digest;
use rootfs::{IdStorage, OwnerTable, Root, RootPath};
use runtime::OverlayOptions;
use store::{
    ActiveSnapshot, BlobSource as _, Claim, ClaimName, Hints, Snapshot, SnapshotId, SnapshotKind,
    SnapshotMeta,
};

pub use error::RealiseError;
pub use lookup::LookupError;
pub(crate) use lookup::{Afterwards, Lookup};
pub use pile::Piles;
pub(crate) use view::View;

use self::delta::Delta;
use self::unpack::unpack;
use crate::event::StepId;
use crate::job::Workshop;
use crate::owners;
use crate::pack::{self, LayerBlob};
use crate::result::{Held, Recipe, Stack, StackLayer};

/// Asked while somebody else is waited for, who makes the same: whether to give up.
pub(crate) type IsOver<'a> = &'a (dyn Fn() -> bool + Sync);

/// Returns the directories of a stack, the lowest first.
///
/// # Errors
///
/// Fails when a layer cannot be read, is damaged, or the store cannot hold it.
pub(crate) fn lowers(
    workshop: &Workshop,
    step: StepId,
    stack: &Stack,
    is_over: IsOver<'_>,
) -> Result<Vec<Arc<Root>>, RealiseError> {
    let maker = Maker {
        workshop,
        step,
        is_over,
    };
    without_repeats(maker.pile(stack)?.roots())
}

fn is_base(layer: &StackLayer) -> bool {
    matches!(layer.held, Held::Base(_))
}

/// Returns a read-only view of a stack as one file system.
///
/// # Errors
///
/// As [`lowers`].
pub(crate) fn view(workshop: &Workshop, step: StepId, stack: &Stack) -> Result<View, RealiseError> {
    let maker = Maker {
        workshop,
        step,
        is_over: &|| workshop.cancel.is_cancelled(),
    };
    view_of(workshop, maker.pile(stack)?.roots(), stack)
}

/// Returns a read-only view of a stack whose layers have these directories.
fn view_of(
    workshop: &Workshop,
    directories: Vec<Arc<Root>>,
    stack: &Stack,
) -> Result<View, RealiseError> {
    let roots = without_repeats(directories)?;
    let owners = owners::of_stack(workshop, stack)?;
    let root = (!roots.is_empty())
        .then(|| merged(workshop, &roots))
        .transpose()?;
    Ok(View::new(root, owners))
}

/// A stack in two parts.
pub(crate) struct Halves {
    /// The lower layers, as one file system.
    pub(crate) below: View,
    /// The upper layers, as one file system.
    pub(crate) above: View,
    /// The upper layers one by one, with what they hide.
    pub(crate) parts: Vec<View>,
}

/// Returns the lower and the upper layers of a stack, of which the first `kept` are the lower ones.
///
/// # Errors
///
/// As [`lowers`].
pub(crate) fn halves(
    workshop: &Workshop,
    step: StepId,
    stack: &Stack,
    kept: usize,
) -> Result<Halves, RealiseError> {
    let (lower, upper) = stack.layers().split_at(kept);
    let maker = Maker {
        workshop,
        step,
        is_over: &|| workshop.cancel.is_cancelled(),
    };
    let own = maker.parts(stack)?;
    let parts = upper.iter().zip(&own[kept..]).flat_map(|(layer, own)| {
        own.iter().map(|root| {
            let owners = owners::of_layer(workshop, &layer.id)?;
            Ok(View::of_directory(Arc::clone(root), owners))
        })
    });
    let parts = parts.collect::<Result<_, RealiseError>>()?;
    // All directories are there by now, so that the upper layers need not be made on nothing.
    let view = |layers: &[Arc<StackLayer>]| {
        let stack = layers.iter().cloned().collect();
        view_of(workshop, maker.pile(&stack)?.roots(), &stack)
    };
    Ok(Halves {
        below: view(lower)?,
        above: view(upper)?,
        parts,
    })
}

/// Returns what is in a view, without its top: of several layers the files that they make, of one
/// directory what it says of the layers below too.
///
/// # Errors
///
/// Fails when it cannot be read.
pub(crate) fn changes(view: &View) -> Result<impl Changes + use<>, DiffError> {
    let diff = view
        .root()
        .map(|root| layer::diff_upper(Arc::clone(root), view.owners().clone()));
    Ok(diff.transpose()?.into_iter().flatten())
}

/// Leaves out a directory that is there again further up: a base may have the same layer twice, and
/// the kernel refuses an overlay that does. What it says it says above as well.
fn without_repeats(roots: Vec<Arc<Root>>) -> Result<Vec<Arc<Root>>, RealiseError> {
    let mut seen = BTreeSet::new();
    let mut kept = Vec::with_capacity(roots.len());
    for root in roots.into_iter().rev() {
        let metadata = root.metadata(&RootPath::root())?;
        if metadata.is_none_or(|found| seen.insert((found.dev, found.ino))) {
            kept.push(root);
        }
    }
    kept.reverse();
    Ok(kept)
}

/// Returns the directories of the layers of a stack above the lowest `kept`, each layer's lowest first.
///
/// # Errors
///
/// As [`lowers`].
pub(crate) fn parts_above(
    workshop: &Workshop,
    step: StepId,
    stack: &Stack,
    kept: usize,
) -> Result<Vec<Arc<Root>>, RealiseError> {
    let maker = Maker {
        workshop,
        step,
        is_over: &|| workshop.cancel.is_cancelled(),
    };
    let parts = maker.parts(stack)?;
    Ok(parts.into_iter().skip(kept).flatten().collect())
}

/// Returns directories as one that is only read, the lowest first.
fn merged(workshop: &Workshop, roots: &[Arc<Root>]) -> Result<Arc<Root>, RealiseError> {
    if let Some(trees) = workshop.unions.trees(workshop) {
        return trees.merged(workshop, roots);
    }
    let top_first: Vec<_> = roots.iter().rev().map(|root| root.as_fd()).collect();
    let features = &workshop.features;
    let mount = runtime::mount_overlay(&top_first, None, OverlayOptions::default(), features)?;
    Ok(Arc::new(Root::from_fd(mount, "/")))
}

/// Takes a snapshot into this job's lease and opens it. Without the owners that belong to it, which a
/// loss of power may have taken, it is none, and is made again.
///
/// # Errors
///
/// Fails when the store cannot be read.
pub(crate) fn open(workshop: &Workshop, id: &SnapshotId) -> Result<Option<Snapshot>, RealiseError> {
    let snapshots = workshop.store.snapshots();
    let snapshot = match snapshots.open(&workshop.lease, id)? {
        Some(snapshot) if owners::are_there(workshop, &snapshot)? => snapshot,
        Some(_) | None => return Ok(None),
    };
    // That which a delta is over is kept with it.
    if let Some(parent) = &snapshot.meta.parent
        && snapshots.open(&workshop.lease, parent)?.is_none()
    {
        return Ok(None);
    }
    Ok(Some(snapshot))
}

/// Returns a layer of ours as it is in the store, seen alone; none if it is not there as a directory.
///
/// # Errors
///
/// Fails when the store cannot be read.
pub(crate) fn stored(workshop: &Workshop, id: &SnapshotId) -> Result<Option<View>, RealiseError> {
    workshop.reach.files()?;
    let Some(snapshot) = open(workshop, id)? else {
        return Ok(None);
    };
    let Some(roots) = roots_of(workshop, snapshot)? else {
        return Ok(None);
    };
    let root = match roots.as_slice() {
        [root] => Arc::clone(root),
        _ => merged(workshop, &roots)?,
    };
    Ok(Some(View::of_directory(
        root,
        owners::of_layer(workshop, id)?,
    )))
}

/// Returns the directories of a snapshot, the lowest first; none if that which it is a delta over went away just now.
fn roots_of(
    workshop: &Workshop,
    snapshot: Snapshot,
) -> Result<Option<Vec<Arc<Root>>>, RealiseError> {
    let own = Arc::new(snapshot.fs);
    match &snapshot.meta.parent {
        None => Ok(Some(vec![own])),
        Some(parent) => {
            let below = open(workshop, parent)?;
            Ok(below.map(|below| vec![Arc::new(below.fs), own]))
        }
    }
}

/// Makes the directories of one stack.
struct Maker<'a> {
    workshop: &'a Workshop,
    step: StepId,
    is_over: IsOver<'a>,
}

impl Maker<'_> {
    /// Returns the directories of a layer that is not a base's.
    fn layer(
        &self,
        layer: &StackLayer,
        below: &[Arc<Root>],
    ) -> Result<Vec<Arc<Root>>, RealiseError> {
        if let Some(roots) = self.roots(&layer.id)? {
            return Ok(roots);
        }
        let _claim = self.claim(&Digest::of(layer.id.as_str().as_bytes()))?;
        if let Some(roots) = self.roots(&layer.id)? {
            return Ok(roots);
        }
        let snapshots = self.workshop.store.snapshots();
        let active = snapshots.prepare(&self.workshop.lease)?;
        let blob = match &layer.held {
            Held::Recipe(recipe) => return self.copy((&layer.id, recipe), active, below),
            Held::Remote(remote) => self.unpack_remote((layer, remote), &active, below)?,
            Held::Stored | Held::Base(_) => self.unpack_stored(layer, &active, below)?,
        };
        let meta = SnapshotMeta {
            blob,
            ..SnapshotMeta::of(SnapshotKind::Files)
        };
        Ok(vec![Arc::new(active.commit(&layer.id, meta)?.fs)])
    }

    /// Carries a recipe out, over what an earlier copy left where little changed.
    fn copy(
        &self,
        (id, recipe): (&SnapshotId, &Recipe),
        active: ActiveSnapshot,
        below: &[Arc<Root>],
    ) -> Result<Vec<Arc<Root>>, RealiseError> {
        let hints = self.workshop.store.hints();
        let delta = self.delta(&hints, recipe, below)?;
        let changes = delta
            .as_ref()
            .map_or(&**recipe, |(delta, _)| &delta.changes);
        let placed = layer::place(changes.stream(), active.fs(), self.workshop.ids);
        let owners = placed.map_err(|source| RealiseError::Place {
            layer: id.clone(),
            source,
        })?;
        owners::remember(self.workshop, id, &owners)?;
        owners::inherit_top(self.workshop, active.fs(), below.last())?;
        let meta = SnapshotMeta {
            parent: delta.as_ref().map(|(delta, _)| delta.over.clone()),
            ..SnapshotMeta::of(SnapshotKind::Files)
        };
        let snapshot = active.commit(id, meta)?;
        if delta.is_none() {
            delta::remember(&hints, id, recipe);
        }
        let own = Arc::new(snapshot.fs);
        Ok(delta
            .into_iter()
            .map(|(_, root)| root)
            .chain([own])
            .collect())
    }

    /// Returns what is to be put over the directory of an earlier copy, and that directory.
    fn delta(
        &self,
        hints: &Hints,
        recipe: &Recipe,
        below: &[Arc<Root>],
    ) -> Result<Option<(Delta, Arc<Root>)>, RealiseError> {
        // Owners that a directory cannot hold are kept for it as it is alone.
        if self.workshop.ids == IdStorage::Recorded {
            return Ok(None);
        }
        let Some(delta) = Delta::of(hints, recipe)? else {
            return Ok(None);
        };
        let Some(snapshot) = self
            .open(&delta.over)?
            .filter(|found| found.meta.parent.is_none())
        else {
            return Ok(None);
        };
        let merged_below = || {
            let roots = without_repeats(below.to_vec())?;
            let is_some = !roots.is_empty();
            is_some.then(|| merged(self.workshop, &roots)).transpose()
        };
        let fits = delta.fits(merged_below)?;
        Ok(fits.then(|| (delta, Arc::new(snapshot.fs))))
    }

    /// Unpacks a layer of ours of which only the blob is left; returns what says what its files are.
    fn unpack_stored(
        &self,
        layer: &StackLayer,
        active: &ActiveSnapshot,
        below: &[Arc<Root>],
    ) -> Result<Option<Digest>, RealiseError> {
        let gone = || RealiseError::Gone {
            layer: layer.id.clone(),
        };
        let blob = pack::find_any(self.workshop, &layer.id).map_err(Box::new)?;
        let blob = blob.ok_or_else(gone)?;
        let content = self.workshop.store.content();
        let reader = content
            .open_blob(&blob.digest, blob.size_bytes)
            .map_err(|source| RealiseError::Blob {
                layer: layer.id.clone(),
                source,
            })?;
        self.unpack_blob((layer, &blob), Box::new(reader), (active, below))
    }

    /// Unpacks a blob as the directory of a layer; returns it where it says what the files of that are.
    fn unpack_blob(
        &self,
        (layer, blob): (&StackLayer, &LayerBlob),
        reader: Box<dyn Read + Send>,
        (active, below): (&ActiveSnapshot, &[Arc<Root>]),
    ) -> Result<Option<Digest>, RealiseError> {
        let name = layer.id.as_str();
        let target = (&blob.diff_id, active.fs());
        let Applied {
            unsettled,
            mut owners,
            root_is_set,
            ..
        } = unpack(self.workshop, name, reader, target)?;
        if !unsettled.is_empty() {
            self.settle(name, active.fs(), (&unsettled, &mut owners), below)?;
        }
        if !root_is_set {
            owners::inherit_top(self.workshop, active.fs(), below.last())?;
        }
        owners::remember(self.workshop, &layer.id, &owners)?;
        Ok(unsettled.is_empty().then(|| blob.digest.clone()))
    }

    /// Carries out what a layer says about those below it. The lowest has nothing below: its
    /// directories are what they are, and its links must lead to its own files.
    fn settle(
        &self,
        layer: &str,
        target: &Root,
        (unsettled, owners): (&Unsettled, &mut OwnerTable),
        below: &[Arc<Root>],
    ) -> Result<(), RealiseError> {
        let failed = |source| RealiseError::Settle {
            layer: layer.to_owned(),
            source,
        };
        if below.is_empty() {
            let link = unsettled.links.first().cloned();
            return link.map_or(Ok(()), |DeferredLink { path, target, .. }| {
                Err(failed(SettleError::LinkTarget { path, target }))
            });
        }
        let below = merged(self.workshop, &without_repeats(below.to_vec())?)?;
        layer::settle(target, &below, unsettled, owners).map_err(failed)
    }

    fn open(&self, id: &SnapshotId) -> Result<Option<Snapshot>, RealiseError> {
        open(self.workshop, id)
    }

    fn roots(&self, id: &SnapshotId) -> Result<Option<Vec<Arc<Root>>>, RealiseError> {
        let snapshot = self.open(id)?;
        let roots = snapshot.map(|snapshot| roots_of(self.workshop, snapshot));
        Ok(roots.transpose()?.flatten())
    }

    /// Makes sure that nobody else, here or in another process, makes the same at the same time.
    fn claim(&self, what: &Digest) -> Result<Claim, RealiseError> {
        let claims = self.workshop.store.claims();
        claims
            .exclusive_or(ClaimName::Key(what), &self.is_over)?
            .ok_or(RealiseError::Cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_directory_that_is_there_twice_the_upper_one_stays() {
        let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let root = |index: usize| Arc::new(Root::open(dirs[index].path()).unwrap());
        let roots = [0, 1, 0, 2, 1].map(root).to_vec();
        let kept = without_repeats(roots).unwrap();
        let shown: Vec<_> = kept.iter().map(|root| root.shown().to_owned()).collect();
        let expected = [0, 2, 1].map(|index: usize| dirs[index].path().to_owned());
        assert_eq!(shown, expected);
    }
}
