//! The document that says which key led to which layer: [`CacheConfig`].
//!
//! ```text
//! index                                    one reference, one entry a platform that is built for
//! └── manifest                             linux/amd64, artifactType CONFIG_MEDIA_TYPE
//!     ├── config   CacheConfig             this document
//!     └── layers   blobs of layers         those that the document names, in its order
//! ```
//!
//! An entry is for the platform of the *target*, and has the records of everything that the target was made from: a
//! stage that runs on another platform is in it too. So machines that each build one platform write one entry each.
//!
//! The reader trusts nothing: numbers have bounds, a record names a layer of the same document, and a document names
//! no layer that its manifest does not have. What a blob is worth is verified by whoever reads it.

use std::collections::BTreeSet;

use graph::CacheKey;
use layer::Times;
use oci::descriptor::descriptor;
use oci::{Descriptor, DiffId, Digest, Timestamp};
use serde::{Deserialize, Serialize};
use solver::LayerBlob;

use crate::limits::{CONFIG_MAX_BYTES, LAYER_MAX_BYTES, LAYERS_MAX, RECORDS_MAX};
use crate::mount::CachedMount;

/// The media type of a [`CacheConfig`].
pub const CONFIG_MEDIA_TYPE: &str = "application/vnd.careen.cache.config.v1+json";

/// The number of the format. A change that older programs would misread raises it.
pub const FORMAT: u32 = 1;

/// What a cache knows of one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheConfig {
    /// The number of the format.
    pub format: u32,
    /// The program that wrote it, for people.
    pub program: String,
    /// The platform that was built for, for people: the index says it too.
    pub platform: String,
    /// The layers.
    pub layers: Vec<CacheLayer>,
    /// What keys led to.
    pub records: Vec<CacheRecord>,
    /// What definitions of copies led to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<CacheAlias>,
    /// What cache mounts held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<CachedMount>,
}

/// A layer of a cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheLayer {
    /// The digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// The digest of the blob.
    pub digest: Digest,
    /// The size of the blob, in bytes.
    pub size: u64,
    /// The media type of the blob.
    pub media_type: String,
    /// What was done to the times of its files.
    #[serde(default, skip_serializing_if = "PackedTimes::are_kept")]
    pub times: PackedTimes,
}

/// What was done to the times of files: [`Times`], written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackedTimes {
    /// Nothing.
    #[default]
    Kept,
    /// None is later than this.
    NotAfter(Timestamp),
    /// All are this.
    All(Timestamp),
}

impl PackedTimes {
    fn are_kept(&self) -> bool {
        *self == Self::Kept
    }
}

impl From<Times> for PackedTimes {
    fn from(times: Times) -> Self {
        match times {
            Times::Kept => Self::Kept,
            Times::NotAfter(time) => Self::NotAfter(time),
            Times::All(time) => Self::All(time),
        }
    }
}

impl From<PackedTimes> for Times {
    fn from(times: PackedTimes) -> Self {
        match times {
            PackedTimes::Kept => Self::Kept,
            PackedTimes::NotAfter(time) => Self::NotAfter(time),
            PackedTimes::All(time) => Self::All(time),
        }
    }
}

impl CacheLayer {
    /// Describes a blob.
    pub fn new(blob: &LayerBlob, times: Times) -> Self {
        Self {
            diff_id: blob.diff_id.clone(),
            digest: blob.digest.clone(),
            size: blob.size_bytes,
            media_type: blob.media_type.clone(),
            times: times.into(),
        }
    }

    /// Returns the blob.
    pub fn blob(&self) -> LayerBlob {
        LayerBlob {
            diff_id: self.diff_id.clone(),
            digest: self.digest.clone(),
            size_bytes: self.size,
            media_type: self.media_type.clone(),
        }
    }

    /// Returns the descriptor of the blob.
    pub fn descriptor(&self) -> Descriptor {
        descriptor(&self.media_type, &self.digest, self.size)
    }
}

/// What a key led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheRecord {
    /// The key.
    pub key: CacheKey,
    /// Which of the layers.
    pub layer: usize,
    /// When it was made, as images tell it.
    pub created: Timestamp,
    /// When it was made.
    pub made: Timestamp,
    /// On which day a build had it last.
    pub used: Timestamp,
    /// The results of commands that it stood on ([`solver::digest_of_commands`]); none if there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Digest>,
    /// The key of an earlier result that is the same, by which what stands on it is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<CacheKey>,
}

/// What the definition of a copy led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheAlias {
    /// The key of the definition.
    pub definition: CacheKey,
    /// The key of the content.
    pub content: CacheKey,
}

