//! `type=docker`: an archive that `docker load` and `podman load` take.

use std::fs;

use insta::assert_snapshot;
use support::Archive;

use super::bench_on_base;

#[test]
fn an_archive_has_dockers_list_and_media_types_and_is_a_layout_too() {
    let bench = bench_on_base();
    let flags = ["-t", "app:1", "-t", "example.org/app"];
    let built = bench.build_as(&flags, "type=docker,dest=out.tar");
    let image = built.image();
    assert_eq!(image.text("file"), "content\n");
    let layer = "application/vnd.docker.image.rootfs.diff.tar";
    assert_eq!(
        image.media_types,
        [layer.to_owned(), format!("{layer}.gzip")]
    );
    assert_eq!(
        built.archive.top_media_type(),
        "application/vnd.docker.distribution.manifest.v2+json"
    );
    let saved = built.archive.saved.clone().unwrap();
    let start = "[{\"Config\":\"blobs/sha256/";
    assert!(saved.starts_with(start), "{saved}");
    let tags = "\"RepoTags\":[\"docker.io/library/app:1\",\"example.org/app:latest\"],\"Layers\":[\"blobs/sha256/";
    assert!(saved.contains(tags), "{saved}");
    assert_eq!(saved.matches("blobs/sha256/").count(), 1 + 2);
}

#[test]
fn an_archive_that_is_there_is_left_alone_unless_its_names_change() {
    let bench = bench_on_base();
    let build = |tag: &str| {
        let flags = ["-t", tag, "-o", "type=docker,dest=out.tar"];
        let log = bench.careen_build(&flags).run().success();
        let exported = log.stderr.lines().last().unwrap_or_default().to_owned();
        (
            exported.ends_with("CACHED"),
            fs::read(bench.path("out.tar")).unwrap(),
        )
    };
    let first = build("app:1");
    assert_eq!(build("app:1"), (true, first.1.clone()));
    let (unchanged, renamed) = build("app:2");
    assert!(!unchanged);
    assert!(Archive::read(&renamed).saved.unwrap().contains("app:2"));
}

#[test]
fn an_oci_layout_can_have_dockers_media_types_and_the_other_way_round() {
    let bench = bench_on_base();
    let built = bench.build_as(&[], "type=oci,dest=out.tar,oci-mediatypes=false");
    assert!(built.archive.top_media_type().contains("docker"));
    let built = bench.build_as(&[], "type=docker,dest=out.tar,oci-mediatypes=true");
    let layer = "application/vnd.oci.image.layer.v1.tar";
    assert_eq!(
        built.image().media_types,
        [layer.to_owned(), format!("{layer}+gzip")]
    );
}

#[test]
fn layers_of_the_base_are_compressed_again_if_that_is_asked_for() {
    let bench = bench_on_base();
    let layer = "application/vnd.oci.image.layer.v1.tar";
    for (attributes, expected) in [
        ("compression=zstd", ["", "+zstd"]),
        (
            "compression=zstd,force-compression=true",
            ["+zstd", "+zstd"],
        ),
        ("force-compression=true", ["+gzip", "+gzip"]),
        ("compression=uncompressed,force-compression=true", ["", ""]),
    ] {
        let built = bench.build_as(&[], &format!("type=oci,dest=out.tar,{attributes}"));
        let expected = expected.map(|end| format!("{layer}{end}"));
        assert_eq!(built.image().media_types, expected, "{attributes}");
        assert_eq!(built.image().text("base"), "base\n");
    }
}

#[test]
fn an_archive_of_one_image_refuses_several() {
    let bench = bench_on_base();
    let run = |flags: &[&str]| bench.failure(flags, 2);
    let output = "type=docker,dest=out.tar";
    assert_snapshot!(run(&["--platform", "linux/amd64,linux/arm64", "-o", output]), @"error: `--output type=docker` is an archive of one image, and the build has 2 platforms: `type=oci` takes several");
    let forced = ["--build-arg", "BUILDKIT_MULTI_PLATFORM=1", "-o", output];
    assert_snapshot!(run(&forced), @"error: `--output type=docker` is an archive of one image, and cannot have an index");
}
