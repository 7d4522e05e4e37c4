//! What a command sees beside its root file system: the mounts of a step.
//!
//! Nothing of a mount is part of the step's result, except what the command made of it. The values of secrets and
//! the addresses of agents are not here: the graph knows their names, and the job knows the rest.

use serde::{Deserialize, Serialize};

/// One mount of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ExecMount {
    /// Files of another vertex.
    Bind(BindMount),
    /// A directory that outlives the build.
    Cache(CacheMount),
    /// Memory.
    Tmpfs(TmpfsMount),
    /// A secret, as a file, a variable or both.
    Secret(SecretMount),
    /// The socket of an SSH agent.
    Ssh(SshMount),
}

/// Files of another vertex, as they are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindMount {
    /// The absolute path that it is mounted at.
    pub target: String,
    /// Which input of the vertex it is of.
    pub input: usize,
    /// The absolute path in that input; a directory or a file.
    pub source: String,
    /// What the command may do. What it writes is discarded.
    pub access: MountAccess,
    /// How the input takes part in the key.
    pub keyed_by: MountKey,
}

/// A directory that outlives the build, under a name that all builds of a user share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheMount {
    /// The absolute path that it is mounted at.
    pub target: String,
    /// What keeps equal ids apart (`BUILDKIT_CACHE_MOUNT_NS`); usually empty.
    pub namespace: String,
    /// Its name.
    pub id: String,
    /// Who may use it at the same time.
    pub sharing: CacheSharing,
    /// What a new one begins with. Caches that begin with something else are other caches.
    pub seed: CacheSeed,
    /// The absolute path in the cache that is mounted.
    pub source: String,
    /// What the command may do.
    pub access: MountAccess,
}

/// What happens when two commands want one cache at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheSharing {
    /// Both use it.
    Shared,
    /// The second gets another one.
    Private,
    /// The second waits.
    Locked,
}

/// What a new cache begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheSeed {
    /// Nothing: a directory of root's, with mode 0755.
    Empty,
    /// Nothing: a directory with these attributes.
    Owned(MountOwner),
    /// The files of another vertex, which are copied once.
    Input {
        /// Which input of the vertex.
        input: usize,
        /// The absolute path in that input.
        path: String,
    },
}

/// Memory that is gone after the command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TmpfsMount {
    /// The absolute path that it is mounted at.
    pub target: String,
    /// How much it may hold.
    pub size_bytes: Option<u64>,
    /// What the command may do.
    pub access: MountAccess,
}

/// A secret of the user's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretMount {
    /// Its name.
    pub id: String,
    /// The absolute path of the file that holds it.
    pub target: Option<String>,
    /// The variable that holds it.
    pub env: Option<String>,
    /// Whether the step fails without it.
    pub required: bool,
    /// What the file is like.
    pub owner: MountOwner,
}

/// The socket of an SSH agent of the user's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshMount {
    /// Its name.
    pub id: String,
    /// The absolute path of the socket.
    pub target: String,
    /// Whether the step fails without it.
    pub required: bool,
    /// What the socket is like.
    pub owner: MountOwner,
}

/// Permission bits and owner of what is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountOwner {
    /// The permission bits.
    pub mode: u32,
    /// The user id in the sandbox.
    pub uid: u32,
    /// The group id in the sandbox.
    pub gid: u32,
}

/// What a command may do with a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountAccess {
    /// Reading.
    ReadOnly,
    /// Reading and writing.
    ReadWrite,
}

/// How the input of a mount takes part in the key of its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountKey {
    /// By its own key, which is that of its content already, or of nothing.
    Definition,
    /// By its own key, and if that is not known to the cache by the content of the mounted path.
    Content,
}

impl ExecMount {
    /// Returns the absolute path that something is mounted at; none for a secret that is a variable alone.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Bind(mount) => Some(&mount.target),
            Self::Cache(mount) => Some(&mount.target),
            Self::Tmpfs(mount) => Some(&mount.target),
            Self::Secret(mount) => mount.target.as_deref(),
            Self::Ssh(mount) => Some(&mount.target),
        }
    }

    /// Returns the input that it takes files from, and the path there.
    pub fn input(&self) -> Option<(usize, &str)> {
        match self {
            Self::Bind(mount) => Some((mount.input, &mount.source)),
            Self::Cache(CacheMount {
                seed: CacheSeed::Input { input, path },
                ..
            }) => Some((*input, path)),
            Self::Cache(_) | Self::Tmpfs(_) | Self::Secret(_) | Self::Ssh(_) => None,
        }
    }

    /// Returns the input of which the content counts, and the path there.
    pub fn content(&self) -> Option<(usize, &str)> {
        match self {
            Self::Bind(BindMount {
                keyed_by: MountKey::Content,
                ..
            })
            | Self::Cache(_) => self.input(),
            Self::Bind(_) | Self::Tmpfs(_) | Self::Secret(_) | Self::Ssh(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(keyed_by: MountKey) -> ExecMount {
        ExecMount::Bind(BindMount {
            target: "/a".to_owned(),
            input: 2,
            source: "/b".to_owned(),
            access: MountAccess::ReadOnly,
            keyed_by,
        })
    }

    #[test]
    fn the_content_of_an_input_counts_only_where_its_key_does_not_say_it() {
        assert_eq!(bind(MountKey::Content).content(), Some((2, "/b")));
        assert_eq!(bind(MountKey::Definition).content(), None);
        assert_eq!(bind(MountKey::Definition).input(), Some((2, "/b")));
    }

    #[test]
    fn a_secret_that_is_a_variable_alone_is_mounted_nowhere() {
        let owner = MountOwner {
            mode: 0o400,
            uid: 0,
            gid: 0,
        };
        let secret = ExecMount::Secret(SecretMount {
            id: "x".to_owned(),
            target: None,
            env: Some("X".to_owned()),
            required: false,
            owner,
        });
        assert_eq!((secret.target(), secret.input()), (None, None));
    }
}
