//! The wish to end early, told to everybody who works or waits.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::{pipe2, write};

use crate::sys::{CallError, Called as _};

/// Why work is to end early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelReason {
    /// The user or the system asked for it with this signal.
    Signal(Signal),
    /// The process that waits for the result is gone.
    Orphaned,
    /// A part of the program gave up on the rest.
    Abandoned,
}

/// A token that is either quiet or cancelled, and never quiet again. Clones are the same token.
///
/// Who computes asks [`is_cancelled`](Self::is_cancelled) now and then; who waits polls the token's
/// descriptor, which becomes readable and stays so.
#[derive(Debug, Clone)]
pub struct CancelToken {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    reason: OnceLock<CancelReason>,
    /// A byte that nobody reads keeps it readable.
    reading: OwnedFd,
    writing: OwnedFd,
    /// Those that end with it.
    children: Mutex<Vec<Weak<Self>>>,
}

impl Shared {
    fn cancel(&self, reason: CancelReason) {
        if self.reason.set(reason).is_err() {
            return;
        }
        // The pipe is empty and its reading end is ours: the write cannot fail.
        write(&self.writing, &[1]).unwrap_or_default();
        let children = self.children.lock();
        for child in children.unwrap_or_else(PoisonError::into_inner).drain(..) {
            if let Some(child) = child.upgrade() {
                child.cancel(reason);
            }
        }
    }
}

impl CancelToken {
    /// Makes a token that is quiet.
    ///
    /// # Errors
    ///
    /// Fails when the process has no descriptors left.
    pub fn create() -> Result<Self, CallError> {
        let (reading, writing) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
            .called(|| "pipe2(O_CLOEXEC|O_NONBLOCK)".to_owned())?;
        Ok(Self {
            shared: Arc::new(Shared {
                reason: OnceLock::new(),
                reading,
                writing,
                children: Mutex::default(),
            }),
        })
    }

    /// Makes a token for a part of the work: it is cancelled when this one is, and may be cancelled alone.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn child(&self) -> Result<Self, CallError> {
        let child = Self::create()?;
        let children = self.shared.children.lock();
        children
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::downgrade(&child.shared));
        // Who cancels meanwhile sees either the child or, here, is seen.
        if let Some(reason) = self.reason() {
            child.cancel(reason);
        }
        Ok(child)
    }

    /// Cancels. The first reason counts.
    pub fn cancel(&self, reason: CancelReason) {
        self.shared.cancel(reason);
    }

    /// Returns whether work is to end.
    pub fn is_cancelled(&self) -> bool {
        self.reason().is_some()
    }

    /// Waits until a file takes bytes, or fails to, or work is to end.
    ///
    /// # Errors
    ///
    /// Fails when the kernel cannot wait.
    pub fn wait_writable<F: AsFd>(&self, file: &F) -> Result<(), CallError> {
        let mut waited_for = [
            PollFd::new(file.as_fd(), PollFlags::POLLOUT),
            PollFd::new(self.as_fd(), PollFlags::POLLIN),
        ];
        loop {
            match poll(&mut waited_for, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                waited => return waited.map(drop).called(|| "poll()".to_owned()),
            }
        }
    }

    /// Returns why work is to end, if it is.
    pub fn reason(&self) -> Option<CancelReason> {
        self.shared.reason.get().copied()
    }
}

impl AsFd for CancelToken {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.reading.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_readable(token: &CancelToken) -> bool {
        poll(
            &mut [PollFd::new(token.as_fd(), PollFlags::POLLIN)],
            PollTimeout::ZERO,
        ) == Ok(1)
    }

    #[test]
    fn waiting_for_a_reader_ends_when_there_is_room_or_work_is_to_end() {
        let token = CancelToken::create().unwrap();
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap();
        token.wait_writable(&writer).unwrap();
        while write(&writer, &[0; 4096]).is_ok() {}
        token.cancel(CancelReason::Abandoned);
        token.wait_writable(&writer).unwrap();
        drop(reader);
    }

    #[test]
    fn a_part_of_the_work_ends_with_the_whole_or_alone() {
        let whole = CancelToken::create().unwrap();
        let (one, other) = (whole.child().unwrap(), whole.child().unwrap());
        one.cancel(CancelReason::Abandoned);
        assert_eq!((whole.reason(), other.reason()), (None, None));
        whole.cancel(CancelReason::Orphaned);
        assert_eq!(one.reason(), Some(CancelReason::Abandoned));
        assert_eq!(other.reason(), Some(CancelReason::Orphaned));
        assert!(is_readable(&other));
        let late = other.child().unwrap();
        assert_eq!(late.reason(), Some(CancelReason::Orphaned));
        assert!(is_readable(&late));
    }

    #[test]
    fn every_clone_learns_the_first_reason_and_keeps_it() {
        let token = CancelToken::create().unwrap();
        let other = token.clone();
        assert_eq!((other.is_cancelled(), is_readable(&other)), (false, false));
        token.cancel(CancelReason::Signal(Signal::SIGTERM));
        other.cancel(CancelReason::Orphaned);
        for seen in [&token, &other] {
            assert_eq!(seen.reason(), Some(CancelReason::Signal(Signal::SIGTERM)));
            assert_eq!((seen.is_cancelled(), is_readable(seen)), (true, true));
        }
    }
}
