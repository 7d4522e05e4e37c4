//! Names of builders: they are names of files, too.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use serde::{Deserialize, Serialize};

/// The name of the builder that is always there.
const DEFAULT: &str = "default";

/// What docker's installations call the engine of the machine.
const LOCAL: [&str; 3] = [DEFAULT, "desktop-linux", "rootless"];

/// No name is longer, in bytes: with what is added to it, it has to be the name of a file.
const LIMIT_BYTES: usize = 128;

/// What is no name of a builder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    /// Other characters.
    #[error("`{text}` is no name of a builder: a letter, then letters, digits, `.`, `_` and `-`")]
    Malformed { text: String },
    /// It is longer than a file's may be.
    #[error("a builder's name has at most {LIMIT_BYTES} bytes")]
    TooLong,
}

/// The name of a builder that was made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct BuilderName(String);

impl BuilderName {
    /// Reads a name, as buildx does: capitals are made small.
    ///
    /// # Errors
    ///
    /// Fails on what is none.
    pub(crate) fn parse(text: &str) -> Result<Self, NameError> {
        if text.len() > LIMIT_BYTES {
            return Err(NameError::TooLong);
        }
        let mut characters = text.chars();
        let begins = characters.next().is_some_and(|c| c.is_ascii_alphabetic());
        let goes_on = characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        if begins && goes_on {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(NameError::Malformed {
                text: text.to_owned(),
            })
        }
    }

    /// Returns the name of the builder that is always there.
    pub(crate) fn of_default() -> Self {
        Self(DEFAULT.to_owned())
    }

    /// Tells whether it means this machine, whatever was made.
    pub(crate) fn is_local_engine(&self) -> bool {
        LOCAL.contains(&self.0.as_str())
    }

    /// Returns the text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BuilderName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for BuilderName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<BuilderName> for String {
    fn from(name: BuilderName) -> Self {
        name.0
    }
}

const QUALITIES: [&str; 16] = [
    "calm", "brisk", "clear", "deep", "early", "even", "fair", "fresh", "grey", "high", "keen",
    "light", "quiet", "steady", "warm", "wide",
];
const THINGS: [&str; 16] = [
    "anchor", "beam", "bollard", "bow", "cleat", "dock", "fender", "halyard", "hull", "keel",
    "mast", "oar", "plank", "rudder", "sail", "stern",
];

/// Makes a name up that none of `taken` is.
pub(crate) fn made_up(taken: &[BuilderName]) -> BuilderName {
    let keys = RandomState::new();
    // Behind the first attempts each has a number of its own, so one more than there are names finds a free one.
    let attempts = ATTEMPTS_WITHOUT_NUMBER + taken.len() as u64;
    (0..=attempts)
        .map(|attempt| numbered(keys.hash_one(attempt), attempt))
        .find(|name| !taken.contains(name))
        .expect("there are more attempts with numbers of their own than names")
}

/// How many names are tried that have no number.
const ATTEMPTS_WITHOUT_NUMBER: u64 = 16;

/// Makes the name for a random number. After some attempts it has a number of its own.
fn numbered(random: u64, attempt: u64) -> BuilderName {
    let pick = |words: [&'static str; 16], bits: u64| {
        let index = usize::try_from(bits % 16).unwrap_or_default();
        words.get(index).copied().unwrap_or_default()
    };
    let (quality, thing) = (pick(QUALITIES, random), pick(THINGS, random >> 32));
    BuilderName(match attempt {
        ..ATTEMPTS_WITHOUT_NUMBER => format!("{quality}_{thing}"),
        _ => format!("{quality}_{thing}{attempt}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_buildx_takes_them() {
        let long = "a".repeat(129);
        let table = [
            ("mybuilder", Some("mybuilder")),
            ("Multi-arch_builder.2", Some("multi-arch_builder.2")),
            ("", None),
            ("2fast", None),
            ("../x", None),
            ("a/b", None),
            ("a b", None),
            (&long, None),
        ];
        for (text, expected) in table {
            let found = BuilderName::parse(text).ok();
            assert_eq!(found.as_ref().map(BuilderName::as_str), expected, "{text}");
        }
    }

    #[test]
    fn a_name_that_is_made_up_is_a_new_one() {
        let mut taken = Vec::new();
        for _ in 0..300 {
            let name = made_up(&taken);
            assert_eq!(BuilderName::parse(name.as_str()).as_ref(), Ok(&name));
            assert!(!taken.contains(&name));
            taken.push(name);
        }
    }
}
