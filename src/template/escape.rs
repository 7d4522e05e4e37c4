//! `html`, `js` and `urlquery`.

use std::fmt::Write as _;

/// Returns a text for an HTML document.
pub(crate) fn html(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\0' => escaped.push('\u{fffd}'),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// Returns a text for a string of JavaScript.
pub(crate) fn js(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\'' => escaped.push_str("\\'"),
            '"' => escaped.push_str("\\\""),
            '<' | '>' | '&' | '=' => push_code(&mut escaped, c),
            _ if c.is_control() => push_code(&mut escaped, c),
            _ => escaped.push(c),
        }
    }
    escaped
}

fn push_code(escaped: &mut String, c: char) {
    write!(escaped, "\\u{:04X}", u32::from(c)).expect("a String takes what is written");
}

/// Returns a text for the query of a URL.
pub(crate) fn url_query(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            b' ' => escaped.push('+'),
            _ => write!(escaped, "%{byte:02X}").expect("a String takes what is written"),
        }
    }
    escaped
}
