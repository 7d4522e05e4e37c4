//! A socket at which an agent answers whoever comes.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use super::{Agent, serve};

/// How many connections there may be at the same time; each has a thread. Who opens more is hung up on.
const CONNECTIONS_LIMIT: usize = 64;

/// A socket at which an agent answers. Dropping it ends all connections and waits for their threads; the socket's
/// file stays, for whoever made its directory.
#[derive(Debug)]
pub struct Listener {
    path: PathBuf,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Makes the socket and answers there. Who may come is decided by the directory that it is in.
    ///
    /// # Errors
    ///
    /// Fails when there can be no such socket or no thread.
    pub fn bind(path: PathBuf, agent: Arc<dyn Agent>) -> io::Result<Self> {
        let listener = UnixListener::bind(&path)?;
        let ending = Arc::new(AtomicBool::new(false));
        let thread = Builder::new().name("agent".to_owned()).spawn({
            let ending = Arc::clone(&ending);
            move || accept_all(&listener, &agent, &ending)
        })?;
        Ok(Self {
            path,
            ending,
            thread: Some(thread),
        })
    }

    /// Returns where the socket is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        // Wakes the thread, which waits for somebody to come. It fails only when that has ended.
        drop(UnixStream::connect(&self.path));
        if let Some(thread) = self.thread.take() {
            // The thread has no result, and a panic in it was reported when it happened.
            drop(thread.join());
        }
    }
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

/// A connection to the agent. Dropping it ends it.
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
                // Who breaks off or says what is no message has itself to blame.
                if let Err(error) = serve(&client, &*agent) {
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
    use std::io::{Read as _, Write as _};

    use super::super::{Keys, Upstream};
    use super::*;

    /// Asks for the list of keys.
    const LIST: &[u8] = b"\0\0\0\x01\x0b";

    #[test]
    fn clients_are_answered_side_by_side() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent");
        let listener = Listener::bind(path, Arc::new(Keys::default())).unwrap();
        let mut clients = [(); 3].map(|()| UnixStream::connect(listener.path()).unwrap());
        for client in clients.iter_mut().rev() {
            client.write_all(LIST).unwrap();
            let mut answer = [0; 9];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"\0\0\0\x05\x0c\0\0\0\0");
        }
    }

    #[test]
    fn a_connection_ends_when_the_client_hangs_up() {
        let (client, theirs) = UnixStream::pair().unwrap();
        let mut connection = Connection::open(theirs, Arc::new(Keys::default())).unwrap();
        drop(client);
        connection.thread.take().unwrap().join().unwrap();
    }

    #[test]
    fn the_end_ends_a_connection_that_waits_for_the_users_agent() {
        let directory = tempfile::tempdir().unwrap();
        let silent = UnixListener::bind(directory.path().join("silent")).unwrap();
        let upstream = Upstream::new(directory.path().join("silent"));
        let listener = Listener::bind(directory.path().join("agent"), Arc::new(upstream)).unwrap();
        let mut client = UnixStream::connect(listener.path()).unwrap();
        client.write_all(LIST).unwrap();
        let (_agent, _) = silent.accept().unwrap();
        drop(listener);
        let mut nothing = Vec::new();
        assert_eq!(client.read_to_end(&mut nothing).unwrap(), 0);
    }
}
