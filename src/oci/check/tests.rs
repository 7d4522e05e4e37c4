//! Each invariant broken once, and each document that is refused.

use serde_json::{Value, json};

use super::*;
use crate::descriptor::{ImageIndex, OciLayout};
use crate::media_type::{
    DOCKER_INDEX, DOCKER_MANIFEST, DOCKER_SCHEMA1, OCI_CONFIG, OCI_FOREIGN_LAYER, OCI_INDEX,
    OCI_LAYER, OCI_MANIFEST,
};

mod selected;

type Blobs = BTreeMap<Digest, Vec<u8>>;

/// Puts bytes among the blobs and returns their descriptor.
fn put(blobs: &mut Blobs, bytes: &[u8], media_type: &str) -> Value {
    let digest = Digest::of(bytes);
    blobs.insert(digest.clone(), bytes.to_vec());
    json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
}

fn put_json(blobs: &mut Blobs, document: &Value, media_type: &str) -> Value {
    put(blobs, document.to_string().as_bytes(), media_type)
}

fn config() -> Value {
    json!({
        "architecture": "amd64",
        "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": [Digest::of(b"layer")] },
        "history": [{ "created_by": "ADD" }, { "created_by": "CMD", "empty_layer": true }]
    })
}

fn digest_of_value(descriptor: &Value) -> Digest {
    Digest::parse(descriptor["digest"].as_str().unwrap()).unwrap()
}

/// Puts an image with one layer among the blobs and returns the manifest and its descriptor.
fn put_image(blobs: &mut Blobs, config: &Value) -> (Value, Value) {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": put_json(blobs, config, OCI_CONFIG),
        "layers": [put(blobs, b"layer", OCI_LAYER)]
    });
    let descriptor = put_json(blobs, &manifest, OCI_MANIFEST);
    (manifest, descriptor)
}

fn index_of(entries: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries })
}

/// Checks an index of one image after `change` was made to its entry.
fn check_entry(
    config: &Value,
    change: impl Fn(&mut Value),
) -> Result<Vec<CheckedImage>, CheckError> {
    let mut blobs = Blobs::new();
    let (_, mut entry) = put_image(&mut blobs, config);
    change(&mut entry);
    let root = put_json(&mut blobs, &index_of(&[entry]), OCI_INDEX);
    check_image(&digest_of_value(&root), &blobs)
}

/// Checks a lone manifest after `change` was made to it and to the blobs.
fn check_manifest(
    change: impl Fn(&mut Value, &mut Blobs),
) -> Result<Vec<CheckedImage>, CheckError> {
    let mut blobs = Blobs::new();
    let (mut manifest, _) = put_image(&mut blobs, &config());
    change(&mut manifest, &mut blobs);
    let root = put_json(&mut blobs, &manifest, OCI_MANIFEST);
    check_image(&digest_of_value(&root), &blobs)
}

fn source_of(error: &CheckError) -> String {
    std::error::Error::source(error)
        .expect("the error has a cause")
        .to_string()
}

#[test]
fn a_right_image_is_returned_from_an_index_and_alone() {
    let found = check_entry(&config(), |_| {}).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].manifest.layers().len(), 1);
    assert_eq!(found[0].config.platform(), Platform::new("linux", "amd64"));
    assert_eq!(check_manifest(|_, _| {}).unwrap(), found);
}

#[test]
fn blobs_that_are_missing_or_damaged_are_errors() {
    let layer = Digest::of(b"layer");
    let error = check_manifest(|_, blobs| drop(blobs.remove(&layer))).unwrap_err();
    assert_eq!(error.to_string(), format!("blob `{layer}` is missing"));
    for content in [&b"Layer"[..], b"laye", b"layer!"] {
        let error = check_manifest(|_, blobs| drop(blobs.insert(layer.clone(), content.to_vec())));
        assert!(matches!(error, Err(CheckError::Read { .. })), "{content:?}");
    }
    let error = check_manifest(|manifest, _| manifest["layers"][0]["size"] = json!(4)).unwrap_err();
    assert!(matches!(error, CheckError::Read { .. }), "{error}");
    let error = check_image(&Digest::of(b"?"), &Blobs::new()).unwrap_err();
    assert!(matches!(error, CheckError::Missing { .. }), "{error}");
    let root = Digest::of(b"a");
    let error = check_image(&root, &Blobs::from([(root.clone(), b"b".to_vec())])).unwrap_err();
    assert!(source_of(&error).contains("is damaged"), "{error}");
}

