//! `type=oci`: archives and directories.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use insta::assert_snapshot;
use support::{Archive, Bench};

use super::bench_on_base;
use crate::bench;

const NAME: &str = "org.opencontainers.image.ref.name";
const FULL_NAME: &str = "io.containerd.image.name";

/// Returns what is directly in a directory of the bench.
fn names(bench: &Bench, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(bench.path(directory)).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn an_archive_has_an_index_with_the_image_of_each_platform() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    let built = bench.build(&["--platform", "linux/arm/v7,linux/amd64", "-t", "demo:1"]);
    let archive = &built.archive;
    assert_eq!(
        archive.top_media_type(),
        "application/vnd.oci.image.index.v1+json"
    );
    assert_eq!(archive.annotations(NAME), ["1"]);
    assert_eq!(archive.annotations(FULL_NAME), ["docker.io/library/demo:1"]);
    let platforms: Vec<_> = archive
        .images
        .iter()
        .map(support::Image::platform)
        .collect();
    assert_eq!(platforms, ["linux/arm/v7", "linux/amd64"]);
    // An index, and for each platform a manifest and a configuration; the layer is the same.
    assert_eq!(archive.blobs().len(), 1 + 2 + 2 + 1);
}

#[test]
fn an_image_has_as_many_names_as_it_was_given() {
    let bench = bench_on_base();
    let built = bench.build(&["-t", "one", "-t", "example.org/two:2"]);
    let archive = &built.archive;
    assert_eq!(archive.annotations(NAME), ["latest", "2"]);
    let full = ["docker.io/library/one:latest", "example.org/two:2"];
    assert_eq!(archive.annotations(FULL_NAME), full);
    assert_eq!(archive.top_digests().len(), 1);
}

#[test]
fn layers_are_compressed_as_asked_and_those_of_the_base_are_left_alone() {
    let bench = bench_on_base();
    let tar = "application/vnd.oci.image.layer.v1.tar";
    let cases = [
        ("", format!("{tar}+gzip")),
        (
            ",compression=gzip,compression-level=9",
            format!("{tar}+gzip"),
        ),
        (",compression=zstd", format!("{tar}+zstd")),
        (",compression=uncompressed", tar.to_owned()),
    ];
    for (asked, expected) in cases {
        let built = bench.build_as(&[], &format!("type=oci,dest=out.tar{asked}"));
        assert_eq!(built.image().media_types, [tar, &expected], "{asked}");
        assert_eq!(built.image().text("file"), "content\n");
    }
}

#[test]
fn an_archive_goes_to_standard_output() {
    let bench = bench_on_base();
    let run = bench
        .careen_build(&["-o", "type=oci,dest=-"])
        .run()
        .success();
    let bytes = &run.stdout;
    bench.build(&[]);
    assert_eq!(*bytes, fs::read(bench.path("out.tar")).unwrap());
}

#[test]
fn a_directory_is_a_layout_that_is_added_to() {
    let bench = bench_on_base();
    let output = "type=oci,dest=layout,tar=false";
    bench
        .careen_build(&["-t", "demo:1", "-o", output])
        .run()
        .success();
    let first = Archive::read_directory(&bench.path("layout"));
    assert_eq!(first.annotations(FULL_NAME), ["docker.io/library/demo:1"]);

    bench.file("file", "another\n");
    bench
        .careen_build(&["-t", "demo:2", "-o", output])
        .run()
        .success();
    let both = Archive::read_directory(&bench.path("layout"));
    let names = ["docker.io/library/demo:1", "docker.io/library/demo:2"];
    assert_eq!(both.annotations(FULL_NAME), names);
    let texts: Vec<_> = both.images.iter().map(|image| image.text("file")).collect();
    assert_eq!(texts, ["content\n", "another\n"]);

    bench
        .careen_build(&["-t", "demo:1", "-o", output])
        .run()
        .success();
    let moved = Archive::read_directory(&bench.path("layout"));
    assert_eq!(moved.top_digests(), [both.top_digests()[1].clone()]);
    assert_eq!(names_of(&moved), names_of(&both));
    assert_eq!(
        self::names(&bench, "layout"),
        ["blobs", "index.json", "oci-layout"]
    );
}

