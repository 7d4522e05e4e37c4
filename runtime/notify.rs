//! The supervisor of one sandbox: answers what its filter of system calls asks about.
//!
//! ```text
//! command                     kernel                       builder
//!    │ ─ mknod("null", c 1:3) ──► │   the filter asks          │
//!    │                            │ ──────── Question ───────► │   a thread of the builder's, made for the first one
//!    │      waits                 │                            │   looks the path up in the caller's root,
//!    │                            │                            │   makes a placeholder with a record of the device
//!    │ ◄──── 0, or an error ───── │ ◄──────── answer ───────── │
//! ```
//!
//! A call that the filter does not ask about never comes here, and a command that makes no such call costs no thread.
//! The thread shares its root and working directory with nobody: it takes those of the caller, so that the kernel looks
//! a path up as it would for the caller, in a changed root too. It is no wall: what a command cannot do, a command that
//! is answered cannot do either, since the answer is made of what the caller itself may do (`caller.rs`, `device.rs`).
//!
//! Where a sandbox has one id, the filter asks about owners of files and about ids of processes as well, and the answers
//! are made of what is recorded about them (`files.rs`, `ids.rs`). There a first question comes at once.
//!
//! The thread ends when the last process that could ask is gone (since Linux 5.9).

mod caller;
mod device;
mod ids;

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::poll::{PollFd, PollFlags};
use nix::sched::CloneFlags;
use tracing::debug;

use crate::channel::wait_for_any;
use crate::executor::ExecutorMode;
use crate::notify::caller::Caller;
use crate::notify::device::DeviceCall;
use crate::notify::ids::Ids;
use crate::seccomp::{AskedCall, AskedCalls, Subject};
use crate::sys::notification::{self, Answer, Question};
use crate::sys::{CallError, file, process};
use crate::userns::IdMap;

/// Whoever answers for one sandbox. Dropping it waits until nobody can ask any more.
#[derive(Debug)]
pub(crate) struct Supervisor {
    /// Until there is something to do.
    listener: Option<OwnedFd>,
    ids: IdMap,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Answers what comes in at `listener`, if there is one, as soon as it is told to go on.
    pub(crate) fn new(listener: Option<OwnedFd>, ids: IdMap) -> Self {
        Self {
            listener,
            ids,
            thread: None,
        }
    }

    /// Returns what to wait for; when it is ready, the supervisor has to [go on](Self::go_on).
    pub(crate) fn polled(&self) -> Option<BorrowedFd<'_>> {
        self.listener.as_ref().map(OwnedFd::as_fd)
    }

    /// Answers from now on, unless nobody is left to ask.
    pub(crate) fn go_on(&mut self) {
        let Some(listener) = self.listener.take() else {
            return;
        };
        if !is_asked(&listener) {
            return;
        }
        let ids = self.ids;
        let thread = std::thread::Builder::new().name("supervisor".to_owned());
        // Without a thread the listener is closed, and what is asked about fails with ENOSYS.
        self.thread = thread.spawn(move || supervise(&listener, ids)).ok();
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // One that panicked has answered nothing more, which commands were told.
            drop(thread.join());
        }
    }
}

/// Waits for a question; tells whether there is one, or nobody is left to ask.
fn is_asked(listener: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    if wait_for_any(&mut polled).is_err() {
        return false;
    }
    let [polled] = polled;
    polled
        .revents()
        .is_some_and(|events| events.contains(PollFlags::POLLIN))
}

fn supervise(listener: &OwnedFd, ids: IdMap) {
    let mut desk = Desk::open(ids);
    let calls = AskedCalls::new();
    while is_asked(listener) {
        let question = match notification::receive(listener.as_fd()) {
            Ok(question) => question,
            // Whoever asked was killed meanwhile.
            Err(error) if matches!(error.errno(), Errno::ENOENT | Errno::EINTR) => continue,
            Err(_) => return,
        };
        let call = calls.find(question.audit, question.number);
        let result = match (&mut desk, call) {
            (Ok(desk), Some(call)) => desk.consider(call, &question, listener.as_fd()),
            (Err(_), Some(call)) if call.subject != Subject::Node => Ok(Answer::GoesOn),
            (Err(_), Some(_)) => Err(Errno::EPERM),
            (_, None) => Err(Errno::ENOSYS),
        };
        debug!(
            call = call.map(|call| call.name),
            ?result,
            "system call answered"
        );
        // Whoever was killed meanwhile needs no answer.
        drop(notification::answer(listener.as_fd(), question.id, result));
    }
}

/// What the thread works with.
#[derive(Debug)]
struct Desk {
    /// The `/proc` in which callers are, held before the root changes.
    processes: OwnedFd,
    ids: IdMap,
    credentials: Ids,
}

impl Desk {
    fn open(ids: IdMap) -> Result<Self, CallError> {
        process::unshare(CloneFlags::CLONE_FS)?;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let processes = file::open(AT_FDCWD, c"/proc", flags, 0)?;
        Ok(Self {
            processes,
            ids,
            credentials: Ids::new(),
        })
    }

    fn consider(
        &mut self,
        call: AskedCall,
        question: &Question,
        listener: BorrowedFd<'_>,
    ) -> Result<Answer, Errno> {
        let caller = Caller::new(self.processes.as_fd(), question, listener);
        match (self.ids.mode(), call.subject) {
            (_, Subject::Node) if !DeviceCall::is_one(call.name, &question.arguments) => {
                Ok(Answer::GoesOn)
            }
            (_, Subject::Node) => {
                DeviceCall::read(call.name, &question.arguments)?.make(&caller, self.ids)?;
                Ok(Answer::DONE)
            }
            (ExecutorMode::UsernsMulti, _) => Ok(Answer::GoesOn),
            (ExecutorMode::UsernsSingle, Subject::File) => {
                self.credentials.of(&caller)?;
                Ok(Answer::GoesOn)
            }
            (ExecutorMode::UsernsSingle, Subject::Ids) => {
                self.credentials.consider(call, question, &caller)
            }
        }
    }
}
