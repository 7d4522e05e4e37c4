//! Removing what the rules say, by the protocol of `lease`: what somebody uses stays, and nobody is waited for.
//!
//! ```text
//! 1  look at everything                       usage
//! 2  choose                                   policy, which touches nothing
//! 3  snapshots, caches, repositories          each under its exclusive claim, if it can be had at once
//! 4  the records that name a chosen blob      unless they were read or written since
//! 5  the chosen blobs                         sweep: unless a record, a tag or a lease names one by now
//! 6  records that lead to nothing any more    if they were not used after what went; all, if all was meant
//! ```
//!
//! A record is renamed into the trash, and put back where it turns out that somebody used it in between. Who dies on
//! the way leaves records of what is gone, which are misses, or blobs of which no record is left, which go the next time.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use oci::Digest;
use tracing::debug;

use crate::cache_mount::CacheId;
use crate::claim::{ClaimError, ClaimName, Claims};
use crate::content::ContentStore;
use crate::file::{self, FileError, SyncPolicy};
use crate::gc::{self, RemoveError, Removed};
use crate::hint::Hints;
use crate::layout::{COLLECTED, Layout};
use crate::lease::Leased;
use crate::name::ObjectId;
use crate::policy::{Room, Rule, choose};
use crate::sweep::{self, SweepError};
use crate::trash::{self, TrashError};
use crate::usage::{Item, ItemId, Note, Usage, UsageError, is_leased};
use crate::{MediumError, Space, repository, used};

