//! The files of an OCI image layout (image-spec, image-layout.md).

use std::collections::BTreeMap;

use oci::descriptor::{self, Descriptor};
use oci::{Reference, Timestamp};
use rootfs::RootPath;

use crate::image::ImageSet;

pub(crate) use transport::layout::{
    INDEX_FILE, VERSION_FILE, VERSION_TEXT as OCI_LAYOUT, blob_path, index_json,
};

/// Returns what [`INDEX_FILE`] says of an image: one entry for each of its names, or one without a name.
pub(crate) fn entries(set: &ImageSet, names: &[Reference]) -> Vec<Descriptor> {
    if names.is_empty() {
        return vec![entry(set, None)];
    }
    let entries = names.iter().map(|name| entry(set, Some(name)));
    entries.collect()
}

/// Returns a descriptor with a name that an image layout gives an image.
fn entry(set: &ImageSet, name: Option<&Reference>) -> Descriptor {
    let mut annotations = set.top_annotations.clone();
    if let Some(name) = name {
        let tag = name.tag().unwrap_or("latest");
        annotations.insert("io.containerd.image.name".to_owned(), name.to_string());
        annotations.insert(descriptor::ANNOTATION_REF_NAME.to_owned(), tag.to_owned());
    }
    annotated(set.top.clone(), annotations, set.created)
}

/// Adds annotations, and the time unless they say another one.
pub(crate) fn annotated(
    top: Descriptor,
    mut annotations: BTreeMap<String, String>,
    created: Option<Timestamp>,
) -> Descriptor {
    if let Some(created) = created {
        annotations
            .entry(descriptor::ANNOTATION_CREATED.to_owned())
            .or_insert_with(|| created.to_string());
    }
    descriptor::with_annotations(top, &annotations)
}

/// Returns a path in a layout.
pub(crate) fn name(path: &str) -> RootPath {
    RootPath::lexical(path).expect("names of an image layout are short and have no NUL")
}

#[cfg(test)]
mod tests {
    use oci::Digest;

    use super::*;

    #[test]
    fn an_image_in_a_layout_has_its_whole_name_and_its_tag() {
        let top = descriptor::descriptor(oci::media_type::OCI_INDEX, &Digest::of(b"x"), 1);
        let mut set = ImageSet {
            documents: Vec::new(),
            layers: BTreeMap::new(),
            images: Vec::new(),
            top: top.clone(),
            top_annotations: BTreeMap::new(),
            created: None,
        };
        assert_eq!(entries(&set, &[]), [top]);
        set.created = Some(Timestamp::from_unix_seconds(0).unwrap());
        set.top_annotations = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let name = Reference::parse_docker_ref("app:1").unwrap();
        let entries = entries(&set, &[name]);
        for (key, expected) in [
            ("io.containerd.image.name", "docker.io/library/app:1"),
            ("org.opencontainers.image.ref.name", "1"),
            ("org.opencontainers.image.created", "1970-01-01T00:00:00Z"),
            ("a", "b"),
        ] {
            let found = descriptor::annotation_of(&entries[0], key);
            assert_eq!(found, Some(expected), "{key}");
        }
    }
}
