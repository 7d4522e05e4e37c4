//! How slowly bytes may come or go before a connection is given up.

use std::io;
use std::time::Duration;

use ureq::Timeout;

use crate::limits::{SILENCE_LIMIT, SLOW_AFTER, SLOWEST_BYTES};

/// How slow the other side may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slowest {
    /// How long nothing at all may come or go in the middle of a body.
    pub silence: Duration,
    /// How long a body is waited for before its speed counts.
    pub after: Duration,
    /// How many bytes a second there have to be from then on.
    pub bytes: u64,
}

impl Default for Slowest {
    fn default() -> Self {
        Self {
            silence: SILENCE_LIMIT,
            after: SLOW_AFTER,
            bytes: SLOWEST_BYTES,
        }
    }
}

/// How fast the bytes of one body come or go. Only the time counts in which the other side is waited for: whoever
/// reads a body may take as long as they like.
#[derive(Debug)]
pub(crate) struct Pace {
    slowest: Slowest,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// Starts to count.
    pub(crate) fn new(slowest: Slowest) -> Self {
        Self {
            slowest,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    /// Counts bytes that were waited for; the error of the connection when there are too few of them.
    ///
    /// A server that sends one byte a minute is never silent for long, and would hold a job for ever.
    pub(crate) fn took(&mut self, waited: Duration, bytes: usize) -> io::Result<()> {
        self.waited = self.waited.saturating_add(waited);
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if self.waited < self.slowest.after {
            return Ok(());
        }
        let waited_ms = self.waited.as_millis();
        let enough = u128::from(self.slowest.bytes).saturating_mul(waited_ms) / 1000;
        let is_slow = u128::from(self.bytes) < enough;
        *self = Self::new(self.slowest);
        if is_slow {
            return Err(io::Error::other(ureq::Error::Timeout(Timeout::RecvBody)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns after how many packets of one size, one a second, a body is given up.
    fn given_up_after(packet_bytes: usize) -> Option<u32> {
        let mut pace = Pace::new(Slowest::default());
        (1..=600).find(|_| pace.took(Duration::from_secs(1), packet_bytes).is_err())
    }

    #[test]
    fn a_body_is_given_up_after_a_minute_that_brought_too_little() {
        assert_eq!(given_up_after(1), Some(60));
        assert_eq!(given_up_after(1023), Some(60));
        assert_eq!(given_up_after(1024), None);
    }

    #[test]
    fn a_fast_beginning_is_no_excuse_for_ever() {
        let mut pace = Pace::new(Slowest::default());
        pace.took(Duration::from_mins(1), 1 << 30).unwrap();
        let seconds = (1..=600).find(|_| pace.took(Duration::from_secs(1), 1).is_err());
        assert_eq!(seconds, Some(60));
    }
}
