//! Builders (`create`, `use`, `ls`, `inspect`, `rm`), docker's words, and the name `docker`.

use std::fs;
use std::os::unix::fs::symlink;

use support::{BaseImage, Bench, Feature, Invocation, needs};

use crate::bench;

/// Returns a run under the name `docker`.
fn docker(bench: &Bench, arguments: &[&str]) -> Invocation {
    let link = bench.path("docker");
    if !fs::exists(&link).unwrap() {
        symlink(env!("CARGO_BIN_EXE_careen"), &link).unwrap();
    }
    bench.program(&link).args(arguments)
}

fn said(run: Invocation) -> String {
    run.run().success().text().to_owned()
}

fn first_words(listed: &str) -> Vec<&str> {
    let words = listed
        .lines()
        .skip(1)
        .map(|line| line.split("  ").next().unwrap());
    words.collect()
}

#[test]
fn builders_are_made_taken_listed_and_removed() {
    let bench = bench();
    let careen = |arguments: &[&str]| bench.careen(arguments);
    assert_eq!(
        first_words(&said(careen(&["ls"]))),
        ["default *", r" \_ default"]
    );
    let made = careen(&["buildx", "create", "--name", "One", "--bootstrap", "--use"]).run();
    let made = made.success();
    assert_eq!(made.text(), "one\n");
    assert_eq!(
        made.stderr,
        "builder `one` is ready: there is no container to start"
    );
    said(careen(&["create", "--name", "two", "--driver", "docker"]));
    let listed = said(careen(&["buildx", "ls"]));
    assert_eq!(
        first_words(&listed),
        [
            "default",
            r" \_ default",
            "one *",
            r" \_ one0",
            "two",
            r" \_ two0"
        ]
    );
    assert!(listed.starts_with("NAME/NODE "), "{listed}");
    let format = "{{.Name}}={{.DriverEndpoint}}";
    let listed = said(careen(&["ls", "--format", format]));
    let expected = "default=docker\n \\_ default= \\_ local\none *=docker-container\n \\_ one0= \\_ local\n\
                    two=docker\n \\_ two0= \\_ local\n";
    assert_eq!(listed, expected);
    said(careen(&["use", "two"]));
    assert!(said(careen(&["ls"])).contains("\ntwo * "));
    let gone = careen(&["rm", "two", "one"]).run().success();
    assert_eq!(gone.stderr, "two removed\none removed");
    assert_eq!(
        first_words(&said(careen(&["ls"]))),
        ["default *", r" \_ default"]
    );
}

#[test]
fn a_builder_that_there_is_not_is_refused_with_those_that_there_are() {
    let bench = bench();
    said(bench.careen(&["create", "--name", "one"]));
    let refused = |arguments: &[&str]| bench.careen(arguments).run().error(2).to_owned();
    let expected = "error: no builder `none` found: there are `default`, `one`\n  \
                    = help: `careen buildx create --name none` makes it";
    assert_eq!(refused(&["inspect", "none"]), expected);
    assert_eq!(refused(&["use", "none"]), expected);
    assert_eq!(refused(&["rm", "none"]), expected);
    assert_eq!(
        refused(&["build", "--builder", "none", "context"]),
        expected
    );
    assert_eq!(
        refused(&["create", "--name", "one"]),
        "error: there is a builder `one`: `--append` adds a node to it, `rm one` removes it"
    );
    assert_eq!(
        refused(&["rm", "default"]),
        "error: `default` is this machine, and cannot be removed"
    );
    let kubernetes = refused(&["create", "--driver", "kubernetes"]);
    assert!(
        kubernetes.starts_with("error: the driver `kubernetes` is not supported: "),
        "{kubernetes}"
    );
}

#[test]
fn a_node_on_another_machine_is_kept_and_not_built_on() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    let append = ["create", "--append", "--name", "b", "--node", "n1"];
    let place = ["--platform", "linux/arm64", "ssh://host"];
    said(bench.careen(&[&append[..], &place].concat()));
    said(bench.careen(&["create", "--append", "--name", "b", "--node", "n2"]));
    let shown = said(bench.careen(&["inspect", "b"]));
    let expected = "Name:                  n1\nEndpoint:              ssh://host\nStatus:                unsupported\n\
                    Error:                 careen does not build on other machines yet\n\
                    Platforms:             linux/arm64*\n";
    assert!(shown.contains(expected), "{shown}");
    let refused = bench.careen_build(&["--builder", "b"]).run();
    assert_eq!(
        refused.error(3),
        "error: the builder `b` has the node `n1` at `ssh://host`: careen does not build on other machines yet"
    );
    said(bench.careen(&["create", "--leave", "--name", "b", "--node", "n1"]));
    bench.careen_build(&["--builder", "b"]).run().success();
}

