//! Numbers, truth values, durations and sizes as Dockerfiles write them.
//!
//! The forms are those of Go's `strconv.ParseBool`, `time.ParseDuration` and of `go-units`' `RAMInBytes`,
//! which the Dockerfile reference takes for granted.

use std::time::Duration;

/// Returns the truth value of `1`, `t`, `true`, `0`, `f`, `false` and their capitalised forms.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Returns a number without a sign.
pub(crate) fn parse_u32(text: &str, radix: u32) -> Option<u32> {
    // `from_str_radix` takes a plus sign, Go does not.
    if text.starts_with('+') {
        None
    } else {
        u32::from_str_radix(text, radix).ok()
    }
}

/// Returns the number of bytes of `64m`, `1.5 GiB`, `512`: powers of 1024.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(digits)?;
    let factor = byte_factor(suffix.strip_prefix(' ').unwrap_or(suffix))?;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    let number = number.parse::<f64>().ok()?;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the number has no sign, and a fraction of a unit is rounded down on purpose"
    )]
    Some((number * factor as f64) as u64)
}

fn byte_factor(suffix: &str) -> Option<u64> {
    let lower = suffix.to_ascii_lowercase();
    let unit = lower.strip_suffix('b').unwrap_or(&lower);
    let unit = unit.strip_suffix('i').unwrap_or(unit);
    let power = match unit {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    Some(1 << (10 * power))
}

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DurationFault {
    /// It is none of `5s`, `1m30s`, …
    Malformed,
    /// It is below zero.
    Negative,
}

/// Returns the duration of `5s`, `1m30s`, `1.5h`, `100ms`, `0`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, DurationFault> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let duration = parse_unsigned_duration(unsigned).ok_or(DurationFault::Malformed)?;
    if negative && !duration.is_zero() {
        Err(DurationFault::Negative)
    } else {
        Ok(duration)
    }
}

fn parse_unsigned_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (part, behind) = parse_duration_part(rest)?;
        total = total.checked_add(part)?;
        rest = behind;
    }
    // Go's durations are nanoseconds in 63 bits.
    (!text.is_empty() && total.as_nanos() <= i64::MAX.unsigned_abs().into()).then_some(total)
}

/// Reads one number with its unit and returns it with what follows.
fn parse_duration_part(text: &str) -> Option<(Duration, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = text.split_at_checked(digits)?;
    let unit_len = rest
        .find(|c: char| c.is_ascii_digit() || c == '.')
        .unwrap_or(rest.len());
    let (unit, behind) = rest.split_at_checked(unit_len)?;
    let nanoseconds = unit_nanoseconds(unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole = if whole.is_empty() {
        0
    } else {
        whole.parse::<u64>().ok()?
    };
    let total = whole
        .checked_mul(nanoseconds)?
        .checked_add(fraction_of(fraction, nanoseconds)?)?;
    Some((Duration::from_nanos(total), behind))
}

/// Returns the nanoseconds of a decimal fraction of a unit, rounded down.
fn fraction_of(digits: &str, nanoseconds: u64) -> Option<u64> {
    // Digits behind the 15th are less than a nanosecond of an hour.
    let digits: String = digits.chars().take(15).collect();
    if digits.is_empty() {
        return Some(0);
    }
    let scale = 10_u128.pow(u32::try_from(digits.len()).ok()?);
    let value = digits.parse::<u128>().ok()? * u128::from(nanoseconds) / scale;
    u64::try_from(value).ok()
}

fn unit_nanoseconds(unit: &str) -> Option<u64> {
    match unit {
        "ns" => Some(1),
        "us" | "µs" | "μs" => Some(1_000),
        "ms" => Some(1_000_000),
        "s" => Some(1_000_000_000),
        "m" => Some(60_000_000_000),
        "h" => Some(3_600_000_000_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for (text, expected) in [
            ("0", Ok(Duration::ZERO)),
            ("5s", Ok(Duration::from_secs(5))),
            ("1m30s", Ok(Duration::from_secs(90))),
            ("1.5h", Ok(Duration::from_mins(90))),
            (".5s", Ok(Duration::from_millis(500))),
            ("100ms", Ok(Duration::from_millis(100))),
            ("1µs", Ok(Duration::from_micros(1))),
            ("+1ns", Ok(Duration::from_nanos(1))),
            ("-0s", Ok(Duration::ZERO)),
            ("-1s", Err(DurationFault::Negative)),
            ("", Err(DurationFault::Malformed)),
            ("5", Err(DurationFault::Malformed)),
            (".s", Err(DurationFault::Malformed)),
            ("5x", Err(DurationFault::Malformed)),
            ("9999999h", Err(DurationFault::Malformed)),
        ] {
            assert_eq!(parse_duration(text), expected, "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, expected) in [
            ("512", Some(512)),
            ("64m", Some(64 << 20)),
            ("64MB", Some(64 << 20)),
            ("64MiB", Some(64 << 20)),
            ("1.5 g", Some(3 << 29)),
            ("1x", None),
            ("", None),
            ("m", None),
            ("99999999999999999999", Some(u64::MAX)),
        ] {
            assert_eq!(parse_bytes(text), expected, "{text}");
        }
    }
}
