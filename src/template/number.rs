//! Numbers as Go writes them: `7`, `-0x1F`, `0b101`, `1_000`, `2.5e3`.

/// A number of a template.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    /// A whole one.
    Int(i64),
    /// Another one.
    Float(f64),
}

/// Returns how many bytes at the beginning of a text look like a number, whether it is one or not.
pub(crate) fn length(text: &str) -> usize {
    let mut before = None;
    for (at, c) in text.char_indices() {
        let is_sign =
            matches!(c, '+' | '-') && matches!(before, None | Some('e' | 'E' | 'p' | 'P'));
        if !(is_sign || c == '.' || c == '_' || c.is_alphanumeric()) {
            return at;
        }
        before = Some(c);
    }
    text.len()
}

/// Reads a number.
pub(crate) fn parse(text: &str) -> Option<Number> {
    let (is_negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    if let Some(magnitude) = whole(digits) {
        let number = if is_negative { -magnitude } else { magnitude };
        return i64::try_from(number).ok().map(Number::Int);
    }
    let number: f64 = fraction(digits)?;
    Some(Number::Float(if is_negative { -number } else { number }))
}

fn whole(digits: &str) -> Option<i128> {
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, lower.get(2..)?),
        [b'0', b'o', ..] => (8, lower.get(2..)?),
        [b'0', b'b', ..] => (2, lower.get(2..)?),
        [b'0', _, ..] => (8, lower.get(1..)?),
        _ => (10, lower.as_str()),
    };
    let digits = without_separators(digits)?;
    // No sign may follow the first one.
    digits
        .starts_with(|c: char| c.is_digit(radix))
        .then(|| i128::from_str_radix(&digits, radix).ok())?
}

fn fraction(digits: &str) -> Option<f64> {
    let allowed = |c: char| c.is_ascii_digit() || ".eE+-_".contains(c);
    let starts = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if !starts || !digits.contains(['.', 'e', 'E']) || !digits.chars().all(allowed) {
        return None;
    }
    let number: f64 = without_separators(digits)?.parse().ok()?;
    number.is_finite().then_some(number)
}

/// Takes the underscores away, each of which stands between two digits.
fn without_separators(digits: &str) -> Option<String> {
    let is_misplaced = digits.ends_with('_') || digits.contains("__");
    (!is_misplaced).then(|| digits.replace('_', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        let table = [
            ("7", Some(Number::Int(7))),
            ("-7", Some(Number::Int(-7))),
            ("+7", Some(Number::Int(7))),
            ("0", Some(Number::Int(0))),
            ("010", Some(Number::Int(8))),
            ("0x1F", Some(Number::Int(31))),
            ("0b101", Some(Number::Int(5))),
            ("0o17", Some(Number::Int(15))),
            ("1_000", Some(Number::Int(1000))),
            ("9223372036854775807", Some(Number::Int(i64::MAX))),
            ("9223372036854775808", None),
            ("-9223372036854775808", Some(Number::Int(i64::MIN))),
            ("0.5", Some(Number::Float(0.5))),
            (".5", Some(Number::Float(0.5))),
            ("-2.5e3", Some(Number::Float(-2500.0))),
            ("1e400", None),
            ("1__0", None),
            ("1_", None),
            ("--1", None),
            ("1i", None),
            ("0x", None),
            ("089", None),
            ("x", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
