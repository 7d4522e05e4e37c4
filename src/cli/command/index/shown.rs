//! Manifests, indexes and configurations as the data of templates, with the names that buildx gives them.

use std::collections::BTreeMap;
use std::io::Read as _;

use oci::check::parse_manifest;
use oci::limits::CONFIG_MAX_BYTES;
use oci::{Descriptor, History, ImageConfig, ImageIndex, VerifiedReader};
use template::{Map, Struct, Value};
use transport::{CombineError, Document, Source};

use super::IndexError;
use crate::command::image::run_config;

/// Returns an index, or the descriptor of a manifest.
pub(super) fn manifest(root: &Descriptor, index: Option<&ImageIndex>) -> Value {
    let Some(index) = index else {
        return descriptor(root).into();
    };
    let annotations = index.annotations().clone().unwrap_or_default();
    Struct::new("v1.Index")
        .field(
            "SchemaVersion",
            "schemaVersion",
            i64::from(index.schema_version()),
        )
        .field("MediaType", "mediaType", root.media_type().to_string())
        .field("Digest", "digest", root.digest().to_string())
        .field("Size", "size", root.size())
        .field(
            "Manifests",
            "manifests",
            Value::list(index.manifests().iter().map(descriptor)),
        )
        .optional("Annotations", "annotations", texts(annotations))
        .into()
}

fn texts<I: IntoIterator<Item = (String, String)>>(entries: I) -> Value {
    Value::texts(&entries.into_iter().collect())
}

/// Returns a descriptor.
pub(super) fn descriptor(descriptor: &Descriptor) -> Struct {
    let annotations = descriptor.annotations().clone().unwrap_or_default();
    let platform = oci::descriptor::platform_of(descriptor).map(|platform| {
        Struct::new("v1.Platform")
            .field(
                "Architecture",
                "architecture",
                platform.architecture.as_str(),
            )
            .field("OS", "os", platform.os.as_str())
            .optional(
                "OSVersion",
                "os.version",
                platform.os_version.unwrap_or_default(),
            )
            .optional(
                "OSFeatures",
                "os.features",
                Value::list_or_nil(platform.os_features),
            )
            .optional("Variant", "variant", platform.variant.unwrap_or_default())
    });
    Struct::new("v1.Descriptor")
        .field(
            "MediaType",
            "mediaType",
            descriptor.media_type().to_string(),
        )
        .field("Digest", "digest", descriptor.digest().to_string())
        .field("Size", "size", descriptor.size())
        .optional("Annotations", "annotations", texts(annotations))
        .optional(
            "Platform",
            "platform",
            platform.map_or(Value::Nil("*v1.Platform"), Value::from),
        )
}

/// Reads the configuration that a manifest names.
pub(super) fn config_of(
    source: &dyn Source,
    manifest: &Document,
) -> Result<ImageConfig, IndexError> {
    let digest = manifest.descriptor.digest().to_string();
    let parsed = parse_manifest(&manifest.bytes).map_err(|error| CombineError::Document {
        shown: source.shown(),
        digest: digest.clone(),
        source: error,
    })?;
    let bytes = blob(source, parsed.config(), CONFIG_MAX_BYTES)?;
    ImageConfig::parse(&bytes).map_err(|error| IndexError::Read {
        shown: format!("{}@{}", source.shown(), parsed.config().digest()),
        source: error.into(),
    })
}

/// Reads a manifest that an index names.
pub(super) fn document(
    source: &dyn Source,
    descriptor: &Descriptor,
) -> Result<Document, IndexError> {
    source
        .document(descriptor)
        .map_err(|error| IndexError::Read {
            shown: format!("{}@{}", source.shown(), descriptor.digest()),
            source: error,
        })
}

/// Reads a blob that has to be small.
pub(super) fn blob(
    source: &dyn Source,
    descriptor: &Descriptor,
    limit_bytes: u64,
) -> Result<Vec<u8>, IndexError> {
    let failed = |error| IndexError::Read {
        shown: format!("{}@{}", source.shown(), descriptor.digest()),
        source: error,
    };
    if descriptor.size() > limit_bytes {
        return Err(failed(
            format!(
                "it has {} bytes, more than {limit_bytes}",
                descriptor.size()
            )
            .into(),
        ));
    }
    let digest = oci::descriptor::digest_of(descriptor).map_err(|error| failed(error.into()))?;
    let reader = source.blob(descriptor, 0).map_err(failed)?;
    let mut bytes = Vec::new();
    VerifiedReader::new(reader, &digest, descriptor.size())
        .read_to_end(&mut bytes)
        .map_err(|error| failed(error.into()))?;
    Ok(bytes)
}

/// Returns the configuration of an image (image-spec, config.md).
pub(super) fn image(config: &ImageConfig) -> Value {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let diff_ids = config
        .rootfs
        .diff_ids
        .iter()
        .map(|id| id.digest().to_string());
    let rootfs = Struct::new("v1.RootFS")
        .field("Type", "type", "layers")
        .field("DiffIDs", "diff_ids", Value::list(diff_ids));
    Struct::new("v1.Image")
        .optional(
            "Created",
            "created",
            config
                .created
                .map(|time| time.to_string())
                .unwrap_or_default(),
        )
        .optional("Author", "author", text(&config.author))
        .field("Architecture", "architecture", config.architecture.as_str())
        .optional("Variant", "variant", text(&config.variant))
        .field("OS", "os", config.os.as_str())
        .optional("OSVersion", "os.version", text(&config.os_version))
        .optional(
            "OSFeatures",
            "os.features",
            Value::list_or_nil(&config.os_features),
        )
        .field("Config", "config", run_config(&config.config))
        .field("RootFS", "rootfs", rootfs)
        .optional(
            "History",
            "history",
            Value::list_or_nil(config.history.iter().map(step)),
        )
        .into()
}

fn step(step: &History) -> Struct {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Struct::new("v1.History")
        .optional(
            "Created",
            "created",
            step.created
                .map(|time| time.to_string())
                .unwrap_or_default(),
        )
        .optional("CreatedBy", "created_by", text(&step.created_by))
        .optional("Author", "author", text(&step.author))
        .optional("Comment", "comment", text(&step.comment))
        .optional("EmptyLayer", "empty_layer", step.empty_layer)
}

/// Returns the only value, or a map from platforms to values.
pub(super) fn one_or_by_platform(values: Vec<(String, Value)>) -> Value {
    let count = values.len();
    one_or_by_platform_of(values, count)
}

/// Returns the value of the only platform, or a map of those platforms of several that have one.
pub(super) fn one_or_by_platform_of(mut values: Vec<(String, Value)>, platforms: usize) -> Value {
    if platforms > 1 {
        return Map::new(values.into_iter().collect::<BTreeMap<_, _>>()).into();
    }
    values.pop().map_or(Value::Null, |(_, value)| value)
}
