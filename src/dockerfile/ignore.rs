//! `.dockerignore` text → patterns.

use graph::PatternSet;
use graph::pattern::{PatternError, clean_path};

use crate::lines::BYTE_ORDER_MARK;

/// Returns the patterns of a `.dockerignore`, cleaned, in order.
///
/// Lines that start with `#` and blank ones are left out. A leading `/` is dropped: patterns are rooted anyway.
pub fn patterns(text: &str) -> Vec<String> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(pattern)
        .collect()
}

fn pattern(line: &str) -> String {
    match line.strip_prefix('!') {
        Some(rest) => format!("!{}", rooted(rest.trim())),
        None => rooted(line),
    }
}

fn rooted(pattern: &str) -> String {
    if pattern.is_empty() {
        return String::new();
    }
    let cleaned = clean_path(pattern);
    match cleaned.strip_prefix('/') {
        Some(rest) if !rest.is_empty() => rest.to_owned(),
        _ => cleaned,
    }
}

/// Reads a `.dockerignore`.
///
/// # Errors
///
/// Fails when a pattern has a fault; the error says which, counted without comments and blank lines.
pub fn parse_ignore_file(text: &str) -> Result<PatternSet, PatternError> {
    PatternSet::new(patterns(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_cleaned_patterns() {
        let text = "\u{feff}test1\n/test2\n/a/file/here\n\nlastfile\n# comment\n  # no comment\n\
                    ! /inverted/abs/path\n!\n! \nc/../d/\r\n./x\n/\n";
        assert_eq!(
            patterns(text),
            [
                "test1",
                "test2",
                "a/file/here",
                "lastfile",
                "# no comment",
                "!inverted/abs/path",
                "!",
                "!",
                "d",
                "x",
                "/"
            ]
        );
    }

    #[test]
    fn patterns_are_rooted() {
        let set = parse_ignore_file("/a\n!a/keep\n").unwrap();
        assert!(set.matches("a/b"));
        assert!(!set.matches("a/keep"));
        assert!(!set.matches("b/a"));
    }
}
