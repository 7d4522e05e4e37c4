//! `save` and `load`.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;

use serde_json::{Value, json};
use support::{Archive, Bench, Entry, compress, tarball};

use super::{PLATFORMS, copy, digest, images};
use crate::bench;

/// Makes a bench whose store has the images as `app:1` and `other:2`.
fn stored() -> Bench {
    let bench = images();
    for name in ["store:app:1", "store:other:2"] {
        copy(&bench, "oci:base", name);
    }
    bench
}

#[test]
fn images_are_saved_and_loaded_with_all_platforms_and_names() {
    let bench = stored();
    let index = digest(&bench, "store:app:1", &[]);
    let saved = bench.careen(&["save", "-o", "s.tar", "app:1", "other:2"]);
    assert_eq!(saved.run().success().text(), "");
    let tar = fs::read(bench.path("s.tar")).unwrap();
    let archive = Archive::read(&tar);
    assert_eq!(
        archive.annotations("org.opencontainers.image.ref.name"),
        ["1", "2"]
    );
    let list: Value = serde_json::from_str(archive.saved.as_deref().unwrap()).unwrap();
    assert_eq!(list[0]["RepoTags"], json!(["app:1"]));
    assert_eq!(list[1]["RepoTags"], json!(["other:2"]));
    bench.forget();
    let loaded = bench
        .careen(&["image", "load", "-i", "s.tar"])
        .run()
        .success();
    assert_eq!(
        loaded.text(),
        "Loaded image: app:1\nLoaded image: other:2\n"
    );
    for name in ["store:app:1", "store:other:2"] {
        assert_eq!(digest(&bench, name, &[]), index);
    }
}

#[test]
fn an_archive_goes_through_a_pipe_compressed_or_not() {
    let bench = stored();
    let saved = bench.careen(&["save", "app:1"]).run().success().stdout;
    for tar in [
        saved.clone(),
        compress::gzip(&saved),
        compress::zstd(&saved),
    ] {
        bench.forget();
        fs::write(bench.path("piped"), &tar).unwrap();
        let piped = File::open(bench.path("piped")).unwrap();
        let loaded = bench.careen(&["load"]).stdin(piped).run().success();
        assert_eq!(loaded.text(), "Loaded image: app:1\n");
        let loaded = bench.careen(&["load", "-q", "--input", "piped"]).run();
        assert_eq!(loaded.success().text(), "");
    }
}

#[test]
fn one_platform_is_saved_and_loaded_alone() {
    let bench = stored();
    let arm64 = digest(&bench, "store:app:1", &["--platform", "linux/arm64"]);
    let save = ["save", "-o", "s.tar", "--platform", "linux/arm64", "app:1"];
    bench.careen(&save).run().success();
    let archive = Archive::read(&fs::read(bench.path("s.tar")).unwrap());
    assert_eq!(archive.image().platform(), "linux/arm64");
    let save = ["save", "-o", "all.tar", "--format", "oci", "app:1"];
    bench.careen(&save).run().success();
    let archive = Archive::read(&fs::read(bench.path("all.tar")).unwrap());
    assert_eq!(
        (archive.images.len(), archive.saved.as_deref()),
        (PLATFORMS.len(), None)
    );
    bench.forget();
    let load = ["load", "-i", "all.tar", "--platform", "linux/arm64"];
    bench.careen(&load).run().success();
    assert_eq!(digest(&bench, "store:app:1", &[]), arm64);
    let load = ["load", "-i", "all.tar", "--platform", "linux/s390x"];
    let refused = bench.careen(&load).run();
    let note = "= note: it has linux/amd64, linux/arm64";
    assert!(refused.error(1).contains(note), "{}", refused.stderr);
}

#[test]
fn what_docker_saved_before_it_knew_layouts_is_loaded() {
    let bench = bench();
    let layer = tarball::write(&[Entry::file("file", "content")]);
    let diff_id = oci::Digest::of(&layer).to_string();
    let config = json!({ "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [diff_id] } });
    let list = json!([{ "Config": "c.json", "RepoTags": ["old:1"], "Layers": ["a/layer.tar"] }]);
    let tar = tarball::write(&[
        Entry::file("b/layer.tar", layer),
        Entry::symlink("a/layer.tar", "../b/layer.tar"),
        Entry::file("c.json", config.to_string()),
        Entry::file("manifest.json", list.to_string()),
    ]);
    fs::write(bench.path("old.tar"), tar).unwrap();
    let loaded = bench.careen(&["load", "-i", "old.tar"]).run().success();
    assert_eq!(loaded.text(), "Loaded image: old:1\n");
    copy(&bench, "store:old:1", "oci:new:1");
    let image = Archive::read_directory(&bench.path("new"));
    assert_eq!(image.image().text("file"), "content");
    let layer = "application/vnd.docker.image.rootfs.diff.tar";
    assert_eq!(image.image().media_types, [layer]);
}

#[test]
fn what_was_saved_twice_has_the_same_bytes() {
    let bench = stored();
    for output in ["one.tar", "two.tar"] {
        let save = bench.careen(&["save", "-o", output, "other:2", "app:1"]);
        save.run().success();
    }
    let read = |name: &str| fs::read(bench.path(name)).unwrap();
    assert_eq!(read("one.tar"), read("two.tar"));
}

#[test]
fn a_reader_that_closes_our_pipe_is_no_error() {
    let bench = stored();
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let closed = File::from(OwnedFd::from(writer));
    let saved = bench.careen(&["save", "app:1"]).stdout(closed).run();
    assert_eq!(saved.success().stderr, "");
}
