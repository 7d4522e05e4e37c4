//! Base64 (RFC 4648, section 4) read back, with or without its padding.

/// Returns the bytes that a text stands for; nothing if it is no base64.
pub fn unbase64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim().trim_end_matches('=');
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.as_bytes().chunks(4) {
        let mut bits: u32 = 0;
        for digit in group {
            bits = bits << 6 | value(*digit)?;
        }
        // Four digits are three bytes, three are two, two are one; one is nothing.
        let count = group.len().checked_sub(1).filter(|count| *count > 0)?;
        let missing = u32::try_from(4 - group.len()).ok()?;
        let [_, all @ ..] = (bits << (6 * missing)).to_be_bytes();
        bytes.extend(all.into_iter().take(count));
    }
    Some(bytes)
}

fn value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_read_back() {
        for text in [
            "",
            "f",
            "fo",
            "foo",
            "foob",
            "fooba",
            "foobar",
            "me:p\u{e4}ss\0\u{ff}",
        ] {
            let encoded = crate::base64(text.as_bytes());
            assert_eq!(unbase64(&encoded).unwrap(), text.as_bytes());
            assert_eq!(
                unbase64(encoded.trim_end_matches('=')).unwrap(),
                text.as_bytes()
            );
        }
        for text in ["a", "aGk*", "aGVsbG8gd", "a-b_"] {
            assert_eq!(unbase64(text), None, "{text}");
        }
    }
}
