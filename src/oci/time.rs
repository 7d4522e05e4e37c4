//! Points in time, and where they come from.
//!
//! Time is an input: whoever writes a time into an image asks a [`Clock`] that was handed to it, and
//! `SOURCE_DATE_EPOCH` replaces that clock by a fixed one.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the system's clock; everybody else is given a Clock"
)]

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// 0000-01-01T00:00:00Z in seconds since 1970; RFC 3339 has no earlier year.
const FIRST_SECOND: i64 = -62_167_219_200;
/// 9999-12-30T21:59:59Z in seconds since 1970; RFC 3339 has no later year, and jiff keeps the last hours
/// of this one free for offsets.
const LAST_SECOND: i64 = 253_402_207_199;
const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// A point in time to the nanosecond, as RFC 3339 can write it: years 0 to 9999.
///
/// Written in UTC (`Z`) with as few fractional digits as needed, which is what Go's tools write.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
}

/// What is wrong with a text or number that should be a point in time.
#[derive(Debug, thiserror::Error)]
pub enum TimestampError {
    /// The text is not a date and time of RFC 3339.
    #[error("time `{text}` is not of the form 2006-01-02T15:04:05Z (RFC 3339)")]
    Format {
        /// The text that was parsed.
        text: String,
        /// What the parser found, where it got that far.
        #[source]
        source: Option<jiff::Error>,
    },
    /// The text is not a decimal number of seconds.
    #[error("`{text}` is not a number of seconds since 1970-01-01")]
    Seconds {
        /// The text that was parsed.
        text: String,
        /// What is wrong with the number.
        #[source]
        source: std::num::ParseIntError,
    },
    /// The year has more than four digits, or is before the year 0.
    #[error("{seconds} seconds since 1970-01-01 are outside the years 0 to 9999")]
    Range {
        /// The seconds that were given.
        seconds: i64,
    },
}

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self {
        seconds: 0,
        nanos: 0,
    };

    /// Returns the point that is so many seconds after 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    ///
    /// Fails for years before 0 and after 9999.
    pub fn from_unix_seconds(seconds: i64) -> Result<Self, TimestampError> {
        if !(FIRST_SECOND..=LAST_SECOND).contains(&seconds) {
            return Err(TimestampError::Range { seconds });
        }
        Ok(Self { seconds, nanos: 0 })
    }

    /// Parses the value of `SOURCE_DATE_EPOCH`: decimal seconds since 1970.
    ///
    /// # Errors
    ///
    /// Fails when the text is no whole number, or the year is before 0 or after 9999.
    pub fn parse_source_date_epoch(text: &str) -> Result<Self, TimestampError> {
        let seconds = text.parse().map_err(|source| TimestampError::Seconds {
            text: text.to_owned(),
            source,
        })?;
        Self::from_unix_seconds(seconds)
    }

    /// Parses a date and time of RFC 3339, with any offset.
    ///
    /// # Errors
    ///
    /// Fails when the text has another form, or names a day or hour that does not exist.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        let wrong = |source| TimestampError::Format {
            text: text.to_owned(),
            source,
        };
        // jiff reads more than RFC 3339 allows, such as a space for the `T` or a zone in brackets.
        if !has_rfc3339_form(text.as_bytes()) {
            return Err(wrong(None));
        }
        let point: jiff::Timestamp = text.parse().map_err(|error| wrong(Some(error)))?;
        let (seconds, nanos) = split_nanoseconds(point.as_nanosecond());
        Ok(Self {
            nanos,
            ..Self::from_unix_seconds(seconds)?
        })
    }

    /// Returns the whole seconds since 1970-01-01T00:00:00Z; negative before.
    pub fn seconds(self) -> i64 {
        self.seconds
    }

    /// Returns the nanoseconds after [`Timestamp::seconds`], below 1 000 000 000.
    pub fn nanos(self) -> u32 {
        self.nanos
    }

    /// Returns the point so much later, or the last that there is.
    #[must_use]
    pub fn later_by(self, duration: Duration) -> Self {
        let total = i128::from(self.seconds) * NANOS_PER_SECOND + i128::from(self.nanos);
        let forth = i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
        let last = i128::from(LAST_SECOND) * NANOS_PER_SECOND;
        let (seconds, nanos) = split_nanoseconds(total.saturating_add(forth).min(last));
        Self { seconds, nanos }
    }

    /// Returns the point so much earlier, or the first that there is.
    #[must_use]
    pub fn earlier_by(self, duration: Duration) -> Self {
        let total = i128::from(self.seconds) * NANOS_PER_SECOND + i128::from(self.nanos);
        let back = i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
        let first = i128::from(FIRST_SECOND) * NANOS_PER_SECOND;
        let (seconds, nanos) = split_nanoseconds(total.saturating_sub(back).max(first));
        Self { seconds, nanos }
    }
}

/// Returns seconds, rounded down, and the nanoseconds that remain.
fn split_nanoseconds(total: i128) -> (i64, u32) {
    let seconds = i64::try_from(total.div_euclid(NANOS_PER_SECOND)).unwrap_or(i64::MAX);
    let nanos = u32::try_from(total.rem_euclid(NANOS_PER_SECOND)).unwrap_or(0);
    (seconds, nanos)
}

