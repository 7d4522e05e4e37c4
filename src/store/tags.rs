//! The tags of the content store: `index.json`, and who may change it.
//!
//! An entry is the descriptor of a manifest or an index with two annotations, as containerd and
//! Docker write them: `io.containerd.image.name` has the whole name of the image and
//! `org.opencontainers.image.ref.name` its tag. Entries of others, without the first one, are kept
//! and not shown. There is one entry a name.
//!
//! An image that lost its last name to another one stays in the index without a name, as does one that was
//! [kept](ContentStore::keep) without one: Docker calls it dangling.
//!
//! The file is replaced as a whole while the claim on it is held; readers need none.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use oci::check::{DocumentError, parse_index};
use oci::descriptor::{ANNOTATION_REF_NAME, annotation_of, to_canonical_json, with_annotations};
use oci::{Descriptor, Digest, ImageIndex, Reference};

use crate::claim::{Claim, ClaimError, ClaimName, Claims};
use crate::content::ContentStore;
use crate::file::{self, FileError};
use crate::limits::INDEX_LIMIT_BYTES;
use crate::scratch::replace_synced;

/// The annotation with the whole name of an image, as containerd and Docker write it.
pub const ANNOTATION_IMAGE_NAME: &str = "io.containerd.image.name";

/// An index of nothing.
pub(crate) const EMPTY_INDEX: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

