//! `--mount=type=ssh`: a socket of the step's own, behind which the user's agent answers.
//!
//! The agent's own socket belongs to the user, whom no process of a sandbox is. So each step gets a socket with the
//! owner and mode that it asks for, in a directory in memory, and what it says there is passed on, byte by byte,
//! both ways. Everything ends with the step: dropping the [`Agent`] waits for its threads.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use graph::SshMount;
use rootfs::{Root, RootPath};
use runtime::{Access, KernelFeatures, TargetKind};

use super::error::MountError;
use super::mounts::{Held, MountTable, Mounted, Owner, Source};
use crate::error::StepError;
use crate::worker::Step;

/// The name of the socket in its directory, which nobody sees.
const SOCKET: &str = "agent";

/// How much is passed on at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// How many connections there may be at the same time; each has two threads. Who opens more is hung up on.
const CONNECTIONS_LIMIT: usize = 64;

/// Prepares a socket. An agent that was not given and is not required is not there.
pub(super) fn mount(
    step: &Step<'_>,
    mount: &SshMount,
    table: &mut MountTable,
) -> Result<Option<Mounted>, StepError> {
    let Some(upstream) = step.job.options.ssh.get(&mount.id) else {
        if mount.required {
            let id = mount.id.clone();
            return Err(MountError::NoAgent { id }.into());
        }
        return Ok(None);
    };
    let owner = Owner::on_disk(step, &mount.target, &mount.owner)?;
    let (agent, socket) = Agent::start((&mount.target, step.workshop.features), upstream, owner)?;
    table.hold(Held::Agent(agent));
    Ok(Some(Mounted {
        target: mount.target.clone(),
        source: Source::Descriptor(socket),
        kind: TargetKind::File,
        access: Access::ReadOnly,
    }))
}

/// A socket that passes on what is said to it. Dropping it ends all connections.
#[derive(Debug)]
pub(super) struct Agent {
    /// Keeps the directory, and so the path by which the socket is reached.
    directory: Root,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Agent {
    /// Makes the socket; returns it as a mount too.
    fn start(
        (target, features): (&str, KernelFeatures),
        upstream: &Path,
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
            let (ending, upstream) = (Arc::clone(&ending), upstream.to_owned());
            move || accept_all(&listener, &upstream, &ending)
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

impl Drop for Agent {
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
fn accept_all(listener: &UnixListener, upstream: &Path, ending: &AtomicBool) {
    let mut connections: Vec<Connection> = Vec::new();
    while let Ok((near, _)) = listener.accept() {
        if ending.load(Ordering::Acquire) {
            break;
        }
        connections.retain(|connection| !connection.is_over());
        if connections.len() == CONNECTIONS_LIMIT {
            continue;
        }
        // An agent that cannot be reached is one that hangs up.
        if let Ok(connection) = Connection::open(near, upstream) {
            connections.push(connection);
        }
    }
}

/// A connection of a command's to the agent. Dropping it ends it.
struct Connection {
    streams: [UnixStream; 2],
    threads: Vec<JoinHandle<()>>,
}

impl Connection {
    fn open(near: UnixStream, upstream: &Path) -> io::Result<Self> {
        let far = UnixStream::connect(upstream)?;
        let mut connection = Self {
            streams: [near.try_clone()?, far.try_clone()?],
            threads: Vec::new(),
        };
        for (from, to) in [(near.try_clone()?, far.try_clone()?), (far, near)] {
            let thread = Builder::new()
                .name("agent connection".to_owned())
                .spawn(move || pass_on(from, to))?;
            connection.threads.push(thread);
        }
        Ok(connection)
    }

    fn is_over(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        for stream in &self.streams {
            // It fails only if the other side has hung up already.
            drop(stream.shutdown(Shutdown::Both));
        }
        for thread in self.threads.drain(..) {
            // As above: there is no result.
            drop(thread.join());
        }
    }
}

/// Passes on one direction to its end, and says so to the other side.
fn pass_on(mut from: UnixStream, mut to: UnixStream) {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => {
                let part = chunk.get(..count).unwrap_or_default();
                if to.write_all(part).is_err() {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    drop(to.shutdown(Shutdown::Write));
    drop(from.shutdown(Shutdown::Read));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An agent that says everything twice, for one connection.
    fn twice(path: &Path) -> JoinHandle<()> {
        let listener = UnixListener::bind(path).unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut said = Vec::new();
            stream.read_to_end(&mut said).unwrap();
            stream.write_all(&[said.clone(), said].concat()).unwrap();
        })
    }

    #[test]
    fn what_is_said_is_passed_on_both_ways_to_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let agent = twice(&directory.path().join("agent"));
        let (mut command, near) = UnixStream::pair().unwrap();
        let connection = Connection::open(near, &directory.path().join("agent")).unwrap();
        let said = vec![7; 3 * CHUNK_BYTES + 1];
        command.write_all(&said).unwrap();
        command.shutdown(Shutdown::Write).unwrap();
        let mut heard = Vec::new();
        command.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, [said.clone(), said].concat());
        agent.join().unwrap();
        drop(connection);
    }

    #[test]
    fn the_end_of_a_step_ends_a_connection_that_nobody_uses() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent");
        let listener = UnixListener::bind(&path).unwrap();
        let (mut command, near) = UnixStream::pair().unwrap();
        let connection = Connection::open(near, &path).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        assert!(!connection.is_over());
        drop(connection);
        let mut nothing = Vec::new();
        assert_eq!(command.read_to_end(&mut nothing).unwrap(), 0);
        assert_eq!(far.read_to_end(&mut nothing).unwrap(), 0);
    }
}
