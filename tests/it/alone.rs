//! Builds of which everything is known are ended by the first process, and others by the builder, as if nothing had been
//! tried before.

use std::net::TcpListener;
use std::path::Path;

use support::process;
use support::{Bench, Feature, Finished, Outcome, needs};

use crate::bench;
use crate::served::{Served, count};

/// Returns how often a text is in what a build said.
fn times(log: &Finished, text: &str) -> usize {
    log.stderr.matches(text).count()
}

/// What is said of `as`, by the step that reads the Dockerfile and at the end.
const WARNING: [&str; 2] = ["WARN: FromAsCasing", "\n - FromAsCasing"];

#[test]
fn what_is_told_is_told_once_when_the_builder_takes_over() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    for (content, outcome) in [
        ("one", Outcome::Done),
        ("one", Outcome::Cached),
        ("two", Outcome::Done),
        ("two", Outcome::Cached),
    ] {
        bench.dockerfile(&format!("FROM base as lower\nRUN echo {content} > b\n"));
        let built = bench.build(&[]);
        for text in WARNING {
            assert_eq!(times(&built.log, text), 1, "{}", built.log.stderr);
        }
        assert_eq!(
            built.log.outcome(&format!("RUN echo {content} > b")),
            Some(outcome)
        );
        assert_eq!(built.archive.image().text("b"), format!("{content}\n"));
    }
}

#[test]
fn an_output_of_files_after_a_build_that_is_known_has_them() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN echo made > f\n");
    for output in [
        "type=oci,dest=out.tar",
        "type=oci,dest=out.tar",
        "type=local,dest=out",
    ] {
        let build = bench.careen_build(&["--output", output]);
        build.run().success();
    }
    assert_eq!(std::fs::read(bench.path("out/f")).unwrap(), b"made\n");
}

#[test]
fn a_layer_that_is_wanted_in_another_compression_is_packed_by_the_builder() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN echo made > f\n");
    for compression in ["gzip", "gzip", "zstd", "zstd"] {
        let output = format!("type=oci,dest=out.tar,compression={compression}");
        let built = bench.build_as(&[], &output);
        assert_eq!(built.archive.image().text("f"), "made\n");
    }
}

#[test]
fn a_dockerfile_that_is_wrong_is_refused_once_though_the_last_one_was_known() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base as lower\nRUN :\n");
    bench.build(&[]);
    bench.build(&[]);
    bench.dockerfile("FROM base as lower\nRUN :\nCOPY\n");
    let said = bench.refusal(&[]);
    assert_eq!(said.matches("error:").count(), 1, "{said}");
}

#[test]
fn what_was_removed_meanwhile_is_made_again() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN echo made > f\n");
    bench.build(&[]);
    bench.build(&[]);
    bench.forget();
    let built = bench.build(&[]);
    assert_eq!(built.archive.image().text("f"), "made\n");
}

#[test]
fn a_registry_is_asked_once_by_a_build_that_the_builder_takes_over() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let mut served = Served::start(&bench);
    let base = served.name("lib/base:1");
    bench.dockerfile("FROM base\n");
    let pushed = bench.careen_build(&["--push", "-t", &base]);
    pushed.run().success();
    bench.forget();
    served.again(&bench);
    for content in ["one", "one", "two", "two"] {
        bench.dockerfile(&format!("FROM {base}\nRUN echo {content}\n"));
        let build = bench.careen_build(&["--output", "type=cacheonly"]);
        let log = build.run().success();
        assert_eq!(times(&log, "load metadata for"), 1, "{}", log.stderr);
        let asked = served.again(&bench);
        assert_eq!(count(&asked, "HEAD", "/manifests/"), 1, "{asked:?}");
    }
}

/// Builds twice, so that everything is known, and then forbids namespaces, which the builder cannot do without: in a
/// namespace of its own, to which the setting belongs. What is remembered of the machine is put back each time, since
/// a build that fails forgets it. Each line of `cases` has the further arguments of one build; its exit code is told.
const WITHOUT_BUILDER: &str = "\
    \"$0\" \"$@\"; \"$0\" \"$@\"; \
    cp \"$HOME/.cache/careen/host\" kept; \
    echo 0 > /proc/sys/user/max_user_namespaces; \
    while read -r line; do \
        cp kept \"$HOME/.cache/careen/host\"; \
        \"$0\" \"$@\" $line && code=0 || code=$?; \
        echo \"$code $line\"; \
    done < cases";

