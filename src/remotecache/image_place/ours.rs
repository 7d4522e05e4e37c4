//! A tag whose index has caches of careen's and nothing else.

use oci::check;
use oci::{Descriptor, Digest, MediaType};
use transport::{Document, PlaceError, Tag, Written};

use super::documents::is_ours;

/// There is an image, which the cache would take the place of.
#[derive(Debug, thiserror::Error)]
#[error("`{shown}` is an image, which would be lost: a cache needs a tag of its own")]
pub(super) struct IsImage {
    shown: String,
}

/// A tag of caches. What another builder's cache has there is not kept: one tag is one cache.
#[derive(Debug)]
pub(super) struct CacheTag<'a>(pub(super) &'a dyn Tag);

impl CacheTag<'_> {
    /// Returns the caches of a document; refuses an image.
    fn caches(&self, document: &Document) -> Result<Vec<Descriptor>, PlaceError> {
        let is_image = || IsImage {
            shown: self.0.shown(),
        };
        if !check::is_index(&document.bytes) {
            let manifest = check::parse_manifest(&document.bytes)?;
            if check::is_image_config(manifest.config()) {
                return Err(is_image().into());
            }
            return Ok(Vec::new());
        }
        let index = check::parse_index(&document.bytes)?;
        let (ours, others): (Vec<_>, Vec<_>) = index.manifests().iter().cloned().partition(is_ours);
        let names_image =
            |entry: &Descriptor| MediaType::parse(entry.media_type().as_ref()).is_manifest();
        if ours.is_empty() && others.iter().any(names_image) {
            return Err(is_image().into());
        }
        Ok(ours)
    }
}

impl Tag for CacheTag<'_> {
    fn shown(&self) -> String {
        self.0.shown()
    }

    fn read(&self) -> Result<Option<Document>, PlaceError> {
        self.0.read()
    }

    fn look(&self) -> Result<Option<Digest>, PlaceError> {
        self.0.look()
    }

    fn entries(&self, document: &Document) -> Result<Vec<Descriptor>, PlaceError> {
        self.caches(document)
    }

    fn write(&self, index: &Document, expected: Option<&Digest>) -> Result<Written, PlaceError> {
        self.0.write(index, expected)
    }

    fn is_exact(&self, index: &Document) -> bool {
        self.0.is_exact(index)
    }
}

/// Reads what is there for a platform, of what can be used; refuses what must not be written over.
pub(super) fn read_earlier(
    tag: &CacheTag<'_>,
    source: &dyn transport::Source,
    platform: &oci::Platform,
) -> Result<Option<crate::config::CacheConfig>, PlaceError> {
    let Some(root) = tag.read()? else {
        return Ok(None);
    };
    let caches = tag.caches(&root)?;
    let is_for = |entry: &&Descriptor| {
        oci::descriptor::platform_of(entry).is_some_and(|found| platform.is_same(&found))
    };
    if !caches.iter().any(|entry| is_for(&entry)) {
        return Ok(None);
    }
    match super::documents::read(source, &root, std::slice::from_ref(platform)) {
        Ok(configs) => Ok(configs.into_iter().next()),
        Err(error) => {
            // What cannot be read is of no use to anybody, and is replaced.
            tracing::debug!(%error, "what earlier builds left is not kept");
            Ok(None)
        }
    }
}
