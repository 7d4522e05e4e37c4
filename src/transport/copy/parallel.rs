//! The same for each of a list, several at a time.

use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Calls a function for each item, from at most `jobs` threads; returns what it returned, in the order of the
/// items. After the first failure nothing new begins.
pub(super) fn map<I: Sync, T: Send, E: Send>(
    items: &[I],
    jobs: usize,
    call: impl Fn(&I) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    if jobs <= 1 || items.len() <= 1 {
        return items.iter().map(call).collect();
    }
    // Each thread takes the next item when it is done with one: blobs differ in size by orders of magnitude, and
    // nobody knows before which takes longest. The lock is held for the taking alone.
    let next = Mutex::new(items.iter().enumerate());
    let (sender, receiver) = mpsc::channel();
    let (next, call) = (&next, &call);
    thread::scope(|scope| {
        for _ in 0..jobs.min(items.len()) {
            let sender = sender.clone();
            scope.spawn(move || work(next, call, &sender));
        }
        drop(sender);
    });
    let mut results: Vec<_> = receiver.into_iter().collect();
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Takes items until there are none left, or one fails.
fn work<I, T, E>(
    next: &Next<'_, I>,
    call: &impl Fn(&I) -> Result<T, E>,
    results: &Sender<(usize, Result<T, E>)>,
) {
    while let Some((at, item)) = take(next) {
        let result = call(item);
        let failed = result.is_err();
        if failed {
            exhaust(next);
        }
        if results.send((at, result)).is_err() || failed {
            return;
        }
    }
}

type Next<'i, I> = Mutex<std::iter::Enumerate<std::slice::Iter<'i, I>>>;

fn take<'i, I>(next: &Next<'i, I>) -> Option<(usize, &'i I)> {
    next.lock().unwrap_or_else(PoisonError::into_inner).next()
}

fn exhaust<I>(next: &Next<'_, I>) {
    let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
    while next.next().is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn results_are_in_the_order_of_the_items_however_many_threads_there_are() {
        let items: Vec<usize> = (0..100).collect();
        for jobs in [0, 1, 4, 1000] {
            let doubled = map(&items, jobs, |item| Ok::<_, ()>(item * 2)).unwrap();
            let expected: Vec<_> = (0..100).map(|item| item * 2).collect();
            assert_eq!(doubled, expected, "{jobs}");
        }
    }

    #[test]
    fn after_a_failure_nothing_new_begins() {
        let begun = AtomicUsize::new(0);
        let items: Vec<usize> = (0..10_000).collect();
        let failed = map(&items, 2, |item| {
            begun.fetch_add(1, Ordering::SeqCst);
            if *item == 0 {
                Err("zero")
            } else {
                thread::yield_now();
                Ok(())
            }
        });
        assert_eq!(failed, Err("zero"));
        assert!(begun.into_inner() <= items.len());
    }
}
