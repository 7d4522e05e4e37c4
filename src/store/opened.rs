//! Snapshots that stay open as long as the lease that names them.

use std::collections::BTreeMap;

use crate::name::SnapshotId;
use crate::snapshot::Snapshot;

/// How many snapshots are kept open: as many layers as an overlay may have, and few enough for the usual limit on open
/// files.
const OPENED_LIMIT: usize = 500;

/// The snapshots that were opened through a lease: they are there as long as it is.
///
/// A step's file system has all layers below it, and a stage of a hundred steps would open its first layer a hundred
/// times.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    by_id: BTreeMap<SnapshotId, Snapshot>,
}

impl Opened {
    /// Returns one that is open.
    pub(crate) fn get(&self, id: &SnapshotId) -> Option<&Snapshot> {
        self.by_id.get(id)
    }

    /// Keeps a snapshot open; `false` if there are enough.
    pub(crate) fn add(&mut self, snapshot: Snapshot) -> bool {
        let has_room = self.by_id.len() < OPENED_LIMIT;
        if has_room {
            self.by_id.insert(snapshot.id.clone(), snapshot);
        }
        has_room
    }
}
