//! Landlock: a second wall around a sandbox, behind its namespaces and its filter.
//!
//! | What | Withheld | Since Linux |
//! | --- | --- | --- |
//! | abstract sockets | to connect to those that were made outside; an abstract socket has no file and no permissions, and daemons have trusted that (CVE-2020-15257) | 6.12 |
//! | signals | to processes outside, should one ever be seen | 6.12 |
//! | files | to write to, make, move or remove what is not below the sandbox's root, and to mount anything: a descriptor that leads out of the root is of no use for that (CVE-2024-21626, CVE-2019-5736) | 6.2 |
//!
//! Reading is not withheld: the kernel opens the emulator of a program for another processor in the name of whoever
//! starts that program, and the emulator is the machine's. Nor is anything withheld that the sandbox itself made or
//! that is mounted in it, since all of that is below its root.
//!
//! A domain belongs to a thread and to what it starts (`Documentation/userspace-api/landlock.rst`). PID 1 enters it, so
//! that commands may signal PID 1 as they may elsewhere.

use std::os::fd::{AsFd as _, BorrowedFd};

use serde::{Deserialize, Serialize};

use crate::executor::Protections;
use crate::spec::{Confinement, NetworkMode, SandboxSpec};
use crate::sys::{CallError, security};

/// Landlock's version that has the last right of [`WRITING`].
pub(crate) const VERSION_WITH_WRITING: i64 = 3;
/// Landlock's first version with scopes.
pub(crate) const VERSION_WITH_SCOPES: i64 = 6;

/// `LANDLOCK_ACCESS_FS_WRITE_FILE`; what removes and makes, of `REMOVE_DIR` up to `MAKE_SYM`; `REFER` and `TRUNCATE`.
/// Not among them: `EXECUTE`, `READ_FILE` and `READ_DIR`.
const WRITING: u64 = 1 << 1 | 0x1ff << 4 | 1 << 13 | 1 << 14;

/// [`WRITING`] and the three rights that are not among it.
const ALL: u64 = WRITING | 1 | 1 << 2 | 1 << 3;

/// What is withheld from a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Wall {
    /// Abstract sockets that were made outside.
    pub(crate) abstract_sockets: bool,
    /// Signals to what is outside.
    pub(crate) signals: bool,
    /// Writing outside of the root, and mounting.
    pub(crate) writing: bool,
    /// Reading and executing outside of the root too. Only with `writing`.
    pub(crate) reading: bool,
}

impl Wall {
    /// Returns what is withheld from a command, of what `protections` this machine has.
    pub(crate) fn around(spec: &SandboxSpec, protections: Protections) -> Self {
        Self {
            // A network namespace of its own has abstract sockets of its own.
            abstract_sockets: protections.abstract_sockets && spec.network == NetworkMode::Host,
            signals: protections.signals,
            // Where writing is withheld, nothing can be mounted either.
            writing: protections.writing && spec.confinement == Confinement::Container,
            reading: false,
        }
    }

    /// Returns what is withheld from a command that has nothing but another root directory: whoever is root there knows
    /// ways out of one. The kernel opens an emulator in the name of the command, so that one is let read.
    pub(crate) fn instead_of_namespaces(spec: &SandboxSpec, protections: Protections) -> Self {
        Self {
            abstract_sockets: protections.abstract_sockets,
            signals: protections.signals,
            writing: protections.writing,
            reading: protections.writing && !spec.is_emulated,
        }
    }

    /// Puts this thread and whatever it starts behind the wall, with `root` as all that it may write to.
    pub(crate) fn raise(self, root: BorrowedFd<'_>) -> Result<(), CallError> {
        if self == Self::default() {
            return Ok(());
        }
        let files = match (self.writing, self.reading) {
            (true, true) => ALL,
            (true, false) => WRITING,
            (false, _) => 0,
        };
        let ruleset = security::landlock_ruleset(files, self.scopes())?;
        if self.writing {
            security::landlock_allow_beneath(ruleset.as_fd(), root, files)?;
        }
        security::landlock_restrict(ruleset.as_fd())
    }

    fn scopes(self) -> u64 {
        let scopes = [
            (
                self.abstract_sockets,
                security::LANDLOCK_SCOPE_ABSTRACT_SOCKETS,
            ),
            (self.signals, security::LANDLOCK_SCOPE_SIGNALS),
        ];
        let wanted = scopes.iter().filter(|(wanted, _)| *wanted);
        wanted.fold(0, |all, (_, scope)| all | scope)
    }
}

#[cfg(test)]
mod tests;
