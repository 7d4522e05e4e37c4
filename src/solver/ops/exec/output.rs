//! What a command prints, and what is told of one that failed.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};

use runtime::{ExitStatus, Stream};
use store::KeptId;

use crate::event::{Event, OutputStream};
use crate::worker::Step;

/// How many of a failed command's last lines its error repeats.
const LAST_LINES: usize = 20;

/// A line longer than this is passed on in parts, so that memory stays bounded.
const LINE_LIMIT_BYTES: usize = 64 * 1024;

/// A command that ran and did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("RUN failed: `{}` {status}", command)]
pub struct CommandFailure {
    /// The start of its argument vector, as the user would recognise it.
    pub command: String,
    /// The whole argument vector, as one text.
    pub process: String,
    /// How it ended.
    pub status: FailureStatus,
    /// The last lines that it wrote.
    pub last_output: Vec<String>,
    /// What ran it, if it was emulated.
    pub emulator: Option<String>,
    /// Whether the kernel ended a process of it because the memory of its control group was used up.
    pub ran_out_of_memory: bool,
    /// The store, if nothing more could be written to its file system when the command had ended, or little more and the
    /// command said that it found no room.
    pub full_store: Option<PathBuf>,
    /// That the emulator crashed, or what it ran.
    pub crash: Option<EmulatorCrash>,
    /// What it left is kept under this name.
    pub kept: Option<KeptId>,
}

impl CommandFailure {
    /// Returns it in BuildKit's words, which scripts look for.
    pub fn in_buildkits_words(&self) -> String {
        let code = match self.status {
            FailureStatus::Code(code) => code,
            FailureStatus::Signal(signal) => SHELL_SIGNAL + signal,
        };
        let Self { process, .. } = self;
        format!("process {process:?} did not complete successfully: exit code: {code}")
    }
}

/// An emulated command that ended as faults of programs end them. A fault of the emulator looks the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmulatorCrash {
    /// What the signal is called.
    pub signal: &'static str,
    /// What the emulator calls itself, if it says.
    pub version: Option<String>,
}

/// The signals that the kernel sends for faults (signal(7)), by the numbers that they have on all processors we run on.
const FAULTS: [(i32, &str); 6] = [
    (4, "SIGILL"),
    (5, "SIGTRAP"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (11, "SIGSEGV"),
];

/// What a shell adds to the number of a signal to make it a status.
const SHELL_SIGNAL: i32 = 128;

impl EmulatorCrash {
    /// Tells of a crash if the command ended by one, or a shell says of its last one that it did.
    pub(super) fn of(status: FailureStatus, emulator: &Path) -> Option<Self> {
        let signal = status.fault()?;
        let version = vendor_shim::emulation::version(emulator);
        Some(Self { signal, version })
    }
}

/// How a command ended that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureStatus {
    /// With a status other than 0.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

impl fmt::Display for FailureStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with status {code}"),
            Self::Signal(signal) => write!(f, "was ended by {}", ExitStatus::Signal(*signal)),
        }
    }
}

impl FailureStatus {
    /// Returns the signal of a fault, if the command ended by one or its shell says so.
    fn fault(self) -> Option<&'static str> {
        let number = match self {
            Self::Code(code) => code - SHELL_SIGNAL,
            Self::Signal(signal) => signal,
        };
        let mut faults = FAULTS.iter();
        faults.find(|fault| fault.0 == number).map(|fault| fault.1)
    }

    /// Returns how a command failed; none if it did not.
    pub(super) fn of(status: ExitStatus) -> Option<Self> {
        match status {
            ExitStatus::Code(0) => None,
            ExitStatus::Code(code) => Some(Self::Code(code)),
            ExitStatus::Signal(signal) => Some(Self::Signal(signal)),
        }
    }
}

/// Cuts output into lines, tells them, and keeps the last.
pub(super) struct Lines<'a> {
    step: &'a Step<'a>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    last: VecDeque<String>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(step: &'a Step<'a>) -> Self {
        Self {
            step,
            stdout: Vec::new(),
            stderr: Vec::new(),
            last: VecDeque::new(),
        }
    }

    pub(super) fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let pending = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        pending.extend_from_slice(bytes);
        let end = match pending.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => end + 1,
            None if pending.len() >= LINE_LIMIT_BYTES => pending.len(),
            None => return,
        };
        let text = pending.drain(..end).collect();
        self.tell(stream, text);
    }

    pub(super) fn flush(&mut self) {
        for (stream, text) in [
            (Stream::Stdout, std::mem::take(&mut self.stdout)),
            (Stream::Stderr, std::mem::take(&mut self.stderr)),
        ] {
            if !text.is_empty() {
                self.tell(stream, text);
            }
        }
    }

    /// Returns the last lines.
    pub(super) fn into_last(self) -> Vec<String> {
        self.last.into()
    }

    fn tell(&mut self, stream: Stream, text: Vec<u8>) {
        for line in text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            if self.last.len() == LAST_LINES {
                self.last.pop_front();
            }
            self.last
                .push_back(String::from_utf8_lossy(line).into_owned());
        }
        let stream = match stream {
            Stream::Stdout => OutputStream::Stdout,
            Stream::Stderr => OutputStream::Stderr,
        };
        let event = Event::Output {
            step: self.step.step_id(),
            stream,
            text,
        };
        self.step.workshop.events.emit(event);
    }
}
