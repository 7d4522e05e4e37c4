//! Streams that tell how far they are: the bytes of what is fetched, unpacked, packed and pushed.

use std::borrow::BorrowMut;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use crate::event::{Events, Moved, StepId};

/// How often a stream tells. A display that shows less often leaves some out.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// Tells displays how much of something was moved, now and then.
#[derive(Debug)]
pub struct Count {
    events: Events,
    /// The step that moves it; nothing is told without one.
    step: Option<StepId>,
    what: String,
    moved: Moved,
    last: Instant,
}

impl Count {
    /// Begins with nothing moved, of so many bytes if that is known.
    pub fn new(events: &Events, step: Option<&StepId>, what: String, total: Option<u64>) -> Self {
        Self {
            events: events.clone(),
            step: step.cloned(),
            what,
            moved: Moved { current: 0, total },
            last: Instant::now(),
        }
    }

    /// Says that so many bytes were moved before.
    #[must_use]
    pub fn from(mut self, moved: u64) -> Self {
        self.moved.current = moved;
        self
    }

    /// Tells that the whole was moved.
    pub fn end(mut self) {
        self.moved.current = self.moved.total.unwrap_or(self.moved.current);
        self.tell(true);
    }

    fn add(&mut self, bytes: usize) {
        self.moved.current += bytes as u64;
        if self.last.elapsed() >= TELL_EVERY {
            self.last = Instant::now();
            self.tell(false);
        }
    }

    fn tell(&self, done: bool) {
        if let Some(step) = &self.step {
            self.events.moved(step, self.what.clone(), self.moved, done);
        }
    }
}

/// A stream that is counted.
#[derive(Debug)]
pub struct Counted<T, C> {
    inner: T,
    count: C,
}

impl<T, C: BorrowMut<Count>> Counted<T, C> {
    /// Wraps a stream. Who lends the count goes on with it.
    pub fn new(inner: T, count: C) -> Self {
        Self { inner, count }
    }
}

impl<T: Read, C: BorrowMut<Count>> Read for Counted<T, C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.borrow_mut().add(count);
        Ok(count)
    }
}

impl<T: Write, C: BorrowMut<Count>> Write for Counted<T, C> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.count.borrow_mut().add(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    #[test]
    fn the_end_tells_the_whole_and_who_has_no_step_tells_nothing() {
        let (events, receiver) = Events::channel();
        let step = StepId("s".to_owned());
        for step in [None, Some(&step)] {
            let mut count = Count::new(&events, step, "fetching x".to_owned(), None);
            io::copy(
                &mut Counted::new(&b"12345"[..], &mut count),
                &mut io::sink(),
            )
            .unwrap();
            count.end();
        }
        let told: Vec<_> = receiver.try_iter().map(|timed| timed.event).collect();
        let [
            Event::Progress {
                what, bytes, done, ..
            },
        ] = told.as_slice()
        else {
            panic!("{told:?}");
        };
        let expected = Moved {
            current: 5,
            total: None,
        };
        assert_eq!(
            (&**what, *bytes, *done),
            ("fetching x", Some(expected), true)
        );
    }
}
