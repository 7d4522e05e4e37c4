//! `careen image` and its short forms: the images of the store.

use insta::assert_snapshot;
use support::{Bench, Finished};

use crate::bench;

/// What tests are built from: two layers, a label, a command.
const DOCKERFILE: &str = "FROM scratch\nCOPY Dockerfile /\nLABEL kind=test\nCOPY Dockerfile /again\n\
    ENV A=1\nCMD [\"/run\", \"it\"]\n";

/// Builds an image of these names for two platforms, and loads it; returns its id.
fn load(bench: &Bench, dockerfile: &str, names: &[&str]) -> String {
    bench.dockerfile(dockerfile);
    let mut arguments = vec!["--platform", "linux/amd64,linux/arm64"];
    arguments.extend(names.iter().flat_map(|name| ["-t", name]));
    let built = bench.build(&arguments);
    bench.careen(&["load", "-i", "out.tar"]).run().success();
    built.archive.top_digest().to_string()
}

fn short(id: &str) -> &str {
    id.strip_prefix("sha256:").unwrap().get(..12).unwrap()
}

fn run(bench: &Bench, arguments: &[&str]) -> Finished {
    bench.careen(arguments).run().success()
}

/// Runs it, and returns what it wrote to standard output with the id as `ID` and its short form as `SHORT`.
fn said(bench: &Bench, id: &str, arguments: &[&str]) -> String {
    let text = run(bench, arguments).text().replace(id, "ID");
    text.replace(short(id), "SHORT")
}

/// Returns the names of the images that are listed.
fn listed(bench: &Bench, arguments: &[&str]) -> Vec<String> {
    let format = ["images", "--format", "{{.Repository}}:{{.Tag}}"];
    let finished = run(bench, &[&format, arguments].concat());
    finished.text().lines().map(str::to_owned).collect()
}

#[test]
fn images_are_listed_as_docker_lists_them() {
    let bench = bench();
    let empty = "REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n";
    assert_eq!(run(&bench, &["image", "ls"]).text(), empty);
    let id = load(
        &bench,
        DOCKERFILE,
        &["demo", "example.org/some/thing:1.2.3"],
    );
    let table = said(
        &bench,
        &id,
        &[
            "images",
            "--format",
            "table {{.Repository}}\\t{{.Tag}}\\t{{.ID}}",
        ],
    );
    assert_snapshot!(table, @r"
    REPOSITORY               TAG       IMAGE ID
    demo                     latest    SHORT
    example.org/some/thing   1.2.3     SHORT
    ");
    assert_eq!(said(&bench, &id, &["images", "-q"]), "SHORT\nSHORT\n");
    assert_eq!(
        said(&bench, &id, &["images", "-q", "--no-trunc", "demo"]),
        "ID\n"
    );
    let digests = said(&bench, &id, &["image", "ls", "--digests", "demo"]);
    let lines: Vec<Vec<&str>> = digests
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines[0],
        [
            "REPOSITORY",
            "TAG",
            "DIGEST",
            "IMAGE",
            "ID",
            "CREATED",
            "SIZE"
        ]
    );
    assert_eq!(lines[1][..4], ["demo", "latest", "ID", "SHORT"]);
    assert_eq!(lines[1][5..7], ["years", "ago"]);
    assert!(lines[1][7].ends_with("kB"), "{digests}");
}

#[test]
fn the_json_of_a_list_has_dockers_keys() {
    let bench = bench();
    let id = load(&bench, DOCKERFILE, &["demo"]);
    let json = said(&bench, &id, &["images", "--format", "json", "demo"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let keys: Vec<_> = json.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "Containers",
            "CreatedAt",
            "CreatedSince",
            "Digest",
            "ID",
            "Repository",
            "SharedSize",
            "Size",
            "Tag",
            "UniqueSize"
        ]
    );
    assert_eq!(json["CreatedAt"], "2023-11-14 22:13:20 +0000 UTC");
    assert_eq!(json["Digest"], "ID");
}