/// Something cannot be removed.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// It cannot be found out what there is.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// It cannot be found out how full the file system is.
    #[error(transparent)]
    Room(#[from] MediumError),
    /// A snapshot cannot be removed.
    #[error(transparent)]
    Snapshot(#[from] RemoveError),
    /// A blob cannot be removed.
    #[error(transparent)]
    Blobs(#[from] SweepError),
    /// A cache or a repository cannot be claimed.
    #[error("remove what is not used from the store")]
    Claim(#[from] ClaimError),
    /// Leases or records cannot be read, or something cannot be moved.
    #[error("remove what is not used from the store")]
    File(#[from] FileError),
    /// Something cannot be deleted.
    #[error("remove what is not used from the store")]
    Trash(#[from] TrashError),
}

/// What was removed.
#[derive(Debug, Default)]
pub struct Collected {
    /// The items that are gone, in the order in which they went.
    pub removed: Vec<Item>,
    /// What the records took that went with them, in bytes.
    pub records_bytes: u64,
}

impl Collected {
    /// Returns how many bytes they took.
    pub fn bytes(&self) -> u64 {
        let items = self.removed.iter().map(|item| item.size_bytes);
        items.sum::<u64>() + self.records_bytes
    }
}

/// Removes what these rules say, one after the other.
pub(crate) fn collect(
    (layout, content): (&Arc<Layout>, &ContentStore),
    mut usage: Usage,
    rules: &[Rule],
) -> Result<Collected, CollectError> {
    let mut collected = Collected::default();
    for rule in rules {
        let room = Room::of(&layout.root)?;
        let chosen = choose(&usage.items, rule, (room, usage.now));
        let chosen: Vec<Item> = chosen
            .into_iter()
            .filter_map(|place| usage.items.get(place).cloned())
            .collect();
        let mut remover = Remover {
            layout,
            content,
            usage: &usage,
            gone: BTreeSet::new(),
            records_bytes: 0,
        };
        remover.remove(&chosen, rule)?;
        let Remover {
            gone,
            records_bytes,
            ..
        } = remover;
        debug!(
            chosen = chosen.len(),
            gone = gone.len(),
            records_bytes,
            "collected"
        );
        collected.records_bytes += records_bytes;
        collected
            .removed
            .extend(chosen.into_iter().filter(|item| gone.contains(&item.id)));
        usage.items.retain(|item| !gone.contains(&item.id));
    }
    Ok(collected)
}

/// How often what is said about time is looked after.
const PERIOD: Duration = Duration::from_hours(24);

/// Does the same after something was made, if it may be necessary; leaves it to whoever does it now already.
pub(crate) fn collect_after(
    (layout, content): (&Arc<Layout>, &ContentStore),
    rules: &[Rule],
) -> Result<Collected, CollectError> {
    if !layout.has_grown() || !is_due(layout, rules)? {
        return Ok(Collected::default());
    }
    let key = Digest::of(b"collect");
    let claims = Claims::new(Arc::clone(layout));
    let Some(_claim) = claims.try_exclusive(ClaimName::Key(&key))? else {
        return Ok(Collected::default());
    };
    let collected = collect((layout, content), Usage::read(layout, content)?, rules)?;
    used::touch_now(&stamp(layout));
    Ok(collected)
}

/// Tells whether the file system is so full that something may have to go, or whether a day has passed.
fn is_due(layout: &Arc<Layout>, rules: &[Rule]) -> Result<bool, CollectError> {
    let room = Room::of(&layout.root)?;
    let (by_age, by_space): (Vec<_>, Vec<_>) = rules
        .iter()
        .partition(|rule| rule.unused_for > Duration::ZERO);
    if by_space.iter().any(|rule| rule.may_remove(room)) {
        return Ok(true);
    }
    if by_age.is_empty() {
        return Ok(false);
    }
    let last = fs::metadata(stamp(layout)).and_then(|stamp| stamp.modified());
    if let Ok(last) = last {
        return Ok(layout.opened_at.duration_since(last).unwrap_or_default() >= PERIOD);
    }
    // Nothing is old in a store that is new.
    file::write_new(&stamp(layout), b"", SyncPolicy::None)?;
    Ok(false)
}

/// Returns the file whose time is that of the last collection.
fn stamp(layout: &Layout) -> PathBuf {
    layout.root.join(COLLECTED)
}

struct Remover<'a> {
    layout: &'a Arc<Layout>,
    content: &'a ContentStore,
    usage: &'a Usage,
    gone: BTreeSet<ItemId>,
    records_bytes: u64,
}

impl Remover<'_> {
    fn remove(&mut self, chosen: &[Item], rule: &Rule) -> Result<(), CollectError> {
        let leased = Leased::read(self.layout)?;
        let mut blobs = BTreeSet::new();
        for item in chosen {
            match &item.id {
                ItemId::Blob(digest) => {
                    if !leased.names(self.layout, &ObjectId::Blob(digest.clone())) {
                        blobs.insert(digest.clone());
                    }
                }
                _ => self.remove_tree(&item.id)?,
            }
        }
        self.remove_blobs(blobs)?;
        let now = self.usage.now;
        if rule.is_about_all() && rule.space == Space::default() {
            // What is written from now on may be for something that is not there yet.
            let gone = self.gone.clone();
            // What belongs to a directory that somebody has stays with it.
            let is_left = |id: &ItemId| matches!(id, ItemId::Snapshot(_)) && !gone.contains(id);
            return self.remove_records(&|note| note.used < now && !note.names.iter().any(is_left));
        }
        if !rule.filters.is_empty() {
            return Ok(());
        }
        let gone = chosen.iter().filter(|item| self.gone.contains(&item.id));
        let Some(horizon) = gone.map(|item| item.used).max() else {
            return Ok(());
        };
        let gone = self.gone.clone();
        self.remove_records(&|note| {
            note.used <= horizon && note.used < now && note.names.iter().all(|id| gone.contains(id))
        })
    }

    /// Removes what is no blob, if nobody uses it.
    fn remove_tree(&mut self, id: &ItemId) -> Result<(), CollectError> {
        let is_gone = match id {
            ItemId::Snapshot(snapshot) => {
                let object = ObjectId::Snapshot(snapshot.clone());
                gc::remove(self.layout, &object)? != Removed::InUse
            }
            ItemId::Cache(cache) => self.remove_cache(cache)?,
            ItemId::Repository(name) => self.remove_repository(name)?,
            ItemId::Hints => {
                Hints::new(Arc::clone(self.layout)).remove_all("")?;
                true
            }
            ItemId::Records | ItemId::Blob(_) | ItemId::Rest(_) => false,
        };
        if is_gone {
            self.gone.insert(id.clone());
        }
        Ok(())
    }

    fn remove_cache(&self, cache: &CacheId) -> Result<bool, CollectError> {
        self.remove_claimed(ClaimName::Cache(cache), &self.layout.cache(cache))
    }

    fn remove_repository(&self, name: &Digest) -> Result<bool, CollectError> {
        let key = repository::key(name);
        self.remove_claimed(ClaimName::Key(&key), &self.layout.repository(name))
    }

    /// Removes a tree that only who has a claim may use; tells whether nobody had it.
    fn remove_claimed(
        &self,
        name: ClaimName<'_>,
        path: &std::path::Path,
    ) -> Result<bool, CollectError> {
        let Some(claim) = Claims::new(Arc::clone(self.layout)).try_exclusive(name)? else {
            return Ok(false);
        };
        let trashed = trash::take(self.layout, path)?;
        drop(claim);
        if let Some(trashed) = trashed {
            trashed.delete()?;
        }
        Ok(true)
    }

    /// Removes the records that name blobs, and then the blobs that nobody wants or uses.
    fn remove_blobs(&mut self, blobs: BTreeSet<Digest>) -> Result<(), CollectError> {
        if blobs.is_empty() {
            return Ok(());
        }
        let names = |id: &ItemId| matches!(id, ItemId::Blob(digest) if blobs.contains(digest));
        let usage = self.usage;
        for note in &usage.notes.all {
            if !note.is_in_use && note.names.iter().any(names) {
                self.remove_record(note)?;
            }
        }
        let swept = sweep::sweep(self.layout, self.content, blobs)?;
        let removed = swept.removed.into_iter();
        self.gone
            .extend(removed.map(|(digest, _)| ItemId::Blob(digest)));
        Ok(())
    }

    /// Removes records that nobody uses.
    fn remove_records(&mut self, is_meant: &dyn Fn(&Note) -> bool) -> Result<(), CollectError> {
        let usage = self.usage;
        let leased = Leased::read(self.layout)?;
        let is_leased = |id: &ItemId| is_leased(self.layout, &leased, id);
        let mut meant: Vec<&Note> = usage
            .notes
            .all
            .iter()
            .filter(|note| is_meant(note))
            .collect();
        meant.retain(|note| !note.names.iter().any(is_leased));
        meant.into_iter().try_for_each(|note| {
            if note.is_in_use {
                return Ok(());
            }
            self.remove_record(note)
        })
    }

    /// Removes a record unless it was read or written since it was looked at.
    fn remove_record(&mut self, note: &Note) -> Result<(), CollectError> {
        let Some(trashed) = trash::take(self.layout, &note.path)? else {
            return Ok(());
        };
        let found = fs::symlink_metadata(trashed.path());
        let is_same = found
            .and_then(|found| found.modified())
            .is_ok_and(|time| time == note.used);
        if is_same {
            self.records_bytes += note.size_bytes;
        } else if let Err(error) = fs::hard_link(trashed.path(), &note.path) {
            // Somebody has written another one meanwhile.
            debug!(%error, path = %note.path.display(), "record not put back");
        }
        Ok(trashed.delete()?)
    }
}

#[cfg(test)]
#[path = "collect_tests.rs"]
mod tests;
