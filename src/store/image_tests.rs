//! Tests of images and of finding them.

use oci::descriptor::{self, descriptor};
use oci::media_type::{OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST};
use oci::{Descriptor, Digest, Reference};

use crate::testing::{Fixture, chain};

fn name(text: &str) -> Reference {
    Reference::parse_docker_ref(text).unwrap()
}

fn image(digits: &str) -> Descriptor {
    let digest = Digest::parse(&format!("sha256:{digits:0<64}")).unwrap();
    descriptor(OCI_INDEX, &digest, 10)
}

#[test]
fn an_image_is_found_by_its_name_its_digest_and_the_beginning_of_its_id() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    content.tag(&name("demo:1"), &image("abcd1")).unwrap();
    content.tag(&name("demo"), &image("abcd2")).unwrap();
    content.tag(&name("beef"), &image("abcd2")).unwrap();
    content.keep(&image("beef00")).unwrap();
    let digits = |digits: &str| format!("{digits:0<64}");
    let table = [
        ("demo:1", "abcd1", true),
        ("docker.io/library/demo:1", "abcd1", true),
        ("demo", "abcd2", true),
        // A name goes before an id.
        ("beef", "abcd2", true),
        ("beef0", "beef00", false),
        ("abcd1", "abcd1", false),
        ("sha256:abcd2", "abcd2", false),
        (&digits("abcd1"), "abcd1", false),
        (&format!("sha256:{}", digits("abcd1")), "abcd1", false),
        (&format!("demo@sha256:{}", digits("abcd1")), "abcd1", true),
        (&format!("demo:9@sha256:{}", digits("abcd1")), "abcd1", true),
    ];
    for (text, expected, by_name) in table {
        let found = content.find(text).unwrap();
        assert_eq!(found.image.descriptor, image(expected), "{text}");
        assert_eq!(found.name.is_some(), by_name, "{text}");
    }
    let found = content.find("abcd2").unwrap();
    assert_eq!(found.image.names, [name("beef"), name("demo")]);
}

#[test]
fn the_digest_of_a_configuration_leads_to_the_last_image_that_has_it() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    let lease = fixture.store.lease().unwrap();
    let put = |media_type: &str, bytes: &[u8]| {
        let digest = content.put(&lease, bytes).unwrap();
        descriptor(media_type, &digest, bytes.len() as u64)
    };
    let config = put(OCI_CONFIG, b"{}");
    let image = |layer: &str| {
        let layers = vec![put(OCI_LAYER_GZIP, layer.as_bytes())];
        let manifest = descriptor::new_manifest(config.clone(), layers);
        put(OCI_MANIFEST, &descriptor::to_canonical_json(&manifest))
    };
    let id = config.digest().to_string();
    let one = image("a1");
    content.tag(&name("demo:1"), &one).unwrap();
    let found = content.find(&id).unwrap();
    assert_eq!((found.image.descriptor, found.name), (one, None));
    let other = image("a2");
    content.tag(&name("demo:2"), &other).unwrap();
    let found = content.find(&id).unwrap();
    assert_eq!(found.image.descriptor, other);
}

#[test]
fn what_names_no_image_or_several_is_said() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    content.tag(&name("demo:1"), &image("abcd1")).unwrap();
    content.tag(&name("demo:2"), &image("abcd2")).unwrap();
    let digest = |digits: &str| format!("sha256:{digits:0<64}");
    let several = format!(
        "`abcd` is the beginning of several ids: {}, {}",
        digest("abcd1"),
        digest("abcd2")
    );
    let other = format!("other@{}", digest("abcd1"));
    let table = [
        ("abcd", several.as_str()),
        ("abc", "no such image: `abc`"),
        ("demo", "no such image: `demo`"),
        ("", "no such image: ``"),
        ("Not A Name", "no such image: `Not A Name`"),
        ("beef", "no such image: `beef`"),
        (&other, &format!("no such image: `{other}`")),
    ];
    for (text, expected) in table {
        assert_eq!(chain(&content.find(text).unwrap_err()), expected, "{text}");
    }
}

#[test]
fn what_refers_to_an_image_is_none_and_goes_with_it() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    let lease = fixture.store.lease().unwrap();
    let put = |media_type: &str, bytes: &[u8]| {
        let digest = content.put(&lease, bytes).unwrap();
        descriptor(media_type, &digest, bytes.len() as u64)
    };
    let config = put(OCI_CONFIG, b"{}");
    let manifest = descriptor::new_manifest(config.clone(), Vec::new());
    let manifest = put(OCI_MANIFEST, &descriptor::to_canonical_json(&manifest));
    let mut signature = descriptor::new_manifest(config, Vec::new());
    signature.set_subject(Some(manifest.clone()));
    let signature = put(OCI_MANIFEST, &descriptor::to_canonical_json(&signature));
    content.tag(&name("demo"), &manifest).unwrap();
    content.keep(&signature).unwrap();
    drop(lease);
    assert_eq!(content.images().unwrap().len(), 1);
    assert!(fixture.store.sweep_all().unwrap().removed.is_empty());
    assert_eq!(content.entries().unwrap().len(), 2);
    content.untag(&name("demo")).unwrap();
    assert_eq!(fixture.store.sweep_all().unwrap().removed.len(), 3);
    assert_eq!(content.entries().unwrap(), []);
}

#[test]
fn t_a17_an_id_is_digits_and_leads_to_no_path() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    content.tag(&name("demo"), &image("abcd1")).unwrap();
    std::fs::write(fixture.path("content/blobs/outside"), "{}").unwrap();
    let upper = "A".repeat(64);
    let short = "a".repeat(63);
    for text in [
        "../outside",
        "sha256:../outside",
        "sha256/../outside",
        "/etc/passwd",
        "..",
        &format!("sha256:{upper}"),
        &format!("sha256:{short}"),
        &format!("sha256:{short}/"),
        "abcd1\0",
    ] {
        let error = content.find(text).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("no such image: `{text}`"),
            "{text}"
        );
    }
}
