//! Runs careen, and reads what it says.
#![expect(
    clippy::disallowed_methods,
    reason = "careen is run as its users run it, as a program"
)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::{fail, process};

/// How long anything may take before the test says that it hangs.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// One run of careen, to be started.
#[derive(Debug)]
pub struct Invocation {
    command: Command,
    stdout: Option<std::fs::File>,
    stderr: Option<std::fs::File>,
    /// What is replaced by `$BENCH` in what careen says.
    bench: String,
}

impl Invocation {
    /// Makes a run with nothing in its environment.
    pub(crate) fn new(program: &Path, bench: &Path) -> Self {
        // It hears signals also where the tests were started to ignore them (`nohup`, a shell's background job).
        let mut command = Command::new("/usr/bin/env");
        command.arg("--default-signal").arg(program);
        command.env_clear().current_dir(bench).stdin(Stdio::null());
        // Away from the terminal's foreground: a test's signals are for careen alone.
        command.process_group(0);
        Self {
            command,
            stdout: None,
            stderr: None,
            bench: bench.display().to_string(),
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg<S: AsRef<OsStr>>(mut self, argument: S) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: &[S]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env<S: AsRef<OsStr>>(mut self, name: &str, value: S) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn current_dir(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Gives it a file as its standard input.
    #[must_use]
    pub fn stdin(mut self, file: std::fs::File) -> Self {
        self.command.stdin(file);
        self
    }

    /// Gives it a file as its standard output; nothing of that is read back then.
    #[must_use]
    pub fn stdout(mut self, file: std::fs::File) -> Self {
        self.stdout = Some(file);
        self
    }

    /// Gives it a file as its standard error; nothing of that is read back then.
    #[must_use]
    pub fn stderr(mut self, file: std::fs::File) -> Self {
        self.stderr = Some(file);
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Finished {
        self.start().finish()
    }

    /// Starts it.
    pub fn start(mut self) -> Running {
        let stdout = self.stdout.take().map_or_else(Stdio::piped, Stdio::from);
        let stderr = self.stderr.take().map_or_else(Stdio::piped, Stdio::from);
        self.command.stdout(stdout).stderr(stderr);
        let mut child = self.command.spawn().expect("careen can be started");
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        let stdout = stdout.map(|mut stdout| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                stdout.read_to_end(&mut bytes).map(|_| bytes)
            })
        });
        let (sender, lines) = mpsc::channel();
        let reader = thread::spawn(move || {
            let lines = stderr.map(|stderr| BufReader::new(stderr).split(b'\n'));
            for line in lines.into_iter().flatten() {
                let line = String::from_utf8_lossy(&line?).into_owned();
                // The test may have ended without reading all.
                drop(sender.send(line));
            }
            Ok(())
        });
        Running {
            child,
            stdout,
            stderr: Some(reader),
            lines,
            said: Vec::new(),
            bench: self.bench,
        }
    }
}

/// A run of careen that goes on.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Option<JoinHandle<io::Result<Vec<u8>>>>,
    stderr: Option<JoinHandle<io::Result<()>>>,
    lines: Receiver<String>,
    said: Vec<String>,
    bench: String,
}

impl Running {
    /// Returns the number of the first process.
    pub fn id(&self) -> process::Id {
        process::Id::of_child(&self.child)
    }

    /// Waits for a line of standard error that ends with `text`.
    pub fn wait_for(&mut self, text: &str) {
        while !self.said.last().is_some_and(|line| line.ends_with(text)) {
            assert!(
                self.hear(),
                "careen ended without `{text}`:\n{}",
                self.said.join("\n")
            );
        }
    }

    /// Waits for a line of standard error that has `text` in it, and returns the line.
    pub fn wait_for_line_with(&mut self, text: &str) -> String {
        loop {
            if let Some(line) = self.said.last().filter(|line| line.contains(text)) {
                return line.clone();
            }
            assert!(
                self.hear(),
                "careen ended without `{text}`:\n{}",
                self.said.join("\n")
            );
        }
    }

    /// Ends it without asking.
    pub fn kill(self) -> Finished {
        self.id().kill();
        self.finish()
    }

