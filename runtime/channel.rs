//! Typed messages over a stream socket between two processes of ours.
//!
//! A frame is its length in bytes, as four bytes with the lowest first, and then the message as
//! JSON. Descriptors travel beside the length.

use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::cancel::CancelToken;
use crate::sys::{CallError, Called as _, socket};

/// The longest message, in bytes. The kernel takes arguments and environment of a quarter of the
/// stack limit at most (`execve(2)`), which is 2 MiB as a rule.
pub(crate) const MESSAGE_LIMIT_BYTES: usize = 16 << 20;

/// Why a message could not be exchanged.
#[derive(Debug, Error)]
pub enum ChannelError {
    /// The kernel refused a call.
    #[error("exchange messages with another process of this program")]
    Call(#[from] CallError),
    /// The other process ended in the middle of a message.
    #[error("read a whole message from another process of this program")]
    Truncated,
    /// The message is longer than any of ours.
    #[error("read a message of {length_bytes} bytes; the limit is {MESSAGE_LIMIT_BYTES}")]
    TooLong {
        /// The length that was announced.
        length_bytes: usize,
    },
    /// The bytes are no message.
    #[error("read a message of another process of this program")]
    Malformed(#[source] serde_json::Error),
    /// The message is not one of those that may come now.
    #[error("read the expected message of another process of this program")]
    OutOfOrder,
    /// The message cannot be written as bytes.
    #[error("write a message for another process of this program")]
    Unwritable(#[source] serde_json::Error),
}

/// What came of waiting for a message.
#[derive(Debug)]
pub(crate) enum Received<M> {
    /// A message, and the descriptors that came with it.
    Message(M, Vec<OwnedFd>),
    /// The other process closed its end.
    Closed,
    /// The wait was cancelled.
    Cancelled,
}

/// One end of a conversation in which this process sends `S` and receives `R`.
#[derive(Debug)]
pub(crate) struct Channel<S, R> {
    socket: OwnedFd,
    messages: PhantomData<fn(S) -> R>,
}

impl<S: Serialize, R: DeserializeOwned> Channel<S, R> {
    /// Makes both ends: ours, and the socket for the process that is to have the other.
    pub(crate) fn pair() -> Result<(Self, OwnedFd), CallError> {
        let (ours, theirs) = socket::pair()?;
        Ok((Self::over(ours), theirs))
    }

    /// Converses over a socket that another process has the other end of.
    pub(crate) fn over(socket: OwnedFd) -> Self {
        Self {
            socket,
            messages: PhantomData,
        }
    }

    /// Goes on over the same socket with other messages.
    pub(crate) fn into_other<T, U>(self) -> Channel<T, U> {
        Channel {
            socket: self.socket,
            messages: PhantomData,
        }
    }

    /// Sends a message with copies of these descriptors.
    pub(crate) fn send(
        &self,
        message: &S,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), ChannelError> {
        let mut frame = vec![0; 4];
        serde_json::to_writer(&mut frame, message).map_err(ChannelError::Unwritable)?;
        let length_bytes = frame.len() - 4;
        let length = u32::try_from(length_bytes)
            .ok()
            .filter(|_| length_bytes <= MESSAGE_LIMIT_BYTES);
        let length = length
            .ok_or(ChannelError::TooLong { length_bytes })?
            .to_le_bytes();
        for (place, byte) in frame.iter_mut().zip(length) {
            *place = byte;
        }
        let mut sent = socket::send(self.as_fd(), &frame, descriptors)?;
        while let Some(rest @ [_, ..]) = frame.get(sent..) {
            sent += socket::send(self.as_fd(), rest, &[])?;
        }
        Ok(())
    }

    /// Waits for a message.
    pub(crate) fn receive(&self) -> Result<Received<R>, ChannelError> {
        let mut length = [0; 4];
        let (count, descriptors) = socket::receive(self.as_fd(), &mut length)?;
        if count == 0 {
            return Ok(Received::Closed);
        }
        let rest = length.get_mut(count..).unwrap_or_default();
        self.fill(rest)?;
        let length_bytes = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length_bytes > MESSAGE_LIMIT_BYTES {
            return Err(ChannelError::TooLong { length_bytes });
        }
        let mut body = vec![0; length_bytes];
        self.fill(&mut body)?;
        let message = serde_json::from_slice(&body).map_err(ChannelError::Malformed)?;
        Ok(Received::Message(message, descriptors))
    }

    /// Waits for a message or for `cancel`, whichever is first.
    pub(crate) fn receive_unless(&self, cancel: &CancelToken) -> Result<Received<R>, ChannelError> {
        let mut sources =
            [cancel.as_fd(), self.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        wait_for_any(&mut sources)?;
        if cancel.is_cancelled() {
            return Ok(Received::Cancelled);
        }
        self.receive()
    }

    /// Gives the socket away.
    #[cfg(test)]
    pub(crate) fn into_socket(self) -> OwnedFd {
        self.socket
    }

    fn fill(&self, mut buffer: &mut [u8]) -> Result<(), ChannelError> {
        while !buffer.is_empty() {
            let (count, _) = socket::receive(self.as_fd(), buffer)?;
            if count == 0 {
                return Err(ChannelError::Truncated);
            }
            buffer = buffer.get_mut(count..).unwrap_or_default();
        }
        Ok(())
    }
}

impl<S, R> AsFd for Channel<S, R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Waits until at least one of `sources` is ready.
pub(crate) fn wait_for_any(sources: &mut [PollFd<'_>]) -> Result<(), CallError> {
    loop {
        match poll(sources, PollTimeout::NONE) {
            Err(Errno::EINTR) => {}
            result => return result.map(drop).called(|| "poll()".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::CancelReason;
    use std::fs::File;
    use std::io::Write as _;

    type Words = Channel<Vec<String>, Vec<String>>;

    fn pair() -> (Words, Words) {
        let (ours, theirs) = Words::pair().unwrap();
        (ours, Words::over(theirs))
    }

    #[test]
    fn a_message_arrives_whole_with_its_descriptors() {
        let (here, there) = pair();
        let words = vec!["x".repeat(3_000_000), String::new()];
        let sent = words.clone();
        let null = File::open("/dev/null").unwrap();
        let sender = std::thread::spawn(move || here.send(&sent, &[null.as_fd()]).unwrap());
        let Received::Message(received, descriptors) = there.receive().unwrap() else {
            panic!("no message");
        };
        assert_eq!((received, descriptors.len()), (words, 1));
        sender.join().unwrap();
        assert!(matches!(there.receive(), Ok(Received::Closed)));
    }

    #[test]
    fn bad_frames_are_refused() {
        let cases: [(&[u8], &str); 4] = [
            (
                b"\x05\0",
                "read a whole message from another process of this program",
            ),
            (
                b"\x05\0\0\0[]",
                "read a whole message from another process of this program",
            ),
            (
                b"\xff\xff\xff\xff",
                "read a message of 4294967295 bytes; the limit is 16777216",
            ),
            (
                b"\x02\0\0\0{}",
                "read a message of another process of this program",
            ),
        ];
        for (bytes, expected) in cases {
            let (here, there) = pair();
            File::from(here.into_socket()).write_all(bytes).unwrap();
            assert_eq!(there.receive().unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn one_byte_over_the_limit_is_not_sent() {
        let (here, _there) = pair();
        let word = "x".repeat(MESSAGE_LIMIT_BYTES - 3);
        let error = here.send(&vec![word], &[]).unwrap_err();
        let expected = MESSAGE_LIMIT_BYTES + 1;
        assert!(
            matches!(error, ChannelError::TooLong { length_bytes } if length_bytes == expected),
            "{error:?}"
        );
    }

    #[test]
    fn a_wait_can_be_cancelled() {
        let (_here, there) = pair();
        let cancel = CancelToken::create().unwrap();
        cancel.cancel(CancelReason::Abandoned);
        assert!(matches!(
            there.receive_unless(&cancel),
            Ok(Received::Cancelled)
        ));
    }
}
