//! Someone else's executable: found once, started with a clean environment, given a time limit.
//!
//! A helper inherits nothing from us but its arguments: its environment is [`CLEAN_ENVIRONMENT`] and what the
//! caller adds, its standard input is empty or what the caller gives it, and no descriptor of ours is open in it. What it prints is
//! collected up to
//! [`OUTPUT_LIMIT_BYTES`]; of its standard error the end is kept, its *last words*, because that is where
//! programs say why they failed.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use thiserror::Error;

mod input;
mod running;
#[cfg(test)]
mod tests;

pub(crate) use running::{Running, kill, stop};

/// The whole environment of a helper. The search path serves helpers that start others in turn.
pub const CLEAN_ENVIRONMENT: [(&str, &str); 2] = [
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    ("LC_ALL", "C"),
];

/// How much of a helper's standard output is kept, in bytes; the rest is read and dropped.
pub const OUTPUT_LIMIT_BYTES: usize = 1 << 20;

/// How much of the end of a helper's standard error is kept, in bytes.
pub const LAST_WORDS_LIMIT_BYTES: usize = 4 << 10;

/// An executable file that was found on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    path: PathBuf,
}

/// How a helper is started that needs more than arguments.
#[derive(Clone, Copy)]
pub struct Invocation<'a> {
    /// The arguments.
    pub arguments: &'a [OsString],
    /// What its environment has beside [`CLEAN_ENVIRONMENT`], or in place of it.
    pub environment: &'a [(OsString, OsString)],
    /// What it reads from its standard input.
    pub input: &'a [u8],
    /// Where it works; where we do when absent.
    pub directory: Option<&'a Path>,
    /// How long it may take.
    pub limit: Duration,
    /// Says whether the job was cancelled; asked at least every 10 ms.
    pub cancelled: &'a dyn Fn() -> bool,
}

impl<'a> Invocation<'a> {
    /// Returns what starts a program with arguments alone.
    pub(crate) fn of(arguments: &'a [OsString], limit: Duration) -> Self {
        Self {
            arguments,
            environment: &[],
            input: &[],
            directory: None,
            limit,
            cancelled: &|| false,
        }
    }
}

impl fmt::Debug for Invocation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the environment nor the input: they may hold what is secret.
        f.debug_struct("Invocation")
            .field("arguments", &self.arguments)
            .field("directory", &self.directory)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// What a helper printed before it ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramOutput {
    /// Its standard output, at most [`OUTPUT_LIMIT_BYTES`].
    pub stdout: Vec<u8>,
    /// The end of its standard error, at most [`LAST_WORDS_LIMIT_BYTES`].
    pub last_words: String,
}

/// No executable file of that name is in the directories that were searched.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("find the program `{name}` in {}", directories(.searched))]
pub struct ProgramNotFound {
    /// The name that was looked for.
    pub name: String,
    /// The directories, in the order in which they were searched.
    pub searched: Vec<PathBuf>,
}

