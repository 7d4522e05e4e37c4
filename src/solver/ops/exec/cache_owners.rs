//! Owners of symbolic links, pipes and sockets in a cache mount: kept beside it, by path.
//!
//! Several commands may have a cache at once. Each knows the owners that there were when it began, and those that it gave.
//! When it ends, they are put together with what the others have kept meanwhile, under a claim that is held for moments:
//!
//! | A link that is there then | belongs to |
//! | --- | --- |
//! | that this command knows | whom this command says |
//! | that another one has kept since this one began | whom that one says |
//! | any other | root |
//!
//! A command that was killed keeps nothing. The owners of files and directories are in their attributes at once.

use std::sync::Arc;

use oci::Digest;
use rootfs::{FsError, IdStorage, Metadata, OwnerTable, RootPath};
use runtime::RecordedOwner;
use store::{CacheDirectory, CacheId, Claim, ClaimName};

use super::error::MountError;
use super::recorded::{Recorded, holds_no_attribute};
use crate::error::StepError;
use crate::job::Workshop;
use crate::stash;

/// A cache that a command has, and the owners that it began with.
#[derive(Debug)]
pub(super) struct CacheOwners {
    id: CacheId,
    /// What the Dockerfile calls it.
    name: String,
    directory: Arc<CacheDirectory>,
    before: OwnerTable,
}

impl CacheOwners {
    /// Reads those of a cache; `None` where files hold their owners themselves.
    pub(super) fn open(
        workshop: &Workshop,
        (id, name): (CacheId, &str),
        directory: &Arc<CacheDirectory>,
    ) -> Option<Self> {
        (workshop.ids == IdStorage::Recorded).then(|| Self {
            before: stash::kept_owners(workshop, &id),
            id,
            name: name.to_owned(),
            directory: Arc::clone(directory),
        })
    }

    /// Returns them by number.
    pub(super) fn files(&self) -> Vec<RecordedOwner> {
        let found = self.before.iter().filter_map(|(path, record)| {
            // What is gone, or something else by now, has no such owner.
            let inode = self.directory.fs.inode(path).ok()?;
            let metadata = inode.metadata().ok().filter(holds_no_attribute)?;
            Some(RecordedOwner {
                device: metadata.dev,
                inode: metadata.ino,
                born: inode.born().ok()?,
                record: *record,
            })
        });
        found.collect()
    }

    /// Keeps what is recorded after the command.
    pub(super) fn keep(
        &self,
        workshop: &Workshop,
        recorded: &[RecordedOwner],
    ) -> Result<(), StepError> {
        if self.before.is_empty() && !self.has_any(recorded)? {
            return Ok(());
        }
        let _claim = self.claim(workshop)?;
        let meanwhile = stash::kept_owners(workshop, &self.id);
        let table = self.after(&Recorded::new(recorded), &meanwhile)?;
        if table == meanwhile {
            return Ok(());
        }
        let kept = workshop
            .store
            .caches()
            .put_owners(&self.id, &table.to_string());
        kept.map_err(|source| {
            let id = self.name.clone();
            MountError::Cache { id, source }.into()
        })
    }

    /// Tells whether something on the file system of the cache is recorded.
    fn has_any(&self, recorded: &[RecordedOwner]) -> Result<bool, MountError> {
        let top = self.directory.fs.metadata(&RootPath::root());
        let top = top.map_err(|source| self.failed(source))?;
        let device = top.map(|top| top.dev);
        Ok(recorded.iter().any(|owner| Some(owner.device) == device))
    }

    fn claim(&self, workshop: &Workshop) -> Result<Claim, StepError> {
        let name = Digest::of(format!("owners of a cache mount\0{}", self.id).as_bytes());
        let is_over = || workshop.cancel.is_cancelled();
        let claims = workshop.store.claims();
        let claim = claims.exclusive_or(ClaimName::Key(&name), &is_over)?;
        claim.ok_or(StepError::Cancelled)
    }

    fn after(&self, recorded: &Recorded, meanwhile: &OwnerTable) -> Result<OwnerTable, MountError> {
        let mut table = OwnerTable::default();
        for entry in self.links().map_err(|source| self.failed(source))? {
            let (path, metadata) = entry;
            let fs = &self.directory.fs;
            let own = match recorded.of(fs, &path, &metadata) {
                Err(error) if error.is_not_found() => continue,
                own => own.map_err(|source| self.failed(source))?,
            };
            let kept = meanwhile.get(&path);
            let others = kept.filter(|kept| self.before.get(&path) != Some(*kept));
            if let Some(record) = own.or(others.copied()) {
                table.insert(path, record);
            }
        }
        Ok(table)
    }

    /// Returns all links, pipes and sockets. Other commands may add and remove some meanwhile.
    fn links(&self) -> Result<Vec<(RootPath, Metadata)>, FsError> {
        let mut links = Vec::new();
        for entry in self.directory.fs.walk()? {
            match entry {
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
                Ok(entry) if holds_no_attribute(&entry.metadata) => {
                    links.push((entry.path, entry.metadata));
                }
                Ok(_) => {}
            }
        }
        Ok(links)
    }

    fn failed(&self, source: FsError) -> MountError {
        MountError::CacheOwners {
            id: self.name.clone(),
            source,
        }
    }
}
