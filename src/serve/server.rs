//! The listening socket, and a thread for each connection.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::api::Registry;
use crate::http::{self, Log};
use crate::limits::CONNECTION_LIMIT;

/// How long no connection is taken after one that could not be taken.
const PAUSE: Duration = Duration::from_millis(50);

/// The server cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("listen on `{address}`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// No connection can be taken.
    #[error("take a connection")]
    Accept(#[source] io::Error),
}

/// A registry that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    registry: Arc<Registry>,
}

impl Server {
    /// Listens on an address; port 0 takes one that is free.
    ///
    /// # Errors
    ///
    /// Fails when the address is not this machine's, or taken.
    pub fn open(address: SocketAddr, registry: Registry) -> Result<Self, ServerError> {
        let listen = || {
            let listener = TcpListener::bind(address)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) =
            listen().map_err(|source| ServerError::Listen { address, source })?;
        Ok(Self {
            listener,
            address,
            registry: Arc::new(registry),
        })
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the process ends. It may be ended at any time: what is not complete is not visible.
    ///
    /// # Errors
    ///
    /// Fails when no connection can be taken any more.
    pub fn run(&self, log: &Log) -> Result<(), ServerError> {
        let open = Arc::new(AtomicUsize::new(0));
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => self.start(stream, &open, log),
                Err(error) if is_passing(&error) => thread::park_timeout(PAUSE),
                Err(error) => return Err(ServerError::Accept(error)),
            }
        }
    }

    fn start(&self, stream: TcpStream, open: &Arc<AtomicUsize>, log: &Log) {
        let Some(slot) = Slot::take(open) else {
            return http::refuse_connection(&stream);
        };
        let registry = Arc::clone(&self.registry);
        let log = Arc::clone(log);
        let answer = move || {
            // Answers are written whole: waiting for more to send would only delay them.
            drop(stream.set_nodelay(true));
            http::serve(&stream, registry.as_ref(), &log);
            drop(slot);
        };
        // Without a thread the connection is closed, which says as much as 503.
        drop(
            thread::Builder::new()
                .name("connection".to_owned())
                .spawn(answer),
        );
    }
}

/// Whether the next connection can be taken though this one cannot: its client is gone, or there is no
/// descriptor left for it (accept(2), "Error handling").
fn is_passing(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    ) || matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

/// One of the connections that there may be at once.
struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(open: &Arc<AtomicUsize>) -> Option<Self> {
        let slot = Self(Arc::clone(open));
        // One that is too many is given back by the drop.
        (open.fetch_add(1, Ordering::Relaxed) < CONNECTION_LIMIT).then_some(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_slots_as_the_limit_and_each_is_given_back() {
        let open = Arc::new(AtomicUsize::new(0));
        let slots: Vec<_> = (0..CONNECTION_LIMIT).map(|_| Slot::take(&open)).collect();
        assert!(slots.iter().all(Option::is_some));
        assert!(Slot::take(&open).is_none());
        drop(slots);
        assert!(Slot::take(&open).is_some());
        assert_eq!(open.load(Ordering::Relaxed), 0);
    }
}
