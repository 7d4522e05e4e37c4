//! Percent-encoding of what URLs and forms are made of, and back (RFC 3986, section 2.1).

use super::UrlError;

/// Encodes what may not stand in a URL; what is encoded already stays as it is.
pub(super) fn encoded(text: &str) -> Result<String, UrlError> {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    let is_broken =
        |(at, byte): (usize, &u8)| *byte == b'%' && !(is_digit(at + 1) && is_digit(at + 2));
    if bytes.iter().enumerate().any(is_broken) {
        return Err(UrlError::Percent);
    }
    Ok(encoded_query(text))
}

/// Encodes what may not stand in a query. Servers take a lone `%` in one, and so must we.
pub(super) fn encoded_query(text: &str) -> String {
    let mut url = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push('%');
            url.extend([byte >> 4, byte & 15].map(hexadecimal));
        }
    }
    url
}

/// Encodes a name or a value of a form's field (RFC 3986, section 2.3: all but what is never encoded).
pub(crate) fn encoded_field(text: &str) -> String {
    let mut field = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            field.push(char::from(byte));
        } else {
            field.push('%');
            field.extend([byte >> 4, byte & 15].map(hexadecimal));
        }
    }
    field
}

/// Returns fields as the body of a form has them (`application/x-www-form-urlencoded`).
pub fn form(fields: &[(&str, &str)]) -> String {
    let field =
        |(name, value): &(&str, &str)| format!("{}={}", encoded_field(name), encoded_field(value));
    let fields: Vec<_> = fields.iter().map(field).collect();
    fields.join("&")
}

fn hexadecimal(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16)
        .unwrap_or('0')
        .to_ascii_uppercase()
}

/// Resolves `%20`; what is no UTF-8 then is replaced.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        if let (b'%', Some(byte)) = (first, byte) {
            bytes.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
