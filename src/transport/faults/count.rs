//! What is asked for, and what is not: told by the registry's log.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use oci::Platform;

use super::*;
use crate::copy::{CopyOptions, Selection, Silent, copy};
use crate::testing::{Fixture, Layout, check_all};
use crate::{LayoutSource, RegistrySource, RegistryTarget, Source, Stop, Target};

fn options(selection: Selection) -> CopyOptions<'static> {
    CopyOptions::new(selection, &Silent, Stop::never())
}

fn run(source: &dyn Source, target: &dyn Target, selection: Selection) {
    copy(source, target, &options(selection)).unwrap();
}

/// Opens an image of a layout.
fn layout(fixture: &Fixture, directory: &str, tag: &str) -> LayoutSource {
    let selector = store::LayoutSelector::Tag(tag.to_owned());
    LayoutSource::open(&fixture.path(directory), &selector).unwrap()
}

fn target(client: &Client, name: &str) -> RegistryTarget {
    RegistryTarget::new(&client.registry, &client.reference(name)).unwrap()
}

fn source(client: &Client, name: &str) -> RegistrySource {
    RegistrySource::new(&client.registry, &client.reference(name)).unwrap()
}

/// Returns how many blobs were sent, and which manifests were put.
fn sent(server: &Server) -> (usize, usize) {
    let seen = server.seen();
    let brought =
        |seen: &&Seen| seen.asked.path.contains("/blobs/uploads/") && seen.received_bytes > 0;
    (
        seen.iter().filter(brought).count(),
        count(&seen, "PUT", "/manifests/"),
    )
}

#[test]
fn a_push_of_an_unchanged_image_sends_no_blob() {
    promptly(|| {
        let (fixture, server) = (Fixture::new(), Server::start());
        let client = Client::of(&server);
        let image = layout(&fixture, "images", "many");
        run(&image, &target(&client, "team/app:1"), Selection::All);
        // A layer that all have, three of their own, a statement, and four configurations.
        assert_eq!(sent(&server), (9, 5));
        // It has its name there.
        run(&image, &target(&client, "team/app:1"), Selection::All);
        assert_eq!(sent(&server), (0, 0));
        // It gets another one.
        run(&image, &target(&client, "team/app:2"), Selection::All);
        assert_eq!(sent(&server), (0, 5));
        assert_eq!(check_all(&source(&client, "team/app:1")).len(), 3);
    });
}

#[test]
fn a_push_after_one_layer_has_changed_sends_that_layer_the_configuration_and_the_manifest() {
    promptly(|| {
        let (fixture, server) = (Fixture::new(), Server::start());
        let client = Client::of(&server);
        let image = layout(&fixture, "images", "one");
        run(&image, &target(&client, "team/app:1"), Selection::All);
        assert_eq!(sent(&server), (3, 1));
        // Another system's image has the first layer in common, and has a layer and a configuration of its own.
        let changed = Layout::create(&fixture.path("changed"));
        let manifest = changed.image("linux", "riscv64", None);
        changed.name(&[(&manifest, "one")]);
        let image = layout(&fixture, "changed", "one");
        run(&image, &target(&client, "team/app:2"), Selection::All);
        assert_eq!(sent(&server), (2, 1));
    });
}

#[test]
fn a_push_to_another_repository_of_the_registry_mounts_what_is_there() {
    promptly(|| {
        let (fixture, server) = (Fixture::new(), Server::start());
        let client = Client::of(&server);
        let image = layout(&fixture, "images", "one");
        run(&image, &target(&client, "team/app:1"), Selection::All);
        server.seen();
        run(
            &source(&client, "team/app:1"),
            &target(&client, "other/app:1"),
            Selection::All,
        );
        let seen = server.seen();
        assert_eq!(count(&seen, "POST", "mount="), 3);
        assert_eq!(count(&seen, "GET", "/blobs/"), 0);
        assert_eq!(
            seen.iter()
                .map(|seen| seen.received_bytes)
                .filter(|bytes| *bytes > 0)
                .count(),
            1
        );
    });
}

