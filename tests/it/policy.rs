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
    // Nobody listens there, and nobody is asked.
    deny("http://*");
    let fetched = |arguments: &[&str]| {
        let run = bench.careen(&["build"]).args(&policy).args(arguments);
        run.run().error(1).to_owned()
    };
    let denied = fetched(&["http://u:p@127.0.0.1:9/context.tar"]);
    assert_snapshot!(denied, @"error: source `http://127.0.0.1:9/context.tar` denied by policy (rule 1)");
    assert_eq!(
        fetched(&["-f", "http://127.0.0.1:9/context.tar", "context"]),
        denied
    );
    deny("git://*");
    let denied = fetched(&["http://127.0.0.1:9/r.git#v1:sub"]);
    assert_snapshot!(denied, @"error: source `git://127.0.0.1:9/r.git#v1:sub` denied by policy (rule 1)");
    bench.dockerfile("FROM scratch\nCOPY --from=other x /\n");
    let other = "other=http://127.0.0.1:9/r.git#v1:sub";
    assert_eq!(fetched(&["--build-context", other, "context"]), denied);
    // Nor is the time of what is denied asked for.
    let epoch = "SOURCE_DATE_EPOCH=other";
    let arguments = ["--build-context", other, "--build-arg", epoch, "context"];
    assert_eq!(fetched(&arguments), denied);
    bench.dockerfile("FROM scratch AS web\nADD http://127.0.0.1:9/r.git#v1:sub /\nFROM scratch\n");
    assert_snapshot!(fetched(&["--build-arg", "SOURCE_DATE_EPOCH=web", "context"]), @r"
    error: source `git://127.0.0.1:9/r.git#v1:sub` denied by policy (rule 1)
     --> Dockerfile:2:5
      |
    2 | ADD http://127.0.0.1:9/r.git#v1:sub /
      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ not allowed
    ");
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
    bench.dockerfile("FROM app\n");
    let named = ["--build-context", "app=docker-image://busybox:1"];
    let run = bench.careen_build(&policy).args(&named);
    run.run().success();
    bench.dockerfile("FROM busybox:2\n");
    assert_snapshot!(bench.refusal(&policy), @r"
    error: no image `mirror.example/library/busybox:2` in the store
     --> Dockerfile:1:6
      |
    1 | FROM busybox:2
      |      ^^^^^^^^^ not in the store
      |
      = note: images are not pulled from registries yet: a base comes from the store or a layout
      = note: the source policy puts `mirror.example/library/busybox:2` in the place of `busybox:2`
      = help: `careen load -i ARCHIVE`, or `--build-context mirror.example/library/busybox:2=oci-layout://DIRECTORY`
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
    let bench = with_stored(&["busybox"]);
    bench.dockerfile("FROM busybox\n");
    assert_snapshot!(bench.refusal(&["--pull"]), @r"
    error: cannot ask a registry for `busybox`, as `--pull` demands: careen talks to none yet
     --> Dockerfile:1:6
      |
    1 | FROM busybox
      |      ^^^^^^^ in the store
      |
      = help: `--pull=newer` uses what the store has
    ");
    assert_eq!(
        bench.refusal(&["--pull=always"]),
        bench.refusal(&["--pull=true"])
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
    assert_snapshot!(bench.failure(&["--cache-from", "type=registry,ref=x"], 2), @"error: `--cache-from type=registry,ref=x` is not supported yet: what was built before is found in the store");
}
