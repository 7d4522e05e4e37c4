//! Tests of archives that others wrote, and of those that are hostile.

use std::fs;
use std::io;

use oci::media_type::{DOCKER_LAYER, DOCKER_LAYER_GZIP};
use oci::{DiffId, ImageConfig, Platform};
use serde_json::{Value, json};
use support::{Entry, compress, tarball};

use super::*;
use crate::testing::{Fixture, chain, check_all};

/// The tar of a layer that makes a file of this name.
fn layer(name: &str) -> Vec<u8> {
    tarball::write(&[Entry::file(name, "content")])
}

/// A configuration for these layers.
fn config(layers: &[&[u8]]) -> Vec<u8> {
    let mut config = ImageConfig::new(&Platform::new("linux", "amd64"));
    let diff_ids = layers.iter().map(|layer| DiffId::new(Digest::of(layer)));
    config.rootfs.diff_ids = diff_ids.collect();
    config.to_bytes()
}

fn manifest_json(entries: &Value) -> Entry {
    Entry::file("manifest.json", entries.to_string())
}

/// An archive of docker with one image of two layers, the names of whose files are given.
fn docker(files: &[Entry], layers: &[&str], tags: &[&str]) -> Vec<u8> {
    let config = config(&[&layer("a"), &layer("b")]);
    let mut entries = vec![Entry::file("config.json", config)];
    entries.extend(files.iter().cloned());
    let list = json!([{ "Config": "config.json", "RepoTags": tags, "Layers": layers }]);
    entries.push(manifest_json(&list));
    tarball::write(&entries)
}

impl Fixture {
    fn archive(&self, bytes: &[u8]) -> Result<ImageFile, ArchiveSourceError> {
        let path = self.path("x.tar");
        fs::write(&path, bytes).unwrap();
        ImageFile::open(&path, &self.store, &Stop::never())
    }

    /// Returns why an archive, or its image, cannot be used.
    fn refusal(&self, bytes: &[u8]) -> String {
        let result = self.archive(bytes).and_then(|archive| archive.images());
        let text = chain(&result.unwrap_err());
        text.replace(&self.path("x.tar").display().to_string(), "x.tar")
    }
}

fn media_types(source: &ArchiveSource) -> Vec<String> {
    let manifest = check::parse_manifest(&source.root.bytes).unwrap();
    let layers = manifest.layers().iter();
    layers.map(|layer| layer.media_type().to_string()).collect()
}

#[test]
fn layers_of_an_archive_of_docker_are_what_they_are_there() {
    let fixture = Fixture::new();
    let plain = docker(
        &[
            Entry::file("one/layer.tar", layer("a")),
            Entry::file("two/layer.tar", layer("b")),
        ],
        &["one/layer.tar", "two/layer.tar"],
        &["app:1", "reg.example/app:2"],
    );
    let linked = docker(
        &[
            Entry::file("blobs/a", layer("a")),
            Entry::symlink("one/layer.tar", "../blobs/a"),
            Entry::file("b.tar", layer("b")),
            Entry::hard_link("two/layer.tar", "b.tar"),
        ],
        &["one/layer.tar", "two/layer.tar"],
        &["app:1", "reg.example/app:2"],
    );
    for archive in [plain, linked] {
        let images = fixture.archive(&archive).unwrap().images().unwrap();
        let [image] = images.as_slice() else {
            unreachable!("there is one image")
        };
        let names: Vec<_> = image.names.iter().map(Reference::familiar).collect();
        assert_eq!(names, ["app:1", "reg.example/app:2"]);
        assert_eq!(media_types(&image.source), [DOCKER_LAYER; 2]);
        assert_eq!(check_all(&image.source), ["linux/amd64"]);
    }
}

