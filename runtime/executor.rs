//! The trait behind which commands run, whatever this machine allows.

use std::fmt;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use rootfs::{FileTime, OwnerRecord};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::cancel::CancelToken;
use crate::cgroup::{GroupError, GroupLimits};
use crate::channel::ChannelError;
use crate::conversation::Talk;
use crate::features::KernelFeatures;
use crate::network::NetworkFailure;
use crate::protocol::{ExitStatus, InitFailure, SetupStep};
use crate::seccomp;
use crate::spec::SandboxSpec;
use crate::starter::StarterError;
use crate::sys::CallError;
use crate::userns::NamespaceError;

/// What isolates commands, and which ids they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ExecutorMode {
    /// A user namespace with a range of ids; container root is not the caller.
    UsernsMulti,
    /// A user namespace with one id; container root is the caller.
    UsernsSingle,
    /// No namespace at all: another root directory. Container root is the caller, who is root.
    Chroot,
    /// No commands can be run, and no namespace can be made. Owners are recorded, as with one id.
    Nothing,
}

impl fmt::Display for ExecutorMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UsernsMulti => "userns-multi",
            Self::UsernsSingle => "userns-single",
            Self::Chroot => "chroot",
            Self::Nothing => "none",
        })
    }
}

/// Runs commands in sandboxes.
pub trait Executor: fmt::Debug + Send + Sync {
    /// Returns what isolates the commands.
    fn mode(&self) -> ExecutorMode;

    /// Returns which optional protections the commands have.
    fn protections(&self) -> Protections;

    /// Starts to connect the network that the commands of this build share ([`NetworkMode::Sandbox`]), unless that
    /// was begun already. It takes some hundredths of a second, in which other things can be done.
    ///
    /// [`NetworkMode::Sandbox`]: crate::NetworkMode::Sandbox
    fn begin_network(&self) {}

    /// Waits until commands can have that network.
    ///
    /// # Errors
    ///
    /// Fails when there is nothing that connects it, or that does not succeed.
    fn await_network(&self, _cancel: &CancelToken) -> Result<(), Arc<NetworkFailure>> {
        Err(Arc::new(NetworkFailure::Unsupported))
    }

    /// Tells that no command runs that could have that network, and that perhaps none will: it is ended while other
    /// things are done.
    fn end_network(&self) {}

    /// Finds where the commands of this build can have control groups with such limits: below `parent`, a path from the
    /// root of the hierarchy, or the nearest group that can be divided.
    ///
    /// Must be called before the first command runs, if one is to have such limits.
    ///
    /// # Errors
    ///
    /// Fails when no group can be divided; then nothing can be limited so.
    fn find_groups(&self, _limits: &GroupLimits, _parent: Option<&str>) -> Result<(), GroupError> {
        Err(GroupError::Unsupported)
    }

    /// Tells whether commands can be run at all.
    ///
    /// # Errors
    ///
    /// Fails with what [`run`](Self::run) would fail with, whatever the command.
    fn check(&self) -> Result<(), ExecError> {
        Ok(())
    }

    /// Runs one command to its end. Every process that it started is gone when this returns.
    ///
    /// # Errors
    ///
    /// Fails when the sandbox cannot be set up, the command cannot be executed, or the wait was
    /// cancelled. A command that ran and failed is no error: see [`StepOutcome::status`].
    fn run(&self, step: Step<'_>) -> Result<StepOutcome, ExecError>;
}

/// One command to run.
pub struct Step<'s> {
    /// What it is and what it sees.
    pub spec: &'s SandboxSpec,
    /// Its root: a detached mount, as [`crate::mount_overlay`] makes it.
    pub root: BorrowedFd<'s>,
    /// The detached mounts that the specification refers to.
    pub mounts: Vec<OwnedFd>,
    /// Where its output goes, as it comes.
    pub output: &'s mut dyn OutputSink,
    /// Who talks to it, if anybody does.
    pub talk: Option<Talk<'s>>,
    /// What ends it early.
    pub cancel: &'s CancelToken,
    /// Owners of files in the root and the mounts that can hold no attribute, where there is one id.
    pub recorded: Vec<RecordedOwner>,
}

