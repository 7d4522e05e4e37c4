//! A few threads that take things from a queue.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// How long nobody looks whether the job was cancelled.
const CANCEL_POLL: Duration = Duration::from_millis(20);

/// Threads that do the same with everything that they are sent, and end when there is no sender any more.
#[derive(Debug)]
pub(super) struct Pool<T> {
    sender: Sender<T>,
    /// Is disconnected when all threads have ended.
    ended: Receiver<()>,
    threads: Vec<JoinHandle<()>>,
}

impl<T: Send + 'static> Pool<T> {
    /// Starts the threads. If there can be none, nothing is done.
    pub(super) fn start<W>(threads: usize, work: W) -> Self
    where
        W: Fn(T) + Clone + Send + 'static,
    {
        let (sender, receiver) = channel();
        let (ending, ended) = channel::<()>();
        // A channel has one receiver, so the threads share it: who waits for the next thing has the lock, and nothing
        // is done under it.
        let queue = Arc::new(Mutex::new(receiver));
        let spawn = |_| {
            let (queue, work, ending) = (Arc::clone(&queue), work.clone(), ending.clone());
            let run = move || {
                while let Some(next) = next(&queue) {
                    work(next);
                }
                drop(ending);
            };
            Builder::new().spawn(run).ok()
        };
        Self {
            sender,
            ended,
            threads: (0..threads).filter_map(spawn).collect(),
        }
    }

    /// Returns what takes things.
    pub(super) fn sender(&self) -> Sender<T> {
        self.sender.clone()
    }

    /// Waits until everything that was sent is done; meanwhile `look` is called now and then. There must be no other
    /// sender any more.
    pub(super) fn finish(self, look: impl Fn()) {
        drop(self.sender);
        while let Err(RecvTimeoutError::Timeout) = self.ended.recv_timeout(CANCEL_POLL) {
            look();
        }
        for thread in self.threads {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// Returns the next thing; none when there will be no more.
fn next<T>(queue: &Mutex<Receiver<T>>) -> Option<T> {
    let receiver = queue.lock().unwrap_or_else(PoisonError::into_inner);
    receiver.recv().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_was_sent_is_done_before_the_end() {
        let (done, all) = channel();
        let pool = Pool::start(2, move |number: u32| done.send(number * 2).unwrap());
        let sender = pool.sender();
        for number in 0..100 {
            sender.send(number).unwrap();
        }
        drop(sender);
        pool.finish(|| {});
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_unstable();
        assert_eq!(all, (0..100).map(|number| number * 2).collect::<Vec<_>>());
    }

    #[test]
    fn whoever_waits_for_the_end_can_look_elsewhere_meanwhile() {
        let (open, gate) = channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let pool = Pool::start(1, move |(): ()| gate.lock().unwrap().recv().unwrap());
        pool.sender().send(()).unwrap();
        // The thread ends only because it was looked.
        pool.finish(|| open.send(()).unwrap_or_default());
    }
}
