//! The grammar of image references, as `distribution/reference` writes it down.
//!
//! ```text
//! reference         := name [ ":" tag ] [ "@" digest ]
//! name              := [ domain "/" ] path
//! domain            := host [ ":" port ]
//! host              := domain-component { "." domain-component } | "[" IPv6 address "]"
//! domain-component  := letter or digit, then letters, digits and "-", not ending in "-"
//! path              := path-component { "/" path-component }
//! path-component    := alphanumeric { separator alphanumeric }
//! alphanumeric      := lower-case letters and digits
//! separator         := "." | "_" | "__" | "-" { "-" }
//! tag               := word character, then up to 127 word characters, "." and "-"
//! digest            := algorithm ":" at least 32 hexadecimal digits
//! identifier        := 64 lower-case hexadecimal digits
//! ```
//!
//! A colon can stand before a port or before a tag, and a first component can be a domain or a part of
//! the path: `a/b` has the domain `a`, `a_b/c` has none, `a:5000` is a name and a tag.

use crate::limits::TAG_MAX_BYTES;

/// The parts of a text that fits the grammar; nothing about them is checked further.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Parts<'a> {
    pub(super) name: &'a str,
    pub(super) tag: Option<&'a str>,
    pub(super) digest: Option<&'a str>,
}

/// Splits a reference; nothing when it does not fit.
pub(super) fn split_reference(text: &str) -> Option<Parts<'_>> {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    let (name, tag) = split_tag(rest);
    let fits = split_name(name).is_some() && tag.is_none_or(is_tag) && digest.is_none_or(is_digest);
    fits.then_some(Parts { name, tag, digest })
}

/// Splits at the colon of the tag: the first one after the last slash.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    let last_component = text.rsplit('/').next().unwrap_or(text);
    let Some((_, tag)) = last_component.split_once(':') else {
        return (text, None);
    };
    let name = text
        .strip_suffix(tag)
        .and_then(|name| name.strip_suffix(':'))
        .unwrap_or(text);
    (name, Some(tag))
}

/// Splits a name into a domain, empty where there is none, and a path.
pub(super) fn split_name(text: &str) -> Option<(&str, &str)> {
    if let Some((domain, path)) = text.split_once('/')
        && is_domain(domain)
        && is_path(path)
    {
        return Some((domain, path));
    }
    is_path(text).then_some(("", text))
}

pub(super) fn is_domain(text: &str) -> bool {
    match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').is_some_and(|(address, port)| {
            is_all(address, |byte| byte.is_ascii_hexdigit() || byte == b':')
                && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        }),
        None => match text.split_once(':') {
            Some((host, port)) => is_host(host) && is_port(port),
            None => is_host(text),
        },
    }
}

fn is_host(text: &str) -> bool {
    text.split('.').all(|component| {
        is_all(component, |byte| {
            byte.is_ascii_alphanumeric() || byte == b'-'
        }) && !component.starts_with('-')
            && !component.ends_with('-')
    })
}

fn is_port(text: &str) -> bool {
    is_all(text, |byte| byte.is_ascii_digit())
}

pub(super) fn is_path(text: &str) -> bool {
    text.split('/').all(is_path_component)
}

/// Checks that alphanumeric runs are held apart by separators, one at a time.
fn is_path_component(text: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let runs: Vec<&[u8]> = text
        .as_bytes()
        .chunk_by(|a, b| is_alphanumeric(*a) == is_alphanumeric(*b))
        .collect();
    let ends_well = |run: Option<&&[u8]>| {
        run.and_then(|run| run.first())
            .is_some_and(|byte| is_alphanumeric(*byte))
    };
    ends_well(runs.first())
        && ends_well(runs.last())
        && runs.iter().all(|run| {
            run.iter()
                .all(|byte| is_alphanumeric(*byte) || *byte == b'-')
                || matches!(*run, b"." | b"_" | b"__")
        })
}

pub(super) fn is_tag(text: &str) -> bool {
    text.len() <= TAG_MAX_BYTES
        && is_all(text, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
        })
        && !text.starts_with(['.', '-'])
}

/// Checks the shape of a digest: which algorithms there are is not a question of grammar.
fn is_digest(text: &str) -> bool {
    let Some((algorithm, encoded)) = text.split_once(':') else {
        return false;
    };
    algorithm.split(['-', '_', '+', '.']).all(|component| {
        is_all(component, |byte| byte.is_ascii_alphanumeric())
            && component.starts_with(|first: char| first.is_ascii_alphabetic())
    }) && encoded.len() >= 32
        && is_all(encoded, |byte| byte.is_ascii_hexdigit())
}

pub(super) fn is_identifier(text: &str) -> bool {
    text.len() == 64 && is_all(text, |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Says whether there is at least one byte and all of them satisfy `accept`.
fn is_all(text: &str, accept: fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(accept)
}
