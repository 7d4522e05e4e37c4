//! How `BuildKit`, which is written in Go, writes values into the history.

use std::fmt::Write as _;

/// Returns a list as Go's `%v` writes it: `[a b]`.
pub(super) fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<T> = items.into_iter().collect();
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    format!("[{}]", items.join(" "))
}

/// Returns a list as Go's `%q` writes it: `["a" "b"]`.
pub(super) fn quoted_list(items: &[String]) -> String {
    list(items.iter().map(|item| quoted(item)))
}

/// Returns the character of a number as Go's `%q` writes it: `'A'`, `'\x03'`.
pub(super) fn quoted_character(number: i64) -> String {
    let character = u32::try_from(number).ok().and_then(char::from_u32);
    let mut quoted = String::from('\'');
    push_quoted(
        &mut quoted,
        character.unwrap_or(char::REPLACEMENT_CHARACTER),
        '\'',
    );
    quoted.push('\'');
    quoted
}

/// Returns a text as Go's `%q` writes it: `"a"`.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        push_quoted(&mut quoted, character, '"');
    }
    quoted.push('"');
    quoted
}

fn push_quoted(text: &mut String, character: char, quote: char) {
    match character {
        '\\' => text.push_str("\\\\"),
        '\u{7}' => text.push_str("\\a"),
        '\u{8}' => text.push_str("\\b"),
        '\u{b}' => text.push_str("\\v"),
        '\u{c}' => text.push_str("\\f"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        control if control.is_control() => push_code(text, control),
        same if same == quote => text.extend(['\\', quote]),
        plain => text.push(plain),
    }
}

fn push_code(text: &mut String, character: char) {
    let code = u32::from(character);
    let written = if code < 0x80 {
        write!(text, "\\x{code:02x}")
    } else {
        write!(text, "\\u{code:04x}")
    };
    written.expect("a String takes what is written");
}

/// Returns a time in nanoseconds as Go writes it: `0s`, `1.5ms`, `1m30s`.
pub(super) fn duration(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let ns = ns.unsigned_abs();
    let shown = match ns {
        0 => "0s".to_owned(),
        1..1_000 => format!("{ns}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(ns, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", fraction(ns, 1_000_000)),
        _ => whole_units(ns),
    };
    format!("{sign}{shown}")
}

fn whole_units(ns: u64) -> String {
    let seconds = ns / SECOND_NS;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let rest = fraction(ns % (60 * SECOND_NS), SECOND_NS);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, minutes) => format!("{minutes}m{rest}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{rest}s"),
    }
}

const SECOND_NS: u64 = 1_000_000_000;

/// Returns `value / unit` without trailing zeros; `unit` is a power of ten.
fn fraction(value: u64, unit: u64) -> String {
    let (whole, rest) = (value / unit, value % unit);
    let digits = unit.ilog10() as usize;
    let decimals = format!("{rest:0digits$}");
    match decimals.trim_end_matches('0') {
        "" => whole.to_string(),
        decimals => format!("{whole}.{decimals}"),
    }
}

/// Returns the text with its first word in capitals.
pub(super) fn capitalised(text: &str) -> String {
    match text.split_once(' ') {
        Some((first, rest)) => format!("{} {rest}", first.to_uppercase()),
        None => text.to_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (ns, expected) in [
            (0, "0s"),
            (999, "999ns"),
            (1_500, "1.5µs"),
            (250_000_000, "250ms"),
            (1_000_000_000, "1s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (3_661_050_000_000, "1h1m1.05s"),
            (-5_000_000_000, "-5s"),
        ] {
            assert_eq!(duration(ns), expected);
        }
    }

    #[test]
    fn quoted_lists_escape_what_go_escapes() {
        let items = ["a b", "\"", "\\", "\n\u{1}é", ""].map(str::to_owned);
        assert_eq!(quoted_list(&items), r#"["a b" "\"" "\\" "\n\x01é" ""]"#);
        assert_eq!(quoted_list(&[]), "[]");
    }

    #[test]
    fn a_character_is_quoted_as_go_quotes_it() {
        for (number, expected) in [
            (0, r"'\x00'"),
            (3, r"'\x03'"),
            (10, r"'\n'"),
            (34, "'\"'"),
            (39, r"'\''"),
            (65, "'A'"),
            (92, r"'\\'"),
            (127, r"'\x7f'"),
            (-1, "'\u{fffd}'"),
        ] {
            assert_eq!(quoted_character(number), expected, "{number}");
        }
    }
}
