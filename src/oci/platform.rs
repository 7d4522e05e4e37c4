//! Platforms: `linux/arm64/v8`, what they are called, and which of them can run which image.
//!
//! The words and rules are those of `containerd/platforms`, which every other builder uses:
//!
//! ```text
//! platform   := os [ "(" [ version ] { "+" feature } ")" ] [ "/" architecture [ "/" variant ] ]
//!             | architecture
//! ```
//!
//! What is left out comes from a platform that the caller gives, usually the host's: nothing here asks
//! the machine. In versions and features every byte is percent-encoded that is no letter, digit, `.`, `-` or `_`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::json::{empty_is_none, null_is_default};

mod matching;
mod names;
mod parse;

pub use matching::Preference;
pub use parse::PlatformError;

/// What an image runs on, in the shape of a descriptor's `platform`; image-spec `image-index.md`.
///
/// Values are kept as they were written; [`Platform::normalized`] gives the one name of each thing.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Platform {
    /// The CPU architecture, in the words of Go's `GOARCH`.
    pub architecture: String,
    /// The operating system, in the words of Go's `GOOS`.
    pub os: String,
    /// The version of the operating system; Windows has them.
    #[serde(
        rename = "os.version",
        default,
        deserialize_with = "empty_is_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    /// Features that the operating system must have.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// The variant of the architecture, such as `v7` of `arm`.
    #[serde(
        default,
        deserialize_with = "empty_is_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub variant: Option<String>,
}

impl Platform {
    /// Returns a platform without variant, version and features.
    pub fn new(os: &str, architecture: &str) -> Self {
        Self {
            architecture: architecture.to_owned(),
            os: os.to_owned(),
            os_version: None,
            os_features: Vec::new(),
            variant: None,
        }
    }

    /// Returns the same platform with a variant.
    #[must_use]
    pub fn with_variant(mut self, variant: &str) -> Self {
        self.variant = Some(variant.to_owned());
        self
    }

    /// Says whether it is Windows, whose programs do not run here.
    pub fn is_windows(&self) -> bool {
        self.os.eq_ignore_ascii_case("windows")
    }

    /// Says whether it is the `unknown/unknown` that stands for attestations in an index.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }

    /// Returns the text with the version and features of the operating system:
    /// `windows(10.0.17763+win32k)/amd64`. It is [read](Self::parse) as the same platform.
    pub fn format_all(&self) -> String {
        let mut options = parse::encode_option(self.os_version.as_deref().unwrap_or_default());
        let mut features: Vec<&str> = self.os_features.iter().map(String::as_str).collect();
        features.sort_unstable();
        features.dedup();
        features.retain(|feature| !feature.is_empty());
        for feature in features {
            options.push('+');
            options.push_str(&parse::encode_option(feature));
        }
        if options.is_empty() {
            return self.to_string();
        }
        self.join(&format!("{}({options})", self.os))
    }

    /// Joins the parts that are there with slashes; `os` may carry options.
    fn join(&self, os: &str) -> String {
        if self.os.is_empty() {
            return "unknown".to_owned();
        }
        let mut text = os.to_owned();
        for part in [Some(self.architecture.as_str()), self.variant.as_deref()]
            .into_iter()
            .flatten()
        {
            if !part.is_empty() {
                text.push('/');
                text.push_str(part);
            }
        }
        text
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.join(&self.os))
    }
}

#[cfg(test)]
mod tests;
