//! A cache inside an image: a field of its configuration that says which key led to which of its layers.
//!
//! Programs that do not know the field pass it over, and copies of the image have it too. It is as reproducible as the
//! image: a record tells no time but that of its layer.

use std::collections::{BTreeMap, BTreeSet};

use graph::CacheKey;
use layer::Times;
use oci::descriptor::digest_of;
use oci::{DiffId, Digest, ImageConfig, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use solver::{KeyedLayer, PlatformResult, digest_with_command};

use crate::config::{
    CacheAlias, CacheConfig, CacheLayer, CacheRecord, ConfigError, FORMAT, PackedTimes,
};
use crate::export::aliases_of;

/// The field of an image's configuration.
pub const FIELD: &str = "careen.cache.v1";

/// What the field says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct InlineCache {
    format: u32,
    #[serde(default)]
    times: PackedTimes,
    records: Vec<InlineRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<CacheAlias>,
}

/// What a key led to: one of the image's layers, counted from the lowest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct InlineRecord {
    key: CacheKey,
    layer: usize,
    created: Timestamp,
    /// Whether a command made it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    command: bool,
    /// The key of an earlier result that is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    earlier: Option<CacheKey>,
}

/// Takes the cache of a base out of the configuration of what is made from it: its layers are there, and its records
/// would be taken for this image's.
pub fn remove(config: &mut ImageConfig) {
    config.extra.remove(FIELD);
}

/// Puts a cache into the configuration of a result, whose layers stay as they are.
pub fn put(result: &mut PlatformResult, keyed: &[KeyedLayer], times: Times) {
    let places: BTreeMap<_, _> = result
        .stack
        .layers()
        .iter()
        .enumerate()
        .map(|(at, layer)| (&layer.id, at))
        .collect();
    let commands: BTreeSet<_> = result.stack.commands().map(|layer| &layer.id).collect();
    let records = keyed.iter().filter_map(|keyed| {
        let record = InlineRecord {
            key: keyed.key.clone(),
            layer: *places.get(&keyed.layer.id)?,
            created: keyed.layer.created?,
            command: commands.contains(&keyed.layer.id),
            earlier: None,
        };
        let asked = keyed.asked.iter().map(|key| InlineRecord {
            key: key.clone(),
            earlier: Some(keyed.key.clone()),
            ..record.clone()
        });
        let asked: Vec<_> = asked.collect();
        Some(std::iter::once(record).chain(asked))
    });
    let records: Vec<_> = records.flatten().collect();
    let cache = InlineCache {
        format: FORMAT,
        times: times.into(),
        aliases: aliases_of(keyed, |key| records.iter().any(|record| record.key == *key)),
        records,
    };
    // Its keys are texts and its numbers finite: there is nothing that JSON could not hold.
    if let Ok(cache) = serde_json::to_value(cache) {
        result.config.extra.insert(FIELD.to_owned(), cache);
    }
}

/// Returns the cache of an image; `None` if it has none.
///
/// # Errors
///
/// Fails when it is malformed, or of another format.
pub fn read(
    config: &ImageConfig,
    layers: &[oci::Descriptor],
) -> Result<Option<CacheConfig>, ConfigError> {
    let Some(field) = config.extra.get(FIELD) else {
        return Ok(None);
    };
    if let Some(format) = field.get("format").and_then(Value::as_u64)
        && format != u64::from(FORMAT)
    {
        return Err(ConfigError::Format { found: format });
    }
    let cache: InlineCache = serde_json::from_value(field.clone())?;
    let mut found = CacheConfig::new(&config.platform());
    let described = layers.iter().zip(&config.rootfs.diff_ids);
    for (descriptor, diff_id) in described {
        // A layer that cannot be verified is in its place all the same: records count from the lowest.
        let digest = digest_of(descriptor).unwrap_or_else(|_| diff_id.digest().clone());
        found.layers.push(CacheLayer {
            diff_id: diff_id.clone(),
            digest,
            size: descriptor.size(),
            media_type: oci_layer_type(descriptor.media_type().as_ref()),
            times: cache.times,
        });
    }
    let on = commands_below(&cache.records, &config.rootfs.diff_ids);
    let record = |record: InlineRecord| CacheRecord {
        key: record.key,
        layer: record.layer,
        created: record.created,
        made: record.created,
        used: record.created,
        on: on.get(record.layer).cloned().flatten(),
        earlier: record.earlier,
    };
    found.records = cache.records.into_iter().map(record).collect();
    found.aliases = cache.aliases;
    found.check()?;
    Ok(Some(found))
}

/// Returns for each layer of an image which results of commands are below it, in the words of caches.
fn commands_below(records: &[InlineRecord], tars: &[DiffId]) -> Vec<Option<Digest>> {
    let commands = records.iter().filter(|record| record.command);
    let commands: BTreeSet<_> = commands.map(|record| record.layer).collect();
    let mut below = None;
    let each = tars.iter().enumerate().map(|(at, tar)| {
        let on = below.clone();
        if commands.contains(&at) {
            below = Some(digest_with_command(on.as_ref(), tar));
        }
        on
    });
    each.collect()
}

/// Returns the OCI name of a layer's media type.
fn oci_layer_type(media_type: &str) -> String {
    oci::media_type::layer_in_flavour(media_type, oci::media_type::Flavour::Oci)
}

#[cfg(test)]
mod tests;
