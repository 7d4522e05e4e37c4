//! The whole text of each kind of report.

use clap::Parser as _;
use graph::{Definition, Input};
use graph::{DefinitionBuilder, LocalSource, Op, SourceOp, StepLabel, Vertex, VertexId};
use insta::assert_snapshot;
use solver::JobOptions;
use solver::state::Reuse;

use super::*;
use crate::args::{Arguments, Command};
use crate::config::Config;
use crate::env::Environment;

const DOCKERFILE: &str = "FROM base\nCOPY requirments.txt /app/\nRUN make \\\n  all\n";

fn options() -> BuildOptions {
    let parsed = Arguments::try_parse_from(["careen", "build", "/home/ana/site"]).unwrap();
    let Command::Build(build) = parsed.command else {
        panic!("{parsed:?}");
    };
    BuildOptions::new(&build, &Environment::default(), &Config::default()).unwrap()
}

/// Makes a graph of one step that stands on a line of the Dockerfile.
fn graph(line: usize) -> (Definition, VertexId) {
    let mut graph = DefinitionBuilder::new();
    let source = LocalSource {
        name: "context".to_owned(),
        ignore: Vec::new(),
    };
    let id = graph.add(Vertex {
        op: Op::Source(SourceOp::Local(source)),
        inputs: Vec::new(),
        platform: Platform::new("linux", "arm64"),
        label: StepLabel {
            stage: "build".to_owned(),
            index: 2,
            count: 3,
            line,
            platform: Some("linux/arm64".to_owned()),
            ..StepLabel::default()
        },
    });
    let id = id.unwrap();
    (graph.finish(), id)
}

fn job(definition: Definition, target: VertexId) -> Job {
    Job {
        definition,
        targets: vec![Input::Vertex(target)],
        options: JobOptions {
            reuse: Reuse::Yes,
            oldest: None,
            jobs: std::num::NonZeroUsize::MIN,
            memory_budget_bytes: None,
            directories: std::collections::BTreeMap::new(),
            secrets: solver::ops::exec::Secrets::default(),
            ssh: std::collections::BTreeMap::new(),
            volumes: Vec::new(),
            untracked_env: Vec::new(),
            authorities: solver::Authorities::default(),
            limits: solver::CommandLimits::default(),
            network: solver::UsualNetwork::Only(runtime::NetworkMode::None),
            keyed: solver::KeyedLayers::None,
            imports: solver::Imports::default(),
            listings: solver::Listings::None,
            layers: None,
            failed: None,
        },
    }
}

fn report(line: usize, error: StepError) -> Box<Report> {
    let (definition, vertex) = graph(line);
    let job = job(definition, vertex);
    let error = SolveError::Step {
        vertex,
        error: Box::new(error),
    };
    let source = SourceFile::new("Dockerfile", DOCKERFILE);
    of_solve(error, &job, &source, &options())
}

