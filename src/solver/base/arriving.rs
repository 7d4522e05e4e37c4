//! A blob that is read while it arrives: from the file that it is written to, as far as that is.
//!
//! Whoever fetches never waits for whoever reads, and there may be none. The end of the blob is given out when its
//! digest was found to be right, so who has read to the end has read the blob.

use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rootfs::File;

/// How far a blob is. Guarded by a mutex, since many may read and only numbers are told: a channel would have to keep
/// the bytes for whoever comes later.
#[derive(Debug, Default)]
struct Progress {
    file: Option<Arc<File>>,
    written_bytes: u64,
    end: Option<End>,
}

/// How the fetching of a blob ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The store has the blob.
    There,
    /// It does not.
    Failed,
}

/// A blob on its way into the store.
#[derive(Debug, Default)]
pub(super) struct Arrival {
    progress: Mutex<Progress>,
    changed: Condvar,
}

impl Arrival {
    /// Notes that so many bytes are in the file.
    pub(super) fn came(&self, file: &File, written_bytes: u64) {
        let mut progress = self.progress();
        if progress.file.is_none() {
            // Without a descriptor for it the blob is read when it is there.
            progress.file = file.try_clone().ok().map(Arc::new);
        }
        progress.written_bytes = written_bytes;
        self.changed.notify_all();
    }

    /// Notes that no more bytes come. The first word counts.
    pub(super) fn end(&self, end: End) {
        self.progress().end.get_or_insert(end);
        self.changed.notify_all();
    }

    /// Waits for the first bytes, and returns a reader of the blob; `None` where it is over.
    pub(super) fn begun(self: &Arc<Self>) -> Option<ArrivingBlob> {
        let progress = self.wait_until(|progress| progress.file.is_some());
        if progress.end.is_some() {
            return None;
        }
        let file = Arc::clone(progress.file.as_ref()?);
        Some(ArrivingBlob {
            arrival: Arc::clone(self),
            file,
            at: 0,
        })
    }

    /// Tells whether the blob will not come.
    pub(super) fn has_failed(&self) -> bool {
        self.progress().end == Some(End::Failed)
    }

    /// Waits until something is so, or nothing changes any more.
    fn wait_until(&self, is_so: impl Fn(&Progress) -> bool) -> MutexGuard<'_, Progress> {
        let goes_on = |progress: &mut Progress| progress.end.is_none() && !is_so(progress);
        let waited = self.changed.wait_while(self.progress(), goes_on);
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends an arrival as failed where nobody else ended it: whoever waits must not wait for a thread that is gone.
pub(super) struct Ending<'a>(pub(super) &'a Arrival);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end(End::Failed);
    }
}

/// Reads a blob while it arrives.
#[derive(Debug)]
pub(crate) struct ArrivingBlob {
    arrival: Arc<Arrival>,
    file: Arc<File>,
    at: u64,
}

impl Read for ArrivingBlob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = self.at;
        let progress = self
            .arrival
            .wait_until(|progress| progress.written_bytes > at);
        let (written_bytes, end) = (progress.written_bytes, progress.end);
        drop(progress);
        if end == Some(End::Failed) {
            return Err(io::Error::other("the layer does not arrive"));
        }
        let there = usize::try_from(written_bytes - at).unwrap_or(usize::MAX);
        let most = there.min(buffer.len());
        let count = self.file.read_at(&mut buffer[..most], at)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_reader_gets_what_is_written_and_the_end_when_that_is_said() {
        let mut file = tempfile::tempfile().unwrap();
        let arrival = Arc::new(Arrival::default());
        file.write_all(b"abc").unwrap();
        arrival.came(&file, 2);
        let mut reader = arrival.begun().unwrap();
        let mut buffer = [0; 8];
        assert_eq!(reader.read(&mut buffer).unwrap(), 2, "what is announced");
        std::thread::scope(|scope| {
            let rest = scope.spawn(move || {
                let mut rest = Vec::new();
                reader.read_to_end(&mut rest).map(|_| rest)
            });
            arrival.came(&file, 3);
            arrival.end(End::There);
            assert_eq!(rest.join().unwrap().unwrap(), b"c");
        });
        assert!(arrival.begun().is_none(), "it is in the store");
    }

    #[test]
    fn who_waits_for_what_fails_is_told() {
        let arrival = Arc::new(Arrival::default());
        let file = tempfile::tempfile().unwrap();
        arrival.came(&file, 0);
        let mut reader = arrival.begun().unwrap();
        std::thread::scope(|scope| {
            let read = scope.spawn(move || reader.read(&mut [0; 1]));
            drop(Ending(&arrival));
            let error = read.join().unwrap().unwrap_err();
            assert_eq!(error.to_string(), "the layer does not arrive");
        });
        assert!(arrival.has_failed());
        arrival.end(End::There);
        assert!(arrival.has_failed(), "the first word counts");
    }

    #[test]
    fn nobody_reads_what_never_begins() {
        let arrival = Arc::new(Arrival::default());
        std::thread::scope(|scope| {
            let begun = scope.spawn(|| arrival.begun().is_none());
            arrival.end(End::Failed);
            assert!(begun.join().unwrap());
        });
    }
}