/// Returns how builds with these further arguments end where no builder can be started: `CODE ARGUMENTS`.
fn without_builder(bench: &Bench, arguments: &[&str], cases: &[&str]) -> Vec<String> {
    std::fs::write(bench.path("cases"), cases.join("\n") + "\n").unwrap();
    let unshare = ["/usr/bin/unshare", "--map-root-user"];
    let wrapper = [&unshare[..], &["/bin/sh", "-ec", WITHOUT_BUILDER]].concat();
    let log = bench
        .careen_build_under(&wrapper, arguments)
        .run()
        .success();
    log.text().lines().map(str::to_owned).collect()
}

#[test]
fn what_is_known_is_built_without_a_builder_and_what_may_not_be_is_left_to_it() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.file("secret", "word");
    bench.dockerfile("FROM base\nRUN echo made > f\nRUN cat f > g\nUSER 1:2\nWORKDIR /w\n");
    let output = "type=oci,dest=out.tar";
    let known = [
        "--pull=missing",
        "--tag a:1",
        "--metadata-file m --iidfile i",
        "--label a=b",
        "--output type=docker,dest=docker.tar",
    ];
    let beyond = [
        "--no-cache",
        "--cache-ttl 0s",
        "--secret id=a,src=context/secret",
        "--output type=local,dest=files",
        "--output type=tar,dest=files.tar",
        "--output type=oci,dest=other.tar,compression=zstd",
        "--output type=oci,dest=/dev/null",
        "--cache-to type=local,dest=cache",
        "--cache-from type=local,src=cache",
        "--event-log events",
        "--log-dir logs",
        "--timeline chart",
        "--save-stages",
        "--memory 1g",
        "--build-arg SOURCE_DATE_EPOCH=context",
    ];
    let ended = without_builder(
        &bench,
        &["--output", output],
        &[&known[..], &beyond].concat(),
    );
    let expected = known.map(|case| format!("0 {case}")).into_iter();
    let expected: Vec<_> = expected
        .chain(beyond.map(|case| format!("3 {case}")))
        .collect();
    assert_eq!(ended, expected);
}

/// Returns what was said without the times.
fn said(log: &Finished) -> Vec<String> {
    let word = |word: &str| {
        let is_time = word.ends_with('s') && word.starts_with(|first: char| first.is_ascii_digit());
        if is_time { "TIME" } else { word }.to_owned()
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    log.stderr.lines().map(line).collect()
}

#[test]
fn what_is_built_and_said_is_what_the_builder_builds_and_says() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile(
        "FROM base as lower\nRUN echo made > f\nFROM base\nCOPY --from=lower /f /g\nRUN cat g > h\nLABEL a=b\n",
    );
    for output in [
        "type=oci,dest=out",
        "type=oci,dest=out,tar=false",
        "type=docker,dest=out,name=a:1",
        "type=image,name=b:2,annotation.a=b",
    ] {
        let build = |others: &[&str]| {
            let files = ["--metadata-file", "metadata", "--iidfile", "id"];
            let output = ["--output", output];
            let log = bench.careen_build(&[&files[..], &output, others].concat());
            let log = log.run().success();
            // Each build has a name of its own there.
            let metadata = std::fs::read_to_string(bench.path("metadata")).unwrap();
            let metadata = metadata.lines().filter(|line| !line.contains("build.ref"));
            let metadata: Vec<_> = metadata.map(str::to_owned).collect();
            let written =
                ["id", "out", "out/index.json"].map(|name| std::fs::read(bench.path(name)).ok());
            let written = (metadata, written);
            // It is one or the other, or none.
            drop(std::fs::remove_file(bench.path("out")));
            drop(std::fs::remove_dir_all(bench.path("out")));
            let images = bench
                .careen(&["images", "--format", "json"])
                .run()
                .success();
            (said(&log), log.stdout, written, images.stdout)
        };
        build(&[]);
        build(&[]);
        let alone = build(&[]);
        // Records are written by the builder.
        let builders = build(&["--event-log", "events"]);
        assert!(alone == builders, "{output}: {alone:?} {builders:?}");
    }
}

