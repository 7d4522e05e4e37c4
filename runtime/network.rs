//! The network that all commands of a build share: one namespace, connected by a program of this machine's.
//!
//! ```text
//! builder                     maker                    guard                 pasta, slirp4netns
//!   │ ─ Make + namespace ───────► │                      │
//!   │ ◄─ Made + its network ───── │                      │
//!   │                             ✕                      │
//!   │ ───────────── the network is its standard input ───────────────────────────► │
//!   │ ─ Watch + pidfd ──────────────────────────────────► │                        │
//!   │ ◄─────────────── ready: as it says on its standard output ────────────────── │
//!   ✕ gone, or done with it                               │ ────────────────────── ✕ killed
//! ```
//!
//! The namespace belongs to the user namespace of commands, so that their root may bind any port of it, as elsewhere.
//! The program has it by a descriptor, and no process needs to live in it between two commands. A program that its
//! builder could not end any more is ended by the guard: the signal of a parent's death would come with the end of
//! the *thread* that started it (`PR_SET_PDEATHSIG`, prctl(2)).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sched::CloneFlags;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing::debug;
use vendor_shim::network::{Connection, NetworkError, UserNetwork};

use crate::cancel::CancelToken;
use crate::channel::{Channel, ChannelError, Received};
use crate::credentials;
use crate::starter::{NewRole, Newborn, Starter, StarterError};
use crate::sys::{CallError, network, process};
use crate::userns::{CommandNamespace, IdMap};

/// Why commands have no network of their build's own.
#[derive(Debug, Error)]
pub enum NetworkFailure {
    /// What runs commands has no namespaces for networks, or was given nothing to connect them with.
    #[error("make a network of the build's own: nothing here connects one")]
    Unsupported,
    /// A process that makes or guards it could not be started.
    #[error("start a process for the network of commands")]
    Start(#[from] StarterError),
    /// The two processes could not talk.
    #[error("talk to the process that makes the network of commands")]
    Talk(#[source] ChannelError),
    /// The process ended too soon.
    #[error("make the network of commands: its process ended")]
    Lost,
    /// The kernel refused it.
    #[error("make the network of commands")]
    Make(#[source] CallError),
    /// It could not be handed over.
    #[error("hand the network of commands over")]
    Open(#[source] io::Error),
    /// It could not be connected.
    #[error(transparent)]
    Connect(#[from] NetworkError),
}

/// From the builder to a maker or a guard.
#[derive(Debug, Serialize, Deserialize)]
enum Task {
    /// Make a network, in the user namespace that comes with this if one does.
    Make { ids: IdMap },
    /// End the process that comes with this when the builder is gone.
    Watch,
}

/// What a maker says.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Made,
    Failed { call: String, errno: i32 },
}

/// The network of a build: made and connected when the first command asks for it.
#[derive(Debug)]
pub(crate) struct BuildNetwork {
    helper: Option<Arc<dyn UserNetwork>>,
    /// Guards that it is made once. The first command waits for the connection here, and the others for the first.
    state: Mutex<State>,
    /// What has been told to end and was not waited for.
    ending: Mutex<Vec<Connected>>,
}

#[derive(Debug)]
enum State {
    Unasked,
    Connecting(Connected),
    Ready(Connected),
    Failed(Arc<NetworkFailure>),
}

/// A network and what connects it.
#[derive(Debug)]
struct Connected {
    // In the order in which they end.
    connection: Connection,
    _guard: Guard,
    namespace: Arc<OwnedFd>,
}

impl BuildNetwork {
    /// Keeps what is to connect it, or why there is nothing; nothing is started yet.
    pub(crate) fn new(helper: Result<Arc<dyn UserNetwork>, NetworkFailure>) -> Self {
        let (helper, state) = match helper {
            Ok(helper) => (Some(helper), State::Unasked),
            Err(failure) => (None, State::Failed(Arc::new(failure))),
        };
        let state = Mutex::new(state);
        let ending = Mutex::default();
        Self {
            helper,
            state,
            ending,
        }
    }

    /// Starts to connect it, unless that was begun already.
    pub(crate) fn begin(&self, ids: IdMap, ground: (&Starter, &CommandNamespace)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Unasked) {
            *state = match self.connect(ids, ground) {
                Ok(connected) => State::Connecting(connected),
                Err(failure) => State::Failed(Arc::new(failure)),
            };
        }
    }

    /// Waits until it is connected, and returns it.
    pub(crate) fn wait(&self, cancel: &CancelToken) -> Result<Arc<OwnedFd>, Arc<NetworkFailure>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = match std::mem::replace(&mut *state, State::Unasked) {
            State::Connecting(mut connected) => {
                match connected.connection.wait(&|| cancel.is_cancelled()) {
                    Ok(()) => State::Ready(connected),
                    Err(error) => State::Failed(Arc::new(error.into())),
                }
            }
            settled => settled,
        };
        match &*state {
            State::Ready(connected) => Ok(Arc::clone(&connected.namespace)),
            State::Failed(failure) => Err(Arc::clone(failure)),
            State::Unasked | State::Connecting(_) => Err(Arc::new(NetworkFailure::Unsupported)),
        }
    }

    /// Begins to end it. A command that asks for one after that gets another.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = match std::mem::replace(&mut *state, State::Unasked) {
            State::Connecting(connected) | State::Ready(connected) => {
                connected.connection.end();
                let mut ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
                ending.push(connected);
                State::Unasked
            }
            settled => settled,
        };
    }

