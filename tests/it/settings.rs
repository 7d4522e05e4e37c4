//! Flags, environment and configuration file.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use support::{Bench, Invocation};

use crate::bench;

const CONFIG: &str = "home/.config/careen/config.toml";

fn configure(bench: &Bench, path: &str, text: &str) {
    let path = bench.path(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Returns which of the directories is a store after a run.
fn store_of(bench: &Bench, run: Invocation) -> Vec<&'static str> {
    run.run().success();
    let is_store = |name: &&str| fs::exists(bench.path(name).join("VERSION")).unwrap();
    let stores: Vec<_> = [
        "flag",
        "variable",
        "file",
        "data/careen",
        "home/.local/share/careen",
    ]
    .into_iter()
    .filter(is_store)
    .collect();
    for store in &stores {
        fs::remove_dir_all(bench.path(store)).unwrap();
    }
    stores
}

#[test]
fn a_flag_goes_before_the_environment_that_before_the_file_that_before_the_default() {
    let bench = bench();
    let list = |arguments: &[&str]| bench.careen(&["image", "ls"]).args(arguments);
    assert_eq!(store_of(&bench, list(&[])), ["home/.local/share/careen"]);
    let run = list(&[]).env("XDG_DATA_HOME", bench.path("data"));
    assert_eq!(store_of(&bench, run), ["data/careen"]);
    configure(
        &bench,
        CONFIG,
        &format!("store = {:?}\n", bench.path("file")),
    );
    assert_eq!(store_of(&bench, list(&[])), ["file"]);
    let run = list(&[]).env("CAREEN_STORE", bench.path("variable"));
    assert_eq!(store_of(&bench, run), ["variable"]);
    let run = list(&["--store", "flag"]).env("CAREEN_STORE", bench.path("variable"));
    assert_eq!(store_of(&bench, run), ["flag"]);
}

#[test]
fn the_progress_is_chosen_the_same_way() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    let run = || bench.careen(&["build", "context", "-o", "type=cacheonly"]);
    let is_silent = |run: Invocation| run.run().success().stderr.is_empty();
    assert!(!is_silent(run()));
    assert!(is_silent(run().args(&["--progress", "quiet"])));
    assert!(is_silent(run().env("BUILDKIT_PROGRESS", "quiet")));
    configure(&bench, CONFIG, "progress = \"quiet\"\n");
    assert!(is_silent(run()));
    assert!(!is_silent(run().env("BUILDKIT_PROGRESS", "plain")));
    assert!(!is_silent(
        run()
            .env("BUILDKIT_PROGRESS", "quiet")
            .args(&["--progress", "plain"])
    ));
}

#[test]
fn another_configuration_file_can_be_named() {
    let bench = bench();
    configure(
        &bench,
        "other.toml",
        &format!("store = {:?}\n", bench.path("file")),
    );
    let run = bench
        .careen(&["image", "ls"])
        .env("CAREEN_CONFIG", bench.path("other.toml"));
    assert_eq!(store_of(&bench, run), ["file"]);
}

#[test]
fn the_platform_is_the_machines_or_the_variables_or_the_flags() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    let platform = |run: Invocation| {
        run.args(&["-o", "type=oci,dest=out.tar"]).run().success();
        let archive = fs::read(bench.path("out.tar")).unwrap();
        support::Archive::read(&archive).image().platform()
    };
    assert_eq!(
        platform(bench.careen_build(&[])),
        support::layout::host_platform()
    );
    let run = bench
        .careen_build(&[])
        .env("DOCKER_DEFAULT_PLATFORM", "linux/s390x");
    assert_eq!(platform(run), "linux/s390x");
    let run = bench.careen_build(&["--platform", "linux/ppc64le"]);
    assert_eq!(
        platform(run.env("DOCKER_DEFAULT_PLATFORM", "linux/s390x")),
        "linux/ppc64le"
    );
}

#[test]
fn the_dockerfile_is_found_in_the_context_or_where_it_is_named() {
    let bench = bench();
    let run = |arguments: &[&str]| bench.careen_build(arguments).run();
    assert_snapshot!(run(&[]).error(1), @r"
    error: cannot read the Dockerfile `$BENCH/context/Dockerfile`
      = caused by: No such file or directory (os error 2)
      = help: `-f PATH` names another file
    ");
    bench.file("dockerfile", "FROM scratch\nCOPY dockerfile /lower\n");
    assert!(
        run(&[])
            .success()
            .outcome("COPY dockerfile /lower")
            .is_some()
    );
    bench.dockerfile("FROM scratch\nCOPY dockerfile /upper\n");
    assert!(
        run(&[])
            .success()
            .outcome("COPY dockerfile /upper")
            .is_some()
    );
    fs::write(
        bench.path("outside"),
        "FROM scratch\nCOPY dockerfile /outside\n",
    )
    .unwrap();
    assert!(
        run(&["-f", "outside"])
            .success()
            .outcome("COPY dockerfile /outside")
            .is_some()
    );
}

#[test]
fn a_configuration_with_a_mistake_is_refused() {
    let bench = bench();
    configure(&bench, CONFIG, "job = 3\n");
    assert_snapshot!(bench.careen(&["image", "ls"]).run().error(2), @r"
    error: the configuration `$BENCH/home/.config/careen/config.toml` is not valid
      = caused by: TOML parse error at line 1, column 1
                     |
                   1 | job = 3
                     | ^^^
                   unknown field `job`, expected one of `store`, `jobs`, `memory-budget`, `network`, `ca`, `proxy`, `progress`, `history`, `summary`, `emulators`, `gc`
    ");
    let run = bench
        .careen(&["image", "ls"])
        .env("CAREEN_CONFIG", Path::new("no-such.toml"));
    assert_snapshot!(run.run().error(2), @r"
    error: cannot read the configuration `no-such.toml`
      = caused by: No such file or directory (os error 2)
    ");
}

#[test]
fn the_version_and_the_help_go_to_standard_output() {
    let bench = bench();
    let version = bench.careen(&["--version"]).run().success();
    assert_eq!(
        version.text(),
        concat!("careen ", env!("CARGO_PKG_VERSION"), "\n")
    );
    let help = bench.careen(&["build", "--help"]).run().success();
    assert!(
        help.text()
            .starts_with("Build an image from a Dockerfile\n\nUsage: careen build ")
    );
    assert_eq!(
        (version.stderr, help.stderr),
        (String::new(), String::new())
    );
}
