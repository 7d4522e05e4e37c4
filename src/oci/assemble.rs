//! A base's configuration, new steps and layers → configuration, manifest and index.
//!
//! The bytes are a function of what is given, so that two builds of the same thing have the same
//! digest. The history is made to fit the layers as BuildKit's exporter does it, since bases with none,
//! or with a wrong one, are common.

use std::collections::BTreeMap;

use crate::config::{History, ImageConfig};
use crate::descriptor::{
    Descriptor, descriptor, new_index, new_manifest, to_canonical_json, with_annotations,
    with_platform,
};
use crate::digest::{DiffId, Digest};
use crate::media_type::{Flavour, layer_in_flavour};
use crate::platform::Platform;
use crate::time::Timestamp;

mod history;

/// Fields of a base's configuration that describe the base's own build, and would be untrue of an image
/// made from it.
const FIELDS_OF_ONE_BUILD: [&str; 2] = ["moby.buildkit.buildinfo.v1", "moby.buildkit.cache.v0"];

/// A layer as it is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LayerDescriptor {
    /// The digest of the stored, perhaps compressed, bytes.
    pub digest: Digest,
    /// The number of those bytes.
    pub size_bytes: u64,
    /// The media type, which says how they are compressed.
    pub media_type: String,
    /// The digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// What else the descriptor says.
    pub annotations: BTreeMap<String, String>,
}

/// A document and its name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Blob {
    /// The digest of the bytes.
    pub digest: Digest,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The media type.
    pub media_type: String,
}

impl Blob {
    /// Names some bytes.
    pub fn new(bytes: Vec<u8>, media_type: &str) -> Self {
        Self {
            digest: Digest::of(&bytes),
            bytes,
            media_type: media_type.to_owned(),
        }
    }

    /// Returns the number of bytes.
    pub fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Returns a descriptor of it.
    pub fn descriptor(&self) -> Descriptor {
        descriptor(&self.media_type, &self.digest, self.size_bytes())
    }
}

/// What an image is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageParts {
    /// The configuration: the base's, or [`ImageConfig::new`], with its `config` changed as the steps
    /// say. Its history and layers are still those of the base.
    pub config: ImageConfig,
    /// The platform of the image.
    pub platform: Platform,
    /// The new steps, the first one first. One without a time gets [`ImageParts::created`].
    pub history: Vec<History>,
    /// All layers, those of the base first.
    pub layers: Vec<LayerDescriptor>,
    /// When the image was made; without it, the time of the last step that has one.
    pub created: Option<Timestamp>,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// Whose media types the documents and layers have.
    pub flavour: Flavour,
    /// Whether the image tells how it was made.
    pub detail: HistoryDetail,
}

/// Whether an image tells how it was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HistoryDetail {
    /// It has the history of its base and of its own steps.
    #[default]
    Full,
    /// It has no history (`--omit-history`).
    Omitted,
}

/// An image for one platform, ready to be written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AssembledImage {
    /// The configuration.
    pub config: Blob,
    /// The manifest.
    pub manifest: Blob,
    /// The platform, normalized; the same as in the configuration.
    pub platform: Platform,
}

impl AssembledImage {
    /// Returns the descriptor of the manifest with the platform, as it stands in an index.
    pub fn descriptor(&self) -> Descriptor {
        with_platform(self.manifest.descriptor(), &self.platform)
    }
}

/// Why an image cannot be assembled.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AssembleError {
    /// The layers do not begin with those of the base.
    #[error(
        "cannot put the image together: layer {index} should be the base's `{expected}`, not {}",
        found.as_ref().map_or_else(|| "missing".to_owned(), |found| format!("`{found}`"))
    )]
    BaseLayer {
        /// The number of the layer, from 0.
        index: usize,
        /// What the base's configuration says.
        expected: DiffId,
        /// What was given, if anything.
        found: Option<DiffId>,
    },
    /// The platform says no operating system or no architecture.
    #[error("cannot put the image together: the platform `{platform}` is not complete")]
    Platform {
        /// The platform.
        platform: Platform,
    },
}

/// Makes the configuration and the manifest of an image for one platform.
///
/// # Errors
///
/// Fails when the layers do not begin with those of the base's configuration, and when the platform has
/// no operating system or no architecture.
pub fn assemble_image(parts: ImageParts) -> Result<AssembledImage, AssembleError> {
    if parts.platform.os.is_empty() || parts.platform.architecture.is_empty() {
        return Err(AssembleError::Platform {
            platform: parts.platform,
        });
    }
    check_base_layers(&parts.config.rootfs.diff_ids, &parts.layers)?;
    let ImageParts {
        config,
        platform,
        history,
        layers,
        created,
        annotations,
        flavour,
        detail,
    } = parts;
    let mut config = complete_config(config, &platform, (history, created), &layers);
    if detail == HistoryDetail::Omitted {
        config.history.clear();
    }
    let platform = config.platform();
    let config = Blob::new(config.to_bytes(), flavour.config());
    let layers = layers.iter().map(|layer| layer_descriptor(layer, flavour));
    let mut manifest = new_manifest(config.descriptor(), layers.collect());
    manifest.set_media_type(Some(flavour.manifest().into()));
    manifest.set_annotations(some_annotations(&annotations));
    let manifest = Blob::new(to_canonical_json(&manifest), flavour.manifest());
    Ok(AssembledImage {
        config,
        manifest,
        platform,
    })
}

/// Makes the index of some manifests, in their order.
pub fn assemble_index(
    manifests: Vec<Descriptor>,
    annotations: &BTreeMap<String, String>,
    flavour: Flavour,
) -> Blob {
    let mut index = new_index(manifests);
    index.set_media_type(Some(flavour.index().into()));
    index.set_annotations(some_annotations(annotations));
    Blob::new(to_canonical_json(&index), flavour.index())
}

fn check_base_layers(base: &[DiffId], layers: &[LayerDescriptor]) -> Result<(), AssembleError> {
    for (index, expected) in base.iter().enumerate() {
        let found = layers.get(index).map(|layer| &layer.diff_id);
        if found != Some(expected) {
            let (expected, found) = (expected.clone(), found.cloned());
            return Err(AssembleError::BaseLayer {
                index,
                expected,
                found,
            });
        }
    }
    Ok(())
}

/// Fills in what the steps and the layers say.
fn complete_config(
    mut config: ImageConfig,
    platform: &Platform,
    (steps, created): (Vec<History>, Option<Timestamp>),
    layers: &[LayerDescriptor],
) -> ImageConfig {
    config.set_platform(platform);
    let base_layers = config.rootfs.diff_ids.len();
    config.history = history::fit(std::mem::take(&mut config.history), base_layers, None);
    config
        .history
        .extend(history::fit(steps, layers.len() - base_layers, created));
    config.created = created.or_else(|| config.history.iter().rev().find_map(|step| step.created));
    config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
    for field in FIELDS_OF_ONE_BUILD {
        config.extra.remove(field);
    }
    config
}

fn layer_descriptor(layer: &LayerDescriptor, flavour: Flavour) -> Descriptor {
    let media_type = layer_in_flavour(&layer.media_type, flavour);
    let plain = descriptor(&media_type, &layer.digest, layer.size_bytes);
    with_annotations(plain, &layer.annotations)
}

/// Returns annotations in the type that `oci-spec` wants, or none.
fn some_annotations<T: FromIterator<(String, String)>>(
    annotations: &BTreeMap<String, String>,
) -> Option<T> {
    (!annotations.is_empty()).then(|| annotations.clone().into_iter().collect())
}

#[cfg(test)]
mod tests;
