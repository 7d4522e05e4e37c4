//! What was tried, and what the kernel said.

use std::collections::BTreeMap;
use std::fmt;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::executor::ExecutorMode;
use crate::sys::CallError;

/// What a build asks of the kernel, one thing each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Primitive {
    /// A new user namespace with a mount namespace.
    UserNamespace,
    /// The ids of the plan in it.
    Ids,
    /// Mounts that nobody else sees.
    PrivateMounts,
    /// Directories in memory.
    MemoryDirectory,
    /// overlayfs with `userxattr`.
    Overlay,
    /// The upper directory of an overlay where the store is.
    Upper,
    /// Namespaces of processes, of host names and of communication for each step.
    StepNamespaces,
    /// A host name of such a namespace.
    HostName,
    /// A new `/proc` of such a namespace.
    FreshProc,
    /// The outer `/proc` in its place.
    OuterProc,
    /// A namespace of the network.
    NetworkNamespace,
    /// A user namespace below the first.
    NestedNamespace,
    /// A filter of system calls.
    Filter,
    /// A filter that asks a supervisor.
    Questions,
    /// `binfmt_misc` of one's own.
    Emulators,
    /// Another root directory.
    ChangeRoot,
    /// Other users and groups.
    ChangeUser,
    /// Files of other users.
    ChangeOwner,
    /// Device nodes that work.
    DeviceNodes,
}

/// What came of trying one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// It can be done.
    Works,
    /// It was refused.
    Refused {
        /// What was called, or what a helper said.
        call: String,
        /// The number of the error, where the kernel gave one.
        errno: Option<i32>,
    },
}

/// Which ids a trial is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrialKind {
    /// A new user namespace with the caller and a range.
    IdRange,
    /// A new user namespace with the caller alone.
    OneId,
    /// Those that there are.
    OwnIds,
}

/// What was found with one set of ids. What is not in it was not reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Trial {
    /// By what was tried.
    pub findings: BTreeMap<Primitive, Finding>,
}

/// All that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostReport {
    /// By the ids that it was tried with.
    pub trials: BTreeMap<TrialKind, Trial>,
}

impl Primitive {
    /// Returns what is tried, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::UserNamespace => "user namespace",
            Self::Ids => "ids in it",
            Self::PrivateMounts => "private mounts",
            Self::MemoryDirectory => "directories in memory",
            Self::Overlay => "overlayfs",
            Self::Upper => "overlays in the store",
            Self::StepNamespaces => "namespaces of a step",
            Self::HostName => "host name",
            Self::FreshProc => "new /proc",
            Self::OuterProc => "outer /proc",
            Self::NetworkNamespace => "network namespace",
            Self::NestedNamespace => "nested user namespace",
            Self::Filter => "filter of system calls",
            Self::Questions => "questions of the filter",
            Self::Emulators => "binfmt_misc",
            Self::ChangeRoot => "chroot",
            Self::ChangeUser => "other users",
            Self::ChangeOwner => "files of other users",
            Self::DeviceNodes => "device nodes",
        }
    }
}

impl Finding {
    /// Makes it of a call's result.
    pub(super) fn of(result: Result<(), CallError>) -> Self {
        match result {
            Ok(()) => Self::Works,
            Err(error) => Self::Refused {
                call: error.call().to_owned(),
                errno: Some(error.errno() as i32),
            },
        }
    }

    /// Tells whether it can be done.
    pub fn works(&self) -> bool {
        *self == Self::Works
    }

    /// Returns the error that the kernel gave, if it gave one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { errno, .. } => errno.map(Errno::from_raw),
            Self::Works => None,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works => formatter.write_str("works"),
            Self::Refused { call, .. } => match self.errno() {
                Some(errno) => write!(formatter, "{call}: {}", errno.desc()),
                None => formatter.write_str(call),
            },
        }
    }
}

impl TrialKind {
    /// All, in the order of preference.
    pub const ALL: [Self; 3] = [Self::IdRange, Self::OneId, Self::OwnIds];

    /// Returns the mode that needs these ids.
    pub fn mode(self) -> ExecutorMode {
        match self {
            Self::IdRange => ExecutorMode::UsernsMulti,
            Self::OneId => ExecutorMode::UsernsSingle,
            Self::OwnIds => ExecutorMode::Chroot,
        }
    }
}

impl Trial {
    /// Notes what came of trying one thing.
    pub(super) fn note(&mut self, primitive: Primitive, result: Result<(), CallError>) {
        self.findings.insert(primitive, Finding::of(result));
    }

    /// Tells whether one thing was tried and can be done.
    pub fn has(&self, primitive: Primitive) -> bool {
        self.findings.get(&primitive).is_some_and(Finding::works)
    }

    /// Tells whether commands can be run in `mode`.
    pub fn allows(&self, mode: ExecutorMode) -> bool {
        self.obstacle(mode).is_none()
    }

    /// Returns the first thing that `mode` needs and that cannot be done.
    pub fn obstacle(&self, mode: ExecutorMode) -> Option<Primitive> {
        let missing = |alternatives: &&&[Primitive]| {
            !alternatives.iter().any(|primitive| self.has(*primitive))
        };
        let missing = needs(mode).iter().find(missing)?;
        missing.first().copied()
    }
}

/// Returns what a mode needs, in the order in which it is tried; one of several where they stand together.
fn needs(mode: ExecutorMode) -> &'static [&'static [Primitive]] {
    match mode {
        ExecutorMode::UsernsMulti => &[
            &[Primitive::UserNamespace],
            &[Primitive::Ids],
            &[Primitive::PrivateMounts],
            &[Primitive::MemoryDirectory],
            &[Primitive::NestedNamespace],
            &[Primitive::StepNamespaces],
            &[Primitive::FreshProc, Primitive::OuterProc],
        ],
        ExecutorMode::UsernsSingle => &[
            &[Primitive::UserNamespace],
            &[Primitive::Ids],
            &[Primitive::PrivateMounts],
            &[Primitive::MemoryDirectory],
            &[Primitive::StepNamespaces],
            &[Primitive::FreshProc, Primitive::OuterProc],
        ],
        ExecutorMode::Chroot => &[
            &[Primitive::ChangeRoot],
            &[Primitive::ChangeUser],
            &[Primitive::ChangeOwner],
            &[Primitive::DeviceNodes],
        ],
        ExecutorMode::Nothing => &[],
    }
}