#[test]
fn filters_and_names_say_which_images_are_listed() {
    let bench = bench();
    load(&bench, DOCKERFILE, &["demo:1", "example.org/demo"]);
    let other = load(&bench, "FROM scratch\nCOPY Dockerfile /x\n", &["other:1"]);
    let table: [(&[&str], &[&str]); 9] = [
        (&[], &["demo:1", "example.org/demo:latest", "other:1"]),
        (&["demo"], &["demo:1"]),
        (&["demo:2"], &[]),
        (&["*e*:1"], &["demo:1", "other:1"]),
        (&["-f", "reference=*/demo"], &["example.org/demo:latest"]),
        (
            &["-f", "label=kind"],
            &["demo:1", "example.org/demo:latest"],
        ),
        (&["-f", "label=kind=other"], &[]),
        (&["-f", "dangling=true"], &[]),
        (&["-f", "until=2023-11-14T22:13:20Z"], &[]),
    ];
    for (arguments, expected) in table {
        assert_eq!(listed(&bench, arguments), expected, "{arguments:?}");
    }
    // The image that gets the name leaves the one that had it without one.
    run(&bench, &["tag", "demo:1", "other:1"]);
    assert_eq!(listed(&bench, &["-f", "dangling=true"]), ["<none>:<none>"]);
    assert_eq!(
        said(&bench, &other, &["images", "-q", "-f", "dangling=1"]),
        "SHORT\n"
    );
    let refusal = bench.careen(&["images", "-f", "size=1"]).run();
    assert_snapshot!(refusal.error(2), @"error: `--filter size=1`: there is no filter `size` here; there are `before`, `dangling`, `label`, `reference`, `since`, `until`");
}

#[test]
fn a_tree_has_the_platforms_below_the_image() {
    let bench = bench();
    load(&bench, DOCKERFILE, &["demo"]);
    let tree = run(&bench, &["images", "--tree"]);
    let first: Vec<_> = tree
        .text()
        .lines()
        .map(|line| line.split("   ").next().unwrap())
        .collect();
    assert_eq!(
        first,
        ["IMAGE", "demo:latest", "├─ linux/amd64", "└─ linux/arm64"]
    );
}

#[test]
fn an_image_is_inspected_with_dockers_keys() {
    let bench = bench();
    let id = load(&bench, DOCKERFILE, &["demo", "example.org/demo:1"]);
    let json = run(&bench, &["image", "inspect", "demo", short(&id)]);
    let list: serde_json::Value = serde_json::from_str(json.text()).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 2);
    let image = &list[0];
    assert_eq!(list[0], list[1]);
    assert_eq!(image["Id"], id.as_str());
    assert_eq!(
        image["RepoTags"],
        serde_json::json!(["demo:latest", "example.org/demo:1"])
    );
    let digests = [format!("demo@{id}"), format!("example.org/demo@{id}")];
    assert_eq!(image["RepoDigests"], serde_json::json!(digests));
    assert_eq!(image["Created"], "2023-11-14T22:13:20Z");
    assert_eq!(image["Os"], "linux");
    assert_eq!(image["RootFS"]["Type"], "layers");
    assert_eq!(image["RootFS"]["Layers"].as_array().unwrap().len(), 2);
    assert_eq!(image["Descriptor"]["digest"], id.as_str());
    assert_eq!(
        image["Descriptor"]["mediaType"],
        "application/vnd.oci.image.index.v1+json"
    );
    assert!(
        json.text()
            .starts_with("[\n    {\n        \"Id\": \"sha256:"),
        "{}",
        json.text()
    );
}

