//! What cannot be done, in the words that say so.

use insta::assert_snapshot;
use support::Bench;

use crate::bench;

/// Returns what careen says about a Dockerfile that it refuses.
fn refusal(dockerfile: &str) -> String {
    let bench = bench();
    bench.dockerfile(dockerfile);
    bench.refusal(&[])
}

/// Returns what careen says about a command line that it refuses.
fn usage(arguments: &[&str]) -> String {
    let bench = bench_with_file();
    bench.failure(arguments, 2)
}

fn bench_with_file() -> Bench {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    bench
}

#[test]
fn what_is_not_carried_out_yet_is_refused_at_the_word() {
    assert_snapshot!(refusal("FROM scratch\nRUN --mount=type=cache,target=/c make\n"), @"");
    assert_snapshot!(refusal("FROM scratch\nRUN --security=insecure make\n"), @"");
    assert_snapshot!(refusal("FROM scratch\nCOPY --parents a/b /\n"), @"");
    assert_snapshot!(refusal("FROM scratch\nADD https://example.org/x.tar /\n"), @"");
    assert_snapshot!(refusal("FROM scratch\nADD --checksum=sha256:00 x /\n"), @"");
    assert_snapshot!(refusal("# syntax=example.org/front:1\nFROM scratch\n"), @"");
}

#[test]
fn what_is_wrong_in_a_dockerfile_is_shown_at_the_word() {
    assert_snapshot!(refusal("FROM scratch\nRUNN make\n"), @"");
    assert_snapshot!(refusal("FROM scratch\nCOPY --form=x a /\n"), @"");
    assert_snapshot!(refusal("FROM scratch\nCOPY one\n"), @"");
    assert_snapshot!(refusal("RUN make\n"), @"");
    assert_snapshot!(refusal(""), @"");
    assert_snapshot!(refusal("FROM scratch\nEXPOSE eighty\n"), @"");
}

#[test]
fn all_mistakes_are_shown_at_once() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nRUNN one\nCOPY two\n");
    let log = bench.careen_build(&[]).run();
    assert_eq!(log.code(), 1);
    assert_eq!(
        log.stderr
            .lines()
            .filter(|line| line.starts_with("error:"))
            .count(),
        2
    );
}

#[test]
fn windows_is_refused() {
    assert_snapshot!(refusal("FROM --platform=windows/amd64 scratch\nCOPY Dockerfile /\n"), @"");
    let bench = bench_with_file();
    assert_snapshot!(bench.failure(&["--platform", "windows/amd64"], 1), @"");
}

#[test]
fn a_command_line_that_is_wrong_says_what_would_be_right() {
    assert_snapshot!(usage(&["--platform", "linux/no/such/thing"]), @"");
    assert_snapshot!(usage(&["-t", "Upper"]), @"");
    assert_snapshot!(usage(&["-t", "name@sha256:00"]), @"");
    assert_snapshot!(usage(&["--build-context", "name"]), @"");
    assert_snapshot!(usage(&["--build-context", "name=docker-image://x"]), @"");
    assert_snapshot!(usage(&["--label", "name"]), @"");
    assert_snapshot!(usage(&["-o", "type=docker"]), @"");
    assert_snapshot!(usage(&["-o", "type=oci,dest=x,color=red"]), @"");
    assert_snapshot!(usage(&["-o", "type=oci,dest=x,compression=xz"]), @"");
    assert_snapshot!(usage(&["-o", "type=oci,dest=-,tar=false"]), @"");
    assert_snapshot!(usage(&["-o", "type=oci,dest=x", "-o", "type=oci,dest=y"]), @"");
}

#[test]
fn a_flag_that_is_not_known_is_named() {
    let bench = bench_with_file();
    let log = bench.careen_build(&["--sbom", "true"]).run();
    assert_eq!(log.code(), 2);
    assert_eq!(
        log.stderr.lines().next(),
        Some("error: unexpected argument '--sbom' found")
    );
}

#[test]
fn the_time_of_the_epoch_must_be_one() {
    let bench = bench_with_file();
    let run = bench
        .careen_build(&[])
        .env("SOURCE_DATE_EPOCH", "yesterday")
        .run();
    assert_snapshot!(run.error(2), @"");
    let run = bench.careen_build(&["-o", "type=oci,dest=x,rewrite-timestamp=true"]);
    assert_snapshot!(run.env("SOURCE_DATE_EPOCH", "").run().error(2), @"");
}

#[test]
fn a_context_must_be_a_directory() {
    let bench = bench_with_file();
    let run = |context: &str| bench.careen(&["build", context]).run();
    assert_snapshot!(run("no-such-directory").error(1), @"");
    assert_snapshot!(run("https://example.org/x.git").error(2), @"");
}

#[test]
fn a_store_of_a_newer_format_is_not_touched() {
    let bench = bench_with_file();
    bench.careen_build(&[]).run().success();
    std::fs::write(bench.path("home/.local/share/careen/VERSION"), "999\n").unwrap();
    assert_snapshot!(bench.failure(&[], 3), @"");
}