#[test]
fn layers_that_are_not_distributed_may_be_missing() {
    let found = check_manifest(|manifest, blobs| {
        manifest["layers"][0]["mediaType"] = json!(OCI_FOREIGN_LAYER);
        blobs.remove(&Digest::of(b"layer"));
    });
    assert_eq!(found.unwrap().len(), 1);
}

#[test]
fn media_types_have_to_fit_their_place() {
    let table = [
        ("/config", OCI_LAYER, "an image configuration"),
        ("/layers/0", OCI_CONFIG, "a layer"),
    ];
    for (place, media_type, expected) in table {
        let error = check_manifest(|manifest, _| {
            manifest.pointer_mut(place).unwrap()["mediaType"] = json!(media_type);
        });
        let message = error.unwrap_err().to_string();
        assert!(message.ends_with(&format!("`{media_type}`, which is not that of {expected}")));
    }
    let error = check_entry(&config(), |entry| entry["mediaType"] = json!(OCI_CONFIG)).unwrap_err();
    assert!(matches!(error, CheckError::MediaType { .. }), "{error}");
    let error = check_entry(&config(), |entry| {
        entry["mediaType"] = json!(DOCKER_MANIFEST);
    })
    .unwrap_err();
    assert!(
        error.to_string().ends_with(&format!(
            "says that it is `{OCI_MANIFEST}`, its descriptor says `{DOCKER_MANIFEST}`"
        )),
        "{error}"
    );
}

#[test]
fn layers_diff_ids_and_history_have_to_be_as_many() {
    let mut without_diff_id = config();
    without_diff_id["rootfs"]["diff_ids"] = json!([]);
    let error = check_entry(&without_diff_id, |_| {}).unwrap_err();
    assert!(
        error.to_string().ends_with("has 1 layers and 0 diff ids"),
        "{error}"
    );
    let mut with_more_history = config();
    with_more_history["history"][1] = json!({});
    let error = check_entry(&with_more_history, |_| {}).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("has 1 layers and 2 entries of the history with one"),
        "{error}"
    );
    let mut without_history = config();
    without_history["history"] = json!([]);
    assert_eq!(check_entry(&without_history, |_| {}).unwrap().len(), 1);
}

#[test]
fn t_e17_the_index_and_the_configuration_have_to_say_one_platform() {
    let error = check_entry(&config(), |entry| {
        entry["platform"] = json!({ "os": "linux", "architecture": "arm64" });
    });
    let message = error.unwrap_err().to_string();
    assert!(
        message
            .ends_with("is for linux/arm64 in the index and for linux/amd64 in its configuration"),
        "{message}"
    );
    let mut unset = config();
    unset["os"] = json!("");
    let error = check_entry(&unset, |_| {}).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("has no operating system or no architecture"),
        "{error}"
    );
}

#[test]
fn platforms_agree_where_both_say_something() {
    let platform = |text: &str| Platform::parse(text, &Platform::new("linux", "amd64")).unwrap();
    let table = [
        ("linux/arm64/v8", "linux/arm64", true),
        ("linux/arm/v6", "linux/arm", true),
        ("linux/arm/v6", "linux/arm/v7", false),
        ("linux/amd64", "linux/386", false),
        ("windows(1.2.3)/amd64", "windows/amd64", true),
        ("windows(1.2.3)/amd64", "windows(1.2.4)/amd64", false),
    ];
    for (index, config, expected) in table {
        assert_eq!(
            platforms_agree(&platform(index), &platform(config)),
            expected,
            "{index} {config}"
        );
    }
}

