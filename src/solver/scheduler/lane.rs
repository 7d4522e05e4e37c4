//! What waits for its turn: three kinds of actions, each with its own bound.

use std::cmp::Reverse;

use graph::VertexId;

use crate::state::Action;

/// How many commands more than may run are prepared: their layers fetched, their locks taken, their file systems
/// mounted.
pub(super) const PREPARED: usize = 2;

/// How many servers are asked at the same time.
pub(super) const TRANSFERS: usize = 8;

/// How many actions that stepped aside are not counted: each keeps a few descriptors open.
const ASIDE: usize = 64;

/// What bounds an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// A command.
    Commands,
    /// Something that a server has.
    Transfers,
    /// What this machine reads and writes.
    Files,
}

/// Actions that wait for their turn, and how many of their kind are under way and may be.
pub(super) struct Waiting {
    pub(super) running: usize,
    /// How many of those under way wait for somebody else.
    pub(super) aside: usize,
    limit: usize,
    pub(super) actions: Vec<Action>,
}

impl Waiting {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            running: 0,
            aside: 0,
            limit,
            actions: Vec::new(),
        }
    }

    /// Returns the action that may begin now: that with the most work after it, and of several the first of the file.
    pub(super) fn next(&mut self, rank: impl Fn(VertexId) -> u64) -> Option<Action> {
        if self.running - self.aside.min(ASIDE) >= self.limit {
            return None;
        }
        let order = |action: &Action| (Reverse(rank(action.vertex())), action.vertex());
        let places = 0..self.actions.len();
        let first = places.min_by_key(|place| order(&self.actions[*place]))?;
        self.running += 1;
        Some(self.actions.swap_remove(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(limit: usize, actions: impl IntoIterator<Item = usize>) -> Waiting {
        let actions = actions.into_iter().map(|index| Action::Run {
            vertex: VertexId::new(index),
            key: None,
            definition: None,
        });
        Waiting {
            actions: actions.collect(),
            ..Waiting::new(limit)
        }
    }

    #[test]
    fn in_the_place_of_each_that_steps_aside_another_one_begins_but_not_without_end() {
        let mut waiting = waiting(1, 0..2 * ASIDE);
        let mut begun = |aside| {
            waiting.aside = aside;
            waiting.next(|_| 0).map(|_| waiting.running)
        };
        assert_eq!([begun(0), begun(0)], [Some(1), None]);
        assert_eq!([begun(1), begun(1), begun(0)], [Some(2), None, None]);
        for running in 2..=ASIDE {
            assert_eq!(begun(running), Some(running + 1));
        }
        assert_eq!(begun(ASIDE + 1), None);
    }

    #[test]
    fn of_what_waits_the_one_with_the_most_work_after_it_begins_while_there_is_room() {
        let mut waiting = waiting(3, [4, 2, 3, 1]);
        let rank = |id: VertexId| u64::from(id.index() == 3);
        let mut begun = || waiting.next(rank).map(|action| action.vertex().index());
        assert_eq!(
            [begun(), begun(), begun(), begun()],
            [Some(3), Some(1), Some(2), None]
        );
    }
}
