//! Which failures are tried again, and when.

use std::io::ErrorKind;
use std::time::Duration;

use crate::error::FetchError;
use crate::limits::{ATTEMPT_LIMIT, PAUSE_LIMIT};

/// The wait before the second attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Tells whether a server may answer something else in a moment.
pub(crate) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
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

/// Returns how long to wait before attempt `next`, the first being 1; none when there is no other.
pub(crate) fn pause(next: u32, asked_for: Option<Duration>) -> Option<Duration> {
    if next > ATTEMPT_LIMIT {
        return None;
    }
    let own = FIRST_PAUSE * 2_u32.saturating_pow(next.saturating_sub(2));
    Some(asked_for.unwrap_or(own).min(PAUSE_LIMIT))
}

/// Reads a `Retry-After` header that is a number of seconds (RFC 9110, section 10.2.3). A date would need a clock.
pub(crate) fn retry_after(header: Option<&str>) -> Option<Duration> {
    header?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_end() {
        let pauses: Vec<_> = (2..=5).map(|next| pause(next, None)).collect();
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
        assert_eq!(retry_after(Some("3")), Some(Duration::from_secs(3)));
        for none in [
            None,
            Some("soon"),
            Some("-1"),
            Some("Sun, 06 Nov 1994 08:49:37 GMT"),
        ] {
            assert_eq!(retry_after(none), None, "{none:?}");
        }
        assert_eq!(pause(2, Some(Duration::from_hours(1))), Some(PAUSE_LIMIT));
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
