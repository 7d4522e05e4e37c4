//! Which process has which credentials: a number for each set, kept where the kernel hands it down.
//!
//! A number is the distance between the two limits that a process has for its time under real-time scheduling
//! (`RLIMIT_RTTIME`, `getrlimit(2)`). Limits belong to a process and not to its threads, a child has those of its parent from
//! its first instruction on, `execve` leaves them, and the end of a process ends them: there is nothing to follow and
//! nothing to forget. Nothing else in a sandbox uses this one, since no command there may be scheduled so.
//!
//! Whoever sets these limits is asked about (`pam_limits` of Debian gives each session the limits of PID 1): the hard one is
//! set, and the distance stays.

use std::collections::BTreeMap;
use std::sync::Arc;

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::notify::ids::credentials::Credentials;
use crate::sys::limit::{self, Limits};

/// The most sets of one sandbox; programs that go through all users have as many.
const SETS_LIMIT: usize = 1 << 18;

/// All sets that there have been in one sandbox.
#[derive(Debug)]
pub(super) struct Table {
    sets: Vec<Arc<Credentials>>,
    numbers: BTreeMap<Arc<Credentials>, u64>,
}

impl Table {
    /// Returns a table in which every process has `first`.
    pub(super) fn new(first: Credentials) -> Self {
        let first = Arc::new(first);
        Self {
            numbers: BTreeMap::from([(Arc::clone(&first), 0)]),
            sets: vec![first],
        }
    }

    /// Returns what the process of a thread has.
    pub(super) fn of(&self, thread: Pid) -> Result<Arc<Credentials>, Errno> {
        let limits = limit::real_time(thread).map_err(|error| error.errno())?;
        self.numbered(number(limits)).ok_or(Errno::ESRCH)
    }

    /// Gives the process of a thread other credentials.
    pub(super) fn give(&mut self, thread: Pid, credentials: Credentials) -> Result<(), Errno> {
        let number = self.number_for(credentials)?;
        let limits = limit::real_time(thread).map_err(|error| error.errno())?;
        // A command that has lowered the hard limit to next to nothing.
        let soft = limits.hard.checked_sub(number).ok_or(Errno::EAGAIN)?;
        let limits = Limits { soft, ..limits };
        limit::set_real_time(thread, limits).map_err(|error| error.errno())
    }

    /// Returns what the limits of the process of a thread would be without a number.
    pub(super) fn shown(thread: Pid) -> Result<Limits, Errno> {
        let limits = limit::real_time(thread).map_err(|error| error.errno())?;
        Ok(Limits {
            soft: limits.hard,
            ..limits
        })
    }

    /// Limits the process of a thread as it asks to, as far as its number does not need the limit.
    pub(super) fn limit(thread: Pid, asked: Limits) -> Result<(), Errno> {
        let limits = limit::real_time(thread).map_err(|error| error.errno())?;
        if asked.soft > asked.hard {
            return Err(Errno::EINVAL);
        }
        if asked.hard > limits.hard {
            return Err(Errno::EPERM);
        }
        let soft = asked
            .hard
            .checked_sub(number(limits))
            .ok_or(Errno::EINVAL)?;
        let limits = Limits {
            soft,
            hard: asked.hard,
        };
        limit::set_real_time(thread, limits).map_err(|error| error.errno())
    }

    /// A distance that is no number is none of ours: such a process has what all had at first.
    fn numbered(&self, number: u64) -> Option<Arc<Credentials>> {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        self.sets.get(at).or(self.sets.first()).map(Arc::clone)
    }

    fn number_for(&mut self, credentials: Credentials) -> Result<u64, Errno> {
        if let Some(number) = self.numbers.get(&credentials) {
            return Ok(*number);
        }
        if self.sets.len() >= SETS_LIMIT {
            return Err(Errno::EAGAIN);
        }
        let number = self.sets.len() as u64;
        let credentials = Arc::new(credentials);
        self.sets.push(Arc::clone(&credentials));
        self.numbers.insert(credentials, number);
        Ok(number)
    }
}

fn number(limits: Limits) -> u64 {
    limits.hard.saturating_sub(limits.soft)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::SandboxUser;
    use nix::unistd::gettid;

    fn user(uid: u32) -> Credentials {
        Credentials::of_user(&SandboxUser {
            uid,
            ..SandboxUser::default()
        })
    }

    #[test]
    fn a_set_has_one_number_and_a_number_one_set() {
        let mut table = Table::new(user(7));
        for (uid, number) in [(7, 0), (0, 1), (33, 2), (0, 1), (7, 0)] {
            assert_eq!(table.number_for(user(uid)), Ok(number), "{uid}");
            assert_eq!(*table.numbered(number).unwrap(), user(uid));
        }
    }

    #[test]
    fn a_distance_that_is_no_number_stands_for_the_first_set() {
        let table = Table::new(user(7));
        for number in [0, 1, u64::MAX] {
            assert_eq!(*table.numbered(number).unwrap(), user(7), "{number}");
        }
    }

    #[test]
    fn the_number_lies_between_the_limits_whatever_they_are() {
        for (hard, soft, expected) in [
            (u64::MAX, u64::MAX, 0),
            (u64::MAX, u64::MAX - 3, 3),
            (200_000, 199_998, 2),
            (5, 9, 0),
        ] {
            assert_eq!(number(Limits { soft, hard }), expected, "{hard} {soft}");
        }
    }

    #[test]
    fn a_limit_that_is_asked_for_leaves_the_number() {
        let hard = limit::real_time(gettid()).unwrap().hard;
        for (soft, hard, expected) in [
            (2, 1, Err(Errno::EINVAL)),
            (0, hard, Ok(())),
            (hard, hard, Ok(())),
        ] {
            let before = number(limit::real_time(gettid()).unwrap());
            assert_eq!(Table::limit(gettid(), Limits { soft, hard }), expected);
            assert_eq!(number(limit::real_time(gettid()).unwrap()), before);
        }
    }

    #[test]
    fn a_process_has_what_it_was_given_in_all_its_threads() {
        let mut table = Table::new(user(0));
        table.give(gettid(), user(33)).unwrap();
        let here = gettid();
        let elsewhere = std::thread::spawn(move || {
            let there = table.of(gettid()).unwrap();
            table.give(here, user(0)).unwrap();
            (there, table.of(gettid()).unwrap())
        });
        let (before, after) = elsewhere.join().unwrap();
        assert_eq!((&*before, &*after), (&user(33), &user(0)));
    }
}
