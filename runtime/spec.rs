//! [`SandboxSpec`]: everything the sandbox is told.
//!
//! It holds values only. Descriptors that the values refer to travel beside it, in the order of
//! [`crate::Step::mounts`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bytes;
use crate::cgroup::GroupLimits;
use crate::rlimit::ResourceLimit;

/// The host name that a build has under `BuildKit`. It is the same everywhere, so that it can be
/// part of no result.
pub const DEFAULT_HOSTNAME: &str = "buildkitsandbox";

/// How much `/dev/shm` holds where nothing else is asked for: 64 MiB, as with other builders.
pub const DEFAULT_SHARED_MEMORY_BYTES: u64 = 64 << 20;

/// One command and what it sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxSpec {
    /// The command and its arguments. A command without a slash is looked for in the `PATH` of
    /// [`environment`](Self::environment).
    #[serde(with = "bytes::list")]
    pub arguments: Vec<Vec<u8>>,
    /// The whole environment, each entry as `NAME=value`. Nothing is added.
    #[serde(with = "bytes::list")]
    pub environment: Vec<Vec<u8>>,
    /// More of the environment, which nothing shows. The names are none of the above.
    pub secret_environment: Vec<SecretVariable>,
    /// Where the command starts: an absolute path. A directory that is missing is made there,
    /// below the mounts too.
    #[serde(with = "bytes::one")]
    pub working_directory: Vec<u8>,
    /// Whom the command runs as.
    pub user: SandboxUser,
    /// The host name it sees.
    pub hostname: Hostname,
    /// The network it has.
    pub network: NetworkMode,
    /// What is mounted over the root, in this order.
    pub mounts: Vec<MountSpec>,
    /// What it is kept from.
    pub confinement: Confinement,
    /// The size of `/dev/shm` in bytes.
    pub shared_memory_bytes: u64,
    /// Limits that it has instead of those of this process, each resource once.
    pub limits: Vec<ResourceLimit>,
    /// What its processes may use together, by a control group of its own if it is to have one. Only for what [`crate::Executor::find_groups`] found groups for.
    pub group: Option<GroupLimits>,
    /// What it may do with the root itself. What is mounted below has an access of its own.
    pub root_access: Access,
    /// Whether its programs are run by an emulator of the machine's.
    pub is_emulated: bool,
    /// Whether its standard streams are one terminal, and how large that is at first. Without one, it has two
    /// pipes to write to.
    pub terminal: Option<TerminalSize>,
}

/// How large a terminal is, in characters. 0 is for what nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TerminalSize {
    /// How many lines it has.
    pub rows: u16,
    /// How many characters a line has.
    pub columns: u16,
}

/// What a command is kept from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Confinement {
    /// It has the capabilities of a container, its system calls are filtered, and files of the
    /// kernel are masked.
    Container,
    /// Nothing that its own user namespace allows: it has all capabilities there whatever its user,
    /// no filter, nothing masked, and further devices. What belongs to the machine stays out of
    /// reach: no capability counts outside of the namespace, and abstract sockets are withheld all
    /// the same.
    Namespace,
}

/// Where the `/proc` of a sandbox is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ProcSource {
    /// A new one, which shows the sandbox's processes alone.
    #[default]
    Fresh,
    /// The one that the builder sees, with all that is mounted over parts of it. For where such parts are hidden from
    /// the builder: the kernel gives no whole one then (`mount_too_revealing` in `fs/namespace.c`).
    Outer,
}

/// A variable whose value is a secret, as `NAME=value`. Its debug form is without the value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretVariable(#[serde(with = "bytes::one")] Vec<u8>);

impl SecretVariable {
    /// Makes a variable.
    pub fn new(name: &[u8], value: &[u8]) -> Self {
        Self([name, b"=", value].concat())
    }

    /// Returns `NAME=value`.
    pub(crate) fn entry(&self) -> &[u8] {
        &self.0
    }

    /// Returns the name.
    pub fn name(&self) -> &[u8] {
        self.split().0
    }

