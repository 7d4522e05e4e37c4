//! How long something may take: a time for the beginning, and more for every byte.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::limits::{PACE_BYTES_PER_SECOND, SILENCE_LIMIT};

/// A time limit that begins when it is made.
#[derive(Debug)]
pub(crate) struct Pace {
    begun: Instant,
    start: Duration,
    bytes_per_second: Option<u64>,
    bytes: u64,
}

impl Pace {
    /// Gives a fixed time for everything.
    pub(crate) fn within(limit: Duration) -> Self {
        Self {
            begun: Instant::now(),
            start: limit,
            bytes_per_second: None,
            bytes: 0,
        }
    }

    /// Gives the time of a body.
    pub(crate) fn of_body() -> Self {
        Self {
            bytes_per_second: Some(PACE_BYTES_PER_SECOND),
            ..Self::within(SILENCE_LIMIT)
        }
    }

    /// Returns how long the next call may take.
    fn left(&self) -> io::Result<Duration> {
        let earned = self.bytes_per_second.map_or(Duration::ZERO, |rate| {
            Duration::from_secs(self.bytes / rate)
        });
        let allowed = self.start.saturating_add(earned);
        let left = allowed.saturating_sub(self.begun.elapsed());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        Ok(left.min(SILENCE_LIMIT.max(self.start)))
    }

    fn count(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }
}

/// A connection whose reads and writes have a time limit.
#[derive(Debug)]
pub(crate) struct Paced<'s> {
    stream: &'s TcpStream,
    /// The limit that counts now.
    pub(crate) pace: Pace,
}

impl<'s> Paced<'s> {
    pub(crate) fn new(stream: &'s TcpStream, pace: Pace) -> Self {
        Self { stream, pace }
    }

    /// Returns the connection.
    pub(crate) fn stream(&self) -> &'s TcpStream {
        self.stream
    }
}

impl Read for Paced<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.pace.left()?))?;
        let mut stream = self.stream;
        let count = stream.read(buffer).map_err(timed_out)?;
        self.pace.count(count);
        Ok(count)
    }
}

impl Write for Paced<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.pace.left()?))?;
        let mut stream = self.stream;
        let count = stream.write(bytes).map_err(timed_out)?;
        self.pace.count(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut stream = self.stream;
        stream.flush()
    }
}

/// A time-out of a socket is called so (socket(7), `SO_RCVTIMEO`: it fails with `EAGAIN`).
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_earn_time_and_time_that_is_over_is_an_error() {
        let mut pace = Pace {
            start: Duration::ZERO,
            ..Pace::of_body()
        };
        assert_eq!(pace.left().unwrap_err().kind(), ErrorKind::TimedOut);
        pace.count(5000 * 1024);
        assert_eq!(pace.left().unwrap(), SILENCE_LIMIT);
        let fixed = Pace::within(Duration::from_mins(1));
        assert!(fixed.left().unwrap() > SILENCE_LIMIT);
    }
}