    fn connect(
        &self,
        ids: IdMap,
        (starter, commands): (&Starter, &CommandNamespace),
    ) -> Result<Connected, NetworkFailure> {
        let helper = self.helper.as_ref().ok_or(NetworkFailure::Unsupported)?;
        let namespace = make(ids, starter, commands)?;
        let copy = namespace.try_clone().map_err(NetworkFailure::Open)?;
        let connection = helper.connect(copy)?;
        debug!(process = connection.id(), "connecting a network");
        let guard = Guard::of(&connection, starter)?;
        Ok(Connected {
            connection,
            _guard: guard,
            namespace: Arc::new(namespace),
        })
    }
}

/// Starts a process of ours that prints nothing.
fn start(starter: &Starter) -> Result<Newborn<Task, Answer>, NetworkFailure> {
    let nothing = File::options().write(true).open("/dev/null");
    let nothing = nothing.map_err(NetworkFailure::Open)?;
    Ok(starter.start(NewRole::Network, [nothing.as_fd(); 2])?)
}

/// Has a network made that belongs to the user namespace of commands.
fn make(
    ids: IdMap,
    starter: &Starter,
    commands: &CommandNamespace,
) -> Result<OwnedFd, NetworkFailure> {
    let Newborn { pid, channel } = start(starter)?;
    let namespace: Vec<BorrowedFd<'_>> = commands.descriptor().into_iter().collect();
    let told = channel.send(&Task::Make { ids }, &namespace);
    let heard = told.and_then(|()| channel.receive());
    // It ends by itself, whatever it has said.
    drop(channel);
    process::wait(pid).map_err(NetworkFailure::Make)?;
    match heard.map_err(NetworkFailure::Talk)? {
        Received::Message(Answer::Made, descriptors) => {
            descriptors.into_iter().next().ok_or(NetworkFailure::Lost)
        }
        Received::Message(Answer::Failed { call, errno }, _) => {
            let errno = nix::errno::Errno::from_raw(errno);
            Err(NetworkFailure::Make(CallError::new(call, errno)))
        }
        Received::Closed | Received::Cancelled => Err(NetworkFailure::Lost),
    }
}

/// A process that ends another one when the builder is gone. Dropping it has the same done.
#[derive(Debug)]
struct Guard {
    pid: Pid,
    channel: Option<Channel<Task, Answer>>,
}

impl Guard {
    fn of(connection: &Connection, starter: &Starter) -> Result<Self, NetworkFailure> {
        let id = Pid::from_raw(connection.id().cast_signed());
        // Nobody has waited for it, so that the number is its own.
        let guarded = process::pidfd_open(id).map_err(NetworkFailure::Make)?;
        let Newborn { pid, channel } = start(starter)?;
        let told = channel.send(&Task::Watch, &[guarded.as_fd()]);
        let guard = Self {
            pid,
            channel: Some(channel),
        };
        told.map_err(NetworkFailure::Talk)?;
        Ok(guard)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.channel = None;
        // It has nothing else to do, and there is nobody to tell.
        drop(process::wait(self.pid));
    }
}

/// Fills the role.
pub(crate) fn serve() -> ExitCode {
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    let channel = Channel::<Answer, Task>::over(socket);
    match channel.receive() {
        Ok(Received::Message(Task::Make { ids }, descriptors)) => {
            answer(&channel, make_here(ids, descriptors.first()))
        }
        Ok(Received::Message(Task::Watch, descriptors)) => {
            // Nothing more is said: the wait ends with whoever could.
            drop(channel.receive());
            for guarded in descriptors {
                // It is gone already if its builder had the time.
                drop(process::pidfd_send_signal(guarded.as_fd(), Signal::SIGKILL));
            }
            ExitCode::SUCCESS
        }
        Ok(Received::Closed | Received::Cancelled) | Err(_) => ExitCode::FAILURE,
    }
}

fn answer(channel: &Channel<Answer, Task>, made: Result<OwnedFd, CallError>) -> ExitCode {
    let (answer, descriptor) = match made {
        Ok(namespace) => (Answer::Made, Some(namespace)),
        Err(error) => {
            let (call, errno) = (error.call().to_owned(), error.errno() as i32);
            (Answer::Failed { call, errno }, None)
        }
    };
    let descriptors: Vec<BorrowedFd<'_>> = descriptor.iter().map(|made| made.as_fd()).collect();
    match channel.send(&answer, &descriptors) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Makes a network for `commands`, the user namespace that they have if it is not this process's own.
fn make_here(ids: IdMap, commands: Option<&OwnedFd>) -> Result<OwnedFd, CallError> {
    if let Some(commands) = commands {
        process::setns(commands.as_fd(), CloneFlags::CLONE_NEWUSER)?;
        credentials::become_namespace_root(ids)?;
    }
    process::unshare(CloneFlags::CLONE_NEWNET)?;
    network::raise_loopback(network::interface_socket()?.as_fd())?;
    let path = "/proc/self/ns/net";
    let made = File::open(path).map_err(|error| {
        let errno = nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or_default());
        CallError::new(format!("open({path:?})"), errno)
    });
    made.map(OwnedFd::from)
}
