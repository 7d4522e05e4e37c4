//! PID 1 of a sandbox: builds it, starts the command, reaps whatever ends, and goes when the
//! command or the builder is gone. The kernel then kills what is left.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::prctl;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{ForkResult, Gid, Pid, Uid, fchown, setsid};

use super::{Handed, InitEnd, command, fail, root};
use crate::channel::{Channel, Received, wait_for_any};
use crate::executor::ExecutorMode;
use crate::mountpoint::Stub;
use crate::protocol::{Exit, ExitStatus, FromInit, InitFailure, Setup, SetupStep, ToInit};
use crate::spec::SandboxUser;
use crate::sys::process::Ending;
use crate::sys::{CallError, Called as _, process, terminal};

/// Is PID 1 to its end.
pub(super) fn serve(channel: &InitEnd, setup: &Setup, handed: Handed) -> ExitCode {
    let Ok(Received::Message(ToInit::Proceed, _)) = channel.receive() else {
        return ExitCode::FAILURE;
    };
    match start(channel, setup, handed) {
        Ok(Started::Command) => ExitCode::FAILURE,
        Ok(Started::First {
            command,
            endings,
            // Ours stays open, so that the other end is not told of an end before everything has ended.
            terminal: _terminal,
        }) => watch(channel, command, &endings),
        Err(failure) => fail(channel, failure),
    }
}

/// Which of two processes returned from starting the command.
enum Started {
    /// The command's process, which could not execute it and has said so.
    Command,
    /// PID 1.
    First {
        command: Pid,
        endings: SignalFd,
        terminal: Option<OwnedFd>,
    },
}

fn start(channel: &InitEnd, setup: &Setup, mut handed: Handed) -> Result<Started, InitFailure> {
    let at = |step| move |error: CallError| InitFailure::new(step, &error);
    protect().map_err(at(SetupStep::Namespaces))?;
    let input = handed.input.take();
    let filter = handed.filter.take();
    let scene = root::build(setup, handed)?;
    let dev = root::mounted(scene.dev.as_ref(), "/dev").map_err(at(SetupStep::Fork))?;
    let terminal = open_terminal(setup, dev).map_err(at(SetupStep::Fork))?;
    let (outer, inner) = terminal.unzip();
    let endings = note_endings().map_err(at(SetupStep::Fork))?;
    let (reading, writing) = Channel::pair().map_err(at(SetupStep::Fork))?;
    match process::fork().map_err(at(SetupStep::Fork))? {
        ForkResult::Child => {
            drop(reading);
            let streams = command::Streams {
                input: input.as_ref(),
                terminal: inner.as_ref(),
            };
            let report = command::Report::over(writing);
            let failure = command::execute(setup, dev, &streams, (filter.as_deref(), channel));
            // PID 1 waits for this socket to close; nobody else can be told.
            drop(report.send(&failure, &[]));
            Ok(Started::Command)
        }
        ForkResult::Parent { child } => {
            drop((writing, input));
            await_execution(&reading)?;
            tell_started(channel, &scene.stubs, outer.as_ref());
            Ok(Started::First {
                command: child,
                endings,
                terminal: inner,
            })
        }
    }
}

/// Makes this process one that commands can neither trace nor look into, and that no terminal
/// reaches.
fn protect() -> Result<(), CallError> {
    // It is root of the namespace, as commands are, and its /proc/1 is in theirs.
    hide()?;
    setsid().map(drop).called(|| "setsid()".to_owned())
}

/// Makes this process one that commands can neither trace nor look into.
pub(super) fn hide() -> Result<(), CallError> {
    prctl::set_dumpable(false).called(|| "prctl(PR_SET_DUMPABLE, 0)".to_owned())
}

/// Makes the command's terminal if it has one: the end that the builder gets, and the command's own.
pub(super) fn open_terminal(
    setup: &Setup,
    dev: BorrowedFd<'_>,
) -> Result<Option<(OwnedFd, OwnedFd)>, CallError> {
    let Some(size) = setup.spec.terminal else {
        return Ok(None);
    };
    let (ours, theirs) = terminal::open_pair(dev)?;
    terminal::set_size(ours.as_fd(), size)?;
    if setup.ids.mode() == ExecutorMode::UsernsSingle {
        // There is nobody else it could belong to.
        return Ok(Some((ours, theirs)));
    }
    let SandboxUser { uid, .. } = setup.spec.user;
    // The group is that of terminals already.
    fchown(&theirs, Some(Uid::from_raw(uid)), None::<Gid>)
        .called(|| format!("fchown(terminal, {uid}, -1)"))?;
    Ok(Some((ours, theirs)))
}

