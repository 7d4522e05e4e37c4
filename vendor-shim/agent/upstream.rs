//! The agent that the user runs, at its socket.

use std::io::{self, Read};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::message::{Fields, Message, kind};
use super::{Agent, AgentError, Identity, SignRequest, abandoned};

/// The agent at a socket. It is connected to for each request, so that an agent that was started
/// anew in between is found.
#[derive(Debug, Clone)]
pub struct Upstream {
    path: PathBuf,
}

impl Upstream {
    /// Names the agent. It is not connected to before it is asked something.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Sends a request and returns the answer, if it is of the expected type.
    ///
    /// The agent may ask its user, who may take time: only the end of the client ends the wait.
    fn ask(
        &self,
        request: &Message,
        expected: u8,
        client: BorrowedFd<'_>,
    ) -> Result<Message, AgentError> {
        let path = || self.path.clone();
        let talk = |source| AgentError::Talk {
            path: path(),
            source,
        };
        let agent = UnixStream::connect(&self.path).map_err(|source| AgentError::Connect {
            path: path(),
            source,
        })?;
        request.send(&mut &agent).map_err(talk)?;
        let mut reader = WhileWanted { agent, client };
        let answer = Message::receive(&mut reader).map_err(talk)?;
        answer
            .filter(|answer| answer.kind() == expected)
            .ok_or_else(|| AgentError::Refused { path: path() })
    }
}

impl Agent for Upstream {
    fn identities(&self, client: BorrowedFd<'_>) -> Result<Vec<Identity>, AgentError> {
        let request = Message::request_identities();
        let answer = self.ask(&request, kind::IDENTITIES_ANSWER, client)?;
        let identities = Fields::new(answer.body()).identities();
        identities.ok_or_else(|| AgentError::Refused {
            path: self.path.clone(),
        })
    }

    fn sign(&self, request: &SignRequest, client: BorrowedFd<'_>) -> Result<Vec<u8>, AgentError> {
        let request = Message::sign_request(request);
        let answer = self.ask(&request, kind::SIGN_RESPONSE, client)?;
        let signature = Fields::new(answer.body()).string();
        signature
            .map(<[u8]>::to_vec)
            .ok_or_else(|| AgentError::Refused {
                path: self.path.clone(),
            })
    }
}

/// Reads from the agent for as long as the client is there.
struct WhileWanted<'c> {
    agent: UnixStream,
    client: BorrowedFd<'c>,
}

impl Read for WhileWanted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut sources = [
                PollFd::new(self.agent.as_fd(), PollFlags::POLLIN),
                // An end that is closed on both sides is told without being asked for.
                PollFd::new(self.client, PollFlags::empty()),
            ];
            match poll(&mut sources, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                polled => polled?,
            };
            let [answered, gone] = sources.map(|source| source.any().unwrap_or(false));
            if answered {
                return self.agent.read(buffer);
            }
            if gone {
                return Err(abandoned());
            }
        }
    }
}
