//! How slowly bytes may come or go before a connection is given up.

use std::io;
use std::time::Duration;

use ureq::Timeout;

use crate::limits::{SLOW_AFTER, SLOWEST_BYTES};

/// How fast the bytes of one body come or go. Only the time counts in which the other side is waited for: whoever
/// reads a body may take as long as they like.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// Counts bytes that were waited for; the error of the connection when there are too few of them.
    ///
    /// A server that sends one byte a minute is never silent for long, and would hold a job for ever.
    pub(crate) fn took(&mut self, waited: Duration, bytes: usize) -> io::Result<()> {
        self.waited = self.waited.saturating_add(waited);
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if self.waited < SLOW_AFTER {
            return Ok(());
        }
        let enough = SLOWEST_BYTES.saturating_mul(self.waited.as_secs());
        let is_slow = self.bytes < enough;
        *self = Self::default();
        if is_slow {
            return Err(io::Error::other(ureq::Error::Timeout(Timeout::RecvBody)));
        }
        Ok(())
    }

    /// Returns the pace of a body of which nothing came for as long as that is allowed.
    #[cfg(test)]
    pub(crate) fn at_its_limit() -> Self {
        Self {
            waited: SLOW_AFTER,
            bytes: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns after how many packets of one size, one a second, a body is given up.
    fn given_up_after(packet_bytes: usize) -> Option<u32> {
        let mut pace = Pace::default();
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
        let mut pace = Pace::default();
        pace.took(Duration::from_mins(1), 1 << 30).unwrap();
        let seconds = (1..=600).find(|_| pace.took(Duration::from_secs(1), 1).is_err());
        assert_eq!(seconds, Some(60));
    }
}
