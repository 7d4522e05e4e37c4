//! The builder's side: it makes its namespace, waits for ids, and watches the first process.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::pipe2;
use thiserror::Error;
use tracing::debug;

use super::{IdMap, SandboxId};
use crate::cancel::{CancelReason, CancelToken};
use crate::channel::{Channel, ChannelError, Received, wait_for_any};
use crate::credentials;
use crate::executor::ExecutorMode;
use crate::inbox::{SignalInbox, SignalSlot};
use crate::protocol::{OpenFiles, ToBuilder, ToFirst};
use crate::rlimit;
use crate::role::{BUILDER_NAME, BuilderRole, OwnNamespaces};
use crate::sys::{CallError, Called as _, mount, process, signal};

/// How long a builder whose first process is gone may take to end in order. Nobody hears what it
/// would say, and the store is whole whenever it stops.
pub const ORPHAN_GRACE: Duration = Duration::from_millis(400);

type BuilderEnd = Channel<ToFirst, ToBuilder>;

/// Why this process could not become the builder.
#[derive(Debug, Error)]
pub enum EnterError {
    /// The kernel refuses user namespaces.
    #[error("make a user namespace")]
    Unshare(#[source] CallError),
    /// The two processes could not talk.
    #[error("talk to the first process")]
    Talk(#[source] ChannelError),
    /// The first process is gone, or has refused the ids and says so itself.
    #[error("get ids from the first process")]
    Refused,
    /// The ids were given and could not be taken.
    #[error("become root of the user namespace")]
    Identity(#[source] CallError),
    /// The mount namespace or the limits could not be set up.
    #[error("set up the builder")]
    SetUp(#[source] CallError),
}

/// The builder: root of a user namespace, with a mount namespace of its own.
#[derive(Debug)]
pub struct Builder {
    ids: IdMap,
    cancel: CancelToken,
    channel: BuilderEnd,
    signals: OwnedFd,
    relay: Arc<OnceLock<SignalSlot>>,
    open_files: OpenFiles,
}

/// The thread that watches the first process. Dropping it ends the watch.
#[derive(Debug)]
pub struct Watch {
    thread: Option<JoinHandle<()>>,
    /// Its reading end is the thread's; dropping this one wakes it.
    stop: Option<OwnedFd>,
}

/// Why the first process cannot be watched.
#[derive(Debug, Error)]
#[error("watch the first process")]
pub struct WatchError(#[source] pub(super) std::io::Error);

impl BuilderRole {
    /// Becomes the builder: makes the namespaces, gets ids, and is their root. Without namespaces of its own it is root
    /// of those that it is in.
    ///
    /// Afterwards mounts are private, the mask of new files is 022 whatever the caller's is, and
    /// the limit on open files is as high as the user may have it.
    ///
    /// Must be called before the process has a second thread: the kernel would refuse the
    /// namespace.
    ///
    /// # Errors
    ///
    /// Fails when the kernel refuses one of these. The caller of the program is to be told, since
    /// the first process only passes the exit code on.
    pub fn enter(self) -> Result<Builder, EnterError> {
        let channel = BuilderEnd::over(self.control);
        process::set_name(BUILDER_NAME).map_err(EnterError::SetUp)?;
        let signals = signal::note_endings().map_err(EnterError::SetUp)?;
        let cancel = CancelToken::create().map_err(EnterError::SetUp)?;
        if self.namespaces == OwnNamespaces::Yes {
            process::unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
                .map_err(EnterError::Unshare)?;
        }
        channel
            .send(&ToFirst::Unshared, &[])
            .map_err(EnterError::Talk)?;
        let received = channel.receive().map_err(EnterError::Talk)?;
        let Received::Message(ToBuilder::Mapped(ids), _) = received else {
            return Err(EnterError::Refused);
        };
        if ids.mode() != ExecutorMode::Nothing {
            credentials::become_namespace_root(ids).map_err(EnterError::Identity)?;
        }
        if self.namespaces == OwnNamespaces::Yes {
            mount::make_private().map_err(EnterError::SetUp)?;
        }
        // What is made must not depend on who builds.
        umask(Mode::S_IWGRP | Mode::S_IWOTH);
        let open_files = rlimit::raise_open_files(channel.as_fd()).map_err(EnterError::SetUp)?;
        Ok(Builder {
            ids,
            cancel,
            channel,
            signals,
            relay: Arc::default(),
            open_files,
        })
    }
}

impl Builder {
    /// Returns how ids of sandboxes are ids of this process.
    pub fn ids(&self) -> IdMap {
        self.ids
    }

    /// Returns the token that is cancelled when the user asks for it or the first process is gone.
    pub fn cancel(&self) -> &CancelToken {
        &self.cancel
    }

    /// Tells the first process that an image has an id that these do not reach. The builder is to end then, and says
    /// nothing of it itself: [`run_builder`](super::run_builder) returns [`BuilderExit::LacksId`](super::BuilderExit).
    ///
    /// # Errors
    ///
    /// Fails when the first process is gone.
    pub fn lacks_id(&self, id: SandboxId) -> Result<(), EnterError> {
        let message = ToFirst::LacksId(id.0);
        self.channel.send(&message, &[]).map_err(EnterError::Talk)
    }

    /// Returns the limit on open files that the user was given.
    pub(crate) fn open_files(&self) -> OpenFiles {
        self.open_files
    }

    /// Returns where signals go from now on: to a command, and not to this process's own work. Once only.
    ///
    /// The first process must have been told that signals are messages
    /// ([`SignalsAre::Messages`](super::SignalsAre)); then it is it that passes them on, and what reaches this
    /// process besides, as the whole foreground of a terminal is reached, says the same again.
    ///
    /// # Errors
    ///
    /// Fails when the process has no descriptors left, or signals go to a command already.
    pub fn relay_signals(&self) -> Result<SignalInbox, CallError> {
        let (inbox, slot) = SignalInbox::create()?;
        self.relay.set(slot).map_err(|_slot| {
            CallError::new("have signals passed on a second time", Errno::EBUSY)
        })?;
        signal::note_more(&signal::FOR_COMMANDS)?;
        Ok(inbox)
    }

    /// Starts to watch the first process and the signals to this one.
    ///
    /// Until this is called, signals that ask to end are only noted.
    ///
    /// # Errors
    ///
    /// Fails when no thread can be started.
    pub fn watch(&self) -> Result<Watch, WatchError> {
        let channel = self.channel.as_fd().try_clone_to_owned();
        let watcher = Watcher {
            cancel: self.cancel.clone(),
            channel: BuilderEnd::over(channel.map_err(WatchError)?),
            signals: self.signals.try_clone().map_err(WatchError)?,
            relay: Arc::clone(&self.relay),
        };
        Watch::start(move |stopped| watcher.watch(stopped))
    }
}

impl Watch {
    /// Starts a thread that watches until what it is given becomes readable.
    pub(super) fn start(watch: impl FnOnce(&OwnedFd) + Send + 'static) -> Result<Self, WatchError> {
        let (stopped, stop) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| WatchError(errno.into()))?;
        let thread = std::thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || watch(&stopped))
            .map_err(WatchError)?;
        Ok(Self {
            thread: Some(thread),
            stop: Some(stop),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread has no result, and a panic in it was reported when it happened.
            drop(thread.join());
        }
    }
}

/// What the watching thread has.
struct Watcher {
    cancel: CancelToken,
    channel: BuilderEnd,
    signals: OwnedFd,
    relay: Arc<OnceLock<SignalSlot>>,
}

impl Watcher {
    fn watch(&self, stopped: &OwnedFd) {
        let give_up = || self.give_up(stopped);
        loop {
            let mut sources = [stopped.as_fd(), self.channel.as_fd(), self.signals.as_fd()]
                .map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            let Ok(()) = wait_for_any(&mut sources) else {
                return give_up();
            };
            let [stopped, told, signalled] = sources.map(|source| source.any().unwrap_or(false));
            if stopped {
                return;
            }
            if signalled {
                self.take_noted();
            }
            if told {
                match self.channel.receive() {
                    Ok(Received::Message(ToBuilder::Signal(number), _)) => self.signal(number),
                    Ok(Received::Message(ToBuilder::Mapped(_), _)) => {}
                    Ok(Received::Closed | Received::Cancelled) | Err(_) => return give_up(),
                }
            }
        }
    }

    /// Takes in what signals this process got itself.
    fn take_noted(&self) {
        for number in signal::take_noted(self.signals.as_fd()) {
            // The first process passes on what is for a command.
            if self.relay.get().is_none() {
                self.cancel_by(number.into());
            }
        }
    }

    fn signal(&self, number: i32) {
        match self.relay.get() {
            Some(slot) => slot.put(number),
            None => self.cancel_by(number),
        }
    }

    fn cancel_by(&self, number: i32) {
        let signal = Signal::try_from(number).unwrap_or(Signal::SIGTERM);
        if !signal::ENDING.contains(&signal) {
            // It is for a command that is not there yet.
            return;
        }
        debug!(%signal, "asked to end");
        self.cancel.cancel(CancelReason::Signal(signal));
    }

    /// The first process is gone: ends in order within the time of grace, else at once.
    fn give_up(&self, stopped: &OwnedFd) {
        debug!("the first process is gone");
        self.cancel.cancel(CancelReason::Orphaned);
        let grace = PollTimeout::try_from(ORPHAN_GRACE).unwrap_or(PollTimeout::ZERO);
        let mut stopped = [PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
        if poll(&mut stopped, grace) == Ok(1) {
            return;
        }
        // Sandboxes notice that their sockets close. Nothing is to be said or tidied up any more.
        drop(nix::sys::signal::kill(nix::unistd::getpid(), Signal::SIGKILL).called(String::new));
    }
}
