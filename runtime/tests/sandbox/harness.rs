//! Starts this program as a first process and reads what the builder below it reports.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Output, Stdio};

use libtest_mimic::{Failed, Trial};
use runtime::userns::{BuilderCommand, BuilderExit, Caller, IdPlan, IdSources, SingleReason};
use runtime::{ExitStatus, SandboxSpec, SignalsAre, run_builder};
use serde::{Deserialize, Serialize};
use vendor_shim::idmap::{DirectIdMap, IdMapper, NewIdMap};

/// The argument that makes this program the first process.
pub(crate) const FIRST: &str = "--first";
/// Where helpers are.
const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
/// The program that the roots are made of.
const BUSYBOX: &str = "/bin/busybox";

/// The name of a copy of this program in a test's directory.
pub(crate) const PROGRAM: &str = "program";

/// What the builder is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The directory of one test.
    pub(crate) directory: PathBuf,
    pub(crate) task: Task,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Fill the base.
    Prepare,
    /// Copy this program to [`PROGRAM`]. Not done by the tests' own process: another thread of it
    /// may start a child meanwhile, which has the copy open for writing for a moment, and then it
    /// cannot be executed.
    CopyProgram,
    /// Run a command on the base.
    Run(Box<RunTask>),
    /// The same, and pass its standard error on.
    Watched(Box<RunTask>),
    /// Run one script on the base as often as this, all at the same time.
    SideBySide { script: String, count: usize },
    /// Mount as many layers as this, one file in each, in the older way too, and list the files.
    Layers { count: usize, by_string: bool },
    /// Look at the base alone, through a view.
    View { by_string: bool },
    /// Take files out of mounts that are in no namespace.
    Part { by_string: bool },
    /// Remove everything.
    Remove,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RunTask {
    pub(crate) spec: SandboxSpec,
    /// Files and directories of the test's directory to be bound, in the order of the descriptors.
    pub(crate) binds: Vec<PathBuf>,
    /// Emulators to be registered: image names of processors.
    pub(crate) emulate: Vec<String>,
    /// Cancel as soon as the command prints this.
    pub(crate) cancel_at: Option<String>,
}

/// What the builder has to say of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) outcome: Result<ExitStatus, Refusal>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// How long it took, in milliseconds.
    pub(crate) milliseconds: u128,
}

/// An error, as a person would read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) text: String,
    pub(crate) exit_code: Option<i32>,
}

/// Which ids a test's builder is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ids {
    /// As many as this host gives.
    Planned,
    /// The caller's alone.
    Single,
}

/// A directory with a root in it, of one test.
pub(crate) struct Ground {
    directory: tempfile::TempDir,
    ids: Ids,
}

impl Ground {
    /// Makes a root of busybox. What a test puts into the directory `extra` is in it too, as
    /// nobody's.
    pub(crate) fn new(ids: Ids) -> Result<Self, Failed> {
        let directory = tempfile::tempdir()?;
        // Nobody may pass through it but the caller, as through a home directory.
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o700))?;
        for name in ["base", "extra", "stubs", "upper", "work"] {
            std::fs::create_dir(directory.path().join(name))?;
        }
        let ground = Self { directory, ids };
        ground.order::<()>(Task::Prepare)?;
        Ok(ground)
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Runs a script of the root's shell, as its root, and returns what it did.
    pub(crate) fn shell(&self, script: &str) -> Result<Report, Failed> {
        self.run(shell(script))
    }

    /// Runs a script that must succeed, and returns what it printed.
    pub(crate) fn output(&self, script: &str) -> Result<String, Failed> {
        expect_success(self.shell(script)?)
    }

    /// Runs what `spec` describes.
    pub(crate) fn run(&self, spec: SandboxSpec) -> Result<Report, Failed> {
        let (binds, emulate, cancel_at) = (Vec::new(), Vec::new(), None);
        self.run_task(RunTask {
            spec,
            binds,
            emulate,
            cancel_at,
        })
    }

    pub(crate) fn run_task(&self, task: RunTask) -> Result<Report, Failed> {
        self.order(Task::Run(Box::new(task)))
    }

    /// Has a builder do `task` and returns its report.
    pub(crate) fn order<R: for<'r> Deserialize<'r>>(&self, task: Task) -> Result<R, Failed> {
        self.order_of(&std::env::current_exe()?, task)
    }

    /// The same, of the copy of this program that is at `program`.
    pub(crate) fn order_of<R: for<'r> Deserialize<'r>>(
        &self,
        program: &Path,
        task: Task,
    ) -> Result<R, Failed> {
        let output = self.start(program, task)?.wait_with_output()?;
        read(&output)
    }

    /// Starts a first process whose builder does `task`.
    fn start(&self, program: &Path, task: Task) -> Result<Child, Failed> {
        let order = Order {
            directory: self.path().to_owned(),
            task,
        };
        let mut command = this_program(program);
        command
            .arg(FIRST)
            .arg(match self.ids {
                Ids::Planned => "planned",
                Ids::Single => "single",
            })
            .arg(serde_json::to_string(&order)?)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command.spawn()?)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // Files of other ids can only be removed where they are mapped.
        if let Err(error) = self.order::<()>(Task::Remove) {
            eprintln!("cannot remove {}: {error:?}", self.path().display());
        }
    }
}

