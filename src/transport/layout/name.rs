//! What an image is called in the `index.json` of a layout.

use std::collections::BTreeMap;

use oci::descriptor::{self, ANNOTATION_REF_NAME};
use oci::{Descriptor, Digest, Reference};
use store::{ANNOTATION_IMAGE_NAME, LayoutSelector};

use crate::store::without_names;

/// An image is put where only one of another digest can be.
#[derive(Debug, thiserror::Error)]
#[error("the image is `{found}`, and the place is for `{expected}`")]
pub struct OtherDigest {
    /// What the place names.
    expected: Digest,
    /// What was put.
    found: String,
}

impl OtherDigest {
    /// Compares an image with the digest that its place names.
    pub(crate) fn check(expected: &Digest, image: &Descriptor) -> Result<(), Self> {
        if expected.as_str() == image.digest().as_ref() {
            return Ok(());
        }
        Err(Self {
            expected: expected.clone(),
            found: image.digest().to_string(),
        })
    }
}

/// What an image is called in `index.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EntryName {
    /// Nothing.
    None,
    /// A tag, or a whole name, as the user wrote it.
    Tag(String),
    /// A name of an image.
    Reference(Reference),
    /// Its digest, which it has to have.
    Digest(Digest),
}

impl From<&LayoutSelector> for EntryName {
    fn from(selector: &LayoutSelector) -> Self {
        match selector {
            LayoutSelector::Default => Self::None,
            LayoutSelector::Tag(tag) => Self::Tag(tag.clone()),
            LayoutSelector::Digest(digest) => Self::Digest(digest.clone()),
        }
    }
}

impl EntryName {
    /// Returns the names of an image, or that it has none.
    pub(crate) fn of(names: &[Reference]) -> Vec<Self> {
        match names {
            [] => vec![Self::None],
            names => names.iter().cloned().map(Self::Reference).collect(),
        }
    }

    /// Returns the name as docker lists it: with a tag.
    pub(crate) fn tag(&self) -> Option<String> {
        match self {
            Self::Reference(name) => name.tag().is_some().then(|| name.familiar()),
            Self::None | Self::Tag(_) | Self::Digest(_) => None,
        }
    }

    /// Returns the entry of an image with this name.
    pub(crate) fn entry(&self, root: &Descriptor) -> Result<Descriptor, OtherDigest> {
        let top = without_names(root);
        let mut annotations: BTreeMap<_, _> = top
            .annotations()
            .clone()
            .unwrap_or_default()
            .into_iter()
            .collect();
        match self {
            Self::None => {}
            Self::Tag(tag) => {
                annotations.insert(ANNOTATION_REF_NAME.to_owned(), tag.clone());
            }
            Self::Reference(name) => {
                let tag = name.tag().unwrap_or("latest").to_owned();
                annotations.insert(ANNOTATION_IMAGE_NAME.to_owned(), name.to_string());
                annotations.insert(ANNOTATION_REF_NAME.to_owned(), tag);
            }
            Self::Digest(expected) => OtherDigest::check(expected, root)?,
        }
        Ok(descriptor::with_annotations(top, &annotations))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Makes an entry of some text, with a tag or without one.
    pub(in crate::layout) fn entry(text: &str, name: Option<&str>) -> Descriptor {
        let digest = Digest::of(text.as_bytes());
        let top = descriptor::descriptor(oci::media_type::OCI_INDEX, &digest, text.len() as u64);
        let names = name.map(|name| (ANNOTATION_REF_NAME.to_owned(), name.to_owned()));
        descriptor::with_annotations(top, &names.into_iter().collect())
    }

    #[test]
    fn an_image_in_a_layout_has_its_whole_name_and_its_tag() {
        let name = Reference::parse_docker_ref("app:1").unwrap();
        let named = EntryName::Reference(name)
            .entry(&entry("a", Some("old")))
            .unwrap();
        for (key, expected) in [
            (ANNOTATION_IMAGE_NAME, "docker.io/library/app:1"),
            (ANNOTATION_REF_NAME, "1"),
        ] {
            assert_eq!(descriptor::annotation_of(&named, key), Some(expected));
        }
        let other = EntryName::Digest(Digest::of(b"b")).entry(&entry("a", None));
        assert!(matches!(other, Err(OtherDigest { .. })));
    }
}
