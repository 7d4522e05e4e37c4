//! Bytes → documents.
//!
//! A document is read into a structure of ours first, then turned into `oci-spec`'s: ours knows the
//! fields that must *not* be there, reads `null` for an empty list as Go does, and keeps `os.version`
//! and `os.features`, which `oci-spec` loses.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use super::error::{DocumentError, DocumentKind};
use super::syntax::{is_base64, is_media_type, is_uri};
use crate::descriptor::{
    Descriptor, ImageIndex, ImageManifest, OciLayout, SCHEMA_VERSION, new_index, new_manifest,
    spec, to_spec_platform,
};
use crate::json::null_is_default;
use crate::media_type::MediaType;
use crate::platform::Platform;

/// Every field that has a meaning at the top of a manifest or an index.
const TOP_FIELDS: [&str; 9] = [
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    "fsLayers",
];

/// Parses an image manifest, OCI's or Docker's schema 2.
///
/// Layers may be none at all: image-spec `manifest.md` says that there *should* be one, and an image
/// `FROM scratch` that sets labels alone has none.
///
/// # Errors
///
/// Fails on more than 4 MiB, on another version of the schema, on a document that says it is something
/// else or has the fields of an index too, and on descriptors that are not well-formed.
pub fn parse_manifest(bytes: &[u8]) -> Result<ImageManifest, DocumentError> {
    let kind = DocumentKind::Manifest;
    let document: ManifestDocument = read(kind, bytes)?;
    document.head.check(kind, MediaType::is_manifest)?;
    refuse_field(kind, "manifests", document.manifests)?;
    let config = document.config.into_descriptor(kind)?;
    let mut manifest = new_manifest(config, into_descriptors(kind, document.layers)?);
    manifest.set_media_type(document.head.media_type.as_deref().map(Into::into));
    manifest.set_artifact_type(read_media_type(kind, document.head.artifact_type)?);
    manifest.set_subject(
        document
            .head
            .subject
            .map(|it| it.into_descriptor(kind))
            .transpose()?,
    );
    manifest.set_annotations(
        document
            .head
            .annotations
            .map(|map| map.into_iter().collect()),
    );
    Ok(manifest)
}

/// Parses an image index, OCI's or Docker's manifest list.
///
/// # Errors
///
/// Fails on more than 4 MiB, on another version of the schema, on a document that says it is something
/// else or has the fields of a manifest too, and on descriptors that are not well-formed.
pub fn parse_index(bytes: &[u8]) -> Result<ImageIndex, DocumentError> {
    let kind = DocumentKind::Index;
    let document: IndexDocument = read(kind, bytes)?;
    document.head.check(kind, MediaType::is_index)?;
    refuse_field(kind, "config", document.config)?;
    refuse_field(kind, "layers", document.layers)?;
    let mut index = new_index(into_descriptors(kind, document.manifests)?);
    index.set_media_type(document.head.media_type.as_deref().map(Into::into));
    index.set_artifact_type(read_media_type(kind, document.head.artifact_type)?);
    index.set_subject(
        document
            .head
            .subject
            .map(|it| it.into_descriptor(kind))
            .transpose()?,
    );
    index.set_annotations(
        document
            .head
            .annotations
            .map(|map| map.into_iter().collect()),
    );
    Ok(index)
}

/// Parses a lone descriptor.
///
/// # Errors
///
/// Fails on more than 4 MiB and on a field that is missing or not well-formed. A digest of an algorithm
/// that careen cannot verify is no failure here but when it is used
/// ([`crate::descriptor::digest_of`]).
pub fn parse_descriptor(bytes: &[u8]) -> Result<Descriptor, DocumentError> {
    let kind = DocumentKind::Descriptor;
    let document: DescriptorDocument = read(kind, bytes)?;
    document.into_descriptor(kind)
}

/// Parses the file `oci-layout`; image-spec `image-layout.md`, "oci-layout file".
///
/// # Errors
///
/// Fails on more than 4 KiB and on a version that is not 1.x.
pub fn parse_layout(bytes: &[u8]) -> Result<OciLayout, DocumentError> {
    let layout: OciLayout = read(DocumentKind::Layout, bytes)?;
    let version = layout.image_layout_version();
    if !version.starts_with("1.") {
        return Err(DocumentError::LayoutVersion {
            found: version.clone(),
        });
    }
    Ok(layout)
}

/// What manifests and indexes have in common.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    schema_version: u32,
    media_type: Option<String>,
    artifact_type: Option<String>,
    subject: Option<DescriptorDocument>,
    annotations: Option<BTreeMap<String, String>>,
    fs_layers: Option<IgnoredAny>,
    #[serde(flatten)]
    unknown: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct ManifestDocument {
    config: DescriptorDocument,
    #[serde(deserialize_with = "null_is_default")]
    layers: Vec<DescriptorDocument>,
    manifests: Option<IgnoredAny>,
    #[serde(flatten)]
    head: Head,
}

