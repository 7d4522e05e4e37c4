//! The documents of a cache: from what a reference names to configurations, and back.

use std::io::Read as _;

use oci::check::{self, DocumentError};
use oci::descriptor::{
    descriptor, digest_of, new_manifest, platform_of, to_canonical_json, with_platform,
};
use oci::media_type::OCI_MANIFEST;
use oci::{Descriptor, Digest, ImageConfig, ImageManifest, Platform, VerifiedReader};
use transport::{Additions, Document, LoneBlob, PlaceError, Source, Target};

use crate::config::{CONFIG_MEDIA_TYPE, CacheConfig, ConfigError};
use crate::inline;
use crate::limits::CONFIG_MAX_BYTES;
use crate::place::{CacheEntry, ReadError};

/// The media type of the configuration of BuildKit's caches.
const BUILDKIT_CONFIG: &str = "application/vnd.buildkit.cacheconfig.v0";

/// What `null` is for a media type that a manifest does not say.
const NO_MEDIA_TYPE: &str = "";

impl From<DocumentError> for ReadError {
    fn from(error: DocumentError) -> Self {
        Self::Document(error.into())
    }
}

/// Tells whether an entry of an index is a cache of careen's.
pub(super) fn is_ours(entry: &Descriptor) -> bool {
    let kind = entry.artifact_type().as_ref();
    kind.map_or(NO_MEDIA_TYPE, AsRef::as_ref) == CONFIG_MEDIA_TYPE
}

/// Reads what a document and those below it have for platforms: caches, or images with caches in them.
pub(super) fn read(
    source: &dyn Source,
    root: &Document,
    platforms: &[Platform],
) -> Result<Vec<CacheConfig>, ReadError> {
    if !check::is_index(&root.bytes) {
        return Ok(vec![read_manifest(source, root)?]);
    }
    let index = check::parse_index(&root.bytes)?;
    let entries = index.manifests();
    if entries
        .iter()
        .any(|entry| entry.media_type().as_ref() == BUILDKIT_CONFIG)
    {
        return Err(ReadError::Foreign);
    }
    if entries.iter().any(is_ours) {
        let wanted = platforms
            .iter()
            .filter_map(|platform| cache_for(entries, platform));
        return wanted.map(|entry| read_entry(source, entry)).collect();
    }
    let mut images: Vec<&Descriptor> = Vec::new();
    for platform in platforms {
        let image = check::select_platform(&index, platform);
        images.extend(image.filter(|image| !images.contains(image)));
    }
    read_images(source, &images)
}

/// Returns the cache for a platform: the first one, however many an index names.
fn cache_for<'e>(entries: &'e [Descriptor], platform: &Platform) -> Option<&'e Descriptor> {
    let is_for = |entry: &&Descriptor| {
        is_ours(entry) && platform_of(entry).is_some_and(|found| platform.is_same(&found))
    };
    entries.iter().find(is_for)
}

/// Reads the caches of images; some may have none.
fn read_images(source: &dyn Source, images: &[&Descriptor]) -> Result<Vec<CacheConfig>, ReadError> {
    let mut found = Vec::new();
    for image in images {
        match read_entry(source, image) {
            Ok(config) => found.push(config),
            Err(ReadError::NoCache) => {}
            Err(error) => return Err(error),
        }
    }
    if found.is_empty() {
        return Err(ReadError::NoCache);
    }
    Ok(found)
}

fn read_entry(source: &dyn Source, entry: &Descriptor) -> Result<CacheConfig, ReadError> {
    let document = source.document(entry).map_err(ReadError::Unreadable)?;
    read_manifest(source, &document)
}

fn read_manifest(source: &dyn Source, document: &Document) -> Result<CacheConfig, ReadError> {
    let manifest = check::parse_manifest(&document.bytes)?;
    match manifest.config().media_type().as_ref() {
        CONFIG_MEDIA_TYPE => read_config(source, &manifest),
        BUILDKIT_CONFIG => Err(ReadError::Foreign),
        _ if check::is_image_config(manifest.config()) => {
            let bytes = read_blob(source, manifest.config())?;
            let config = ImageConfig::parse(&bytes);
            let config = config.map_err(|error| ReadError::Document(error.into()))?;
            inline::read(&config, manifest.layers())?.ok_or(ReadError::NoCache)
        }
        _ => Err(ReadError::NoCache),
    }
}

fn read_config(source: &dyn Source, manifest: &ImageManifest) -> Result<CacheConfig, ReadError> {
    let config = CacheConfig::parse(&read_blob(source, manifest.config())?)?;
    config.check_manifest(manifest.layers())?;
    Ok(config)
}

/// Reads a small blob.
fn read_blob(source: &dyn Source, blob: &Descriptor) -> Result<Vec<u8>, ReadError> {
    if blob.size() > CONFIG_MAX_BYTES {
        return Err(ReadError::Damaged(ConfigError::TooMany {
            what: "bytes",
            found: blob.size(),
            limit: CONFIG_MAX_BYTES,
        }));
    }
    let digest = digest_of(blob).map_err(|error| ReadError::Document(error.into()))?;
    let reader = source.blob(blob, 0).map_err(ReadError::Unreadable)?;
    let mut bytes = Vec::new();
    VerifiedReader::new(reader, &digest, blob.size())
        .read_to_end(&mut bytes)
        .map_err(|error| ReadError::Unreadable(error.into()))?;
    Ok(bytes)
}

/// Puts the documents of entries; returns what is to be added to the index for them.
pub(super) fn put_all(
    entries: &[CacheEntry],
    target: &dyn Target,
) -> Result<Additions, PlaceError> {
    let put = entries.iter().map(|entry| put(entry, target));
    Ok(Additions {
        entries: put.collect::<Result<_, _>>()?,
        ..Additions::default()
    })
}

/// Puts the documents of an entry; returns what the index says of it.
fn put(entry: &CacheEntry, target: &dyn Target) -> Result<Descriptor, PlaceError> {
    let bytes = entry.config.to_bytes();
    let config = descriptor(CONFIG_MEDIA_TYPE, &Digest::of(&bytes), bytes.len() as u64);
    target.put_blob(&config, &LoneBlob::in_memory(&bytes))?;
    let mut manifest = new_manifest(config, entry.config.blobs());
    manifest.set_media_type(Some(OCI_MANIFEST.into()));
    let manifest = Document::new(OCI_MANIFEST, to_canonical_json(&manifest));
    target.put_document(&manifest)?;
    let mut named = with_platform(manifest.descriptor, &entry.platform);
    named.set_artifact_type(Some(CONFIG_MEDIA_TYPE.into()));
    Ok(named)
}

#[cfg(test)]
mod tests;