/// A document is no configuration of a cache.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is no such JSON.
    #[error("cannot read the configuration of the cache")]
    Json(#[from] serde_json::Error),
    /// It is of another format.
    #[error("the cache has the format {found}, and this program reads {FORMAT}")]
    Format {
        /// Its format.
        found: u64,
    },
    /// There is too much of something.
    #[error("the cache has {found} {what}, more than {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// How much there may be.
        limit: u64,
    },
    /// A record names no layer.
    #[error("a record of the cache names the layer {layer}, and there are {count}")]
    NoLayer {
        /// The layer.
        layer: usize,
        /// How many there are.
        count: usize,
    },
    /// A cache mount names no layer.
    #[error("the cache mount `{id}` of the cache names the layer {layer}, and there are {count}")]
    NoMountLayer {
        /// The mount.
        id: String,
        /// The layer.
        layer: usize,
        /// How many there are.
        count: usize,
    },
    /// A layer is not one of the manifest's.
    #[error("the cache names the layer `{digest}`, which its manifest does not have")]
    NotInManifest {
        /// The blob.
        digest: Digest,
    },
}

/// The one field that documents of all formats have.
#[derive(Deserialize)]
struct AnyFormat {
    format: u64,
}

impl CacheConfig {
    /// Makes a document without records.
    pub fn new(platform: &oci::Platform) -> Self {
        Self {
            format: FORMAT,
            program: concat!("careen ", env!("CARGO_PKG_VERSION")).to_owned(),
            platform: platform.format_all(),
            layers: Vec::new(),
            records: Vec::new(),
            aliases: Vec::new(),
            mounts: Vec::new(),
        }
    }

    /// Reads a document.
    ///
    /// # Errors
    ///
    /// Fails when it is malformed, of another format, or beyond a bound.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        check("bytes", bytes.len() as u64, CONFIG_MAX_BYTES)?;
        let AnyFormat { format } = serde_json::from_slice(bytes)?;
        if format != u64::from(FORMAT) {
            return Err(ConfigError::Format { found: format });
        }
        let config: Self = serde_json::from_slice(bytes)?;
        config.check()?;
        Ok(config)
    }

    /// Checks what the types do not say.
    ///
    /// # Errors
    ///
    /// Fails when it is beyond a bound, or a record names no layer.
    pub fn check(&self) -> Result<(), ConfigError> {
        check("layers", self.layers.len() as u64, LAYERS_MAX as u64)?;
        check("records", self.records.len() as u64, RECORDS_MAX as u64)?;
        check("aliases", self.aliases.len() as u64, RECORDS_MAX as u64)?;
        for layer in &self.layers {
            check("bytes in a layer", layer.size, LAYER_MAX_BYTES)?;
        }
        self.check_mounts()?;
        let count = self.layers.len();
        match self.records.iter().find(|record| record.layer >= count) {
            None => Ok(()),
            Some(CacheRecord { layer, .. }) => Err(ConfigError::NoLayer {
                layer: *layer,
                count,
            }),
        }
    }

    /// Checks that a manifest has all layers: what it does not name, a registry may have removed.
    ///
    /// # Errors
    ///
    /// Fails with the first one that it has not, or has with another size.
    pub fn check_manifest(&self, layers: &[Descriptor]) -> Result<(), ConfigError> {
        let named: BTreeSet<_> = layers
            .iter()
            .map(|layer| (layer.digest().to_string(), layer.size()))
            .collect();
        let is_missing =
            |layer: &&CacheLayer| !named.contains(&(layer.digest.to_string(), layer.size));
        match self.layers.iter().find(is_missing) {
            None => Ok(()),
            Some(CacheLayer { digest, .. }) => Err(ConfigError::NotInManifest {
                digest: digest.clone(),
            }),
        }
    }

    /// Returns the document as JSON; the same bytes for the same values.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Its keys are texts and its numbers finite: there is nothing that JSON could not hold.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Returns the place of a layer, which is added if it is not there.
    pub fn add_layer(&mut self, layer: CacheLayer) -> usize {
        let known = self.layers.iter();
        let mut known = known.map(|known| (&known.digest, &known.times));
        if let Some(at) = known.position(|known| known == (&layer.digest, &layer.times)) {
            return at;
        }
        self.layers.push(layer);
        self.layers.len() - 1
    }

    /// Removes what is said of a key a second time. A result that goes by its own key comes before one that is found by it.
    pub(crate) fn keep_first_records(&mut self) {
        let own = self
            .records
            .iter()
            .filter(|record| record.earlier.is_none());
        let own: BTreeSet<_> = own.map(|record| record.key.clone()).collect();
        let mut seen = BTreeSet::new();
        self.records.retain(|record| {
            let is_own = record.earlier.is_none();
            (is_own || !own.contains(&record.key)) && seen.insert(record.key.clone())
        });
    }

    /// Returns the blobs, each once.
    pub fn blobs(&self) -> Vec<Descriptor> {
        let mut seen = BTreeSet::new();
        let mut blobs = Vec::new();
        for layer in &self.layers {
            if seen.insert(&layer.digest) {
                blobs.push(layer.descriptor());
            }
        }
        blobs
    }
}

pub(crate) fn check(what: &'static str, found: u64, limit: u64) -> Result<(), ConfigError> {
    if found > limit {
        return Err(ConfigError::TooMany { what, found, limit });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
