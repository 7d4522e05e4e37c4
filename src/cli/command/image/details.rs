//! What the store has of an image: its platforms, their configurations and sizes.

use std::collections::BTreeSet;

use oci::check::{is_attestation, is_index, parse_index, parse_manifest};
use oci::descriptor::{digest_of, platform_of};
use oci::limits::{CONFIG_MAX_BYTES, INDEX_MAX_DEPTH, MANIFEST_MAX_BYTES};
use oci::{Descriptor, Digest, ImageConfig, ImageManifest, Platform, Timestamp};
use store::{BlobSource as _, ContentStore, StoredImage};

use crate::options::host_platform;

/// An image of the store, with what is there of it.
#[derive(Debug)]
pub(super) struct Details {
    /// The image.
    pub(super) image: StoredImage,
    /// Its platforms in the order of the index, those of which nothing is there too.
    pub(super) platforms: Vec<PlatformImage>,
    /// The size of all its blobs that are there, each counted once.
    pub(super) size_bytes: u64,
}

/// The image of one platform.
#[derive(Debug)]
pub(super) struct PlatformImage {
    /// The digest of the manifest.
    pub(super) digest: Digest,
    /// What it is for, as the index or the configuration says.
    pub(super) platform: Option<Platform>,
    /// The manifest, if it is there.
    pub(super) manifest: Option<ImageManifest>,
    /// The configuration, if it is there.
    pub(super) config: Option<ImageConfig>,
    /// The size of its blobs that are there.
    pub(super) size_bytes: u64,
}

impl Details {
    /// Reads what is there; what is not, or is damaged, is left out.
    pub(super) fn read(content: &ContentStore, image: StoredImage) -> Self {
        let mut platforms = Vec::new();
        collect(content, &image.descriptor, 0, &mut platforms);
        let reached = content.reached([&image.descriptor]);
        Self {
            size_bytes: sizes(content, &reached),
            platforms,
            image,
        }
    }

    /// Returns what suits a platform best; without one, what suits this machine best, or the first that is there.
    pub(super) fn best(&self, platform: Option<&Platform>) -> Option<&PlatformImage> {
        let there = || self.platforms.iter().filter(|image| image.config.is_some());
        let host = host_platform();
        let wanted = platform.unwrap_or(&host);
        let suits = |image: &&PlatformImage| {
            image
                .platform
                .as_ref()
                .is_some_and(|candidate| wanted.can_run(candidate))
        };
        let preference = |image: &&PlatformImage| {
            image
                .platform
                .as_ref()
                .map(|candidate| wanted.preference(candidate))
        };
        let best = there().filter(suits).min_by_key(preference);
        match platform {
            Some(_) => best,
            None => best.or_else(|| there().next()),
        }
    }

    /// Returns when the image was made: that of the platform that suits this machine best.
    pub(super) fn created(&self) -> Option<Timestamp> {
        self.best(None)?.config.as_ref()?.created
    }
}

fn collect(
    content: &ContentStore,
    entry: &Descriptor,
    depth: usize,
    platforms: &mut Vec<PlatformImage>,
) {
    let Ok(digest) = digest_of(entry) else {
        return;
    };
    let bytes = content
        .read_blob(&digest, MANIFEST_MAX_BYTES)
        .unwrap_or_default();
    if !is_index(&bytes) {
        platforms.push(PlatformImage::read(content, entry, digest, &bytes));
        return;
    }
    let Ok(index) = parse_index(&bytes) else {
        return;
    };
    if depth < INDEX_MAX_DEPTH {
        for entry in index
            .manifests()
            .iter()
            .filter(|entry| !is_attestation(entry))
        {
            collect(content, entry, depth + 1, platforms);
        }
    }
}

impl PlatformImage {
    fn read(content: &ContentStore, entry: &Descriptor, digest: Digest, bytes: &[u8]) -> Self {
        let manifest = parse_manifest(bytes).ok();
        let config = manifest
            .as_ref()
            .and_then(|manifest| read_config(content, manifest));
        let of_config = config.as_ref().map(ImageConfig::platform);
        let platform = platform_of(entry).or(of_config);
        let size_bytes = sizes(content, &content.reached([entry]));
        Self {
            digest,
            platform,
            manifest,
            config,
            size_bytes,
        }
    }

    /// Tells whether all that the manifest names is there.
    pub(super) fn is_whole(&self, content: &ContentStore) -> bool {
        let is_there = |part: &Descriptor| {
            digest_of(part)
                .is_ok_and(|digest| content.has(&digest).is_ok_and(|size| size.is_some()))
        };
        self.manifest
            .as_ref()
            .is_some_and(|manifest| manifest.layers().iter().all(is_there) && self.config.is_some())
    }
}

fn read_config(content: &ContentStore, manifest: &ImageManifest) -> Option<ImageConfig> {
    let digest = digest_of(manifest.config()).ok()?;
    let bytes = content.read_blob(&digest, CONFIG_MAX_BYTES).ok()?;
    ImageConfig::parse(&bytes).ok()
}

pub(super) fn sizes(content: &ContentStore, blobs: &BTreeSet<Digest>) -> u64 {
    blobs
        .iter()
        .filter_map(|digest| content.has(digest).ok().flatten())
        .sum()
}