#[test]
fn layers_that_are_compressed_stay_so_and_their_diff_ids_are_right() {
    let fixture = Fixture::new();
    let files = [
        Entry::file("a.tar.gz", compress::gzip(&layer("a"))),
        Entry::file("b.tar", layer("b")),
    ];
    let archive = docker(&files, &["a.tar.gz", "b.tar"], &[]);
    let image = fixture.archive(&archive).unwrap().named(None).unwrap();
    assert_eq!(media_types(&image), [DOCKER_LAYER_GZIP, DOCKER_LAYER]);
    assert_eq!(check_all(&image), ["linux/amd64"]);
    let files = [
        Entry::file("a.tar.gz", compress::gzip(&layer("another"))),
        Entry::file("b.tar", layer("b")),
    ];
    let text = fixture.refusal(&docker(&files, &["a.tar.gz", "b.tar"], &[]));
    let (found, expected) = (Digest::of(&layer("another")), Digest::of(&layer("a")));
    assert_eq!(
        text,
        format!(
            "the layer `a.tar.gz` of `x.tar` unpacks to `{found}`, and its image says `{expected}`"
        )
    );
}

#[test]
fn a_layer_that_is_not_the_one_of_the_configuration_is_noticed_when_it_is_read() {
    let fixture = Fixture::new();
    let files = [
        Entry::file("a.tar", layer("x")),
        Entry::file("b.tar", layer("b")),
    ];
    let archive = docker(&files, &["a.tar", "b.tar"], &["app:1"]);
    let image = fixture.archive(&archive).unwrap().named(None).unwrap();
    let manifest = check::parse_manifest(&image.root.bytes).unwrap();
    let mut reader = image.blob(&manifest.layers()[0], 0).unwrap();
    let read = io::copy(&mut reader, &mut io::sink());
    assert!(read.unwrap_err().to_string().contains("is damaged"));
}