#[test]
fn what_is_written_into_a_blob_of_a_layout_stays_in_no_later_image() {
    let bench = bench_on_base();
    let output = |name: &str| format!("type=oci,dest={name},tar=false");
    let build = |name: &str| bench.careen_build(&["-o", &output(name)]).run();
    build("one").success();
    let one = Archive::read_directory(&bench.path("one"));
    // The base's layer is a plain tar.
    let entries = fs::read_dir(bench.path("one/blobs/sha256")).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    let is_gzip = |path: &PathBuf| fs::read(path).unwrap().starts_with(&[0x1f, 0x8b]);
    let blob = paths.find(is_gzip).unwrap();
    // Blobs are read-only: nobody does this by accident.
    assert_eq!(fs::metadata(&blob).unwrap().mode() & 0o777, 0o444);
    let mut bytes = fs::read(&blob).unwrap();
    bytes[20] ^= 1;
    fs::set_permissions(&blob, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&blob, &bytes).unwrap();

    let again = build("two");
    let error = again.error(1);
    assert!(error.contains("is damaged"), "{error}");
    build("three").success();
    let three = Archive::read_directory(&bench.path("three"));
    assert_eq!(three.images[0].text("file"), "content\n");
    assert_eq!(three.top_digests(), one.top_digests());
}

fn names_of(archive: &Archive) -> Vec<&str> {
    let mut names = archive.annotations(FULL_NAME);
    names.sort_unstable();
    names
}

#[test]
fn an_archive_that_is_there_is_replaced() {
    let bench = bench_on_base();
    fs::write(bench.path("out.tar"), "something else").unwrap();
    assert_eq!(bench.build(&[]).image().text("file"), "content\n");
    fs::remove_file(bench.path("out.tar")).unwrap();
    assert_eq!(bench.build(&[]).image().text("file"), "content\n");
    fs::write(bench.path("out.tar"), "something else again").unwrap();
    assert_eq!(bench.build(&[]).image().text("file"), "content\n");
}

#[test]
fn a_build_that_fails_leaves_the_target_alone() {
    let bench = bench_on_base();
    fs::create_dir(bench.path("target")).unwrap();
    fs::write(bench.path("target/out.tar"), "from before").unwrap();
    bench.dockerfile("FROM base\nCOPY no-such-file /\n");
    bench.refusal(&["-o", "type=oci,dest=target/out.tar"]);
    assert_eq!(names(&bench, "target"), ["out.tar"]);
    assert_eq!(
        fs::read(bench.path("target/out.tar")).unwrap(),
        b"from before"
    );
}

#[test]
fn directories_that_are_missing_are_made() {
    let bench = bench_on_base();
    let output = "type=oci,dest=made/for/it/out.tar";
    bench.careen_build(&["-o", output]).run().success();
    let archive = fs::read(bench.path("made/for/it/out.tar")).unwrap();
    assert_eq!(Archive::read(&archive).image().text("file"), "content\n");
}

#[test]
fn an_export_that_fails_leaves_nothing_half_written() {
    let bench = bench_on_base();
    fs::create_dir_all(bench.path("target/out.tar/full")).unwrap();
    assert_snapshot!(bench.refusal(&["-o", "type=oci,dest=target/out.tar"]), @r"
    error: cannot write `$BENCH/target/out.tar`
      = caused by: Is a directory (os error 21)
    ");
    assert_eq!(names(&bench, "target"), ["out.tar"]);
    assert_snapshot!(bench.refusal(&["-o", "type=oci,dest=context/file/out.tar"]), @r"
    error: cannot write `$BENCH/context/file/out.tar`
      = caused by: File exists (os error 17)
    ");
    assert_eq!(names(&bench, "."), ["base", "context", "home", "target"]);
}

#[test]
fn a_full_disk_is_told_in_the_systems_words() {
    let bench = bench_on_base();
    assert_snapshot!(bench.failure(&["-o", "type=oci,dest=/dev/full"], 3), @r"
    error: cannot write `/dev/full`
      = caused by: write the tar
      = caused by: No space left on device (os error 28)
    ");
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let bench = bench_on_base();
    bench.file("large", vec![7; 4 << 20]);
    bench.dockerfile("FROM scratch\nCOPY large /\n");
    let script = "\"$@\" | true";
    let run = bench.careen_build_under(
        &["sh", "-c", script, "sh"],
        &["-o", "type=oci,dest=-,compression=uncompressed"],
    );
    let log = run.run().success();
    assert!(!log.stderr.contains("error:"), "{}", log.stderr);
}

#[test]
fn a_build_without_an_output_says_so() {
    let bench = bench_on_base();
    let log = bench.careen_build(&[]).run().success();
    let expected = "warning: no output was asked for: the result stays in the cache. \
        `--load` keeps it in the store as an image, `--push` pushes it, `--output type=oci,dest=FILE` writes it";
    assert_eq!(log.stderr.lines().last(), Some(expected));
}
