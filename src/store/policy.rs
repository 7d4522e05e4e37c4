//! What is to go: rules over what the store keeps, as pure functions.
//!
//! ```text
//! keep = max used space, if that is said; else nothing, or all where only free space is asked for
//! keep = at most the total less what is missing of the free space
//! keep = at least the reserved space
//!
//! remove, the least recently used first, until the total is at most keep:
//!     what nobody uses and no image needs, what the filters mean, and what was not used for as long as the rule says;
//!     directories of second names before all else, and children before their parents
//! ```
//!
//! These are BuildKit's rules. A rule without any space removes all that it means.

mod filter;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use crate::usage::{Item, ItemId, ItemKind, cache_bytes};

pub use filter::{Filter, FilterError};

/// How much may be kept, in bytes; none of them says nothing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Space {
    /// What is kept in any case.
    pub reserved_bytes: Option<u64>,
    /// What is kept at most.
    pub max_used_bytes: Option<u64>,
    /// What is to be free on the file system.
    pub min_free_bytes: Option<u64>,
}

/// What is to go.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rule {
    /// Whether it also means what careen keeps for itself.
    pub is_all: bool,
    /// Alternatives, of each of which everything has to be so; none means everything.
    pub filters: Vec<Vec<Filter>>,
    /// How long something must not have been used.
    pub unused_for: Duration,
    /// How much may be kept.
    pub space: Space,
}

/// How full the file system of a store is, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Room {
    /// What ordinary users may write.
    pub free_bytes: u64,
    /// What it holds in all.
    pub size_bytes: u64,
    /// What anybody has written.
    pub used_bytes: u64,
}

impl Space {
    /// Returns what a total is to become, in bytes; none where there is no limit on what goes.
    fn keep_bytes(&self, total_bytes: u64, free_bytes: u64) -> Option<u64> {
        if *self == Self::default() {
            return None;
        }
        let all = self.min_free_bytes.map_or(0, |_| total_bytes);
        let most = self.max_used_bytes.unwrap_or(all);
        let missing = self.min_free_bytes.unwrap_or(0).saturating_sub(free_bytes);
        let least = self.reserved_bytes.unwrap_or(0);
        Some(most.min(total_bytes.saturating_sub(missing)).max(least))
    }
}

impl Rule {
    /// Tells whether a rule says nothing of what it means: then it is about everything, whatever it is.
    pub fn is_about_all(&self) -> bool {
        self.is_all && self.filters.is_empty() && self.unused_for == Duration::ZERO
    }

    /// Tells whether the rule may remove something from a store on a file system that is so full: what the store keeps
    /// is at most what the file system holds.
    pub fn may_remove(&self, room: Room) -> bool {
        let keep_bytes = self.space.keep_bytes(room.used_bytes, room.free_bytes);
        keep_bytes.is_none_or(|keep_bytes| keep_bytes < room.used_bytes)
    }

    /// Tells whether the rule is about an item.
    fn means(&self, item: &Item, now: SystemTime) -> bool {
        let age = now.duration_since(item.used).unwrap_or_default();
        // Records go with what they lead to.
        item.id != ItemId::Records
            && item.is_reclaimable()
            && (self.is_all || item.kind != ItemKind::Internal)
            && age >= self.unused_for
            && self.fits(item)
    }

    /// Tells whether the filters are about an item.
    pub fn fits(&self, item: &Item) -> bool {
        let fits = |filters: &Vec<Filter>| filters.iter().all(|filter| filter.fits(item));
        self.filters.is_empty() || self.filters.iter().any(fits)
    }
}

/// Returns the places of the items that a rule removes, in the order in which they go.
pub fn choose(items: &[Item], rule: &Rule, (room, now): (Room, SystemTime)) -> Vec<usize> {
    let mut total_bytes = cache_bytes(items);
    let keep_bytes = rule.space.keep_bytes(total_bytes, room.free_bytes);
    let is_enough = |total_bytes| keep_bytes.is_some_and(|keep| total_bytes <= keep);
    let mut meant: Vec<(usize, &Item)> = items
        .iter()
        .enumerate()
        .filter(|(_, item)| rule.means(item, now))
        .collect();
    meant.sort_by_key(|(_, item)| {
        let is_parent = item.parent.is_none();
        (!item.is_second_names, item.used, is_parent, &item.id)
    });
    let mut chosen = Chosen::of(items);
    for (place, item) in meant {
        if is_enough(total_bytes) {
            break;
        }
        if chosen.take(place, item) {
            total_bytes = total_bytes.saturating_sub(item.size_bytes);
        }
    }
    chosen.places
}

/// What goes, and what stands on what stays.
struct Chosen<'a> {
    places: Vec<usize>,
    /// Those that stay and have a parent, with it.
    children: BTreeSet<(&'a ItemId, &'a ItemId)>,
}

impl<'a> Chosen<'a> {
    fn of(items: &'a [Item]) -> Self {
        let child = |item: &'a Item| Some((item.parent.as_ref()?, &item.id));
        Self {
            places: Vec::new(),
            children: items.iter().filter_map(child).collect(),
        }
    }

    /// Takes an item unless a child of it stays; tells whether it did.
    fn take(&mut self, place: usize, item: &'a Item) -> bool {
        if self.children.iter().any(|(parent, _)| **parent == item.id) {
            return false;
        }
        if let Some(parent) = &item.parent {
            self.children.remove(&(parent, &item.id));
        }
        self.places.push(place);
        true
    }
}

#[cfg(test)]
#[path = "policy/tests.rs"]
mod tests;
