//! The images of the store: what the index names, each with all its names; and finding one by what a user typed.

use std::collections::BTreeSet;

use oci::check::parse_manifest;
use oci::descriptor::{ANNOTATION_REF_NAME, digest_of, with_annotations};
use oci::limits::MANIFEST_MAX_BYTES;
use oci::{AnyReference, Descriptor, Digest, Reference};

use crate::BlobSource as _;
use crate::content::ContentStore;
use crate::tags::{ANNOTATION_IMAGE_NAME, TagError, name_of};

/// How many digits an id has at least that is not written out.
const ID_MIN_DIGITS: usize = 4;

/// An image of the store.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredImage {
    /// The manifest or the index, without the names.
    pub descriptor: Descriptor,
    /// Its digest: the image's id.
    pub digest: Digest,
    /// Its names, in their order; none is Docker's dangling image.
    pub names: Vec<Reference>,
}

/// An image that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundImage {
    /// The image.
    pub image: StoredImage,
    /// Its name, where the image was asked for by one.
    pub name: Option<Reference>,
}

/// There is no one image that is meant.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// None is called so, and none has such an id.
    #[error("no such image: `{text}`")]
    None {
        /// What was typed.
        text: String,
    },
    /// Several ids begin so.
    #[error("`{text}` is the beginning of several ids: {}", shown(images))]
    Several {
        /// What was typed.
        text: String,
        /// The ids.
        images: Vec<Digest>,
    },
    /// The tags cannot be read.
    #[error(transparent)]
    Tags(#[from] TagError),
}

fn shown(images: &[Digest]) -> String {
    let ids: Vec<_> = images.iter().map(Digest::as_str).collect();
    ids.join(", ")
}

impl ContentStore {
    /// Returns the images, in the order of the index. What refers to another image, such as a signature, is none.
    ///
    /// # Errors
    ///
    /// Fails when the index cannot be read.
    pub fn images(&self) -> Result<Vec<StoredImage>, TagError> {
        let mut images: Vec<StoredImage> = Vec::new();
        for entry in self.entries()? {
            // What nobody could verify is no image.
            let Ok(digest) = digest_of(&entry) else {
                continue;
            };
            let name = name_of(&entry);
            if let Some(image) = images.iter_mut().find(|image| image.digest == digest) {
                image.names.extend(name);
                continue;
            }
            if name.is_none() && self.subject(&digest).is_some() {
                continue;
            }
            images.push(StoredImage {
                descriptor: without_names(&entry),
                digest,
                names: name.into_iter().collect(),
            });
        }
        for image in &mut images {
            image.names.sort();
        }
        Ok(images)
    }

    /// Finds an image by a name, a name with a digest, an id, or the first four or more digits of an id. The digest of
    /// its configuration, which is what a build tells of an image, leads to the last image that has it.
    ///
    /// # Errors
    ///
    /// Fails when there is none or, of the beginning of an id, when there are several.
    pub fn find(&self, text: &str) -> Result<FoundImage, FindError> {
        let images = self.images()?;
        let found = match AnyReference::parse(text) {
            Ok(AnyReference::Id(digest)) => self.by_digest(&images, &digest),
            Ok(AnyReference::Name(name)) => match by_name(&images, &name.into_docker_ref()) {
                Some(found) => Some(found),
                None => by_prefix(images, text)?,
            },
            Err(_no_name) => by_prefix(images, text)?,
        };
        found.ok_or_else(|| FindError::None {
            text: text.to_owned(),
        })
    }

    /// Finds an image by its id, or else the last one that has a configuration: those that share one differ in their
    /// annotations and in how their layers are compressed.
    fn by_digest(&self, images: &[StoredImage], digest: &Digest) -> Option<FoundImage> {
        let named = images.iter().find(|image| image.digest == *digest);
        let configured = || {
            let is_its = |image: &&StoredImage| self.config(&image.digest).as_ref() == Some(digest);
            images.iter().rev().find(is_its)
        };
        let image = named.or_else(configured)?.clone();
        Some(FoundImage { image, name: None })
    }

    /// Returns the configuration that a manifest names; nothing where it is none.
    fn config(&self, digest: &Digest) -> Option<Digest> {
        let bytes = self.read_blob(digest, MANIFEST_MAX_BYTES).ok()?;
        let manifest = parse_manifest(&bytes).ok()?;
        digest_of(manifest.config()).ok()
    }

    /// Returns what a manifest refers to; nothing where it is none or refers to nothing.
    pub(crate) fn subject(&self, digest: &Digest) -> Option<Digest> {
        let bytes = self.read_blob(digest, MANIFEST_MAX_BYTES).ok()?;
        let manifest = parse_manifest(&bytes).ok()?;
        digest_of(manifest.subject().as_ref()?).ok()
    }

    /// Returns the entries without a name that refer to something.
    pub(crate) fn referrers(&self) -> Result<Vec<(Descriptor, Digest)>, TagError> {
        let unnamed = self
            .entries()?
            .into_iter()
            .filter(|entry| name_of(entry).is_none());
        let referring = unnamed.filter_map(|entry| {
            let subject = self.subject(&digest_of(&entry).ok()?)?;
            Some((entry, subject))
        });
        Ok(referring.collect())
    }
}

/// Finds the image of a name; of a name with a digest, the image of the repository that has it.
fn by_name(images: &[StoredImage], name: &Reference) -> Option<FoundImage> {
    let with_digest = |image: &&StoredImage| {
        name.digest() == Some(&image.digest)
            && image.names.iter().any(|other| other.name() == name.name())
    };
    let named = images.iter().find(|image| image.names.contains(name));
    let image = named.or_else(|| images.iter().find(with_digest))?;
    Some(FoundImage {
        image: image.clone(),
        name: Some(name.clone()),
    })
}

fn by_prefix(images: Vec<StoredImage>, text: &str) -> Result<Option<FoundImage>, FindError> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let is_id = digits
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_id || digits.len() < ID_MIN_DIGITS {
        return Ok(None);
    }
    let mut found: Vec<_> = images
        .into_iter()
        .filter(|image| image.digest.encoded().starts_with(digits))
        .collect();
    let ids: BTreeSet<_> = found.iter().map(|image| image.digest.clone()).collect();
    if ids.len() > 1 {
        return Err(FindError::Several {
            text: text.to_owned(),
            images: ids.into_iter().collect(),
        });
    }
    Ok(found.pop().map(|image| FoundImage { image, name: None }))
}

fn without_names(entry: &Descriptor) -> Descriptor {
    let annotations = entry.annotations().clone().unwrap_or_default();
    let mut annotations: std::collections::BTreeMap<_, _> = annotations.into_iter().collect();
    annotations.remove(ANNOTATION_IMAGE_NAME);
    annotations.remove(ANNOTATION_REF_NAME);
    with_annotations(entry.clone(), &annotations)
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
