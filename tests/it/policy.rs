//! Which sources and earlier results a build may use: the source policy, `--pull` and `--cache-ttl`.

use std::fs;

use insta::assert_snapshot;
use support::{Bench, Feature, Outcome, needs};

use crate::bench;

const RUN: &str = "RUN echo made > /made";

/// Puts the busybox image into the store under these names.
fn with_stored(names: &[&str]) -> Bench {
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\n");
    for name in names {
        let output = "type=oci,dest=stored.tar";
        let made = bench.careen_build(&["-t", name, "--output", output]);
        made.run().success();
        bench.careen(&["load", "-i", "stored.tar"]).run().success();
    }
    bench
}

fn with_policy(bench: &Bench, rules: &str) {
    let policy = format!("{{\"version\": 1, \"rules\": [{rules}]}}");
    fs::write(bench.path("policy.json"), policy).unwrap();
}

#[test]
fn a_base_that_the_policy_denies_is_refused_at_its_place() {
    needs!(Feature::Busybox);
    let bench = with_stored(&["busybox", "debian"]);
    with_policy(
        &bench,
        r#"{"action": "DENY", "selector": {"identifier": "docker-image://docker.io/library/*"}},
           {"action": "ALLOW", "selector": {"identifier": "docker-image://docker.io/library/debian:*"}}"#,
    );
    let policy = ["--source-policy-file", "policy.json"];
    bench.dockerfile("FROM debian\n");
    bench.careen_build(&policy).run().success();
    bench.dockerfile("FROM busybox:latest\n");
    assert_snapshot!(bench.refusal(&policy), @r"
    error: source `docker-image://docker.io/library/busybox:latest` denied by policy (rule 1)
     --> Dockerfile:1:6
      |
    1 | FROM busybox:latest
      |      ^^^^^^^^^^^^^^ not allowed
    ");
    // The variable of buildx names the file as well.
    let run = bench.careen_build(&[]);
    let run = run.env(
        "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY",
        bench.path("policy.json"),
    );
    assert!(run.run().error(1).contains("denied by policy (rule 1)"));
    // What the command line gives under a name is no image of a registry.
    let layout = format!("busybox=oci-layout://{}", bench.path("base").display());
    bench.dockerfile("FROM busybox\n");
    let given = bench
        .careen_build(&policy)
        .args(&["--build-context", &layout]);
    given.run().success();
}

#[test]
fn the_policy_may_deny_what_the_command_line_gives() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nCOPY Dockerfile /\n");
    let policy = ["--source-policy-file", "policy.json"];
    let deny = |identifier: &str| {
        let selector = format!(r#"{{"identifier": "{identifier}"}}"#);
        with_policy(
            &bench,
            &format!(r#"{{"action": "DENY", "selector": {selector}}}"#),
        );
    };
    deny("local://context");
    assert_snapshot!(bench.refusal(&policy), @"error: source `local://context` denied by policy (rule 1)");
    deny("oci-layout://*");
    assert_snapshot!(bench.refusal(&policy), @"error: source `oci-layout://$BENCH/base` denied by policy (rule 1)");
    deny("docker-image://*");
    bench.careen_build(&policy).run().success();
}

#[test]
fn a_base_is_converted_to_what_the_policy_puts_in_its_place() {
    needs!(Feature::Busybox);
    let bench = with_stored(&["mirror.example/library/busybox:1"]);
    with_policy(
        &bench,
        r#"{"action": "CONVERT", "selector": {"identifier": "docker-image://docker.io/*"},
            "updates": {"identifier": "docker-image://mirror.example/${1}"}}"#,
    );
    let policy = ["--source-policy-file", "policy.json"];
    bench.dockerfile(&format!("FROM busybox:1\n{RUN}\n"));
    let built = bench.build(&policy);
    assert_eq!(built.image().text("made"), "made\n");
    bench.dockerfile("FROM busybox:2\n");
    let offline = [&policy[..], &["--pull=never"]].concat();
    assert_snapshot!(bench.refusal(&offline), @r"
    error: no image `mirror.example/library/busybox:2` in the store
     --> Dockerfile:1:6
      |
    1 | FROM busybox:2
      |      ^^^^^^^^^ not in the store
      |
      = note: `--pull=never` forbids to ask a registry for it
      = note: the source policy puts `mirror.example/library/busybox:2` in the place of `busybox:2`
      = help: `careen pull mirror.example/library/busybox:2` puts it there
    ");
    with_policy(
        &bench,
        r#"{"action": "CONVERT", "selector": {"identifier": "docker-image://*"},
            "updates": {"identifier": "https://example.org/x"}}"#,
    );
    assert_snapshot!(bench.refusal(&policy), @r"
    error: the source policy puts `https://example.org/x` in the place of `busybox:2`, which is no image
     --> Dockerfile:1:6
      |
    1 | FROM busybox:2
      |      ^^^^^^^^^ not allowed
    ");
}

#[test]
fn a_policy_that_cannot_be_used_is_refused_before_anything_is_built() {
    let bench = bench();
    bench.dockerfile("FROM scratch\n");
    let policy = ["--source-policy-file", "policy.json"];
    assert_snapshot!(bench.refusal(&policy), @r"
    error: cannot read the source policy `$BENCH/policy.json`
      = caused by: No such file or directory (os error 2)
    ");
    with_policy(
        &bench,
        r#"{"action": "DENY", "selector": {"identifier": ".*", "matchType": "REGEX"}}"#,
    );
    assert_snapshot!(bench.refusal(&policy), @r"
    error: cannot use `$BENCH/policy.json`
      = caused by: rule 1 of the source policy has a regular expression, which is not supported: `WILDCARD` and `EXACT` are
    ");
}

#[test]
fn pull_asks_a_registry_for_images_of_the_store_and_for_nothing_else() {
    needs!(Feature::Busybox);
    // Nobody listens there.
    let bench = with_stored(&["127.0.0.1:1/busybox"]);
    bench.dockerfile("FROM 127.0.0.1:1/busybox\n");
    assert_snapshot!(bench.failure(&["--pull"], 4), @r"
    error: cannot get the image `127.0.0.1:1/busybox:latest`
     --> Dockerfile:1:6
      |
    1 | FROM 127.0.0.1:1/busybox
      |      ^^^^^^^^^^^^^^^^^^^ the registry does not give it
      |
      = caused by: find the manifest `latest` of `127.0.0.1:1/busybox` at `127.0.0.1:1`
      = caused by: fetch `https://127.0.0.1:1/v2/`: connect to `127.0.0.1:1`
      = caused by: Connection refused (os error 111)
    ");
    assert_eq!(
        bench.failure(&["--pull=always"], 4),
        bench.failure(&["--pull=true"], 4)
    );
    for pull in [
        "--pull=missing",
        "--pull=never",
        "--pull=newer",
        "--pull=false",
    ] {
        bench.careen_build(&[pull]).run().success();
    }
    bench.dockerfile("FROM base\n");
    bench.careen_build(&["--pull"]).run().success();
    assert_snapshot!(bench.failure(&["--pull=often"], 2), @"error: `--pull=often`: `always`, `missing`, `never` and `newer` are known");
}

#[test]
fn results_that_are_too_old_are_made_again() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(&format!("FROM base\n{RUN}\n"));
    let outcome = |arguments: &[&str]| bench.careen_build(arguments).run().success().outcome(RUN);
    assert_eq!(outcome(&[]), Some(Outcome::Done));
    // The time of images is years ago (`SOURCE_DATE_EPOCH`): that does not make a result old.
    assert_eq!(outcome(&["--cache-ttl", "24h"]), Some(Outcome::Cached));
    // Another process started since the result was made, which takes longer.
    assert_eq!(outcome(&["--cache-ttl", "1us"]), Some(Outcome::Done));
    assert_eq!(outcome(&["--cache-ttl", "24h"]), Some(Outcome::Cached));
    assert_eq!(outcome(&["--cache-ttl", "0"]), Some(Outcome::Done));
    assert_snapshot!(bench.failure(&["--cache-ttl", "tomorrow"], 2), @r#"
    error: `--cache-ttl tomorrow` is no duration like `24h` or `90m`
      = caused by: failed to parse input in the "friendly" duration format: expected duration to start with a unit value (a decimal integer) after an optional sign, but no integer was found
    "#);
}

#[test]
fn flags_of_buildx_that_change_nothing_are_taken_and_others_are_refused_by_name() {
    let bench = bench();
    bench.dockerfile("FROM scratch\n");
    let taken = ["--builder", "default", "--provenance=false", "--sbom=false"];
    bench.careen_build(&taken).run().success();
    assert_snapshot!(bench.failure(&["--provenance=mode=max"], 2), @"error: `--provenance mode=max`: attestations are not supported yet");
}
