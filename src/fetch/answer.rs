//! The bodies of answers that are read whole, and texts of servers in messages.

use std::io::Read as _;

use crate::error::FetchError;
use crate::request::Response;

impl Response {
    /// Reads the whole body.
    ///
    /// # Errors
    ///
    /// Fails when the connection breaks, and when there are more bytes than `limit_bytes`.
    pub fn read_whole(&mut self, limit_bytes: u64) -> Result<Vec<u8>, FetchError> {
        let mut bytes = Vec::new();
        let most = limit_bytes.saturating_add(1);
        let read = self.by_ref().take(most).read_to_end(&mut bytes);
        if let Err(error) = read {
            return Err(self.broken(bytes.len() as u64, error));
        }
        if bytes.len() as u64 > limit_bytes {
            let url = self.url().clone();
            return Err(FetchError::TooLarge { url, limit_bytes });
        }
        Ok(bytes)
    }

    /// Reads the rest of an answer of which only the head matters, so that its connection can be used again; no more
    /// than so many bytes.
    pub fn discard(mut self, limit_bytes: u64) {
        let mut rest = self.by_ref().take(limit_bytes);
        // A connection that breaks here is one that is not used again.
        drop(std::io::copy(&mut rest, &mut std::io::sink()));
    }
}

/// Returns a text of a server's as a message shows it: in one line, without what a terminal would obey, and no longer
/// than so many characters.
pub fn shown(text: &str, most_chars: usize) -> String {
    text.trim()
        .escape_debug()
        .take(most_chars)
        .collect::<String>()
        .replace("\\\"", "\"")
        .replace("\\'", "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_a_server_is_one_short_line() {
        for (text, expected) in [
            (" no\naccess ", "no\\naccess"),
            ("it's \"gone\"", "it's \"gone\""),
            ("\u{1b}]0;x\u{7}", "\\u{1b}]0;x\\u{7}"),
            ("1234567890123456789", "12345678901234567"),
        ] {
            assert_eq!(shown(text, 17), expected);
        }
    }
}
