use std::sync::Arc;

use oci::Platform;
use oci::descriptor::descriptor;
use oci::media_type::{DOCKER_LAYER_GZIP, OCI_LAYER_GZIP};
use solver::Stack;
use solver::result::{Held, StackLayer};
use store::SnapshotId;

use super::*;

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds).unwrap()
}

fn key(text: &str) -> CacheKey {
    serde_json::from_value(serde_json::json!(Digest::of(text.as_bytes()))).unwrap()
}

fn layer(name: &str) -> Arc<StackLayer> {
    Arc::new(StackLayer {
        id: SnapshotId::new(name).unwrap(),
        held: Held::Stored,
        created: Some(time(5)),
    })
}

fn keyed(name: &str) -> KeyedLayer {
    KeyedLayer {
        key: key(name),
        asked: Vec::new(),
        definitions: vec![key(&format!("definition of {name}"))],
        layer: layer(name),
        on: Stack::scratch(),
        made: time(9),
    }
}

fn result() -> PlatformResult {
    let platform = Platform::new("linux", "amd64");
    PlatformResult {
        config: ImageConfig::new(&platform),
        platform,
        stack: Stack::from_iter(["base", "one", "two"].map(layer)),
        history: Vec::new(),
    }
}

/// Returns the configuration and the layers of the image that a result becomes.
fn image(result: &PlatformResult) -> (ImageConfig, Vec<oci::Descriptor>) {
    let mut config = result.config.clone();
    let layers = ["base", "one", "two"].map(|name| {
        let digest = Digest::of(name.as_bytes());
        config.rootfs.diff_ids.push(DiffId::new(digest.clone()));
        descriptor(DOCKER_LAYER_GZIP, &digest, 7)
    });
    (config, layers.to_vec())
}

#[test]
fn an_image_tells_which_key_led_to_which_of_its_layers() {
    let mut result = result();
    // What is not in the image is not told.
    let all = [keyed("two"), keyed("one"), keyed("elsewhere")];
    put(&mut result, &all, Times::Kept);
    let (config, layers) = image(&result);
    // Through a reader that knows nothing of the field.
    let config = ImageConfig::parse(&config.to_bytes()).unwrap();
    let found = read(&config, &layers).unwrap().unwrap();
    let told: Vec<_> = found
        .records
        .iter()
        .map(|record| {
            (
                record.key.clone(),
                found.layers[record.layer].digest.clone(),
            )
        })
        .collect();
    let expected = ["two", "one"].map(|name| (key(name), Digest::of(name.as_bytes())));
    assert_eq!(told, expected);
    assert_eq!(found.aliases.len(), 2);
    assert_eq!(found.layers[0].media_type, OCI_LAYER_GZIP);
}

#[test]
fn an_image_without_the_field_has_no_cache() {
    let mut result = result();
    put(&mut result, &[keyed("one")], Times::Kept);
    remove(&mut result.config);
    let (config, layers) = image(&result);
    assert_eq!(read(&config, &layers).unwrap(), None);
}

#[test]
fn a_field_that_is_damaged_or_of_another_format_is_refused() {
    for (change, expected) in [
        (
            serde_json::json!({"format": 2}),
            "the cache has the format 2, and this program reads 1",
        ),
        (
            serde_json::json!("text"),
            "cannot read the configuration of the cache",
        ),
        (
            serde_json::json!({"format": 1, "records": [{"key": key("one"), "layer": 3, "created": time(0)}]}),
            "a record of the cache names the layer 3, and there are 3",
        ),
    ] {
        let (mut config, layers) = image(&result());
        config.extra.insert(FIELD.to_owned(), change);
        let error = read(&config, &layers).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_record_stands_on_the_commands_below_its_layer() {
    let mut result = result();
    let stack = Stack::scratch().with(layer("base"));
    result.stack = stack.with_command(layer("one")).with_command(layer("two"));
    let mut two = keyed("two");
    two.asked.push(key("asked"));
    put(&mut result, &[keyed("one"), two], Times::Kept);
    let (config, layers) = image(&result);
    let found = read(&config, &layers).unwrap().unwrap();
    let on_one = solver::digest_of_commands(&[DiffId::new(Digest::of(b"one"))]);
    let told = found.records.iter();
    let told: Vec<_> = told
        .map(|record| (&record.key, record.on.clone(), record.earlier.clone()))
        .collect();
    let expected = [
        (&key("one"), None, None),
        (&key("two"), on_one.clone(), None),
        (&key("asked"), on_one, Some(key("two"))),
    ];
    assert_eq!(told, expected);
}
