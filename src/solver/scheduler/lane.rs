//! What waits for its turn: three kinds of actions, each with its own bound.

use std::cmp::Reverse;

use graph::VertexId;

use crate::state::Action;

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
    limit: usize,
    pub(super) actions: Vec<Action>,
}

impl Waiting {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            running: 0,
            limit,
            actions: Vec::new(),
        }
    }

    /// Returns the action that may begin now: that with the most work after it, and of several the first of the file.
    pub(super) fn next(&mut self, rank: impl Fn(VertexId) -> u64) -> Option<Action> {
        if self.running >= self.limit {
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

    #[test]
    fn of_what_waits_the_one_with_the_most_work_after_it_begins_while_there_is_room() {
        let mut waiting = Waiting::new(3);
        let vertex = VertexId::new;
        for index in [4, 2, 3, 1] {
            let vertex = vertex(index);
            waiting.actions.push(Action::Run {
                vertex,
                key: None,
                definition: None,
            });
        }
        let rank = |id: VertexId| u64::from(id.index() == 3);
        let mut begun = || waiting.next(rank).map(|action| action.vertex().index());
        assert_eq!(
            [begun(), begun(), begun(), begun()],
            [Some(3), Some(1), Some(2), None]
        );
    }
}
