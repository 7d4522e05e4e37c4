//! Who made a system call: its rights, its memory and its directories, by way of its number.
//!
//! A number can be another thread's as soon as the caller was killed. So whatever was found by it counts only if the
//! caller still waits afterwards: what is opened here is checked here, and what is looked up by a path that begins
//! with its number (`files/place.rs`) is to be checked by whoever uses it.

mod handles;
mod memory;
mod process;

use std::cell::OnceCell;
use std::ffi::CString;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::Pid;

use crate::sys::file;
use crate::sys::notification::{self, Question};
use crate::userns::BuilderId;

pub(super) use self::handles::Handles;
pub(super) use self::process::Neighbour;

/// The most that is read of a caller's status, in bytes; it has about one and a half thousand.
const STATUS_LIMIT_BYTES: u64 = 64 << 10;

/// `CAP_DAC_OVERRIDE` and `CAP_MKNOD` (linux/capability.h).
const NODE_CAPABILITIES: u64 = 1 << 1 | 1 << 27;

/// A thread that waits for an answer.
#[derive(Debug)]
pub(super) struct Caller<'q> {
    processes: BorrowedFd<'q>,
    thread: Pid,
    waits: Waits<'q>,
    handles: &'q Handles,
    /// Its directory in `/proc`, once something is read there.
    directory: OnceCell<OwnedFd>,
}

/// How it is known that a caller still waits.
#[derive(Debug, Clone, Copy)]
enum Waits<'q> {
    /// The question is still open.
    For(BorrowedFd<'q>, u64),
    /// The caller is the one who asks here.
    #[cfg(test)]
    Itself,
}

/// What the kernel would look at before it makes a file for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rights {
    /// The user that its files belong to, as the builder has it.
    pub(super) user: BuilderId,
    /// The group that its files belong to.
    pub(super) group: BuilderId,
    /// The permissions that its files do not get.
    pub(super) umask: u32,
    effective: u64,
}

impl<'q> Caller<'q> {
    /// Means whoever asked a question, to be found in the `/proc` that `processes` is.
    pub(super) fn new(
        (processes, handles): (BorrowedFd<'q>, &'q Handles),
        question: &Question,
        listener: BorrowedFd<'q>,
    ) -> Self {
        Self {
            processes,
            handles,
            thread: question.thread,
            waits: Waits::For(listener, question.id),
            directory: OnceCell::new(),
        }
    }

    /// Returns the number of the thread, as this process sees it.
    pub(super) fn thread(&self) -> Pid {
        self.thread
    }

    /// Returns the `/proc` in which it is.
    pub(super) fn processes(&self) -> BorrowedFd<'q> {
        self.processes
    }

    /// Fails if the caller does not wait any more, and its number may be another one's.
    pub(super) fn check(&self) -> Result<(), Errno> {
        match self.waits {
            Waits::For(listener, id) if notification::is_waiting(listener, id) => Ok(()),
            Waits::For(..) => Err(Errno::ESRCH),
            #[cfg(test)]
            Waits::Itself => Ok(()),
        }
    }

    /// Returns its directory in `/proc`, held, so that all that is found below it is about the same thread.
    fn directory(&self) -> Result<BorrowedFd<'_>, Errno> {
        if let Some(directory) = self.directory.get() {
            return Ok(directory.as_fd());
        }
        let name = c_string(&self.thread().to_string())?;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let opened = file::open(self.processes, &name, flags, 0);
        let opened = opened.map_err(|error| error.errno())?;
        self.check()?;
        Ok(self.directory.get_or_init(|| opened).as_fd())
    }

    /// Returns what it may do.
    pub(super) fn rights(&self) -> Result<Rights, Errno> {
        let status = self.open_file(c"status", OFlag::O_RDONLY)?;
        let mut text = String::new();
        let mut limited = File::from(status).take(STATUS_LIMIT_BYTES);
        let read = limited.read_to_string(&mut text);
        read.map_err(|_gone| Errno::ESRCH)?;
        Rights::parse(&text).ok_or(Errno::ESRCH)
    }

    /// Returns its root directory.
    pub(super) fn root(&self) -> Result<OwnedFd, Errno> {
        self.open_file(c"root", OFlag::O_PATH | OFlag::O_DIRECTORY)
    }

    /// Returns the directory that its relative paths begin in: the working directory, or that of a descriptor.
    pub(super) fn start(&self, descriptor: Option<i32>) -> Result<OwnedFd, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let Some(number) = descriptor else {
            return self.open_file(c"cwd", flags);
        };
        let opened = self.open_file(&c_string(&format!("fd/{number}"))?, flags);
        opened.map_err(|errno| match errno {
            Errno::ENOENT => Errno::EBADF,
            other => other,
        })
    }

    /// Returns what a descriptor of its is, for its name alone.
    pub(super) fn opened(&self, number: i32) -> Result<OwnedFd, Errno> {
        let opened = self.open_file(&c_string(&format!("fd/{number}"))?, OFlag::O_PATH);
        opened.map_err(|errno| match errno {
            Errno::ENOENT => Errno::EBADF,
            other => other,
        })
    }

    /// Returns a copy of a descriptor of its, with all that it may do. Whoever asks is expected to wait still; of one that does
    /// not it may be a descriptor of another thread's.
    pub(super) fn copy(&self, number: i32) -> Result<OwnedFd, Errno> {
        self.handles.descriptor(self.thread, number)
    }

    fn open_file(&self, name: &std::ffi::CStr, flags: OFlag) -> Result<OwnedFd, Errno> {
        file::open(self.directory()?, name, flags, 0).map_err(|error| error.errno())
    }
}

