//! Waits for locks that were not free: whoever opens a store may listen to them.
//!
//! A lock of a store is held for moments, or by who makes something for as long as that takes ([`Held`]). So a wait for
//! one of the former that takes long says that something is wrong with the machine, or that its holder was stopped;
//! nobody would know otherwise. A wait is told of when it lasts a second, and when it is over if it was more than the
//! first pauses between two tries.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::lock;

/// A wait that is shorter is not told of.
const NOTABLE: Duration = Duration::from_millis(5);

/// When a wait is told of that is not over.
const LONG: Duration = Duration::from_secs(1);

/// How long a lock is held.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Held {
    /// While something is renamed or looked up.
    Moments,
    /// While something is made or used: a step carried out, a layer fetched, unpacked or packed, the store itself made and
    /// synced.
    Work,
}

/// A lock that was not free.
#[derive(Clone, Debug)]
pub struct Wait {
    /// What it is on.
    pub lock: String,
    /// How long others have it.
    pub held: Held,
    /// How long it has been waited for.
    pub lasted: Duration,
    /// Whether the wait has ended, with the lock or without it.
    pub is_over: bool,
}

/// Whom to tell of waits.
type Listener = dyn Fn(&Wait) + Send + Sync;

/// Who is told of waits; nobody, unless somebody listens.
#[derive(Clone, Default)]
pub struct Waits {
    listener: Option<Arc<Listener>>,
}

impl fmt::Debug for Waits {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listened = self.listener.is_some();
        to.debug_struct("Waits")
            .field("listened", &listened)
            .finish()
    }
}

impl Waits {
    /// Makes what calls the listener, in the thread that waits.
    pub fn told_to<L: Fn(&Wait) + Send + Sync + 'static>(listener: L) -> Self {
        Self {
            listener: Some(Arc::new(listener)),
        }
    }

    /// Tries for a lock until it is there, and returns whether that was before `cancelled` said yes.
    pub(crate) fn wait<T>(
        &self,
        (lock, held): (&str, Held),
        attempt: T,
        cancelled: &dyn Fn() -> bool,
    ) -> io::Result<bool>
    where
        T: Fn() -> io::Result<bool>,
    {
        let watch = Watch {
            waits: self,
            lock,
            held,
            since: Cell::new(None),
            is_told: Cell::new(false),
        };
        let done = lock::wait(attempt, &|| {
            watch.look();
            cancelled()
        });
        watch.end();
        done
    }

    fn tell(&self, wait: &Wait) {
        debug!(lock = wait.lock, held = ?wait.held, lasted = ?wait.lasted, is_over = wait.is_over, "waited");
        if let Some(listener) = &self.listener {
            listener(wait);
        }
    }
}

/// One wait, while it lasts.
struct Watch<'a> {
    waits: &'a Waits,
    lock: &'a str,
    held: Held,
    /// When the first try was in vain.
    since: Cell<Option<Instant>>,
    /// Whether it was told of while it lasted.
    is_told: Cell<bool>,
}

impl Watch<'_> {
    /// Notes that a try was in vain.
    fn look(&self) {
        let lasted = self.lasted();
        if lasted >= LONG && !self.is_told.replace(true) {
            self.tell(lasted, false);
        }
    }

    fn end(&self) {
        if self.since.get().is_some() && self.lasted() >= NOTABLE {
            self.tell(self.lasted(), true);
        }
    }

    fn lasted(&self) -> Duration {
        let since = self.since.get().unwrap_or_else(Instant::now);
        self.since.set(Some(since));
        since.elapsed()
    }

    fn tell(&self, lasted: Duration, is_over: bool) {
        self.waits.tell(&Wait {
            lock: self.lock.to_owned(),
            held: self.held,
            lasted,
            is_over,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use oci::Digest;

    use super::*;
    use crate::testing::{Fixture, options};
    use crate::{ClaimName, OpenOptions, Store};

    /// Returns what is told while a claim is waited for that somebody else has for a time.
    fn waited(name: ClaimName<'_>, held_for: Duration) -> Vec<Wait> {
        let fixture = Fixture::new();
        let (sender, told) = mpsc::channel();
        let waits = Waits::told_to(move |wait| drop(sender.send(wait.clone())));
        let options = OpenOptions {
            waits,
            ..options("multi")
        };
        let listening = Store::open(fixture.store.path(), options).unwrap();
        let claim = fixture.store.claims().exclusive(name).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| listening.claims().shared(name).map(drop));
            thread::park_timeout(held_for);
            drop(claim);
            waiting.join().unwrap().unwrap();
        });
        told.try_iter().collect()
    }

    #[test]
    fn a_wait_is_told_of_when_it_is_over() {
        let told = waited(ClaimName::Tags, Duration::from_millis(60));
        let [wait] = told.as_slice() else {
            panic!("{told:?}")
        };
        assert_eq!((wait.lock.as_str(), wait.held), ("tags", Held::Moments));
        assert!(wait.is_over && wait.lasted >= NOTABLE, "{wait:?}");
    }

    #[test]
    fn a_long_wait_is_told_of_once_while_it_lasts() {
        let key = Digest::of(b"key");
        let told = waited(ClaimName::Key(&key), Duration::from_millis(1300));
        let over: Vec<_> = told.iter().map(|wait| wait.is_over).collect();
        assert_eq!(over, [false, true]);
        for wait in told {
            assert_eq!(wait.lock, format!("key multi/{key}"));
            assert_eq!(wait.held, Held::Work);
            assert!(wait.lasted >= LONG, "{wait:?}");
        }
    }

    #[test]
    fn what_is_free_is_not_waited_for() {
        let waits = Waits::told_to(|wait| panic!("{wait:?}"));
        let mine = ("mine", Held::Moments);
        assert!(waits.wait(mine, || Ok(true), &lock::never).unwrap());
    }
}