/// Why a helper did not do what it was started for.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// The kernel did not start it.
    #[error("start `{}`", .program.display())]
    Start {
        /// The file that was to be executed.
        program: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Its output or its end could not be waited for.
    #[error("wait for `{}`", .program.display())]
    Wait {
        /// The file that was executed.
        program: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// It ended with a status other than 0.
    #[error("run `{}`: {status}{}", .program.display(), quoted(.last_words))]
    Failed {
        /// The file that was executed.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The end of its standard error.
        last_words: String,
    },
    /// The job was cancelled, and it was killed.
    #[error("run `{}`: cancelled", .program.display())]
    Cancelled {
        /// The file that was executed.
        program: PathBuf,
    },
    /// It was still running when its time was over, and was killed.
    #[error("run `{}`: not finished after {limit:?}{}", .program.display(), quoted(.last_words))]
    TimedOut {
        /// The file that was executed.
        program: PathBuf,
        /// The time that it was given.
        limit: Duration,
        /// The end of its standard error.
        last_words: String,
    },
}

impl Program {
    /// Returns the first executable file called `name` in `search_path`, a list like that of
    /// `PATH`.
    ///
    /// Empty and relative entries of the list are passed over: they name a directory by accident of
    /// where we were started.
    ///
    /// # Errors
    ///
    /// Fails when no directory of the list has such a file.
    pub fn find(name: &str, search_path: &OsStr) -> Result<Self, ProgramNotFound> {
        let searched: Vec<PathBuf> = std::env::split_paths(search_path)
            .filter(|directory| directory.is_absolute())
            .collect();
        let found = searched
            .iter()
            .map(|directory| directory.join(name))
            .find(|path| is_executable(path));
        match found {
            Some(path) => Ok(Self { path }),
            None => Err(ProgramNotFound {
                name: name.to_owned(),
                searched,
            }),
        }
    }

    /// Takes the executable file at `path` without looking at it.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Returns where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs the program to its end, for no longer than `limit`.
    ///
    /// Only the program itself is waited for; what it may leave running does not hold the caller
    /// up.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be started, ends with a status other than 0, or takes longer than
    /// `limit`.
    pub fn run(
        &self,
        arguments: &[OsString],
        limit: Duration,
    ) -> Result<ProgramOutput, ProgramError> {
        self.run_as(&Invocation::of(arguments, limit))
    }

    /// Runs the program to its end, for no longer than its limit, and kills it with all that it started when the job
    /// is cancelled.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be started, ends with a status other than 0, takes longer than its limit, or the job is
    /// cancelled.
    pub fn run_as(&self, invocation: &Invocation<'_>) -> Result<ProgramOutput, ProgramError> {
        self.start(invocation)?.succeed(invocation)
    }

    /// Runs the program to its end as [`Program::run_as`] does, and returns the status with what it printed: for
    /// programs that say on their standard output why they failed.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be started, takes longer than its limit, or the job is cancelled.
    pub fn run_to_end(
        &self,
        invocation: &Invocation<'_>,
    ) -> Result<(ExitStatus, ProgramOutput), ProgramError> {
        self.start(invocation)?.finish(invocation)
    }

    /// Starts the program; [`Running::finish`] waits for it.
    pub(crate) fn start(&self, invocation: &Invocation<'_>) -> Result<Running, ProgramError> {
        let child = self.command(invocation).spawn();
        let child = child.map_err(|source| ProgramError::Start {
            program: self.path.clone(),
            source,
        })?;
        Ok(Running::new(self.path.clone(), child))
    }

    /// Starts the program with these standard streams, to go on until somebody ends it ([`stop`]).
    pub(crate) fn start_service(
        &self,
        arguments: &[OsString],
        [stdin, stdout, stderr]: [Stdio; 3],
    ) -> Result<Child, ProgramError> {
        let mut command = self.command(&Invocation::of(arguments, Duration::ZERO));
        let child = command.stdin(stdin).stdout(stdout).stderr(stderr).spawn();
        child.map_err(|source| ProgramError::Start {
            program: self.path.clone(),
            source,
        })
    }

    fn command(&self, invocation: &Invocation<'_>) -> Command {
        #[expect(
            clippy::disallowed_methods,
            reason = "other people's programs are started here"
        )]
        let mut command = Command::new(&self.path);
        command
            .args(invocation.arguments)
            .env_clear()
            .envs(CLEAN_ENVIRONMENT)
            .envs(invocation.environment.iter().cloned())
            // Its own group, so that what it starts is killed with it.
            .process_group(0)
            .stdin(if invocation.input.is_empty() {
                Stdio::null()
            } else {
                Stdio::piped()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(directory) = invocation.directory {
            command.current_dir(directory);
        }
        command
    }
}

fn is_executable(path: &Path) -> bool {
    // A file that cannot be looked at cannot be executed either: the search goes on.
    std::fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn directories(searched: &[PathBuf]) -> String {
    let names: Vec<_> = searched
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    if names.is_empty() {
        "no directory".to_owned()
    } else {
        names.join(", ")
    }
}

/// Returns a program's last words as the end of a sentence about it.
pub(crate) fn quoted(last_words: &str) -> String {
    if last_words.is_empty() {
        String::new()
    } else {
        format!(", saying `{last_words}`")
    }
}
