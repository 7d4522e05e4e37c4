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
    assert_snapshot!(refusal("FROM scratch\nRUN --device=vendor.com/gpu make\n"), @r"
    error: RUN --device is not supported yet
     --> Dockerfile:2:14
      |
    2 | RUN --device=vendor.com/gpu make
      |              ^^^^^^^^^^^^^^
    ");
    assert_snapshot!(refusal("# syntax=example.org/front:1\nFROM scratch\n"), @r"
    error: the frontend `example.org/front:1` is not supported
     --> Dockerfile:1:10
      |
    1 | # syntax=example.org/front:1
      |          ^^^^^^^^^^^^^^^^^^^
      |
      = note: careen has the Dockerfile language built in and runs no frontend images
    ");
}

#[test]
fn what_is_wrong_in_a_dockerfile_is_shown_at_the_word() {
    assert_snapshot!(refusal("FROM scratch\nRUNN make\n"), @r"
    error: unknown instruction: `RUNN`
     --> Dockerfile:2:1
      |
    2 | RUNN make
      | ^^^^
      |
      = help: did you mean `RUN`?
    ");
    assert_snapshot!(refusal("FROM scratch\nCOPY --form=x a /\n"), @r"
    error: unknown flag: `--form`
     --> Dockerfile:2:6
      |
    2 | COPY --form=x a /
      |      ^^^^^^ COPY has no such flag
      |
      = help: did you mean `--from`?
    ");
    assert_snapshot!(refusal("FROM scratch\nCOPY one\n"), @r"
    error: COPY has no destination
     --> Dockerfile:2:6
      |
    2 | COPY one
      |      ^^^ the only argument
      |
      = help: write `COPY one .` to copy it into WORKDIR
    ");
    assert_snapshot!(refusal("RUN make\n"), @r"
    error: RUN stands before the first FROM
     --> Dockerfile:1:1
      |
    1 | RUN make
      | ^^^ no stage has begun
      |
      = help: only ARG may stand before the first FROM
    ");
    assert_snapshot!(refusal(""), @r"
    error: file with no instructions
     --> Dockerfile:1:1
      |
    1 |
      | ^
      |
      = help: begin with `FROM image` or `FROM scratch`
    ");
    assert_snapshot!(refusal("FROM scratch\nEXPOSE eighty\n"), @r"
    error: `eighty` is no port between 0 and 65535 and no range of ports
     --> Dockerfile:2:8
      |
    2 | EXPOSE eighty
      |        ^^^^^^
    ");
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
            .filter(|line| line.starts_with("error: ") || line.starts_with("ERROR: "))
            .count(),
        2
    );
}

#[test]
fn a_command_line_that_is_wrong_says_what_would_be_right() {
    assert_snapshot!(usage(&["--platform", "linux/no/such/thing"]), @r"
    error: `--platform linux/no/such/thing` is no platform
      = caused by: platform `linux/no/such/thing` is not of the form os/architecture/variant
    ");
    assert_snapshot!(usage(&["-t", "Upper"]), @r"
    error: `Upper` is no name of an image
      = caused by: image reference `Upper` has upper-case letters in the repository's name
    ");
    assert_snapshot!(usage(&["-t", "name@sha256:00"]), @r"
    error: `name@sha256:00` is no name of an image
      = caused by: image reference `name@sha256:00` is not of the form registry/repository:tag@digest
    ");
    assert_snapshot!(usage(&["--build-context", "name"]), @r"error: `--build-context name`: `name` is no `NAME=VALUE`");
    assert_snapshot!(usage(&["--build-context", "name=s3://x"]), @r"error: `--build-context name=s3://x`: there are no contexts `s3://`, but directories, URLs, git repositories, `oci-layout://` and `docker-image://`");
    assert_snapshot!(usage(&["--build-context", "a b=x"]), @r"
    error: `--build-context a b=x`: `a b` cannot be the name of a context
      = caused by: image reference `a b` is not of the form registry/repository:tag@digest
    ");
    assert_snapshot!(usage(&["--label", "name"]), @r"error: `--label name`: `name` is no `NAME=VALUE`");
    assert_snapshot!(usage(&["-o", "type=registry"]), @r"error: a push needs the name of a repository: `-t NAME`, or `name=NAME` in `--output`");
    assert_snapshot!(usage(&["-o", "type=oci,dest=x,color=red"]), @r"error: `--output type=oci` has no attribute `color`");
    assert_snapshot!(usage(&["-o", "type=oci,dest=x,compression=xz"]), @r"error: `compression=xz` in `--output`: the value must be `gzip`, `zstd` or `uncompressed`");
    assert_snapshot!(usage(&["-o", "type=oci,dest=-,tar=false"]), @r"error: `--output type=oci,tar=false` needs a directory as its destination");
}

#[test]
fn a_flag_that_is_not_known_is_named() {
    let bench = bench_with_file();
    let log = bench.careen_build(&["--frobnicate", "true"]).run();
    assert_eq!(log.code(), 2);
    assert_eq!(
        log.stderr.lines().next(),
        Some("error: unexpected argument '--frobnicate' found")
    );
}

#[test]
fn a_store_of_a_newer_format_is_not_touched() {
    let bench = bench_with_file();
    bench.careen_build(&[]).run().success();
    std::fs::write(bench.path("home/.local/share/careen/VERSION"), "999\n").unwrap();
    assert_snapshot!(bench.failure(&[], 3), @r"
    error: the store `$BENCH/home/.local/share/careen` has format 999, and this careen knows formats up to 1
      = note: store: $BENCH/home/.local/share/careen
      = help: the careen that made it reads it; `--store DIR` or `CAREEN_STORE` names another directory
    ");
}
