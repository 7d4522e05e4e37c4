use graph::CacheKey;
use oci::media_type::OCI_LAYER_GZIP;
use oci::{DiffId, Digest, Platform};

use super::*;
use crate::config::{CacheAlias, CacheLayer, PackedTimes};

const DAY: i64 = 24 * 60 * 60;

fn time(days: i64) -> Timestamp {
    Timestamp::from_unix_seconds(days * DAY).unwrap()
}

fn key(text: &str) -> CacheKey {
    serde_json::from_value(serde_json::json!(Digest::of(text.as_bytes()))).unwrap()
}

/// Makes a configuration with a record and a layer for each name, used on these days.
fn config(records: &[(&str, i64)]) -> CacheConfig {
    let mut config = CacheConfig::new(&Platform::new("linux", "amd64"));
    for (name, used) in records {
        let layer = config.add_layer(CacheLayer {
            diff_id: DiffId::new(Digest::of(name.as_bytes())),
            digest: Digest::of(name.as_bytes()),
            size: 1,
            media_type: OCI_LAYER_GZIP.to_owned(),
            times: PackedTimes::Kept,
        });
        config.records.push(CacheRecord {
            key: key(name),
            layer,
            created: time(*used),
            made: time(*used),
            used: time(*used),
            on: None,
            earlier: None,
        });
    }
    config
}

/// Returns the days on which the records of these names were used, and checks that each leads to its own layer.
fn used(config: &CacheConfig, names: &[&str]) -> Vec<Option<i64>> {
    let used = names.iter().map(|name| {
        let record = config
            .records
            .iter()
            .find(|record| record.key == key(name))?;
        let layer = &config.layers[record.layer];
        assert_eq!(layer.digest, Digest::of(name.as_bytes()));
        Some(record.used.seconds() / DAY)
    });
    used.collect()
}

#[test]
fn what_earlier_builds_left_stays_as_long_as_it_is_used() {
    let mut new = config(&[("base", 100), ("main", 100)]);
    let earlier = config(&[("base", 99), ("branch", 99), ("month", 70), ("old", 69)]);
    keep_earlier(&mut new, &earlier, time(100));
    let found = used(&new, &["base", "main", "branch", "month", "old"]);
    assert_eq!(found, [Some(100), Some(100), Some(99), Some(70), None]);
    assert_eq!(new.layers.len(), 4);
}

#[test]
fn there_is_a_bound_to_what_stays_and_the_last_used_stays() {
    let names: Vec<_> = (0..LAYERS_KEPT + 5)
        .map(|at| format!("layer {at}"))
        .collect();
    let records: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(at, name)| (name.as_str(), if at < 5 { 98 } else { 99 }))
        .collect();
    let mut new = config(&[("main", 100)]);
    keep_earlier(&mut new, &config(&records), time(100));
    assert_eq!(new.layers.len(), LAYERS_KEPT + 1);
    assert_eq!(
        used(&new, &["layer 0", "layer 4", "layer 5"]),
        [None, None, Some(99)]
    );
}

#[test]
fn an_alias_stays_if_it_leads_to_something() {
    let alias = |definition: &str, content: &str| CacheAlias {
        definition: key(definition),
        content: key(content),
    };
    let mut new = config(&[("main", 100)]);
    new.aliases.push(alias("copy", "main"));
    let mut earlier = config(&[("branch", 99), ("old", 1)]);
    earlier.aliases = vec![
        alias("copy", "branch"),
        alias("other", "branch"),
        alias("lost", "old"),
    ];
    keep_earlier(&mut new, &earlier, time(100));
    assert_eq!(
        new.aliases,
        [alias("copy", "main"), alias("other", "branch")]
    );
}
