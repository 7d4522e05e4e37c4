//! Every invariant of an image, and the readers of its documents.
//!
//! What a stranger wrote is read with the `parse_…` functions, which have limits and refuse what two
//! programs could read differently. [`check_image`] follows an image from its root to its layers; exporters
//! in debug builds and every end-to-end test call it on what was written.
//!
//! ```text
//! root ─ index ──────────► index (at most 4 deep)
//!          └─► manifest ─► config      sizes and digests of all of them
//!                  └─────► layers      as many as diff ids, and as entries of the history
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::config::ImageConfig;
use crate::descriptor::{Descriptor, ImageManifest, digest_of, platform_of};
use crate::digest::{Digest, VerifiedReader};
use crate::limits::{CONFIG_MAX_BYTES, INDEX_MAX_DEPTH, MANIFEST_MAX_BYTES};
use crate::media_type::{Distribution, MediaType};
use crate::platform::Platform;

mod error;
mod parse;
mod select;
mod syntax;

pub use error::{CheckError, DocumentError, DocumentKind};
pub use parse::{parse_descriptor, parse_index, parse_layout, parse_manifest};
pub use select::{is_attestation, platforms_of, select_platform, subject_of_attestation};

/// The media type that Docker 1.10 gave to image configurations.
const LEGACY_CONFIG: &str = "application/octet-stream";

/// Tells whether a manifest is that of an image, by the descriptor of its configuration.
pub fn is_image_config(config: &Descriptor) -> bool {
    let media_type = config.media_type().as_ref();
    MediaType::parse(media_type).is_config() || media_type == LEGACY_CONFIG
}

/// Where the blobs of an image are.
pub trait BlobSource {
    /// Opens a blob; nothing when it is not there.
    ///
    /// # Errors
    ///
    /// Fails when the blob is there and cannot be opened.
    fn open(&self, digest: &Digest) -> io::Result<Option<Box<dyn Read + '_>>>;
}

impl BlobSource for BTreeMap<Digest, Vec<u8>> {
    fn open(&self, digest: &Digest) -> io::Result<Option<Box<dyn Read + '_>>> {
        Ok(self
            .get(digest)
            .map(|bytes| Box::new(bytes.as_slice()) as Box<dyn Read>))
    }
}

/// An image that was found right.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedImage {
    /// The digest of the manifest.
    pub digest: Digest,
    /// The manifest.
    pub manifest: ImageManifest,
    /// The configuration.
    pub config: ImageConfig,
}

/// Checks the image, or all images, below a manifest or an index, and returns them in its order.
///
/// Attestations are checked as blobs and not returned. Layers that are not distributed may be missing.
/// What layers hold is not looked into: their diff ids are compared by whoever unpacks them.
///
/// # Errors
///
/// Fails on the first invariant that does not hold.
pub fn check_image(root: &Digest, blobs: &dyn BlobSource) -> Result<Vec<CheckedImage>, CheckError> {
    let mut check = Check {
        blobs,
        seen: BTreeSet::new(),
        images: Vec::new(),
    };
    let bytes = check.read_root(root)?;
    if is_index(&bytes) {
        check.index(root, &bytes, 1)?;
    } else {
        check.manifest(root, &bytes, None)?;
    }
    Ok(check.images)
}

/// Says whether a document has the shape of an index. The readers refuse what has both shapes.
pub fn is_index(bytes: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Shape {
        manifests: Option<IgnoredAny>,
    }
    serde_json::from_slice(bytes).is_ok_and(|shape: Shape| shape.manifests.is_some())
}

struct Check<'a> {
    blobs: &'a dyn BlobSource,
    /// Blobs that were read in full; base layers are in many images.
    seen: BTreeSet<Digest>,
    images: Vec<CheckedImage>,
}