/// Who a file belongs to that can hold no attribute: a symbolic link, a pipe or a socket of a root or a mount, or a file
/// in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedOwner {
    /// The file system that it is on, as files in the root show it.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// When it was made, since numbers are used again. `None` of a file whose number nobody else gets: one of the layers
    /// below, which may be copied up; and where the file system does not know.
    pub born: Option<FileTime>,
    /// Its owner.
    pub record: OwnerRecord,
}

impl fmt::Debug for Step<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Step")
            .field("spec", self.spec)
            .finish_non_exhaustive()
    }
}

/// Which stream of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Takes what a command prints, in pieces of any length.
pub trait OutputSink {
    /// Takes the next piece of a stream.
    fn write(&mut self, stream: Stream, chunk: &[u8]);

    /// Tells whether a stream still goes anywhere. One that does not is closed, which the command notices.
    fn is_open(&self, _stream: Stream) -> bool {
        true
    }
}

impl<F: FnMut(Stream, &[u8])> OutputSink for F {
    fn write(&mut self, stream: Stream, chunk: &[u8]) {
        self(stream, chunk);
    }
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepOutcome {
    /// How it ended.
    pub status: ExitStatus,
    /// How long it took, its sandbox included.
    pub duration: Duration,
    /// The resident size of the largest of its processes, in bytes; 0 if that is not known.
    pub peak_bytes: u64,
    /// Whether the kernel ended a process of it because the memory of its control group was used up.
    pub ran_out_of_memory: bool,
    /// Owners of files that can hold no attribute: those that there were, and what the command changed.
    pub recorded: Vec<RecordedOwner>,
}

/// Optional protections, and whether they are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protections {
    /// System calls are filtered. Not so on a processor without a table of calls.
    pub seccomp: bool,
    /// Abstract sockets of the host cannot be reached, even with the host's network.
    pub abstract_sockets: bool,
    /// Processes outside cannot be signalled, even if one were seen.
    pub signals: bool,
    /// A command in a container's confinement can write to nothing outside of its root, even if a descriptor led there.
    pub writing: bool,
}

impl Protections {
    /// Returns those that a kernel with these features gives.
    pub(crate) fn of(features: KernelFeatures) -> Self {
        Self {
            seccomp: seccomp::is_supported(),
            abstract_sockets: features.landlock_scopes,
            signals: features.landlock_scopes,
            writing: features.landlock_writing,
        }
    }
}

