//! What a command took when it ran last: how long, and how much memory. It decides what runs first and beside what,
//! and never what comes of it.
//!
//! It is kept under the definition of the step without its inputs: what a step took on other files is the best guess
//! that there is. What is not worth a guess is not kept.

use std::time::Duration;

use graph::{CacheMap, Definition, Op, VertexId};
use oci::Digest;
use serde::{Deserialize, Serialize};

use crate::job::Workshop;
use crate::state::ranks;

/// A command of which nothing is known is taken to run this long, in milliseconds.
const UNKNOWN_MS: u64 = 1000;

/// What is shorter is not kept, in milliseconds.
const NOTABLE_MS: u64 = 100;

/// What needs less memory is not kept, in bytes.
const NOTABLE_BYTES: u64 = 32 * 1024 * 1024;

/// What a command took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Experience {
    /// How long it ran, in milliseconds.
    took_ms: u64,
    /// The resident size of its largest process, in bytes.
    pub(crate) peak_bytes: u64,
}

impl Experience {
    pub(crate) fn new(took: Duration, peak_bytes: u64) -> Self {
        Self {
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            peak_bytes,
        }
    }

    fn is_notable(self) -> bool {
        self.took_ms >= NOTABLE_MS || self.peak_bytes >= NOTABLE_BYTES
    }

    /// Tells whether both say about the same: a record need not be written again for that.
    fn is_like(self, other: Self) -> bool {
        let near = |one: u64, other: u64| one.abs_diff(other) <= other / 4;
        near(self.took_ms, other.took_ms) && near(self.peak_bytes, other.peak_bytes)
    }
}

/// Returns what a step took when it ran last, if that is known.
pub(crate) fn of(workshop: &Workshop, definition: &Definition, id: VertexId) -> Option<Experience> {
    let place = place(definition, id)?;
    let known = workshop.store.records().get(&place);
    known.unwrap_or_else(|error| {
        // It is a guess, and there is another one.
        tracing::debug!(%error, "what a step took is not known");
        None
    })
}

/// Keeps what a step took.
pub(crate) fn remember(
    workshop: &Workshop,
    definition: &Definition,
    id: VertexId,
    found: Experience,
) {
    let is_known = |known: Experience| found.is_like(known);
    if !found.is_notable() || of(workshop, definition, id).is_some_and(is_known) {
        return;
    }
    if let Some(place) = place(definition, id)
        && let Err(error) = workshop.store.records().put(&place, &found)
    {
        tracing::debug!(%error, "what a step took is not kept");
    }
}

/// Returns how much work comes after each vertex, in milliseconds.
pub(crate) fn ranks_of(workshop: &Workshop, definition: &Definition) -> Vec<u64> {
    ranks(definition, |id| match &definition.vertex(id).op {
        Op::Exec(_) => of(workshop, definition, id).map_or(UNKNOWN_MS, |known| known.took_ms),
        Op::File(_) | Op::Source(_) => 1,
    })
}

fn place(definition: &Definition, id: VertexId) -> Option<Digest> {
    let map = CacheMap::of(definition.vertex(id))?;
    Some(Digest::of(format!("took\0{}", map.op()).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_and_small_is_not_kept_and_what_is_about_the_same_not_again() {
        let took = |ms, bytes| Experience::new(Duration::from_millis(ms), bytes);
        for (found, notable) in [
            (took(99, NOTABLE_BYTES - 1), false),
            (took(100, 0), true),
            (took(0, NOTABLE_BYTES), true),
        ] {
            assert_eq!(found.is_notable(), notable, "{found:?}");
        }
        for (found, like) in [
            (took(1000, 100), true),
            (took(1250, 75), true),
            (took(1251, 100), false),
            (took(1000, 126), false),
        ] {
            assert_eq!(found.is_like(took(1000, 100)), like, "{found:?}");
        }
    }
}
