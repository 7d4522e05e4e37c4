#![expect(unsafe_code, reason = "system calls without a safe wrapper")]
//! Signals: those that ask a process to end, turned into bytes of a pipe, and the way back.
//!
//! Handlers are used and not blocked signals with `signalfd`, because a blocked signal stays
//! blocked in every program that this process starts, while `execve` sets a handler back to the
//! default.

use std::os::fd::{BorrowedFd, IntoRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use libc::c_int;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::pipe2;

use super::{CallError, Called as _};

/// The signals by which a user or a system asks a process to end.
pub(crate) const ENDING: [Signal; 4] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
];

/// Further signals that mean a command, where there is one to be told: with [`ENDING`] those that a user sends
/// by hand or that a terminal makes.
pub(crate) const FOR_COMMANDS: [Signal; 4] = [
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGWINCH,
];

/// Where [`note`] writes. The one piece of global state of this crate: the kernel hands a handler
/// nothing but the number of the signal.
static NOTES: AtomicI32 = AtomicI32::new(-1);

/// Writes the number of the signal into the pipe.
extern "C" fn note(signal: c_int) {
    let before = Errno::last_raw();
    let byte = u8::try_from(signal).unwrap_or_default();
    let pipe = NOTES.load(Ordering::Relaxed);
    // SAFETY: one byte of our stack is read; write(2) is on the list of what a handler may call
    // (signal-safety(7)). Should the pipe be full, enough was said.
    unsafe { libc::write(pipe, (&raw const byte).cast(), 1) };
    Errno::set_raw(before);
}

/// Has the signals of [`ENDING`] written into a pipe from now on, and returns its reading end.
///
/// A signal that this process was started to ignore stays ignored (`nohup`, a shell's background
/// job). Must be called once in a process: the pipe's writing end stays open for ever.
pub(crate) fn note_endings() -> Result<OwnedFd, CallError> {
    let (reading, writing) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
        .called(|| "pipe2(O_CLOEXEC|O_NONBLOCK)".to_owned())?;
    NOTES.store(writing.into_raw_fd(), Ordering::Relaxed);
    note_more(&ENDING)?;
    Ok(reading)
}

/// Has further signals written into the pipe.
pub(crate) fn note_more(signals: &[Signal]) -> Result<(), CallError> {
    let action = SigAction::new(
        SigHandler::Handler(note),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    for signal in signals {
        let before = set_action(*signal, &action)?;
        if matches!(before.handler(), SigHandler::SigIgn) {
            set_action(*signal, &before)?;
        }
    }
    Ok(())
}

/// Has this process told of the ends of its children, which who started it may have told it to ignore: then they would be
/// gone before they could be waited for (waitpid(2), "Notes").
pub(crate) fn hear_of_children() -> Result<(), CallError> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    set_action(Signal::SIGCHLD, &default).map(drop)
}

/// Gives every signal its default action and unblocks all: what a program expects to be started
/// with.
pub(crate) fn reset() -> Result<(), CallError> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator() {
        if signal != Signal::SIGKILL && signal != Signal::SIGSTOP {
            set_action(signal, &default)?;
        }
    }
    SigSet::empty()
        .thread_set_mask()
        .called(|| "rt_sigprocmask(SIG_SETMASK, [])".to_owned())
}

fn set_action(signal: Signal, action: &SigAction) -> Result<SigAction, CallError> {
    // SAFETY: the handler is the default, the one that was there before, or `note`, which calls
    // nothing but what a handler may.
    unsafe { sigaction(signal, action) }.called(|| format!("rt_sigaction({signal})"))
}

/// Returns the numbers of the signals that have been noted in the pipe.
pub(crate) fn take_noted(pipe: BorrowedFd<'_>) -> Vec<u8> {
    let mut noted = vec![0; 64];
    // Nothing is there to be read when poll woke us for another reason.
    let count = nix::unistd::read(pipe, &mut noted).unwrap_or(0);
    noted.truncate(count);
    noted
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::fd::AsFd as _;

    #[test]
    fn the_ends_of_children_are_told_whatever_the_caller_ignored() {
        let ignored = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
        set_action(Signal::SIGCHLD, &ignored).unwrap();
        hear_of_children().unwrap();
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        let found = set_action(Signal::SIGCHLD, &default).unwrap();
        assert!(matches!(found.handler(), SigHandler::SigDfl));
    }

    #[test]
    fn take_noted_of_an_empty_pipe_is_empty() {
        let (reading, writing) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap();
        assert_eq!(take_noted(reading.as_fd()), Vec::<u8>::new());
        std::fs::File::from(writing).write_all(&[2, 15]).unwrap();
        assert_eq!(take_noted(reading.as_fd()), [2, 15]);
    }
}
