//! `careen load`.

use std::fs::{self, File};

use insta::assert_snapshot;
use support::{Bench, Entry, Feature, needs, tarball};

use crate::bench;

/// Builds an image of this name into `out.tar`, for two platforms.
fn build(bench: &Bench, name: &str) {
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\nLABEL a=1\n");
    bench.build(&["--platform", "linux/amd64,linux/arm64", "-t", name]);
}

fn refusal(bench: &Bench, archive: &[u8]) -> String {
    fs::write(bench.path("bad.tar"), archive).unwrap();
    bench
        .careen(&["load", "-i", "bad.tar"])
        .run()
        .error(1)
        .to_owned()
}

#[test]
fn an_image_that_was_loaded_is_built_upon_by_its_name() {
    let bench = bench();
    build(&bench, "example.org/demo:1");
    bench.forget();
    let loaded = bench.careen(&["load", "-i", "out.tar"]).run().success();
    assert_eq!(loaded.text(), "Loaded image: example.org/demo:1\n");
    bench.dockerfile("FROM example.org/demo:1\n");
    let built = bench.build(&["--platform", "linux/arm64"]);
    assert_eq!(built.image().platform(), "linux/arm64");
    assert_eq!(
        built
            .image()
            .config
            .config
            .labels
            .get("a")
            .map(String::as_str),
        Some("1")
    );
}

#[test]
fn an_archive_comes_from_standard_input_too() {
    let bench = bench();
    build(&bench, "demo");
    let archive = File::open(bench.path("out.tar")).unwrap();
    let loaded = bench.careen(&["load"]).stdin(archive).run().success();
    assert_eq!(loaded.text(), "Loaded image: demo:latest\n");
}

#[test]
fn a_command_runs_on_an_image_that_was_loaded() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN echo made > /made\n");
    bench.build(&["-t", "demo"]);
    bench.forget();
    bench.careen(&["load", "-i", "out.tar"]).run().success();
    bench.dockerfile("FROM demo\nRUN cat /made\n");
    assert_eq!(bench.careen_build(&[]).run().success().output(), ["made"]);
}

#[test]
fn what_is_no_archive_of_an_image_is_refused() {
    let bench = bench();
    assert_snapshot!(refusal(&bench, b"no archive at all"), @r"
    error: cannot load `bad.tar`
      = caused by: read the archive
      = caused by: the archive ends inside an entry
    ");
    assert_snapshot!(refusal(&bench, &tarball::write(&[])), @r"
    error: cannot load `bad.tar`
      = caused by: `$BENCH/bad.tar` is no archive of images: it has neither `oci-layout` nor `manifest.json`
    ");
    assert_snapshot!(bench.careen(&["load", "-i", "no-such.tar"]).run().error(1), @r"
    error: cannot load `no-such.tar`
      = caused by: open `$BENCH/no-such.tar`
      = caused by: No such file or directory (os error 2)
    ");
}

#[test]
fn an_archive_whose_blobs_are_damaged_or_missing_names_nothing() {
    let bench = bench();
    build(&bench, "demo");
    bench.forget();
    let mut entries = tarball::read(&fs::read(bench.path("out.tar")).unwrap());
    let is_blob = |entry: &Entry| entry.path.starts_with("blobs/sha256/");
    let last = entries.remove(entries.iter().position(is_blob).unwrap());
    let missing = refusal(&bench, &tarball::write(&entries));
    assert!(missing.contains("is not in `$BENCH/bad.tar`"), "{missing}");
    entries.push(Entry::file(&last.path, "something else"));
    let damaged = refusal(&bench, &tarball::write(&entries));
    let digest = last.path.replace("blobs/sha256/", "sha256:");
    let words = [" is damaged: its 14 bytes hash to ", " ends after 14 of "];
    let is_said = |word: &&str| damaged.contains(&format!("`{digest}`{word}"));
    assert!(words.iter().any(is_said), "{damaged}");
    let images = bench.careen(&["image", "ls"]).run().success();
    assert_eq!(images.text().lines().count(), 1, "{}", images.text());
}
