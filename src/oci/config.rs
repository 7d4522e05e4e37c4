//! The configuration of an image; image-spec `config.md`, with the fields that Docker adds.
//!
//! The structures are ours because a base is read, changed and written again: Docker's fields
//! (`Healthcheck`, `OnBuild`, `Shell`) count, and what careen does not know of a base stays in it.
//! Reading forgives what Go's readers forgive (`null` for an empty list); writing leaves empty values
//! out as Go's `omitempty` does, and is the same for the same values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::DiffId;
use crate::json::{self, empty_is_none, is_false, null_is_default};
use crate::limits::CONFIG_MAX_BYTES;
use crate::platform::Platform;
use crate::time::Timestamp;

mod run;

pub use run::{Healthcheck, RunConfig};

/// The configuration of an image.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ImageConfig {
    /// The CPU architecture that the programs are for.
    pub architecture: String,
    /// Who made the image.
    #[serde(
        default,
        deserialize_with = "empty_is_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub author: Option<String>,
    /// How a container of the image is run.
    #[serde(default, deserialize_with = "null_is_default")]
    pub config: RunConfig,
    /// When the image was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// How the layers came about, the first one first.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub history: Vec<History>,
    /// The operating system that the programs are for.
    pub os: String,
    /// Features that the operating system must have.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// The version of the operating system.
    #[serde(
        rename = "os.version",
        default,
        deserialize_with = "empty_is_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    /// The layers.
    pub rootfs: RootFs,
    /// The variant of the architecture.
    #[serde(
        default,
        deserialize_with = "empty_is_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub variant: Option<String>,
    /// The fields that careen does not know.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// The layers of an image, named by their uncompressed content.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct RootFs {
    /// The kind of root file system, of which there is one.
    #[serde(rename = "type")]
    pub kind: RootFsKind,
    /// The layers, the bottom one first.
    #[serde(deserialize_with = "null_is_default")]
    pub diff_ids: Vec<DiffId>,
}

/// The kind of a root file system.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum RootFsKind {
    /// Change sets on top of each other.
    #[default]
    #[serde(rename = "layers")]
    Layers,
}

/// One step in the making of an image.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct History {
    /// When it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// The instruction.
    #[serde(
        default,
        deserialize_with = "empty_is_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub created_by: Option<String>,
    /// Who did it.
    #[serde(
        default,
        deserialize_with = "empty_is_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub author: Option<String>,
    /// A remark, such as the name of the frontend.
    #[serde(
        default,
        deserialize_with = "empty_is_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub comment: Option<String>,
    /// Whether it changed the configuration alone and made no layer.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_false"
    )]
    pub empty_layer: bool,
}

/// Why an image configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is larger than the limit.
    #[error("image configuration has {found_bytes} bytes, more than {CONFIG_MAX_BYTES}")]
    TooLarge {
        /// The size that was found.
        found_bytes: u64,
    },
    /// It is not the JSON of an image configuration.
    #[error("cannot read the image configuration")]
    Json {
        /// What the JSON reader found, and where.
        #[source]
        source: serde_json::Error,
    },
}

impl ImageConfig {
    /// Returns the configuration of an image of nothing, for the given platform.
    pub fn new(platform: &Platform) -> Self {
        let mut config = Self {
            architecture: String::new(),
            author: None,
            config: RunConfig::default(),
            created: None,
            history: Vec::new(),
            os: String::new(),
            os_features: Vec::new(),
            os_version: None,
            rootfs: RootFs::default(),
            variant: None,
            extra: BTreeMap::new(),
        };
        config.set_platform(platform);
        config
    }

    /// Parses an image configuration.
    ///
    /// # Errors
    ///
    /// Fails on more than 8 MiB, on text that is not JSON, on a known field of another type, on a field
    /// that is there twice, and when the architecture, the operating system or the layers are missing.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        let found_bytes = bytes.len() as u64;
        if found_bytes > CONFIG_MAX_BYTES {
            return Err(ConfigError::TooLarge { found_bytes });
        }
        serde_json::from_slice(bytes).map_err(|source| ConfigError::Json { source })
    }

    /// Returns the configuration as JSON; the same bytes for the same values.
    pub fn to_bytes(&self) -> Vec<u8> {
        json::to_vec(self)
    }

    /// Returns the platform, as it is written in the configuration.
    pub fn platform(&self) -> Platform {
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
            variant: self.variant.clone(),
        }
    }

    /// Sets the platform, normalized. A version and features that are there stay where the platform
    /// says nothing about them.
    pub fn set_platform(&mut self, platform: &Platform) {
        let platform = platform.normalized();
        self.architecture = platform.architecture;
        self.os = platform.os;
        self.variant = platform.variant;
        self.os_version = platform.os_version.or_else(|| self.os_version.take());
        if !platform.os_features.is_empty() {
            self.os_features = platform.os_features;
        }
    }
}

#[cfg(test)]
mod tests;