/// Why a command did not run.
#[derive(Debug, Error)]
pub enum ExecError {
    /// This machine allows no way to run commands.
    #[error("no command can be run on this machine")]
    Nothing {
        /// What is in the way of each mode, a line each.
        obstacles: Vec<String>,
    },
    /// The specification cannot be meant.
    #[error("run a command: {0}")]
    Specification(SpecificationError),
    /// There is no user namespace for commands.
    #[error("prepare the namespaces of commands")]
    Namespace(#[source] NamespaceError),
    /// The sandbox's process could not be made.
    #[error(transparent)]
    Starter(StarterError),
    /// The sandbox's output could not be read.
    #[error("start a sandbox")]
    Start(#[source] std::io::Error),
    /// The kernel refused a call to the sandbox's process.
    #[error("watch a sandbox")]
    Watch(#[source] CallError),
    /// The sandbox's process could not be talked to.
    #[error("talk to a sandbox")]
    Talk(#[source] ChannelError),
    /// There is no network of the build's own.
    #[error("connect a network for a sandbox")]
    Network(#[source] Arc<NetworkFailure>),
    /// Its control group could not be made.
    #[error("limit what a command uses")]
    Group(#[source] GroupError),
    /// The sandbox could not be set up.
    #[error("set up a sandbox: {step}")]
    Setup {
        /// The step that failed.
        step: SetupStep,
        /// The call that failed.
        source: CallError,
    },
    /// A mount of the specification could not be put into its place.
    #[error("mount on `{target}`")]
    Mount {
        /// Its target.
        target: String,
        /// What stands in the way.
        obstacle: MountObstacle,
        /// The call that failed.
        source: CallError,
    },
    /// There is no such program in the sandbox.
    #[error("find the program `{command}` in the sandbox")]
    CommandNotFound {
        /// The first argument.
        command: String,
        /// The call that failed.
        source: CallError,
    },
    /// There is such a program, and the kernel does not execute it.
    #[error("execute `{command}` in the sandbox")]
    CommandNotExecutable {
        /// The first argument.
        command: String,
        /// The call that failed.
        source: CallError,
    },
    /// What was made in the root for mounts could not be removed from it.
    #[error("remove the mount points of a sandbox")]
    CleanUp(#[source] CallError),
    /// The sandbox's process ended before the command did.
    #[error("run a command: the sandbox was ended from outside")]
    Lost,
    /// The kernel ended the sandbox's process, since the memory of its control group was used up.
    #[error("run a command: the sandbox had used up the memory that it was given")]
    OutOfMemory,
    /// The wait was cancelled, and the sandbox with it.
    #[error("run a command: cancelled")]
    Cancelled,
}

/// What stands in the way of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountObstacle {
    /// Its place is missing, in a mount that cannot be written.
    ReadOnly,
    /// A directory is to be mounted and its place is none, or the way to it leads through something else.
    NotADirectory,
    /// A file is to be mounted and its place is a directory.
    IsADirectory,
    /// Something that is not its target's fault.
    Other,
}

impl MountObstacle {
    fn of(errno: Errno) -> Self {
        match errno {
            Errno::EROFS => Self::ReadOnly,
            Errno::ENOTDIR => Self::NotADirectory,
            Errno::EISDIR => Self::IsADirectory,
            _ => Self::Other,
        }
    }
}

/// Why a specification cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SpecificationError {
    /// There is no command.
    #[error("there is no command")]
    NoCommand,
    /// A text has a zero byte, which no system call takes.
    #[error("{what} has a zero byte")]
    ZeroByte {
        /// Which text.
        what: &'static str,
    },
    /// The working directory is not an absolute path.
    #[error("the working directory is not an absolute path")]
    RelativeWorkingDirectory,
    /// The user or one of the groups does not exist in the sandbox.
    #[error("id {id} is not among the {count} ids of the sandbox")]
    UnmappedId {
        /// The id.
        id: u32,
        /// How many ids there are, counted from 0.
        count: u32,
    },
    /// With one id, the two limits of time under real-time scheduling are not the same.
    #[error("with one id, the soft limit `rttime` has to be the hard one")]
    RealTimeLimits,
    /// A mount refers to a descriptor that was not passed.
    #[error("mount {index} was not passed; {passed} were")]
    NoSuchMount {
        /// The index.
        index: usize,
        /// How many there are.
        passed: usize,
    },
    /// Two mounts refer to one descriptor: a detached mount can be attached once.
    #[error("mount {index} is used twice")]
    MountUsedTwice {
        /// The index.
        index: usize,
    },
    /// It needs a namespace of its own, and this machine allows none.
    #[error("{what} needs a namespace, and this machine allows none")]
    NeedsNamespace {
        /// What does.
        what: &'static str,
    },
    /// More mounts were passed than can be handed over.
    #[error("{passed} mounts were passed; {limit} can be")]
    TooManyMounts {
        /// How many there are.
        passed: usize,
        /// How many there can be.
        limit: usize,
    },
}

impl ExecError {
    /// Makes the error of a set-up that failed, with the command's own failures told apart.
    pub(crate) fn from_failure(failure: &InitFailure, spec: &SandboxSpec) -> Self {
        let source = failure.to_call_error();
        let command = spec
            .arguments
            .first()
            .map(|word| String::from_utf8_lossy(word).into_owned());
        let command = command.unwrap_or_default();
        match (failure.step, source.errno()) {
            (SetupStep::Execute, Errno::ENOENT | Errno::ENOTDIR) => {
                Self::CommandNotFound { command, source }
            }
            (SetupStep::Execute, _) => Self::CommandNotExecutable { command, source },
            (SetupStep::Mounts, _) => {
                match failure.mount.and_then(|index| spec.mounts.get(index)) {
                    Some(mount) => Self::Mount {
                        target: String::from_utf8_lossy(&mount.target).into_owned(),
                        obstacle: MountObstacle::of(source.errno()),
                        source,
                    },
                    None => Self::Setup {
                        step: failure.step,
                        source,
                    },
                }
            }
            (step, _) => Self::Setup { step, source },
        }
    }

    /// Returns the code with which a shell would tell of this error: 127 for a command that was not
    /// found, 126 for one that is not executable, `None` for what is not the command's fault.
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Self::CommandNotFound { .. } => Some(127),
            Self::CommandNotExecutable { .. } => Some(126),
            _ => None,
        }
    }
}
