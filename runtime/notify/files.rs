//! Owners of files in a sandbox with one id: recorded when they are given, and shown when they are asked for.
//!
//! | Calls | Answer | In |
//! | --- | --- | --- |
//! | `stat` and its like | the kernel's, with what is recorded | `look.rs` |
//! | `chown` and its like | recorded | `give.rs` |
//! | `chmod` and its like | the kernel's, and recorded if anything is | `permit.rs` |
//! | `open`, `mkdir`, `symlink`, `mknod` | the kernel's, and recorded if not root's | `make.rs` |
//! | `getxattr` and its like | the kernel's, without records | `attributes.rs` |
//! | `execve` | the kernel's; what the file makes of the caller | `execute.rs` |
//! | `chroot` | the kernel's for who may; from then on roots are compared | here |
//!
//! What a record is, and how it ends in a layer, is `rootfs::OwnerRecord`'s. Where nothing is recorded of a file it is
//! root's, whose one id all files have, and the kernel answers: so it is with most files, and costs a look at the record.
//!
//! Nothing here is a wall. Every file is the caller's on disk, and what one user of the sandbox may do with files of
//! another one the kernel does not tell apart.

pub(super) mod acl;
mod attributes;
mod execute;
mod give;
mod layout;
mod look;
mod make;
mod permit;
mod place;
mod record;

use std::os::fd::{AsFd as _, BorrowedFd};

use caps::Capability;
use nix::errno::Errno;

use crate::executor::RecordedOwner;
use crate::notify::caller::Caller;
use crate::notify::files::record::Records;
use crate::notify::ids::{Ids, Program};
use crate::seccomp::AskedCall;
use crate::sys::notification::{self, Answer, Question};
use crate::sys::process;

/// The files of one sandbox.
#[derive(Debug)]
pub(super) struct Files {
    records: Records,
    /// Where the thread's root is.
    root: Root,
}

/// Whose root the supervisor's thread has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Root {
    /// Its own.
    #[default]
    Outside,
    /// That of all processes of the sandbox.
    Common,
    /// That of the last caller: some have changed theirs.
    Callers,
}

impl Files {
    /// Returns those of a root of which this is recorded.
    pub(super) fn new(recorded: &[RecordedOwner]) -> Self {
        Self {
            records: Records::new(recorded),
            root: Root::default(),
        }
    }

    /// Returns what is recorded of files that hold no attribute.
    pub(super) fn recorded(&self) -> Vec<RecordedOwner> {
        self.records.of_others()
    }

    /// Answers a question about a file.
    pub(super) fn consider(
        &mut self,
        call: AskedCall,
        question: &Question,
        (caller, ids, listener): (&Caller<'_>, &mut Ids, BorrowedFd<'_>),
    ) -> Result<Answer, Errno> {
        self.enter(caller)?;
        let arguments = &question.arguments;
        let records = &mut self.records;
        match call.name {
            name if name.contains("stat") => look::look(call, arguments, (records, caller)),
            name if name.ends_with("xattr") => {
                attributes::consider(name, arguments, (records, caller))
            }
            name if name.contains("chown") => {
                let credentials = ids.of(caller)?;
                give::give(call, arguments, (records, caller, &credentials))
            }
            name if name.contains("chmod") => {
                let credentials = ids.of(caller)?;
                permit::permit(name, arguments, (records, caller, &credentials))
            }
            name @ ("open" | "openat" | "openat2" | "creat") => {
                let credentials = ids.of(caller)?;
                let send = |file: BorrowedFd<'_>, closes_on_exec| {
                    let given =
                        notification::hand_over(listener, question.id, file, closes_on_exec);
                    given.map_err(|error| error.errno())
                };
                make::open(name, arguments, (records, caller, &credentials), send)
            }
            "chroot" if !ids.of(caller)?.may(Capability::CAP_SYS_CHROOT) => Err(Errno::EPERM),
            "chroot" => {
                self.root = Root::Callers;
                Ok(Answer::GoesOn)
            }
            name => {
                let credentials = ids.of(caller)?;
                make::make(name, arguments, (records, caller, &credentials))
            }
        }
    }

    /// Returns what the file that is to be executed makes of the caller, `None` where it cannot be.
    pub(super) fn program(
        &mut self,
        call: AskedCall,
        question: &Question,
        caller: &Caller<'_>,
    ) -> Option<Program> {
        let found = self.enter(caller).and_then(|()| {
            let looking = (&self.records, caller);
            execute::find(call.name, &question.arguments, looking)
        });
        // The kernel says what is wrong.
        found.ok().flatten()
    }

    /// Takes the caller's root, and `/proc` as working directory.
    fn enter(&mut self, caller: &Caller<'_>) -> Result<(), Errno> {
        if self.root == Root::Common {
            return Ok(());
        }
        let root = caller.root()?;
        process::change_root(root.as_fd(), caller.processes()).map_err(|error| error.errno())?;
        if self.root == Root::Outside {
            self.root = Root::Common;
        }
        Ok(())
    }

    /// Forgets whose root the thread has: somebody else is about to change it.
    pub(super) fn leave(&mut self) {
        if self.root == Root::Common {
            self.root = Root::Outside;
        }
    }
}