impl Rights {
    /// Reads `/proc/PID/status` (`proc_pid_status(5)`), in which ids are as the reader has them.
    fn parse(status: &str) -> Option<Self> {
        let field = |name: &str| {
            let mut lines = status.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"))
        };
        // Real, effective, saved, and that for files.
        let file_id = |name| field(name)?.split('\t').nth(3)?.parse().ok();
        Some(Self {
            user: BuilderId(file_id("Uid")?),
            group: BuilderId(file_id("Gid")?),
            umask: u32::from_str_radix(field("Umask")?, 8).ok()?,
            effective: u64::from_str_radix(field("CapEff")?, 16).ok()?,
        })
    }

    /// Tells whether it may make nodes, and in any directory of its namespace's.
    pub(super) fn may_make_nodes(&self) -> bool {
        self.effective & NODE_CAPABILITIES == NODE_CAPABILITIES
    }
}

fn c_string(text: &str) -> Result<CString, Errno> {
    CString::new(text).map_err(|_zero| Errno::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::AT_FDCWD;
    use nix::unistd::gettid;
    use std::os::unix::fs::MetadataExt as _;

    const STATUS: &str = "Name:\tUid:\t9\nUmask:\t0027\nState:\tR (running)\nTgid:\t5\n\
        Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nCapPrm:\t0000000000000000\n\
        CapEff:\t0000000008000002\nSeccomp:\t2\n";

    fn proc() -> OwnedFd {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        file::open(AT_FDCWD, c"/proc", flags, 0).unwrap()
    }

    fn ourselves(processes: &OwnedFd) -> Caller<'_> {
        Caller {
            handles: Box::leak(Box::default()),
            processes: processes.as_fd(),
            thread: gettid(),
            waits: Waits::Itself,
            directory: OnceCell::new(),
        }
    }

    #[test]
    fn rights_are_those_for_files() {
        let rights = Rights::parse(STATUS).unwrap();
        assert_eq!((rights.user, rights.group), (BuilderId(4), BuilderId(8)));
        assert_eq!(rights.umask, 0o27);
        assert!(rights.may_make_nodes());
    }

    #[test]
    fn nodes_need_two_capabilities() {
        for (set, expected) in [
            ("08000000", false),
            ("00000002", false),
            ("a80425fb", true),
            ("00000000", false),
        ] {
            let status = STATUS.replace("08000002", set);
            let rights = Rights::parse(&status).unwrap();
            assert_eq!(rights.may_make_nodes(), expected, "{set}");
        }
    }

    #[test]
    fn a_status_without_a_field_is_none() {
        for name in ["Umask", "Uid", "Gid", "CapEff"] {
            let status = STATUS.replace(&format!("\n{name}:"), "\nOther:");
            assert_eq!(Rights::parse(&status), None, "{name}");
        }
    }

    #[test]
    fn a_text_in_memory_is_read_over_pages_and_up_to_a_limit() {
        let processes = proc();
        let caller = ourselves(&processes);
        for length in [0, 1, 4000, 4095] {
            let text = vec![b'x'; length];
            let held = CString::new(text.clone()).unwrap();
            assert_eq!(caller.path(held.as_ptr() as u64).unwrap(), text, "{length}");
        }
        let long = CString::new(vec![b'x'; 4096]).unwrap();
        assert_eq!(caller.path(long.as_ptr() as u64), Err(Errno::ENAMETOOLONG));
        for address in [0, 1, u64::MAX, u64::MAX - 5] {
            assert_eq!(caller.path(address), Err(Errno::EFAULT), "{address:#x}");
        }
    }

    #[test]
    fn directories_are_found_by_descriptor() {
        let processes = proc();
        let caller = ourselves(&processes);
        let place = tempfile::tempdir().unwrap();
        let held = File::open(place.path()).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&held);
        let found = File::from(caller.start(Some(number)).unwrap());
        assert_eq!(
            found.metadata().unwrap().ino(),
            held.metadata().unwrap().ino()
        );
        assert_eq!(caller.start(Some(-1)).unwrap_err(), Errno::EBADF);
        let file = File::open("/proc/self/status").unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&file);
        assert_eq!(caller.start(Some(number)).unwrap_err(), Errno::ENOTDIR);
    }
}