/// The tags cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TagError {
    /// The index cannot be claimed.
    #[error("change the tags of the store")]
    Claim(#[source] ClaimError),
    /// The index cannot be read.
    #[error("read the tags of the store")]
    Read(#[source] FileError),
    /// The index is none.
    #[error("`{}` is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: DocumentError,
    },
    /// The index would become too large to be read.
    #[error("the tags of the store would have {size_bytes} bytes, more than {INDEX_LIMIT_BYTES}")]
    TooMany {
        /// Its size.
        size_bytes: u64,
    },
    /// The index cannot be written.
    #[error("write the tags of the store")]
    Write(#[source] FileError),
}

impl ContentStore {
    /// Gives an image a name, and takes the name from the image that had it. The reference is taken
    /// as it is: whoever means `latest` says so.
    ///
    /// # Errors
    ///
    /// Fails when the index cannot be read or written.
    pub fn tag(&self, name: &Reference, image: &Descriptor) -> Result<(), TagError> {
        self.change_tags(|entries| {
            set_name(entries, name, image);
            true
        })
        .map(drop)
    }

    /// Gives an image a name if that names the image that is expected, or nothing where that is expected; tells whether
    /// it did.
    ///
    /// # Errors
    ///
    /// Fails as [`ContentStore::tag`] does.
    pub fn tag_if(
        &self,
        name: &Reference,
        expected: Option<&Digest>,
        image: &Descriptor,
    ) -> Result<bool, TagError> {
        self.change_tags(|entries| {
            let found = entries
                .iter()
                .find(|entry| name_of(entry).as_ref() == Some(name));
            let is_expected =
                found.map(|entry| entry.digest().as_ref()) == expected.map(Digest::as_str);
            if is_expected {
                set_name(entries, name, image);
            }
            is_expected
        })
    }

    /// Keeps an image that has no name until it is removed by its digest.
    ///
    /// # Errors
    ///
    /// Fails when the index cannot be read or written.
    pub fn keep(&self, image: &Descriptor) -> Result<(), TagError> {
        self.change_tags(|entries| push_unnamed(entries, image))
            .map(drop)
    }

    /// Takes an image out of the index with all its names, which are returned in their order; tells by `None` that it
    /// was not there. Its blobs stay until a prune.
    ///
    /// # Errors
    ///
    /// Fails when the index cannot be read or written.
    pub fn forget(&self, image: &Digest) -> Result<Option<Vec<Reference>>, TagError> {
        let mut names = Vec::new();
        let is_changed = self.change_tags(|entries| {
            let before = entries.len();
            entries.retain(|entry| {
                let is_kept = entry.digest().as_ref() != image.as_str();
                names.extend(name_of(entry).filter(|_| !is_kept));
                is_kept
            });
            entries.len() != before
        })?;
        names.sort();
        Ok(is_changed.then_some(names))
    }

    /// Makes an index of images without names, in place of one that is damaged; one that is not is left alone.
    pub(crate) fn list_anew(&self, images: Vec<Descriptor>) -> Result<(), TagError> {
        let claim: Claim = Claims::new(Arc::clone(&self.layout))
            .exclusive(ClaimName::Tags)
            .map_err(TagError::Claim)?;
        if self.read_index().is_err() {
            let path = self.layout.index();
            let empty = parse_index(EMPTY_INDEX.as_bytes());
            let mut index = empty.map_err(|source| TagError::Damaged { path, source })?;
            index.set_manifests(images);
            self.write_index(&index)?;
        }
        drop(claim);
        Ok(())
    }

    /// Takes entries without a name out of the index.
    pub(crate) fn drop_unnamed(&self, images: &[Digest]) -> Result<bool, TagError> {
        let is_dropped = |entry: &Descriptor| {
            let digest = entry.digest().as_ref();
            name_of(entry).is_none() && images.iter().any(|image| image.as_str() == digest)
        };
        self.change_tags(|entries| {
            let before = entries.len();
            entries.retain(|entry| !is_dropped(entry));
            entries.len() != before
        })
    }

    /// Returns all entries of the index, those without a name too.
    ///
    /// # Errors
    ///
    /// Fails when the index cannot be read.
    pub fn entries(&self) -> Result<Vec<Descriptor>, TagError> {
        Ok(self.read_index()?.manifests().clone())
    }

    /// Takes a name away; tells whether an image had it. An image whose last name it was is not in the index any more,
    /// and its blobs stay until a prune.
    ///
    /// # Errors
    ///
    /// Fails when the index cannot be read or written.
    pub fn untag(&self, name: &Reference) -> Result<bool, TagError> {
        self.change_tags(|entries| {
            let before = entries.len();
            entries.retain(|entry| name_of(entry).as_ref() != Some(name));
            entries.len() != before
        })
    }

    /// Returns the names and what they name, in the order of the names.
    ///
    /// # Errors
    ///
    /// Fails when the index cannot be read.
    pub fn tags(&self) -> Result<Vec<(Reference, Descriptor)>, TagError> {
        let entries = self.read_index()?.manifests().clone();
        let named = entries
            .into_iter()
            .filter_map(|entry| Some((name_of(&entry)?, entry)));
        let mut tags: Vec<_> = named.collect();
        tags.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(tags)
    }

    /// Returns what a name names.
    ///
    /// # Errors
    ///
    /// Fails when the index cannot be read.
    pub fn resolve(&self, name: &Reference) -> Result<Option<Descriptor>, TagError> {
        let found = self.tags()?.into_iter().find(|(other, _)| other == name);
        Ok(found.map(|(_, descriptor)| descriptor))
    }

    /// Changes the entries, if `change` says that it did.
    fn change_tags<C>(&self, change: C) -> Result<bool, TagError>
    where
        C: FnOnce(&mut Vec<Descriptor>) -> bool,
    {
        let claim: Claim = Claims::new(Arc::clone(&self.layout))
            .exclusive(ClaimName::Tags)
            .map_err(TagError::Claim)?;
        let mut index = self.read_index()?;
        let mut entries = index.manifests().clone();
        let changed = change(&mut entries);
        if changed {
            index.set_manifests(entries);
            self.write_index(&index)?;
        }
        drop(claim);
        Ok(changed)
    }

    fn read_index(&self) -> Result<ImageIndex, TagError> {
        let path = self.layout.index();
        let bytes = file::read_limited(&path, INDEX_LIMIT_BYTES).map_err(TagError::Read)?;
        let parsed = parse_index(bytes.as_deref().unwrap_or(EMPTY_INDEX.as_bytes()));
        parsed.map_err(|source| TagError::Damaged { path, source })
    }

    fn write_index(&self, index: &ImageIndex) -> Result<(), TagError> {
        let bytes = to_canonical_json(index);
        let size_bytes = bytes.len() as u64;
        if size_bytes > INDEX_LIMIT_BYTES {
            return Err(TagError::TooMany { size_bytes });
        }
        replace_synced(&self.layout, &self.layout.index(), &bytes).map_err(TagError::Write)
    }
}

/// Returns the entry of an image that has a name.
fn named(name: &Reference, image: &Descriptor) -> Descriptor {
    let annotations = image.annotations().clone().unwrap_or_default();
    let mut annotations: BTreeMap<_, _> = annotations.into_iter().collect();
    annotations.insert(ANNOTATION_IMAGE_NAME.to_owned(), name.to_string());
    annotations.remove(ANNOTATION_REF_NAME);
    if let Some(tag) = name.tag() {
        annotations.insert(ANNOTATION_REF_NAME.to_owned(), tag.to_owned());
    }
    with_annotations(image.clone(), &annotations)
}

/// Gives an image a name among the entries; the one that had it stays without one if it has no other.
fn set_name(entries: &mut Vec<Descriptor>, name: &Reference, image: &Descriptor) {
    let (lost, mut rest): (Vec<_>, Vec<_>) = entries
        .drain(..)
        .partition(|entry| name_of(entry).as_ref() == Some(name));
    // The image that is named now is not without a name any more.
    rest.retain(|entry| name_of(entry).is_some() || entry.digest() != image.digest());
    rest.push(named(name, image));
    for image in lost {
        push_unnamed(&mut rest, &image);
    }
    *entries = rest;
}

/// Adds an image without a name, unless there is an entry of it; tells whether it did.
fn push_unnamed(entries: &mut Vec<Descriptor>, image: &Descriptor) -> bool {
    if entries.iter().any(|entry| entry.digest() == image.digest()) {
        return false;
    }
    let annotations = image.annotations().clone().unwrap_or_default();
    let mut annotations: BTreeMap<_, _> = annotations.into_iter().collect();
    annotations.remove(ANNOTATION_IMAGE_NAME);
    annotations.remove(ANNOTATION_REF_NAME);
    entries.push(with_annotations(image.clone(), &annotations));
    true
}

pub(crate) fn name_of(entry: &Descriptor) -> Option<Reference> {
    Reference::parse_canonical(annotation_of(entry, ANNOTATION_IMAGE_NAME)?).ok()
}

#[cfg(test)]
#[path = "tags_tests.rs"]
mod tests;
