//! A gate that a command of a build stops at, so that a test knows that it runs and decides how long.
//!
//! The command is `nc 127.0.0.1 $PORT`, in the network of the machine: it ends when the test lets it.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::program::PATIENCE;

/// A gate.
#[derive(Debug)]
pub struct Gate {
    port: u16,
    arrivals: Receiver<TcpStream>,
}

/// A command that has stopped at a gate. It goes on when this is dropped.
#[derive(Debug)]
pub struct Stopped {
    _stream: TcpStream,
}

impl Gate {
    /// Opens a gate on a port that nobody else has.
    pub fn open() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener
            .local_addr()
            .expect("the listener has an address")
            .port();
        let (sender, arrivals) = mpsc::channel();
        // The thread ends with the program: nothing would wake it up before.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if sender.send(stream).is_err() {
                    break;
                }
            }
        });
        Self { port, arrivals }
    }

    /// Returns the command that stops here.
    pub fn command(&self) -> String {
        format!("nc 127.0.0.1 {}", self.port)
    }

    /// Waits for a command to stop here.
    pub fn wait(&self) -> Stopped {
        let stream = self.arrivals.recv_timeout(PATIENCE);
        Stopped {
            _stream: stream.expect("a command comes to the gate"),
        }
    }

    /// Tells whether nobody else has come here.
    pub fn is_quiet(&self) -> bool {
        matches!(
            self.arrivals.recv_timeout(Duration::ZERO),
            Err(RecvTimeoutError::Timeout)
        )
    }
}
