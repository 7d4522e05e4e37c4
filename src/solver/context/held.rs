//! Directories of the user's that are in the store: what an archive, a repository or a file became.
//!
//! An archive is a stranger's: it is unpacked as a layer is, inside one directory and within limits. What is unpacked
//! from a stream is there for one job and is removed with the last handle, or by the next build if this one dies; of
//! an archive that has a digest the directory stays, as that of an `ADD` does.

use std::io::Read;
use std::sync::Arc;

use layer::{ApplyError, ApplyOptions, Limits};
use oci::time::TimestampError;
use oci::{Digest, Timestamp};
use rootfs::{File, FileKind, FileTime, FsError, Mode, Owners, Root, RootPath};
use store::{ActiveSnapshot, SnapshotError};

use crate::cancel::Cancellable;
use crate::error::StepError;
use crate::job::Workshop;
use crate::ops::copy::{self, CopyError};
use crate::owners;

/// A directory of the user's that is in the store.
#[derive(Debug)]
pub struct HeldDirectory {
    root: Arc<Root>,
    shown: String,
    /// The owners of the files in an image; without them all are root's.
    owners: Option<Owners>,
    /// What is removed with this handle.
    _files: Option<ActiveSnapshot>,
}

/// Why a directory of the user's cannot be put into the store.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The build was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The archive cannot be read.
    #[error("cannot read {shown}")]
    Read {
        /// What was read.
        shown: String,
        /// Why.
        source: std::io::Error,
    },
    /// The archive is refused, or cannot be unpacked.
    #[error("cannot unpack {shown}")]
    Unpack {
        /// What was unpacked.
        shown: String,
        /// Why.
        source: ApplyError,
    },
    /// The archive in the store is refused, or cannot be unpacked.
    #[error("cannot unpack {shown}")]
    Archive {
        /// What was unpacked.
        shown: String,
        /// Why.
        source: Box<StepError>,
    },
    /// A hard link of the archive is to what the archive does not have.
    #[error("`{path}` in {shown} is a link to `{target}`, which is not there")]
    Link {
        /// What was unpacked.
        shown: String,
        /// The link.
        path: String,
        /// What it is a link to.
        target: String,
    },
    /// The store has no room for it.
    #[error("cannot keep {shown}")]
    Store {
        /// What was to be kept.
        shown: String,
        /// Why.
        source: SnapshotError,
    },
    /// Its files cannot be written or read.
    #[error("cannot keep {shown}")]
    Files {
        /// What was to be kept.
        shown: String,
        /// Why.
        source: FsError,
    },
    /// A file has a time that no image can have.
    #[error("the newest file of {shown} has no usable time")]
    Time {
        /// Where the file is.
        shown: String,
        /// Why.
        source: TimestampError,
    },
}

impl HeldDirectory {
    /// Makes a handle on a directory of the store whose files are root's in an image, as those of a checkout.
    pub fn kept(root: Arc<Root>, shown: &str) -> Self {
        Self {
            root,
            shown: shown.to_owned(),
            owners: None,
            _files: None,
        }
    }

    /// Makes an empty directory. `shown` is what it is called in messages.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot hold it.
    pub fn empty(workshop: &Workshop, shown: &str) -> Result<Self, UnpackError> {
        Self::make(workshop, shown, |_| Ok(None))
    }

    /// Makes a directory with one file, which only its owner reads, as BuildKit has it. `shown` is what the directory
    /// is called in messages.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read, or the store cannot hold it.
    pub fn with_file(
        workshop: &Workshop,
        name: &RootPath,
        (content, mtime): (&File, FileTime),
        shown: &str,
    ) -> Result<Self, UnpackError> {
        Self::make(workshop, shown, |target| {
            let write = || {
                let file = target.create_file(name)?;
                rootfs::copy_contents(content, &file)?;
                target.set_mode(name, Mode::new(0o600))?;
                target.set_times(name, mtime)
            };
            write().map_err(|source| UnpackError::Files {
                shown: shown.to_owned(),
                source,
            })?;
            Ok(None)
        })
    }

