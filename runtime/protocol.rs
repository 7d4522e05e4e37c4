//! Every message between the builder and `init`, and between the first process and the builder.
//!
//! ```text
//! first process                         builder
//!      │ ◄──────────── Unshared ──────────── │   it has a user namespace without ids
//!      │ ───────────── Mapped(ids) ────────► │   the ids are there
//!      │ ───────────── Signal(number) ─────► │   as often as the user sends one
//!      │ ◄──────────── LacksId(id) ───────── │   or never: it ends, and another one begins
//!      ✕ closed: the other one is gone       ✕
//!
//! builder                               init
//!      │ ───── Setup + descriptors ────────► │   it unshares and forks
//!      │ ◄──── Isolated + pidfd ──────────── │   the child is PID 1
//!      │ ───── Proceed ────────────────────► │   PID 1 builds the root and starts the command
//!      │ ◄──── Asking + listener ─────────── │   the command's process has a filter that asks questions
//!      │ ◄──── Started + descriptors ─────── │   or
//!      │ ◄──── Failed(InitFailure) ───────── │   and nothing follows
//!      │ ───── Signal(number) ─────────────► │   as often as there is one for the command
//!      │ ◄──── Exited(status) ────────────── │   PID 1 ends, and the kernel all that is left with it
//!      ✕ closed: the other one is gone       ✕
//! ```
//!
//! Descriptors of `Setup`: the root, the user namespace and the network if there are such to join, what the command reads if it
//! reads anything, then those of the mounts. Descriptors of `Started`: two for each stub, the directory it is in
//! and the stub; then our end of the terminal, if there is one. `Asking` comes from the command's process itself, before
//! PID 1 has anything to say: `execve` may be what it asks about.

use std::fmt;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::bytes;
use crate::landlock::Wall;
use crate::spec::{ProcSource, SandboxSpec, TargetKind};
use crate::sys::CallError;
use crate::userns::IdMap;

/// From the builder to the first process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToFirst {
    Unshared,
    /// An id that a sandbox would need and this builder's range does not reach: the builder is about to end.
    LacksId(u32),
}

/// From the first process to the builder.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToBuilder {
    Mapped(IdMap),
    /// The number of a signal: the wish to end, unless a command is there that it is for.
    Signal(i32),
}

/// From the builder to `init`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToInit {
    Setup(Box<Setup>),
    Proceed,
    /// The number of a signal for the command.
    Signal(i32),
}

/// What `init` needs to know beside the specification.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) spec: SandboxSpec,
    pub(crate) ids: IdMap,
    /// Whether a user namespace to join is among the descriptors.
    pub(crate) joins_user_namespace: bool,
    /// Whether what the command reads is among the descriptors.
    pub(crate) has_input: bool,
    /// The limit on open files that the user was given; the builder raised its own.
    pub(crate) open_files: OpenFiles,
    /// What Landlock is to withhold.
    pub(crate) wall: Wall,
    /// Where its `/proc` is from.
    pub(crate) proc: ProcSource,
}

/// `RLIMIT_NOFILE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenFiles {
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

/// From `init` to the builder.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromInit {
    Isolated,
    /// The command's filter asks questions; the descriptor is where they come in.
    Asking,
    Started {
        stubs: Vec<StubRecord>,
    },
    Failed(InitFailure),
    Exited(Exit),
}

/// How a command ended, and what it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exit {
    pub(crate) status: ExitStatus,
    /// The resident size of the largest of its processes, in bytes.
    pub(crate) peak_bytes: u64,
}

/// A file or directory that was made for something to be mounted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StubRecord {
    #[serde(with = "bytes::one")]
    pub(crate) name: Vec<u8>,
    pub(crate) kind: TargetKind,
    /// When its directory was changed before the stub was made, and by that.
    pub(crate) changed_before: Time,
    pub(crate) changed_by_us: Time,
}

