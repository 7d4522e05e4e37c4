use oci::Platform;
use oci::media_type::OCI_LAYER_GZIP;
use serde_json::{Value, json};

use super::*;

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds).unwrap()
}

/// Returns a key: a digest of a text, as a document has it.
fn key(text: &str) -> CacheKey {
    serde_json::from_value(json!(Digest::of(text.as_bytes()))).unwrap()
}

fn layer(text: &str) -> CacheLayer {
    CacheLayer {
        diff_id: DiffId::new(Digest::of(format!("tar of {text}").as_bytes())),
        digest: Digest::of(text.as_bytes()),
        size: 10,
        media_type: OCI_LAYER_GZIP.to_owned(),
        times: PackedTimes::Kept,
    }
}

fn config() -> CacheConfig {
    let mut config = CacheConfig::new(&Platform::new("linux", "amd64"));
    let layer = config.add_layer(layer("one"));
    config.records.push(CacheRecord {
        key: key("content"),
        layer,
        created: time(1),
        made: time(2),
        used: time(0),
        on: None,
        earlier: None,
    });
    config.aliases.push(CacheAlias {
        definition: key("definition"),
        content: key("content"),
    });
    config
}

/// Returns what is said of the document with one field changed.
fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut value = serde_json::to_value(config()).unwrap();
    change(&mut value);
    let bytes = serde_json::to_vec(&value).unwrap();
    CacheConfig::parse(&bytes).map_or_else(|error| error.to_string(), |_| "read".to_owned())
}

#[test]
fn a_document_is_read_as_it_was_written() {
    let config = config();
    let bytes = config.to_bytes();
    assert_eq!(CacheConfig::parse(&bytes).unwrap(), config);
    assert_eq!(CacheConfig::parse(&bytes).unwrap().to_bytes(), bytes);
}

#[test]
fn times_that_were_changed_are_told_and_others_are_left_out() {
    for (times, expected) in [
        (Times::Kept, Value::Null),
        (
            Times::NotAfter(time(0)),
            json!({"not-after": "1970-01-01T00:00:00Z"}),
        ),
        (Times::All(time(0)), json!({"all": "1970-01-01T00:00:00Z"})),
    ] {
        let layer = CacheLayer {
            times: times.into(),
            ..layer("one")
        };
        let mut value = serde_json::to_value(&layer).unwrap();
        assert_eq!(value["times"].take(), expected);
        assert_eq!(Times::from(layer.times), times);
    }
}

#[test]
fn what_is_malformed_or_beyond_a_bound_is_refused() {
    let one = || serde_json::to_value(layer("one")).unwrap();
    let record = || serde_json::to_value(&config().records[0]).unwrap();
    for (found, expected) in [
        (with(|_| {}), "read"),
        (with(|value| value["unknown"] = json!([])), "read"),
        (
            with(|value| value["format"] = json!(2)),
            "the cache has the format 2, and this program reads 1",
        ),
        (
            with(|value| value["records"][0]["layer"] = json!(1)),
            "a record of the cache names the layer 1, and there are 1",
        ),
        (
            with(|value| value["records"][0]["layer"] = json!(-1)),
            "cannot read the configuration of the cache",
        ),
        (
            with(|value| value["records"][0]["key"] = json!("../../x")),
            "cannot read the configuration of the cache",
        ),
        (
            with(|value| value["layers"][0]["size"] = json!(1_u64 << 60)),
            "the cache has 1152921504606846976 bytes in a layer, more than 137438953472",
        ),
        (
            with(|value| value["layers"] = vec![one(); LAYERS_MAX + 1].into()),
            "the cache has 10001 layers, more than 10000",
        ),
        (
            with(|value| value["records"] = vec![record(); RECORDS_MAX + 1].into()),
            "the cache has 50001 records, more than 50000",
        ),
    ] {
        assert_eq!(found, expected);
    }
}

#[test]
fn a_layer_that_the_manifest_does_not_have_is_refused() {
    let config = config();
    let blobs = config.blobs();
    config.check_manifest(&blobs).unwrap();
    let other_size = descriptor(OCI_LAYER_GZIP, &Digest::of(b"one"), 11);
    for manifest in [vec![], vec![other_size]] {
        let error = config.check_manifest(&manifest).unwrap_err().to_string();
        let digest = Digest::of(b"one");
        assert_eq!(
            error,
            format!("the cache names the layer `{digest}`, which its manifest does not have")
        );
    }
}

#[test]
fn a_blob_that_two_layers_are_is_there_once() {
    let mut config = config();
    assert_eq!(config.add_layer(layer("one")), 0);
    let changed = CacheLayer {
        times: PackedTimes::All(time(0)),
        ..layer("one")
    };
    assert_eq!(config.add_layer(changed), 1);
    assert_eq!(config.blobs().len(), 1);
}
