//! Decisions without anybody who asks: what calls that nobody makes would come to.
//!
//! The kernel is asked nothing, and nobody's memory is read: a call that needs either fails as it does for a caller that
//! is gone. It is for tests that think up numbers and bytes which no command sends.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::notify::caller::{Caller, Handles};
use crate::notify::device::DeviceCall;
use crate::notify::files::acl;
use crate::notify::ids::capability::FileCapabilities;
use crate::notify::ids::privilege;
use crate::notify::ids::request::Request;
use crate::notify::ids::{Credentials, Ids, Program};
use crate::seccomp::{AskedCall, AskedCalls, Subject};
use crate::spec::SandboxUser;
use crate::sys::notification::Question;

/// The number of a thread that there is not: it is above the highest that Linux gives (`PID_MAX_LIMIT`).
const NOBODY: Pid = Pid::from_raw(i32::MAX);

/// A process of a sandbox with one id that is made up, and what calls make of it.
#[derive(Debug)]
pub struct Rehearsal {
    calls: AskedCalls,
    ids: Ids,
    held: Credentials,
    handles: Handles,
    /// Stands for `/proc` and for the listener, and has nothing of either.
    nothing: File,
}

impl Rehearsal {
    /// Begins with what the first command of a sandbox is that runs as `user`.
    ///
    /// # Errors
    ///
    /// Fails where `/dev/null` cannot be opened.
    pub fn open(user: &SandboxUser) -> io::Result<Self> {
        Ok(Self {
            calls: AskedCalls::new(),
            ids: Ids::new(user),
            held: Credentials::of_user(user),
            handles: Handles::default(),
            nothing: File::open("/dev/null")?,
        })
    }

    /// Makes a system call, by the kernel's numbers for the kind of program (`AUDIT_ARCH_*`) and for the call.
    ///
    /// # Errors
    ///
    /// Fails with what the call would return: `ENOSYS` where no filter asks about it, `EFAULT` where it needs memory.
    pub fn call(&mut self, audit: u32, number: u32, arguments: [u64; 6]) -> Result<(), Errno> {
        let call = self.calls.find(audit, number).ok_or(Errno::ENOSYS)?;
        match call.subject {
            Subject::Node if DeviceCall::is_one(call.name, &arguments) => {
                DeviceCall::read(call.name, &arguments).map(|_device| ())
            }
            Subject::Node | Subject::File => Ok(()),
            Subject::Ids => self.decide(call, arguments),
        }
    }

    fn decide(&mut self, call: AskedCall, arguments: [u64; 6]) -> Result<(), Errno> {
        let question = Question {
            id: 0,
            thread: NOBODY,
            audit: 0,
            number: 0,
            arguments,
        };
        let nothing = self.nothing.as_fd();
        let caller = Caller::new((nothing, &self.handles), &question, nothing);
        let request = Request::new(call, &question, &caller);
        let outcome = self.ids.decide(&self.held, &request)?;
        self.held = outcome.becomes.unwrap_or_else(|| self.held.clone());
        Ok(())
    }

    /// Sets capabilities to what a caller's memory would hold for `capset`, behind the header.
    ///
    /// # Errors
    ///
    /// Fails with what the call would return.
    pub fn set_capabilities(&mut self, data: &[u8]) -> Result<(), Errno> {
        let [effective, permitted, inheritable] = privilege::parsed(data);
        let held = &self.held;
        self.held = held.with_capabilities(|sets| sets.set(effective, permitted, inheritable))?;
        Ok(())
    }

    /// Executes a program whose file belongs to these if it is one that changes ids, and has this attribute
    /// `security.capability`.
    ///
    /// # Errors
    ///
    /// Fails with what the call would return.
    pub fn execute(
        &mut self,
        (user, group): (Option<u32>, Option<u32>),
        attribute: &[u8],
    ) -> Result<(), Errno> {
        self.held = self.held.executing(Program {
            user,
            group,
            capabilities: FileCapabilities::parse(attribute),
        })?;
        Ok(())
    }

    /// Returns the ids of its user: the real, the effective and the saved one, and that for files.
    pub fn users(&self) -> [u32; 4] {
        let ids = self.held.users;
        [ids.real, ids.effective, ids.saved, ids.file]
    }

    /// Returns the ids of its group, in the same order.
    pub fn groups(&self) -> [u32; 4] {
        let ids = self.held.groups;
        [ids.real, ids.effective, ids.saved, ids.file]
    }

    /// Returns its capabilities: the effective, permitted, inheritable, bounding and ambient ones.
    pub fn capabilities(&self) -> [u64; 5] {
        let sets = self.held.capabilities;
        [
            sets.effective,
            sets.permitted,
            sets.inheritable,
            sets.bounding,
            sets.ambient,
        ]
    }

    /// Returns what a file gets of an access control list that its directory hands down, and the mode that it has then.
    pub fn inherited_list(list: &[u8], mode: u32) -> (Vec<u8>, u32) {
        acl::inherited(list, mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `AUDIT_ARCH_X86_64`, and calls of it.
    const AMD64: u32 = 0xc000_003e;
    const SETUID: u32 = 105;
    const SETGROUPS: u32 = 116;
    const PTRACE: u32 = 101;

    fn of(uid: u32) -> Rehearsal {
        let user = SandboxUser {
            uid,
            gid: uid,
            groups: Vec::new(),
        };
        Rehearsal::open(&user).unwrap()
    }

    fn arguments(first: u64) -> [u64; 6] {
        [first, 0, 0, 0, 0, 0]
    }

    #[test]
    fn root_becomes_somebody_and_stays_it() {
        let mut process = of(0);
        assert_eq!(process.call(AMD64, SETUID, arguments(7)), Ok(()));
        assert_eq!((process.users(), process.groups()), ([7; 4], [0; 4]));
        let [effective, permitted, ..] = process.capabilities();
        assert_eq!((effective, permitted), (0, 0));
        let back = process.call(AMD64, SETUID, arguments(0));
        assert_eq!(back, Err(Errno::EPERM));
    }

    #[test]
    fn what_needs_memory_or_is_not_asked_about_fails() {
        let mut process = of(0);
        let groups = process.call(AMD64, SETGROUPS, [1, 0x1000, 0, 0, 0, 0]);
        assert_eq!(groups, Err(Errno::EFAULT));
        let traced = process.call(AMD64, PTRACE, arguments(0));
        assert_eq!(traced, Err(Errno::ENOSYS));
    }

    #[test]
    fn a_file_that_changes_ids_makes_root_of_somebody() {
        let mut process = of(7);
        assert_eq!(process.set_capabilities(&[1; 24]), Err(Errno::EPERM));
        process.execute((Some(0), None), &[]).unwrap();
        assert_eq!(process.users(), [7, 0, 0, 0]);
        let [effective, _, _, bounding, _] = process.capabilities();
        assert_eq!(effective, bounding);
    }
}
