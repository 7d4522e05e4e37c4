//! Names: of a build, and of what builds have in common that build the same.

use std::fmt;

use oci::Digest;
use serde::{Deserialize, Serialize};
use store::{NameError, SnapshotId};

use super::Built;

/// How many digits the name of a build has, as buildx' have.
const ID_DIGITS: usize = 25;

/// How many digits tell what was built.
const LINEAGE_DIGITS: usize = 16;

/// What stands before the name of a build where docker has a builder and its node.
const PREFIX: &str = "careen/local/";

/// The name of a build, which no other has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct BuildId(String);

impl BuildId {
    /// Makes one up.
    ///
    /// # Errors
    ///
    /// Fails when the machine gives no random numbers.
    pub(crate) fn random() -> Result<Self, NameError> {
        let random = SnapshotId::random("build")?;
        Ok(Self(digits(random.as_str(), ID_DIGITS)))
    }

    /// Reads what stands in the name of a file; none if it cannot be that.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_it = text.len() == ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_it.then(|| Self(text.to_owned()))
    }

    /// Returns it with what docker has before it: `builder/node/id`.
    pub(crate) fn reference(&self) -> String {
        format!("{PREFIX}{self}")
    }

    /// Tells whether somebody means it: with whatever stands before it, and with its first digits.
    pub(crate) fn is_meant(&self, text: &str) -> bool {
        let text = text.rsplit('/').next().unwrap_or_default();
        !text.is_empty() && self.0.starts_with(text)
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What builds of the same Dockerfile for the same target have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lineage(String);

impl Lineage {
    /// Makes it of where the context and the Dockerfile are, and of what is built for which platforms.
    pub(crate) fn of(built: &Built) -> Self {
        let Built {
            context,
            dockerfile,
            target,
            platforms,
            ..
        } = built;
        let target = target.as_deref().unwrap_or_default();
        let platforms = platforms.join(",");
        let text = format!("{context}\0{dockerfile}\0{target}\0{platforms}");
        Self(digits(&text, LINEAGE_DIGITS))
    }

    /// Reads what stands in the name of a file.
    pub(super) fn parse(text: &str) -> Option<Self> {
        (text.len() == LINEAGE_DIGITS).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn digits(text: &str, count: usize) -> String {
    let digest = Digest::of(text.as_bytes());
    digest.encoded().chars().take(count).collect()
}
