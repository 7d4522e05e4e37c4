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
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::time::TimeSpec;
use nix::unistd::Pid;
use thiserror::Error;

mod input;

use input::Input;

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

/// How long is waited between the first two looks whether a helper has ended.
const FIRST_PAUSE: Duration = Duration::from_micros(50);

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
        Ok(Running {
            path: self.path.clone(),
            child,
            is_reaped: false,
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

/// A program that was started and not waited for. One that is dropped is killed.
#[derive(Debug)]
pub(crate) struct Running {
    path: PathBuf,
    child: Child,
    is_reaped: bool,
}

impl Running {
    /// Waits for the end, as [`Program::run_as`] says.
    pub(crate) fn succeed(
        self,
        invocation: &Invocation<'_>,
    ) -> Result<ProgramOutput, ProgramError> {
        let program = self.path.clone();
        let (status, output) = self.finish(invocation)?;
        if status.success() {
            return Ok(output);
        }
        Err(ProgramError::Failed {
            program,
            status,
            last_words: output.last_words,
        })
    }

    /// Waits for the end, as [`Program::run_to_end`] says.
    pub(crate) fn finish(
        mut self,
        invocation: &Invocation<'_>,
    ) -> Result<(ExitStatus, ProgramOutput), ProgramError> {
        let program = self.path.clone();
        let mut heard = Heard::default();
        let ended = wait(&mut self.child, &mut heard, invocation);
        let last_words = heard.last_words();
        match ended {
            Ok(End::Exited(status)) => {
                self.is_reaped = true;
                let stdout = heard.stdout;
                Ok((status, ProgramOutput { stdout, last_words }))
            }
            Ok(End::TimedOut) => Err(ProgramError::TimedOut {
                program,
                limit: invocation.limit,
                last_words,
            }),
            Ok(End::Cancelled) => Err(ProgramError::Cancelled { program }),
            Err(source) => Err(ProgramError::Wait { program, source }),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_reaped {
            stop(&mut self.child);
        }
    }
}

/// How the wait for a child ended.
enum End {
    Exited(ExitStatus),
    TimedOut,
    Cancelled,
}

/// What was read from a child so far.
#[derive(Debug, Default)]
struct Heard {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Heard {
    fn add_stdout(&mut self, chunk: &[u8]) {
        let room = OUTPUT_LIMIT_BYTES.saturating_sub(self.stdout.len());
        self.stdout.extend(chunk.iter().take(room));
    }

    fn add_stderr(&mut self, chunk: &[u8]) {
        self.stderr.extend_from_slice(chunk);
        let surplus = self.stderr.len().saturating_sub(LAST_WORDS_LIMIT_BYTES);
        self.stderr.drain(..surplus);
    }

    fn last_words(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim().to_owned()
    }
}

/// Reads both streams of `child` until it ends, its time is over, or the job is cancelled.
fn wait(child: &mut Child, heard: &mut Heard, invocation: &Invocation<'_>) -> io::Result<End> {
    let started = Instant::now();
    let mut stdout = child.stdout.take();
    let mut stderr = child.stderr.take();
    let mut input = Input::new(child.stdin.take(), invocation.input);
    let mut pause = FIRST_PAUSE;
    loop {
        let exited = child.try_wait()?;
        let left = invocation.limit.saturating_sub(started.elapsed());
        let patience = if exited.is_some() {
            Duration::ZERO
        } else {
            pause.min(left)
        };
        let [from_stdout, from_stderr, to_stdin] =
            ready(stdout.as_ref(), stderr.as_ref(), input.pipe(), patience)?;
        if to_stdin {
            input.write_once()?;
        }
        if from_stdout {
            read_once(&mut stdout, |chunk| heard.add_stdout(chunk))?;
        }
        if from_stderr {
            read_once(&mut stderr, |chunk| heard.add_stderr(chunk))?;
        }
        // A program's streams end a moment before the program does. The wait between two looks is short for that case
        // again, however long it ran, and grows for a program that closed its streams and goes on.
        if (from_stdout || from_stderr) && stdout.is_none() && stderr.is_none() {
            pause = FIRST_PAUSE;
        }
        match exited {
            Some(_) if from_stdout || from_stderr => {}
            Some(status) => return Ok(End::Exited(status)),
            None if left.is_zero() => return Ok(End::TimedOut),
            None if (invocation.cancelled)() => return Ok(End::Cancelled),
            None => pause = (pause * 2).min(Duration::from_millis(10)),
        }
    }
}

/// Waits up to `patience` for any stream; says on which of them the next read or write would not block.
fn ready(
    stdout: Option<&ChildStdout>,
    stderr: Option<&ChildStderr>,
    stdin: Option<&ChildStdin>,
    patience: Duration,
) -> io::Result<[bool; 3]> {
    let streams = [
        stdout.map(|stream| (stream.as_fd(), PollFlags::POLLIN)),
        stderr.map(|stream| (stream.as_fd(), PollFlags::POLLIN)),
        stdin.map(|stream| (stream.as_fd(), PollFlags::POLLOUT)),
    ];
    let mut polled: Vec<_> = streams
        .iter()
        .flatten()
        .map(|(stream, events)| PollFd::new(*stream, *events))
        .collect();
    match ppoll(&mut polled, Some(TimeSpec::from_duration(patience)), None) {
        Ok(_) => {}
        Err(Errno::EINTR) => return Ok([false; 3]),
        Err(errno) => return Err(errno.into()),
    }
    let mut ready = polled.iter().map(|stream| stream.any().unwrap_or(false));
    Ok(streams.map(|stream| stream.is_some() && ready.next().unwrap_or(false)))
}

/// Reads from `stream` once; one that ended becomes `None`.
fn read_once<S: io::Read>(stream: &mut Option<S>, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let Some(open) = stream else { return Ok(()) };
    let mut buffer = [0; 4096];
    let count = open.read(&mut buffer)?;
    if count == 0 {
        *stream = None;
    }
    take(buffer.get(..count).unwrap_or_default());
    Ok(())
}

fn stop(child: &mut Child) {
    // All fail only if the child was reaped already, and then there is nothing left to stop.
    if let Ok(id) = i32::try_from(child.id()) {
        killpg(Pid::from_raw(id), Signal::SIGKILL).ok();
    }
    drop(child.kill());
    drop(child.wait());
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

fn quoted(last_words: &str) -> String {
    if last_words.is_empty() {
        String::new()
    } else {
        format!(", saying `{last_words}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn shell(script: &str, limit: Duration) -> Result<ProgramOutput, ProgramError> {
        Program::at("/bin/sh".into()).run(&["-c".into(), script.into()], limit)
    }

    fn executable(directory: &Path, name: &str, mode: u32) {
        let path = directory.join(name);
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn find_takes_the_first_executable_file() {
        let first = tempfile::tempdir().unwrap();
        let second = tempfile::tempdir().unwrap();
        executable(first.path(), "helper", 0o644);
        executable(second.path(), "helper", 0o755);
        let path =
            std::env::join_paths([Path::new("relative"), first.path(), second.path()]).unwrap();
        let found = Program::find("helper", &path).unwrap();
        assert_eq!(found.path(), second.path().join("helper"));
    }

    #[test]
    fn find_says_where_it_looked() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("helper")).unwrap();
        let error = Program::find("helper", directory.path().as_os_str()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "find the program `helper` in {}",
                directory.path().display()
            )
        );
    }

    #[test]
    fn run_returns_what_was_printed() {
        let output = shell("echo out; echo err >&2", LIMIT).unwrap();
        assert_eq!(
            output,
            ProgramOutput {
                stdout: b"out\n".to_vec(),
                last_words: "err".to_owned()
            }
        );
    }

    #[test]
    fn run_gives_a_clean_environment_and_an_empty_standard_input() {
        let output = shell("cat; env | grep -v -e '^PWD=' -e '^_=' -e '^SHLVL='", LIMIT).unwrap();
        let mut lines: Vec<_> = std::str::from_utf8(&output.stdout)
            .unwrap()
            .lines()
            .collect();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                "LC_ALL=C",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            ]
        );
    }

    #[test]
    fn run_to_end_gives_the_program_its_input_and_returns_status_and_output() {
        let input = "line\n".repeat(40_000);
        let arguments = ["-c".into(), "wc -l; echo $WHO >&2; exit 3".into()];
        let invocation = Invocation {
            arguments: &arguments,
            environment: &[("WHO".into(), "me".into())],
            input: input.as_bytes(),
            directory: None,
            limit: LIMIT,
            cancelled: &|| false,
        };
        let shell = Program::at("/bin/sh".into());
        let (status, output) = shell.run_to_end(&invocation).unwrap();
        assert_eq!(status.code(), Some(3));
        assert_eq!(output.stdout, b"40000\n");
        assert_eq!(output.last_words, "me");
    }

    #[test]
    fn a_program_need_not_read_its_input() {
        let input = vec![b'x'; 1 << 20];
        let invocation = Invocation {
            arguments: &["-c".into(), "exec 0<&-; echo done".into()],
            environment: &[],
            input: &input,
            directory: None,
            limit: LIMIT,
            cancelled: &|| false,
        };
        let output = Program::at("/bin/sh".into()).run_as(&invocation).unwrap();
        assert_eq!(output.stdout, b"done\n");
    }

    #[test]
    fn run_reports_the_status_with_the_last_words() {
        let error = shell("echo first >&2; echo refused >&2; exit 3", LIMIT).unwrap_err();
        assert_eq!(
            error.to_string(),
            "run `/bin/sh`: exit status: 3, saying `first\nrefused`"
        );
    }

    #[test]
    fn run_kills_a_program_that_takes_too_long() {
        let started = Instant::now();
        let error = shell(
            "echo waiting >&2; exec sleep 60",
            Duration::from_millis(200),
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "run `/bin/sh`: not finished after 200ms, saying `waiting`"
        );
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn run_kills_a_program_that_closed_its_streams() {
        let error = shell("exec >/dev/null 2>&1 sleep 60", Duration::from_millis(200)).unwrap_err();
        assert!(matches!(error, ProgramError::TimedOut { .. }), "{error}");
    }

    #[test]
    fn run_does_not_wait_for_what_the_program_leaves_behind() {
        let started = Instant::now();
        let output = shell("sleep 60 & echo done", LIMIT).unwrap();
        assert_eq!(output.stdout, b"done\n");
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn run_keeps_the_end_of_a_long_standard_error() {
        let output = shell(
            "i=0; while [ $i -lt 2000 ]; do echo line$i >&2; i=$((i+1)); done",
            LIMIT,
        );
        let last_words = output.unwrap().last_words;
        assert!(last_words.ends_with("line1998\nline1999"), "{last_words}");
        assert!(last_words.len() <= LAST_WORDS_LIMIT_BYTES);
    }

    #[test]
    fn run_drops_standard_output_over_the_limit() {
        let output = shell("head -c 3000000 /dev/zero", LIMIT).unwrap();
        assert_eq!(output.stdout.len(), OUTPUT_LIMIT_BYTES);
    }

    #[test]
    fn run_says_which_file_did_not_start() {
        let error = Program::at("/nonexistent/helper".into())
            .run(&[], LIMIT)
            .unwrap_err();
        assert_eq!(error.to_string(), "start `/nonexistent/helper`");
    }
}
