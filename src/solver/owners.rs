//! Owners that a directory cannot hold: kept beside it, as a record by the layer's name.
//!
//! Only the mode with a single id has any, of symbolic links, pipes and sockets (`rootfs::OwnerTable`).
//! There each directory that careen itself filled has a table, be it an empty one: records are not
//! synced, and a directory whose table is gone is none.

use std::sync::Arc;

use oci::Digest;
use rootfs::{
    FsError, IdStorage, Mode, OwnerTable, Owners, RecordError as TableError, Root, RootPath,
};
use store::{LeaseError, ObjectId, RecordError, Snapshot, SnapshotId, SnapshotKind};

use crate::job::Workshop;
use crate::result::{Held, Stack};

/// Why owners cannot be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum OwnersError {
    /// The store failed.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The directory cannot be kept.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// What the store has is no table.
    #[error("the owners of the layer `{layer}` are damaged")]
    Damaged {
        /// The layer.
        layer: String,
        /// Why.
        source: TableError,
    },
}

/// Keeps the owners of a layer's directory. Must be done before the directory is complete.
pub(crate) fn remember(
    workshop: &Workshop,
    layer: &SnapshotId,
    table: &OwnerTable,
) -> Result<(), OwnersError> {
    if workshop.ids != IdStorage::Recorded {
        return Ok(());
    }
    // First of all, so that nobody takes it for one of a directory that is gone.
    workshop.lease.add(&ObjectId::Snapshot(layer.clone()))?;
    let records = workshop.store.records();
    Ok(records.put_of(&record_key(layer), layer, &table.to_string())?)
}

/// Tells whether the owners that belong to a snapshot are there. Those of merged layers are kept for each of these.
pub(crate) fn are_there(workshop: &Workshop, snapshot: &Snapshot) -> Result<bool, OwnersError> {
    let has_none = snapshot.meta.kind == SnapshotKind::Merged;
    if workshop.ids != IdStorage::Recorded || has_none {
        return Ok(true);
    }
    let text = workshop
        .store
        .records()
        .get::<String>(&record_key(&snapshot.id))?;
    Ok(text.is_some())
}

/// Returns the owners of a layer's directory.
pub(crate) fn of_layer(workshop: &Workshop, layer: &SnapshotId) -> Result<Owners, OwnersError> {
    Ok(Owners::new(workshop.ids, table(workshop, layer)?))
}

/// Returns the owners of a stack seen as one file system.
pub(crate) fn of_stack(workshop: &Workshop, stack: &Stack) -> Result<Owners, OwnersError> {
    let mut merged = OwnerTable::default();
    if workshop.ids == IdStorage::Recorded {
        for layer in stack.layers() {
            merge(workshop, &layer.id, &mut merged)?;
            if let Held::Base(base) = &layer.held
                && let Ok(id) = SnapshotId::from_digest("layer", base.diff_id.digest())
            {
                merge(workshop, &id, &mut merged)?;
            }
        }
    }
    Ok(Owners::new(workshop.ids, merged))
}

fn merge(
    workshop: &Workshop,
    layer: &SnapshotId,
    merged: &mut OwnerTable,
) -> Result<(), OwnersError> {
    for (path, record) in table(workshop, layer)?.iter() {
        merged.insert(path.clone(), *record);
    }
    Ok(())
}

fn table(workshop: &Workshop, layer: &SnapshotId) -> Result<OwnerTable, OwnersError> {
    if workshop.ids != IdStorage::Recorded {
        return Ok(OwnerTable::default());
    }
    let text = workshop.store.records().get::<String>(&record_key(layer))?;
    let Some(text) = text else {
        return Ok(OwnerTable::default());
    };
    OwnerTable::parse(&text).map_err(|source| OwnersError::Damaged {
        layer: layer.to_string(),
        source,
    })
}

fn record_key(layer: &SnapshotId) -> Digest {
    // Those of the first form did not name the directory that they belong to.
    Digest::of(format!("owners 2\0{layer}").as_bytes())
}

/// Gives the top directory of a layer the owner and mode of that below it, or those that it has in an
/// image without layers: an overlay shows the attributes of its topmost directory.
pub(crate) fn inherit_top(
    workshop: &Workshop,
    target: &Root,
    below: Option<&Arc<Root>>,
) -> Result<(), FsError> {
    let top = RootPath::root();
    let below = below.map(|root| root.metadata(&top)).transpose()?.flatten();
    let (uid, gid, mode) = match (below, workshop.ids) {
        (Some(metadata), _) => (metadata.uid, metadata.gid, metadata.mode),
        (None, IdStorage::Shifted { by, .. }) => (by, by, Mode::new(0o755)),
        (None, IdStorage::Recorded) => (0, 0, Mode::new(0o755)),
    };
    // With one id all files have that already, which may be another one than root's where no command is run.
    if workshop.ids != IdStorage::Recorded {
        target.set_owner(&top, uid, gid)?;
    }
    target.set_mode(&top, mode)
}
