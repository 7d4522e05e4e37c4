//! Which commands may run now: as many as `--jobs` says, and of those as many as fit into `--memory-budget`.
//!
//! A step asks when all that it needs is there, locks and layers included: so a slot is never held by one that waits
//! for the network, for another build or for a cache. Of those that ask, the one with the most work after it goes
//! first; one that does not fit lets smaller ones pass. A command that fits nowhere runs alone.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often somebody who waits looks whether the job is over.
const LOOK: Duration = Duration::from_millis(50);

/// Who waits, in the order in which they may go: the most work after it first, then who came first.
type Place = (Reverse<u64>, u64);

/// What may run at the same time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How many commands.
    pub(crate) jobs: NonZeroUsize,
    /// How much memory they may be expected to need together, in bytes.
    pub(crate) budget_bytes: Option<u64>,
}

impl Limits {
    /// Returns what a command is expected to need of which nothing is known: its share, in bytes.
    fn share_bytes(self) -> u64 {
        let jobs = u64::try_from(self.jobs.get()).unwrap_or(u64::MAX);
        self.budget_bytes.unwrap_or(0) / jobs
    }
}

/// Who runs and who waits.
#[derive(Debug)]
struct Queue {
    limits: Limits,
    running: usize,
    bytes: u64,
    waiting: BTreeMap<Place, u64>,
    asked: u64,
    is_closed: bool,
}

impl Queue {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            running: 0,
            bytes: 0,
            waiting: BTreeMap::new(),
            asked: 0,
            is_closed: false,
        }
    }

    fn ask(&mut self, rank: u64, bytes: u64) -> Place {
        let place = (Reverse(rank), self.asked);
        self.asked += 1;
        self.waiting.insert(place, bytes);
        place
    }

    /// Returns who may go now.
    fn next(&self) -> Option<Place> {
        if self.running >= self.limits.jobs.get() || self.is_closed {
            return None;
        }
        let mut waiting = self.waiting.iter();
        let first = waiting.find(|(_, bytes)| self.fits(**bytes));
        first.map(|(place, _)| *place)
    }

    fn fits(&self, bytes: u64) -> bool {
        let budget = self.limits.budget_bytes;
        self.running == 0 || budget.is_none_or(|budget| self.bytes.saturating_add(bytes) <= budget)
    }

    /// Lets somebody go; returns how much memory that is expected to take.
    fn begin(&mut self, place: Place) -> u64 {
        let bytes = self.waiting.remove(&place).unwrap_or(0);
        self.running += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        bytes
    }

    fn end(&mut self, bytes: u64) {
        self.running -= 1;
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// The place where the commands of one job ask whether they may run.
#[derive(Debug)]
pub(crate) struct Admission {
    /// Those who wait share it: who goes depends on who else waits. It is held for moments.
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// The right to run a command, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    admission: &'a Admission,
    bytes: u64,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.admission.queue().end(self.bytes);
        self.admission.changed.notify_all();
    }
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            queue: Mutex::new(Queue::new(limits)),
            changed: Condvar::new(),
        }
    }

    /// Waits until a command may run that is expected to need so many bytes; `None` when there is nothing to wait for
    /// any more.
    pub(crate) fn admit(
        &self,
        rank: u64,
        bytes: Option<u64>,
        is_over: &dyn Fn() -> bool,
    ) -> Option<Permit<'_>> {
        let mut queue = self.queue();
        let share = queue.limits.share_bytes();
        let place = queue.ask(rank, bytes.unwrap_or(share));
        loop {
            if queue.is_closed || is_over() {
                queue.waiting.remove(&place);
                self.changed.notify_all();
                return None;
            }
            if queue.next() == Some(place) {
                let bytes = queue.begin(place);
                // There may be room for the next one.
                self.changed.notify_all();
                return Some(Permit {
                    admission: self,
                    bytes,
                });
            }
            let waited = self.changed.wait_timeout(queue, LOOK);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Lets nobody in any more.
    pub(crate) fn close(&self) {
        self.queue().is_closed = true;
        self.changed.notify_all();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nobody panics between two changes of it that belong together.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(jobs: usize, budget_bytes: Option<u64>) -> Limits {
        Limits {
            jobs: NonZeroUsize::new(jobs).unwrap(),
            budget_bytes,
        }
    }

    /// Asks for all of these (rank, bytes) and lets go whoever may; returns their numbers in that order.
    fn let_go(queue: &mut Queue, asked: &[(u64, u64)]) -> Vec<u64> {
        for (rank, bytes) in asked {
            queue.ask(*rank, *bytes);
        }
        let mut gone = Vec::new();
        while let Some(place) = queue.next() {
            queue.begin(place);
            gone.push(place.1);
        }
        gone
    }

    #[test]
    fn those_with_the_most_work_after_them_go_first_and_no_more_than_there_are_slots() {
        let mut queue = Queue::new(limits(3, None));
        let gone = let_go(&mut queue, &[(1, 0), (5, 0), (5, 0), (7, 0)]);
        assert_eq!(gone, [3, 1, 2]);
        queue.end(0);
        assert_eq!(let_go(&mut queue, &[(9, 0)]), [4]);
    }

    #[test]
    fn what_does_not_fit_into_the_budget_lets_smaller_ones_pass() {
        let mut queue = Queue::new(limits(4, Some(100)));
        let gone = let_go(&mut queue, &[(9, 60), (8, 60), (7, 40), (6, 1)]);
        assert_eq!(gone, [0, 2]);
        queue.end(60);
        assert_eq!(let_go(&mut queue, &[]), [1]);
    }

    #[test]
    fn one_command_runs_whatever_it_needs() {
        let mut queue = Queue::new(limits(4, Some(100)));
        assert_eq!(let_go(&mut queue, &[(2, 1000), (1, 1000)]), [0]);
        queue.end(1000);
        assert_eq!(let_go(&mut queue, &[]), [1]);
    }

    #[test]
    fn of_what_is_not_known_each_command_has_its_share() {
        let admission = Admission::new(limits(4, Some(100)));
        let never = || false;
        let permits: Vec<_> = (0..4)
            .filter_map(|_| admission.admit(0, None, &never))
            .collect();
        assert_eq!(permits.len(), 4);
        assert_eq!(admission.queue().bytes, 100);
        drop(permits);
        let queue = admission.queue();
        assert_eq!((queue.bytes, queue.running), (0, 0));
    }

    #[test]
    fn who_waits_goes_when_another_ends_or_the_job_is_over() {
        let admission = Admission::new(limits(1, None));
        let never = || false;
        let first = admission.admit(0, None, &never);
        assert!(admission.admit(0, None, &|| true).is_none());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| admission.admit(0, None, &never).is_some());
            drop(first);
            assert!(waiting.join().unwrap());
        });
        let first = admission.admit(0, None, &never);
        admission.close();
        assert!(admission.admit(0, None, &never).is_none());
        drop(first);
        assert_eq!(admission.queue().waiting.len(), 0);
    }
}
