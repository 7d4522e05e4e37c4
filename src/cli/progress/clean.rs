//! Texts of strangers in a live display: nothing in them moves the cursor, changes colours or turns the line around.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// How far apart the stops of tabs are.
const TAB_COLUMNS: usize = 8;

/// What begins an escape sequence.
const ESCAPE: char = '\u{1b}';

/// Returns one line without anything that a terminal would obey: what stands last where the line was overwritten, blanks
/// for tabs, nothing for sequences and characters that control.
pub(crate) fn clean(line: &str, limit_chars: usize) -> String {
    let line = line.trim_end_matches(['\r', '\n']);
    let line = line.rsplit('\r').next().unwrap_or_default();
    let mut shown = String::new();
    let mut chars = line.chars().peekable();
    let mut left = limit_chars;
    while let (Some(char), true) = (chars.next(), left > 0) {
        match char {
            ESCAPE => skip_sequence(&mut chars),
            '\u{9b}' => skip_parameters(&mut chars),
            '\t' => {
                let blanks = TAB_COLUMNS - shown.width() % TAB_COLUMNS;
                shown.extend(std::iter::repeat_n(' ', blanks));
            }
            '\n' => shown.push(' '),
            char if char.is_control() || turns_around(char) => {}
            char => shown.push(char),
        }
        left -= 1;
    }
    shown
}

/// Tells whether a character changes the order in which others are shown, or makes a line of one.
fn turns_around(char: char) -> bool {
    matches!(char, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Passes over what follows an escape (ECMA-48, 5.3 and 5.4): a sequence with parameters, a string with its end, or
/// one character.
fn skip_sequence(chars: &mut Chars<'_>) {
    match chars.next() {
        Some('[') => skip_parameters(chars),
        Some(']' | 'P' | 'X' | '^' | '_') => skip_string(chars),
        Some(' '..='/') => {
            while chars.next_if(|char| matches!(char, ' '..='/')).is_some() {}
            chars.next();
        }
        _ => {}
    }
}

fn skip_parameters(chars: &mut Chars<'_>) {
    while chars.next_if(|char| matches!(char, ' '..='?')).is_some() {}
    // What ends it; anything else belongs to the text again.
    let _end = chars.next_if(|char| matches!(char, '@'..='~'));
}

fn skip_string(chars: &mut Chars<'_>) {
    while let Some(char) = chars.next() {
        match char {
            '\u{7}' | '\u{9c}' => return,
            ESCAPE => {
                let _end = chars.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

/// Replaces what is not ASCII, for a terminal that knows nothing else.
pub(super) fn ascii(text: &str) -> String {
    let replaced = text.chars().map(|char| match char {
        '…' => '~',
        char if char.is_ascii() => char,
        _ => '?',
    });
    replaced.collect()
}

/// Returns as much of a text as so many columns hold; an ellipsis stands for the rest.
pub(super) fn fit(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut fitted = String::new();
    let mut used = 0;
    for char in text.chars() {
        let width = char.width().unwrap_or(0);
        if used + width + 1 > columns {
            break;
        }
        used += width;
        fitted.push(char);
    }
    if columns > 0 {
        fitted.push('…');
    }
    fitted
}

/// Returns a text in so many columns, blanks after it, as far as it does not fill them.
pub(super) fn padded(text: &str, columns: usize) -> String {
    let mut fitted = fit(text, columns);
    let blanks = columns.saturating_sub(fitted.width());
    fitted.extend(std::iter::repeat_n(' ', blanks));
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        for (line, expected) in [
            ("plain", "plain"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}[2J\u{1b}[1;1Hhome", "home"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]52;c;ZXZpbA==\u{1b}\\after", "after"),
            ("\u{1b}Pq#0\u{1b}\\after", "after"),
            ("\u{1b}(Bcharset", "charset"),
            ("\u{9b}31mred", "red"),
            ("\u{1b}", ""),
            ("10%\r20%\r30%\r\n", "30%"),
            ("a\tb", "a       b"),
            ("a\u{8}\u{7}b\u{0}", "ab"),
            ("a\u{202e}b\u{2066}c", "abc"),
            ("\u{1b}[3\u{1b}[31mx", "x"),
            ("naïve 漢字", "naïve 漢字"),
        ] {
            assert_eq!(clean(line, 100), expected, "{line:?}");
        }
        assert_eq!(clean("12345", 3), "123");
    }

    #[test]
    fn a_text_fits_its_columns_whatever_its_characters_take() {
        for (text, columns, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("漢字", 4, "漢字"),
            ("漢字x", 4, "漢…"),
            ("ab", 0, ""),
            ("ab", 1, "…"),
        ] {
            assert_eq!(fit(text, columns), expected, "{text} {columns}");
            assert!(fit(text, columns).width() <= columns);
        }
        assert_eq!(padded("漢", 4), "漢  ");
        assert_eq!(ascii("é…a"), "?~a");
    }
}
