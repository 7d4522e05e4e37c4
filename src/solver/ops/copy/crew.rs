//! Several threads at work on what one hands out, and the results in the order in which it was handed out.
//!
//! Work goes round in batches, one worker after the other, so that which of them does what depends on the order alone.
//! What is no more than one batch is done by the caller itself.

use std::mem;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

/// How many items a batch has. Each may hold a directory open: of all that are on their way the number stays far below the
/// thousand descriptors that a process has at least.
const BATCH: usize = 64;

/// How many batches wait for one worker.
const QUEUE: usize = 1;

/// What came of the batches of one worker: of each, or up to the first that failed with its number.
type Worked<R, E> = Result<Vec<Vec<R>>, (usize, E)>;

/// One thread, and what sends batches to it.
struct Worker<'scope, T, R, E> {
    sender: SyncSender<(usize, Vec<T>)>,
    thread: ScopedJoinHandle<'scope, Worked<R, E>>,
}

/// Hands what `produce` gives to up to `threads` threads, each of which does `work` with it, and returns what came of
/// it in order.
///
/// # Errors
///
/// Fails with the first error of `work` in that order, or else with that of `produce`.
pub(super) fn in_order<T: Send, R: Send, E: Send>(
    threads: usize,
    produce: impl FnOnce(&mut dyn FnMut(T)) -> Result<(), E>,
    work: impl Fn(T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    std::thread::scope(|scope| {
        let mut crew = Crew {
            work: &work,
            threads,
            batch: Vec::new(),
            sent: 0,
            workers: Vec::new(),
        };
        let produced = produce(&mut |item| crew.take(scope, item));
        crew.finish(produced)
    })
}

struct Crew<'scope, 'work, T, R, E, W> {
    work: &'work W,
    threads: usize,
    batch: Vec<T>,
    sent: usize,
    workers: Vec<Worker<'scope, T, R, E>>,
}

impl<'scope, 'work: 'scope, T, R, E, W> Crew<'scope, 'work, T, R, E, W>
where
    T: Send + 'scope,
    R: Send + 'scope,
    E: Send + 'scope,
    W: Fn(T) -> Result<R, E> + Sync,
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
        // A worker that takes no more has failed, and says so at the end.
        drop(self.workers[turn].sender.send((self.sent, batch)));
        self.sent += 1;
    }

    fn start(&self, scope: &'scope Scope<'scope, '_>) -> std::io::Result<Worker<'scope, T, R, E>> {
        let (sender, receiver) = sync_channel::<(usize, Vec<T>)>(QUEUE);
        let work = self.work;
        let thread = Builder::new().spawn_scoped(scope, move || {
            let done = receiver.into_iter().map(|(number, batch)| {
                let results = batch.into_iter().map(work).collect::<Result<Vec<R>, E>>();
                results.map_err(|error| (number, error))
            });
            done.collect()
        })?;
        Ok(Worker { sender, thread })
    }

    /// Does what is left, waits for the workers and puts what they did in order.
    fn finish(self, produced: Result<(), E>) -> Result<Vec<R>, E> {
        let last: Result<Vec<R>, E> = self.batch.into_iter().map(self.work).collect();
        let (mut parts, mut failed) = (Vec::new(), None);
        for Worker { sender, thread } in self.workers {
            drop(sender);
            match thread.join() {
                Ok(Ok(done)) => parts.push(done.into_iter()),
                Ok(Err(error)) => failed = Some(first(failed, error)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        if let Some((_, error)) = failed {
            return Err(error);
        }
        let last = last?;
        produced?;
        let mut results = Vec::with_capacity(self.sent * BATCH + last.len());
        let turns = parts.len();
        for number in 0..self.sent {
            results.extend(parts[number % turns].next().into_iter().flatten());
        }
        results.extend(last);
        Ok(results)
    }
}

/// Returns that of two failures that is of the earlier batch.
fn first<E>(known: Option<(usize, E)>, other: (usize, E)) -> (usize, E) {
    match known {
        Some(known) if known.0 < other.0 => known,
        _ => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubled(count: usize, fails: &[usize]) -> Result<Vec<usize>, usize> {
        in_order(
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
        )
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
        );
        assert_eq!(failed, Err("walk"));
    }
}
