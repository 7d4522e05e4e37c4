//! Snapshots: each has a mark, its files, and what it stands on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{CheckError, Checker, Compared, Mended, Part, Wrong, entries, name, said};
use crate::claim::{ClaimName, Claims};
use crate::gc::{self, Removed};
use crate::layout::{FS, Layout, MARK};
use crate::mark::{SnapshotKind, SnapshotMeta};
use crate::name::{ObjectId, SnapshotId};
use crate::snapshot::read_meta;

/// A snapshot that stands on another one.
struct Delta {
    id: SnapshotId,
    directory: PathBuf,
    parent: SnapshotId,
}

/// The snapshots of one id map, as far as they have to do with each other.
#[derive(Default)]
struct Seen {
    whole: BTreeMap<SnapshotId, PathBuf>,
    deltas: Vec<Delta>,
    merged: Vec<(SnapshotId, PathBuf)>,
    /// Those whose files are damaged, with what they stand on.
    damaged: Vec<(SnapshotId, Option<SnapshotId>)>,
}

impl Seen {
    fn add(&mut self, id: SnapshotId, directory: PathBuf, meta: SnapshotMeta) {
        match meta.parent {
            Some(parent) => self.deltas.push(Delta {
                id,
                directory,
                parent,
            }),
            None if meta.kind == SnapshotKind::Merged => self.merged.push((id, directory)),
            None => drop(self.whole.insert(id, directory)),
        }
    }
}

impl Checker<'_> {
    /// Looks at the snapshots of all id maps.
    pub(super) fn snapshots(&mut self) -> Result<(), CheckError> {
        for id_map in entries(&self.layout.all_snapshots())? {
            let mut seen = Seen::default();
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
                    Some(Ok(meta)) => match self.compare(&id, &directory)? {
                        None => seen.add(id, directory, meta),
                        Some(wrong) => {
                            seen.damaged.push((id.clone(), meta.parent));
                            self.tell_snapshot((&id, &directory), wrong);
                        }
                    },
                }
            }
            self.together(seen);
        }
        Ok(())
    }

    /// Looks at what snapshots of one id map are without others.
    fn together(&mut self, mut seen: Seen) {
        // The files of a delta may be those of what it stands on.
        let below = |seen: &Seen, id: &SnapshotId| {
            let mut damaged = seen.damaged.iter();
            let above = damaged.find(|(_, parent)| parent.as_ref() == Some(id));
            above.map(|(above, _)| above.clone())
        };
        for (id, directory) in std::mem::take(&mut seen.whole) {
            match below(&seen, &id) {
                Some(above) => self.tell_snapshot((&id, &directory), Wrong::Shares(above)),
                None => drop(seen.whole.insert(id, directory)),
            }
        }
        for delta in &seen.deltas {
            if !seen.whole.contains_key(&delta.parent) {
                let wrong = Wrong::NoParent(delta.parent.clone());
                self.tell_snapshot((&delta.id, &delta.directory), wrong);
            }
        }
        if let Some((damaged, _)) = seen.damaged.first() {
            // Nothing says which layers they were merged of, and they are made again in a moment.
            for (id, directory) in &seen.merged {
                self.tell_snapshot((id, directory), Wrong::Shares(damaged.clone()));
            }
        }
    }

    /// Compares the files of one with its layer; returns what is wrong with them.
    fn compare(&mut self, id: &SnapshotId, directory: &Path) -> Result<Option<Wrong>, CheckError> {
        let is_ours = directory.parent() == Some(self.layout.snapshots().as_path());
        let Some(files) = self.files.filter(|_| is_ours) else {
            return Ok(None);
        };
        let compared = files.compare(id);
        self.go_on()?;
        self.found.compared += u64::from(compared != Compared::Unknown);
        Ok(match compared {
            Compared::Same | Compared::Unknown => None,
            Compared::Different { first, others } => Some(Wrong::Files { first, others }),
            Compared::Unreadable(error) => Some(Wrong::Unreadable(error)),
        })
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