    /// Unpacks a file of the store, a tar of this digest, compressed or not. `shown` is what it is called in messages.
    ///
    /// # Errors
    ///
    /// As [`HeldDirectory::unpack`].
    pub fn of_archive(
        workshop: &Workshop,
        (root, path): (&Arc<Root>, &RootPath),
        digest: &Digest,
        shown: &str,
    ) -> Result<Self, UnpackError> {
        let made = copy::directory_of(workshop, root, path, digest);
        let (root, owners) = made.map_err(|error| {
            if workshop.cancel.is_cancelled() {
                return UnpackError::Cancelled;
            }
            let shown = shown.to_owned();
            match error {
                // Where the archive lies in the store says nothing to the user.
                StepError::Copy(CopyError::Unpack { source, .. }) => {
                    UnpackError::Unpack { shown, source }
                }
                error => UnpackError::Archive {
                    shown,
                    source: Box::new(error),
                },
            }
        })?;
        Ok(Self {
            root,
            shown: shown.to_owned(),
            owners: Some(owners),
            _files: None,
        })
    }

    /// Unpacks a tar, compressed or not. `shown` is what it is called in messages.
    ///
    /// # Errors
    ///
    /// Fails when the archive cannot be read, is damaged, hostile or too large, or the store cannot hold it.
    pub fn unpack<R: Read + Send>(
        workshop: &Workshop,
        archive: R,
        shown: &str,
    ) -> Result<Self, UnpackError> {
        Self::make(workshop, shown, |target| {
            let unreadable = |source| UnpackError::Read {
                shown: shown.to_owned(),
                source,
            };
            let archive = Cancellable::new(archive, &workshop.cancel);
            let mut tar = layer::decompressor(archive).map_err(unreadable)?;
            let options = ApplyOptions {
                ids: workshop.ids,
                limits: Limits::default(),
            };
            let refused = |source| UnpackError::Unpack {
                shown: shown.to_owned(),
                source,
            };
            let applied = layer::apply(&mut tar, target, &options).map_err(refused)?;
            if let Some(link) = applied.unsettled.links.first() {
                return Err(UnpackError::Link {
                    shown: shown.to_owned(),
                    path: link.path.absolute(),
                    target: link.target.absolute(),
                });
            }
            if !applied.root_is_set {
                let failed = |source| UnpackError::Files {
                    shown: shown.to_owned(),
                    source,
                };
                owners::inherit_top(workshop, target, None).map_err(failed)?;
            }
            Ok(Some(Owners::new(workshop.ids, applied.owners)))
        })
    }

    fn make(
        workshop: &Workshop,
        shown: &str,
        fill: impl FnOnce(&Root) -> Result<Option<Owners>, UnpackError>,
    ) -> Result<Self, UnpackError> {
        let kept = |source| UnpackError::Store {
            shown: shown.to_owned(),
            source,
        };
        let files = |source| UnpackError::Files {
            shown: shown.to_owned(),
            source,
        };
        let active = workshop.store.snapshots().prepare(&workshop.lease);
        let active = active.map_err(kept)?;
        let filled = fill(active.fs());
        if workshop.cancel.is_cancelled() {
            return Err(UnpackError::Cancelled);
        }
        let owners = filled?;
        Ok(Self {
            root: Arc::new(active.fs().try_clone().map_err(files)?),
            shown: shown.to_owned(),
            owners,
            _files: Some(active),
        })
    }

    /// Returns the directory; nothing outside it is reached through it.
    pub fn root(&self) -> &Arc<Root> {
        &self.root
    }

    /// Returns what it is called in messages.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Returns the owners that its files have in an image; without them all are root's.
    pub fn owners(&self) -> Option<&Owners> {
        self.owners.as_ref()
    }

    /// Returns the time of the newest regular file, in whole seconds; none if there is no file.
    ///
    /// # Errors
    ///
    /// Fails when the directory cannot be read, or the time is outside the years 0 to 9999.
    pub fn newest_file(&self) -> Result<Option<Timestamp>, UnpackError> {
        let failed = |source| UnpackError::Files {
            shown: self.shown.clone(),
            source,
        };
        let mut newest = None;
        for entry in self.root.walk().map_err(failed)? {
            let metadata = entry.map_err(failed)?.metadata;
            if metadata.kind == FileKind::File {
                newest = newest.max(Some(metadata.mtime.seconds));
            }
        }
        let time = newest.map(Timestamp::from_unix_seconds).transpose();
        time.map_err(|source| UnpackError::Time {
            shown: self.shown.clone(),
            source,
        })
    }
}