impl Check<'_> {
    fn index(&mut self, digest: &Digest, bytes: &[u8], depth: usize) -> Result<(), CheckError> {
        if depth > INDEX_MAX_DEPTH {
            return Err(CheckError::TooDeep {
                digest: digest.clone(),
            });
        }
        let index = parse_index(bytes).map_err(|source| CheckError::Document {
            digest: digest.clone(),
            source,
        })?;
        for entry in index.manifests() {
            self.entry(entry, depth)?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Descriptor, depth: usize) -> Result<(), CheckError> {
        let digest = verifiable_digest(entry)?;
        let media_type = MediaType::parse(entry.media_type().as_ref());
        if !media_type.is_index() && !media_type.is_manifest() {
            return Err(wrong_media_type(entry, digest, "a manifest or an index"));
        }
        let bytes = self.read_document(entry, &digest, MANIFEST_MAX_BYTES)?;
        check_stated_type(entry, &digest, &bytes)?;
        if media_type.is_index() {
            self.index(&digest, &bytes, depth + 1)
        } else if is_attestation(entry) {
            self.attestation(&digest, &bytes)
        } else {
            self.manifest(&digest, &bytes, platform_of(entry).as_ref())
        }
    }

    /// Checks an image; `expected` is what the index says it is for.
    fn manifest(
        &mut self,
        digest: &Digest,
        bytes: &[u8],
        expected: Option<&Platform>,
    ) -> Result<(), CheckError> {
        let manifest = parse_manifest(bytes).map_err(|source| CheckError::Document {
            digest: digest.clone(),
            source,
        })?;
        let config = self.config(manifest.config())?;
        check_counts(digest, manifest.layers().len(), &config)?;
        check_platform(digest, &config.platform(), expected)?;
        for layer in manifest.layers() {
            self.layer(layer)?;
        }
        self.images.push(CheckedImage {
            digest: digest.clone(),
            manifest,
            config,
        });
        Ok(())
    }

    /// Checks that the blobs of what is not an image are there.
    fn attestation(&mut self, digest: &Digest, bytes: &[u8]) -> Result<(), CheckError> {
        let manifest = parse_manifest(bytes).map_err(|source| CheckError::Document {
            digest: digest.clone(),
            source,
        })?;
        for blob in manifest.layers().iter().chain([manifest.config()]) {
            let digest = verifiable_digest(blob)?;
            self.read_through(blob, &digest)?;
        }
        Ok(())
    }

    fn config(&mut self, descriptor: &Descriptor) -> Result<ImageConfig, CheckError> {
        let digest = verifiable_digest(descriptor)?;
        if !is_image_config(descriptor) {
            return Err(wrong_media_type(
                descriptor,
                digest,
                "an image configuration",
            ));
        }
        let bytes = self.read_document(descriptor, &digest, CONFIG_MAX_BYTES)?;
        ImageConfig::parse(&bytes).map_err(|source| CheckError::Config { digest, source })
    }

    fn layer(&mut self, descriptor: &Descriptor) -> Result<(), CheckError> {
        let digest = verifiable_digest(descriptor)?;
        let MediaType::Layer(layer) = MediaType::parse(descriptor.media_type().as_ref()) else {
            return Err(wrong_media_type(descriptor, digest, "a layer"));
        };
        match self.read_through(descriptor, &digest) {
            Err(CheckError::Missing { .. }) if layer.distribution == Distribution::Restricted => {
                Ok(())
            }
            result => result,
        }
    }

    /// Reads the root, of which nothing but the digest is known.
    fn read_root(&self, digest: &Digest) -> Result<Vec<u8>, CheckError> {
        let failed = |source| CheckError::Read {
            digest: digest.clone(),
            source,
        };
        let mut bytes = Vec::new();
        let mut reader = self.open(digest)?.take(MANIFEST_MAX_BYTES + 1);
        reader.read_to_end(&mut bytes).map_err(failed)?;
        let size_bytes = bytes.len() as u64;
        check_limit(digest, size_bytes, MANIFEST_MAX_BYTES)?;
        let verified = VerifiedReader::new(bytes.as_slice(), digest, size_bytes);
        verified.finish().map_err(failed)?;
        Ok(bytes)
    }

    /// Reads a blob into memory, which its descriptor must have announced as small.
    fn read_document(
        &self,
        descriptor: &Descriptor,
        digest: &Digest,
        limit_bytes: u64,
    ) -> Result<Vec<u8>, CheckError> {
        check_limit(digest, descriptor.size(), limit_bytes)?;
        let mut bytes = Vec::new();
        VerifiedReader::new(self.open(digest)?, digest, descriptor.size())
            .read_to_end(&mut bytes)
            .map_err(|source| CheckError::Read {
                digest: digest.clone(),
                source,
            })?;
        Ok(bytes)
    }

    /// Reads a blob of any size to its end, once.
    fn read_through(&mut self, descriptor: &Descriptor, digest: &Digest) -> Result<(), CheckError> {
        if self.seen.contains(digest) {
            return Ok(());
        }
        let reader = VerifiedReader::new(self.open(digest)?, digest, descriptor.size());
        reader.finish().map_err(|source| CheckError::Read {
            digest: digest.clone(),
            source,
        })?;
        self.seen.insert(digest.clone());
        Ok(())
    }

    fn open(&self, digest: &Digest) -> Result<Box<dyn Read + '_>, CheckError> {
        self.blobs
            .open(digest)
            .map_err(|source| CheckError::Read {
                digest: digest.clone(),
                source,
            })?
            .ok_or_else(|| CheckError::Missing {
                digest: digest.clone(),
            })
    }
}

