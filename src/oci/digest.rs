//! Content digests, and the three things they identify in an image.
//!
//! [`Digest`] names bytes as they are stored, [`DiffId`] a layer before compression and [`ChainId`] a
//! stack of layers. They are distinct types because one used for another is a wrong image that
//! verifies.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

mod stream;

pub use stream::{DigestWriter, Hasher, VerifiedReader, VerifyError};

/// The hash function of a [`Digest`]; image-spec `descriptor.md`, "Registered algorithms".
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Algorithm {
    /// SHA-256, which everybody uses.
    Sha256,
    /// SHA-512, which everybody has to read.
    Sha512,
}

impl Algorithm {
    /// Returns the name before the colon of a digest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Returns the number of hexadecimal digits of a digest.
    pub fn encoded_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha512]
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
    }
}

/// The digest of some content: `sha256:` and 64, or `sha512:` and 128 lower-case hexadecimal digits.
///
/// There is no value of another shape, so a digest may become a file name or a part of a URL.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest {
    text: Box<str>,
}

/// What is wrong with a text that should be a digest.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DigestError {
    /// There is no colon, or nothing on one side of it.
    #[error("digest `{text}` is not of the form `algorithm:digits`")]
    Format {
        /// The text that was parsed.
        text: String,
    },
    /// The algorithm is not one that careen can verify.
    #[error("digest `{text}` has the unsupported algorithm `{algorithm}`")]
    Algorithm {
        /// The text that was parsed.
        text: String,
        /// The part before the colon.
        algorithm: String,
    },
    /// There are too few or too many digits.
    #[error("digest `{text}` has {found} digits where {} has {expected}", algorithm.as_str())]
    Length {
        /// The text that was parsed.
        text: String,
        /// The algorithm that sets the length.
        algorithm: Algorithm,
        /// The digits that it has.
        expected: usize,
        /// The bytes that were found after the colon.
        found: usize,
    },
    /// A character is not one of `0` to `9` and `a` to `f`.
    #[error("digest `{text}` has a character that is not a lower-case hexadecimal digit")]
    Digit {
        /// The text that was parsed.
        text: String,
    },
}

impl Digest {
    /// Returns the SHA-256 digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(bytes);
        hasher.finish()
    }

    /// Parses a digest.
    ///
    /// # Errors
    ///
    /// Fails when the text has another shape, an algorithm other than `sha256` and `sha512`, or digits
    /// that are not as many, or not as lower-case, as the algorithm asks for.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let (name, encoded) = text
            .split_once(':')
            .filter(|(name, encoded)| !name.is_empty() && !encoded.is_empty())
            .ok_or_else(|| DigestError::Format {
                text: text.to_owned(),
            })?;
        let algorithm = Algorithm::from_name(name).ok_or_else(|| DigestError::Algorithm {
            text: text.to_owned(),
            algorithm: name.to_owned(),
        })?;
        let (expected, found) = (algorithm.encoded_len(), encoded.len());
        if found != expected {
            return Err(DigestError::Length {
                text: text.to_owned(),
                algorithm,
                expected,
                found,
            });
        }
        if !encoded
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Err(DigestError::Digit {
                text: text.to_owned(),
            });
        }
        Ok(Self { text: text.into() })
    }

    /// Returns the whole text, `sha256:…`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the hash function.
    pub fn algorithm(&self) -> Algorithm {
        if self.text.starts_with("sha512:") {
            Algorithm::Sha512
        } else {
            Algorithm::Sha256
        }
    }

    /// Returns the digits after the colon.
    pub fn encoded(&self) -> &str {
        self.text.split_once(':').map_or("", |(_, encoded)| encoded)
    }

    /// Returns the digest that these bytes are the SHA-256 of something.
    pub fn from_sha256(hash: &[u8; 32]) -> Self {
        Self::from_hash(Algorithm::Sha256, hash)
    }

    /// Returns the bytes of a SHA-256 digest; none of another one.
    pub fn to_sha256(&self) -> Option<[u8; 32]> {
        let digits = self.text.strip_prefix("sha256:")?.as_bytes();
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_value(pair[0]) << 4 | hex_value(pair[1]);
        }
        Some(hash)
    }

    fn from_hash(algorithm: Algorithm, hash: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(algorithm.as_str().len() + 1 + hash.len() * 2);
        text.push_str(algorithm.as_str());
        text.push(':');
        for byte in hash {
            for value in [byte >> 4, byte & 0xf] {
                text.push(char::from(DIGITS[usize::from(value)]));
            }
        }
        Self { text: text.into() }
    }
}

/// Returns the value of one of the digits `0` to `9` and `a` to `f`, which no digest has others of.
fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => digit.wrapping_sub(b'a').wrapping_add(10),
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        Self::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.text.into()
    }
}

/// The digest of a layer's uncompressed tar; image-spec `config.md`, "Layer `DiffID`".
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct DiffId(Digest);

impl DiffId {
    /// Takes a digest that is known to be of an uncompressed layer.
    pub fn new(digest: Digest) -> Self {
        Self(digest)
    }

    /// Returns the digest.
    pub fn digest(&self) -> &Digest {
        &self.0
    }
}

impl fmt::Display for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for DiffId {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Digest::parse(text).map(Self)
    }
}

/// The digest of a stack of layers; image-spec `config.md`, "Layer `ChainID`".
///
/// A layer means what its tar says *over the layers below*; the chain id names both.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct ChainId(Digest);

impl ChainId {
    /// Returns the id of the whole stack, bottom layer first; of no layers there is none.
    pub fn of(diff_ids: &[DiffId]) -> Option<Self> {
        diff_ids.iter().fold(None, |below, diff_id| {
            Some(Self::extend(below.as_ref(), diff_id))
        })
    }

    /// Returns the id of the stack that one more layer makes of `below`.
    pub fn extend(below: Option<&Self>, diff_id: &DiffId) -> Self {
        match below {
            None => Self(diff_id.0.clone()),
            Some(below) => Self(Digest::of(format!("{below} {diff_id}").as_bytes())),
        }
    }

    /// Returns the digest.
    pub fn digest(&self) -> &Digest {
        &self.0
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ChainId {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Digest::parse(text).map(Self)
    }
}

#[cfg(test)]
mod tests;
