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
mod files;
mod ids;

pub use ids::Rehearsal;

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::thread::JoinHandle;

use caps::Capability;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::poll::{PollFd, PollFlags};
use nix::sched::CloneFlags;
use tracing::debug;

use crate::channel::wait_for_any;
use crate::executor::{ExecutorMode, RecordedOwner};
use crate::notify::caller::{Caller, Handles};
use crate::notify::device::DeviceCall;
use crate::notify::files::Files;
use crate::notify::ids::Ids;
use crate::seccomp::{AskedCall, AskedCalls, Subject};
use crate::spec::SandboxUser;
use crate::sys::notification::{self, Answer, Question};
use crate::sys::{CallError, file, process};
use crate::userns::IdMap;

/// Whoever answers for one sandbox. Dropping it waits until nobody can ask any more.
#[derive(Debug)]
pub(crate) struct Supervisor {
    /// Until there is something to do.
    listener: Option<OwnedFd>,
    asked: Asked,
    thread: Option<JoinHandle<Vec<RecordedOwner>>>,
}

/// Whose questions there will be.
#[derive(Debug, Clone)]
struct Asked {
    ids: IdMap,
    /// Who the command is to be.
    user: SandboxUser,
    /// What is recorded already.
    recorded: Vec<RecordedOwner>,
}

impl Supervisor {
    /// Returns one that has nobody to listen to yet, for a command that is to be `user`.
    pub(crate) fn new(ids: IdMap, user: SandboxUser, recorded: Vec<RecordedOwner>) -> Self {
        Self {
            listener: None,
            asked: Asked {
                ids,
                user,
                recorded,
            },
            thread: None,
        }
    }

    /// Answers what comes in at `listener`: from now on where there is one id, since a question comes at once, else as
    /// soon as it is told to go on.
    pub(crate) fn listen(&mut self, listener: OwnedFd) {
        match self.asked.ids.mode() {
            ExecutorMode::UsernsSingle => self.answer(listener),
            ExecutorMode::UsernsMulti | ExecutorMode::Chroot | ExecutorMode::Nothing => {
                self.listener = Some(listener);
            }
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
        if is_asked(&listener) {
            self.answer(listener);
        }
    }

    fn answer(&mut self, listener: OwnedFd) {
        let asked = self.asked.clone();
        let thread = std::thread::Builder::new().name("supervisor".to_owned());
        // Without a thread the listener is closed, and what is asked about fails with ENOSYS.
        self.thread = thread.spawn(move || supervise(&listener, asked)).ok();
    }

    /// Waits until nobody can ask any more, and returns what is recorded of files that hold no attribute.
    pub(crate) fn finish(mut self) -> Vec<RecordedOwner> {
        match self.thread.take() {
            // One that panicked has answered nothing more, which commands were told.
            Some(thread) => thread.join().unwrap_or_default(),
            None => std::mem::take(&mut self.asked.recorded),
        }
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

/// Waits for the next question; `None` when nobody is left to ask.
fn next_question(listener: &OwnedFd) -> Option<Question> {
    // To take a question waits for one as well: most need not be looked for first.
    let mut must_look = !notification::receiving_ends();
    loop {
        if must_look && !is_asked(listener) {
            return None;
        }
        match notification::receive(listener.as_fd()) {
            Ok(question) => return Some(question),
            // Whoever asked was killed meanwhile, or nobody is left.
            Err(error) if matches!(error.errno(), Errno::ENOENT | Errno::EINTR) => {
                must_look = true;
            }
            Err(_) => return None,
        }
    }
}

fn supervise(listener: &OwnedFd, asked: Asked) -> Vec<RecordedOwner> {
    let mut desk = Desk::open(asked);
    let calls = AskedCalls::new();
    notification::take_turns(listener.as_fd());
    while let Some(question) = next_question(listener) {
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
    desk.map(|desk| desk.files.recorded()).unwrap_or_default()
}

/// What the thread works with.
#[derive(Debug)]
struct Desk {
    /// The `/proc` in which callers are, held before the root changes.
    processes: OwnedFd,
    handles: Handles,
    ids: IdMap,
    credentials: Ids,
    files: Files,
}

impl Desk {
    fn open(asked: Asked) -> Result<Self, CallError> {
        let Asked {
            ids,
            user,
            recorded,
        } = asked;
        process::unshare(CloneFlags::CLONE_FS)?;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let processes = file::open(AT_FDCWD, c"/proc", flags, 0)?;
        Ok(Self {
            processes,
            handles: Handles::default(),
            ids,
            credentials: Ids::new(&user),
            files: Files::new(&recorded),
        })
    }

    fn consider(
        &mut self,
        call: AskedCall,
        question: &Question,
        listener: BorrowedFd<'_>,
    ) -> Result<Answer, Errno> {
        let places = (self.processes.as_fd(), &self.handles);
        let caller = Caller::new(places, question, listener);
        let is_device =
            call.subject == Subject::Node && DeviceCall::is_one(call.name, &question.arguments);
        if is_device {
            let has_one_id = self.ids.mode() == ExecutorMode::UsernsSingle;
            if has_one_id && !self.credentials.of(&caller)?.may(Capability::CAP_MKNOD) {
                return Err(Errno::EPERM);
            }
            self.files.leave();
            let device = DeviceCall::read(call.name, &question.arguments)?;
            return device.make(&caller, self.ids).map(|()| Answer::DONE);
        }
        match (self.ids.mode(), call.subject) {
            (ExecutorMode::UsernsMulti | ExecutorMode::Chroot | ExecutorMode::Nothing, _) => {
                Ok(Answer::GoesOn)
            }
            (ExecutorMode::UsernsSingle, Subject::Ids) if call.name.starts_with("execve") => {
                let program = self.files.program(call, question, &caller);
                self.credentials.execute(program, &caller)
            }
            (ExecutorMode::UsernsSingle, Subject::Ids) => {
                self.credentials.consider(call, question, &caller)
            }
            (ExecutorMode::UsernsSingle, Subject::Node | Subject::File) => {
                let with = (&caller, &mut self.credentials, listener);
                self.files.consider(call, question, with)
            }
        }
    }
}
