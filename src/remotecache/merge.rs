//! What stays of earlier builds when a cache is written again.
//!
//! A build knows its own results alone. Were they all that is written, a branch would lose what the other branch left,
//! and both would build anew each time. So records of earlier builds stay as long as builds use them: for
//! [`UNUSED_KEPT`] after the last one, and never more than [`RECORDS_KEPT`] of them with [`LAYERS_KEPT`] layers, the
//! last used first. What the newer build knows too is as it says.

use std::collections::BTreeSet;

use oci::Timestamp;

use crate::config::{CacheConfig, CacheRecord};
use crate::limits::{LAYERS_KEPT, RECORDS_KEPT, UNUSED_KEPT};

/// Adds to a configuration what stays of an earlier one.
pub fn keep_earlier(config: &mut CacheConfig, earlier: &CacheConfig, now: Timestamp) {
    let known: BTreeSet<_> = config
        .records
        .iter()
        .map(|record| record.key.clone())
        .collect();
    let oldest = now.earlier_by(UNUSED_KEPT);
    let stays = |record: &&CacheRecord| record.used >= oldest && !known.contains(&record.key);
    let mut records: Vec<_> = earlier.records.iter().filter(stays).collect();
    records.sort_by(|one, other| (other.used, &one.key).cmp(&(one.used, &other.key)));
    let layers_max = config.layers.len() + LAYERS_KEPT;
    for record in records.into_iter().take(RECORDS_KEPT) {
        let Some(layer) = earlier.layers.get(record.layer) else {
            continue;
        };
        let is_new = !config.layers.contains(layer);
        if is_new && config.layers.len() >= layers_max {
            continue;
        }
        let layer = config.add_layer(layer.clone());
        config.records.push(CacheRecord {
            layer,
            ..record.clone()
        });
    }
    keep_aliases(config, earlier);
    config.keep_mounts(earlier, oldest);
}

/// Adds the aliases of an earlier configuration that lead to something.
fn keep_aliases(config: &mut CacheConfig, earlier: &CacheConfig) {
    let keys: BTreeSet<_> = config.records.iter().map(|record| &record.key).collect();
    let known: BTreeSet<_> = config
        .aliases
        .iter()
        .map(|alias| &alias.definition)
        .collect();
    let stays = earlier
        .aliases
        .iter()
        .filter(|alias| keys.contains(&alias.content) && !known.contains(&alias.definition));
    let stays: Vec<_> = stays.take(RECORDS_KEPT).cloned().collect();
    config.aliases.extend(stays);
}

#[cfg(test)]
mod tests;
