//! F7: headers that servers send: `WWW-Authenticate`, `Link`, `Retry-After`, `Content-Range`, `Location`.
//!
//! Where a redirect leads is `http` or `https`, and reads as the same URL when it is written down.

use fetch::{Url, parse_http_date, retry_after};
use registry::{challenges, content_range, next_link};

use crate::taken;

/// Reads a header as each of them. A second line is what another header says.
///
/// # Panics
///
/// Panics where something does not hold.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (header, second) = text.split_once('\n').unwrap_or((text, ""));
    for challenge in challenges(header) {
        assert_eq!(challenge.scheme, challenge.scheme.to_ascii_lowercase());
        assert!(!challenge.scheme.is_empty(), "a challenge without a scheme");
        taken(challenge.parameter("realm"));
    }
    taken(content_range(header));
    taken(parse_http_date(header));
    taken(retry_after(Some(header), Some(second)));
    for base in ["https://r.example/v2/a/tags/list?n=2", "http://[::1]:80/"] {
        let base = Url::parse(base).expect("a URL of ours");
        follow(&base, header);
        if let Some(link) = next_link(header) {
            assert!(header.contains(link));
            follow(&base, link);
        }
    }
    if let Ok(url) = Url::parse(header) {
        follow(&url, second);
    }
}

fn follow(base: &Url, location: &str) {
    let Ok(url) = base.join(location) else {
        return;
    };
    let written = url.with_userinfo();
    let again = Url::parse(&written).expect("what was written can be read");
    assert_eq!(written, again.with_userinfo());
    assert_eq!(url.origin(), again.origin(), "{written}");
    assert!(written.starts_with("http://") || written.starts_with("https://"));
    let is_plain = |c: char| c.is_ascii_graphic();
    assert!(url.without_userinfo().chars().all(is_plain), "{written:?}");
    taken(url.userinfo());
    if let Some(name) = url.file_name() {
        assert!(!name.is_empty());
    }
}