    /// Returns the value.
    pub fn value(&self) -> &[u8] {
        self.split().1
    }

    fn split(&self) -> (&[u8], &[u8]) {
        let at = self.0.iter().position(|byte| *byte == b'=');
        let (name, rest) = self.0.split_at(at.unwrap_or(self.0.len()));
        (name, rest.strip_prefix(b"=").unwrap_or_default())
    }
}

impl fmt::Debug for SecretVariable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}=****", String::from_utf8_lossy(self.name()))
    }
}

/// Ids inside the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SandboxUser {
    /// The user id.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// Further groups. The group id is one of the groups whether it is named here or not: a process
    /// must not leave its own group by a set-group-id program (CVE-2022-2990).
    pub groups: Vec<u32>,
}

/// Which network a command has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkMode {
    /// That of this machine, without the right to configure it, and without its abstract sockets
    /// where the kernel can withhold them.
    Host,
    /// A loopback interface and nothing else.
    None,
    /// One that all commands of a build share, and that a program connects to this machine's: what this machine
    /// reaches is reached, but not its own loop-back. See [`crate::Executor::begin_network`].
    Sandbox,
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountSpec {
    /// Where in the root. Symbolic links are followed inside the root; what is missing is made, and
    /// removed after the command unless it put something there.
    #[serde(with = "bytes::one")]
    pub target: Vec<u8>,
    /// What is mounted.
    pub source: MountSource,
    /// What the target has to be.
    pub kind: TargetKind,
    /// What the command may do with it.
    pub access: Access,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountSource {
    /// The detached mount at this index of [`crate::Step::mounts`].
    Descriptor(usize),
    /// What the root has at the target: to be written to where the root is not.
    Root,
    /// A new file system in memory.
    Tmpfs {
        /// How much it holds; half of the memory when `None`.
        size_bytes: Option<u64>,
        /// The permissions of its root directory.
        mode: u32,
    },
}

/// What is at the target of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// A host name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hostname {
    /// One that nobody asked for: where a container's filter of system calls keeps it from being set, a command sees
    /// the one of the container.
    Usual(String),
    /// One that was asked for: without it no command is run.
    Asked(String),
}

/// What may be done with a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Reading.
    ReadOnly,
    /// Reading and writing.
    ReadWrite,
}

impl SandboxSpec {
    /// Returns a specification of `arguments` run as the sandbox's root in its root directory, with
    /// the host's network, the default host name, the confinement of a container, and neither
    /// environment, mounts nor a terminal.
    pub fn new(arguments: Vec<Vec<u8>>) -> Self {
        Self {
            arguments,
            environment: Vec::new(),
            secret_environment: Vec::new(),
            working_directory: b"/".to_vec(),
            user: SandboxUser::default(),
            hostname: Hostname::of_build(DEFAULT_HOSTNAME.to_owned()),
            network: NetworkMode::Host,
            mounts: Vec::new(),
            confinement: Confinement::Container,
            shared_memory_bytes: DEFAULT_SHARED_MEMORY_BYTES,
            limits: Vec::new(),
            group: None,
            root_access: Access::ReadWrite,
            is_emulated: false,
            terminal: None,
        }
    }
}

impl Hostname {
    /// Returns the host name of a build's commands, which the default one is unless somebody asked.
    pub fn of_build(name: String) -> Self {
        if name == DEFAULT_HOSTNAME {
            Self::Usual(name)
        } else {
            Self::Asked(name)
        }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        match self {
            Self::Usual(name) | Self::Asked(name) => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_variable_shows_its_name_alone() {
        let mut spec = SandboxSpec::new(Vec::new());
        spec.secret_environment
            .push(SecretVariable::new(b"TOKEN", b"a=hidden"));
        let shown = format!("{spec:?}");
        assert!(shown.contains("TOKEN=****"), "{shown}");
        assert!(!shown.contains("hidden"), "{shown}");
        let variable = &spec.secret_environment[0];
        assert_eq!(
            (variable.name(), variable.value()),
            (&b"TOKEN"[..], &b"a=hidden"[..])
        );
    }
}
