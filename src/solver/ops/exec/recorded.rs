//! Owners of symbolic links, pipes and sockets, on their way into a command and out of it.
//!
//! Only the storage of one id has any beside the files (`rootfs::OwnerTable`): they are known by path between commands,
//! and by number while one runs, which may move them.

use std::collections::BTreeMap;

use rootfs::{
    FileKind, FileTime, FsError, IdStorage, Metadata, OwnerRecord, OwnerTable, Root, RootPath,
};
use runtime::RecordedOwner;

use crate::error::StepError;
use crate::job::Workshop;
use crate::owners;
use crate::realise::RealiseError;
use crate::result::Stack;

/// What is recorded of the files that a command stands on, or has mounted.
#[derive(Debug, Default)]
pub(crate) struct Below {
    table: OwnerTable,
    /// The same by number.
    pub(crate) files: Vec<RecordedOwner>,
}

/// What is recorded after a command, by number.
pub(super) struct Recorded {
    by_number: BTreeMap<(u64, u64), (Option<FileTime>, OwnerRecord)>,
}

impl Below {
    /// Finds it. `view` is the file system of the stack, as the command will have it.
    pub(crate) fn find(workshop: &Workshop, stack: &Stack, view: &Root) -> Result<Self, StepError> {
        if workshop.ids != IdStorage::Recorded {
            return Ok(Self::default());
        }
        let owners = owners::of_stack(workshop, stack).map_err(RealiseError::from)?;
        let table = owners.into_table();
        let mut files = Vec::new();
        for (path, record) in table.iter() {
            // What a later layer has removed or replaced has no such owner.
            let Ok(Some(found)) = view.metadata(path) else {
                continue;
            };
            if holds_no_attribute(&found) {
                files.push(RecordedOwner {
                    device: found.dev,
                    inode: found.ino,
                    born: None,
                    record: *record,
                });
            }
        }
        Ok(Self { table, files })
    }

    /// Returns what is recorded of the files that a command left in `upper`. `view` is the root that it had.
    pub(super) fn left(
        &self,
        recorded: &[RecordedOwner],
        upper: &Root,
        view: &Root,
    ) -> Result<OwnerTable, FsError> {
        let mut table = OwnerTable::default();
        if recorded.is_empty() {
            return Ok(table);
        }
        let recorded = Recorded::new(recorded);
        for entry in upper.walk()? {
            let entry = entry?;
            if !holds_no_attribute(&entry.metadata) {
                continue;
            }
            // The number of a file that was copied up is another one here.
            let Some(seen) = view.metadata(&entry.path)? else {
                continue;
            };
            let record = recorded.of(view, &entry.path, &seen)?;
            // What took the place of a file that was somebody's is not his.
            let replaced = self.table.get(&entry.path).map(|_| root_of(&seen));
            if let Some(record) = record.or(replaced) {
                table.insert(entry.path, record);
            }
        }
        Ok(table)
    }
}

impl Recorded {
    pub(super) fn new(recorded: &[RecordedOwner]) -> Self {
        let by_number = recorded.iter().map(|owner| {
            let RecordedOwner {
                device,
                inode,
                born,
                record,
            } = *owner;
            ((device, inode), (born, record))
        });
        Self {
            by_number: by_number.collect(),
        }
    }

    /// Returns what is recorded of a file, unless that is of an earlier one with its number.
    pub(super) fn of(
        &self,
        view: &Root,
        path: &RootPath,
        seen: &Metadata,
    ) -> Result<Option<OwnerRecord>, FsError> {
        let Some((born, record)) = self.by_number.get(&(seen.dev, seen.ino)) else {
            return Ok(None);
        };
        let is_same = born.is_none() || view.inode(path)?.born()? == *born;
        Ok(is_same.then_some(*record))
    }
}

fn root_of(seen: &Metadata) -> OwnerRecord {
    OwnerRecord {
        uid: 0,
        gid: 0,
        mode: seen.mode,
        device: None,
    }
}

/// Tells whether a file is of a kind whose owner can be in no attribute.
pub(super) fn holds_no_attribute(metadata: &Metadata) -> bool {
    matches!(
        metadata.kind,
        FileKind::Symlink | FileKind::Fifo | FileKind::Socket
    )
}
