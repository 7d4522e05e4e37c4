//! Which of our processes this one is.
//!
//! The program starts itself again for everything that has to be done in another namespace, so that
//! no code of ours runs in a copy of a process with threads (`ARCHITECTURE.md`, "Processes and
//! privileges"). A private first argument names the role. It is no interface: whoever gives it by
//! hand gets an error, and no right that the user does not have.

use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use crate::starter;
use crate::sys::{process, signal};

/// What a role argument begins with.
const PREFIX: &str = "--careen-role=";

/// This program, whatever has become of its file since it was started.
pub(crate) const THIS_PROGRAM: &std::ffi::CStr = c"/proc/self/exe";

/// What the kernel is told that it is called.
pub(crate) const PROGRAM_NAME: &std::ffi::CStr = c"careen";

/// What the kernel is told that a process is called that sets a sandbox up: its arguments are those of the starter.
pub(crate) const INIT_NAME: &std::ffi::CStr = c"careen-init";

/// A process of ours other than the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Does the work, as root of a user namespace.
    Builder(BuilderRole),
    /// Starts what sandboxes begin with.
    Sandbox(SandboxRole),
}

/// The role of the builder: to be entered before anything else is done.
///
/// See [`crate::userns`]; [`BuilderRole::enter`] is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuilderRole {
    /// The number of the socket to the first process.
    pub(crate) control: RawFd,
}

/// The roles that this crate fills itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxRole {
    /// Makes the processes that sandboxes begin with, by copying itself.
    Starter,
}

/// Returns the role that `arguments` give, the name of the program being the first of them. Whatever it is, this process
/// can wait for those that it starts from here on.
///
/// ```
/// let arguments = ["careen".into(), "build".into()];
/// assert_eq!(runtime::role(&arguments), None);
/// ```
pub fn role(arguments: &[OsString]) -> Option<Role> {
    // The kernel refuses that for SIGKILL and SIGSTOP alone.
    signal::hear_of_children().unwrap_or_default();
    let name = arguments.get(1)?.to_str()?.strip_prefix(PREFIX)?;
    if name == "starter" {
        return Some(Role::Sandbox(SandboxRole::Starter));
    }
    let control = name.strip_prefix("builder:")?.parse().ok()?;
    Some(Role::Builder(BuilderRole { control }))
}

impl BuilderRole {
    /// Returns the argument that gives this role.
    pub(crate) fn argument(self) -> OsString {
        format!("{PREFIX}builder:{}", self.control).into()
    }
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
            Self::Starter => starter::serve(),
        }
    }

    /// Returns the command that starts this program in this role, with no environment and in a
    /// process group of its own: what the terminal sends to the foreground is not for it.
    pub(crate) fn command(self) -> Command {
        let name = match self {
            Self::Starter => "starter",
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "runtime starts this program again"
        )]
        let mut command = Command::new(OsStr::new("/proc/self/exe"));
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
        let builder = |control| Some(Role::Builder(BuilderRole { control }));
        let cases: [(&[&str], Option<Role>); 9] = [
            (&[], None),
            (&["careen"], None),
            (&["careen", "build", "--careen-role=starter"], None),
            (
                &["careen", "--careen-role=starter"],
                Some(Role::Sandbox(SandboxRole::Starter)),
            ),
            (&["careen", "--careen-role=init"], None),
            (&["careen", "--careen-role=builder:7", "build"], builder(7)),
            (&["careen", "--careen-role=builder"], None),
            (&["careen", "--careen-role=builder:x"], None),
            (&["careen", "--careen-role=cook"], None),
        ];
        for (arguments, expected) in cases {
            let words: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            assert_eq!(role(&words), expected, "{arguments:?}");
        }
    }

    #[test]
    fn the_builders_argument_gives_its_role() {
        let builder = BuilderRole { control: 12 };
        assert_eq!(
            role(&["careen".into(), builder.argument()]),
            Some(Role::Builder(builder))
        );
    }
}
