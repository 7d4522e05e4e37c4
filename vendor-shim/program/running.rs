//! A program that runs: heard and fed until it ends, its time is over, or the job is cancelled.

use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::time::TimeSpec;
use nix::unistd::Pid;

use super::input::Input;
use super::{Invocation, LAST_WORDS_LIMIT_BYTES, OUTPUT_LIMIT_BYTES, ProgramError, ProgramOutput};

/// How long is waited between the first two looks whether a helper has ended.
const FIRST_PAUSE: Duration = Duration::from_micros(50);

/// A program that was started and not waited for. One that is dropped is killed.
#[derive(Debug)]
pub(crate) struct Running {
    path: PathBuf,
    child: Child,
    is_reaped: bool,
}

impl Running {
    /// Takes a program that was started.
    pub(super) fn new(path: PathBuf, child: Child) -> Self {
        Self {
            path,
            child,
            is_reaped: false,
        }
    }

    /// Waits for the end, as [`Program::run_as`](super::Program::run_as) says.
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

    /// Waits for the end, as [`Program::run_to_end`](super::Program::run_to_end) says.
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

/// Kills a program with all that it started, which must not have been reaped.
pub(crate) fn kill(child: &Child) {
    // It fails only if all of it has ended already.
    if let Ok(id) = i32::try_from(child.id()) {
        killpg(Pid::from_raw(id), Signal::SIGKILL).ok();
    }
}

/// Kills a program with all that it started, and reaps it.
pub(crate) fn stop(child: &mut Child) {
    // All fail only if the child was reaped already, and then there is nothing left to stop.
    kill(child);
    drop(child.kill());
    drop(child.wait());
}
