//! What is worked round in `oci-spec`.

use super::*;
use crate::check::parse_index;
use crate::media_type::{OCI_INDEX, OCI_MANIFEST};

fn entry(platform: &Platform) -> Descriptor {
    with_platform(descriptor(OCI_MANIFEST, &Digest::of(b""), 7), platform)
}

fn windows() -> Platform {
    Platform {
        os_version: Some("10.0.17763".to_owned()),
        os_features: vec!["win32k".to_owned()],
        ..Platform::new("windows", "amd64")
    }
}

#[test]
fn a_platform_comes_back_as_it_went_in() {
    for platform in [
        windows(),
        Platform::new("linux", "arm").with_variant("v7"),
        Platform::new("linux", "armbe"),
        Platform::new("beos", "m68k"),
    ] {
        assert_eq!(platform_of(&entry(&platform)), Some(platform));
    }
    assert_eq!(
        platform_of(&descriptor(OCI_MANIFEST, &Digest::of(b""), 7)),
        None
    );
}

#[test]
fn canonical_json_has_the_names_of_the_specification_and_is_read_back() {
    let mut index = new_index(vec![entry(&windows())]);
    index.set_media_type(Some(OCI_INDEX.into()));
    let bytes = to_canonical_json(&index);
    let digest = Digest::of(b"");
    assert_eq!(
        String::from_utf8(bytes.clone()).unwrap(),
        format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"{OCI_INDEX}\",\"manifests\":[{{\"mediaType\":\
             \"{OCI_MANIFEST}\",\"digest\":\"{digest}\",\"size\":7,\"platform\":{{\"architecture\":\
             \"amd64\",\"os\":\"windows\",\"os.version\":\"10.0.17763\",\"os.features\":[\"win32k\"]\
             }}}}]}}"
        )
    );
    assert_eq!(parse_index(&bytes).unwrap(), index);
}

#[test]
fn annotations_are_sorted() {
    let annotations: BTreeMap<String, String> = (0..50)
        .map(|number| (format!("key.{number:02}"), number.to_string()))
        .collect();
    let plain = descriptor(OCI_MANIFEST, &Digest::of(b""), 7);
    let annotated = with_annotations(plain.clone(), &annotations);
    assert_eq!(annotation_of(&annotated, "key.07"), Some("7"));
    let text = String::from_utf8(to_canonical_json(&annotated)).unwrap();
    let sorted = serde_json::to_string(&annotations).unwrap();
    assert!(
        text.ends_with(&format!("\"annotations\":{sorted}}}")),
        "{text}"
    );
    assert_eq!(with_annotations(plain.clone(), &BTreeMap::new()), plain);
}

#[test]
fn a_digest_that_cannot_be_verified_is_an_error_when_it_is_used() {
    let text = format!(
        "{{\"mediaType\":\"{OCI_MANIFEST}\",\"size\":1,\"digest\":\"multihash+base58:QmRZ\"}}"
    );
    let parsed = crate::check::parse_descriptor(text.as_bytes()).unwrap();
    assert_eq!(
        digest_of(&parsed).unwrap_err().to_string(),
        "digest `multihash+base58:QmRZ` has the unsupported algorithm `multihash+base58`"
    );
}