#[derive(Deserialize)]
struct IndexDocument {
    #[serde(deserialize_with = "null_is_default")]
    manifests: Vec<DescriptorDocument>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    #[serde(flatten)]
    head: Head,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescriptorDocument {
    media_type: String,
    digest: spec::Digest,
    size: u64,
    urls: Option<Vec<String>>,
    annotations: Option<BTreeMap<String, String>>,
    platform: Option<Platform>,
    artifact_type: Option<String>,
    data: Option<String>,
}

/// Reads JSON of a bounded size.
fn read<T: DeserializeOwned>(kind: DocumentKind, bytes: &[u8]) -> Result<T, DocumentError> {
    let found_bytes = bytes.len() as u64;
    if found_bytes > kind.max_bytes() {
        return Err(DocumentError::TooLarge { kind, found_bytes });
    }
    serde_json::from_slice(bytes).map_err(|source| DocumentError::Json { kind, source })
}

impl Head {
    fn check(
        &self,
        kind: DocumentKind,
        is_right: fn(MediaType) -> bool,
    ) -> Result<(), DocumentError> {
        let stated = self
            .media_type
            .as_deref()
            .map(|text| (text, MediaType::parse(text)));
        let is_schema1 = matches!(stated, Some((_, MediaType::Schema1)));
        if self.fs_layers.is_some() || self.schema_version == 1 || is_schema1 {
            return Err(DocumentError::Schema1 { kind });
        }
        if self.schema_version != SCHEMA_VERSION {
            return Err(DocumentError::SchemaVersion {
                kind,
                found: self.schema_version,
            });
        }
        if let Some((found, _)) = stated.filter(|(_, media_type)| !is_right(*media_type)) {
            return Err(DocumentError::OtherKind {
                kind,
                found: found.to_owned(),
            });
        }
        // Go's readers take `Layers` for `layers`: they would see another document than this one.
        let is_known = |field: &&String| TOP_FIELDS.iter().any(|it| it.eq_ignore_ascii_case(field));
        match self.unknown.keys().find(is_known) {
            Some(field) => Err(DocumentError::Ambiguous {
                kind,
                field: field.clone(),
            }),
            None => Ok(()),
        }
    }
}

fn refuse_field(
    kind: DocumentKind,
    field: &str,
    value: Option<IgnoredAny>,
) -> Result<(), DocumentError> {
    match value {
        Some(_) => Err(DocumentError::Ambiguous {
            kind,
            field: field.to_owned(),
        }),
        None => Ok(()),
    }
}

impl DescriptorDocument {
    fn into_descriptor(self, kind: DocumentKind) -> Result<Descriptor, DocumentError> {
        self.check(kind)?;
        let mut result = Descriptor::new(self.media_type.as_str().into(), self.size, self.digest);
        result.set_urls(self.urls);
        result.set_annotations(self.annotations.map(|map| map.into_iter().collect()));
        result.set_platform(self.platform.as_ref().map(to_spec_platform));
        result.set_artifact_type(read_media_type(kind, self.artifact_type)?);
        result.set_data(self.data);
        Ok(result)
    }

    fn check(&self, kind: DocumentKind) -> Result<(), DocumentError> {
        if !is_media_type(&self.media_type) {
            return Err(DocumentError::MediaType {
                kind,
                text: self.media_type.clone(),
            });
        }
        if i64::try_from(self.size).is_err() {
            return Err(DocumentError::Size {
                kind,
                found_bytes: self.size,
            });
        }
        if let Some(url) = self.urls.iter().flatten().find(|url| !is_uri(url)) {
            return Err(DocumentError::Url {
                kind,
                text: url.clone(),
            });
        }
        if self.data.as_deref().is_some_and(|data| !is_base64(data)) {
            return Err(DocumentError::Data { kind });
        }
        Ok(())
    }
}

fn into_descriptors(
    kind: DocumentKind,
    documents: Vec<DescriptorDocument>,
) -> Result<Vec<Descriptor>, DocumentError> {
    documents
        .into_iter()
        .map(|document| document.into_descriptor(kind))
        .collect()
}

fn read_media_type(
    kind: DocumentKind,
    text: Option<String>,
) -> Result<Option<spec::MediaType>, DocumentError> {
    match text {
        Some(text) if !is_media_type(&text) => Err(DocumentError::MediaType { kind, text }),
        text => Ok(text.as_deref().map(Into::into)),
    }
}