#[test]
fn a_pull_for_one_platform_asks_for_no_blob_of_another() {
    promptly(|| {
        let (fixture, server) = (Fixture::new(), Server::start());
        let client = Client::of(&server);
        let image = layout(&fixture, "images", "many");
        run(&image, &target(&client, "team/app:1"), Selection::All);
        server.seen();
        let here = crate::LayoutTarget::open(
            &fixture.path("pulled"),
            &store::LayoutSelector::Tag("1".to_owned()),
            &Stop::never(),
        );
        let arm64 = Platform::new("linux", "arm64");
        run(
            &source(&client, "team/app:1"),
            &here.unwrap(),
            Selection::One(arm64.clone()),
        );
        let seen = server.seen();
        let digest = |seen: &Seen| {
            let (_, digest) = seen.asked.path.rsplit_once('/')?;
            Digest::parse(digest).ok()
        };
        let asked: BTreeSet<_> = seen
            .iter()
            .filter(|it| it.line().contains("/blobs/"))
            .filter_map(digest)
            .collect();
        let expected: BTreeSet<_> = {
            let source = layout(&fixture, "pulled", "1");
            let manifest = oci::check::parse_manifest(&source.root().unwrap().bytes).unwrap();
            let blobs = manifest.layers().iter().chain([manifest.config()]);
            blobs
                .map(|blob| oci::descriptor::digest_of(blob).unwrap())
                .collect()
        };
        assert_eq!(asked, expected);
        assert_eq!(
            count(&seen, "GET", "/manifests/"),
            2,
            "the index, and the manifest for {arm64}"
        );
    });
}

/// Copies an image of the registry into a layout while blobs go wrong, and returns the error.
fn spoiled_copy(fault: Fault) -> String {
    promptly(move || {
        let (fixture, server) = (Fixture::new(), Server::start());
        let client = Client::of(&server);
        let image = layout(&fixture, "images", "one");
        run(&image, &target(&client, "team/app:1"), Selection::All);
        let layer = b"the layer that all have";
        let digest = Digest::of(layer);
        let of_layer = digest.to_string();
        server.misbehave(move |asked| asked.path.ends_with(&of_layer).then(|| fault.clone()));
        let selector = store::LayoutSelector::Tag("1".to_owned());
        let path = fixture.path("pulled");
        let here = crate::LayoutTarget::open(&path, &selector, &Stop::never()).unwrap();
        let error = copy(
            &source(&client, "team/app:1"),
            &here,
            &options(Selection::All),
        );
        let text = client.shown(&error.unwrap_err());
        // Never a wrong image, nor a part of one.
        LayoutSource::open(&path, &selector).unwrap_err();
        let text = text.replace(&path.display().to_string(), "$DIR");
        text.replace(digest.as_str(), "$DIGEST")
    })
}

#[test]
fn a_copy_that_cannot_be_done_says_why_and_leaves_no_image() {
    assert_snapshot!(spoiled_copy(Fault::WrongByte), @r"cannot copy `$DIGEST` from `$HOST/team/app:1` to `oci:$DIR:1`: write the image layout `$DIR`: blob `$DIGEST` is damaged: its 23 bytes hash to `sha256:5bafe49308e27d3a798f39c1169664ad381120e93cd89ae04379282c4ea42c3d`");
    assert_snapshot!(spoiled_copy(Fault::Endless), @r"cannot copy `$DIGEST` from `$HOST/team/app:1` to `oci:$DIR:1`: write the image layout `$DIR`: blob `$DIGEST` goes on after its 23 bytes");
    assert_snapshot!(spoiled_copy(Fault::status(404)), @r"cannot copy `$DIGEST` from `$HOST/team/app:1` to `oci:$DIR:1`: read the blob `$DIGEST` of `$HOST/team/app` at `$HOST`: the registry answered 404 Not Found: the test says BLOB_UPLOAD_UNKNOWN (BLOB_UPLOAD_UNKNOWN)");
}
