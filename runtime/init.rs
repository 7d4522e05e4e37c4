//! Role `init`: sets one sandbox up, in this order, and is its PID 1.
//!
//! ```text
//! init, joined to the sandbox's user namespace
//!     join the network of commands
//!     join the user namespace of commands
//!     make the other namespaces
//! PID 1, when the builder lets it proceed
//!     make mounts private
//!     mount the root
//!     mount /proc
//!     mount /dev
//!     mount /sys
//!     mount what the step asks for
//!     mask paths
//!     change the root directory
//!     close the root to writing
//!     switch loopback on
//!     set the host name
//!     raise a second wall
//!     start a process
//! the command's process
//!     leave the terminal
//!     close descriptors
//!     limit the bounding set
//!     change user
//!     leave the keys of the session
//!     filter system calls
//!     set limits
//!     enter the working directory
//!     set capabilities
//!     execute the command
//! ```
//!
//! Mounts that the step asks for come after those that every sandbox has, so that a step may put
//! something of its own at `/dev/shm`. What is masked is masked last and by descriptors of the file
//! systems that were mounted here, not by paths that the image or a mount decides about.
//!
//! The working directory is entered while capabilities are kept: a user may be put into a directory
//! that he could not enter by himself, as under other builders. The filter comes while
//! `CAP_SYS_ADMIN` is held, so that it needs no `no_new_privs` and `sudo` works. Limits come after
//! all that opens files here, since a step may ask for fewer than that takes, and after the change of
//! user, which one on processes would make fail.
//!
//! There are three processes because a user namespace is joined by a process, a PID namespace is
//! entered by its child, and PID 1 is to outlive the command. None has a second thread.

mod chroot;
mod command;
mod descendants;
mod devices;
mod first;
mod lock;
mod mask;
mod root;

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;

use nix::sched::CloneFlags;
use nix::unistd::{ForkResult, Pid};

use crate::channel::{Channel, Received};
use crate::credentials;
use crate::executor::ExecutorMode;
use crate::protocol::{FromInit, InitFailure, Setup, SetupStep, ToInit};
use crate::spec::{Confinement, NetworkMode, ProcSource};
use crate::sys::security::Instruction;
use crate::sys::{CallError, process};

/// The end of the conversation that is in the sandbox.
pub(crate) type InitEnd = Channel<FromInit, ToInit>;

/// What came with the setup.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) root: OwnedFd,
    pub(crate) user_namespace: Option<OwnedFd>,
    /// The network to join.
    pub(crate) network: Option<OwnedFd>,
    /// What the command reads.
    pub(crate) input: Option<OwnedFd>,
    pub(crate) mounts: Vec<OwnedFd>,
    /// The filter of system calls, if there is one for this processor; it came with the process.
    pub(crate) filter: Option<Vec<Instruction>>,
}

/// Fills the role.
pub(crate) fn serve(filter: Option<Vec<Instruction>>) -> ExitCode {
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    let channel = InitEnd::over(socket);
    let Ok(Received::Message(ToInit::Setup(setup), descriptors)) = channel.receive() else {
        return ExitCode::FAILURE;
    };
    let Some(mut handed) = Handed::sort(&setup, descriptors, filter) else {
        return ExitCode::FAILURE;
    };
    if setup.ids.mode() == ExecutorMode::Chroot {
        return chroot::serve(&channel, &setup, handed);
    }
    match isolate(&setup, &mut handed) {
        Ok(ForkResult::Child) => first::serve(&channel, &setup, handed),
        Ok(ForkResult::Parent { child }) => {
            // Whoever writes to the command is to see when nobody reads.
            drop(handed.input);
            outlive(&channel, child)
        }
        Err(failure) => fail(&channel, failure),
    }
}

