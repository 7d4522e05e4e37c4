//! Text → [`Platform`].

use std::fmt::Write as _;

use super::Platform;
use super::names::{is_known_architecture, is_known_os, normal_architecture, normal_os};

/// What is wrong with a text that should be a platform.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PlatformError {
    /// There are more than three parts, or none.
    #[error("platform `{text}` is not of the form os/architecture/variant")]
    Format {
        /// The text that was parsed.
        text: String,
    },
    /// A part is empty or has a character that no platform has.
    #[error("platform `{text}` has the invalid part `{part}`")]
    Part {
        /// The text that was parsed.
        text: String,
        /// The part of it that is wrong.
        part: String,
    },
    /// The version or a feature of the operating system is not well percent-encoded.
    #[error("platform `{text}` has `{option}`, which is not percent-encoded UTF-8")]
    Encoding {
        /// The text that was parsed.
        text: String,
        /// The version or feature.
        option: String,
    },
    /// A lone word is neither an operating system nor an architecture.
    #[error("platform `{text}` is neither a known operating system nor a known architecture")]
    Unknown {
        /// The text that was parsed.
        text: String,
    },
}

impl Platform {
    /// Parses `os`, `architecture`, `os/architecture` or `os/architecture/variant`.
    ///
    /// What a lone word leaves out is taken from `host`. Names are normalized (`x86_64` is `amd64`),
    /// but a variant that was written stays, even where it goes without saying.
    ///
    /// # Errors
    ///
    /// Fails when the text has another form, or is a lone word that is not known.
    pub fn parse(text: &str, host: &Self) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        let (first, rest) = match parts.as_slice() {
            [first, rest @ ..] if rest.len() < 3 => (*first, rest),
            _ => {
                return Err(PlatformError::Format {
                    text: text.to_owned(),
                });
            }
        };
        let platform = parse_os(text, first)?;
        for part in rest {
            check_part(text, part)?;
        }
        match rest {
            [architecture, variant, ..] => Ok(platform.with_full(architecture, variant)),
            [architecture] => Ok(platform.with_architecture(architecture)),
            [] => platform.complete(text, host),
        }
    }

    /// Takes an architecture and a variant that were both written.
    fn with_full(mut self, architecture: &str, variant: &str) -> Self {
        let (architecture, variant) = normal_architecture(architecture, variant);
        self.variant = match (architecture.as_str(), variant.as_str()) {
            // Who writes `arm64/v8` gets `arm64/v8` back.
            ("arm64", "") => Some("v8".to_owned()),
            (_, "") => None,
            _ => Some(variant),
        };
        self.architecture = architecture;
        self
    }

    /// Takes an architecture that was written without a variant.
    fn with_architecture(mut self, architecture: &str) -> Self {
        let (architecture, variant) = normal_architecture(architecture, "");
        self.variant = match (architecture.as_str(), variant.as_str()) {
            (_, "") | ("arm", "v7") => None,
            _ => Some(variant),
        };
        self.architecture = architecture;
        self
    }

    /// Completes a lone word, which was taken for an operating system so far.
    fn complete(mut self, text: &str, host: &Self) -> Result<Self, PlatformError> {
        if is_known_os(&self.os) {
            let host = host.normalized();
            if host.architecture == "arm" {
                self.variant = host.variant.filter(|variant| variant != "v7");
            }
            self.architecture = host.architecture;
            return Ok(self);
        }
        let platform = Self::new(&normal_os(&host.os), "").with_architecture(text);
        if is_known_architecture(&platform.architecture) {
            return Ok(platform);
        }
        Err(PlatformError::Unknown {
            text: text.to_owned(),
        })
    }
}

/// Parses `os`, `os(version)`, `os(version+feature…)`; the rest is left empty.
fn parse_os(text: &str, part: &str) -> Result<Platform, PlatformError> {
    let invalid = || PlatformError::Part {
        text: text.to_owned(),
        part: part.to_owned(),
    };
    let (name, options) = match part.split_once('(') {
        None => (part, None),
        Some((name, rest)) => (name, Some(rest.strip_suffix(')').ok_or_else(invalid)?)),
    };
    if name.is_empty() || !name.bytes().all(is_word) {
        return Err(invalid());
    }
    let mut platform = Platform::new(&normal_os(name), "");
    let mut options = options.unwrap_or_default().split('+');
    if let Some(version) = options.next().filter(|version| !version.is_empty()) {
        platform.os_version = Some(decode_option(text, version).ok_or_else(invalid)??);
    }
    for feature in options {
        let feature = Some(feature)
            .filter(|feature| !feature.is_empty())
            .ok_or_else(invalid)?;
        platform
            .os_features
            .push(decode_option(text, feature).ok_or_else(invalid)??);
    }
    Ok(platform)
}

fn check_part(text: &str, part: &str) -> Result<(), PlatformError> {
    if !part.is_empty() && part.bytes().all(is_plain) {
        return Ok(());
    }
    Err(PlatformError::Part {
        text: text.to_owned(),
        part: part.to_owned(),
    })
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Tells whether a byte of a version or feature is written as it is; every other one is percent-encoded.
fn is_plain(byte: u8) -> bool {
    is_word(byte) || byte == b'.'
}

/// Decodes a version or feature; nothing when it has a character that may not stand there.
fn decode_option(text: &str, option: &str) -> Option<Result<String, PlatformError>> {
    if !option.bytes().all(|byte| is_plain(byte) || byte == b'%') {
        return None;
    }
    let wrong = || PlatformError::Encoding {
        text: text.to_owned(),
        option: option.to_owned(),
    };
    Some(percent_decode(option).ok_or_else(wrong))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// Writes a version or feature so that it is read as the same.
pub(super) fn encode_option(option: &str) -> String {
    let mut encoded = String::with_capacity(option.len());
    for byte in option.bytes() {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes what is written");
        }
    }
    encoded
}
