//! `--mount=type=ssh`: a socket of the step's own, behind which the user's agent answers.
//!
//! The agent's own socket belongs to the user, whom no process of a sandbox is. So each step gets a socket with the
//! owner and mode that it asks for, in a directory in memory, where a [`Listener`] answers. Everything ends
//! with the step: dropping the [`AgentSocket`] waits for its threads.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use graph::SshMount;
use rootfs::{Root, RootPath};
use runtime::{Access, KernelFeatures, RecordedOwner, TargetKind};
use vendor_shim::agent::{Agent, Listener};

use super::error::MountError;
use super::mounts::{Held, MountTable, Mounted, Owner, Source};
use crate::error::StepError;
use crate::worker::Step;

/// The name of the socket in its directory, which nobody sees.
const SOCKET: &str = "agent";

/// Prepares a socket. An agent that was not given and is not required is not there.
pub(super) fn mount(
    step: &Step<'_>,
    mount: &SshMount,
    table: &mut MountTable,
) -> Result<Option<Mounted>, StepError> {
    let Some(agent) = step.job.options.ssh.get(&mount.id) else {
        if mount.required {
            let id = mount.id.clone();
            return Err(MountError::NoAgent { id }.into());
        }
        return Ok(None);
    };
    let owner = Owner::on_disk(step, &mount.target, &mount.owner)?;
    let (target, features) = (&mount.target, step.workshop.features);
    let started = AgentSocket::start((target, features), Arc::clone(agent), owner)?;
    let (agent, socket, recorded) = started;
    table.record(recorded);
    table.hold(Held::Agent(agent));
    Ok(Some(Mounted {
        target: mount.target.clone(),
        source: Source::Descriptor(socket),
        kind: TargetKind::File,
        access: Access::ReadOnly,
    }))
}

/// A socket at which an agent answers. Dropping it ends all connections.
#[derive(Debug)]
pub(super) struct AgentSocket {
    // It is dropped before the directory, by which it is reached.
    _listener: Listener,
    _directory: Root,
}

impl AgentSocket {
    /// Makes the socket; returns it as a mount too, and what is to be recorded of it.
    fn start(
        (target, features): (&str, KernelFeatures),
        agent: Arc<dyn Agent>,
        owner: Owner,
    ) -> Result<(Self, OwnedFd, Option<RecordedOwner>), MountError> {
        let failed = |source| MountError::File {
            target: target.to_owned(),
            source,
        };
        let called = |source| MountError::Call {
            target: target.to_owned(),
            source,
        };
        let directory = Root::from_fd(runtime::memory_directory().map_err(called)?, "/");
        let listener = Listener::bind(address(&directory), agent);
        let listener = listener.map_err(|source| MountError::Socket {
            target: target.to_owned(),
            source,
        })?;
        let path = RootPath::strict(SOCKET).expect("the name is one component");
        let recorded = owner.give(&directory, &path).map_err(failed)?;
        let place = directory.inode(&path).map_err(failed)?;
        let socket = runtime::subtree(directory.as_fd(), place.as_fd(), &features);
        let socket = socket.map_err(|source| MountError::Subtree {
            target: target.to_owned(),
            source,
        })?;
        let agent = Self {
            _listener: listener,
            _directory: directory,
        };
        Ok((agent, socket, recorded))
    }
}

/// Returns where the socket is: its directory is in no place but behind the descriptor.
fn address(directory: &Root) -> PathBuf {
    PathBuf::from(format!(
        "/proc/self/fd/{}/{SOCKET}",
        directory.as_fd().as_raw_fd()
    ))
}