impl Handed {
    /// Sorts descriptors by what they are for; `None` if they are not as many as there should be.
    fn sort(
        setup: &Setup,
        descriptors: Vec<OwnedFd>,
        filter: Option<Vec<Instruction>>,
    ) -> Option<Self> {
        let mut descriptors = descriptors.into_iter();
        let root = descriptors.next()?;
        let user_namespace = if setup.joins_user_namespace {
            Some(descriptors.next()?)
        } else {
            None
        };
        let network = if setup.spec.network == NetworkMode::Sandbox {
            Some(descriptors.next()?)
        } else {
            None
        };
        let input = if setup.has_input {
            Some(descriptors.next()?)
        } else {
            None
        };
        Some(Self {
            root,
            user_namespace,
            network,
            input,
            mounts: descriptors.collect(),
            filter,
        })
    }
}

/// Leaves every namespace of the builder, and makes the process that is PID 1 of the new one.
fn isolate(setup: &Setup, handed: &mut Handed) -> Result<ForkResult, InitFailure> {
    let at = |step| move |error: CallError| InitFailure::new(step, &error);
    if let Some(network) = &handed.network {
        // While this process is root of the builder's namespace, to which that of the network belongs.
        process::setns(network.as_fd(), CloneFlags::CLONE_NEWNET)
            .map_err(at(SetupStep::Network))?;
    }
    let locks = setup.spec.confinement == Confinement::Namespace;
    if locks {
        lock::attach(setup, &handed.mounts).map_err(at(SetupStep::UserNamespace))?;
    }
    // What shows the builder's processes is for another user namespace than theirs.
    if locks || setup.proc == ProcSource::Outer {
        lock::leave_builder(setup).map_err(at(SetupStep::UserNamespace))?;
    }
    if let Some(namespace) = &handed.user_namespace {
        process::setns(namespace.as_fd(), CloneFlags::CLONE_NEWUSER)
            .and_then(|()| credentials::become_namespace_root(setup.ids))
            .map_err(at(SetupStep::UserNamespace))?;
    }
    let mut namespaces = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP;
    if setup.spec.network == NetworkMode::None {
        namespaces |= CloneFlags::CLONE_NEWNET;
    }
    process::unshare(namespaces).map_err(at(SetupStep::Namespaces))?;
    if locks {
        handed.mounts = lock::detach(handed.mounts.len()).map_err(at(SetupStep::Namespaces))?;
    }
    process::fork().map_err(at(SetupStep::Fork))
}

/// Tells the builder of PID 1 and waits for its end: then everything in the namespace is gone.
fn outlive(channel: &InitEnd, child: Pid) -> ExitCode {
    // A builder that is gone is noticed by PID 1 as well.
    let told = process::pidfd_open(child)
        .is_ok_and(|pidfd| channel.send(&FromInit::Isolated, &[pidfd.as_fd()]).is_ok());
    match process::wait(child) {
        Ok(_) if told => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Tells the builder what failed. If it is gone, there is nobody to tell.
fn fail(channel: &InitEnd, failure: InitFailure) -> ExitCode {
    drop(channel.send(&FromInit::Failed(failure), &[]));
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drawing_is_the_order_of_the_steps() {
        let source = include_str!("init.rs");
        let drawing: Vec<&str> = source
            .lines()
            .filter_map(|line| line.strip_prefix("//!     "))
            .collect();
        let steps: Vec<&str> = SetupStep::ALL.iter().map(|step| step.name()).collect();
        assert_eq!(drawing, steps);
    }

    #[test]
    fn the_tables_are_in_the_order_of_the_drawing() {
        let outside = [
            SetupStep::Network,
            SetupStep::UserNamespace,
            SetupStep::Namespaces,
        ];
        let root = root::STEPS.iter().map(|(step, _)| *step);
        let command = command::STEPS.iter().map(|(step, _)| *step);
        let done: Vec<SetupStep> = outside
            .into_iter()
            .chain(root)
            .chain([SetupStep::Fork])
            .chain(command)
            .collect();
        assert_eq!(done, SetupStep::ALL);
    }
}