#[test]
fn a_missing_source_is_marked_and_a_similar_one_is_named() {
    let error = CopyError::NotFound {
        path: "requirments.txt".to_owned(),
        place: "build context: /home/ana/site".to_owned(),
        similar: Some("requirements.txt".to_owned()),
    };
    let report = report(2, error.into());
    assert_eq!(report.kind, Kind::User);
    assert_snapshot!(report.to_text(), @r"
    error: COPY source not found: `requirments.txt`
     --> Dockerfile:2:6
      |
    2 | COPY requirments.txt /app/
      |      ^^^^^^^^^^^^^^^ no such path
      |
      = note: build context: /home/ana/site
      = help: a path with a similar name exists: `requirements.txt`
    ");
}

#[test]
fn a_path_is_shown_as_the_dockerfile_has_it() {
    let error = CopyError::Ignored {
        path: "/requirments.txt".to_owned(),
        place: "build context: /home/ana/site".to_owned(),
    };
    assert_snapshot!(report(2, error.into()).to_text(), @r"
    error: COPY source is left out by the ignore file: `requirments.txt`
     --> Dockerfile:2:6
      |
    2 | COPY requirments.txt /app/
      |      ^^^^^^^^^^^^^^^ ignored
      |
      = note: build context: /home/ana/site
    ");
}

#[test]
fn a_command_that_failed_says_how_and_what_it_wrote_last() {
    let error = CommandFailure {
        command: "/bin/sh -c".to_owned(),
        process: "/bin/sh -c make \"all\"".to_owned(),
        status: FailureStatus::Code(2),
        last_output: vec!["make: *** no rule".to_owned(), "make: stop".to_owned()],
        emulator: Some("qemu-aarch64".to_owned()),
        ran_out_of_memory: false,
        full_store: None,
        crash: None,
        kept: None,
    };
    let report = report(3, error.into());
    assert_eq!(report.kind, Kind::User);
    assert_snapshot!(report.to_text(), @r"
    error: RUN failed: `/bin/sh -c` exited with status 2
     --> Dockerfile:3:1
      |
    3 | RUN make \
      | ^^^^^^^^^^ step 2/3 [build linux/arm64]
      |
      = note: last output:
              make: *** no rule
              make: stop
      = note: this step ran under emulation (qemu-aarch64)
      = help: `--on-failure=shell` opens a shell in what the step left, `--on-failure=keep` keeps that
    ");
}

#[test]
fn a_command_that_was_killed_names_the_signal() {
    let error = CommandFailure {
        command: "/bin/sh -c".to_owned(),
        process: "/bin/sh -c make \"all\"".to_owned(),
        status: FailureStatus::Signal(9),
        last_output: Vec::new(),
        emulator: None,
        ran_out_of_memory: true,
        full_store: None,
        crash: None,
        kept: None,
    };
    assert_snapshot!(report(3, error.into()).to_text(), @r"
    error: RUN failed: `/bin/sh -c` was ended by signal 9 (SIGKILL)
     --> Dockerfile:3:1
      |
    3 | RUN make \
      | ^^^^^^^^^^ step 2/3 [build linux/arm64]
      |
      = note: the kernel ended a process of this step: it had used up the memory that `--memory` gives
      = help: `--on-failure=shell` opens a shell in what the step left, `--on-failure=keep` keeps that
    ");
}

#[test]
fn a_command_that_filled_the_disk_names_the_store() {
    let error = CommandFailure {
        command: "/bin/sh -c".to_owned(),
        process: "/bin/sh -c make \"all\"".to_owned(),
        status: FailureStatus::Code(1),
        last_output: Vec::new(),
        emulator: None,
        ran_out_of_memory: false,
        full_store: Some("/home/u/store".into()),
        crash: None,
        kept: None,
    };
    assert_snapshot!(report(3, error.into()).to_text(), @r"
    error: RUN failed: `/bin/sh -c` exited with status 1
     --> Dockerfile:3:1
      |
    3 | RUN make \
      | ^^^^^^^^^^ step 2/3 [build linux/arm64]
      |
      = note: the file system of the store `/home/u/store` is full
      = help: `--store DIR` or `CAREEN_STORE` names another directory
    ");
}

#[test]
fn a_crash_under_emulation_names_the_emulator_and_its_version() {
    let error = CommandFailure {
        command: "/bin/sh -c".to_owned(),
        process: "/bin/sh -c make \"all\"".to_owned(),
        status: FailureStatus::Code(139),
        last_output: Vec::new(),
        emulator: Some("qemu-aarch64-static".to_owned()),
        ran_out_of_memory: false,
        full_store: None,
        crash: Some(EmulatorCrash {
            signal: "SIGSEGV",
            version: Some("qemu-aarch64 version 7.2.0".to_owned()),
        }),
        kept: None,
    };
    assert_snapshot!(report(3, error.into()).to_text(), @r"
    error: RUN failed: `/bin/sh -c` exited with status 139
     --> Dockerfile:3:1
      |
    3 | RUN make \
      | ^^^^^^^^^^ step 2/3 [build linux/arm64]
      |
      = note: this step ran under emulation (qemu-aarch64-static)
      = note: `qemu-aarch64-static`, or the program that it ran, crashed with SIGSEGV (qemu-aarch64 version 7.2.0)
      = help: if the program runs on such a processor, another version of the emulator may run it: `emulators` in the configuration names its directory
    ");
}

#[test]
fn a_step_that_panicked_is_our_fault() {
    let report = report(3, StepError::Panicked);
    assert_eq!(report.kind, Kind::Internal);
    assert_snapshot!(report.to_text(), @r"
    internal error: the step ended with a panic
     --> Dockerfile:3:1
      |
    3 | RUN make \
      | ^^^^^^^^^^ step 2/3 [build linux/arm64]
    ");
}

#[test]
fn a_thread_that_cannot_be_had_is_the_machines_fault() {
    let refused = io::Error::new(io::ErrorKind::WouldBlock, "no more threads");
    let report = report(3, StepError::Thread(refused));
    assert_eq!(report.kind, Kind::Host);
    assert_snapshot!(report.to_text(), @r"
    error: cannot start a thread for the step
     --> Dockerfile:3:1
      |
    3 | RUN make \
      | ^^^^^^^^^^ step 2/3 [build linux/arm64]
      |
      = caused by: no more threads
    ");
}

#[test]
fn a_scheduler_that_waits_for_nothing_says_for_what() {
    let (definition, vertex) = graph(3);
    let job = job(definition, vertex);
    let error = SolveError::Stalled {
        states: vec!["sha256:1f0c Unkeyed".to_owned()],
    };
    let source = SourceFile::new("Dockerfile", DOCKERFILE);
    let report = of_solve(error, &job, &source, &options());
    assert_eq!(report.kind, Kind::Internal);
    assert_snapshot!(report.to_text(), @r"
    internal error: the scheduler has nothing to wait for but 1 vertices are unfinished: sha256:1f0c Unkeyed
      = help: this is a bug in careen; please report it
    ");
}

#[test]
fn an_interruption_has_the_exit_code_of_its_signal() {
    let report = interrupted(CancelReason::Orphaned);
    assert_eq!(report.kind.exit_code(), 128 + 1);
    assert_snapshot!(report.to_text(), @r"
    error: the process that started the build is gone
    ");
}

#[test]
fn a_dockerfile_that_is_missing_can_be_named() {
    let missing = io::Error::from(io::ErrorKind::NotFound);
    let path = Path::new("/home/ana/site/Dockerfile");
    let report = unreadable("Dockerfile", path, &missing, &options());
    assert_snapshot!(report.to_text(), @r"
    error: cannot read the Dockerfile `/home/ana/site/Dockerfile`
      = caused by: entity not found
      = help: `-f PATH` names another file
    ");
    let report = too_large("Dockerfile", path, 1024);
    assert_snapshot!(report.to_text(), @r"
    error: the Dockerfile `/home/ana/site/Dockerfile` is larger than 1024 bytes
    ");
}
