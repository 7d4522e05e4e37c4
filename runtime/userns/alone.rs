//! The first process while it does without a builder what needs none.
//!
//! It has the caller's ids and rights, and no namespaces. It hears signals as the builder does: the first one is the wish
//! to end, the next one ends it. When it turns out that a builder is needed after all, [`Alone::end`] gives back what
//! [`run_builder`](super::run_builder) goes on with: a process with one thread, in which no signal was missed. A process with
//! a thread that does not end begins again, as the same program with the same command line ([`Alone::begin_again`]).

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{Signal, raise};
use nix::sys::stat::{Mode, umask};
use thiserror::Error;

use super::builder::{Watch, WatchError};
use super::first::SAME_WISH;
use crate::cancel::{CancelReason, CancelToken};
use crate::channel::wait_for_any;
use crate::rlimit::make_room;
use crate::role::{BEGUN_AGAIN, PROGRAM_NAME, THIS_PROGRAM};
use crate::sys::{CallError, environment, process, signal};

/// How long threads may take to end that nobody waits for. One that asks for the address of a name takes longer.
const THREADS_END_WITHIN: Duration = Duration::from_millis(200);

/// Why the first process cannot do it alone.
#[derive(Debug, Error)]
pub enum AloneError {
    /// Signals cannot be noted.
    #[error("hear signals")]
    Signals(#[source] CallError),
    /// A thread does not end, and the program cannot be started again.
    #[error("start careen again, which has a thread that does not end")]
    Restart(#[source] CallError),
}

/// The first process at work.
#[derive(Debug)]
pub struct Alone {
    cancel: CancelToken,
    signals: OwnedFd,
    /// The mask of new files that the caller has.
    mask: Mode,
}

/// Where signals are noted that nobody has acted on yet.
#[derive(Debug)]
pub struct NotedSignals(pub(super) OwnedFd);

impl Alone {
    /// Begins: hides the variables that hold secrets, as [`run_builder`](super::run_builder) does, and notes signals. The
    /// mask of new files is 022 from now on, as it is in the builder.
    ///
    /// Must be called at most once in a process, while it has one thread.
    ///
    /// # Errors
    ///
    /// Fails when the process has no descriptors left.
    pub fn begin(hidden: &[&[u8]]) -> Result<Self, AloneError> {
        environment::wipe(hidden);
        let cancel = CancelToken::create().map_err(AloneError::Signals)?;
        let signals = signal::note_endings().map_err(AloneError::Signals)?;
        make_room(signals.as_fd());
        let mask = umask(Mode::S_IWGRP | Mode::S_IWOTH);
        Ok(Self {
            cancel,
            signals,
            mask,
        })
    }

    /// Returns the token that is cancelled when the user asks for it.
    pub fn cancel(&self) -> &CancelToken {
        &self.cancel
    }

    /// Starts to watch for signals.
    ///
    /// # Errors
    ///
    /// Fails when no thread can be started.
    pub fn watch(&self) -> Result<Watch, WatchError> {
        let signals = self.signals.try_clone().map_err(WatchError)?;
        let cancel = self.cancel.clone();
        Watch::start(move |stopped| watch(&cancel, &signals, stopped))
    }

    /// Ends it when nothing watches any more, so that the process can be copied.
    ///
    /// # Errors
    ///
    /// Returns itself when a thread does not end: [`begin_again`](Self::begin_again) is left.
    pub fn end(self) -> Result<NotedSignals, Self> {
        let began = Instant::now();
        // A thread that was waited for may be one for the kernel a little longer.
        while !process::has_one_thread() {
            if began.elapsed() > THREADS_END_WITHIN {
                return Err(self);
            }
            std::thread::yield_now();
        }
        Ok(NotedSignals(self.signals))
    }

    /// Starts this program again in this process, with the command line that it was started with and an environment:
    /// threads end with it. [`begun_again`] tells the new program. Returns only if that fails.
    ///
    /// Who was asked to end meanwhile ends.
    pub fn begin_again<'e, E: IntoIterator<Item = (&'e OsStr, &'e [u8])>>(
        self,
        arguments: &[OsString],
        environment: E,
    ) -> AloneError {
        let arguments = marked(arguments);
        let environment: Vec<_> = environment.into_iter().filter_map(variable).collect();
        if let Some(number) = signal::take_noted(self.signals.as_fd()).first() {
            end_by(Signal::try_from(i32::from(*number)).unwrap_or(Signal::SIGTERM));
        }
        umask(self.mask);
        let Err(errno) = process::execute(THIS_PROGRAM, &arguments, &environment);
        AloneError::Restart(CallError::new(
            format!("execve({})", THIS_PROGRAM.to_string_lossy()),
            errno,
        ))
    }
}

/// Returns the command line that this program was started with, if [`Alone::begin_again`] started it once more.
///
/// It is no interface: whoever gives the mark by hand has a build that is not tried without a builder.
pub fn begun_again(arguments: &[OsString]) -> Option<Vec<OsString>> {
    if arguments.get(1)? != BEGUN_AGAIN {
        return None;
    }
    // For those who look at processes; nothing depends on it.
    drop(process::set_name(PROGRAM_NAME));
    let mut own = arguments.to_vec();
    own.remove(1);
    Some(own)
}

/// Marks a command line. What has a zero in it was never an argument.
fn marked(arguments: &[OsString]) -> Vec<CString> {
    let (name, rest) = arguments.split_at(arguments.len().min(1));
    let name = name.iter().map(OsString::as_os_str);
    let rest = rest.iter().map(OsString::as_os_str);
    let marked = name.chain([OsStr::new(BEGUN_AGAIN)]).chain(rest);
    marked
        .filter_map(|argument| CString::new(argument.as_bytes()).ok())
        .collect()
}

/// Returns `NAME=value`. What has a zero in it was never a variable.
fn variable((name, value): (&OsStr, &[u8])) -> Option<CString> {
    CString::new([name.as_bytes(), b"=", value].concat()).ok()
}

fn watch(cancel: &CancelToken, signals: &OwnedFd, stopped: &OwnedFd) {
    let mut asked: Option<Instant> = None;
    loop {
        let mut sources =
            [stopped.as_fd(), signals.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        if wait_for_any(&mut sources).is_err() {
            return;
        }
        let [stopped, _] = sources.map(|source| source.any().unwrap_or(false));
        if stopped {
            return;
        }
        for number in signal::take_noted(signals.as_fd()) {
            let signal = Signal::try_from(i32::from(number)).unwrap_or(Signal::SIGTERM);
            if asked.is_some_and(|since| since.elapsed() >= SAME_WISH) {
                end_by(signal);
            }
            asked.get_or_insert_with(Instant::now);
            cancel.cancel(CancelReason::Signal(signal));
        }
    }
}

/// Ends this process by a signal: the second one is an order. The store is whole whenever it stops.
fn end_by(order: Signal) {
    // Neither can fail for a signal that has a name.
    drop(signal::reset());
    raise(order).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_command_line_is_the_one_before_when_the_mark_is_taken_out() {
        let given = ["careen", "build", "."].map(OsString::from).to_vec();
        let texts: Vec<_> = marked(&given)
            .iter()
            .map(|text| OsStr::from_bytes(text.as_bytes()).to_owned())
            .collect();
        assert_eq!(texts.len(), 4);
        assert_eq!(begun_again(&texts), Some(given.clone()));
        assert_eq!(begun_again(&given), None);
        assert_eq!(begun_again(&given[..1]), None);
    }

    #[test]
    fn a_signal_is_the_wish_to_end_and_the_watch_ends_when_it_is_dropped() {
        let (signals, writing) = nix::unistd::pipe().unwrap();
        let (stopped, stop) = nix::unistd::pipe().unwrap();
        let cancel = CancelToken::create().unwrap();
        nix::unistd::write(&writing, &[15]).unwrap();
        let token = cancel.clone();
        let watching = std::thread::spawn(move || watch(&token, &signals, &stopped));
        while !cancel.is_cancelled() {
            std::thread::yield_now();
        }
        assert_eq!(cancel.reason(), Some(CancelReason::Signal(Signal::SIGTERM)));
        drop(stop);
        watching.join().unwrap();
    }
}
