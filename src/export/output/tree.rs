//! What trees are like: how the files of several platforms stand beside each other, and their times.

use layer::Times;

use super::OutputError;
use super::attribute::Attribute;

/// The attributes of trees.
pub(super) const KEYS: &[&str] = &["attestation-prefix", "platform-split", "source-date-epoch"];

/// What a tree is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TreeOptions {
    /// How platforms stand beside each other.
    pub split: PlatformSplit,
    /// Which times files have.
    pub times: Times,
}

/// How platforms stand beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlatformSplit {
    /// In a directory each, if there are several.
    #[default]
    IfSeveral,
    /// In a directory each.
    Always,
    /// In one tree; they must not have the same files.
    Never,
}

/// What happens to what is in a directory already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalMode {
    /// It stays, unless the result has something in its place.
    Copy,
    /// It goes, if the result does not have it.
    Delete,
}

impl LocalMode {
    pub(super) fn parse(attribute: &Attribute<'_>) -> Result<Self, OutputError> {
        match attribute.value.as_str() {
            "copy" => Ok(Self::Copy),
            "delete" => Ok(Self::Delete),
            _ => Err(attribute.wrong("`copy` or `delete`")),
        }
    }
}

impl TreeOptions {
    /// Reads an attribute; tells whether trees have it.
    pub(super) fn set(&mut self, attribute: &Attribute<'_>) -> Result<bool, OutputError> {
        match attribute.key.as_str() {
            "platform-split" => {
                self.split = if attribute.boolean()? {
                    PlatformSplit::Always
                } else {
                    PlatformSplit::Never
                };
            }
            "source-date-epoch" => self.times = Times::All(attribute.time()?),
            // It says how attestations are called, of which there are none yet.
            "attestation-prefix" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }
}
