//! Small documents of our own that show when they were changed: cache records and the marks of
//! snapshots.
//!
//! ```text
//! {"digest":"sha256:…","body":{…}}
//! ```
//!
//! The digest is that of the body as it stands there, without white space. A document that was torn
//! by a loss of power, or of which a disk or a person changed a byte, is no document, and what it
//! stood for is made again. It is a check against accidents: whoever can write here can write the
//! digest too.

use oci::Digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

#[derive(Serialize)]
struct Sealed<'a> {
    digest: &'a Digest,
    body: &'a RawValue,
}

/// A document of which only the frame was looked at: the body is parsed once, and as what it is.
#[derive(Deserialize)]
struct Opened<'a> {
    digest: Digest,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// Returns the document of a body.
///
/// # Errors
///
/// Fails when the body cannot be JSON: a map whose keys are not texts, a number that is none.
pub(crate) fn seal<T: Serialize>(body: &T) -> serde_json::Result<Vec<u8>> {
    let body = to_raw_value(body)?;
    let digest = Digest::of(body.get().as_bytes());
    serde_json::to_vec(&Sealed {
        digest: &digest,
        body: &body,
    })
}

/// Returns the body of a document; `None` where it is damaged or of another type.
pub(crate) fn open<T: DeserializeOwned>(document: &[u8]) -> Option<T> {
    let Opened { digest, body } = serde_json::from_slice(document).ok()?;
    if digest != Digest::of(body.get().as_bytes()) {
        return None;
    }
    serde_json::from_str(body.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_comes_back() {
        let body = (
            u64::MAX,
            -1,
            0.1,
            "a\"\u{0}\u{e9}".to_owned(),
            vec![Some(true), None],
        );
        let document = seal(&body).unwrap();
        assert_eq!(open(&document), Some(body));
    }

    #[test]
    fn the_document_is_json_with_the_digest_before_the_body() {
        let text = String::from_utf8(seal(&["a"]).unwrap()).unwrap();
        let digest = Digest::of(br#"["a"]"#);
        assert_eq!(text, format!(r#"{{"digest":"{digest}","body":["a"]}}"#));
    }

    #[test]
    fn every_change_of_one_byte_and_every_cut_is_found() {
        let document = seal(&("blob", 12_345)).unwrap();
        for at in 0..document.len() {
            let cut = &document[..at];
            assert_eq!(open::<(String, u64)>(cut), None, "cut at {at}");
            let mut changed = document.clone();
            changed[at] ^= 1;
            assert_eq!(open::<(String, u64)>(&changed), None, "changed at {at}");
        }
    }

    #[test]
    fn a_body_of_another_type_is_none() {
        assert_eq!(open::<u32>(&seal(&"text").unwrap()), None);
    }
}
