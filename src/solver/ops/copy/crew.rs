//! Several threads at work on what one hands out, and the results in the order in which it was handed out.
//!
//! Work goes round in batches, one worker after the other, so that which of them does what depends on the order alone.
//! What is no more than one batch is done by the caller itself.

use std::mem;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

/// How many items a batch has. Each may hold a directory open: of all that are on their way the number stays far below the
/// thousand descriptors that a process has at least.
const BATCH: usize = 64;

/// How many batches wait for one worker.
const QUEUE: usize = 1;

/// What came of one batch.
type Worked<R, E> = Result<Vec<R>, E>;

/// One thread, what sends batches to it, and where what comes of them arrives.
struct Worker<'scope, T, R, E> {
    sender: SyncSender<Vec<T>>,
    results: Receiver<Worked<R, E>>,
    thread: ScopedJoinHandle<'scope, ()>,
}

/// Hands what `produce` gives to up to `threads` threads, each of which does `work` with it, and what comes of it to
/// `keep`, in order and as soon as it is there.
///
/// # Errors
///
/// Fails with the first error of `work` in that order, or else with that of `produce`. What was kept by then is of no use.
pub(super) fn in_order<T: Send, R: Send, E: Send>(
    threads: usize,
    produce: impl FnOnce(&mut dyn FnMut(T)) -> Result<(), E>,
    work: impl Fn(T) -> Result<R, E> + Sync,
    keep: impl FnMut(R),
) -> Result<(), E> {
    std::thread::scope(|scope| {
        let mut crew = Crew {
            work: &work,
            keep,
            threads,
            batch: Vec::new(),
            sent: 0,
            kept: 0,
            failed: None,
            workers: Vec::new(),
        };
        let produced = produce(&mut |item| crew.take(scope, item));
        crew.finish(produced)
    })
}

struct Crew<'scope, 'work, T, R, E, W, K> {
    work: &'work W,
    keep: K,
    threads: usize,
    batch: Vec<T>,
    /// How many batches went to workers.
    sent: usize,
    /// Of how many it is known what came of them.
    kept: usize,
    failed: Option<E>,
    workers: Vec<Worker<'scope, T, R, E>>,
}

impl<'scope, 'work: 'scope, T, R, E, W, K> Crew<'scope, 'work, T, R, E, W, K>
where
    T: Send + 'scope,
    R: Send + 'scope,
    E: Send + 'scope,
    W: Fn(T) -> Result<R, E> + Sync,
    K: FnMut(R),
{
    fn take(&mut self, scope: &'scope Scope<'scope, '_>, item: T) {
        if self.batch.len() == BATCH {
            self.send(scope);
        }
        self.batch.push(item);
    }

    /// Gives the batch to the worker whose turn it is.
    fn send(&mut self, scope: &'scope Scope<'scope, '_>) {
        let turn = self.sent % self.threads;
        if turn == self.workers.len() {
            match self.start(scope) {
                Ok(worker) => self.workers.push(worker),
                // Those that are there do it all; without one, the batch grows and the caller does it.
                Err(_) if self.workers.is_empty() => return,
                Err(_) => self.threads = self.workers.len(),
            }
        }
        let turn = self.sent % self.threads;
        let batch = mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        // A worker that takes no more has failed, which is known when it is its turn.
        drop(self.workers[turn].sender.send(batch));
        self.sent += 1;
        while let Ok(worked) = self.next_results().try_recv() {
            self.keep(worked);
        }
    }

    fn start(&self, scope: &'scope Scope<'scope, '_>) -> std::io::Result<Worker<'scope, T, R, E>> {
        let (sender, batches) = sync_channel::<Vec<T>>(QUEUE);
        // It holds no more than the batches that are sent between two looks.
        let (done, results) = channel();
        let work = self.work;
        let thread = Builder::new().spawn_scoped(scope, move || {
            for batch in batches {
                let worked: Worked<R, E> = batch.into_iter().map(work).collect();
                let is_over = worked.is_err();
                if done.send(worked).is_err() || is_over {
                    return;
                }
            }
        })?;
        Ok(Worker {
            sender,
            results,
            thread,
        })
    }

    /// Returns where what comes of the next batch arrives. One has been sent.
    fn next_results(&self) -> &Receiver<Worked<R, E>> {
        &self.workers[self.kept % self.workers.len()].results
    }

    /// Keeps what came of the next batch, up to the first that failed.
    fn keep(&mut self, worked: Worked<R, E>) {
        self.kept += 1;
        match worked {
            Err(error) => self.failed = self.failed.take().or(Some(error)),
            Ok(results) if self.failed.is_none() => results.into_iter().for_each(&mut self.keep),
            Ok(_) => {}
        }
    }

    /// Does what is left, and waits for the workers.
    fn finish(mut self, produced: Result<(), E>) -> Result<(), E> {
        while self.kept < self.sent && self.failed.is_none() {
            // One that ended without an answer panicked.
            let Ok(worked) = self.next_results().recv() else {
                break;
            };
            self.keep(worked);
        }
        for Worker { sender, thread, .. } in self.workers {
            drop(sender);
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut keep = self.keep;
        for item in self.batch {
            keep((self.work)(item)?);
        }
        produced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubled(count: usize, fails: &[usize]) -> Result<Vec<usize>, usize> {
        let mut kept = Vec::new();
        let done = in_order(
            3,
            |take| {
                (0..count).for_each(take);
                Ok(())
            },
            |item| {
                if fails.contains(&item) {
                    Err(item)
                } else {
                    Ok(item * 2)
                }
            },
            |result| kept.push(result),
        );
        done.map(|()| kept)
    }

    #[test]
    fn results_come_in_the_order_of_what_was_handed_out() {
        for count in [0, 1, BATCH, BATCH + 1, 10 * BATCH + 7] {
            let expected: Vec<_> = (0..count).map(|item| item * 2).collect();
            assert_eq!(doubled(count, &[]), Ok(expected), "{count}");
        }
    }

    #[test]
    fn of_several_failures_the_first_in_order_is_told() {
        let fails = [5 * BATCH, 2 * BATCH + 1, 9 * BATCH + 5];
        assert_eq!(doubled(10 * BATCH, &fails), Err(2 * BATCH + 1));
        assert_eq!(doubled(2 * BATCH, &[2 * BATCH - 1]), Err(2 * BATCH - 1));
    }

    #[test]
    fn whoever_hands_out_may_fail() {
        let failed = in_order(
            2,
            |take| {
                (0..1000).for_each(take);
                Err("walk")
            },
            Ok,
            drop::<usize>,
        );
        assert_eq!(failed, Err("walk"));
    }
}