#[test]
fn a_template_says_what_is_shown_of_an_image() {
    let bench = bench();
    let id = load(&bench, DOCKERFILE, &["demo"]);
    let table = [
        ("{{.Id}} {{.Os}}", "ID linux\n"),
        ("{{json .Config.Labels}}", "{\"kind\":\"test\"}\n"),
        (
            "{{index .Config.Labels \"kind\"}}|{{index .Config.Labels \"none\"}}|{{.Config.Labels.none}}",
            "test||<no value>\n",
        ),
        ("{{range .Config.Cmd}}{{.}};{{end}}", "/run;it;\n"),
        (
            "{{index .Config.Env 1 | printf \"%q\"}} {{len .RootFS.Layers}}",
            "\"A=1\" 2\n",
        ),
        (
            "{{.Descriptor.Digest}} {{.Descriptor.MediaType}}",
            "ID application/vnd.oci.image.index.v1+json\n",
        ),
        // Not the name of a field, but a key of docker's JSON.
        ("{{.Descriptor.digest}}", "ID\n"),
        (
            "{{json .Config.ExposedPorts}} {{.Config.User}}|",
            "null |\n",
        ),
    ];
    for (template, expected) in table {
        let arguments = ["image", "inspect", "-f", template, "demo"];
        assert_eq!(said(&bench, &id, &arguments), expected, "{template}");
    }
    let architecture = |platform| {
        let template = "{{.Os}}/{{.Architecture}}";
        run(
            &bench,
            &[
                "image",
                "inspect",
                "--platform",
                platform,
                "-f",
                template,
                "demo",
            ],
        )
        .text()
        .to_owned()
    };
    assert_eq!(architecture("linux/arm64"), "linux/arm64\n");
    assert_eq!(architecture("linux/amd64"), "linux/amd64\n");
}

