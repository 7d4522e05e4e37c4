//! The process that a caller is a thread of: its number as it knows it, its descriptors, and whoever it talks to.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::Pid;

use super::{Caller, STATUS_LIMIT_BYTES, c_string};
use crate::sys::{file, process};

/// A process in the sandbox of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::notify) struct Neighbour {
    /// Its number as this process sees it.
    pub(in crate::notify) outside: Pid,
    /// Its number in the sandbox.
    pub(in crate::notify) inside: i32,
}

impl Caller<'_> {
    /// Tells whether it is a thread of the process with this number in the sandbox.
    pub(in crate::notify) fn is_process(&self, inside: i32) -> Result<bool, Errno> {
        let status = status(self.directory()?)?;
        Ok(last(&status, "NStgid").is_some_and(|own| own == inside))
    }

    /// Tells whether no program makes it somebody else (`PR_SET_NO_NEW_PRIVS`).
    pub(in crate::notify) fn has_no_new_privileges(&self) -> Result<bool, Errno> {
        let status = status(self.directory()?)?;
        Ok(last(&status, "NoNewPrivs") == Some(1))
    }

    /// Returns a copy of one of its descriptors. Since Linux 5.6.
    pub(in crate::notify) fn descriptor(&self, number: i32) -> Result<OwnedFd, Errno> {
        let status = status(self.directory()?)?;
        // Only what has the number of its process can be referred to.
        let process = last(&status, "Tgid")
            .map(Pid::from_raw)
            .ok_or(Errno::ESRCH)?;
        let pidfd = process::pidfd_open(process).map_err(|error| error.errno())?;
        self.check()?;
        process::copy_descriptor(pidfd.as_fd(), number).map_err(|error| error.errno())
    }

    /// Returns the process of this number if it is in the same sandbox.
    pub(in crate::notify) fn neighbour(&self, outside: Pid) -> Result<Option<Neighbour>, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let name = c_string(&outside.to_string())?;
        let directory = file::open(self.processes, &name, flags, 0);
        let directory = directory.map_err(|error| error.errno())?;
        let namespaces = [self.directory()?, directory.as_fd()].map(pid_namespace);
        let [own, other] = namespaces;
        if own? != other? {
            return Ok(None);
        }
        let inside = last(&status(directory.as_fd())?, "NStgid").ok_or(Errno::ESRCH)?;
        Ok(Some(Neighbour { outside, inside }))
    }
}

/// Returns what tells PID namespaces apart.
fn pid_namespace(directory: BorrowedFd<'_>) -> Result<u64, Errno> {
    let opened = file::open(directory, c"ns/pid", OFlag::O_PATH, 0);
    let namespace = opened.and_then(|namespace| file::stat(namespace.as_fd()));
    let namespace = namespace.map_err(|error| error.errno())?;
    Ok(namespace.st_ino)
}

fn status(directory: BorrowedFd<'_>) -> Result<String, Errno> {
    let opened = file::open(directory, c"status", OFlag::O_RDONLY, 0);
    let status = opened.map_err(|error| error.errno())?;
    let mut text = String::new();
    let mut limited = File::from(status).take(STATUS_LIMIT_BYTES);
    let read = limited.read_to_string(&mut text);
    read.map_err(|_gone| Errno::ESRCH)?;
    Ok(text)
}

/// Returns the last number of a field (`proc_pid_status(5)`): of those of a process, the one in its own namespace.
fn last(status: &str, name: &str) -> Option<i32> {
    let mut lines = status.lines();
    let numbers = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"))?;
    numbers.split('\t').next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_in_the_own_namespace_is_the_last() {
        let status = "Tgid:\t500\nNStgid:\t500\t70\t7\nNSpid:\t501\t71\t8\n";
        assert_eq!(last(status, "Tgid"), Some(500));
        assert_eq!(last(status, "NStgid"), Some(7));
        assert_eq!(last(status, "NSsid"), None);
    }
}
