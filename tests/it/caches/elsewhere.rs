//! Places that are not there, or that have something else.

use std::fs;

use oci::{descriptor, media_type};
use support::{BaseImage, Fault, Outcome, Registry};

use super::{outcome, outcomes};
use crate::bench;

/// Makes a bench with one step.
fn bench_with_step() -> support::Bench {
    let bench = bench();
    bench.file("in", "1\n");
    bench.dockerfile("FROM scratch\nCOPY in /in\n");
    bench
}

#[test]
fn a_cache_that_is_not_there_yet_is_no_warning() {
    let registry = Registry::start();
    let bench = bench_with_step();
    let from = format!("{}/app:cache", registry.host());
    for flags in [
        ["--cache-from", &from],
        ["--cache-from", "type=local,src=nowhere"],
    ] {
        let log = bench.careen_build(&flags).run().success();
        assert!(log.stderr.contains("is not there yet"), "{}", log.stderr);
        assert!(
            !log.stderr.contains("nothing is imported"),
            "{}",
            log.stderr
        );
        bench.forget();
    }
}

#[test]
fn a_cache_that_cannot_be_asked_is_a_warning() {
    let registry = Registry::start();
    registry.misbehave(|_| Some(Fault::status(403)));
    let bench = bench_with_step();
    let from = format!("{}/app:cache", registry.host());
    let log = bench.careen_build(&["--cache-from", &from]).run().success();
    assert!(
        log.stderr.contains(&format!(
            "nothing is imported from `{from}`: it cannot be read"
        )),
        "{}",
        log.stderr
    );
    assert_eq!(outcome(&log, "COPY in"), Outcome::Done);
}

#[test]
fn a_cache_that_cannot_be_written_fails_the_build_and_leaves_its_output() {
    let registry = Registry::start();
    registry.misbehave(|_| Some(Fault::status(403)));
    let bench = bench_with_step();
    let to = format!("type=registry,ref={}/app:cache", registry.host());
    let output = ["--output", "type=oci,dest=out.tar", "--iidfile", "iid"];
    let run = bench.careen_build(&["--cache-to", &to]).args(&output).run();
    let said = run.error(4);
    assert!(
        said.starts_with(&format!(
            "error: cannot export the cache to `{}/app:cache`",
            registry.host()
        )),
        "{said}"
    );
    assert!(
        said.contains("the outputs of the build are written"),
        "{said}"
    );
    for output in ["out.tar", "iid"] {
        assert!(
            !fs::read(bench.path(output)).unwrap().is_empty(),
            "{output}"
        );
    }
    let to = format!("{to},ignore-error=true");
    let log = bench.careen_build(&["--cache-to", &to]).run().success();
    assert!(
        log.stderr.contains("cannot export the cache to"),
        "{}",
        log.stderr
    );
}

#[test]
fn a_cache_of_another_builder_is_told_and_written_over() {
    let registry = Registry::start();
    let bench = bench_with_step();
    let config = registry.add_blob("app", b"{}");
    let config = descriptor::descriptor("application/vnd.buildkit.cacheconfig.v0", &config, 2);
    let manifest =
        descriptor::to_canonical_json(&descriptor::new_manifest(config.clone(), Vec::new()));
    let index = descriptor::to_canonical_json(&descriptor::new_index(vec![config]));
    for (media_type, bytes) in [
        (media_type::OCI_MANIFEST, manifest),
        (media_type::OCI_INDEX, index),
    ] {
        registry.add_manifest("app", "cache", media_type, &bytes);
        let cache = format!("{}/app:cache", registry.host());
        let log = bench
            .careen_build(&["--cache-from", &cache, "--cache-to", &cache])
            .run()
            .success();
        let expected = "it is a cache of another builder, whose keys mean something else there";
        assert!(log.stderr.contains(expected), "{}", log.stderr);
        assert_eq!(outcome(&log, "COPY in"), Outcome::Done);
        bench.forget();
        let log = bench
            .careen_build(&["--cache-from", &cache])
            .run()
            .success();
        assert_eq!(outcome(&log, "COPY in"), Outcome::Cached);
        bench.forget();
    }
}

#[test]
fn an_image_is_no_cache_and_is_not_written_over() {
    let bench = bench_with_step();
    support::layout::write(
        &bench.path("image"),
        &[BaseImage::new("linux/s390x", Vec::new())],
    );
    let before = fs::read(bench.path("image/index.json")).unwrap();
    let said = bench.failure(&["--cache-to", "type=local,dest=image"], 1);
    assert!(
        said.contains("is an image, which would be lost: a cache needs a tag of its own"),
        "{said}"
    );
    assert_eq!(fs::read(bench.path("image/index.json")).unwrap(), before);
    let log = bench.careen_build(&[
        "--no-cache-filter",
        "x",
        "--cache-from",
        "type=local,src=image",
    ]);
    let log = log.env("CAREEN_STORE", bench.path("empty")).run().success();
    assert_eq!(outcomes(&log).len(), 1);
}

#[test]
fn the_blobs_of_a_cache_are_those_of_the_image() {
    let registry = Registry::start();
    let bench = bench_with_step();
    let name = format!("{}/app:1", registry.host());
    let to = format!("type=registry,ref={}/app:cache", registry.host());
    let flags = ["--push", "-t", &name, "--cache-to", &to];
    bench.careen_build(&flags).run().success();
    let seen = registry.seen();
    let sent = seen
        .iter()
        .filter(|seen| seen.line().starts_with("PUT") && seen.line().contains("/blobs/uploads/"));
    // The layer once, the configuration of the image, the document of the cache.
    assert_eq!(
        sent.count(),
        3,
        "{:?}",
        seen.iter()
            .map(support::registry::Seen::line)
            .collect::<Vec<_>>()
    );
    // The same cache again is not sent again.
    bench.careen_build(&["--cache-to", &to]).run().success();
    let seen = registry.seen();
    let puts: Vec<_> = seen
        .iter()
        .map(support::registry::Seen::line)
        .filter(|line| line.starts_with("PUT"))
        .collect();
    assert!(
        puts.iter().all(|line| line.contains("/manifests/sha256:")),
        "{puts:?}"
    );
}
