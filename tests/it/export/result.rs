//! Several outputs, and what is told of them: `--iidfile`, `--metadata-file`, `--quiet`.

use std::fs;

use insta::assert_snapshot;
use oci::Digest;
use support::{Archive, Bench};

use crate::bench;

fn bench_with_image() -> Bench {
    let bench = bench();
    bench.file("file", "content\n");
    bench.dockerfile("FROM scratch\nCOPY file /\n");
    bench
}

fn read(bench: &Bench, path: &str) -> String {
    fs::read_to_string(bench.path(path)).unwrap()
}

fn archive(bench: &Bench, path: &str) -> Archive {
    Archive::read(&fs::read(bench.path(path)).unwrap())
}

/// Returns the digest of the configuration.
fn config(archive: &Archive) -> String {
    Digest::of(&archive.image().config.to_bytes()).to_string()
}

#[test]
fn one_build_goes_to_several_places() {
    let bench = bench_with_image();
    let outputs = [
        "-o",
        "type=oci,dest=gzip.tar",
        "-o",
        "type=docker,dest=zstd.tar,compression=zstd",
        "-o",
        "out",
        "-o",
        "type=tar,dest=files.tar",
        "-o",
        "type=cacheonly",
    ];
    let log = bench.careen_build(&outputs).run().success();
    let copied = "COPY file /";
    assert_eq!(log.outcome(copied), Some(support::Outcome::Done));
    assert_eq!(
        archive(&bench, "gzip.tar").image().text("file"),
        "content\n"
    );
    let zstd = archive(&bench, "zstd.tar");
    let layer = "application/vnd.docker.image.rootfs.diff.tar.zstd";
    assert_eq!(zstd.image().media_types, [layer]);
    assert_eq!(read(&bench, "out/file"), "content\n");
    let files = support::tarball::read(&fs::read(bench.path("files.tar")).unwrap());
    assert_eq!(files[0].text(), "content\n");

    let again = bench.careen_build(&outputs).run().success();
    assert_eq!(again.outcome(copied), Some(support::Outcome::Cached));
}

#[test]
fn the_id_is_the_configurations_or_the_indexs() {
    let bench = bench_with_image();
    let flags = ["--iidfile", "id", "-o", "type=oci,dest=out.tar"];
    bench.careen_build(&flags).run().success();
    assert_eq!(read(&bench, "id"), config(&archive(&bench, "out.tar")));
    let several = [&flags[..], &["--platform", "linux/amd64,linux/arm64"]].concat();
    bench.careen_build(&several).run().success();
    let expected = archive(&bench, "out.tar").top_digest().to_string();
    assert_eq!(read(&bench, "id"), expected);
}

#[test]
fn what_is_known_is_told_as_json() {
    let bench = bench_with_image();
    let flags = [
        "--metadata-file",
        "known.json",
        "-t",
        "app:1",
        "-o",
        "type=oci,dest=out.tar",
    ];
    bench.careen_build(&flags).run().success();
    let text = read(&bench, "known.json");
    let archive = archive(&bench, "out.tar");
    for expected in [
        format!("\"containerimage.config.digest\": \"{}\"", config(&archive)),
        format!("\"containerimage.digest\": \"{}\"", archive.top_digest()),
        "\"image.name\": \"docker.io/library/app:1\"".to_owned(),
        "\"mediaType\": \"application/vnd.oci.image.manifest.v1+json\"".to_owned(),
        "\"org.opencontainers.image.created\": \"2023-11-14T22:13:20Z\"".to_owned(),
        "\"buildx.build.ref\": \"careen/local/".to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected} in {text}");
    }
}

#[test]
fn quiet_shows_the_id_alone() {
    let bench = bench_with_image();
    let flags = ["build", "-q", "-o", "type=oci,dest=out.tar", "context"];
    let log = bench.careen(&flags).run().success();
    let expected = format!("{}\n", config(&archive(&bench, "out.tar")));
    assert_eq!((log.text(), log.stderr.as_str()), (expected.as_str(), ""));
    let log = bench
        .careen(&["build", "-q", "-o", "out", "context"])
        .run()
        .success();
    assert_eq!((log.text(), log.stderr.as_str()), ("", ""));
}

#[test]
fn a_build_that_fails_tells_nothing_of_a_result() {
    let bench = bench_with_image();
    bench.dockerfile("FROM scratch\nCOPY no-such /\n");
    let flags = [
        "--iidfile",
        "id",
        "--metadata-file",
        "known.json",
        "-o",
        "type=oci,dest=out.tar",
    ];
    bench.refusal(&flags);
    for path in ["id", "known.json", "out.tar"] {
        assert!(!fs::exists(bench.path(path)).unwrap(), "{path}");
    }
}

#[test]
fn outputs_that_cannot_be_are_refused_before_the_build() {
    let bench = bench_with_image();
    let run = |flags: &[&str]| bench.failure(flags, 2);
    assert_snapshot!(run(&["-o", "out", "-o", "out"]), @"error: two outputs go to `$BENCH/out`");
    assert_snapshot!(run(&["-o", "-", "-o", "type=docker,dest=-"]), @"error: standard output has room for one result: `--output type=tar` and `--output type=docker`");
    assert_snapshot!(run(&["-o", "type=oci,rewrite-timestmp=true"]), @"error: `--output type=oci` has no attribute `rewrite-timestmp`: did you mean `rewrite-timestamp`?");
    assert_snapshot!(run(&["-o", "type=moby"]), @"error: `--output type=moby` is not supported: `local`, `tar`, `oci`, `docker`, `image`, `registry` and `cacheonly` are");
    assert_snapshot!(run(&["--push"]), @"error: a push needs the name of a repository: `-t NAME`, or `name=NAME` in `--output`");
    assert_snapshot!(run(&["--iidfile", "id", "-o", "out"]), @"error: `--iidfile` needs an image: `--load`, `--push`, `--output type=oci` and `type=docker` write one");
}