#[test]
fn the_first_archives_of_docker_have_chains_of_images() {
    let fixture = Fixture::new();
    let first = json!({ "id": "aa", "created": "2014-01-01T00:00:00Z",
        "container_config": { "Cmd": ["/bin/sh", "-c", "one"] } });
    let second = json!({ "id": "bb", "parent": "aa", "created": "2014-01-02T00:00:00Z",
        "architecture": "amd64", "os": "linux", "config": { "Cmd": ["sh"] }, "Size": 7,
        "container_config": { "Cmd": ["/bin/sh", "-c", "two"] } });
    let chain = |second: &Value| {
        tarball::write(&[
            Entry::file("aa/json", first.to_string()),
            Entry::file("aa/layer.tar", layer("a")),
            Entry::file("bb/json", second.to_string()),
            Entry::file("bb/layer.tar", layer("b")),
            Entry::file("repositories", r#"{"app":{"1":"bb","2":"bb"}}"#),
        ])
    };
    let archive = fixture.archive(&chain(&second)).unwrap();
    let images = archive.images().unwrap();
    let names: Vec<_> = images[0].names.iter().map(Reference::familiar).collect();
    assert_eq!(names, ["app:1", "app:2"]);
    let source = &images[0].source;
    assert_eq!(check_all(source), ["linux/amd64"]);
    let manifest = check::parse_manifest(&source.root.bytes).unwrap();
    let mut bytes = Vec::new();
    let mut config = source.blob(manifest.config(), 0).unwrap();
    config.read_to_end(&mut bytes).unwrap();
    let config: Value = serde_json::from_slice(&bytes).unwrap();
    let history = config["history"].as_array().unwrap();
    assert_eq!(history[0]["created_by"], "/bin/sh -c one");
    assert_eq!(history[1]["created_by"], "/bin/sh -c two");
    assert_eq!(config["config"]["Cmd"], json!(["sh"]));
    assert_eq!(
        (&config["id"], &config["Size"]),
        (&Value::Null, &Value::Null)
    );
    let endless = json!({ "id": "bb", "parent": "bb" });
    assert_eq!(
        fixture.refusal(&chain(&endless)),
        "the parents of the image `bb` of `x.tar` have no end"
    );
}

#[test]
fn one_of_several_images_is_chosen_by_its_name() {
    let fixture = Fixture::new();
    let list = |tags: [&str; 2]| {
        let image = |tag, config: &str, layer: &str| json!({ "Config": config, "RepoTags": [tag], "Layers": [layer] });
        manifest_json(&json!([
            image(tags[0], "a.json", "a.tar"),
            image(tags[1], "b.json", "b.tar")
        ]))
    };
    let archive = tarball::write(&[
        Entry::file("a.json", config(&[&layer("a")])),
        Entry::file("b.json", config(&[&layer("b")])),
        Entry::file("a.tar", layer("a")),
        Entry::file("b.tar", layer("b")),
        list(["app:1", "app:2"]),
    ]);
    let archive = fixture.archive(&archive).unwrap();
    let name = |text: &str| Reference::parse_docker_ref(text).unwrap();
    for (tag, layer_name) in [("app:1", "a"), ("app:2", "b")] {
        let image = archive.named(Some(&name(tag))).unwrap();
        let manifest = check::parse_manifest(&image.root.bytes).unwrap();
        let found = descriptor::digest_of(&manifest.layers()[0]).unwrap();
        assert_eq!(found, Digest::of(&layer(layer_name)), "{tag}");
    }
    let shown = |result: Result<ArchiveSource, ArchiveSourceError>| {
        let text = result.unwrap_err().to_string();
        text.replace(&fixture.path("x.tar").display().to_string(), "x.tar")
    };
    assert_eq!(
        shown(archive.named(None)),
        "`x.tar` has several images, and which one is not said: `app:1`, `app:2`"
    );
    assert_eq!(
        shown(archive.named(Some(&name("app:3")))),
        "`x.tar` has no image `app:3`; it has `app:1`, `app:2`"
    );
    assert_eq!(
        shown(archive.in_layout(&LayoutSelector::Default)),
        "`x.tar` is no OCI image layout but an archive of docker: `docker-archive:` names it"
    );
}

#[test]
fn hostile_and_broken_archives_are_refused_by_what_is_wrong_with_them() {
    let fixture = Fixture::new();
    let layers = [
        Entry::file("a.tar", layer("a")),
        Entry::file("b.tar", layer("b")),
    ];
    let whole = docker(&layers, &["a.tar", "b.tar"], &["app:1"]);
    let outside = [
        Entry::symlink("a.tar", "../../etc/passwd"),
        Entry::file("b.tar", layer("b")),
    ];
    let turning = [
        Entry::symlink("a.tar", "c"),
        Entry::symlink("c", "a.tar"),
        Entry::file("b.tar", layer("b")),
    ];
    for (archive, expected) in [
        (
            b"no archive at all".to_vec(),
            "read the archive: the archive ends inside an entry",
        ),
        (
            tarball::write(&[]),
            "`x.tar` is no archive of images: it has neither `oci-layout` nor `manifest.json`",
        ),
        (
            whole[..whole.len() / 2].to_vec(),
            "read the archive: the archive ends inside an entry",
        ),
        (
            docker(&outside, &["a.tar", "b.tar"], &[]),
            "`x.tar` has an image that needs `a.tar`, and not that",
        ),
        (
            docker(&turning, &["a.tar", "b.tar"], &[]),
            "`x.tar` has an image that needs `a.tar`, and not that",
        ),
        (
            docker(&layers, &["../../etc/passwd", "b.tar"], &[]),
            "`x.tar` has an image that needs `../../etc/passwd`, and not that",
        ),
        (
            docker(&layers, &["a.tar"], &[]),
            "`config.json` of `x.tar` has 2 diff ids, and the image has 1 layers",
        ),
    ] {
        assert_eq!(fixture.refusal(&archive), expected);
    }
}

#[test]
fn documents_of_an_archive_have_bounds_and_one_meaning() {
    let fixture = Fixture::new();
    let huge = Entry::file("manifest.json", vec![b' '; 5 << 20]);
    let list = manifest_json(&json!([]));
    for (archive, expected) in [
        (
            tarball::write(&[huge]),
            "`manifest.json` of `x.tar` is larger than 4194304 bytes",
        ),
        (
            tarball::write(&[list.clone(), list]),
            "`x.tar` has `manifest.json` twice",
        ),
        (
            tarball::write(&[Entry::file("manifest.json", "[{")]),
            "`manifest.json` of `x.tar` is malformed: EOF while parsing an object at line 1 column 2",
        ),
        (
            tarball::write(&[Entry::file(
                "oci-layout",
                r#"{"imageLayoutVersion":"1.0.0"}"#,
            )]),
            "`x.tar` has an image that needs `index.json`, and not that",
        ),
    ] {
        assert_eq!(fixture.refusal(&archive), expected);
    }
}

#[test]
fn a_compressed_archive_and_one_that_comes_once_are_read_as_any_other() {
    let fixture = Fixture::new();
    let layers = [
        Entry::file("a.tar", layer("a")),
        Entry::file("b.tar", layer("b")),
    ];
    let plain = docker(&layers, &["a.tar", "b.tar"], &["app:1"]);
    for archive in [plain.clone(), compress::gzip(&plain)] {
        let image = fixture.archive(&archive).unwrap().named(None).unwrap();
        assert_eq!(check_all(&image), ["linux/amd64"]);
        let place = (Path::new("-"), &fixture.store);
        let once = ImageFile::read(archive.as_slice(), place, &Stop::never()).unwrap();
        assert_eq!(check_all(&once.named(None).unwrap()), ["linux/amd64"]);
    }
    assert_eq!(
        fs::read_dir(fixture.path("store/ingest")).unwrap().count(),
        0
    );
}

#[test]
fn a_blob_of_an_archive_is_read_from_its_middle() {
    let fixture = Fixture::new();
    let layers = [
        Entry::file("a.tar", layer("a")),
        Entry::file("b.tar", layer("b")),
    ];
    let archive = docker(&layers, &["a.tar", "b.tar"], &[]);
    let image = fixture.archive(&archive).unwrap().named(None).unwrap();
    let manifest = check::parse_manifest(&image.root.bytes).unwrap();
    let mut rest = Vec::new();
    let mut reader = image.blob(&manifest.layers()[0], 600).unwrap();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, layer("a")[600..]);
}

