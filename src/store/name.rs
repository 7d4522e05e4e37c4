//! Names that become file names of the store: [`SnapshotId`], [`IdMapName`], and [`ObjectId`] made
//! of them.
//!
//! A name is 1 to 160 of `a` to `z`, `0` to `9` and `-`, and begins with a letter or a digit. So it
//! is one path component, it is no hidden file, and it has one spelling.

use std::fmt;
use std::str::FromStr;

use oci::Digest;
use serde::{Deserialize, Serialize};

use crate::file;
use crate::limits::NAME_LIMIT_BYTES;

/// What is wrong with a text that should be a name of the store.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameError {
    /// There is no text.
    #[error("a name of the store is empty")]
    Empty,
    /// The text is longer than [`NAME_LIMIT_BYTES`].
    #[error("a name of the store has {found_bytes} bytes, more than {NAME_LIMIT_BYTES}")]
    Long {
        /// The length of the text.
        found_bytes: usize,
    },
    /// A character is not allowed where it stands.
    #[error("the name `{}` has a `{}` where none may be", text.escape_debug(), character.escape_debug())]
    Character {
        /// The text.
        text: String,
        /// The first character that may not be there.
        character: char,
    },
}

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > NAME_LIMIT_BYTES {
        return Err(NameError::Long {
            found_bytes: text.len(),
        });
    }
    let allowed = |(at, character): (usize, char)| {
        matches!(character, 'a'..='z' | '0'..='9') || (at > 0 && character == '-')
    };
    match text.char_indices().find(|&found| !allowed(found)) {
        None => Ok(()),
        Some((_, character)) => Err(NameError::Character {
            text: text.to_owned(),
            character,
        }),
    }
}

/// The name of a committed snapshot.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapshotId(Box<str>);

impl SnapshotId {
    /// Takes a text as the name of a snapshot.
    ///
    /// # Errors
    ///
    /// Fails when the text is no name, as the module says.
    pub fn new(text: &str) -> Result<Self, NameError> {
        check(text)?;
        Ok(Self(text.into()))
    }

    /// Returns the name of what a digest identifies: `PREFIX-DIGITS`. The prefix keeps apart what
    /// different kinds of digest (of a layer, of a stack, of a key) identify.
    ///
    /// # Errors
    ///
    /// Fails when the prefix is no name, or too long for one with the digits after it.
    pub fn from_digest(prefix: &str, digest: &Digest) -> Result<Self, NameError> {
        Self::new(&format!("{prefix}-{}", digest.encoded()))
    }

    /// Returns a name that nothing has: `PREFIX-RANDOM`, for what no digest identifies.
    ///
    /// # Errors
    ///
    /// Fails when the prefix is no name, or too long for one.
    pub fn random(prefix: &str) -> Result<Self, NameError> {
        Self::new(&format!("{prefix}-{}", file::random_name()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SnapshotId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl TryFrom<String> for SnapshotId {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<SnapshotId> for String {
    fn from(id: SnapshotId) -> Self {
        id.0.into()
    }
}

/// The name of the way in which owners are kept on disk: which ids of a container are which ids of
/// this machine, or that they are kept beside the files. A snapshot made in one way means something
/// else, or nothing, in another.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct IdMapName(Box<str>);

impl IdMapName {
    /// Takes a text as the name of an id map.
    ///
    /// # Errors
    ///
    /// Fails when the text is no name, as the module says.
    pub fn new(text: &str) -> Result<Self, NameError> {
        check(text)?;
        Ok(Self(text.into()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdMapName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An object of the store: what a lease keeps and what a removal removes.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ObjectId {
    /// A blob of the content store.
    Blob(Digest),
    /// A committed snapshot of the id map that the store was opened with.
    Snapshot(SnapshotId),
}

impl ObjectId {
    /// Returns the name that leases and claims know the object by; one line.
    pub(crate) fn text(&self, id_map: &IdMapName) -> String {
        match self {
            Self::Blob(digest) => format!("blob {digest}"),
            Self::Snapshot(id) => format!("snapshot {id_map}/{id}"),
        }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blob(digest) => write!(f, "blob `{digest}`"),
            Self::Snapshot(id) => write!(f, "snapshot `{id}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_path_component_with_one_spelling() {
        for text in [
            "a",
            "0",
            "layer-0f",
            "multi-1000-100000-65536",
            &"x".repeat(160),
        ] {
            assert_eq!(SnapshotId::new(text).unwrap().as_str(), text);
            assert_eq!(IdMapName::new(text).unwrap().as_str(), text);
        }
        let wrong = |text: &str, character| {
            Err(NameError::Character {
                text: text.to_owned(),
                character,
            })
        };
        for (text, expected) in [
            ("", Err(NameError::Empty)),
            ("-a", wrong("-a", '-')),
            ("..", wrong("..", '.')),
            ("a/b", wrong("a/b", '/')),
            ("A", wrong("A", 'A')),
            ("a_b", wrong("a_b", '_')),
            ("a\n", wrong("a\n", '\n')),
            ("\u{e9}", wrong("\u{e9}", '\u{e9}')),
            (&"x".repeat(161), Err(NameError::Long { found_bytes: 161 })),
        ] {
            assert_eq!(SnapshotId::new(text).map(drop), expected, "{text}");
            assert_eq!(IdMapName::new(text).map(drop), expected, "{text}");
        }
    }

    #[test]
    fn every_digest_fits_into_a_name() {
        let digest = Digest::parse(&format!("sha512:{}", "a".repeat(128))).unwrap();
        let id = SnapshotId::from_digest("chain", &digest).unwrap();
        assert_eq!(id.as_str(), format!("chain-{}", "a".repeat(128)));
    }

    #[test]
    fn a_control_character_is_not_printed_as_it_is() {
        let error = SnapshotId::new("a\u{1b}[2J").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the name `a\\u{1b}[2J` has a `\\u{1b}` where none may be"
        );
    }
}
