//! `--mount=type=ssh`: a socket of the step's own, behind which the user's agent answers.
//!
//! The agent's own socket belongs to the user, whom no process of a sandbox is. So each step gets a socket with the
//! owner and mode that it asks for, in a directory in memory, and [`agent::serve`] answers there. Everything ends
//! with the step: dropping the [`AgentSocket`] waits for its threads.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use graph::SshMount;
use rootfs::{Root, RootPath};
use runtime::{Access, KernelFeatures, TargetKind};
use vendor_shim::agent::{self, Agent};

use super::error::MountError;
use super::mounts::{Held, MountTable, Mounted, Owner, Source};
use crate::error::StepError;
use crate::worker::Step;

/// The name of the socket in its directory, which nobody sees.
const SOCKET: &str = "agent";

/// How many connections there may be at the same time; each has a thread. Who opens more is hung up on.
const CONNECTIONS_LIMIT: usize = 64;

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
    let (agent, socket) = AgentSocket::start((target, features), Arc::clone(agent), owner)?;
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
    /// Keeps the directory, and so the path by which the socket is reached.
    directory: Root,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl AgentSocket {
    /// Makes the socket; returns it as a mount too.
    fn start(
        (target, features): (&str, KernelFeatures),
        answering: Arc<dyn Agent>,
        owner: Owner,
    ) -> Result<(Self, OwnedFd), MountError> {
        let failed = |source| MountError::File {
            target: target.to_owned(),
            source,
        };
        let called = |source| MountError::Call {
            target: target.to_owned(),
            source,
        };
        let serve = |source| MountError::Socket {
            target: target.to_owned(),
            source,
        };
        let directory = Root::from_fd(runtime::memory_directory().map_err(called)?, "/");
        let listener = UnixListener::bind(address(&directory)).map_err(serve)?;
        let path = RootPath::strict(SOCKET).expect("the name is one component");
        directory
            .set_owner(&path, owner.uid, owner.gid)
            .map_err(failed)?;
        directory.set_mode(&path, owner.mode).map_err(failed)?;
        let place = directory.inode(&path).map_err(failed)?;
        let ending = Arc::new(AtomicBool::new(false));
        let thread = Builder::new().name("agent".to_owned()).spawn({
            let ending = Arc::clone(&ending);
            move || accept_all(&listener, &answering, &ending)
        });
        let agent = Self {
            thread: Some(thread.map_err(serve)?),
            directory,
            ending,
        };
        let socket = runtime::subtree(agent.directory.as_fd(), place.as_fd(), &features);
        let socket = socket.map_err(|source| MountError::Subtree {
            target: target.to_owned(),
            source,
        })?;
        Ok((agent, socket))
    }
}

impl Drop for AgentSocket {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        // Wakes the thread, which waits for somebody to come. It fails only when that has ended.
        drop(UnixStream::connect(address(&self.directory)));
        if let Some(thread) = self.thread.take() {
            // The thread has no result, and a panic in it was reported when it happened.
            drop(thread.join());
        }
    }
}

/// Returns where the socket is: its directory is in no place but behind the descriptor.
fn address(directory: &Root) -> PathBuf {
    PathBuf::from(format!(
        "/proc/self/fd/{}/{SOCKET}",
        directory.as_fd().as_raw_fd()
    ))
}

/// Serves connections until the end; all have ended when this returns.
fn accept_all(listener: &UnixListener, agent: &Arc<dyn Agent>, ending: &AtomicBool) {
    let mut connections: Vec<Connection> = Vec::new();
    while let Ok((client, _)) = listener.accept() {
        if ending.load(Ordering::Acquire) {
            break;
        }
        connections.retain(|connection| !connection.is_over());
        if connections.len() == CONNECTIONS_LIMIT {
            continue;
        }
        // Where there can be no more threads, the agent hangs up.
        if let Ok(connection) = Connection::open(client, Arc::clone(agent)) {
            connections.push(connection);
        }
    }
}

/// A connection of a command's to the agent. Dropping it ends it.
struct Connection {
    client: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Connection {
    fn open(client: UnixStream, agent: Arc<dyn Agent>) -> io::Result<Self> {
        let ours = client.try_clone()?;
        let thread = Builder::new()
            .name("agent connection".to_owned())
            .spawn(move || {
                // A command that breaks off or says what is no message has itself to blame.
                if let Err(error) = agent::serve(&client, &*agent) {
                    tracing::debug!(%error, "agent connection ended");
                }
            })?;
        Ok(Self {
            client: ours,
            thread: Some(thread),
        })
    }

    fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // It fails only if the other side has hung up already. The agent gives up what it waits for.
        drop(self.client.shutdown(Shutdown::Both));
        if let Some(thread) = self.thread.take() {
            // The thread has no result.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use vendor_shim::agent::{Keys, Upstream};

    use super::*;

    #[test]
    fn a_connection_ends_when_the_command_hangs_up() {
        let (command, client) = UnixStream::pair().unwrap();
        let mut connection = Connection::open(client, Arc::new(Keys::default())).unwrap();
        drop(command);
        connection.thread.take().unwrap().join().unwrap();
    }

    #[test]
    fn the_end_of_a_step_ends_a_connection_that_waits_for_an_agent() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent");
        let listener = UnixListener::bind(&path).unwrap();
        let (mut command, client) = UnixStream::pair().unwrap();
        let connection = Connection::open(client, Arc::new(Upstream::new(path))).unwrap();
        // Asks for the keys; the agent never answers.
        io::Write::write_all(&mut command, b"\0\0\0\x01\x0b").unwrap();
        let (_agent, _) = listener.accept().unwrap();
        assert!(!connection.is_over());
        drop(connection);
        let mut nothing = Vec::new();
        assert_eq!(command.read_to_end(&mut nothing).unwrap(), 0);
    }
}
