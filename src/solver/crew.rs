//! The threads that carry out actions: each is kept for the next one.
//!
//! A build in which nothing is to be done is hundreds of look-ups, one after the other, of which each takes less time
//! than making a thread for it. A member is handed one piece of work at a time; who hands it out says when it is free
//! again, so nothing is shared between the members.

use std::fmt;
use std::io;
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, Scope};

/// Something to be done by a member, which learns its own number.
pub(crate) type Work<'job> = Box<dyn FnOnce(Member) + Send + 'job>;

/// The number of a thread of the crew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member(usize);

/// Threads that are made when all others are busy, and end with the crew.
pub(crate) struct Crew<'scope, 'job> {
    scope: &'scope Scope<'scope, 'job>,
    members: Vec<Sender<Work<'job>>>,
    idle: Vec<Member>,
}

impl fmt::Debug for Crew<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew")
            .field("members", &self.members.len())
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}

impl<'scope, 'job> Crew<'scope, 'job> {
    /// Returns a crew without members, whose threads end before `scope` does.
    pub(crate) fn new(scope: &'scope Scope<'scope, 'job>) -> Self {
        Self {
            scope,
            members: Vec::new(),
            idle: Vec::new(),
        }
    }

    /// Hands work to a member that is free: the one that was busy last, whose stack and caches are warm, or a new one.
    ///
    /// # Errors
    ///
    /// Fails when a thread is needed and none can be had.
    pub(crate) fn hand_out(&mut self, mut work: Work<'job>) -> io::Result<()> {
        while let Some(member) = self.idle.pop() {
            let Some(hands) = self.members.get(member.0) else {
                continue;
            };
            match hands.send(work) {
                Ok(()) => return Ok(()),
                // A panic ended it. Another one takes over.
                Err(refused) => work = refused.0,
            }
        }
        let member = Member(self.members.len());
        let (hands, pieces) = channel::<Work<'job>>();
        Builder::new().spawn_scoped(self.scope, move || {
            work(member);
            for piece in pieces {
                piece(member);
            }
        })?;
        self.members.push(hands);
        Ok(())
    }

    /// Takes note that a member has nothing to do any more.
    pub(crate) fn is_free(&mut self, member: Member) {
        self.idle.push(member);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_member_is_used_again_and_a_busy_one_is_not_waited_for() {
        let (told, members) = channel();
        let (release, released) = channel::<()>();
        std::thread::scope(|scope| {
            let mut crew = Crew::new(scope);
            let tell = |crew: &mut Crew<'_, '_>| {
                let told = told.clone();
                let work = Box::new(move |member| told.send(member).unwrap());
                crew.hand_out(work).unwrap();
                members.recv().unwrap()
            };
            let first = tell(&mut crew);
            crew.is_free(first);
            assert_eq!(tell(&mut crew), first);
            crew.is_free(first);
            crew.hand_out(Box::new(move |_| released.recv().unwrap_or_default()))
                .unwrap();
            assert_ne!(tell(&mut crew), first);
            drop(release);
        });
    }
}
