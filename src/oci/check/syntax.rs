//! The small grammars inside documents.

/// Most bytes of each half of a media type (RFC 6838, section 4.2).
const MEDIA_TYPE_NAME_MAX_BYTES: usize = 127;

/// Says whether a text is a media type of RFC 6838: two names and a slash, no parameters.
pub(super) fn is_media_type(text: &str) -> bool {
    text.split_once('/')
        .is_some_and(|(kind, name)| is_restricted_name(kind) && is_restricted_name(name))
}

fn is_restricted_name(text: &str) -> bool {
    let accept = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte);
    text.len() <= MEDIA_TYPE_NAME_MAX_BYTES
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(accept)
}

/// Says whether a text is an absolute URI of RFC 3986: a scheme, a colon, and characters that may
/// stand in one.
pub(super) fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let accept = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(accept)
        && !rest.is_empty()
        && rest
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
}

/// Says whether a text is base 64 of RFC 4648, with its padding.
pub(super) fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - digits.len() <= 2
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_have_two_restricted_names() {
        let long = format!("a/{}", "b".repeat(MEDIA_TYPE_NAME_MAX_BYTES));
        for text in [
            "text/plain",
            "application/vnd.oci.image.layer.v1.tar+gzip",
            long.as_str(),
        ] {
            assert!(is_media_type(text), "{text}");
        }
        let too_long = format!("{long}b");
        for text in [
            "", "text", "/plain", "text/", ".a/b", "a/.b", "a/b/c", "a/b; c", &too_long,
        ] {
            assert!(!is_media_type(text), "{text}");
        }
    }

    #[test]
    fn uris_have_a_scheme() {
        for text in ["https://example.com/foo?a=b#c", "file:///x", "urn:a"] {
            assert!(is_uri(text), "{text}");
        }
        for text in [
            "",
            "value",
            "1a:b",
            ":b",
            "http:",
            "http://a b",
            "http://a\n",
        ] {
            assert!(!is_uri(text), "{text}");
        }
    }

    #[test]
    fn base_64_is_padded() {
        for text in ["", "aGk=", "aGkh", "aA=="] {
            assert!(is_base64(text), "{text}");
        }
        for text in ["aGk", "a===", "aG k", "aGk_", "=aGk"] {
            assert!(!is_base64(text), "{text}");
        }
    }
}
