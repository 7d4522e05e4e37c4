//! Which failures are tried again, and when.

use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::date::parse_http_date;
use crate::error::FetchError;
use crate::limits::{ATTEMPT_LIMIT, PAUSE_LIMIT};
use crate::pace::Slowest;

/// The wait before the second attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// How long a patient client goes on trying, in pauses alone.
const PATIENCE: Duration = Duration::from_mins(1);

/// A number from 0 to 1 of which nobody knows what it will be.
pub type Jitter = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Is told why there is a pause, and how long it is.
pub type Told = Arc<dyn Fn(&dyn fmt::Display, Duration) + Send + Sync>;

/// When an attempt is given up, and how often and after what pauses another one is made.
#[derive(Clone)]
pub struct RetryPolicy {
    /// How often a request is sent at most.
    pub attempts: u32,
    /// The pause before the second attempt.
    pub first_pause: Duration,
    /// By how much each pause is longer than the one before: 2 doubles it, 1 leaves it.
    pub growth: u32,
    /// The longest pause, whatever a server asks for.
    pub longest_pause: Duration,
    /// How long all pauses together may be before no other attempt is made.
    pub patience: Duration,
    /// How slow a server may be before an attempt is given up.
    pub slowest: Slowest,
    /// What makes a pause shorter, by up to a half, so that many clients do not come back at the same moment.
    pub jitter: Option<Jitter>,
    /// Who is told of a pause before it begins, so that it is not taken for a standstill.
    pub told: Option<Told>,
    /// What is done in place of waiting, for tests.
    pub wait: Option<Arc<dyn Fn(Duration) + Send + Sync>>,
}

impl RetryPolicy {
    /// Returns the policy for files: a few attempts.
    pub fn brief() -> Self {
        Self {
            attempts: ATTEMPT_LIMIT,
            first_pause: FIRST_PAUSE,
            growth: 2,
            longest_pause: PAUSE_LIMIT,
            patience: Duration::MAX,
            slowest: Slowest::default(),
            jitter: None,
            told: None,
            wait: None,
        }
    }

    /// Returns the policy for what must not be lost, as a push that ends a long build: attempts for a minute at
    /// least, with pauses that this jitter shortens.
    pub fn patient(jitter: Jitter) -> Self {
        Self {
            attempts: u32::MAX,
            first_pause: FIRST_PAUSE * 2,
            patience: PATIENCE,
            jitter: Some(jitter),
            ..Self::brief()
        }
    }

    /// Returns the policy of so many more attempts after the first, all after the same pause.
    pub fn steady(retries: u32, pause: Duration) -> Self {
        Self {
            attempts: retries.saturating_add(1),
            first_pause: pause,
            growth: 1,
            longest_pause: pause.max(PAUSE_LIMIT),
            ..Self::brief()
        }
    }