#[test]
fn what_is_written_twice_has_the_same_bytes_and_a_failure_leaves_nothing() {
    let fixture = Fixture::new();
    let archive = |name: &str| {
        let options = crate::CopyOptions::new(crate::Selection::All, &crate::Silent, Stop::never());
        let to = format!("docker-archive:{name}:app:1");
        fixture.copy("oci:images:many", &to, &options).map(drop)
    };
    archive("one.tar").unwrap();
    archive("two.tar").unwrap();
    let one = fs::read(fixture.path("one.tar")).unwrap();
    assert_eq!(one, fs::read(fixture.path("two.tar")).unwrap());
    // Docker's list has the image of the platform that was asked for, which is arm64.
    let entries = tarball::read(&one);
    let list = entries.iter().find(|entry| entry.path == "manifest.json");
    let list: Value = serde_json::from_str(list.unwrap().text()).unwrap();
    assert_eq!(list[0]["RepoTags"], json!(["app:1"]));
    let config = list[0]["Config"].as_str().unwrap();
    let config = entries.iter().find(|entry| entry.path == config).unwrap();
    assert!(config.text().contains(r#""architecture":"arm64""#));

    let layer = Digest::of(b"the layer that all have");
    fs::remove_file(fixture.path("images/blobs/sha256").join(layer.encoded())).unwrap();
    archive("one.tar").unwrap_err();
    archive("three.tar").unwrap_err();
    assert_eq!(fs::read(fixture.path("one.tar")).unwrap(), one);
    let names = fs::read_dir(fixture.path("")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["images", "one.tar", "store", "two.tar"]);
}
