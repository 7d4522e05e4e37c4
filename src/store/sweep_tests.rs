//! Tests of sweeping.

use std::collections::BTreeSet;

use oci::descriptor::{self, descriptor};
use oci::media_type::{OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
use oci::{Descriptor, Digest, Reference};

use crate::testing::Fixture;
use crate::{Lease, ObjectId};

/// Puts an index of one image with one layer into the store; returns it and its blobs.
fn put_image(fixture: &Fixture, lease: &Lease, layer: &str) -> (Descriptor, Vec<Digest>) {
    let content = fixture.store.content();
    let put = |media_type: &str, bytes: &[u8]| {
        let digest = content.put(lease, bytes).unwrap();
        descriptor(media_type, &digest, bytes.len() as u64)
    };
    let layer = put(OCI_LAYER, layer.as_bytes());
    let config = put(OCI_CONFIG, b"{}");
    let manifest = descriptor::new_manifest(config.clone(), vec![layer.clone()]);
    let manifest = put(OCI_MANIFEST, &descriptor::to_canonical_json(&manifest));
    let index = descriptor::new_index(vec![manifest.clone()]);
    let index = put(OCI_INDEX, &descriptor::to_canonical_json(&index));
    let digests = [&layer, &config, &manifest, &index];
    let digests = digests
        .map(|part| descriptor::digest_of(part).unwrap())
        .to_vec();
    (index, digests)
}

fn name(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn set(digests: &[Digest]) -> BTreeSet<Digest> {
    digests.iter().cloned().collect()
}

#[test]
fn what_an_image_leads_to_stays_as_long_as_it_has_a_name() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    let lease = fixture.store.lease().unwrap();
    let (image, blobs) = put_image(&fixture, &lease, "layer");
    content.tag(&name("demo:1"), &image).unwrap();
    drop(lease);
    let swept = fixture.store.sweep_all().unwrap();
    assert_eq!(swept, crate::Swept::default());
    assert_eq!(content.reached([&image]), set(&blobs));
    content.untag(&name("demo:1")).unwrap();
    let swept = fixture.store.sweep(content.reached([&image])).unwrap();
    let removed: Vec<_> = swept
        .removed
        .iter()
        .map(|(digest, _)| digest.clone())
        .collect();
    assert_eq!(set(&removed), set(&blobs));
    assert!(swept.bytes() > 7);
    assert!(
        blobs
            .iter()
            .all(|digest| content.has(digest).unwrap().is_none())
    );
}

#[test]
fn what_two_images_share_stays_with_the_other() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    let lease = fixture.store.lease().unwrap();
    let (one, _) = put_image(&fixture, &lease, "one");
    let (two, blobs) = put_image(&fixture, &lease, "two");
    content.tag(&name("two"), &two).unwrap();
    drop(lease);
    let swept = fixture.store.sweep(content.reached([&one])).unwrap();
    // The layer, the manifest, the index; the configuration is that of both.
    assert_eq!(swept.removed.len(), 3);
    assert!(
        blobs
            .iter()
            .all(|digest| content.has(digest).unwrap().is_some())
    );
}

#[test]
fn what_a_record_names_or_a_lease_keeps_stays() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    let lease = fixture.store.lease().unwrap();
    let recorded = content.put(&lease, b"recorded").unwrap();
    let leased = content.put(&lease, b"leased").unwrap();
    let record = format!("demo@{leased}");
    let key = Digest::of(b"key");
    fixture
        .store
        .records()
        .put(&key, &vec![recorded.to_string()])
        .unwrap();
    let other = fixture.again().lease().unwrap();
    other.hold(&ObjectId::Blob(leased.clone())).unwrap();
    drop(lease);
    let swept = fixture.store.sweep_all().unwrap();
    assert_eq!(
        (swept.removed, swept.in_use),
        (Vec::new(), vec![leased.clone()])
    );
    fixture.store.records().put(&key, &record).unwrap();
    drop(other);
    let swept = fixture.store.sweep_all().unwrap();
    assert_eq!(swept.removed, [(recorded, 8)]);
    assert_eq!(content.has(&leased).unwrap(), Some(6));
}

#[test]
fn an_image_that_lacks_a_platform_keeps_what_it_has() {
    let fixture = Fixture::new();
    let content = fixture.store.content();
    let lease = fixture.store.lease().unwrap();
    let (_, blobs) = put_image(&fixture, &lease, "layer");
    let absent = descriptor(OCI_MANIFEST, &Digest::of(b"absent"), 6);
    let there = descriptor(
        OCI_MANIFEST,
        &blobs[2],
        content.has(&blobs[2]).unwrap().unwrap(),
    );
    let index = descriptor::to_canonical_json(&descriptor::new_index(vec![absent, there]));
    let digest = content.put(&lease, &index).unwrap();
    content
        .tag(
            &name("demo"),
            &descriptor(OCI_INDEX, &digest, index.len() as u64),
        )
        .unwrap();
    drop(lease);
    let swept = fixture.store.sweep_all().unwrap();
    // The first index, which nobody names.
    assert_eq!(swept.removed.len(), 1);
    assert_eq!(swept.removed[0].0, blobs[3]);
}