    /// Returns the pause before attempt `next`, the first being 1; none when there is no other. `waited` is how long
    /// the pauses before were.
    pub fn pause(
        &self,
        next: u32,
        waited: Duration,
        asked_for: Option<Duration>,
    ) -> Option<Duration> {
        if next > self.attempts || waited >= self.patience {
            return None;
        }
        let grown = self.growth.saturating_pow(next.saturating_sub(2));
        let own = self
            .first_pause
            .saturating_mul(grown)
            .min(self.longest_pause);
        let own = match &self.jitter {
            Some(jitter) => own.mul_f64(1.0 - jitter().clamp(0.0, 1.0) / 2.0),
            None => own,
        };
        Some(
            asked_for
                .map_or(own, |asked_for| asked_for.max(own))
                .min(self.longest_pause),
        )
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicy")
            .field("attempts", &self.attempts)
            .field("first_pause", &self.first_pause)
            .field("growth", &self.growth)
            .field("longest_pause", &self.longest_pause)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

/// Returns the jitter of a program that runs: the keys of the standard library's hash maps are random.
pub fn random_jitter() -> Jitter {
    Arc::new(|| {
        let random = RandomState::new().build_hasher().finish();
        f64::from(u32::try_from(random >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    })
}

/// The attempts of one thing that is done: how many there were.
#[derive(Debug, Clone)]
pub struct Attempts {
    made: u32,
    most: u32,
    /// When the first attempt failed.
    failed: Option<Instant>,
    paused: Duration,
}

impl Attempts {
    /// Starts with the first attempt.
    pub fn new() -> Self {
        Self::at_most(u32::MAX)
    }

    /// Starts with the first of so many attempts, or fewer if the policy says so.
    pub fn at_most(most: u32) -> Self {
        Self {
            made: 1,
            most,
            failed: None,
            paused: Duration::ZERO,
        }
    }

    /// Begins to count anew: the last attempt went further than those before.
    pub fn progressed(&mut self) {
        *self = Self::at_most(self.most);
    }

    /// Returns the pause before the next attempt, which is counted; none when there is no other.
    pub fn next(&mut self, policy: &RetryPolicy, asked_for: Option<Duration>) -> Option<Duration> {
        self.made = self.made.saturating_add(1);
        if self.made > self.most {
            return None;
        }
        // Attempts that end in a time-out take longer than the pauses; but what takes long is tried a few times as well.
        let since = self.failed.get_or_insert_with(Instant::now).elapsed();
        let waited = if self.made > ATTEMPT_LIMIT {
            self.paused.max(since)
        } else {
            self.paused
        };
        let pause = policy.pause(self.made, waited, asked_for)?;
        self.paused = self.paused.saturating_add(pause);
        Some(pause)
    }
}

impl Default for Attempts {
    fn default() -> Self {
        Self::new()
    }
}

/// Tells whether a server may answer something else in a moment.
pub fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502..=504 | 507..=599)
}

/// Tells whether another attempt may do better: not where nobody is there, or where what was said is final.
pub(crate) fn is_worth_another(error: &FetchError) -> bool {
    match error {
        FetchError::Status { status, .. } => is_passing(*status),
        FetchError::Timeout { .. } | FetchError::Broken { .. } => true,
        FetchError::Connect { source, .. } => matches!(
            source.kind(),
            ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
                | ErrorKind::UnexpectedEof
                | ErrorKind::Interrupted
        ),
        _ => false,
    }
}

/// Reads a `Retry-After` header (RFC 9110, section 10.2.3): a number of seconds, or a date, which is compared with the
/// server's own.
pub fn retry_after(header: Option<&str>, date: Option<&str>) -> Option<Duration> {
    let header = header?.trim();
    if let Ok(seconds) = header.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = parse_http_date(header)?;
    let now = parse_http_date(date?)?;
    u64::try_from(then.checked_sub(now)?)
        .ok()
        .map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_end() {
        let pauses: Vec<_> = (2..=5)
            .map(|next| RetryPolicy::brief().pause(next, Duration::ZERO, None))
            .collect();
        let milliseconds = |number| Some(Duration::from_millis(number));
        assert_eq!(
            pauses,
            [
                milliseconds(250),
                milliseconds(500),
                milliseconds(1000),
                None
            ]
        );
    }

    #[test]
    fn a_server_says_how_long_to_wait_and_not_for_ever() {
        let (date, later) = (
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:42 GMT",
        );
        for (header, now, expected) in [
            (Some("3"), None, Some(3)),
            (Some(later), Some(date), Some(5)),
            (Some(date), Some(later), None),
            (Some(later), None, None),
            (Some("soon"), Some(date), None),
            (Some("-1"), None, None),
            (Some("99999999999999999999"), None, None),
            (Some("18446744073709551615"), None, Some(u64::MAX)),
            (Some("Thu, 99 Foo 9999 99:99:99 GMT"), Some(date), None),
            (Some(""), Some(date), None),
            (None, Some(date), None),
        ] {
            let expected = expected.map(Duration::from_secs);
            assert_eq!(retry_after(header, now), expected, "{header:?} {now:?}");
        }
        assert_eq!(
            RetryPolicy::brief().pause(2, Duration::ZERO, Some(Duration::MAX)),
            Some(PAUSE_LIMIT)
        );
    }

    fn pauses(policy: &RetryPolicy) -> Vec<Duration> {
        let mut attempts = Attempts::new();
        std::iter::from_fn(|| attempts.next(policy, None)).collect()
    }

    #[test]
    fn what_must_not_be_lost_is_tried_for_a_minute_whatever_the_jitter() {
        for (jitter, expected) in [(0.0, 8), (1.0, 11)] {
            let policy = RetryPolicy::patient(Arc::new(move || jitter));
            let pauses = pauses(&policy);
            let total: Duration = pauses.iter().sum();
            assert!(total >= Duration::from_mins(1), "{pauses:?}");
            assert!(total <= Duration::from_secs(80), "{pauses:?}");
            assert_eq!(pauses.len(), expected);
            assert!(pauses.iter().all(|pause| *pause <= PAUSE_LIMIT));
        }
    }

    #[test]
    fn steady_attempts_are_as_many_and_as_far_apart_as_was_said() {
        let pause = Duration::from_secs(45);
        assert_eq!(pauses(&RetryPolicy::steady(3, pause)), [pause; 3]);
        assert_eq!(pauses(&RetryPolicy::steady(0, pause)), []);
    }

    #[test]
    fn progress_begins_the_attempts_anew() {
        let policy = RetryPolicy::brief();
        let mut attempts = Attempts::at_most(2);
        assert!(attempts.next(&policy, None).is_some());
        assert!(attempts.next(&policy, None).is_none());
        attempts.progressed();
        assert!(attempts.next(&policy, None).is_some());
    }

    #[test]
    fn jitter_is_between_nothing_and_all() {
        let jitter = random_jitter();
        let numbers: Vec<_> = (0..100).map(|_| jitter()).collect();
        assert!(numbers.iter().all(|number| (0.0..=1.0).contains(number)));
        assert!(
            numbers
                .windows(2)
                .any(|pair| (pair[0] - pair[1]).abs() > 0.01)
        );
    }

    #[test]
    fn passing_answers_are_tried_again() {
        for (status, expected) in [
            (404, false),
            (401, false),
            (429, true),
            (503, true),
            (501, false),
        ] {
            assert_eq!(is_passing(status), expected, "{status}");
        }
    }
}
