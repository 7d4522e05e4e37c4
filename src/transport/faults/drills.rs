//! What a hostile registry may not do with the content that it gives.

use oci::descriptor::to_canonical_json;
use oci::media_type::{OCI_CONFIG, OCI_FOREIGN_LAYER, OCI_INDEX, OCI_MANIFEST};
use oci::{ImageConfig, Platform};
use serde_json::json;

use super::*;
use crate::testing::Fixture;
use crate::{
    Convert, CopyError, CopyOptions, CopyReport, Referrers, RegistrySource, Selection, Silent,
    Stop, copy, open_target,
};

/// Gives a registry an image of one layer, as it says of it; returns the bytes of the manifest.
fn add_image(server: &Server, layer: &serde_json::Value) -> Vec<u8> {
    let mut config = ImageConfig::new(&Platform::new("linux", "amd64"));
    let diff_id = oci::DiffId::new(Digest::of(b"a layer"));
    config.rootfs.diff_ids.push(diff_id);
    let config = config.to_bytes();
    let digest = server.add_blob(APP, &config);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(OCI_CONFIG, &digest, config.len() as u64),
        "layers": [layer],
        "annotations": {
            "io.containerd.image.name": "docker.io/library/victim:1",
            "org.opencontainers.image.ref.name": "docker.io/library/victim:1",
        },
    });
    let bytes = manifest.to_string().into_bytes();
    server.add_manifest(APP, "1", OCI_MANIFEST, &bytes);
    bytes
}

fn layer(media_type: &str, urls: &[String]) -> serde_json::Value {
    let mut layer = json!(descriptor(media_type, &Digest::of(b"a layer"), 7));
    if !urls.is_empty() {
        layer["urls"] = json!(urls);
    }
    layer
}

/// Pulls the image of a registry into a store, under a name.
fn pull(
    fixture: &Fixture,
    client: &Client,
    name: &str,
    referrers: Referrers,
) -> Result<CopyReport, CopyError> {
    let reference = client.reference(&format!("{APP}:1"));
    let source = RegistrySource::new(&client.registry, &reference).unwrap();
    let target = open_target(&fixture.at(name), &fixture.context()).unwrap();
    let options = CopyOptions {
        selection: Selection::All,
        referrers,
        jobs: 2,
        convert: Convert::Keep,
        progress: &Silent,
        stop: Stop::never(),
    };
    copy(&source, target.as_ref(), &options)
}

fn tags(fixture: &Fixture) -> Vec<String> {
    let tags = fixture.store.content().tags().unwrap();
    tags.iter().map(|(name, _)| name.familiar()).collect()
}

#[test]
fn t_e01_nobody_is_asked_for_a_layer_because_an_image_says_so() {
    for media_type in [OCI_LAYER, OCI_FOREIGN_LAYER] {
        let fixture = Fixture::new();
        let (server, thief) = (Server::start(), server_with(b"a layer"));
        let digest = Digest::of(b"a layer");
        let url = thief.url(&format!("/v2/{APP}/blobs/{digest}"));
        add_image(&server, &layer(media_type, &[url]));
        let login = Login::Basic {
            user: "ana".to_owned(),
            password: "canary".to_owned(),
        };
        let client = Client::with_login(&server, login);
        let pulled = pull(&fixture, &client, "store:app:1", Referrers::Left);
        // A layer that registries do not hand out may be missing; any other may not.
        assert_eq!(pulled.is_ok(), media_type == OCI_FOREIGN_LAYER);
        assert_eq!(thief.seen(), [], "{media_type}");
        assert_eq!(tags(&fixture).is_empty(), pulled.is_err());
    }
}

#[test]
fn t_e14_an_image_has_the_name_that_was_asked_for_and_none_of_its_own() {
    let fixture = Fixture::new();
    let server = server_with(b"a layer");
    let client = Client::of(&server);
    add_image(&server, &layer(OCI_LAYER, &[]));
    pull(&fixture, &client, "store:mine:1", Referrers::Left).unwrap();
    assert_eq!(tags(&fixture), ["mine:1"]);

    // An index says it of its entries.
    let manifest = server.tagged(APP, "1").unwrap();
    let entry = descriptor(OCI_MANIFEST, &Digest::of(&manifest), manifest.len() as u64);
    let mut entry = json!(entry);
    entry["annotations"] = json!({
        "io.containerd.image.name": "docker.io/library/mine:1",
        "org.opencontainers.image.ref.name": "mine:1",
    });
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]});
    server.add_manifest(APP, "1", OCI_INDEX, index.to_string().as_bytes());
    let before = fixture.store.content().tags().unwrap();
    pull(&fixture, &client, "store:other:1", Referrers::Left).unwrap();
    assert_eq!(tags(&fixture), ["mine:1", "other:1"]);
    let after = fixture.store.content().tags().unwrap();
    assert!(before.iter().all(|tag| after.contains(tag)));
}

#[test]
fn t_e13_an_image_that_refers_to_itself_is_copied_once() {
    promptly(|| {
        let fixture = Fixture::new();
        let server = server_with(b"a layer");
        server.behave(Manners {
            no_referrers: true,
            ..Manners::default()
        });
        let image = add_image(&server, &layer(OCI_LAYER, &[]));
        let digest = Digest::of(&image);
        let entry = descriptor(OCI_MANIFEST, &digest, image.len() as u64);
        let mut index = oci::descriptor::new_index(vec![entry]);
        index.set_media_type(Some(OCI_INDEX.into()));
        let tag = format!("sha256-{}", digest.encoded());
        server.add_manifest(APP, &tag, OCI_INDEX, &to_canonical_json(&index));
        let client = Client::of(&server);
        pull(&fixture, &client, "store:app:1", Referrers::Copied).unwrap();
        assert!(server.seen().len() < 20);
    });
}
