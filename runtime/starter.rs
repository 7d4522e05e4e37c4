//! Role `starter`: makes the processes that sandboxes begin with, by copying itself.
//!
//! To execute this program takes longer than all namespaces and mounts of a sandbox together: it is loaded, bound and
//! paged in. A process that did so once, has one thread and knows nothing yet can be copied in a tenth of that.
//!
//! ```text
//! builder                       starter                    a new process
//!   │ ─ role + descriptors ───────► │
//!   │                               │ ─ clone(CLONE_PARENT) ─► │   a child of the builder
//!   │ ◄──────────────────── Birth ──────────────────────────── │   with its control socket as standard input
//!   │ ◄──────────────── as its role says ────────────────────► │
//!   ✕ closed: it ends               ✕
//! ```
//!
//! Descriptors of a request: the new process's control socket and where it writes its output and its errors. The
//! answer comes over the control socket, and is the first that the new process says there: so many may be asked for at
//! once. Only that there is none the starter says itself.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::{Child, ExitCode, Stdio};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use nix::unistd::{ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, getpid, setpgid};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::channel::{Channel, ChannelError, Received};
use crate::executor::ExecutorMode;
use crate::init;
use crate::network;
use crate::role::{INIT_NAME, SandboxRole};
use crate::sealed::{SealedProgram, program};
use crate::seccomp;
use crate::sys::security::Instruction;
use crate::sys::{CallError, process, socket};
use crate::userns::nested;

/// What a new process is for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum NewRole {
    /// Makes the user namespace of commands.
    Userns,
    /// Sets one sandbox up and is its PID 1.
    Init,
    /// Makes the network of commands, or guards the program that connects it.
    Network,
}

/// What is said first of a new process.
#[derive(Debug, Serialize, Deserialize)]
enum Birth {
    Born { pid: i32 },
    Failed { call: String, errno: i32 },
}

