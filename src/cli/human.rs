//! Sizes and times for people, as docker writes them: `7.8MB`, `3 weeks ago`.

use oci::Timestamp;

const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/// Returns a size in decimal units with so many digits that count: `7.8MB`, `116MB`.
pub(crate) fn size(bytes: u64, digits: u32) -> String {
    let mut scale: u128 = 1;
    for unit in UNITS {
        let (number, is_thousand) = rounded(u128::from(bytes), scale, digits);
        if !is_thousand {
            return format!("{number}{unit}");
        }
        scale *= 1000;
    }
    format!("{bytes}B")
}

/// Rounds to a number of digits; says whether the next unit is the better one.
fn rounded(bytes: u128, scale: u128, digits: u32) -> (String, bool) {
    let whole_digits = (bytes / scale).checked_ilog10().unwrap_or(0) + 1;
    let decimals = if scale == 1 {
        0
    } else {
        digits.saturating_sub(whole_digits)
    };
    let factor = 10_u128.pow(decimals);
    let rounded = (bytes * factor + scale / 2) / scale;
    let (whole, part) = (rounded / factor, rounded % factor);
    let width = usize::try_from(decimals).unwrap_or(0);
    let text = if part == 0 {
        whole.to_string()
    } else {
        format!("{whole}.{part:0width$}")
            .trim_end_matches('0')
            .to_owned()
    };
    (text, whole >= 1000)
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// Returns how long ago something was.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    format!("{} ago", duration(now.seconds() - then.seconds()))
}

/// Returns a time in words, with one unit.
fn duration(seconds: i64) -> String {
    let (minutes, hours) = (seconds / MINUTE, (seconds + HOUR / 2) / HOUR);
    let days = hours / 24;
    match (seconds, minutes, hours) {
        (..1, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (2..MINUTE, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, ..60, _) => format!("{minutes} minutes"),
        (_, _, 1) => "About an hour".to_owned(),
        (_, _, ..48) => format!("{hours} hours"),
        _ if days < 14 => format!("{days} days"),
        _ if days < 60 => format!("{} weeks", days / 7),
        _ if days < 730 => format!("{} months", days / 30),
        _ => format!("{} years", days / 365),
    }
}

/// Returns a point in time as Go prints one, in UTC: `2024-01-26 23:44:47 +0000 UTC`.
pub(crate) fn date(time: Timestamp) -> String {
    let text = time.to_string();
    let (day, hour) = text.split_once('T').unwrap_or((&text, ""));
    let hour = hour.split(['.', 'Z']).next().unwrap_or_default();
    format!("{day} {hour} +0000 UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_that_count() {
        let table = [
            (0, "0B"),
            (1, "1B"),
            (999, "999B"),
            (1000, "1kB"),
            (1234, "1.23kB"),
            (7_800_000, "7.8MB"),
            (13_649_999, "13.6MB"),
            (116_000_000, "116MB"),
            (999_499, "999kB"),
            (999_500, "1MB"),
            (9_995_000, "10MB"),
            (1_005_000_000, "1.01GB"),
            (u64::MAX, "18.4EB"),
        ];
        for (bytes, expected) in table {
            assert_eq!(size(bytes, 3), expected, "{bytes}");
        }
        assert_eq!(size(123_456_789, 4), "123.5MB");
        assert_eq!(size(1_048_576, 4), "1.049MB");
    }

    #[test]
    fn times_are_told_in_one_unit() {
        let (day, hour) = (24 * HOUR, HOUR);
        let table = [
            (-5, "Less than a second"),
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (59 * 60 + 59, "59 minutes"),
            (hour, "About an hour"),
            (hour + 1799, "About an hour"),
            (hour + 1800, "2 hours"),
            (47 * hour, "47 hours"),
            (48 * hour, "2 days"),
            (13 * day, "13 days"),
            (14 * day, "2 weeks"),
            (59 * day, "8 weeks"),
            (60 * day, "2 months"),
            (729 * day, "24 months"),
            (730 * day, "2 years"),
            (54 * 365 * day, "54 years"),
        ];
        for (seconds, expected) in table {
            assert_eq!(duration(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn a_date_is_as_go_prints_it() {
        let time = Timestamp::parse("2024-01-26T23:44:47.5+00:00").unwrap();
        assert_eq!(date(time), "2024-01-26 23:44:47 +0000 UTC");
    }
}
