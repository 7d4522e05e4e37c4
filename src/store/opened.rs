//! Snapshots that stay open as long as the lease that names them, or until others were opened more lately.

use std::collections::{BTreeMap, VecDeque};

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
    /// Those that have their places, and can be opened again; the first opened first.
    in_place: VecDeque<SnapshotId>,
}

impl Opened {
    /// Returns one that is open.
    pub(crate) fn get(&self, id: &SnapshotId) -> Option<&Snapshot> {
        self.by_id.get(id)
    }

    /// Keeps a snapshot open that has its place, instead of the first if there are many.
    pub(crate) fn add(&mut self, snapshot: Snapshot) {
        if self.by_id.len() >= OPENED_LIMIT
            && let Some(first) = self.in_place.pop_front()
        {
            self.by_id.remove(&first);
        }
        let id = snapshot.id.clone();
        if self.by_id.insert(id.clone(), snapshot).is_none() {
            self.in_place.push_back(id);
        }
    }

    /// Keeps a snapshot open that is found nowhere else until it is [`Self::placed`].
    pub(crate) fn add_waiting(&mut self, snapshot: Snapshot) {
        self.by_id.insert(snapshot.id.clone(), snapshot);
    }

    /// Takes note that a snapshot that waited has its place now.
    pub(crate) fn placed(&mut self, id: &SnapshotId) {
        if self.by_id.contains_key(id) {
            self.in_place.push_back(id.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use rootfs::Root;

    use super::*;
    use crate::mark::{SnapshotKind, SnapshotMeta};

    fn snapshot(name: &str) -> Snapshot {
        Snapshot {
            id: SnapshotId::new(name).unwrap(),
            fs: Root::open(std::path::Path::new("/")).unwrap(),
            meta: SnapshotMeta::of(SnapshotKind::Upper),
        }
    }

    #[test]
    fn the_first_that_can_be_opened_again_makes_way() {
        let mut opened = Opened::default();
        let is_open =
            |opened: &Opened, name: &str| opened.get(&SnapshotId::new(name).unwrap()).is_some();
        opened.add_waiting(snapshot("waiting"));
        opened.add(snapshot("first"));
        for number in 2..OPENED_LIMIT {
            opened.add(snapshot(&format!("other-{number}")));
        }
        assert!(is_open(&opened, "first"));
        opened.add(snapshot("last"));
        assert!(!is_open(&opened, "first"));
        assert!(is_open(&opened, "other-2"));
        assert!(is_open(&opened, "last"));
        // What waits stays, and takes its turn when it has its place.
        opened.placed(&SnapshotId::new("waiting").unwrap());
        for number in 0..OPENED_LIMIT {
            opened.add(snapshot(&format!("more-{number}")));
        }
        assert!(!is_open(&opened, "waiting"));
        assert_eq!(opened.by_id.len(), OPENED_LIMIT);
        assert_eq!(opened.in_place.len(), OPENED_LIMIT);
    }
}