    /// Waits for one more line; says whether there was one.
    fn hear(&mut self) -> bool {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => self.said.push(line),
            Err(RecvTimeoutError::Disconnected) => return false,
            Err(RecvTimeoutError::Timeout) => {
                process::kill_tree(self.id());
                fail(&format!("careen hangs; it said:\n{}", self.said.join("\n")));
            }
        }
        true
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Finished {
        while self.hear() {}
        let status = self.child.wait().expect("careen can be waited for");
        join(self.stderr.take()).expect("standard error can be read");
        let stderr = self.said.join("\n").replace(&self.bench, "$BENCH");
        Finished {
            status,
            stdout: join(self.stdout.take()).expect("standard output can be read"),
            report: report_in(&stderr),
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed leaves nothing running.
        if let Ok(None) = self.child.try_wait() {
            process::kill_tree(self.id());
            self.child.wait().map(drop).unwrap_or_default();
        }
    }
}

/// Returns what a reader has read, once.
fn join<T: Default>(reader: Option<JoinHandle<io::Result<T>>>) -> io::Result<T> {
    reader.map_or_else(
        || Ok(T::default()),
        |reader| reader.join().expect("a reader does not panic"),
    )
}

/// A run of careen that has ended.
#[derive(Debug)]
pub struct Finished {
    status: ExitStatus,
    /// What was on standard output.
    pub stdout: Vec<u8>,
    /// What was on standard error, with `$BENCH` for the directory of the test.
    pub stderr: String,
    /// The report of an error that was among that.
    report: String,
}

/// What plain progress, which has BuildKit's words, says in the place of `error`.
const FAILED: &str = "ERROR: failed to build: failed to solve: ";

/// Returns the report of an error: all from the first line on that begins with `error:`, or with BuildKit's words for
/// that.
fn report_in(stderr: &str) -> String {
    let from = |starts: &[&str]| {
        let is_start = |line: &str| starts.iter().any(|start| line.starts_with(start));
        let lines: Vec<_> = stderr.lines().skip_while(|line| !is_start(line)).collect();
        lines.join("\n")
    };
    let own = from(&["error:", "internal error:"]);
    if !own.is_empty() {
        return own;
    }
    let told = from(&[FAILED]);
    match told.strip_prefix(FAILED) {
        Some(told) => format!("error: {told}"),
        None => stderr.to_owned(),
    }
}

/// How a step ended, as the progress shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out.
    Done,
    /// It was known already.
    Cached,
    /// It failed.
    Failed,
    /// It was ended.
    Cancelled,
}

impl Finished {
    /// Returns the exit code; of a process that a signal ended, the shell's.
    pub fn code(&self) -> i32 {
        let signal = || self.status.signal().map(|signal| 128 + signal);
        self.status
            .code()
            .or_else(signal)
            .expect("a process exits or is ended by a signal")
    }

    /// Makes sure that it succeeded.
    #[expect(
        clippy::return_self_not_must_use,
        reason = "it is called for its assertion too"
    )]
    pub fn success(self) -> Self {
        assert_eq!(self.code(), 0, "careen failed:\n{}", self.stderr);
        self
    }

    /// Returns standard output as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("what careen prints is text")
    }

    /// Makes sure that it failed with this exit code, and returns what it said about that.
    pub fn error(&self, code: i32) -> &str {
        assert_eq!(self.code(), code, "it said:\n{}", self.stderr);
        &self.report
    }

    /// Returns the steps that were shown, with the word each ended with: `RUN make`, [`Outcome::Done`].
    ///
    /// The place (`[build 2/3]`) is left out, and so are the steps of the export and those that every build has.
    pub fn steps(&self) -> BTreeMap<String, Outcome> {
        let mut names: BTreeMap<&str, &str> = BTreeMap::new();
        let mut steps = BTreeMap::new();
        for line in self.stderr.lines() {
            let Some((number, rest)) = line.strip_prefix('#').and_then(|line| line.split_once(' '))
            else {
                continue;
            };
            if let Some((_, name)) = rest
                .strip_prefix('[')
                .and_then(|rest| rest.split_once("] "))
                .filter(|(_, name)| !is_of_every_build(name))
            {
                names.insert(number, name);
            }
            let outcome = match rest.split(' ').next() {
                Some("CACHED") => Outcome::Cached,
                Some("DONE") => Outcome::Done,
                Some("ERROR:") => Outcome::Failed,
                Some("CANCELED") => Outcome::Cancelled,
                _ => continue,
            };
            if let Some(name) = names.get(number) {
                steps.insert((*name).to_owned(), outcome);
            }
        }
        steps
    }

    /// Returns how a step ended; none if it was not shown.
    pub fn outcome(&self, name: &str) -> Option<Outcome> {
        self.steps().get(name).copied()
    }

    /// Returns the lines that commands wrote, without what the progress puts before them.
    pub fn output(&self) -> Vec<&str> {
        let is_time = |word: &str| {
            word.split_once('.').is_some_and(|(whole, part)| {
                part.len() == 3
                    && (whole.to_owned() + part)
                        .bytes()
                        .all(|b| b.is_ascii_digit())
            })
        };
        let line = |line| {
            let (_, rest) = str::strip_prefix(line, "#")?.split_once(' ')?;
            let (time, text) = rest.split_once(' ')?;
            is_time(time).then_some(text)
        };
        self.stderr.lines().filter_map(line).collect()
    }
}

/// Tells whether a step is one that every build has: that the Dockerfile and the context are read, and what commands are
/// run with.
fn is_of_every_build(name: &str) -> bool {
    let beginnings = ["commands ", "load build ", "load .dockerignore"];
    beginnings
        .iter()
        .any(|beginning| name.starts_with(beginning))
}
