//! Images: what the index names is there, with everything that it needs.
//!
//! Of an index of several platforms those count of which the manifest is there: nobody asked for the others.

use std::collections::BTreeSet;

use oci::check::{is_index, parse_index, parse_manifest};
use oci::descriptor::{descriptor, digest_of};
use oci::limits::{INDEX_MAX_DEPTH, MANIFEST_MAX_BYTES};
use oci::media_type::{OCI_INDEX, OCI_MANIFEST};
use oci::{Descriptor, Digest, Reference};

use super::{CheckError, Checker, Mended, Part, Wrong, said};
use crate::BlobSource as _;
use crate::content::ContentStore;
use crate::image::StoredImage;
use crate::sweep::all_blobs;
use crate::tags::TagError;

impl Checker<'_> {
    /// Looks at the index and at all images in it.
    pub(super) fn images(&mut self) -> Result<(), CheckError> {
        let path = self.layout.index();
        let content = self.content;
        match content.entries() {
            Ok(_) => self.private_file(Part::Index, &path),
            Err(error) => {
                let wrong = match &error {
                    TagError::Damaged { .. } => Wrong::Damaged,
                    _ => Wrong::Unreadable(said(&error)),
                };
                self.tell((Part::Index, &path), wrong, |_| list_anew(content));
            }
        }
        for image in content.images().unwrap_or_default() {
            self.go_on()?;
            self.image(&image);
        }
        Ok(())
    }

    fn image(&mut self, image: &StoredImage) {
        self.count(Part::Image, 0);
        let Err(wrong) = self.whole(&image.descriptor, 0) else {
            return;
        };
        let content = self.content;
        let names: Vec<_> = image.names.iter().map(Reference::familiar).collect();
        let place = match names.as_slice() {
            [] => image.digest.to_string(),
            names => names.join(", "),
        };
        self.tell((Part::Image, place.as_ref()), wrong, |_| {
            let forgotten = content.forget(&image.digest);
            forgotten
                .map(|_names| Mended::Untagged)
                .map_err(|error| said(&error))
        });
    }

    /// Makes sure that all of a manifest or an index is there.
    fn whole(&self, entry: &Descriptor, depth: usize) -> Result<(), Wrong> {
        let digest = self.there(entry)?;
        let bytes = self.content.read_blob(&digest, MANIFEST_MAX_BYTES);
        let bytes = bytes.map_err(|error| Wrong::Unreadable(said(&error)))?;
        if is_index(&bytes) {
            let index = parse_index(&bytes).map_err(|_error| Wrong::Damaged)?;
            if depth >= INDEX_MAX_DEPTH {
                return Err(Wrong::Damaged);
            }
            let mut there = index.manifests().iter().filter(|entry| self.has(entry));
            return there.try_for_each(|entry| self.whole(entry, depth + 1));
        }
        let manifest = parse_manifest(&bytes).map_err(|_error| Wrong::Damaged)?;
        self.there(manifest.config())?;
        // What may not be distributed lies elsewhere.
        let is_ours = |layer: &&Descriptor| layer.urls().as_ref().is_none_or(Vec::is_empty);
        let mut layers = manifest.layers().iter().filter(is_ours);
        layers.try_for_each(|layer| self.there(layer).map(drop))
    }

    /// Makes sure that a blob is there, whole and of the size that is said.
    fn there(&self, entry: &Descriptor) -> Result<Digest, Wrong> {
        let digest = digest_of(entry).map_err(|_error| Wrong::Damaged)?;
        if self.damaged.contains(&digest) {
            return Err(Wrong::Needs(digest));
        }
        let size = self.content.has(&digest);
        let size = size.map_err(|error| Wrong::Unreadable(said(&error)))?;
        match size {
            None => Err(Wrong::Lacks(digest)),
            Some(found_bytes) if found_bytes != entry.size() => Err(Wrong::Size {
                digest,
                expected_bytes: entry.size(),
                found_bytes,
            }),
            Some(_) => Ok(digest),
        }
    }

    fn has(&self, entry: &Descriptor) -> bool {
        let digest = digest_of(entry).ok();
        digest.is_some_and(|digest| matches!(self.content.has(&digest), Ok(Some(_))))
    }
}

/// Makes a list of the images that are there: of the manifests and indexes that no other one names. Who they were is
/// not known any more.
fn list_anew(content: &ContentStore) -> Result<Mended, String> {
    let failed = |error: &dyn std::error::Error| said(error);
    let blobs = all_blobs(&content.layout).map_err(|error| failed(&error))?;
    let mut images = Vec::new();
    let mut named: BTreeSet<Digest> = BTreeSet::new();
    for digest in blobs {
        if let Some((image, names)) = image_of(content, &digest) {
            images.push(image);
            named.extend(names);
        }
    }
    images.retain(|image| digest_of(image).is_ok_and(|digest| !named.contains(&digest)));
    let listed = content.list_anew(images);
    listed
        .map(|()| Mended::Listed)
        .map_err(|error| failed(&error))
}

/// Returns the descriptor of a blob that is a manifest or an index, and the documents that it names.
fn image_of(content: &ContentStore, digest: &Digest) -> Option<(Descriptor, Vec<Digest>)> {
    let size_bytes = content.has(digest).ok()??;
    if size_bytes > MANIFEST_MAX_BYTES {
        return None;
    }
    let bytes = content.read_blob(digest, MANIFEST_MAX_BYTES).ok()?;
    let (media_type, names) = if is_index(&bytes) {
        let index = parse_index(&bytes).ok()?;
        let names = index.manifests().iter().map(digest_of);
        let names = names.filter_map(Result::ok).collect();
        (said_or(index.media_type().as_ref(), OCI_INDEX), names)
    } else {
        let manifest = parse_manifest(&bytes).ok()?;
        let media_type = said_or(manifest.media_type().as_ref(), OCI_MANIFEST);
        (media_type, Vec::new())
    };
    Some((descriptor(&media_type, digest, size_bytes), names))
}

/// Returns the media type that a document says that it has, else that which it has without a word.
fn said_or<T: ToString>(said: Option<&T>, or: &str) -> String {
    said.map_or_else(|| or.to_owned(), ToString::to_string)
}
