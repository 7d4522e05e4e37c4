//! How often a transfer goes on after its connection broke.
//!
//! Whatever goes further begins its attempts anew, so that a large blob comes through a bad network. But a host that is
//! slow, or hangs up, on purpose would be waited for without an end. So there are two things more that are counted.

use fetch::{Attempts, FetchError};

use crate::client::Core;
use crate::error::Failure;
use crate::limits::{BREAKS_MAX, PROGRESS_BYTES};

/// What may still go wrong with one blob.
#[derive(Debug)]
pub(crate) struct Patience {
    /// The attempts since some byte came.
    attempts: Attempts,
    /// The times that a host kept us waiting since much came: each takes a minute.
    stalls: Attempts,
    since_stall_bytes: u64,
    /// How often the connection may still break.
    breaks_left: u64,
}

impl Patience {
    /// Starts with the first attempt for a blob of this size.
    pub(crate) fn new(size_bytes: u64) -> Self {
        Self::with(Attempts::new(), size_bytes)
    }

    /// Starts with the first of these attempts.
    pub(crate) fn with(attempts: Attempts, size_bytes: u64) -> Self {
        Self {
            stalls: attempts.clone(),
            attempts,
            since_stall_bytes: 0,
            breaks_left: BREAKS_MAX + size_bytes / PROGRESS_BYTES,
        }
    }

    /// Counts bytes that were never there before.
    pub(crate) fn came(&mut self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.attempts.progressed();
        self.since_stall_bytes = self.since_stall_bytes.saturating_add(bytes);
        if self.since_stall_bytes >= PROGRESS_BYTES {
            self.stalls.progressed();
            self.since_stall_bytes = 0;
        }
    }

    /// Waits before the transfer goes on, and returns the failure: as what is over, or as the end.
    pub(crate) fn pause(&mut self, core: &Core, failure: Failure) -> Result<Failure, Failure> {
        let Some(left) = self.breaks_left.checked_sub(1) else {
            return Err(failure);
        };
        self.breaks_left = left;
        core.pause(self.attempts_after(&failure), failure)
    }

    /// Waits before the transfer begins anew, whatever the failure was.
    pub(crate) fn begin_anew(&mut self, core: &Core, failure: Failure) -> Result<(), Failure> {
        if core.client.pause(&mut self.attempts, None, &failure)? {
            Ok(())
        } else {
            Err(failure)
        }
    }

    fn attempts_after(&mut self, failure: &Failure) -> &mut Attempts {
        match failure {
            Failure::Fetch(FetchError::Timeout { .. }) => {
                self.since_stall_bytes = 0;
                &mut self.stalls
            }
            _ => &mut self.attempts,
        }
    }
}

#[cfg(test)]
mod tests {
    use fetch::{Phase, Url};

    use super::*;
    use crate::testing::*;

    fn stalled() -> Failure {
        FetchError::Timeout {
            url: Url::parse("https://r.example/").unwrap(),
            phase: Phase::Body,
        }
        .into()
    }

    fn broken() -> Failure {
        FetchError::Broken {
            url: Url::parse("https://r.example/").unwrap(),
            received_bytes: 1,
            source: std::io::ErrorKind::ConnectionReset.into(),
        }
        .into()
    }

    /// Returns how often a transfer goes on that fails in the same way after so many bytes.
    fn goes_on(failure: fn() -> Failure, bytes: u64) -> u64 {
        let server = Server::answering(|_| Reply::empty(404));
        let repository = server.repository();
        let mut patience = Patience::new(10 * PROGRESS_BYTES);
        (0..20_000)
            .take_while(|_| {
                patience.came(bytes);
                patience.pause(repository.core(), failure()).is_ok()
            })
            .count() as u64
    }

    #[test]
    fn a_host_that_gives_a_byte_a_minute_is_given_up() {
        assert_eq!(goes_on(stalled, 1), 3);
        assert_eq!(goes_on(stalled, 0), 3);
        assert_eq!(goes_on(stalled, PROGRESS_BYTES), BREAKS_MAX + 10);
    }

    #[test]
    fn a_host_that_hangs_up_after_each_byte_is_given_up_at_last() {
        assert_eq!(goes_on(broken, 0), 3);
        assert_eq!(goes_on(broken, 1), BREAKS_MAX + 10);
    }
}