/// Why there is no new process.
#[derive(Debug, thiserror::Error)]
pub enum StarterError {
    /// There is no sealed copy of this program.
    #[error("seal a copy of this program")]
    Seal(#[source] CallError),
    /// The starter itself could not be started.
    #[error("start a process that starts sandboxes")]
    Spawn(#[source] io::Error),
    /// The builder and the starter could not talk.
    #[error("talk to the process that starts sandboxes")]
    Talk(#[source] ChannelError),
    /// It ended too soon.
    #[error("start a sandbox: the process that does it ended")]
    Ended,
    /// The kernel refused a copy.
    #[error("start a sandbox")]
    Copy(#[source] CallError),
}

/// The builder's side: a starter at work. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Starter {
    mode: ExecutorMode,
    child: Child,
    /// Steps start in several threads; guards that one message is sent at a time, and nothing is waited for.
    channel: Mutex<Option<Channel<NewRole, ()>>>,
}

/// A process that was made for the builder, which has to reap it.
#[derive(Debug)]
pub(crate) struct Newborn<S, R> {
    pub(crate) pid: Pid,
    pub(crate) channel: Channel<S, R>,
}

impl Starter {
    /// Starts it, for commands that have ids of this `mode`.
    pub(crate) fn spawn(mode: ExecutorMode) -> Result<Self, StarterError> {
        // Held until it is executed.
        let sealed = match mode {
            ExecutorMode::UsernsMulti => None,
            ExecutorMode::UsernsSingle | ExecutorMode::Chroot | ExecutorMode::Nothing => {
                Some(SealedProgram::create().map_err(StarterError::Seal)?)
            }
        };
        let program = sealed.as_ref().map_or_else(program, SealedProgram::path);
        let (channel, theirs) =
            Channel::pair().map_err(|error| StarterError::Talk(ChannelError::Call(error)))?;
        let child = SandboxRole::Starter(mode)
            .command(&program)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(StarterError::Spawn)?;
        Ok(Self {
            mode,
            child,
            channel: Mutex::new(Some(channel)),
        })
    }

    /// Returns what isolates the commands.
    pub(crate) fn mode(&self) -> ExecutorMode {
        self.mode
    }

    /// Has a process made, which writes to these two, and returns it with a conversation.
    pub(crate) fn start<S: Serialize, R: DeserializeOwned>(
        &self,
        role: NewRole,
        [stdout, stderr]: [BorrowedFd<'_>; 2],
    ) -> Result<Newborn<S, R>, StarterError> {
        let talk = |error| StarterError::Talk(ChannelError::Call(error));
        let (ours, theirs) = socket::pair().map_err(talk)?;
        self.ask(role, &[theirs.as_fd(), stdout, stderr])?;
        drop(theirs);
        let channel = Channel::<(), Birth>::over(ours);
        match channel.receive().map_err(StarterError::Talk)? {
            Received::Message(Birth::Born { pid }, _) => Ok(Newborn {
                pid: Pid::from_raw(pid),
                channel: channel.into_other(),
            }),
            Received::Message(Birth::Failed { call, errno }, _) => Err(StarterError::Copy(
                CallError::new(call, Errno::from_raw(errno)),
            )),
            Received::Closed | Received::Cancelled => Err(StarterError::Ended),
        }
    }

    fn ask(&self, role: NewRole, descriptors: &[BorrowedFd<'_>]) -> Result<(), StarterError> {
        // A thread that panicked here has sent its message or not.
        let channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = channel.as_ref().ok_or(StarterError::Ended)?;
        match channel.send(&role, descriptors) {
            Err(ChannelError::Call(error)) if error.errno() == Errno::EPIPE => {
                Err(StarterError::Ended)
            }
            sent => sent.map_err(StarterError::Talk),
        }
    }
}

impl Drop for Starter {
    fn drop(&mut self) {
        let channel = self.channel.get_mut();
        *channel.unwrap_or_else(PoisonError::into_inner) = None;
        // It has nothing else to do, and there is nobody to tell.
        drop(self.child.wait());
    }
}

/// Fills the role, and in every copy the role of the copy.
pub(crate) fn serve(mode: ExecutorMode) -> ExitCode {
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    let channel = Channel::<(), NewRole>::over(socket);
    // The same for all sandboxes: every copy has it.
    let filter = seccomp::filter(mode);
    loop {
        let (role, descriptors) = match channel.receive() {
            Ok(Received::Message(role, descriptors)) => (role, descriptors),
            Ok(Received::Closed) => return ExitCode::SUCCESS,
            Ok(Received::Cancelled) | Err(_) => return ExitCode::FAILURE,
        };
        let Ok([control, stdout, stderr]) = <[OwnedFd; 3]>::try_from(descriptors) else {
            return ExitCode::FAILURE;
        };
        match process::fork_for_parent() {
            Ok(ForkResult::Child) => {
                let is_new = be_new(&control, [&stdout, &stderr]);
                drop((channel, control, stdout, stderr));
                return is_new.map_or(ExitCode::FAILURE, |()| fill(role, filter));
            }
            Ok(ForkResult::Parent { .. }) => {}
            Err(error) => {
                let call = error.call().to_owned();
                let errno = error.errno() as i32;
                tell(&control, &Birth::Failed { call, errno });
            }
        }
    }
}

fn tell(control: &OwnedFd, birth: &Birth) {
    // A builder that is gone closes the other socket as well.
    let copy = control.try_clone().map(Channel::<Birth, ()>::over);
    drop(copy.map(|channel| channel.send(birth, &[])));
}

/// Goes on as the new process: with its own standard streams, and in a group of its own.
fn be_new(control: &OwnedFd, [stdout, stderr]: [&OwnedFd; 2]) -> nix::Result<()> {
    dup2_stdin(control)?;
    dup2_stdout(stdout)?;
    dup2_stderr(stderr)?;
    setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    let pid = getpid().as_raw();
    tell(control, &Birth::Born { pid });
    Ok(())
}

fn fill(role: NewRole, filter: Option<Vec<Instruction>>) -> ExitCode {
    match role {
        NewRole::Userns => nested::serve(),
        NewRole::Network => network::serve(),
        NewRole::Init => match process::set_name(INIT_NAME) {
            Ok(()) => init::serve(filter),
            Err(_) => ExitCode::FAILURE,
        },
    }
}
