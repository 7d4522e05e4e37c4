//! `.dockerignore`.

use insta::assert_snapshot;
use support::Bench;

use crate::bench;

/// Makes a bench with some files and an ignore file.
fn bench_with(ignore_file: &str, ignore: &str) -> Bench {
    let bench = bench();
    for name in [
        "a.log",
        "keep.log",
        "src/b.log",
        "src/main.rs",
        "target/debug/x",
        "target/keep",
    ] {
        bench.file(name, "");
    }
    bench.file(ignore_file, ignore);
    bench
}

fn paths(bench: &Bench) -> Vec<String> {
    let built = bench.build(&[]);
    built
        .image()
        .tree()
        .keys()
        .map(|path| (*path).to_owned())
        .collect()
}

#[test]
fn what_is_ignored_is_not_in_the_context_but_for_exceptions() {
    let ignore = "# logs\n**/*.log\n!keep.log\ntarget\n!target/keep\nDockerfile\n.dockerignore\n";
    let bench = bench_with(".dockerignore", ignore);
    bench.dockerfile("FROM scratch\nCOPY . /\n");
    assert_eq!(
        paths(&bench),
        ["keep.log", "src", "src/main.rs", "target", "target/keep"]
    );
}

#[test]
fn the_ignore_file_of_the_dockerfile_goes_first() {
    let bench = bench_with(".dockerignore", "**\n");
    bench.file("Dockerfile.dockerignore", "**\n!src\n");
    bench.dockerfile("FROM scratch\nCOPY . /\n");
    assert_eq!(paths(&bench), ["src", "src/b.log", "src/main.rs"]);
}

#[test]
fn a_source_that_is_ignored_is_told_from_one_that_is_missing() {
    let bench = bench_with(".dockerignore", "*.log\n");
    bench.dockerfile("FROM scratch\nCOPY a.log /\n");
    assert_snapshot!(bench.refusal(&[]), @r"
    error: COPY source is left out by the ignore file: `a.log`
     --> Dockerfile:2:6
      |
    2 | COPY a.log /
      |      ^^^^^ ignored
      |
      = note: build context: $BENCH/context
    ");
}

#[test]
fn files_that_are_ignored_do_not_count_for_the_cache() {
    let bench = bench_with(".dockerignore", "*.log\n");
    bench.dockerfile("FROM scratch\nCOPY . /\n");
    let first = bench.build(&[]).archive.top_digest();
    bench.file("a.log", "another\n");
    assert_eq!(bench.build(&[]).archive.top_digest(), first);
}