/// Has the ends of children noted in a descriptor.
pub(super) fn note_endings() -> Result<SignalFd, CallError> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    signals
        .thread_block()
        .called(|| "rt_sigprocmask(SIG_BLOCK, [SIGCHLD])".to_owned())?;
    SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .called(|| "signalfd([SIGCHLD])".to_owned())
}

/// Waits until the command runs: its end of the conversation is closed by `execve`.
pub(super) fn await_execution(report: &Channel<(), InitFailure>) -> Result<(), InitFailure> {
    match report.receive() {
        Ok(Received::Message(failure, _)) => Err(failure),
        Ok(Received::Closed) => Ok(()),
        Ok(Received::Cancelled) | Err(_) => {
            let call = "read the report of the command's process";
            let error = CallError::new(call, Errno::EBADMSG);
            Err(InitFailure::new(SetupStep::Execute, &error))
        }
    }
}

pub(super) fn tell_started(channel: &InitEnd, stubs: &[Stub], terminal: Option<&OwnedFd>) {
    let records = stubs.iter().map(|stub| stub.record.clone()).collect();
    let descriptors: Vec<BorrowedFd<'_>> = stubs
        .iter()
        .flat_map(|stub| [stub.parent.as_fd(), stub.entry.as_fd()])
        .chain(terminal.map(AsFd::as_fd))
        .collect();
    let started = FromInit::Started { stubs: records };
    // If the builder is gone, the watch notices.
    drop(channel.send(&started, &descriptors));
}

/// Reaps until the command has ended or the builder is gone.
fn watch(channel: &InitEnd, command: Pid, endings: &SignalFd) -> ExitCode {
    loop {
        match reap(command) {
            Ok(None) => {}
            Ok(Some(status)) => {
                // If the builder is gone, there is nobody to tell.
                let peak_bytes = peak_bytes();
                let exit = Exit { status, peak_bytes };
                drop(channel.send(&FromInit::Exited(exit), &[]));
                return ExitCode::SUCCESS;
            }
            Err(_) => return ExitCode::FAILURE,
        }
        let mut sources =
            [channel.as_fd(), endings.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        if wait_for_any(&mut sources).is_err() {
            return ExitCode::FAILURE;
        }
        let [told, ended] = sources.map(|source| source.any().unwrap_or(false));
        if told && !pass_signal_on(channel, command) {
            return ExitCode::FAILURE;
        }
        if ended {
            // One note may stand for several children: all are looked for.
            endings.read_signal().unwrap_or_default();
        }
    }
}

/// Returns the resident size of the largest process that was reaped, by us or by those that we reaped (getrusage(2)).
pub(super) fn peak_bytes() -> u64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN);
    let kilobytes = usage.map_or(0, |usage| usage.max_rss());
    u64::try_from(kilobytes).unwrap_or(0).saturating_mul(1024)
}

/// Passes the signal that the builder sends on to the command; says whether the builder is still there.
pub(super) fn pass_signal_on(channel: &InitEnd, command: Pid) -> bool {
    let Ok(Received::Message(ToInit::Signal(number), _)) = channel.receive() else {
        return false;
    };
    if let Ok(signal) = Signal::try_from(number) {
        // It is not reaped yet, so its number is still its own.
        kill(command, signal).unwrap_or_default();
    }
    true
}

/// Reaps every child that has ended, and returns how the command did if it is among them.
pub(super) fn reap(command: Pid) -> Result<Option<ExitStatus>, CallError> {
    let mut found = None;
    while let Some((pid, ending)) = process::reap_any()? {
        if pid == command {
            found = Some(match ending {
                Ending::Exited(code) => ExitStatus::Code(code),
                Ending::Signaled(number) => ExitStatus::Signal(number),
            });
        }
    }
    Ok(found)
}