#[test]
fn t_e17_attestations_are_checked_as_blobs_and_not_returned() {
    let mut blobs = Blobs::new();
    let (_, image) = put_image(&mut blobs, &config());
    let attestation = json!({
        "schemaVersion": 2,
        "config": put(&mut blobs, b"{}", OCI_CONFIG),
        "layers": [put(&mut blobs, b"statement", "application/vnd.in-toto+json")]
    });
    let mut entry = put_json(&mut blobs, &attestation, OCI_MANIFEST);
    entry["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
    let root = put_json(&mut blobs, &index_of(&[image, entry]), OCI_INDEX);
    let root = digest_of_value(&root);
    assert_eq!(check_image(&root, &blobs).unwrap().len(), 1);
    blobs.remove(&Digest::of(b"statement"));
    assert!(matches!(
        check_image(&root, &blobs),
        Err(CheckError::Missing { .. })
    ));
}

#[test]
fn t_e12_four_nested_indexes_are_followed_and_five_are_not() {
    let mut blobs = Blobs::new();
    let (_, mut entry) = put_image(&mut blobs, &config());
    for depth in 1..=INDEX_MAX_DEPTH + 1 {
        entry = put_json(&mut blobs, &index_of(&[entry]), OCI_INDEX);
        let result = check_image(&digest_of_value(&entry), &blobs);
        if depth <= INDEX_MAX_DEPTH {
            assert_eq!(result.unwrap().len(), 1, "depth {depth}");
        } else {
            assert!(
                matches!(result, Err(CheckError::TooDeep { .. })),
                "depth {depth}"
            );
        }
    }
}

#[test]
fn documents_larger_than_the_limit_are_not_read() {
    let limit = usize::try_from(MANIFEST_MAX_BYTES).unwrap();
    let mut text = index_of(&[]).to_string().into_bytes();
    text.resize(limit, b' ');
    assert_eq!(parse_index(&text).unwrap().manifests().len(), 0);
    let root = Digest::of(&text);
    assert!(
        check_image(&root, &Blobs::from([(root.clone(), text.clone())]))
            .unwrap()
            .is_empty()
    );
    text.push(b' ');
    assert_eq!(
        parse_index(&text).unwrap_err().to_string(),
        "image index has 4194305 bytes, more than 4194304"
    );
    assert!(matches!(
        parse_manifest(&text),
        Err(DocumentError::TooLarge { .. })
    ));
    let root = Digest::of(&text);
    let error = check_image(&root, &Blobs::from([(root.clone(), text)])).unwrap_err();
    assert!(matches!(error, CheckError::TooLarge { .. }), "{error}");
    let error = check_entry(&config(), |entry| {
        entry["size"] = json!(MANIFEST_MAX_BYTES + 1);
    });
    assert!(matches!(error, Err(CheckError::TooLarge { .. })));
}

fn manifest() -> Value {
    put_image(&mut Blobs::new(), &config()).0
}

fn set(mut document: Value, field: &str, value: Value) -> Vec<u8> {
    document[field] = value;
    document.to_string().into_bytes()
}

#[test]
fn t_e12_documents_that_two_programs_could_read_differently_are_refused() {
    let index = index_of(&[]);
    let cases = [
        parse_manifest(&set(manifest(), "manifests", json!([]))).err(),
        parse_manifest(&set(manifest(), "Layers", json!([]))).err(),
        parse_index(&set(index.clone(), "layers", json!([]))).err(),
        parse_index(&set(index.clone(), "config", json!({}))).err(),
        parse_index(&set(index.clone(), "MANIFESTS", json!([]))).err(),
    ];
    for (number, error) in cases.into_iter().enumerate() {
        assert!(
            matches!(error, Some(DocumentError::Ambiguous { .. })),
            "{number}: {error:?}"
        );
    }
    let twice = br#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#;
    assert!(matches!(
        parse_index(twice),
        Err(DocumentError::Json { .. })
    ));
    let unknown = set(index, "x", json!(1));
    assert!(
        parse_index(&unknown).is_ok(),
        "unknown fields are not ambiguous"
    );
}

#[test]
fn t_e12_documents_that_say_they_are_something_else_are_refused() {
    let other = |media_type: &str| json!(media_type);
    let cases = [
        parse_manifest(&set(manifest(), "mediaType", other(OCI_INDEX))).err(),
        parse_manifest(&set(manifest(), "mediaType", other("invalid"))).err(),
        parse_index(&set(index_of(&[]), "mediaType", other(OCI_MANIFEST))).err(),
    ];
    for (number, error) in cases.into_iter().enumerate() {
        assert!(
            matches!(error, Some(DocumentError::OtherKind { .. })),
            "{number}: {error:?}"
        );
    }
    let index = parse_index(&set(index_of(&[]), "mediaType", other(DOCKER_INDEX))).unwrap();
    assert_eq!(index.media_type().as_ref().unwrap().as_ref(), DOCKER_INDEX);
    let manifest = parse_manifest(&set(manifest(), "mediaType", Value::Null)).unwrap();
    assert_eq!(manifest.media_type(), &None);
}

#[test]
fn t_e12_schema_1_is_named() {
    let cases = [
        set(manifest(), "fsLayers", json!([])),
        set(manifest(), "schemaVersion", json!(1)),
        set(manifest(), "mediaType", json!(DOCKER_SCHEMA1)),
    ];
    for bytes in cases {
        let message = parse_manifest(&bytes).unwrap_err().to_string();
        assert_eq!(
            message,
            "image manifest is of Docker's schema 1, which is not supported"
        );
    }
    let error = parse_manifest(&set(manifest(), "schemaVersion", json!(3))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "image manifest has the schema version 3, not 2"
    );
}

#[test]
fn null_lists_are_empty_as_go_writes_them() {
    assert!(
        parse_index(&set(index_of(&[]), "manifests", Value::Null))
            .unwrap()
            .manifests()
            .is_empty()
    );
    assert!(
        parse_manifest(&set(manifest(), "layers", Value::Null))
            .unwrap()
            .layers()
            .is_empty()
    );
}

#[test]
fn descriptors_have_bounded_sizes_and_real_urls() {
    let descriptor = |field: &str, value: Value| {
        let plain = json!({ "mediaType": OCI_LAYER, "digest": Digest::of(b""), "size": 0 });
        parse_descriptor(&set(plain, field, value))
            .err()
            .map(|error| error.to_string())
    };
    assert_eq!(descriptor("size", json!(i64::MAX)), None);
    assert_eq!(
        descriptor("size", json!(1_u64 << 63)).unwrap(),
        "descriptor has the size 9223372036854775808, more than 2^63-1"
    );
    assert_eq!(
        descriptor("size", json!(-1)).unwrap(),
        "cannot read the descriptor"
    );
    assert_eq!(
        descriptor("urls", json!(["x"])).unwrap(),
        "descriptor has `x` for a URL"
    );
    assert_eq!(
        descriptor("data", json!("a")).unwrap(),
        "descriptor has embedded data that is not base 64"
    );
    assert_eq!(
        descriptor("digest", json!("sha256:../x")).unwrap(),
        "cannot read the descriptor"
    );
}

#[test]
fn layouts_of_version_1_are_read() {
    let version =
        |bytes: &[u8]| parse_layout(bytes).map(|it: OciLayout| it.image_layout_version().clone());
    assert_eq!(
        version(br#"{"imageLayoutVersion":"1.0.0"}"#).unwrap(),
        "1.0.0"
    );
    let error = version(br#"{"imageLayoutVersion":"2.0.0"}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "image layout has the version `2.0.0`, not 1.x"
    );
    for bytes in [&br#"{"imageLayoutVersion":1.0}"#[..], b"{}"] {
        assert_eq!(
            version(bytes).unwrap_err().to_string(),
            "cannot read the image layout"
        );
    }
}

proptest::proptest! {
    #![proptest_config(crate::unrecorded())]

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64)) {
        drop(parse_index(&bytes));
        drop(parse_manifest(&bytes));
        drop(parse_descriptor(&bytes));
        drop(parse_layout(&bytes));
        drop(ImageConfig::parse(&bytes));
    }
}
