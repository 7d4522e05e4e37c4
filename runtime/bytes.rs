//! Bytes in messages: paths, arguments and variables need not be UTF-8.
//!
//! Each byte becomes the character of the same number, so that plain text stays as short as it is
//! and readable in a log of messages.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

struct Text<B>(B);

impl<B: AsRef<[u8]>> Serialize for Text<B> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = self
            .0
            .as_ref()
            .iter()
            .map(|byte| char::from(*byte))
            .collect();
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Text<Vec<u8>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text: Cow<'de, str> = Deserialize::deserialize(deserializer)?;
        let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
        bytes
            .map(Self)
            .map_err(|_too_large| D::Error::custom("a character that stands for no byte"))
    }
}

/// For `#[serde(with = "bytes::one")]` on a `Vec<u8>`.
pub(crate) mod one {
    use super::{Deserialize as _, Deserializer, Serialize as _, Serializer, Text};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        Text(bytes).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        Text::deserialize(deserializer).map(|text| text.0)
    }
}

/// For `#[serde(with = "bytes::list")]` on a `Vec<Vec<u8>>`.
pub(crate) mod list {
    use super::{Deserialize, Deserializer, Serializer, Text};

    pub(crate) fn serialize<S: Serializer>(
        list: &[Vec<u8>],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(list.iter().map(Text))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Vec<u8>>, D::Error> {
        let texts: Vec<Text<Vec<u8>>> = Deserialize::deserialize(deserializer)?;
        Ok(texts.into_iter().map(|text| text.0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Message {
        #[serde(with = "one")]
        path: Vec<u8>,
        #[serde(with = "list")]
        words: Vec<Vec<u8>>,
    }

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let message = Message {
            path: all.clone(),
            words: vec![Vec::new(), all],
        };
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), message);
    }

    #[test]
    fn plain_text_stays_readable() {
        let message = Message {
            path: b"/etc/hosts".to_vec(),
            words: vec![b"sh".to_vec()],
        };
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(text, r#"{"path":"/etc/hosts","words":["sh"]}"#);
    }

    #[test]
    fn a_character_beyond_the_bytes_is_refused() {
        let error = serde_json::from_str::<Message>(r#"{"path":"€","words":[]}"#).unwrap_err();
        let expected = "a character that stands for no byte at line 1 column 13";
        assert_eq!(error.to_string(), expected);
    }
}