/// Seconds and nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Time {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: i64,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitStatus {
    /// By itself, with this code.
    Code(i32),
    /// By a signal of this number.
    Signal(i32),
}

/// Where the set-up of a sandbox failed: the step, the system call, and what the kernel said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitFailure {
    /// The step.
    pub step: SetupStep,
    /// The call with its arguments.
    pub call: String,
    /// The error number.
    pub errno: i32,
    /// Which mount of the specification it was.
    pub mount: Option<usize>,
}

impl InitFailure {
    pub(crate) fn new(step: SetupStep, error: &CallError) -> Self {
        Self {
            step,
            call: error.call().to_owned(),
            errno: error.errno() as i32,
            mount: None,
        }
    }

    /// Returns the failed call.
    pub fn to_call_error(&self) -> CallError {
        CallError::new(self.call.as_str(), Errno::from_raw(self.errno))
    }
}

macro_rules! setup_steps {
    ($($(#[$documentation:meta])* $step:ident = $name:literal,)*) => {
        /// The steps of setting a sandbox up, in their order, which the documentation of `init.rs`
        /// draws.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum SetupStep {
            $($(#[$documentation])* $step,)*
        }

        impl SetupStep {
            /// All steps, in their order.
            pub const ALL: &[Self] = &[$(Self::$step,)*];

            /// Returns what the step does, in a few words.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$step => $name,)*
                }
            }
        }
    };
}

setup_steps! {
    /// The network that the build has of its own is joined, if the command is to have that.
    Network = "join the network of commands",
    /// The user namespace of commands is joined.
    UserNamespace = "join the user namespace of commands",
    /// The sandbox's own namespaces are made.
    Namespaces = "make the other namespaces",
    /// Mounts are made private.
    PrivateMounts = "make mounts private",
    /// The root is mounted.
    Root = "mount the root",
    /// `/proc` is mounted.
    Proc = "mount /proc",
    /// `/dev` is mounted and filled.
    Dev = "mount /dev",
    /// `/sys` is mounted, if the sandbox has its own network.
    Sys = "mount /sys",
    /// The mounts of the specification are mounted.
    Mounts = "mount what the step asks for",
    /// Files of the kernel are hidden or made read-only.
    MaskedPaths = "mask paths",
    /// The root becomes the root directory, and the old one is gone.
    Pivot = "change the root directory",
    /// The root is made read-only, if that is asked for.
    RootAccess = "close the root to writing",
    /// Loopback is switched on, if the sandbox has its own network.
    Loopback = "switch loopback on",
    /// The host name is set.
    Hostname = "set the host name",
    /// Landlock withholds what is outside of the sandbox.
    Landlock = "raise a second wall",
    /// The command's process is made.
    Fork = "start a process",
    /// The command's process leaves the terminal for one of its own or none, gets what it is to read, and has
    /// no signal blocked or ignored.
    Session = "leave the terminal",
    /// All descriptors but the standard streams close at the end.
    Descriptors = "close descriptors",
    /// The bounding set is made small.
    BoundingSet = "limit the bounding set",
    /// Groups, group id and user id are taken; capabilities are kept for now.
    Identity = "change user",
    /// The keys of the user's session are left behind.
    Keyring = "leave the keys of the session",
    /// System calls are filtered.
    Seccomp = "filter system calls",
    /// Limits are those of the user, or those asked for.
    Limits = "set limits",
    /// The working directory is entered.
    WorkingDirectory = "enter the working directory",
    /// The final capabilities are set.
    Capabilities = "set capabilities",
    /// The command is executed.
    Execute = "execute the command",
}

impl fmt::Display for SetupStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "status {code}"),
            Self::Signal(number) => match nix::sys::signal::Signal::try_from(*number) {
                Ok(signal) => write!(formatter, "signal {number} ({signal})"),
                Err(_) => write!(formatter, "signal {number}"),
            },
        }
    }
}
