//! What is told and kept of builds: summaries, `history`, and why steps ran again.

use std::fs;

use serde_json::Value;
use support::{Bench, Feature, Finished, Invocation, Terminal, needs};

use crate::bench;

const DOCKERFILE: &str =
    "FROM base\nARG V=1\nCOPY src /src\nRUN echo heard $V; echo 12345 > /made\n";

/// A context of two files on a base that runs commands.
fn bench_with_files() -> Bench {
    let bench = bench().with_busybox();
    bench.file("src/a.txt", "a");
    bench.file("src/b.txt", "b");
    bench.dockerfile(DOCKERFILE);
    bench
}

fn build(bench: &Bench, arguments: &[&str]) -> Invocation {
    let base = format!("base=oci-layout://{}", bench.path("base").display());
    let run = bench.careen(&["build", "--build-context", &base, "--progress", "plain"]);
    run.args(arguments).arg("context")
}

fn built(bench: &Bench, arguments: &[&str]) -> Finished {
    build(bench, arguments).run().success()
}

fn history(bench: &Bench, arguments: &[&str]) -> String {
    let run = bench.careen(&["history"]).args(arguments).run();
    run.success().text().to_owned()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Returns the reasons of each step that `--explain-cache=json` tells of, by the step's text.
fn reasons(told: &Finished) -> Vec<(String, Value)> {
    let told = json(told.text());
    let steps = told["steps"].as_array().unwrap().iter();
    let reasons = steps.map(|step| {
        let name = step["step"].as_str().unwrap().to_owned();
        (name, step["reasons"].clone())
    });
    reasons.collect()
}

#[test]
fn layers_and_the_largest_new_files_are_told_when_they_are_asked_for() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    bench.file("src/big", "x".repeat(5000));
    let output = ["-o", "type=oci,dest=out.tar"];
    let plain = built(&bench, &["-o", "type=cacheonly"]).stderr;
    assert!(!plain.contains("LAYER "), "{plain}");
    let told = built(
        &bench,
        &[&output[..], &["--no-cache", "--summary"]].concat(),
    )
    .stderr;
    let lines: Vec<_> = told.lines().collect();
    let table = lines.iter().position(|line| line.starts_with("LAYER "));
    let table = &lines[table.unwrap()..];
    let begins = |line: usize, with: &str| assert!(table[line].starts_with(with), "{told}");
    begins(1, "[1/3] FROM base ");
    begins(2, "[2/3] COPY src /src ");
    begins(3, "[3/3] RUN echo heard 1; ");
    begins(5, "LARGEST NEW FILE ");
    begins(6, "/src/big ");
    assert!(
        table[6].ends_with("   5kB    [2/3] COPY src /src"),
        "{told}"
    );
    begins(7, "/made ");
    let cached = built(&bench, &[&output[..], &["--summary"]].concat()).stderr;
    assert!(cached.trim_end().ends_with("   cached"), "{cached}");
    assert!(!cached.contains("LARGEST"), "{cached}");
}

#[test]
fn a_terminal_is_told_without_asking_unless_it_is_switched_off() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    let terminal = Terminal::open(40, 100);
    let shown = |arguments: &[&str], end: &str| {
        let base = format!("base=oci-layout://{}", bench.path("base").display());
        let run = bench.careen(&["build", "--build-context", &base, "-o", "type=cacheonly"]);
        let run = run.args(arguments).arg("context").env("TERM", "xterm");
        let running = run.stderr(terminal.stream()).start();
        let shown = terminal.wait_for(end);
        running.finish().success();
        shown
    };
    shown(&[], "[3/3] RUN echo heard 1; echo 12345 > /made   -      ");
    let mut none = shown(&["--summary=false"], "FINISHED");
    // What nothing else says tells that all before it is there.
    let end = bench.careen(&["history", "trace"]);
    end.stderr(terminal.stream()).run();
    none += &terminal.wait_for("is not supported");
    assert!(!none.contains("LAYER "), "{none:?}");
}

#[test]
fn the_page_of_a_workflow_has_the_build_unless_that_is_switched_off() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    let page = bench.path("page.md");
    let on_github = |run: Invocation| {
        run.env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", &page)
    };
    on_github(build(&bench, &["-o", "type=oci,dest=out.tar"]))
        .run()
        .success();
    let text = fs::read_to_string(&page).unwrap();
    assert!(
        text.starts_with("### Build <code>context</code>: completed\n\n"),
        "{text}"
    );
    assert!(
        text.contains("| <code>&#91;2/3&#93; COPY src /src</code> | "),
        "{text}"
    );
    bench.dockerfile("FROM base\nRUN exit 3\n");
    let failed = on_github(build(&bench, &[])).run();
    assert_eq!(failed.code(), 1);
    let text = fs::read_to_string(&page).unwrap();
    let failure =
        ": failed\n\n<code>RUN failed: &#96;/bin/sh -c&#96; exited with status 3</code>\n";
    assert!(text.contains(failure), "{text}");
    let off = on_github(build(&bench, &[])).env("DOCKER_BUILD_SUMMARY", "false");
    assert_eq!(off.run().code(), 1);
    assert_eq!(fs::read_to_string(&page).unwrap(), text);
}

