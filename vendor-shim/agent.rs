//! SSH agents: the one that the user runs, and one of ours that holds the keys of files.
//!
//! A command gets at keys through a socket, behind which [`serve`] answers. It speaks the agent
//! protocol (draft-miller-ssh-agent) as far as using keys goes:
//!
//! | Request | Answer |
//! | --- | --- |
//! | list the keys (11) | the keys (12) |
//! | sign (13) | the signature (14) |
//! | add, remove, lock, unlock, extensions, anything else | failure (5) |
//!
//! So an agent of the user's is filtered: a command can use its keys, and can neither take them away
//! nor leave some of its own. The answers come from an [`Agent`]: [`Keys`] or [`Upstream`].

mod key_file;
mod keys;
mod message;
mod upstream;

use std::fmt;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use nix::errno::Errno;
use thiserror::Error;

use message::{Fields, Message, kind};

pub use key_file::KeyError;
pub use keys::Keys;
pub use upstream::Upstream;

/// What has private keys and signs with them.
pub trait Agent: fmt::Debug + Send + Sync {
    /// Returns the keys that it can sign with.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be asked, or when `client`, for whom it is asked, is gone.
    fn identities(&self, client: BorrowedFd<'_>) -> Result<Vec<Identity>, AgentError>;

    /// Returns a signature, in the encoding of the SSH protocol (RFC 4253, section 6.6).
    ///
    /// # Errors
    ///
    /// Fails when it has no such key or does not sign with it, when it cannot be asked, or when
    /// `client` is gone.
    fn sign(&self, request: &SignRequest, client: BorrowedFd<'_>) -> Result<Vec<u8>, AgentError>;
}

/// A key that an agent has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The public key, in the encoding of the SSH protocol (RFC 4253, section 6.6).
    pub key: Vec<u8>,
    /// What its owner calls it.
    pub comment: Vec<u8>,
}

/// What is to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignRequest {
    /// The public key of the key to sign with.
    pub key: Vec<u8>,
    /// What is signed.
    pub data: Vec<u8>,
    /// Which hash an RSA signature has: 2 for SHA-256, 4 for SHA-512, else SHA-1.
    pub flags: u32,
}

/// Why an agent does not answer.
#[derive(Debug, Error)]
pub enum AgentError {
    /// Nobody listens at its socket.
    #[error("connect to the SSH agent at `{}`", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The connection broke, or whoever asked is gone.
    #[error("talk to the SSH agent at `{}`", path.display())]
    Talk {
        /// The socket.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// It refused, or answered what is no answer.
    #[error("ask the SSH agent at `{}`: it refused", path.display())]
    Refused {
        /// The socket.
        path: PathBuf,
    },
    /// There is no such key.
    #[error("sign with a key that is not there")]
    NoSuchKey,
    /// The key does not sign.
    #[error("sign with a key")]
    Sign(#[source] rsa::signature::Error),
}

/// Answers one client until it has no more requests.
///
/// What the agent says no to is answered by a failure, as the protocol has it; the reason goes to the
/// log, since the client has no use for it.
///
/// # Errors
///
/// Fails when the connection does, and when a message is larger than any that makes sense
/// (256 KiB).
pub fn serve(client: &UnixStream, agent: &dyn Agent) -> io::Result<()> {
    while let Some(request) = Message::receive(&mut &*client)? {
        let answer = answer(&request, agent, client.as_fd()).unwrap_or_else(|error| {
            tracing::debug!(%error, "agent request failed");
            Message::failure()
        });
        answer.send(&mut &*client)?;
    }
    Ok(())
}

fn answer(
    request: &Message,
    agent: &dyn Agent,
    client: BorrowedFd<'_>,
) -> Result<Message, AgentError> {
    match request.kind() {
        kind::REQUEST_IDENTITIES => {
            let identities = agent.identities(client)?;
            Ok(Message::identities(&identities))
        }
        kind::SIGN_REQUEST => match sign_request(request.body()) {
            Some(request) => {
                let signature = agent.sign(&request, client)?;
                Ok(Message::signature(&signature))
            }
            None => Ok(Message::failure()),
        },
        _ => Ok(Message::failure()),
    }
}

fn sign_request(body: &[u8]) -> Option<SignRequest> {
    let mut fields = Fields::new(body);
    let request = SignRequest {
        key: fields.string()?.to_vec(),
        data: fields.string()?.to_vec(),
        flags: fields.number()?,
    };
    fields.is_empty().then_some(request)
}

/// Makes the error of a connection to an agent whose client is gone.
fn abandoned() -> io::Error {
    io::Error::from_raw_os_error(Errno::ECANCELED as i32)
}

#[cfg(test)]
mod tests;
