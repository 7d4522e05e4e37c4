//! The sandbox: namespaces, mounts, ids, system call filter, execution. The only crate with
//! `unsafe` code, in `sys`.
//!
//! A program that uses this crate asks [`role()`] first thing in `main`, and fills a role with [`SandboxRole::take`].
//! Without one it is the first process and starts the builder with [`run_builder`], which calls
//! [`BuilderRole::enter`] and does its work.
//! See [`userns`] for the processes and who ends with whom.
//!
//! In the builder, [`mount_overlay`] makes the root of a step, [`Namespaces`] runs its command, and
//! [`binfmt::BinfmtInstance`] has programs of other processors started by their emulators. What to run on
//! what is decided above.

pub mod binfmt;
mod bytes;
mod cancel;
mod cgroup;
mod channel;
mod chroot;
mod conversation;
mod credentials;
mod executor;
mod features;
mod inbox;
mod init;
mod landlock;
mod memory;
mod mountpoint;
mod namespaces;
pub mod native;
mod network;
mod nothing;
mod notify;
mod overlay;
mod parent;
pub mod probe;
mod protocol;
mod rlimit;
mod role;
mod sealed;
mod seccomp;
mod spec;
mod starter;
mod stubs;
mod subtree;
mod sys;
mod terminal;
mod upper;
pub mod userns;

pub use cancel::{CancelReason, CancelToken};
pub use cgroup::{GroupError, GroupLimits};
pub use channel::ChannelError;
pub use chroot::Chroot;
pub use conversation::Talk;
pub use executor::{
    ExecError, Executor, ExecutorMode, MountObstacle, OutputSink, Protections, RecordedOwner,
    SpecificationError, Step, StepOutcome, Stream,
};
pub use features::KernelFeatures;
pub use inbox::SignalInbox;
pub use memory::memory_directory;
pub use namespaces::Namespaces;
pub use network::NetworkFailure;
pub use nix::errno::Errno;
pub use nix::sys::signal::Signal;
pub use nothing::NoExecutor;
pub use notify::Rehearsal;
pub use overlay::{
    LOWERS_LIMIT, OverlayError, OverlayOptions, Submounts, Upper, bind, bind_root, mount_overlay,
};
pub use protocol::{ExitStatus, InitFailure, SetupStep};
pub use rlimit::{LimitedResource, ResourceLimit};
pub use role::{BuilderRole, SandboxRole, role};
pub use spec::{
    Access, Confinement, DEFAULT_HOSTNAME, DEFAULT_SHARED_MEMORY_BYTES, Hostname, MountSource,
    MountSpec, NetworkMode, ProcSource, SandboxSpec, SandboxUser, SecretVariable, TargetKind,
    TerminalSize,
};
pub use starter::StarterError;
pub use stubs::populate as populate_stubs;
pub use subtree::{SubtreeError, subtree};
pub use sys::CallError;
pub use terminal::{RawTerminal, TerminalSettings, terminal_size};
pub use upper::{UpperError, boot_id, try_upper};
pub use userns::{Builder, BuilderCommand, BuilderError, BuilderExit, SignalsAre, run_builder};