/// Builds once with success and once without; returns the first.
fn built_and_failed(bench: &Bench) -> Finished {
    let arguments = ["--build-arg", "V=2", "--metadata-file", "known.json"];
    let output = ["-o", "type=oci,dest=out.tar"];
    let first = built(bench, &[&arguments[..], &output].concat());
    bench.dockerfile("FROM base\nRUN exit 3\n");
    assert_eq!(build(bench, &["--label", "a=b"]).run().code(), 1);
    first
}

/// Returns what the first build said of itself.
fn metadata(bench: &Bench) -> Value {
    json(&fs::read_to_string(bench.path("known.json")).unwrap())
}

#[test]
fn builds_are_listed_and_forgotten() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    built_and_failed(&bench);
    let listed = history(&bench, &["ls"]);
    let lines: Vec<_> = listed.lines().collect();
    assert_eq!(lines.len(), 3, "{listed}");
    let columns = lines[0].split("  ").filter(|word| !word.is_empty());
    let columns: Vec<_> = columns.map(str::trim).collect();
    assert_eq!(
        columns,
        ["BUILD ID", "NAME", "STATUS", "CREATED AT", "DURATION"]
    );
    let rows = "{{.Name}} {{.Status}}";
    assert_eq!(
        history(&bench, &["ls", "--format", rows]),
        "context Error\ncontext Completed\n"
    );
    let only = ["ls", "--filter", "status=completed", "--format", "json"];
    let completed = json(&history(&bench, &only));
    assert_eq!(completed["completed_steps"], completed["total_steps"]);
    let reference = metadata(&bench)["buildx.build.ref"].clone();
    assert_eq!(completed["ref"], reference);

    history(&bench, &["rm", reference.as_str().unwrap()]);
    assert_eq!(
        history(&bench, &["ls", "--format", rows]),
        "context Error\n"
    );
    history(&bench, &["rm", "--all"]);
    assert_eq!(history(&bench, &["ls", "--format", rows]), "");
    let none = bench.careen(&["history", "inspect"]).run();
    assert!(
        none.error(1)
            .starts_with("error: no build is recorded here\n")
    );
}

