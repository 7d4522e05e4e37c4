//! URLs that are read, led on from, changed and refused.

use super::*;

#[test]
fn urls_are_read_and_written_in_one_form() {
    for (text, expected) in [
        ("http://e.com", "http://e.com/"),
        (
            "HTTPS://E.com:443/a b?c d#e",
            "https://e.com:443/a%20b?c%20d",
        ),
        ("http://u:p@e.com/x", "http://e.com/x"),
        ("http://[::1]:8/x", "http://[::1]:8/x"),
        ("http://e.com?q=%zz", "http://e.com/?q=%zz"),
        ("http://e.com/ä/%C3%A4", "http://e.com/%C3%A4/%C3%A4"),
        ("http://e.com:/x", "http://e.com/x"),
    ] {
        assert_eq!(Url::parse(text).unwrap().to_string(), expected, "{text}");
    }
}

#[test]
fn what_is_no_url_of_a_file_is_refused() {
    for (text, expected) in [
        ("file:///etc/passwd", UrlError::Scheme),
        ("ftp://e.com/x", UrlError::Scheme),
        ("e.com/x", UrlError::Scheme),
        ("http:///x", UrlError::NoHost),
        ("http://:8/x", UrlError::NoHost),
        ("http://a b/x", UrlError::Host(' ')),
        ("http://-`/x", UrlError::Host('`')),
        ("http://e.com:99999/x", UrlError::Port),
        ("http://e.com:+8/x", UrlError::Port),
        ("http://e.com/%2", UrlError::Percent),
        ("http://e.com/a\nb", UrlError::Control),
    ] {
        assert_eq!(Url::parse(text), Err(expected), "{text}");
    }
}

#[test]
fn a_location_leads_on_from_where_it_was_said() {
    let url = Url::parse("https://e.com/a/b?c").unwrap();
    for (location, expected) in [
        ("http://f.com/x", "http://f.com/x"),
        ("//f.com/x", "https://f.com/x"),
        ("/x?y", "https://e.com/x?y"),
        ("x", "https://e.com/a/x"),
        ("../../../x/./y/..", "https://e.com/x/"),
        ("?d", "https://e.com/a/b?d"),
        ("", "https://e.com/a/b?c"),
        ("#f", "https://e.com/a/b?c"),
    ] {
        assert_eq!(
            url.join(location).unwrap().to_string(),
            expected,
            "{location}"
        );
    }
    for location in ["file:///etc/passwd", "gopher://e.com/", "data:,x"] {
        assert_eq!(url.join(location), Err(UrlError::Scheme), "{location}");
    }
}

#[test]
fn what_is_below_a_url_keeps_its_host_and_its_path() {
    for (base, rest, expected) in [
        ("https://e.com/v2", "a/b", "https://e.com/v2/a/b"),
        ("https://e.com/v2/", "/a?n=1", "https://e.com/v2/a?n=1"),
        ("https://e.com:5/v2?x", "", "https://e.com:5/v2/"),
        ("https://e.com", "v2/é", "https://e.com/v2/%C3%A9"),
    ] {
        let url = Url::parse(base).unwrap();
        assert_eq!(url.below(rest).unwrap().to_string(), expected);
    }
    let url = Url::parse("https://e.com/").unwrap();
    assert_eq!(url.below("a\nb"), Err(UrlError::Control));
    assert_eq!(url.below("%2"), Err(UrlError::Percent));
}

#[test]
fn fields_are_added_to_what_the_query_has() {
    let url = Url::parse("https://e.com/x?a=%zz").unwrap();
    let url = url.with_field("digest", "sha256:0+ &=");
    assert_eq!(
        url.to_string(),
        "https://e.com/x?a=%zz&digest=sha256%3A0%2B%20%26%3D"
    );
    assert_eq!(url.without_query().to_string(), "https://e.com/x");
    assert_eq!(form(&[("a b", "c/d"), ("e", "")]), "a%20b=c%2Fd&e=");
}

#[test]
fn a_url_is_taken_to_another_scheme_or_origin() {
    let url = Url::parse("http://u:p@e.com:80/x?y").unwrap();
    let plain = Url::parse("http://e.com/x").unwrap();
    let base = Url::parse("https://e.com/v2").unwrap();
    assert_eq!(url.at_origin_of(&base).to_string(), "https://e.com/x?y");
    assert_eq!(plain.with_scheme(Scheme::Https).port(), 443);
    assert_eq!(url.with_scheme(Scheme::Https).port(), 80);
    assert_eq!(url.without_user().userinfo(), None);
}

#[test]
fn the_loopback_is_known_by_its_addresses() {
    for (text, expected) in [
        ("http://localhost:5000/", true),
        ("http://127.9.9.9/", true),
        ("http://[::1]:5000/", true),
        ("http://10.0.0.1/", false),
        ("http://localhost.example/", false),
    ] {
        assert_eq!(Url::parse(text).unwrap().is_loopback(), expected, "{text}");
    }
}

#[test]
fn a_file_is_called_as_its_path_ends() {
    for (text, expected) in [
        ("http://e.com/a/b.txt?c/d", Some("b.txt")),
        ("http://e.com/a/b/", Some("b")),
        ("http://e.com/a%20b", Some("a b")),
        ("http://e.com/a%2Fb", Some("b")),
        ("http://e.com/", None),
        ("http://e.com", None),
        ("http://e.com/a/.", None),
        ("http://e.com/a/%2e%2e", Some("..")),
    ] {
        let name = Url::parse(text).unwrap().file_name();
        assert_eq!(name.as_deref(), expected, "{text}");
    }
}

#[test]
fn a_password_is_kept_and_not_shown() {
    let url = Url::parse("http://me:se%20cret@e.com:8/x").unwrap();
    assert_eq!(
        url.userinfo(),
        Some(("me".to_owned(), "se cret".to_owned()))
    );
    assert_eq!(url.with_userinfo(), "http://me:se%20cret@e.com:8/x");
    assert_eq!(
        format!("{url} {url:?}"),
        "http://e.com:8/x Url(http://e.com:8/x)"
    );
}

#[test]
fn an_origin_is_scheme_host_and_port() {
    let origin = |text| Url::parse(text).unwrap().origin();
    assert_eq!(origin("https://e.com/a"), origin("https://E.com:443/b?c"));
    for other in ["http://e.com/", "https://sub.e.com/", "https://e.com:444/"] {
        assert_ne!(origin("https://e.com/"), origin(other), "{other}");
    }
}
