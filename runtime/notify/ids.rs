//! The users and groups that processes of a sandbox with one id seem to have.
//!
//! The kernel knows one user there, who is root of the sandbox throughout, and no call can change that. What a process
//! seems to be instead is decided here, by the kernel's own rules, and shown by every call that asks:
//!
//! | Calls | File |
//! | --- | --- |
//! | `set*uid`, `set*gid`, `setgroups`, `get*uid`, `get*gid`, `getgroups` | `identity.rs`; the rules in `quartet.rs` |
//! | `capget`, `capset`, `prctl` about capabilities | `privilege.rs`; the rules in `capability.rs` |
//! | `execve`, `execveat` of files that change who executes them | the rules in `credentials.rs`; what the file says in `files/execute.rs` |
//! | `getsockopt(SO_PEERCRED)` | `peer.rs` |
//! | `setrlimit`, `prlimit` of the one limit that is used here | `limits.rs` |
//!
//! What a process is, all its threads are: calls of one thread alone count for all of them. The C library has each thread make
//! a call, which then comes to the same, but for `setuid(0)` of one with the saved id of root: it becomes root for good,
//! and not in effect alone. What a process is is handed down to children
//! and programs as `table.rs` says. `/proc` shows what the kernel knows.
//!
//! It is no wall: nothing is kept from a process for the user that it seems to be, but what is answered with owners of
//! files and with capabilities here.

mod capability;
mod credentials;
mod identity;
mod limits;
mod outcome;
mod peer;
mod privilege;
mod quartet;
mod rehearsal;
mod request;
mod table;

use std::sync::Arc;

use nix::errno::Errno;

pub(super) use self::capability::FileCapabilities;
pub(super) use self::credentials::{Credentials, Program};
pub use self::rehearsal::Rehearsal;

use crate::notify::caller::Caller;
use crate::notify::ids::outcome::{Decision, Outcome};
use crate::notify::ids::request::Request;
use crate::notify::ids::table::Table;
use crate::seccomp::AskedCall;
use crate::spec::SandboxUser;
use crate::sys::notification::{Answer, Question};

/// The credentials of the processes of one sandbox.
#[derive(Debug)]
pub(super) struct Ids {
    table: Table,
    /// Whether the command has been begun. What the process that is about to execute it asks for before is for the
    /// kernel: to have root's capabilities and no more.
    has_begun: bool,
}

impl Ids {
    /// Returns those of a sandbox whose first command is to be `user`.
    pub(super) fn new(user: &SandboxUser) -> Self {
        Self {
            table: Table::new(Credentials::of_user(user)),
            has_begun: false,
        }
    }

    /// Returns what a caller seems to be.
    pub(super) fn of(&mut self, caller: &Caller<'_>) -> Result<Arc<Credentials>, Errno> {
        self.table.of(caller.thread())
    }

    /// Answers a question about ids.
    pub(super) fn consider(
        &mut self,
        call: AskedCall,
        question: &Question,
        caller: &Caller<'_>,
    ) -> Result<Answer, Errno> {
        if !self.has_begun {
            return Ok(Answer::GoesOn);
        }
        let request = Request::new(call, question, caller);
        let held = self.of(caller)?;
        let outcome = self.decide(&held, &request)?;
        // What was read until now may have been of another one with the same number.
        caller.check()?;
        if let Some(becomes) = outcome.becomes.filter(|becomes| *becomes != *held) {
            self.table.give(caller.thread(), becomes)?;
        }
        Ok(outcome.answer)
    }

    /// Answers a question whether a program may be executed: by the kernel, and what its file makes of the caller is done
    /// before. `program` is `None` where the kernel will refuse, which changes nobody.
    pub(super) fn execute(
        &mut self,
        program: Option<Program>,
        caller: &Caller<'_>,
    ) -> Result<Answer, Errno> {
        self.has_begun = true;
        let Some(program) = program else {
            return Ok(Answer::GoesOn);
        };
        let held = self.of(caller)?;
        let becomes = held.executing(program)?;
        caller.check()?;
        if becomes != *held {
            self.table.give(caller.thread(), becomes)?;
        }
        Ok(Answer::GoesOn)
    }

    fn decide(&self, held: &Credentials, request: &Request<'_>) -> Decision {
        let users = |change| held.with_users(change).map(Outcome::becomes);
        let groups = |change| held.with_groups(change).map(Outcome::becomes);
        match request.name {
            "getuid" => Ok(identity::show(request, held.users.real)),
            "geteuid" => Ok(identity::show(request, held.users.effective)),
            "getgid" => Ok(identity::show(request, held.groups.real)),
            "getegid" => Ok(identity::show(request, held.groups.effective)),
            "getresuid" => identity::show_three(request, held.users),
            "getresgid" => identity::show_three(request, held.groups),
            "getgroups" => identity::show_further(held, request),
            "setuid" => users(identity::one(request)),
            "setgid" => groups(identity::one(request)),
            "setreuid" => users(identity::two(request)),
            "setregid" => groups(identity::two(request)),
            "setresuid" => users(identity::three(request)),
            "setresgid" => groups(identity::three(request)),
            "setfsuid" => identity::file_user(held, request),
            "setfsgid" => identity::file_group(held, request),
            "setgroups" => identity::set_further(held, request),
            "capget" => privilege::get(held, request),
            "capset" => privilege::set(held, request),
            "prctl" => privilege::control(held, request),
            "setrlimit" => limits::set(request),
            "prlimit64" => limits::exchange(request),
            "getsockopt" => peer::show(&self.table, request),
            _ => Err(Errno::ENOSYS),
        }
    }
}