/// Returns what a shell's script needs to run, with a usual environment.
pub(crate) fn shell(script: &str) -> SandboxSpec {
    let arguments = ["/bin/sh", "-c", script]
        .map(|word| word.as_bytes().to_vec())
        .to_vec();
    SandboxSpec {
        environment: vec![b"PATH=/bin".to_vec()],
        ..SandboxSpec::new(arguments)
    }
}

pub(crate) fn expect_success(report: Report) -> Result<String, Failed> {
    match report {
        Report {
            outcome: Ok(ExitStatus::Code(0)),
            stdout,
            ..
        } => Ok(stdout),
        report => Err(format!("the command failed: {report:?}").into()),
    }
}

fn read<R: for<'r> Deserialize<'r>>(output: &Output) -> Result<R, Failed> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).map_err(|error| {
        let stdout = String::from_utf8_lossy(&output.stdout);
        format!(
            "no report ({error}): {:?}, {stdout}, {stderr}",
            output.status
        )
        .into()
    })
}

/// Is the first process: `arguments` are which ids to take and the order for the builder.
pub(crate) fn first(arguments: &[OsString]) -> ExitCode {
    let caller = Caller::current();
    let helpers = NewIdMap::find(SEARCH_PATH.as_ref());
    let sources = IdSources::probe(&caller, Path::new("/etc"), helpers.is_ok());
    let plan = match arguments.first() {
        Some(word) if word == "single" => IdPlan::Single {
            reason: SingleReason::NoSubuids,
        },
        _ => runtime::userns::plan_ids(&caller, &sources),
    };
    let helpers: Box<dyn IdMapper> = match helpers {
        Ok(helpers) => Box::new(helpers),
        Err(_) => Box::new(DirectIdMap::DenySetgroups),
    };
    let command = BuilderCommand {
        signals: SignalsAre::Wishes,
        hidden: &[],
        caller: &caller,
        plan: &plan,
        helpers: helpers.as_ref(),
    };
    let orders = arguments.get(1..).unwrap_or(&[]);
    match run_builder(&command, None, |role| crate::builder::main(role, orders)) {
        Ok(BuilderExit::Code(code)) => ExitCode::from(u8::try_from(code).unwrap_or(255)),
        Ok(BuilderExit::Signal(signal)) => {
            eprintln!("the builder was ended by {signal}");
            ExitCode::from(128 + u8::try_from(signal as i32).unwrap_or(0))
        }
        Ok(BuilderExit::LacksId(id)) => {
            eprintln!("the builder lacks {id:?}");
            ExitCode::from(70)
        }
        Err(error) => {
            eprintln!("{}", chain(&error));
            ExitCode::from(70)
        }
    }
}

/// Returns the command that starts this program, which is at `path`.
#[expect(clippy::disallowed_methods, reason = "the tests start themselves")]
pub(crate) fn this_program(path: &Path) -> Command {
    Command::new(path)
}

/// Returns the command that starts the program at `path` so that it hears signals, also where these tests were
/// started to ignore them (`nohup`, a shell's background job).
#[expect(clippy::disallowed_methods, reason = "the tests start themselves")]
pub(crate) fn hearing_program(path: &Path) -> Command {
    let mut command = Command::new("env");
    command.arg("--default-signal").arg(path);
    command
}

/// Returns an error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Makes a test that needs the root's program on this host.
pub(crate) fn trial(name: &str, test: fn() -> Result<(), Failed>) -> Trial {
    requiring(name, Path::new(BUSYBOX), "busybox-static", test)
}

/// Makes a test that needs the file of a package; without it the test is passed over and says so.
pub(crate) fn requiring(
    name: &str,
    file: &'static Path,
    package: &'static str,
    test: fn() -> Result<(), Failed>,
) -> Trial {
    let there = [file, Path::new(BUSYBOX)]
        .iter()
        .all(|path| std::fs::metadata(path).is_ok());
    #[expect(
        clippy::disallowed_methods,
        reason = "a test is told by its environment"
    )]
    let strict = std::env::var_os("CAREEN_TESTS_STRICT").is_some_and(|value| value == "1");
    if there {
        return Trial::test(name, test);
    }
    let reason = format!("{} is missing (package {package})", file.display());
    if strict {
        return Trial::test(name, move || Err(reason.into()));
    }
    Trial::test(format!("{name} (skipped: {reason})"), || Ok(())).with_ignored_flag(true)
}

/// Returns the exit code of a process, or the signal that ended it as a shell would show it.
pub(crate) fn code(status: std::process::ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