#[test]
fn builds_are_shown_and_replayed() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    let first = built_and_failed(&bench);
    let metadata = metadata(&bench);
    let reference = metadata["buildx.build.ref"].as_str().unwrap();
    // What was said is said again, but for what is no step: the builder, and what the runner of a build says.
    let said = first.stderr.split_once("\n\n").unwrap();
    assert!(said.0.starts_with("#0 building with"), "{}", said.0);
    assert_eq!(
        history(&bench, &["logs", reference]).trim_end(),
        said.1.trim_end()
    );
    let shown = json(&history(&bench, &["inspect", "^1", "--format", "json"]));
    let given = shown["BuildArgs"].as_array().unwrap();
    assert!(
        given.contains(&json(r#"{"Name":"V","Value":"2"}"#)),
        "{shown}"
    );
    let digest = &metadata["containerimage.digest"];
    assert_eq!(&shown["Attachments"][0]["Digest"], digest);
    let failed = history(&bench, &["inspect"]);
    assert!(
        failed.contains("\nError:          RUN failed: `/bin/sh -c` exited with status 3\n"),
        "{failed}"
    );
    assert!(
        failed.contains("\nLabels:\nNAME      VALUE\na         b\n"),
        "{failed}"
    );
    let raw = history(&bench, &["logs", "--progress", "rawjson"]);
    assert!(raw.lines().all(|line| json(line).is_object()), "{raw}");
}

#[test]
fn so_many_builds_are_kept_as_is_said() {
    let bench = bench();
    bench.dockerfile("FROM scratch\nCOPY a /\n");
    let build = |number: &str, arguments: &[&str]| {
        bench.file("a", number);
        let run = bench.careen(&["build", "-o", "type=cacheonly"]);
        let run = run
            .args(arguments)
            .args(&["--build-arg", &format!("N={number}"), "context"]);
        run.env("CAREEN_HISTORY", "2")
    };
    for number in ["1", "2", "3"] {
        build(number, &[]).run().success();
    }
    build("4", &["--no-history"]).run().success();
    build("5", &[]).env("CAREEN_HISTORY", "0").run().success();
    let kept = |at: &str| {
        let format = "{{range .BuildArgs}}{{if eq .Name \"N\"}}{{.Value}}{{end}}{{end}}";
        history(&bench, &["inspect", at, "--format", format])
    };
    assert_eq!(
        (kept("^0"), kept("^1")),
        ("3\n".to_owned(), "2\n".to_owned())
    );
    assert_eq!(history(&bench, &["ls", "--format", "x"]), "x\nx\n");
    let wrong = build("6", &[]).env("CAREEN_HISTORY", "all").run();
    let expected =
        "error: `CAREEN_HISTORY=all`: a number of builds up to 1000 is meant; 0 keeps none";
    assert_eq!(wrong.error(2), expected);
}

#[test]
fn what_of_a_key_is_another_is_told() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    let explain = ["--explain-cache=json"];
    let first = reasons(&built(&bench, &explain));
    assert_eq!(
        first
            .iter()
            .map(|(_, reasons)| reasons.clone())
            .collect::<Vec<_>>(),
        [json("[]"), json("[]")]
    );
    assert_eq!(reasons(&built(&bench, &explain)), []);
    let copy = "[2/3] COPY src /src";

    bench.file("src/a.txt", "other");
    bench.file("src/c.txt", "c");
    fs::remove_file(bench.path("context/src/b.txt")).unwrap();
    let files = reasons(&built(&bench, &explain));
    assert_eq!(files[0].0, copy);
    assert_eq!(
        files[0].1,
        json(
            r#"[{"kind":"files","files":[{"path":"src/a.txt","change":"content"},{"path":"src/b.txt","change":"removed"},
            {"path":"src/c.txt","change":"added"}],"more":0}]"#,
        )
    );
    assert_eq!(
        files[1].1,
        json(&format!(r#"[{{"kind":"below","step":"{copy}"}}]"#))
    );

    let argument = reasons(&built(
        &bench,
        &["--explain-cache=json", "--build-arg", "V=2"],
    ));
    assert_eq!(argument.len(), 1);
    assert_eq!(
        argument[0].1,
        json(r#"[{"kind":"argument","name":"V","from":"1","to":"2"}]"#)
    );

    let asked = reasons(&built(
        &bench,
        &["--explain-cache=json", "--build-arg", "V=2", "--no-cache"],
    ));
    let flag = json(r#"[{"kind":"asked","flag":"--no-cache"}]"#);
    assert_eq!(
        asked
            .into_iter()
            .map(|(_, reasons)| reasons)
            .collect::<Vec<_>>(),
        [flag.clone(), flag]
    );

    let text = build(&bench, &["--explain-cache", "--build-arg", "V=3"])
        .run()
        .success()
        .stderr;
    let expected = "\n  the build argument `V` was `2` and is `3`";
    assert!(text.trim_end().ends_with(expected), "{text}");
    let kept = history(&bench, &["inspect", "--explain"]);
    assert!(kept.contains(expected), "{kept}");
}

#[test]
fn another_base_is_told_with_both_manifests() {
    needs!(Feature::Busybox);
    let bench = bench_with_files();
    built(&bench, &["-o", "type=oci,dest=based,tar=false"]);
    bench.dockerfile("FROM base\nRUN true\n");
    let over = |layout: &str| {
        let base = format!("base=oci-layout://{}", bench.path(layout).display());
        let run = bench.careen(&[
            "build",
            "--build-context",
            &base,
            "--explain-cache=json",
            "context",
        ]);
        reasons(&run.run().success())
    };
    over("base");
    let told = over("based");
    let reason = &told[0].1[0];
    assert_eq!(
        (&reason["kind"], &reason["step"]),
        (&"base".into(), &"[1/2] FROM base".into())
    );
    assert_ne!(reason["from"], reason["to"]);
    let manifest = reason["to"].as_str().unwrap().replace(':', "/");
    assert!(
        bench
            .path("based/blobs")
            .join(manifest)
            .try_exists()
            .unwrap(),
        "{reason}"
    );
}

#[test]
fn what_there_is_not_is_refused_with_what_there_is() {
    let bench = bench();
    for (words, expected) in [
        (
            &["history", "trace"][..],
            "error: `history trace` is not supported\n  = help: `build --timeline FILE` writes a page with a chart of the build",
        ),
        (
            &["buildx", "history", "export"],
            "error: `history export` is not supported\n  = help: `history logs --progress rawjson` prints all that a build said",
        ),
        (
            &["history", "alpine"],
            "error: `history alpine` is not supported\n  = help: `careen image history alpine` shows how an image was made",
        ),
        (
            &["history", "inspect", "attachment"],
            "error: `history inspect attachment` is not supported: builds have no attestations",
        ),
    ] {
        assert_eq!(bench.careen(words).run().error(2), expected);
    }
    bench.dockerfile("FROM scratch\nCOPY a /\n");
    bench.file("a", "a");
    let twice = ["build", "--explain-cache=json", "-o", "-", "context"];
    let expected =
        "error: standard output has room for one result: `--explain-cache=json` and an output";
    assert_eq!(bench.careen(&twice).run().error(2), expected);
}