fn verifiable_digest(descriptor: &Descriptor) -> Result<Digest, CheckError> {
    digest_of(descriptor).map_err(|source| CheckError::Digest { source })
}

fn wrong_media_type(descriptor: &Descriptor, digest: Digest, expected: &'static str) -> CheckError {
    CheckError::MediaType {
        digest,
        expected,
        found: descriptor.media_type().to_string(),
    }
}

fn check_limit(digest: &Digest, found_bytes: u64, limit_bytes: u64) -> Result<(), CheckError> {
    if found_bytes > limit_bytes {
        return Err(CheckError::TooLarge {
            digest: digest.clone(),
            found_bytes,
            limit_bytes,
        });
    }
    Ok(())
}

/// Compares what a document says of itself with its descriptor; many documents say nothing.
fn check_stated_type(
    descriptor: &Descriptor,
    digest: &Digest,
    bytes: &[u8],
) -> Result<(), CheckError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Stated {
        media_type: Option<String>,
    }
    // Whatever else is wrong with the document is found, and said better, by its reader.
    let stated = serde_json::from_slice(bytes)
        .ok()
        .and_then(|stated: Stated| stated.media_type);
    let expected = descriptor.media_type().as_ref();
    match stated {
        Some(found) if found != expected => Err(CheckError::MediaTypeDiffers {
            digest: digest.clone(),
            expected: expected.to_owned(),
            found,
        }),
        _ => Ok(()),
    }
}

fn check_counts(digest: &Digest, layers: usize, config: &ImageConfig) -> Result<(), CheckError> {
    let diff_ids = config.rootfs.diff_ids.len();
    if diff_ids != layers {
        return Err(CheckError::LayerCount {
            digest: digest.clone(),
            layers,
            diff_ids,
        });
    }
    let entries = config
        .history
        .iter()
        .filter(|entry| !entry.empty_layer)
        .count();
    // A history is optional; half of one is wrong.
    if !config.history.is_empty() && entries != layers {
        return Err(CheckError::HistoryCount {
            digest: digest.clone(),
            layers,
            entries,
        });
    }
    Ok(())
}

fn check_platform(
    digest: &Digest,
    config: &Platform,
    expected: Option<&Platform>,
) -> Result<(), CheckError> {
    if config.os.is_empty() || config.architecture.is_empty() {
        return Err(CheckError::NoPlatform {
            digest: digest.clone(),
        });
    }
    match expected {
        Some(index) if !platforms_agree(index, config) => Err(CheckError::PlatformDiffers {
            digest: digest.clone(),
            index: Box::new(index.clone()),
            config: Box::new(config.clone()),
        }),
        _ => Ok(()),
    }
}

/// Says whether an index's entry and a configuration can be of one image.
///
/// Variant and version are compared where both say one: official images for `arm/v6` have a
/// configuration that says `arm` alone.
pub fn platforms_agree(index: &Platform, config: &Platform) -> bool {
    let says = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
    let has_variants = index.variant.is_some() && config.variant.is_some();
    let (a, b) = (index.normalized(), config.normalized());
    a.os == b.os
        && a.architecture == b.architecture
        && (!has_variants || a.variant == b.variant)
        && says(&a.os_version, &b.os_version)
}

#[cfg(test)]
mod tests;
