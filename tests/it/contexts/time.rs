//! `SOURCE_DATE_EPOCH` and what it takes a time from.

use insta::assert_snapshot;
use support::{Entry, tarball};

use super::{built, input};
use crate::bench;

const REWRITE: &str = "type=oci,dest=out.tar,rewrite-timestamp=true";

/// Returns a context as a tar, whose newest file is of the second 1 700 000 302.
fn archive(dockerfile: &str) -> Vec<u8> {
    tarball::write(&[
        Entry::file("Dockerfile", dockerfile).mtime(1_699_996_702),
        Entry::file("foo", "bar").mtime(1_700_000_302),
        Entry::directory("later").mtime(1_800_000_000),
    ])
}

#[test]
fn a_default_of_the_dockerfile_counts_unless_the_command_line_says_another() {
    let bench = bench();
    bench.dockerfile("ARG SOURCE_DATE_EPOCH=1445412480\nFROM scratch\nCOPY Dockerfile /\n");
    let time = |arguments: &[&str]| {
        let run = bench.careen_build(arguments).env("SOURCE_DATE_EPOCH", "");
        let log = run.args(&["--output", REWRITE]).run().success();
        drop(log);
        let archive = support::Archive::read(&std::fs::read(bench.path("out.tar")).unwrap());
        let image = archive.image();
        let created = image.config.created.map(oci::Timestamp::seconds);
        assert_eq!(created, Some(image.entry("Dockerfile").mtime));
        created
    };
    // An empty variable is as none.
    assert_eq!(time(&[]), Some(1_445_412_480));
    let argument = "SOURCE_DATE_EPOCH=1700000002";
    assert_eq!(time(&["--build-arg", argument]), Some(1_700_000_002));
}

#[test]
fn the_time_of_a_tar_is_that_of_its_newest_file() {
    let bench = bench();
    let dockerfile =
        "FROM scratch\nARG SOURCE_DATE_EPOCH\nLABEL epoch=$SOURCE_DATE_EPOCH\nCOPY foo /\n";
    let run = bench.careen(&["build", "--build-arg", "SOURCE_DATE_EPOCH=context", "-"]);
    let built = built(&bench, run.stdin(input(&bench, archive(dockerfile))));
    let config = &built.image().config;
    assert_eq!(
        config.created.map(oci::Timestamp::seconds),
        Some(1_700_000_302)
    );
    assert_eq!(
        config.config.labels.get("epoch").map(String::as_str),
        Some("1700000302")
    );
    let created = config.history.last().and_then(|entry| entry.created);
    assert_eq!(created.map(oci::Timestamp::seconds), Some(1_700_000_302));
}

#[test]
fn a_directory_has_no_time_and_the_argument_is_empty_then() {
    let bench = bench();
    bench.dockerfile(
        "ARG SOURCE_DATE_EPOCH=context\nFROM scratch\nARG SOURCE_DATE_EPOCH\nLABEL epoch=_$SOURCE_DATE_EPOCH\nCOPY Dockerfile /\n",
    );
    let run = bench.careen_build(&[]).env("SOURCE_DATE_EPOCH", "");
    let built = built(&bench, run);
    let config = &built.image().config;
    let created = config.created.map(oci::Timestamp::seconds).unwrap();
    assert!(created > 1_750_000_000, "{created}");
    assert_eq!(
        config.config.labels.get("epoch").map(String::as_str),
        Some("_")
    );
}

#[test]
fn times_that_are_not_rewritten_are_told_of() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    let run = bench.careen_build(&["--output", REWRITE]);
    let log = run.env("SOURCE_DATE_EPOCH", "").run().success();
    let warning = "`rewrite-timestamp=true` changes nothing without `SOURCE_DATE_EPOCH`";
    assert!(log.stderr.contains(warning), "{}", log.stderr);
}

#[test]
fn a_value_that_means_nothing_is_shown_where_it_stands() {
    let bench = bench();
    bench.dockerfile("FROM scratch AS source\nCOPY Dockerfile /\n");
    let run = |value: &str| {
        let run = bench.careen_build_quietly(&[]);
        run.env("SOURCE_DATE_EPOCH", value)
            .run()
            .error(1)
            .to_owned()
    };
    assert_snapshot!(run("sourec"), @r"
    error: `SOURCE_DATE_EPOCH=sourec` is no time and names nothing that has one
     --> Dockerfile:1:1
      |
    1 | FROM scratch AS source
      | ^^^^
      |
      = note: it can be seconds since 1970, `context`, a named context or a stage
      = help: did you mean `source`?
    ");
    assert_snapshot!(run("source"), @r"
    error: the stage of SOURCE_DATE_EPOCH may have nothing but `ARG` and one `ADD`
     --> Dockerfile:2:1
      |
    2 | COPY Dockerfile /
      | ^^^^
    ");
    assert_snapshot!(run("999999999999"), @r"
    error: `SOURCE_DATE_EPOCH=999999999999` is no time
     --> Dockerfile:1:1
      |
    1 | FROM scratch AS source
      | ^^^^
      |
      = note: 999999999999 seconds since 1970-01-01 are outside the years 0 to 9999
    ");
}
