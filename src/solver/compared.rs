//! The files of snapshots compared with the blobs of their layers: [`LayerFiles`].
//!
//! | Files | What says which blob they are |
//! | --- | --- |
//! | unpacked from a blob, as it says | the snapshot's mark |
//! | made here, and packed | a record, by the snapshot's name |
//! | made here, and not packed | nothing |
//!
//! Neither keeps the blob in the store. Where it is gone nothing says what the files are, and neither does it where a
//! layer says something of those below it, with which its files were settled. Where a file may be another the blob is
//! unpacked once more, to be sure.

use std::error::Error as _;
use std::io::Read;
use std::sync::Arc;

use layer::{ApplyError, ApplyOptions, DecoderRoom, Differences, Limits, UnpackError, differences};
use oci::Digest;
use rootfs::{FsError, IdStorage, Root, RootPath};
use runtime::CancelToken;
use store::{
    BlobError, BlobSource as _, CompareFiles, Compared, Lease, LeaseError, RecordError,
    SnapshotError, SnapshotId, Store,
};
use tracing::debug;

use crate::cancel::Cancellable;

/// What keeps files from being compared. It says nothing about them, but for a disk that is damaged.
#[derive(Debug, thiserror::Error)]
enum CompareError {
    #[error(transparent)]
    Lease(#[from] LeaseError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error(transparent)]
    Files(#[from] UnpackError),
    #[error(transparent)]
    Trees(#[from] layer::CompareError),
    #[error(transparent)]
    Root(#[from] FsError),
}

impl CompareError {
    /// Returns what is said of the file that cannot be read where the disk, or its file system, is damaged.
    fn damage(&self) -> Option<String> {
        let (path, error) = self.file()?;
        let said = error.source().map(ToString::to_string);
        error
            .is_damage()
            .then(|| format!("`{}`: {}", path.absolute(), said.unwrap_or_default()))
    }

    fn is_for_want_of_room(&self) -> bool {
        self.file().is_some_and(|(_, error)| error.is_full())
    }

    /// Returns the file that something was not possible with.
    fn file(&self) -> Option<(&RootPath, &FsError)> {
        match self {
            Self::Files(UnpackError::Apply(ApplyError::Write { path, source })) => {
                Some((path, source))
            }
            _ => None,
        }
    }
}

/// Compares the files of snapshots with the blobs of their layers, as far as those are in the store.
#[derive(Debug)]
pub struct LayerFiles<'s> {
    store: &'s Store,
    ids: IdStorage,
    room: DecoderRoom,
    cancel: &'s CancelToken,
}

impl<'s> LayerFiles<'s> {
    /// Compares those of a store, as long as nobody wishes an end.
    pub fn new(store: &'s Store, ids: IdStorage, cancel: &'s CancelToken) -> Self {
        Self {
            store,
            ids,
            room: DecoderRoom::default(),
            cancel,
        }
    }

    fn try_compare(&self, id: &SnapshotId) -> Result<Compared, CompareError> {
        // Of its own, so that whoever is told that it is damaged can remove it.
        let lease = self.store.lease()?;
        let snapshots = self.store.snapshots();
        let Some(snapshot) = snapshots.look_at(&lease, id)? else {
            return Ok(Compared::Unknown);
        };
        let blob = match snapshot.meta.blob.clone() {
            Some(blob) => Some(blob),
            None => packed_as(self.store, id)?,
        };
        let Some(blob) = blob else {
            return Ok(Compared::Unknown);
        };
        let mut directory = vec![Arc::new(snapshot.fs)];
        if let Some(parent) = &snapshot.meta.parent {
            let Some(below) = snapshots.look_at(&lease, parent)? else {
                return Ok(Compared::Unknown);
            };
            directory.push(Arc::new(below.fs));
        }
        let Some(reader) = self.open(&blob)? else {
            return Ok(Compared::Unknown);
        };
        let mut found = differences(reader, &self.room, &directory)?;
        if found.is_empty() {
            return Ok(Compared::Same);
        }
        match self.leave_real(&mut found, (&lease, &directory), &blob) {
            // On a full disk it is more likely that they are than that they are not.
            Err(error) if error.is_for_want_of_room() => {}
            left => left?,
        }
        Ok(match found.paths.as_slice() {
            [] if found.is_cut_off => Compared::Unknown,
            [] => Compared::Same,
            [first, others @ ..] => Compared::Different {
                first: first.absolute(),
                others: others.len(),
            },
        })
    }

    /// Leaves the differences between a directory and what the blob of its layer unpacks to.
    fn leave_real(
        &self,
        found: &mut Differences,
        (lease, directory): (&Lease, &[Arc<Root>]),
        blob: &Digest,
    ) -> Result<(), CompareError> {
        let fresh = self.store.snapshots().prepare(lease)?;
        let unpacked = Arc::new(fresh.fs().try_clone()?);
        let options = ApplyOptions {
            ids: self.ids,
            limits: Limits::default(),
        };
        let Some(reader) = self.open(blob)? else {
            // Just now: nothing says any more what the files are.
            *found = Differences {
                paths: Vec::new(),
                is_cut_off: true,
            };
            return Ok(());
        };
        layer::unpack(reader, &self.room, &unpacked, &options)?;
        Ok(found.between(directory, &[unpacked])?)
    }

    /// Opens a blob, if it is in the store.
    fn open(&self, blob: &Digest) -> Result<Option<impl Read + Send>, BlobError> {
        let content = self.store.content();
        let Some(size_bytes) = content.has(blob)? else {
            return Ok(None);
        };
        let reader = content.open_blob(blob, size_bytes)?;
        Ok(Some(Cancellable::new(reader, self.cancel)))
    }
}

impl CompareFiles for LayerFiles<'_> {
    fn compare(&self, snapshot: &SnapshotId) -> Compared {
        self.try_compare(snapshot).unwrap_or_else(|error| {
            if let Some(said) = error.damage() {
                return Compared::Unreadable(said);
            }
            // The blob is looked at elsewhere.
            debug!(id = %snapshot, %error, "files not compared");
            Compared::Unknown
        })
    }
}

/// Remembers which blob the files of a snapshot were packed to. The record names neither of them, so that it keeps neither.
pub(crate) fn remember_packed(
    store: &Store,
    snapshot: &SnapshotId,
    blob: &Digest,
) -> Result<(), RecordError> {
    let unnamed = blob.as_str().replacen(':', "/", 1);
    store.records().put(&record_key(snapshot), &unnamed)
}

/// Returns the blob that the files of a snapshot were packed to, where that is known.
fn packed_as(store: &Store, snapshot: &SnapshotId) -> Result<Option<Digest>, RecordError> {
    let key = record_key(snapshot);
    let found = store.records().look_up::<String>(&key)?;
    Ok(found.and_then(|unnamed| Digest::parse(&unnamed.replacen('/', ":", 1)).ok()))
}

fn record_key(snapshot: &SnapshotId) -> Digest {
    Digest::of(format!("packed files\0{snapshot}").as_bytes())
}