#[test]
fn inspect_tells_what_is_true_here() {
    let bench = bench();
    let shown = said(bench.careen(&["inspect"]));
    let fields: Vec<_> = shown
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with(' ') && *name != "Emulator")
        .collect();
    let mut expected = vec![
        "Name",
        "Driver",
        "Nodes",
        "Name",
        "Endpoint",
        "Status",
        "BuildKit version",
        "Platforms",
        "Labels",
        "Executor",
        "Users",
        "Groups",
        "Store",
        "GC Policy rule#0",
        "GC Policy rule#1",
        "GC Policy rule#2",
        "GC Policy rule#3",
    ];
    if shown.contains("chroot") {
        expected.retain(|name| *name != "Users" && *name != "Groups");
    }
    assert_eq!(fields, expected, "{shown}");
    assert!(shown.starts_with("Name:          default\nDriver:        docker\n\nNodes:\n"));
    let platform = if cfg!(target_arch = "x86_64") {
        "linux/amd64"
    } else {
        "linux/"
    };
    assert!(
        shown.contains(&format!("Platforms:             {platform}")),
        "{shown}"
    );
}

#[test]
fn a_builder_of_its_own_keeps_an_image_in_the_users_store_only_when_told() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    said(bench.careen(&["create", "--name", "own", "--use"]));
    let images = || said(bench.careen(&["images", "--format", "{{.Repository}}:{{.Tag}}"]));
    let built = bench.careen_build(&["-t", "app"]).run().success();
    assert!(
        built.stderr.contains("warning: no output was asked for"),
        "{}",
        built.stderr
    );
    assert_eq!(images(), "");
    bench.careen_build(&["-t", "app", "--load"]).run().success();
    assert_eq!(images(), "app:latest\n");
    let own = bench.path("home/.local/share/careen/builders/own");
    assert!(fs::exists(own.join("VERSION")).unwrap());
    said(bench.careen(&["rm"]));
    assert!(!fs::exists(&own).unwrap());
    assert_eq!(images(), "app:latest\n");
}

#[test]
fn the_default_builder_keeps_an_image_that_has_a_name() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    let images = || said(bench.careen(&["images", "--format", "{{.Repository}}"]));
    let build = |arguments: &[&str]| bench.careen_build(arguments);
    build(&["-t", "one"])
        .env("BUILDX_NO_DEFAULT_LOAD", "1")
        .run()
        .success();
    build(&[]).run().success();
    build(&["-t", "one", "-o", "type=cacheonly"])
        .run()
        .success();
    assert_eq!(images(), "");
    let built = build(&["-t", "two"]).run().success();
    assert!(!built.stderr.contains("warning"), "{}", built.stderr);
    assert_eq!(images(), "two\n");
    let id = said(bench.careen(&["build", "-q", "--label", "a=b", "context"]));
    let found = said(bench.careen(&["image", "inspect", id.trim(), "-f", "{{.Config.Labels.a}}"]));
    assert_eq!(found, "b\n");
}

#[test]
fn docker_build_passes_over_the_builder_of_buildx_use() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    said(docker(
        &bench,
        &["buildx", "create", "--name", "own", "--use"],
    ));
    let images = || said(docker(&bench, &["images", "--format", "{{.Repository}}"]));
    docker(&bench, &["buildx", "build", "-t", "one", "context"])
        .run()
        .success();
    assert_eq!(images(), "");
    docker(&bench, &["build", "context", "-t", "two"])
        .run()
        .success();
    assert_eq!(images(), "two\n");
    docker(&bench, &["build", "context", "-t", "three"])
        .env("BUILDX_BUILDER", "own")
        .run()
        .success();
    docker(
        &bench,
        &[
            "buildx",
            "--builder",
            "default",
            "build",
            "-t",
            "four",
            "context",
        ],
    )
    .run()
    .success();
    let images = images();
    let mut images: Vec<_> = images.lines().collect();
    images.sort_unstable();
    assert_eq!(images, ["four", "two"]);
}

