//! `--annotation`, and the attributes that say the same.

use insta::assert_snapshot;
use support::Bench;

use crate::bench;

fn bench_with_image() -> Bench {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    bench
}

/// The ends of media types.
const MANIFEST: &str = "image.manifest.v1+json";
const INDEX: &str = "image.index.v1+json";

#[test]
fn what_is_said_stands_where_it_is_said_to() {
    let bench = bench_with_image();
    let flags = [
        "--platform=linux/amd64,linux/arm64",
        "--annotation=all=1",
        "--annotation=manifest[linux/arm64]:arm=2",
        "--annotation=index,index-descriptor:index=3",
        "--annotation=manifest-descriptor[linux/amd64]:amd=4",
    ];
    let archive = bench.build(&flags).archive;
    assert_eq!(archive.said(MANIFEST, "all"), ["1", "1"]);
    assert_eq!(archive.said(MANIFEST, "arm"), ["2"]);
    assert_eq!(archive.said(INDEX, "index"), ["3"]);
    assert_eq!(archive.annotations("index"), ["3"]);
    assert_eq!(
        archive.said(MANIFEST, "amd").len() + archive.said(INDEX, "amd").len(),
        0
    );
    assert_eq!(archive.said_of_manifests("amd"), ["4"]);
}

#[test]
fn an_attribute_says_the_same_and_a_flag_more() {
    let bench = bench_with_image();
    let flags = ["--annotation", "both=flag"];
    let output = "type=oci,dest=out.tar,annotation.own=a,annotation.both=b,annotation-manifest-descriptor.d=c";
    let archive = bench.build_as(&flags, output).archive;
    assert_eq!(archive.said(MANIFEST, "own"), ["a"]);
    assert_eq!(archive.said(MANIFEST, "both"), ["flag"]);
    assert_eq!(archive.annotations("d"), ["c"]);
}

#[test]
fn an_index_of_one_platform_is_made_if_it_is_asked_for() {
    let bench = bench_with_image();
    let flags = [
        "--build-arg",
        "BUILDKIT_MULTI_PLATFORM=true",
        "--annotation",
        "index:a=b",
    ];
    let archive = bench.build(&flags).archive;
    assert!(archive.top_media_type().ends_with(INDEX));
    assert_eq!(archive.said(INDEX, "a"), ["b"]);
}

#[test]
fn what_docker_has_no_place_for_makes_it_ocis() {
    let bench = bench_with_image();
    let output = "type=docker,dest=out.tar,annotation-manifest-descriptor.a=b";
    let built = bench.build_as(&[], output);
    assert!(built.archive.top_media_type().ends_with(MANIFEST));
    assert_eq!(built.archive.annotations("a"), ["b"]);
    let said = "warning: the image has OCI's media types: Docker's have no place for the annotations that it has";
    assert!(built.log.stderr.contains(said), "{}", built.log.stderr);
}

#[test]
fn what_has_no_place_is_refused_before_the_build() {
    let bench = bench_with_image();
    let run = |annotation: &str| {
        bench.failure(
            &["-o", "type=oci,dest=out.tar", "--annotation", annotation],
            2,
        )
    };
    assert_snapshot!(run("index:a=b"), @"error: the annotation `a` is for an index, and the image of one platform has none");
    assert_snapshot!(run("manifest[linux/mips]:a=b"), @"error: the annotation `a` is for `linux/mips`, which is not built");
    assert_snapshot!(run("layer:a=b"), @"error: the annotation `layer:a=b` is for `layer`: `manifest`, `manifest-descriptor`, `index` and `index-descriptor` are known");
    assert_snapshot!(run("a"), @"error: the annotation `a` is no `KEY=VALUE`");
}

#[test]
fn what_is_said_of_an_image_is_nothing_of_files() {
    let bench = bench_with_image();
    let log = bench
        .careen_build(&["-o", "out", "--annotation", "a=b"])
        .run()
        .success();
    let said = "warning: `--annotation` changes nothing: no output is an image";
    assert!(log.stderr.contains(said), "{}", log.stderr);
}
