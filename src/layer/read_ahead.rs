//! Changes read on a thread of their own, some way ahead of whoever takes them.
//!
//! What the kernel is asked for each file of a tree takes as long as making its header, hashing and compressing
//! together; with a thread for the asking both go on side by side. The order stays, and what is waiting is bounded by a
//! number of changes, so memory does not grow with their number.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;
use std::vec;

use crate::change::{Change, Changes};
use crate::diff::DiffError;

/// How many changes are passed on at once; so few are not worth a thread.
const BATCH: usize = 64;

/// How many batches wait to be taken.
const QUEUE: usize = 16;

type Item = Result<Change, DiffError>;

/// Changes that are being read.
pub(crate) struct ReadAhead {
    batch: vec::IntoIter<Item>,
    /// None where the first batch was all.
    more: Option<Receiver<Vec<Item>>>,
}

impl ReadAhead {
    /// Begins to read. The thread ends with the changes, or when nobody takes them any more.
    pub(crate) fn start<'scope, C>(scope: &'scope Scope<'scope, '_>, mut changes: C) -> Self
    where
        C: Changes + Send + 'scope,
    {
        let first = next_batch(&mut changes);
        let more = (first.len() == BATCH).then(|| {
            let (sender, receiver) = sync_channel(QUEUE);
            scope.spawn(move || read(changes, &sender));
            receiver
        });
        Self {
            batch: first.into_iter(),
            more,
        }
    }
}

impl Iterator for ReadAhead {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(change) = self.batch.next() {
                return Some(change);
            }
            self.batch = self.more.as_ref()?.recv().ok()?.into_iter();
        }
    }
}

fn read<C: Changes>(mut changes: C, to: &SyncSender<Vec<Item>>) {
    loop {
        let batch = next_batch(&mut changes);
        let is_last = batch.len() < BATCH;
        // Who wanted them stopped at an error.
        if to.send(batch).is_err() || is_last {
            return;
        }
    }
}

fn next_batch<C: Changes>(changes: &mut C) -> Vec<Item> {
    changes.take(BATCH).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use rootfs::RootPath;

    use super::*;
    use crate::change::ChangeKind;

    fn change(number: usize) -> Change {
        Change {
            path: RootPath::lexical(number.to_string()).unwrap(),
            kind: ChangeKind::Delete,
        }
    }

    fn changes(count: usize) -> impl Changes {
        (0..count).map(change).map(Ok)
    }

    fn path(item: Item) -> String {
        item.unwrap().path.to_string()
    }

    #[test]
    fn all_changes_come_in_their_order_however_many_there_are() {
        for count in [0, 1, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH * QUEUE] {
            let found: Vec<_> = thread::scope(|scope| {
                let ahead = ReadAhead::start(scope, changes(count));
                ahead.map(path).collect()
            });
            let expected: Vec<_> = changes(count).map(path).collect();
            assert_eq!(found, expected, "{count}");
        }
    }

    #[test]
    fn no_more_is_read_ahead_than_the_queue_holds() {
        let read = AtomicUsize::new(0);
        let counted = changes(1_000_000).inspect(|_| {
            read.fetch_add(1, Ordering::SeqCst);
        });
        thread::scope(|scope| {
            let mut ahead = ReadAhead::start(scope, counted);
            assert_eq!(path(ahead.next().unwrap()), "0");
        });
        // The first batch, those in the queue, and the one that found it full or closed.
        assert!(read.into_inner() <= (QUEUE + 2) * BATCH);
    }
}
