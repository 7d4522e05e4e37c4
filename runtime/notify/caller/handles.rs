//! Handles of the threads that asked last: what they have open is got by them.
//!
//! A path through `/proc` does the same, but the kernel makes three entries there for each process and forgets them with it.
//! Most that ask ask several times.

use std::cell::RefCell;
use std::os::fd::{AsFd as _, OwnedFd};

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::sys::process;

/// How many are kept: a pipe's worth of processes that take turns.
const KEPT: usize = 4;

/// Handles, the one that was used last at the end.
#[derive(Debug, Default)]
pub(in crate::notify) struct Handles {
    kept: RefCell<Vec<(Pid, OwnedFd)>>,
}

impl Handles {
    /// Returns a copy of a descriptor of a thread that waits. Since Linux 5.6, and 6.9 for all threads but the first of a
    /// process.
    ///
    /// A handle is of a thread and not of a number: one that is left of a thread that is gone fails with `ESRCH`, whoever has
    /// the number now.
    pub(super) fn descriptor(&self, thread: Pid, number: i32) -> Result<OwnedFd, Errno> {
        let mut kept = self.kept.borrow_mut();
        if let Some(at) = kept.iter().position(|(of, _)| *of == thread) {
            let (_, handle) = kept.remove(at);
            match process::copy_descriptor(handle.as_fd(), number).map_err(|error| error.errno()) {
                Err(Errno::ESRCH) => {}
                copied => {
                    kept.push((thread, handle));
                    return copied;
                }
            }
        }
        let handle = process::thread_handle(thread).map_err(|error| error.errno())?;
        let copied = process::copy_descriptor(handle.as_fd(), number);
        if kept.len() == KEPT {
            drop(kept.remove(0));
        }
        kept.push((thread, handle));
        copied.map_err(|error| error.errno())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::gettid;
    use std::os::fd::AsRawFd as _;

    fn inode(file: &OwnedFd) -> u64 {
        nix::sys::stat::fstat(file).unwrap().st_ino
    }

    #[test]
    fn a_descriptor_is_copied_by_a_handle_that_is_kept() {
        let handles = Handles::default();
        let file = OwnedFd::from(tempfile::tempfile().unwrap());
        for _ in 0..2 {
            let copy = handles.descriptor(Pid::this(), file.as_raw_fd()).unwrap();
            assert_eq!(inode(&copy), inode(&file));
            assert_eq!(handles.kept.borrow().len(), 1);
        }
        let closed = handles.descriptor(Pid::this(), -1);
        assert_eq!(closed.unwrap_err(), Errno::EBADF);
    }

    #[test]
    fn a_handle_of_a_thread_that_is_gone_is_not_asked_again() {
        let handles = Handles::default();
        let file = OwnedFd::from(tempfile::tempfile().unwrap());
        let gone = std::thread::spawn(|| process::thread_handle(gettid()).unwrap());
        let gone = gone.join().unwrap();
        handles.kept.borrow_mut().push((Pid::this(), gone));
        let copy = handles.descriptor(Pid::this(), file.as_raw_fd()).unwrap();
        assert_eq!(inode(&copy), inode(&file));
    }

    #[test]
    fn no_more_are_kept_than_take_turns() {
        let handles = Handles::default();
        let file = OwnedFd::from(tempfile::tempfile().unwrap());
        for _ in 0..KEPT + 2 {
            let gone = std::thread::spawn(gettid).join().unwrap();
            let handle = process::thread_handle(Pid::this()).unwrap();
            handles.kept.borrow_mut().push((gone, handle));
            handles.kept.borrow_mut().truncate(KEPT);
        }
        handles.descriptor(Pid::this(), file.as_raw_fd()).unwrap();
        let kept: Vec<Pid> = handles.kept.borrow().iter().map(|(of, _)| *of).collect();
        assert_eq!((kept.len(), kept.last()), (KEPT, Some(&Pid::this())));
    }
}