/// `YYYY-MM-DDThh:mm:ss`, an optional fraction, then `Z` or an offset; values are not looked at.
fn has_rfc3339_form(text: &[u8]) -> bool {
    const PATTERN: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let Some((start, rest)) = text.split_at_checked(PATTERN.len()) else {
        return false;
    };
    let zone = skip_fraction(rest);
    fits(start, PATTERN)
        && (zone.eq_ignore_ascii_case(b"Z") || fits(zone, b"+dd:dd") || fits(zone, b"-dd:dd"))
}

fn skip_fraction(text: &[u8]) -> &[u8] {
    let Some((b'.', digits)) = text.split_first() else {
        return text;
    };
    let end = digits
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(digits.len());
    if end == 0 {
        text
    } else {
        digits.get(end..).unwrap_or_default()
    }
}

fn fits(text: &[u8], pattern: &[u8]) -> bool {
    text.len() == pattern.len()
        && text
            .iter()
            .zip(pattern)
            .all(|(byte, expected)| match expected {
                b'd' => byte.is_ascii_digit(),
                other => byte.eq_ignore_ascii_case(other),
            })
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.seconds) * NANOS_PER_SECOND + i128::from(self.nanos);
        let point = jiff::Timestamp::from_nanosecond(nanos).map_err(|_out_of_range| fmt::Error)?;
        point.fmt(f)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Timestamp {
    type Error = TimestampError;

    fn try_from(text: String) -> Result<Self, TimestampError> {
        Self::parse(&text)
    }
}

impl From<Timestamp> for String {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.to_string()
    }
}

/// Where times that careen itself writes come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Clock {
    /// The system's clock.
    System,
    /// Always the same time: `SOURCE_DATE_EPOCH`, or a test's.
    Fixed(Timestamp),
}

impl Clock {
    /// Returns the time.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => system_now(),
            Self::Fixed(timestamp) => *timestamp,
        }
    }
}

fn system_now() -> Timestamp {
    let now = SystemTime::now();
    let nanoseconds = match now.duration_since(UNIX_EPOCH) {
        Ok(after) => i128::try_from(after.as_nanos()).unwrap_or(i128::MAX),
        // A clock before 1970 is a board without a battery, not an error.
        Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap_or(i128::MAX),
    };
    let (seconds, nanos) = split_nanoseconds(nanoseconds);
    Timestamp {
        seconds: seconds.clamp(FIRST_SECOND, LAST_SECOND),
        nanos,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_is_read_and_written_as_go_writes_it() {
        let table = [
            (
                "2015-10-31T22:22:56.015925234Z",
                "2015-10-31T22:22:56.015925234Z",
            ),
            ("2015-10-31T22:22:56.500Z", "2015-10-31T22:22:56.5Z"),
            ("2015-10-31T22:22:56+01:30", "2015-10-31T20:52:56Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("1969-12-31T23:59:59.25Z", "1969-12-31T23:59:59.25Z"),
            ("2024-02-29t00:00:00z", "2024-02-29T00:00:00Z"),
        ];
        for (text, expected) in table {
            assert_eq!(
                Timestamp::parse(text).unwrap().to_string(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn what_rfc_3339_does_not_allow_is_refused() {
        let table = [
            "",
            "2015-10-31",
            "2015-10-31 22:22:56Z",
            "2015-10-31T22:22:56",
            "2015-10-31T22:22:56.Z",
            "2015-13-31T22:22:56Z",
            "2023-02-29T00:00:00Z",
            "2015-10-31T22:22:56Z[UTC]",
            "1446330176",
        ];
        for text in table {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn seconds_are_rounded_down_before_1970() {
        let timestamp = Timestamp::parse("1969-12-31T23:59:59.25Z").unwrap();
        assert_eq!((timestamp.seconds(), timestamp.nanos()), (-1, 250_000_000));
    }

    #[test]
    fn source_date_epoch_is_whole_seconds_of_four_digit_years() {
        let first = Timestamp::parse_source_date_epoch("-62167219200").unwrap();
        assert_eq!(first.to_string(), "0000-01-01T00:00:00Z");
        let epoch = Timestamp::parse_source_date_epoch("1446330176").unwrap();
        assert_eq!(epoch.to_string(), "2015-10-31T22:22:56Z");
        let last = Timestamp::parse_source_date_epoch("253402207199").unwrap();
        assert_eq!(last.to_string(), "9999-12-30T21:59:59Z");
        for text in ["", "1.5", "now", "253402207200", "99999999999999999999"] {
            assert!(Timestamp::parse_source_date_epoch(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_fixed_clock_stands_and_the_system_s_goes_on() {
        let point = Timestamp::from_unix_seconds(7).unwrap();
        assert_eq!(Clock::Fixed(point).now(), point);
        assert!(Clock::System.now() > point);
    }

    #[test]
    fn an_earlier_time_is_never_before_the_first() {
        let time = Timestamp::parse("2026-11-21T12:00:00.25Z").unwrap();
        for (duration, expected) in [
            (Duration::from_millis(250), "2026-11-21T12:00:00Z"),
            (Duration::from_millis(500), "2026-11-21T11:59:59.75Z"),
            (Duration::from_hours(24), "2026-11-20T12:00:00.25Z"),
            (Duration::MAX, "0000-01-01T00:00:00Z"),
        ] {
            assert_eq!(time.earlier_by(duration).to_string(), expected);
        }
    }
}
