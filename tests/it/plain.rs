//! Plain progress beside that of Docker Engine's BuildKit: `tests/plain` has Dockerfiles and what it said of them
//! (`scripts/e2e/record_plain.sh` records that). careen has to say the same, but for times, sizes and digests, and the
//! order of what goes on side by side.
//!
//! What differs on purpose is what [`of_buildkit_alone`] and [`of_careen_alone`] say, and a table in `docs/progress.md`.

mod lines;
mod rawjson;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use support::{BaseImage, Bench, Feature, Finished, HttpServer, Reply, needs};

use self::lines::Log;
use crate::bench;
use crate::served::Served;

/// Where the program for the other platform is, so that the base has files for it.
const PLATFORMS: &str = "linux/amd64,linux/arm64";

/// How the step begins that tells what commands are run with.
const RUN_WITH: &str = "[internal] commands are run with ";

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plain")
}

/// Tells whether careen has no such line, in a step of that name, of a build that runs commands or none.
fn of_buildkit_alone(step: &str, line: &str, has_commands: bool) -> bool {
    // Texts of here-documents are part of the copy.
    step == "[internal] preparing inline document"
        // An image of the store is no directory until somebody needs one.
        || line.starts_with("unpacking to ")
        // Nor is a base that no command sees.
        || (line.starts_with("extracting ")
            && step.contains("FROM ")
            // Of the other platform, commands see no base in any case.
            && (!has_commands || step.starts_with("[linux/arm64 ")))
}

/// Tells whether BuildKit has no such line, in a step of that name; `ending` is what it says after the steps.
fn of_careen_alone(step: &str, line: &str, ending: &[String]) -> bool {
    let in_list = |warning: &str| ending.contains(&format!(" - {warning}"));
    // Which sandbox commands have depends on the machine.
    step.starts_with(RUN_WITH)
        // BuildKit has those that it finds after it has read the file at the end alone.
        || line.strip_prefix("WARN: ").is_some_and(in_list)
}

/// Docker Hub, as far as the Dockerfiles ask for it.
struct Hub {
    /// As long as it is asked.
    _served: Served,
    files: HttpServer,
}

impl Hub {
    fn open(bench: &Bench) -> Self {
        let served = Served::start(bench);
        support::layout::write(
            &bench.path("images"),
            &[BaseImage::busybox(), BaseImage::arm64()],
        );
        bench.dockerfile("FROM images\n");
        let images = format!("images=oci-layout://{}", bench.path("images").display());
        let name = served.name("library/busybox:latest");
        let push = ["build", "--push", "-t", &name, "--platform", PLATFORMS];
        let push = bench.careen(&push).args(&["--build-context", &images]);
        push.arg("context").run().success();
        bench.forget();
        let directory = bench.path("home/.config/containerd/certs.d/docker.io");
        fs::create_dir_all(&directory).unwrap();
        let host = format!("[host.\"http://{}\"]\n", served.address());
        fs::write(directory.join("hosts.toml"), host).unwrap();
        let files = HttpServer::start();
        files.serve("/words.txt", Reply::file("words\n"));
        Self {
            _served: served,
            files,
        }
    }
}

/// Copies the files of a case into a directory of its own.
fn lay_out(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            lay_out(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Carries out the command lines of a case; returns what came of the last one.
fn run(bench: &Bench, hub: &Hub, name: &str, progress: &str) -> Finished {
    let case = cases().join(name);
    let context = bench.path(name);
    lay_out(&case, &context);
    let server = hub.files.url("");
    let server = server.trim_start_matches("http://").trim_end_matches('/');
    let commands = fs::read_to_string(case.join("commands")).unwrap();
    let runs = commands.lines().map(|line| {
        let line = line.replace("SERVER", server).replace("DEST", "out");
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        let build = bench.careen(&["build", "--progress", progress]);
        build.args(&words).current_dir(&context).run()
    });
    // Each is carried out, and the last one counts.
    let mut runs: Vec<_> = runs.collect();
    runs.pop().unwrap()
}

/// Compares a case.
fn compare(name: &str) {
    let bench = bench();
    let hub = Hub::open(&bench);
    let said = run(&bench, &hub, name, "plain").stderr;
    let expected = fs::read_to_string(cases().join(name).join("buildkit.txt")).unwrap();
    let address = hub.files.url("");
    let address = address.trim_start_matches("http://").trim_end_matches('/');
    let (careen, buildkit) = (
        Log::of(&said.replace(address, "SERVER")),
        Log::of(&expected),
    );
    let dockerfile = fs::read_to_string(cases().join(name).join("Dockerfile")).unwrap();
    let has_commands = dockerfile.lines().any(|line| line.starts_with("RUN "));
    let lacking = careen.lacking(&buildkit, |step, line| {
        of_buildkit_alone(step, line, has_commands)
    });
    let more = buildkit.lacking(&careen, |step, line| {
        of_careen_alone(step, line, &buildkit.ending)
    });
    assert!(
        lacking.is_empty() && more.is_empty(),
        "BuildKit alone says {lacking:#?}, careen alone {more:#?}, of:\n{said}"
    );
    assert_eq!(careen.opening, buildkit.opening, "{said}");
    assert_eq!(careen.ending, buildkit.ending, "{said}");
}

#[test]
fn what_a_build_says_is_what_buildkit_says() {
    needs!(Feature::Busybox);
    for name in [
        "simple",
        "cached",
        "stages",
        "context",
        "heredoc",
        "arguments",
        "add",
        "checks",
        "secret",
        "exported",
    ] {
        compare(name);
    }
}

#[test]
fn what_fails_is_said_as_buildkit_says_it() {
    needs!(Feature::Busybox);
    for name in ["failing", "syntax"] {
        compare(name);
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn several_platforms_are_said_as_buildkit_says_them() {
    needs!(Feature::Busybox);
    compare("platforms");
}

#[test]
fn every_case_is_compared() {
    let cases = fs::read_dir(cases()).unwrap();
    let names = cases.map(|case| case.unwrap().file_name().into_string().unwrap());
    let names: BTreeSet<_> = names.collect();
    let text = include_str!("plain.rs");
    for name in &names {
        assert!(text.contains(&format!("\"{name}\"")), "{name}");
    }
    assert!(names.len() >= 10, "{names:?}");
}
