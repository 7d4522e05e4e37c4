//! What is in use before the disk holds it: [`Later`].
//!
//! A step that has ended is waited for by the next one, and that one needs its files, not their safety. So a snapshot
//! of which nobody else can know the name ([`crate::ActiveSnapshot::commit_later`]) stays in `ingest/`, under the lock
//! of its process, while the file system is synced beside the next steps. What would name it waits with it: in the
//! order of the drawing nothing changes, for others and after a crash.
//!
//! ```text
//! commit_later ──► waiting ──► one batch at a time, on a thread of its own:
//!                     ▲          1 sync the file system once for all snapshots of the batch
//!  records written ───┤          2 write their marks, rename them into their places
//!  meanwhile,         │          3 write the records
//!  claims given ──────┘          4 give the claims back
//!  back meanwhile
//! ```
//!
//! Within the process all of it is there at once: the lease knows the directories, and [`Later::record`] the records.
//! Whoever dies before step 2 leaves nothing; who dies between 2 and 3 leaves snapshots without a record.
//!
//! If the disk fails nothing is kept from then on, and whoever commits next is told. What could not be kept stays until
//! [`Later::finish`]: steps that run stand on it, and a file that is suddenly gone would be what they fail with.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::claim::Claim;
use crate::file::FileError;
use crate::layout::Layout;
use crate::record;
use crate::snapshot::{self, Complete, SnapshotError};

/// How many snapshots may wait. Each keeps a few descriptors open, and a disk that is this far behind is waited for.
const WAITING_LIMIT: usize = 64;

/// What was made cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum LaterError {
    /// A snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A record.
    #[error("write a record")]
    Record(#[source] FileError),
    /// No thread can be had that waits for the disk.
    #[error("start a thread that waits for the disk")]
    Thread(#[source] std::io::Error),
    /// Something before it, as was told already.
    #[error("what an earlier step made cannot be kept")]
    Earlier,
}

/// The snapshots, records and claims of this process that wait for the disk; a cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Later {
    layout: Arc<Layout>,
    /// Whoever commits, records and looks up shares this with the thread; each holds it for a moment, and nobody while
    /// files are read or written. Messages would not do: a record must be found as soon as it was written.
    state: Arc<Mutex<State>>,
    /// There is room again.
    changed: Arc<Condvar>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Batch,
    /// The records of the batch that is under way.
    writing: Arc<Records>,
    thread: Option<JoinHandle<()>>,
    is_busy: bool,
    /// Something could not be kept, and nothing is until all have heard of it.
    is_broken: bool,
    /// Why, until somebody was told.
    failure: Option<LaterError>,
    /// What could not be kept, for those who use it.
    lost: VecDeque<Complete>,
}

/// The documents of records by their places.
type Records = BTreeMap<PathBuf, Vec<u8>>;

/// What is kept in one go.
#[derive(Debug, Default)]
struct Batch {
    snapshots: VecDeque<Complete>,
    records: Records,
    claims: Vec<Claim>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.snapshots.is_empty() && self.records.is_empty() && self.claims.is_empty()
    }
}

impl Later {
    pub(crate) fn new(layout: Arc<Layout>) -> Self {
        Self {
            layout,
            state: Arc::default(),
            changed: Arc::default(),
        }
    }

    /// Takes a snapshot, and sees to it that somebody waits for the disk.
    pub(crate) fn add(&self, complete: Complete) -> Result<(), LaterError> {
        let is_full =
            |state: &mut State| state.is_busy && state.waiting.snapshots.len() >= WAITING_LIMIT;
        let state = self.changed.wait_while(self.state(), is_full);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if state.is_broken {
            return Err(state.failure.take().unwrap_or(LaterError::Earlier));
        }
        if !state.is_busy {
            // One that has seen that nothing is left does not look again.
            drop(state.thread.take());
            let own = self.clone();
            let thread = thread::Builder::new().spawn(move || own.keep_all());
            state.thread = Some(thread.map_err(LaterError::Thread)?);
            state.is_busy = true;
        }
        state.waiting.snapshots.push_back(complete);
        Ok(())
    }

    /// Takes a record if snapshots wait, or are lost, that it may name; else gives it back.
    pub(crate) fn hold_record(&self, place: &Path, document: Vec<u8>) -> Option<Vec<u8>> {
        let mut state = self.state();
        if !state.is_busy {
            return (!state.is_broken).then_some(document);
        }
        state.waiting.records.insert(place.to_owned(), document);
        None
    }

    /// Returns a record that is not on disk yet.
    pub(crate) fn record(&self, place: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        if !state.is_busy {
            return None;
        }
        let waiting = state.waiting.records.get(place);
        waiting.or_else(|| state.writing.get(place)).cloned()
    }

    /// Gives a claim back when everything that was made under it can be found.
    pub(crate) fn give_back(&self, claim: Claim) {
        let mut state = self.state();
        if state.is_busy {
            state.waiting.claims.push(claim);
        }
    }

    /// Waits until nothing waits any more. Nobody may use what was committed any more if it fails.
    ///
    /// # Errors
    ///
    /// Fails when something could not be kept since the last call, unless who committed was told. It is removed then, and
    /// so is what came after it.
    pub(crate) fn finish(&self) -> Result<(), LaterError> {
        let thread = self.state().thread.take();
        if let Some(thread) = thread
            && let Err(panic) = thread.join()
        {
            std::panic::resume_unwind(panic);
        }
        let mut state = self.state();
        state.is_broken = false;
        let (failure, lost) = (state.failure.take(), std::mem::take(&mut state.lost));
        drop(state);
        drop(lost);
        failure.map_or(Ok(()), Err)
    }

    /// Keeps batch after batch until nothing waits.
    fn keep_all(&self) {
        let _ending = Ending(self);
        while let Some(batch) = self.next_batch() {
            self.keep(batch);
        }
    }

    fn next_batch(&self) -> Option<Batch> {
        let mut state = self.state();
        if state.waiting.is_empty() {
            state.writing = Arc::default();
            state.is_busy = false;
            return None;
        }
        let mut batch = std::mem::take(&mut state.waiting);
        state.writing = Arc::new(std::mem::take(&mut batch.records));
        self.changed.notify_all();
        Some(batch)
    }

    /// Keeps a batch, unless one before it could not be: what was made of something that is lost is of no use.
    fn keep(&self, mut batch: Batch) {
        let (records, is_broken) = {
            let state = self.state();
            (Arc::clone(&state.writing), state.is_broken)
        };
        let kept = if is_broken {
            Ok(())
        } else {
            self.write(&mut batch.snapshots, &records)
        };
        let mut state = self.state();
        state.lost.extend(batch.snapshots);
        if let Err(error) = kept {
            state.is_broken = true;
            state.failure = Some(error);
        }
        drop(state);
        drop(batch.claims);
    }

    /// Puts snapshots into their places, and takes them out of the list, and then writes records.
    fn write(
        &self,
        snapshots: &mut VecDeque<Complete>,
        records: &Records,
    ) -> Result<(), LaterError> {
        snapshot::place_all(&self.layout, snapshots)?;
        for (place, document) in records {
            record::write(&self.layout, place, document).map_err(LaterError::Record)?;
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nobody panics between two changes of it that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees to it that nobody waits for a thread that panicked; [`Later::finish`] passes the panic on.
struct Ending<'a>(&'a Later);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let mut state = self.0.state();
            state.is_busy = false;
            state.is_broken = true;
            self.0.changed.notify_all();
        }
    }
}

#[cfg(test)]
#[path = "later_tests.rs"]
mod tests;
