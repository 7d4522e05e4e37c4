//! The user namespace of commands, one level below the builder's.
//!
//! A process of ours has to make it and another to map its ids: role `userns` unshares and waits,
//! the builder writes the maps, opens `/proc/PID/ns/user` and lets the process end. The descriptor
//! alone keeps the namespace; every `init` joins it by that.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

use nix::sched::CloneFlags;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use vendor_shim::idmap::{DirectIdMap, IdMapError, IdMapper as _, IdMapping};

use super::IdMap;
use crate::channel::{Channel, ChannelError, Received};
use crate::executor::ExecutorMode;
use crate::starter::{NewRole, Starter, StarterError};
use crate::sys::{CallError, process};

/// What the role says when it has its namespace.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Unshared,
    Failed { call: String, errno: i32 },
}

/// Why there is no user namespace for commands.
#[derive(Debug, Error)]
pub enum NamespaceError {
    /// The process that makes it could not be started.
    #[error("start a process for the user namespace of commands")]
    Start(#[from] StarterError),
    /// The two processes could not talk.
    #[error("talk to the process in the user namespace of commands")]
    Talk(#[source] ChannelError),
    /// The process ended too soon.
    #[error("make the user namespace of commands: its process ended")]
    Ended,
    /// The kernel refused it.
    #[error("make the user namespace of commands")]
    Unshare(#[source] CallError),
    /// Its ids could not be mapped.
    #[error("map the ids of commands")]
    Map(#[source] IdMapError),
    /// It could not be opened.
    #[error("open the user namespace of commands")]
    Open(#[source] io::Error),
}

/// The user namespace that commands run in, where it is not the builder's own.
#[derive(Debug)]
pub struct CommandNamespace {
    namespace: Option<OwnedFd>,
}

impl CommandNamespace {
    /// Makes the namespace for commands with these ids.
    ///
    /// Commands that have one id share the builder's namespace: there is nothing to be kept apart
    /// from.
    ///
    /// # Errors
    ///
    /// Fails when the kernel refuses the namespace or its maps. The builder must be root of its
    /// own.
    pub(crate) fn create(ids: IdMap, starter: &Starter) -> Result<Self, NamespaceError> {
        match ids.mode() {
            ExecutorMode::UsernsSingle | ExecutorMode::Chroot | ExecutorMode::Nothing => {
                Ok(Self { namespace: None })
            }
            ExecutorMode::UsernsMulti => Ok(Self {
                namespace: Some(create(ids, starter)?),
            }),
        }
    }

    /// Returns the namespace to join, if it is not the builder's own.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.namespace.as_ref().map(AsFd::as_fd)
    }
}

fn create(ids: IdMap, starter: &Starter) -> Result<OwnedFd, NamespaceError> {
    let nothing = File::options().write(true).open("/dev/null");
    let nothing = nothing.map_err(NamespaceError::Open)?;
    let newborn = starter.start(NewRole::Userns, [nothing.as_fd(); 2])?;
    let pid = newborn.pid;
    let made = adopt(&newborn.channel, pid.as_raw().cast_unsigned(), ids);
    // The process waits for this.
    drop(newborn);
    process::wait(pid).map_err(NamespaceError::Unshare)?;
    made
}

/// Maps the ids of the namespace that process `pid` makes, and opens it.
fn adopt(channel: &Channel<(), Answer>, pid: u32, ids: IdMap) -> Result<OwnedFd, NamespaceError> {
    match channel.receive().map_err(NamespaceError::Talk)? {
        Received::Message(Answer::Unshared, _) => {}
        Received::Message(Answer::Failed { call, errno }, _) => {
            let errno = nix::errno::Errno::from_raw(errno);
            return Err(NamespaceError::Unshare(CallError::new(call, errno)));
        }
        Received::Closed | Received::Cancelled => return Err(NamespaceError::Ended),
    }
    let line = IdMapping {
        inside: 0,
        outside: ids.container_root().0,
        count: ids.count(),
    };
    DirectIdMap::AllowSetgroups
        .map(pid, &[line], &[line])
        .map_err(NamespaceError::Map)?;
    let namespace = File::open(format!("/proc/{pid}/ns/user")).map_err(NamespaceError::Open)?;
    Ok(namespace.into())
}

/// Fills the role: makes the namespace and stays until the builder has it.
pub(crate) fn serve() -> ExitCode {
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    let channel = Channel::<Answer, ()>::over(socket);
    let (answer, code) = match process::unshare(CloneFlags::CLONE_NEWUSER) {
        Ok(()) => (Answer::Unshared, ExitCode::SUCCESS),
        Err(error) => {
            let errno = error.errno() as i32;
            (
                Answer::Failed {
                    call: error.call().to_owned(),
                    errno,
                },
                ExitCode::FAILURE,
            )
        }
    };
    if channel.send(&answer, &[]).is_err() {
        return ExitCode::FAILURE;
    }
    // The builder sends nothing: the wait ends when it has what it wants, or is gone.
    match channel.receive() {
        Ok(Received::Closed) => code,
        _ => ExitCode::FAILURE,
    }
}