#[test]
fn what_cannot_be_inspected_is_said() {
    let bench = bench();
    load(&bench, DOCKERFILE, &["demo"]);
    let fails = |arguments: &[&str], code| {
        let finished = bench
            .careen(&[&["image", "inspect"], arguments].concat())
            .run();
        finished.error(code).to_owned()
    };
    assert_snapshot!(fails(&["none"], 1), @"error: no such image: `none`");
    assert_snapshot!(fails(&["-f", "{{.Foo}}", "demo"], 1), @r#"
    error: `--format` does not suit the image `demo`
      = caused by: template: 1:3: at <.Foo>: map has no entry for key "Foo"
    "#);
    assert_snapshot!(fails(&["-f", "{{.Foo", "demo"], 2), @r"
    error: `--format` is no template
      = caused by: template: 1:1: unclosed action
    ");
    assert_snapshot!(fails(&["--platform", "linux/s390x", "demo"], 1), @"error: the image `demo` is not there for linux/s390x");
    assert_snapshot!(fails(&["--platform", "a/b/c/d", "demo"], 2), @r"
    error: `--platform a/b/c/d` is no platform
      = caused by: platform `a/b/c/d` is not of the form os/architecture/variant
    ");
    // Those that are there are shown.
    let finished = bench
        .careen(&["image", "inspect", "-f", "{{.Os}}", "none", "demo"])
        .run();
    assert_eq!((finished.code(), finished.text()), (1, "linux\n"));
}

#[test]
fn names_are_taken_away_and_the_last_one_takes_the_image_along() {
    let bench = bench();
    let id = load(&bench, DOCKERFILE, &["demo:1", "demo:2"]);
    run(&bench, &["image", "tag", "demo:1", "example.org/demo"]);
    let several = bench.careen(&["rmi", short(&id)]).run();
    assert_eq!(
        several.error(1),
        format!(
            "error: the image `{}` has several names: demo:1, demo:2, example.org/demo:latest\n  \
             = help: `--force` takes all of them away",
            short(&id)
        )
    );
    assert_eq!(said(&bench, &id, &["rmi", "demo:1"]), "Untagged: demo:1\n");
    let rest = said(&bench, &id, &["image", "rm", "-f", short(&id)]);
    assert_eq!(
        rest,
        "Untagged: demo:2\nUntagged: example.org/demo:latest\nDeleted: ID\n"
    );
    assert!(listed(&bench, &[]).is_empty());
    let blob = format!(
        "home/.local/share/careen/content/blobs/sha256/{}",
        id.trim_start_matches("sha256:")
    );
    assert!(!bench.path(&blob).try_exists().unwrap());
    assert_snapshot!(bench.careen(&["rmi", "demo:1"]).run().error(1), @"error: no such image: `demo:1`");
    assert_eq!(run(&bench, &["rmi", "-f", "demo:1"]).text(), "");
}

#[test]
fn a_name_with_a_digest_cannot_be_given() {
    let bench = bench();
    let id = load(&bench, DOCKERFILE, &["demo"]);
    let refusal = bench.careen(&["tag", "demo", &format!("demo@{id}")]).run();
    assert_eq!(
        refusal.error(2),
        format!("error: `demo@{id}` has a digest, which no name can be given")
    );
    assert_snapshot!(bench.careen(&["tag", "demo", "A B"]).run().error(2), @r"
    error: `A B` is no name of an image
      = caused by: image reference `A B` has upper-case letters in the repository's name
    ");
}

#[test]
fn images_without_a_name_are_pruned_and_with_all_the_others_too() {
    let bench = bench();
    let one = load(&bench, DOCKERFILE, &["demo"]);
    let two = load(&bench, "FROM scratch\nCOPY Dockerfile /x\n", &["demo"]);
    let asked = bench.careen(&["image", "prune"]).run().success();
    assert_eq!(
        asked.text(),
        "WARNING! This will remove all dangling images.\nAre you sure you want to continue? [y/N] "
    );
    let pruned = said(&bench, &one, &["image", "prune", "-f"]);
    assert!(
        pruned.starts_with("Deleted Images:\ndeleted: ID\n\nTotal reclaimed space: "),
        "{pruned}"
    );
    assert!(!pruned.ends_with(" 0B\n"), "{pruned}");
    assert_eq!(listed(&bench, &[]), ["demo:latest"]);
    let none = run(&bench, &["image", "prune", "-af", "--filter", "label=kind"]);
    assert_eq!(none.text(), "Total reclaimed space: 0B\n");
    let all = said(
        &bench,
        &two,
        &["image", "prune", "-af", "--filter", "until=1h"],
    );
    assert!(
        all.starts_with("Deleted Images:\nuntagged: demo:latest\ndeleted: ID\n\n"),
        "{all}"
    );
    assert!(listed(&bench, &[]).is_empty());
}

#[test]
fn a_history_has_the_last_step_first() {
    let bench = bench();
    let id = load(&bench, DOCKERFILE, &["demo"]);
    let format = "{{.ID}}|{{.CreatedBy}}|{{.CreatedAt}}|{{.Comment}}";
    assert_snapshot!(said(&bench, &id, &["image", "history", "--format", format, "demo"]), @r#"
    SHORT|CMD ["/run" "it"]|2023-11-14T22:13:20Z|buildkit.dockerfile.v0
    <missing>|ENV A=1|2023-11-14T22:13:20Z|buildkit.dockerfile.v0
    <missing>|COPY Dockerfile /again # buildkit|2023-11-14T22:13:20Z|buildkit.dockerfile.v0
    <missing>|LABEL kind=test|2023-11-14T22:13:20Z|buildkit.dockerfile.v0
    <missing>|COPY Dockerfile / # buildkit|2023-11-14T22:13:20Z|buildkit.dockerfile.v0
    "#);
    assert_eq!(
        said(&bench, &id, &["image", "history", "-q", "demo"])
            .lines()
            .next(),
        Some("SHORT")
    );
    let sizes = run(
        &bench,
        &[
            "image",
            "history",
            "--human=false",
            "--format",
            "{{.Size}}",
            "demo",
        ],
    );
    let sizes: Vec<u64> = sizes
        .text()
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    assert_eq!((sizes.len(), sizes[0], sizes[1]), (5, 0, 0));
    assert!(sizes[2] > 0 && sizes[4] > 0, "{sizes:?}");
    let table = run(&bench, &["image", "history", "demo"]);
    let titles: Vec<_> = table
        .text()
        .lines()
        .next()
        .unwrap()
        .split("   ")
        .map(str::trim)
        .filter(|t| !t.is_empty())
        .collect();
    assert_eq!(
        titles,
        ["IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"]
    );
}
