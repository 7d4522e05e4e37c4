//! Users and passwords in URLs: what of them nobody is to see.
//!
//! | URL | Secret | |
//! | --- | --- | --- |
//! | `https://TOKEN@e.com/f` | `TOKEN` | HTTP: a token may stand in the place of either |
//! | `http://me:PASSWORD@e.com/f` | `me:PASSWORD` | |
//! | `ssh://git@e.com/r` | | other schemes: the user is part of the address |
//! | `ssh://git:PASSWORD@e.com/r` | `PASSWORD` | |
//!
//! What stands in the place of a secret, stars or nothing, is left to whoever shows the URL.

use std::ops::Range;

/// What stands between the scheme and the authority.
const MARK: &str = "://";

/// Returns where the secret of a URL is; where there is none, an empty place behind its `://`.
///
/// What has no `://` is no URL and has no secret. What stands in front of the scheme does not matter: `NAME=https://…`.
pub fn secret(url: &str) -> Range<usize> {
    let Some((scheme, rest)) = url.split_once(MARK) else {
        return 0..0;
    };
    let begin = scheme.len() + MARK.len();
    // RFC 3986, section 3.2: what ends an authority.
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let Some((userinfo, _host)) = authority.rsplit_once('@') else {
        return begin..begin;
    };
    let end = begin + userinfo.len();
    if is_http(scheme) {
        return begin..end;
    }
    match userinfo.find(':') {
        Some(colon) => begin + colon + 1..end,
        None => begin..begin,
    }
}

/// Returns a URL without its secret, and without the sign that told it from the rest.
pub fn without_secret(url: &str) -> String {
    let secret = secret(url);
    if secret.is_empty() {
        return url.to_owned();
    }
    let (before, rest) = url.split_at(secret.start);
    let (_, after) = rest.split_at(secret.len());
    match before.strip_suffix(':') {
        Some(user) => format!("{user}{after}"),
        None => format!("{before}{}", after.strip_prefix('@').unwrap_or(after)),
    }
}

fn is_http(scheme: &str) -> bool {
    let scheme = scheme.to_ascii_lowercase();
    scheme.ends_with("http") || scheme.ends_with("https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_secret() {
        for (url, hidden, expected) in [
            ("https://token@e.com/f", "token", "https://e.com/f"),
            ("HTTP://me:pw@e.com?a@b", "me:pw", "HTTP://e.com?a@b"),
            ("https://me:p@w@e.com#a@b", "me:p@w", "https://e.com#a@b"),
            ("a=https://token@e.com", "token", "a=https://e.com"),
            ("https://e.com/a:b@c", "", "https://e.com/a:b@c"),
            ("ssh://git@e.com:22/r", "", "ssh://git@e.com:22/r"),
            ("ssh://git:pw@e.com/r", "pw", "ssh://git@e.com/r"),
            ("ssh://git:p:w@e.com/r", "p:w", "ssh://git@e.com/r"),
            ("git@e.com:a/b", "", "git@e.com:a/b"),
            ("é://é:é@é/é", "é", "é://é@é/é"),
        ] {
            assert_eq!(url.get(secret(url)), Some(hidden), "{url}");
            assert_eq!(without_secret(url), expected, "{url}");
        }
    }
}
