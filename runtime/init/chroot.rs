//! A sandbox without namespaces: another root directory, and a process that ends whatever the command leaves.
//!
//! ```text
//! this process                          the command's process
//!   adopts orphans
//!   ─ fork ───────────────────────────►   changes the root directory
//!                                         gives up new privileges
//!                                         raises a wall of Landlock
//!                                         goes on as `command.rs` says
//!   reaps, passes signals on
//!   ✕ the command or the builder is gone:
//!     kills everything below it, and ends
//! ```
//!
//! A change of the root directory alone is no wall: whoever is root below it gets out. What holds a command is Landlock,
//! which withholds all files but those below the root, and signals and abstract sockets that lead out; it stays when the
//! command changes its root directory again. This process is not behind it, so that it can neither be signalled nor
//! traced from there.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::ExitCode;

use nix::fcntl::{AT_FDCWD, OFlag};
use nix::poll::{PollFd, PollFlags};
use nix::sys::signalfd::SignalFd;
use nix::unistd::{ForkResult, Pid};

use super::first::{
    await_execution, hide, note_endings, open_terminal, pass_signal_on, peak_bytes, reap,
    tell_started,
};
use super::{Handed, InitEnd, command, descendants, fail};
use crate::channel::{Channel, Received, wait_for_any};
use crate::protocol::{Exit, ExitStatus, FromInit, InitFailure, Setup, SetupStep, ToInit};
use crate::sys::{CallError, file, process};

/// Is the sandbox's process to its end.
pub(super) fn serve(channel: &InitEnd, setup: &Setup, handed: Handed) -> ExitCode {
    if channel.send(&FromInit::Isolated, &[]).is_err() {
        return ExitCode::FAILURE;
    }
    let Ok(Received::Message(ToInit::Proceed, _)) = channel.receive() else {
        return ExitCode::FAILURE;
    };
    match start(channel, setup, handed) {
        Ok(Started::Command) => ExitCode::FAILURE,
        Ok(Started::Parent {
            command,
            endings,
            // Ours stays open, so that the other end is not told of an end before everything has ended.
            terminal: _terminal,
        }) => {
            let status = watch(channel, command, &endings);
            let gone = descendants::end_all();
            tell(channel, status.filter(|_| gone.is_ok()))
        }
        Err(failure) => {
            let told = fail(channel, failure);
            // There is nothing below but what failed.
            drop(descendants::end_all());
            told
        }
    }
}

/// Which of two processes returned from starting the command.
enum Started {
    /// The command's process, which could not execute it and has said so.
    Command,
    Parent {
        command: Pid,
        endings: SignalFd,
        terminal: Option<OwnedFd>,
    },
}

fn start(channel: &InitEnd, setup: &Setup, handed: Handed) -> Result<Started, InitFailure> {
    let at = |step| move |error: CallError| InitFailure::new(step, &error);
    process::adopt_orphans().map_err(at(SetupStep::Fork))?;
    hide().map_err(at(SetupStep::Fork))?;
    let terminal = outer_terminal(setup).map_err(at(SetupStep::Fork))?;
    let (outer, inner) = terminal.unzip();
    let endings = note_endings().map_err(at(SetupStep::Fork))?;
    let (reading, writing) = Channel::pair().map_err(at(SetupStep::Fork))?;
    match process::fork().map_err(at(SetupStep::Fork))? {
        ForkResult::Child => {
            drop(reading);
            let report = command::Report::over(writing);
            let failure = become_command(channel, setup, (&handed, inner.as_ref()));
            // This process's parent waits for the socket to close; nobody else can be told.
            drop(report.send(&failure, &[]));
            Ok(Started::Command)
        }
        ForkResult::Parent { child } => {
            drop((writing, handed));
            await_execution(&reading)?;
            tell_started(channel, &[], outer.as_ref());
            Ok(Started::Parent {
                command: child,
                endings,
                terminal: inner,
            })
        }
    }
}

/// Makes the command's terminal if it has one. There is no `devpts` below the root, so that it is one of those around,
/// which the command has and cannot find by a name.
fn outer_terminal(setup: &Setup) -> Result<Option<(OwnedFd, OwnedFd)>, CallError> {
    if setup.spec.terminal.is_none() {
        return Ok(None);
    }
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
    let dev = file::open(AT_FDCWD, c"/dev", flags, 0)?;
    open_terminal(setup, dev.as_fd())
}

/// Becomes the command. Returns only if that failed.
fn become_command(
    channel: &InitEnd,
    setup: &Setup,
    (handed, terminal): (&Handed, Option<&OwnedFd>),
) -> InitFailure {
    let at = |step| move |error: CallError| InitFailure::new(step, &error);
    let entered = enter(handed.root.as_fd())
        .map_err(at(SetupStep::Pivot))
        .and_then(|()| {
            let raised = process::give_up_new_privileges()
                .and_then(|()| setup.wall.raise(handed.root.as_fd()));
            raised.map_err(at(SetupStep::Landlock))
        })
        .and_then(|()| {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
            file::open(AT_FDCWD, c"/dev", flags, 0).map_err(at(SetupStep::Dev))
        });
    let dev = match entered {
        Ok(dev) => dev,
        Err(failure) => return failure,
    };
    let streams = command::Streams {
        input: handed.input.as_ref(),
        terminal,
    };
    let filter = handed.filter.as_deref();
    command::execute(setup, dev.as_fd(), &streams, (filter, channel))
}

fn enter(root: BorrowedFd<'_>) -> Result<(), CallError> {
    process::change_root(root, root)
}

/// Reaps until the command has ended, and returns how; `None` if the builder is gone before.
fn watch(channel: &InitEnd, command: Pid, endings: &SignalFd) -> Option<ExitStatus> {
    loop {
        if let Some(status) = reap(command).ok()? {
            return Some(status);
        }
        let mut sources =
            [channel.as_fd(), endings.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        wait_for_any(&mut sources).ok()?;
        let [told, ended] = sources.map(|source| source.any().unwrap_or(false));
        if told && !pass_signal_on(channel, command) {
            return None;
        }
        if ended {
            // One note may stand for several children: all are looked for.
            endings.read_signal().unwrap_or_default();
        }
    }
}

fn tell(channel: &InitEnd, status: Option<ExitStatus>) -> ExitCode {
    let Some(status) = status else {
        return ExitCode::FAILURE;
    };
    let peak_bytes = peak_bytes();
    let exit = Exit { status, peak_bytes };
    // If the builder is gone, there is nobody to tell.
    drop(channel.send(&FromInit::Exited(exit), &[]));
    ExitCode::SUCCESS
}
