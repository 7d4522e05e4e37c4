//! Which of our processes this one is.
//!
//! Everything that has to be done in another namespace is done by another process. What the first process starts
//! is a copy of it, made while it has one thread. The builder has several, and no code of ours runs in a copy of such
//! a process (`ARCHITECTURE.md`, "Processes and privileges"): it starts the program again, with a private first
//! argument that names the role. It is no interface: whoever gives it by hand gets an error, and no right that the
//! user does not have.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::executor::ExecutorMode;
use crate::starter;
use crate::sys::{process, signal};

/// What a role argument begins with.
const PREFIX: &str = "--careen-role=";

/// What [`SandboxRole::Starter`] is called there, by the ids of its sandboxes.
const STARTERS: [(&str, ExecutorMode); 3] = [
    ("starter", ExecutorMode::UsernsMulti),
    ("starter-single", ExecutorMode::UsernsSingle),
    ("starter-chroot", ExecutorMode::Chroot),
];

/// The first argument of a first process that began again ([`crate::userns::Alone`]).
pub(crate) const BEGUN_AGAIN: &str = "--careen-role=first";

/// This program, whatever has become of its file since it was started.
pub(crate) const THIS_PROGRAM: &std::ffi::CStr = c"/proc/self/exe";

/// What the kernel is told that it is called.
pub(crate) const PROGRAM_NAME: &std::ffi::CStr = c"careen";

/// What the kernel is told that the builder is called: its arguments are those of the first process.
pub(crate) const BUILDER_NAME: &std::ffi::CStr = c"careen-builder";

/// What the kernel is told that a process is called that sets a sandbox up: its arguments are those of the starter.
pub(crate) const INIT_NAME: &std::ffi::CStr = c"careen-init";

/// The role of the builder: to be entered before anything else is done.
///
/// See [`crate::userns`]; [`BuilderRole::enter`] is there.
#[derive(Debug)]
pub struct BuilderRole {
    /// The socket to the first process.
    pub(crate) control: OwnedFd,
    /// Whether it is to make some.
    pub(crate) namespaces: OwnNamespaces,
}

/// Whether the builder has namespaces of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnNamespaces {
    /// Of users and of mounts.
    Yes,
    /// The kernel refuses them.
    No,
}

/// The roles that this crate fills itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxRole {
    /// Makes the processes that sandboxes with such ids begin with, by copying itself.
    Starter(ExecutorMode),
}

/// Returns the role that `arguments` give, the name of the program being the first of them. Whatever it is, this process
/// can wait for those that it starts from here on.
///
/// ```
/// let arguments = ["careen".into(), "build".into()];
/// assert_eq!(runtime::role(&arguments), None);
/// ```
pub fn role(arguments: &[OsString]) -> Option<SandboxRole> {
    // The kernel refuses that for SIGKILL and SIGSTOP alone.
    signal::hear_of_children().unwrap_or_default();
    let name = arguments.get(1)?.to_str()?.strip_prefix(PREFIX)?;
    let starter = STARTERS.into_iter().find(|(other, _)| *other == name);
    starter.map(|(_, mode)| SandboxRole::Starter(mode))
}

impl SandboxRole {
    /// Fills the role. The process is to end with what this returns, at once.
    ///
    /// Must be called before the process has a second thread.
    pub fn take(self) -> ExitCode {
        if process::set_name(PROGRAM_NAME).is_err() {
            return ExitCode::FAILURE;
        }
        match self {
            Self::Starter(mode) => starter::serve(mode),
        }
    }

    /// Returns the command that starts this program, which is at `program`, in this role, with no environment and in a
    /// process group of its own: what the terminal sends to the foreground is not for it.
    pub(crate) fn command(self, program: &Path) -> Command {
        let Self::Starter(mode) = self;
        let mut names = STARTERS.into_iter().filter(|(_, other)| *other == mode);
        let name = names.next().map(|(name, _)| name).unwrap_or_default();
        #[expect(
            clippy::disallowed_methods,
            reason = "runtime starts this program again"
        )]
        let mut command = Command::new(program);
        command
            .arg0("careen")
            .arg(format!("{PREFIX}{name}"))
            .env_clear()
            .process_group(0);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_named_by_the_first_argument_alone() {
        let starter = Some(SandboxRole::Starter(ExecutorMode::UsernsMulti));
        let single = Some(SandboxRole::Starter(ExecutorMode::UsernsSingle));
        let chroot = Some(SandboxRole::Starter(ExecutorMode::Chroot));
        let cases: [(&[&str], Option<SandboxRole>); 8] = [
            (&[], None),
            (&["careen"], None),
            (&["careen", "build", "--careen-role=starter"], None),
            (&["careen", "--careen-role=starter"], starter),
            (&["careen", "--careen-role=starter-single"], single),
            (&["careen", "--careen-role=starter-chroot"], chroot),
            (&["careen", "--careen-role=init"], None),
            (&["careen", "--careen-role=builder:7", "build"], None),
        ];
        for (arguments, expected) in cases {
            let words: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            assert_eq!(role(&words), expected, "{arguments:?}");
        }
    }
}