#[test]
fn under_the_name_docker_its_words_are_taken_and_others_refused_by_name() {
    let bench = bench();
    let help = said(docker(&bench, &["buildx"]));
    assert!(help.contains("imagetools"), "{help}");
    let format = "{{.Client.Version}} {{.Server.Os}}";
    let version = said(docker(&bench, &["version", "-f", format]));
    assert_eq!(version, concat!(env!("CARGO_PKG_VERSION"), " linux\n"));
    let refused = |arguments: &[&str]| docker(&bench, arguments).run().error(2).to_owned();
    assert_eq!(
        refused(&["service", "ls"]),
        "error: `service ls` is not careen's work: it builds images, and runs no services"
    );
    assert_eq!(
        refused(&["buildx", "bake"]),
        "error: `buildx bake` is not supported yet\n  = help: `build` builds one target at a time"
    );
    assert_eq!(
        refused(&["-H", "tcp://host:2375", "images"]),
        "error: `--host tcp://host:2375`: there is no daemon to connect to, careen works on this machine"
    );
    assert_eq!(
        refused(&["--context", "far", "images"]),
        "error: `--context far`: `default`, `desktop-linux` and `rootless` are this machine, and there are no others"
    );
    let mistyped = refused(&["manifest", "insepct", "x"]);
    assert!(mistyped.contains("'inspect'"), "{mistyped}");
    said(docker(
        &bench,
        &["--context", "desktop-linux", "-D", "images"],
    ));
}

#[test]
fn the_state_is_where_buildx_config_says() {
    let bench = bench();
    let run = |arguments: &[&str]| bench.careen(arguments).env("BUILDX_CONFIG", "state");
    said(run(&["create", "--name", "one"]));
    let kept = fs::read_to_string(bench.path("state/careen/one.json")).unwrap();
    assert!(kept.starts_with("{\n  \"version\": 1,\n"), "{kept}");
    assert_eq!(first_words(&said(bench.careen(&["ls"]))).len(), 2);
    fs::write(
        bench.path("state/careen/one.json"),
        "{\"version\": 9, \"builder\": {}}",
    )
    .unwrap();
    assert_eq!(
        run(&["inspect", "one"]).run().error(3),
        "error: `$BENCH/state/careen/one.json` is of version 9, and this program reads version 1"
    );
}

#[test]
fn an_emulator_that_was_uninstalled_is_missed_until_it_is_brought_back() {
    needs!(Feature::Arm64);
    let bench = bench().with_base(&[BaseImage::arm64()]);
    bench.dockerfile("FROM base\nRUN [\"/say\"]\n");
    let build = || bench.careen_build(&["--platform", "linux/arm64"]);
    let posts = |words: &[&str]| {
        let image = ["run", "--privileged", "--rm", "tonistiigi/binfmt"];
        said(docker(&bench, &[&image[..], words].concat()))
    };
    build().run().success();
    let gone = posts(&["--uninstall", "qemu-*"]);
    assert!(gone.contains("uninstalling: qemu-aarch64 OK\n"), "{gone}");
    assert!(gone.ends_with("  \"emulators\": []\n}\n"), "{gone}");
    let refused = build().args(&["--no-cache"]).run();
    let expected = "  = caused by: find an emulator for arm64: it was uninstalled for this user\n  \
                    = help: `careen binfmt --install arm64` brings it back";
    assert!(refused.error(3).ends_with(expected), "{}", refused.stderr);
    let back = posts(&["--install", "linux/arm64"]);
    assert!(
        back.starts_with("installing: arm64 OK\n{\n  \"supported\": [\n"),
        "{back}"
    );
    assert!(
        back.ends_with("  \"emulators\": [\n    \"qemu-aarch64\"\n  ]\n}\n"),
        "{back}"
    );
    build().args(&["--no-cache"]).run().success();
    let unknown = bench.careen(&["binfmt", "--install", "vax"]).run();
    assert!(
        unknown
            .error(2)
            .starts_with("error: `--install vax`: there is no processor of this name"),
        "{}",
        unknown.stderr
    );
}
