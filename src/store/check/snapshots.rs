//! Snapshots: each has a mark, its files, and what it stands on.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{CheckError, Checker, Mended, Part, Wrong, entries, name, said};
use crate::claim::{ClaimName, Claims};
use crate::gc::{self, Removed};
use crate::layout::{FS, Layout, MARK};
use crate::mark::SnapshotMeta;
use crate::name::{ObjectId, SnapshotId};
use crate::snapshot::read_meta;

/// A snapshot that stands on another one.
struct Delta {
    id: SnapshotId,
    directory: PathBuf,
    parent: SnapshotId,
}

impl Checker<'_> {
    /// Looks at the snapshots of all id maps.
    pub(super) fn snapshots(&mut self) -> Result<(), CheckError> {
        for id_map in entries(&self.layout.all_snapshots())? {
            let mut whole = BTreeSet::new();
            let mut deltas = Vec::new();
            for directory in entries(&id_map)? {
                self.go_on()?;
                let Ok(id) = SnapshotId::new(name(&directory)) else {
                    self.stray(Part::Snapshot, &directory);
                    continue;
                };
                self.count(Part::Snapshot, 0);
                match self.look(&id, &directory)? {
                    None => {}
                    Some(Err(wrong)) => self.tell_snapshot((&id, &directory), wrong),
                    Some(Ok(SnapshotMeta { parent: None, .. })) => {
                        whole.insert(id);
                    }
                    Some(Ok(SnapshotMeta {
                        parent: Some(parent),
                        ..
                    })) => deltas.push(Delta {
                        id,
                        directory,
                        parent,
                    }),
                }
            }
            for delta in deltas.iter().filter(|delta| !whole.contains(&delta.parent)) {
                let wrong = Wrong::NoParent(delta.parent.clone());
                self.tell_snapshot((&delta.id, &delta.directory), wrong);
            }
        }
        Ok(())
    }

    /// Looks at one; returns what its mark says, or nothing where it is gone meanwhile. Nobody replaces it now.
    fn look(
        &mut self,
        id: &SnapshotId,
        directory: &Path,
    ) -> Result<Option<Result<SnapshotMeta, Wrong>>, CheckError> {
        let claims = Claims::new(Arc::clone(self.layout));
        let claim = claims.shared(ClaimName::Object(&ObjectId::Snapshot(id.clone())))?;
        let found = match fs::symlink_metadata(directory) {
            Err(_gone) => None,
            Ok(metadata) if !metadata.is_dir() => Some(Err(Wrong::Kind)),
            Ok(_) => Some(read(id, directory)),
        };
        if matches!(found, Some(Ok(_))) {
            self.directory(directory);
            self.private_file(Part::Snapshot, &directory.join(MARK));
        }
        drop(claim);
        Ok(found)
    }

    fn tell_snapshot(&mut self, (id, directory): (&SnapshotId, &Path), wrong: Wrong) {
        let object = ObjectId::Snapshot(id.clone());
        let is_ours = directory.parent() == Some(self.layout.snapshots().as_path());
        self.tell((Part::Snapshot, directory), wrong, |layout| {
            if is_ours {
                remove(layout, &object)
            } else {
                Err(
                    "only a careen that keeps ids in that way can remove it: `--executor`"
                        .to_owned(),
                )
            }
        });
    }
}

fn read(id: &SnapshotId, directory: &Path) -> Result<SnapshotMeta, Wrong> {
    let meta = read_meta(directory, id).map_err(|error| Wrong::Unreadable(said(&error)))?;
    let meta = meta.ok_or(Wrong::NoMark)?;
    match fs::symlink_metadata(directory.join(FS)) {
        Ok(metadata) if metadata.is_dir() => Ok(meta),
        _ => Err(Wrong::NoFiles),
    }
}

/// Removes a snapshot, unless a build uses it.
fn remove(layout: &Arc<Layout>, object: &ObjectId) -> Result<Mended, String> {
    match gc::remove(layout, object) {
        Ok(Removed::Yes | Removed::Absent) => Ok(Mended::Removed),
        Ok(Removed::InUse) => Err("a build uses it".to_owned()),
        Err(error) => Err(said(&error)),
    }
}
