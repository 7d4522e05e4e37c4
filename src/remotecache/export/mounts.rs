//! The cache mounts of an export.
//!
//! What is written of a mount is a difference to what the place has of it, so it is made when that is known. A mount
//! that cannot be exported stays as it is there, with a warning: a cache is worth writing without it.

use std::collections::BTreeSet;

use layer::Compression;
use oci::Timestamp;
use solver::LayerBlob;
use solver::stash::{self, EarlierStash, MountSelection, Stash, StashError};
use store::{CacheId, CacheMeta};
use transport::PlaceError;

use super::{ExportCacheError, Exporting, blobs};
use crate::config::{CacheConfig, CacheLayer};
use crate::mount::MountName;
use crate::place::ExportSession;

/// The mounts that are exported.
pub(super) struct Mounts<'a> {
    exporting: &'a Exporting<'a>,
    session: &'a dyn ExportSession,
    used: Timestamp,
    caches: Vec<(CacheId, CacheMeta)>,
    /// What became of a mount on top of what was there: mostly, every platform has the same.
    done: Vec<(CacheId, Option<Stash>, Stash)>,
}

impl<'a> Mounts<'a> {
    /// Finds the mounts that are asked for.
    pub(super) fn find(
        exporting: &'a Exporting<'a>,
        session: &'a dyn ExportSession,
        used: Timestamp,
    ) -> Self {
        let selection = &exporting.cache.mounts;
        let workshop = exporting.workshop;
        let found = stash::select(workshop, selection, exporting.named);
        let caches = found.unwrap_or_else(|error| {
            let why = stash::chain(&error);
            workshop
                .events
                .warn(format!("no cache mount is exported: {why}"));
            Vec::new()
        });
        if let MountSelection::Ids(ids) = selection {
            let there: BTreeSet<_> = caches.iter().map(|(_, meta)| &meta.id).collect();
            for id in ids.iter().filter(|id| !there.contains(id)) {
                let why = "the store has none of that id";
                workshop
                    .events
                    .warn(format!("the cache mount `{id}` is not exported: {why}"));
            }
        }
        Self {
            exporting,
            session,
            used,
            caches,
            done: Vec::new(),
        }
    }

    /// Adds the mounts to what is written for a platform, and puts their blobs. `earlier` is what is there.
    pub(super) fn add(
        &mut self,
        config: &mut CacheConfig,
        earlier: Option<&CacheConfig>,
    ) -> Result<(), ExportCacheError> {
        for (id, meta) in std::mem::take(&mut self.caches) {
            self.exporting.check_cancelled()?;
            let before = earlier.and_then(|earlier| earlier.stash(id.name()));
            match self.keep((&id, &meta), before.as_ref()) {
                Ok(stash) => {
                    self.put(&stash, before.as_ref())?;
                    let name = MountName {
                        name: id.name().clone(),
                        namespace: meta.namespace.clone(),
                        id: meta.id.clone(),
                    };
                    config.add_mount(name, &stash, self.used);
                }
                Err(_) if self.exporting.workshop.cancel.is_cancelled() => {
                    return Err(ExportCacheError::Cancelled);
                }
                Err(error) => self.exporting.workshop.events.warn(format!(
                    "the cache mount `{}` is not exported: {}",
                    meta.id,
                    stash::chain(&error)
                )),
            }
            self.caches.push((id, meta));
        }
        Ok(())
    }

    fn keep(
        &mut self,
        (id, meta): (&CacheId, &CacheMeta),
        before: Option<&Stash>,
    ) -> Result<Stash, StashError> {
        let is_it = |(done, from, _): &&(CacheId, Option<Stash>, Stash)| {
            done == id && from.as_ref() == before
        };
        if let Some((_, _, stash)) = self.done.iter().find(is_it) {
            return Ok(stash.clone());
        }
        let open = |blob: &LayerBlob| -> Result<_, PlaceError> {
            let layer = CacheLayer::new(blob, layer::Times::Kept);
            self.session.open(&layer)
        };
        let earlier = before.map(|stash| EarlierStash { stash, open: &open });
        let Exporting { workshop, step, .. } = self.exporting;
        let how = (earlier.as_ref(), Compression::ZSTD);
        let stash = stash::keep(workshop, step, (id, meta), how)?;
        self.done.push((id.clone(), before.cloned(), stash.clone()));
        Ok(stash)
    }

    /// Puts the blobs that are not there.
    fn put(&self, stash: &Stash, before: Option<&Stash>) -> Result<(), ExportCacheError> {
        let there: BTreeSet<_> = before.into_iter().flat_map(digests).collect();
        let blobs = std::iter::once(&stash.index).chain(stash.packs.iter().map(|pack| &pack.blob));
        for blob in blobs.filter(|blob| !there.contains(&blob.digest)) {
            blobs::put_stored(self.exporting, self.session, blob)?;
        }
        Ok(())
    }
}

fn digests(stash: &Stash) -> impl Iterator<Item = &oci::Digest> {
    let packs = stash.packs.iter().map(|pack| &pack.blob.digest);
    std::iter::once(&stash.index.digest).chain(packs)
}