/// What is done to a file.
type Change = fn(&Path);

/// Changes what the files below a directory of the store have in them.
fn damage(directory: &Path, change: Change) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            count += damage(&path, change);
        } else {
            change(&path);
            count += 1;
        }
    }
    count
}

/// Overwrites a file with zeros.
fn blank(path: &Path) {
    let length = std::fs::metadata(path).unwrap().len();
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, vec![0; usize::try_from(length).unwrap()]).unwrap();
}

#[test]
fn a_store_that_is_damaged_is_mended_by_the_builder() {
    needs!(Feature::Busybox);
    let remove: Change = |path| std::fs::remove_file(path).unwrap();
    let cases: [(&str, Change); 4] = [
        ("content/blobs", blank),
        ("content/blobs", remove),
        ("records", blank),
        ("records", remove),
    ];
    for (place, change) in cases {
        let bench = bench().with_busybox();
        bench.dockerfile("FROM base\nRUN echo made > f\n");
        bench.build(&[]);
        bench.build(&[]);
        let store = bench.path("home/.local/share/careen");
        assert!(damage(&store.join(place), change) > 0);
        std::fs::remove_file(bench.path("out.tar")).unwrap();
        let after = bench.build(&[]);
        assert_eq!(after.archive.image().text("f"), "made\n", "{place}");
    }
}

#[test]
fn layers_that_are_gone_are_made_again() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    bench.dockerfile("FROM base\nRUN echo made > f\n");
    bench.build(&[]);
    bench.build(&[]);
    let store = bench.path("home/.local/share/careen");
    for of_map in std::fs::read_dir(store.join("snapshots")).unwrap() {
        for snapshot in std::fs::read_dir(of_map.unwrap().path()).unwrap() {
            let path = snapshot.unwrap().path();
            std::fs::rename(&path, store.join("trash").join(path.file_name().unwrap())).unwrap();
        }
    }
    std::fs::remove_dir_all(store.join("content/blobs/sha256")).unwrap();
    std::fs::create_dir(store.join("content/blobs/sha256")).unwrap();
    let built = bench.build(&[]);
    assert_eq!(built.archive.image().text("f"), "made\n");
    assert_eq!(built.log.outcome("RUN echo made > f"), Some(Outcome::Done));
}

/// Pushes a base to a registry, and builds on it until everything is known.
fn known_of_registry(bench: &Bench, served: &mut Served) -> String {
    let base = served.name("lib/base:1");
    bench.dockerfile("FROM base\n");
    let pushed = bench.careen_build(&["--push", "-t", &base]);
    pushed.run().success();
    bench.forget();
    bench.dockerfile(&format!("FROM {base}\nRUN echo made\n"));
    for _ in 0..2 {
        let build = bench.careen_build(&["--output", "type=cacheonly"]);
        build.run().success();
    }
    base
}

#[test]
fn a_registry_that_is_gone_is_told_once() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let mut served = Served::start(&bench);
    known_of_registry(&bench, &mut served);
    drop(served.end());
    let build = || bench.careen_build(&["--output", "type=cacheonly"]).run();
    let log = build().success();
    assert_eq!(times(&log, "warning: "), 1, "{}", log.stderr);
    assert_eq!(log.outcome("RUN echo made"), Some(Outcome::Cached));
    let always = bench.careen_build(&["--output", "type=cacheonly", "--pull"]);
    let log = always.run();
    assert_eq!(times(&log, "ERROR: failed to build: "), 1, "{}", log.stderr);
    assert_eq!(log.code(), 4);
}

#[test]
fn a_build_that_waits_for_a_registry_is_interrupted_at_once() {
    needs!(Feature::Busybox);
    let bench = bench().with_busybox();
    let mut served = Served::start(&bench);
    known_of_registry(&bench, &mut served);
    let address = served.address();
    drop(served.end());
    let silent = TcpListener::bind(&address).unwrap();
    let running = bench.careen_build(&["--output", "type=cacheonly"]).start();
    let _connection = silent.accept().unwrap();
    let processes = process::tree(running.id());
    running.id().interrupt();
    assert_eq!(running.finish().error(130), "error: interrupted by SIGINT");
    assert_eq!(processes.len(), 1);
}
