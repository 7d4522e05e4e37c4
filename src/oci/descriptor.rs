//! Descriptors and the documents made of them; image-spec `descriptor.md`.
//!
//! The structures are those of the package `oci-spec`, re-exported. Two things of it are worked round
//! here and in [`crate::check`], found by trying version 0.10: it writes and reads a platform's
//! `os.version` and `os.features` under other names, and its annotations are hash maps, whose order is
//! not the same twice. Documents are therefore read with [`crate::check::parse_index`] and
//! [`crate::check::parse_manifest`], and written with [`to_canonical_json`].

use std::collections::BTreeMap;

use oci_spec::image::{Arch, Os};
pub use oci_spec::image::{Descriptor, ImageIndex, ImageManifest, OciLayout};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::digest::{Digest, DigestError};
use crate::json;
use crate::platform::Platform;

/// `oci-spec`'s structures, for what is not re-exported by name.
pub use oci_spec::image as spec;

/// The annotation with the reference of an image in an image layout's index.
pub const ANNOTATION_REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation that says when an image was made.
pub const ANNOTATION_CREATED: &str = "org.opencontainers.image.created";
/// The annotation with which BuildKit marks what is not an image in an index.
pub const ANNOTATION_REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// The annotation that says which manifest of an index an attestation is about (BuildKit, "Attestation storage").
pub const ANNOTATION_REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// The version of the schema that every manifest and index names.
pub(crate) const SCHEMA_VERSION: u32 = 2;

/// Returns a descriptor with the three fields that each has.
pub fn descriptor(media_type: &str, digest: &Digest, size_bytes: u64) -> Descriptor {
    Descriptor::new(media_type.into(), size_bytes, to_spec_digest(digest))
}

fn to_spec_digest(digest: &Digest) -> spec::Digest {
    digest
        .as_str()
        .parse()
        .expect("a digest of ours is one of the specification")
}

/// Returns a descriptor of something for a platform.
#[must_use]
pub fn with_platform(mut descriptor: Descriptor, platform: &Platform) -> Descriptor {
    descriptor.set_platform(Some(to_spec_platform(platform)));
    descriptor
}

/// Returns a descriptor with these annotations, or with none.
#[must_use]
pub fn with_annotations(
    mut descriptor: Descriptor,
    annotations: &BTreeMap<String, String>,
) -> Descriptor {
    let some = (!annotations.is_empty()).then(|| annotations.clone().into_iter().collect());
    descriptor.set_annotations(some);
    descriptor
}

/// Returns a descriptor with an annotation more, or with another value of one that it has.
#[must_use]
pub fn annotated(descriptor: &Descriptor, key: &str, value: &str) -> Descriptor {
    let annotations = descriptor.annotations().clone().unwrap_or_default();
    let mut annotations: BTreeMap<_, _> = annotations.into_iter().collect();
    annotations.insert(key.to_owned(), value.to_owned());
    with_annotations(descriptor.clone(), &annotations)
}

/// Returns a manifest without media type and annotations.
pub fn new_manifest(config: Descriptor, layers: Vec<Descriptor>) -> ImageManifest {
    let builder = spec::ImageManifestBuilder::default();
    built(
        builder
            .schema_version(SCHEMA_VERSION)
            .config(config)
            .layers(layers)
            .build(),
    )
}

/// Returns an index without media type and annotations.
pub fn new_index(manifests: Vec<Descriptor>) -> ImageIndex {
    let builder = spec::ImageIndexBuilder::default();
    built(
        builder
            .schema_version(SCHEMA_VERSION)
            .manifests(manifests)
            .build(),
    )
}

fn built<T>(result: Result<T, oci_spec::OciSpecError>) -> T {
    result.expect("a builder fails on missing fields alone, and none is")
}

/// Returns the digest of a descriptor.
///
/// # Errors
///
/// Fails on a digest that is well-formed but cannot be verified: of another algorithm than SHA-256 and
/// SHA-512.
pub fn digest_of(descriptor: &Descriptor) -> Result<Digest, DigestError> {
    Digest::parse(descriptor.digest().as_ref())
}

/// Returns the platform of a descriptor, if it says one.
pub fn platform_of(descriptor: &Descriptor) -> Option<Platform> {
    let platform = descriptor.platform().as_ref()?;
    Some(Platform {
        architecture: platform.architecture().to_string(),
        os: platform.os().to_string(),
        os_version: platform.os_version().clone(),
        os_features: platform.os_features().clone().unwrap_or_default(),
        variant: platform.variant().clone(),
    })
}

/// Returns an annotation of a descriptor.
pub fn annotation_of<'a>(descriptor: &'a Descriptor, key: &str) -> Option<&'a str> {
    descriptor
        .annotations()
        .as_ref()?
        .get(key)
        .map(String::as_str)
}

pub(crate) fn to_spec_platform(platform: &Platform) -> spec::Platform {
    let mut result = spec::Platform::default();
    result.set_architecture(match platform.architecture.as_str() {
        // oci-spec 0.10 takes this word for `arm64be`.
        "armbe" => Arch::ARMbe,
        other => other.into(),
    });
    result.set_os(Os::from(platform.os.as_str()));
    result.set_os_version(platform.os_version.clone());
    result.set_os_features(Some(platform.os_features.clone()).filter(|list| !list.is_empty()));
    result.set_variant(platform.variant.clone());
    result
}

/// Returns a document as JSON without white space, the same bytes for the same values.
pub fn to_canonical_json<T: Serialize>(document: &T) -> Vec<u8> {
    json::to_vec(&canonical(json::to_value(document)))
}

fn canonical(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(canonical).collect()),
        Value::Object(map) => Value::Object(map.into_iter().map(canonical_field).collect()),
        other => other,
    }
}

fn canonical_field((key, value): (String, Value)) -> (String, Value) {
    match (key.as_str(), value) {
        ("annotations", Value::Object(mut map)) => {
            map.sort_keys();
            (key, Value::Object(map))
        }
        ("platform", Value::Object(map)) => (key, Value::Object(rename_platform_fields(map))),
        (_, value) => (key, canonical(value)),
    }
}

/// Gives the fields that `oci-spec` misnames the names of the specification.
fn rename_platform_fields(map: Map<String, Value>) -> Map<String, Value> {
    let rename = |(key, value): (String, Value)| match key.as_str() {
        "os_version" => ("os.version".to_owned(), value),
        "os_features" => ("os.features".to_owned(), value),
        _ => (key, value),
    };
    map.into_iter().map(rename).collect()
}

#[cfg(test)]
mod tests;
