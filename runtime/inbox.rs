//! Signals on their way to a command: from the process that the user sees to the one that the user means.
//!
//! ```text
//! signal ─► first process ─► builder's watch ─► inbox ─► init ─► the command
//! ```
//!
//! While a builder has no inbox, a signal that asks to end is the wish to cancel the builder's own work.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::unistd::{pipe2, write};

use crate::sys::{CallError, Called as _, signal};

/// Signals for a command that were not passed on yet.
#[derive(Debug)]
pub struct SignalInbox {
    reading: OwnedFd,
}

/// Where signals for a command are put.
#[derive(Debug)]
pub(crate) struct SignalSlot {
    writing: OwnedFd,
}

impl SignalInbox {
    /// Makes an empty inbox, and where signals are put into it.
    pub(crate) fn create() -> Result<(Self, SignalSlot), CallError> {
        let (reading, writing) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
            .called(|| "pipe2(O_CLOEXEC|O_NONBLOCK)".to_owned())?;
        Ok((Self { reading }, SignalSlot { writing }))
    }

    /// Takes out what is there: the numbers of signals.
    pub(crate) fn take(&self) -> Vec<u8> {
        signal::take_noted(self.reading.as_fd())
    }
}

impl AsFd for SignalInbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reading.as_fd()
    }
}

impl SignalSlot {
    /// Puts a signal in. Should the inbox be full, enough was said.
    pub(crate) fn put(&self, number: i32) {
        if let Ok(byte) = u8::try_from(number) {
            write(&self.writing, &[byte]).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_taken_out_once_and_in_their_order() {
        let (inbox, slot) = SignalInbox::create().unwrap();
        assert_eq!(inbox.take(), Vec::<u8>::new());
        slot.put(2);
        slot.put(15);
        slot.put(-1);
        assert_eq!(inbox.take(), [2, 15]);
        assert_eq!(inbox.take(), Vec::<u8>::new());
    }
}
