//! What enters a cache key.
//!
//! | Value | Vertex digest | Cache key | Content key | Why not |
//! | --- | --- | --- | --- | --- |
//! | op kind, command line, environment, user, working directory | ✓ | ✓ | ✓ | |
//! | platform | ✓ | ✓ | ✓ | |
//! | network mode, host name | ✓ | ✓ | ✓ | |
//! | `--security`, added hosts, size of `/dev/shm`, `--ulimit`, parent control group | ✓ | ✓ | ✓ | |
//! | source paths of a copy (selector) | ✓ | ✓ | ✓ | the names are also what is written |
//! | content, names, modes, owners, links, xattrs of copied files | | | ✓ | not known from the definition |
//! | modification times of copied files | | | | would make every checkout a miss |
//! | `.dockerignore` patterns | ✓ | | | the content decides |
//! | URL, reference and options of a remote source | ✓ | | | the content decides |
//! | file name and content of what was fetched | | | ✓ | not known from the definition |
//! | base image name | | | | the manifest decides |
//! | base image manifest digest | ✓ | ✓ | ✓ | |
//! | keys of the inputs | ✓ (digests) | ✓ | ✓ (content of what is copied or mounted) | |
//! | proxy settings, certificates of `--ca`, name servers, number of jobs | | | | do not change the result, or must leave no trace |
//! | mounts: type, target, source, access, cache id, ids of secrets and agents | ✓ | ✓ | ✓ | |
//! | content of what is mounted from a stage or an image | | | ✓ | not known from the definition |
//! | content of caches, values of secrets, `--volume` | | | | caches change, and secrets must leave no trace |
//! | label (name, line) | | | | |
//! | [`KeyFormat`] | | ✓ | ✓ | |
//!
//! A vertex is looked up by its *cache key* as soon as the keys of its inputs are known: nothing has
//! to exist for that. A copy that misses is looked up again by its *content key*, in which the files
//! that it copies stand in the place of the key of what they come from; a copy from the context has
//! only that one. So is a command with mounts from stages or images, whose content key has the mounted
//! files in the place of their keys. A change to this table raises [`KeyFormat`].

use std::fmt;

use oci::Digest;
use serde::{Deserialize, Serialize};

use crate::mount::ExecMount;
use crate::op::{FileAction, Op, SourceOp};
use crate::vertex::Vertex;

/// The version of the table above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct KeyFormat(u32);

impl KeyFormat {
    /// The format that this program writes and looks for.
    pub const CURRENT: Self = Self(2);
}

/// What identifies a result before it exists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CacheKey(Digest);

impl CacheKey {
    /// Returns the digest.
    pub fn digest(&self) -> &Digest {
        &self.0
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What one input gives to a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyInput {
    /// The empty file system.
    Scratch,
    /// The input's own key.
    Key(CacheKey),
    /// The digest of what is taken from it.
    Content(Digest),
}

/// How an input takes part in the key of a vertex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKey {
    /// By its key.
    Key,
    /// By its key, and if that is not known to the cache by the content that is taken from it.
    KeyThenContent,
}

/// How the key of a vertex is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheMap {
    op: Digest,
    /// How each input takes part, in the order of [`Vertex::inputs`].
    pub inputs: Vec<InputKey>,
}

impl CacheMap {
    /// Returns the map of a vertex; none for what has no key of its own (a directory of the
    /// user's, and what a server has: only the content of what is copied from it counts).
    pub fn of(vertex: &Vertex) -> Option<Self> {
        if let Op::Source(SourceOp::Local(_) | SourceOp::Http(_) | SourceOp::Git(_)) = vertex.op {
            return None;
        }
        let part = |index| {
            if is_taken_by_content(&vertex.op, index) {
                InputKey::KeyThenContent
            } else {
                InputKey::Key
            }
        };
        Some(Self {
            op: digest_of(&(KeyFormat::CURRENT, &vertex.op, &vertex.platform)),
            inputs: (0..vertex.inputs.len()).map(part).collect(),
        })
    }

    /// Returns the digest of what a vertex does, whatever it is done to and on whatever platform.
    pub fn operation(vertex: &Vertex) -> Digest {
        digest_of(&(KeyFormat::CURRENT, &vertex.op))
    }

    /// Returns the digest of what is done and on which platform, without the inputs.
    pub fn op(&self) -> &Digest {
        &self.op
    }

    /// Returns the key that these inputs give.
    pub fn key(&self, inputs: &[KeyInput]) -> CacheKey {
        CacheKey(digest_of(&(&self.op, inputs)))
    }
}

/// Tells whether the files that are taken from an input can stand for it.
fn is_taken_by_content(op: &Op, index: usize) -> bool {
    match op {
        Op::Source(_) => false,
        Op::File(file) => matches!(file.action, FileAction::Copy(_)) && index >= 1,
        Op::Exec(exec) => exec
            .mounts
            .iter()
            .filter_map(ExecMount::content)
            .any(|(input, _)| input == index),
    }
}

fn digest_of(value: &impl Serialize) -> Digest {
    let text = serde_json::to_vec(value)
        .expect("an op is made of strings, numbers and lists, which JSON can hold");
    Digest::of(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{ExecOp, ImageOrigin, ImageSource, LocalSource, NetworkMode};
    use crate::sandbox::{ExtraHost, Limit, SandboxSettings, SecurityMode};
    use crate::vertex::{Input, StepLabel};

    fn exec(change: impl FnOnce(&mut ExecOp)) -> Vertex {
        let mut op = ExecOp {
            argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), "true".to_owned()],
            env: vec!["A=b".to_owned()],
            working_directory: "/".to_owned(),
            user: String::new(),
            hostname: "buildkitsandbox".to_owned(),
            network: NetworkMode::Default,
            files: Vec::new(),
            mounts: Vec::new(),
            sandbox: SandboxSettings::default(),
        };
        change(&mut op);
        Vertex {
            op: Op::Exec(op),
            inputs: vec![Input::Scratch],
            platform: oci::Platform::new("linux", "amd64"),
            label: StepLabel::default(),
        }
    }

    fn key(vertex: &Vertex) -> CacheKey {
        CacheMap::of(vertex).unwrap().key(&[KeyInput::Scratch])
    }

    #[test]
    fn t_b12_each_field_of_a_command_changes_its_key() {
        let plain = key(&exec(|_| {}));
        let changes: [fn(&mut ExecOp); 6] = [
            |op| op.argv.push("x".to_owned()),
            |op| op.env.clear(),
            |op| op.working_directory.push('x'),
            |op| op.user.push('x'),
            |op| op.network = NetworkMode::None,
            |op| op.hostname.push('x'),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            assert_ne!(key(&exec(change)), plain, "change {index}");
        }
    }

    #[test]
    fn t_b12_each_setting_of_a_sandbox_changes_the_key() {
        let plain = key(&exec(|_| {}));
        let changes: [fn(&mut SandboxSettings); 5] = [
            |settings| settings.security = SecurityMode::Insecure,
            |settings| {
                settings.extra_hosts.push(ExtraHost {
                    name: "db".to_owned(),
                    address: [10, 0, 0, 2].into(),
                });
            },
            |settings| settings.shared_memory_bytes = Some(1),
            |settings| {
                settings.limits.push(Limit {
                    resource: "nofile".to_owned(),
                    soft: Some(1),
                    hard: Some(1),
                });
            },
            |settings| settings.cgroup_parent = Some("x".to_owned()),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            assert_ne!(key(&exec(|op| change(&mut op.sandbox))), plain, "{index}");
        }
    }

    #[test]
    fn a_label_does_not_change_the_key() {
        let mut labelled = exec(|_| {});
        labelled.label.line = 7;
        labelled.label.text.push_str("RUN true");
        assert_eq!(key(&labelled), key(&exec(|_| {})));
    }

    #[test]
    fn the_name_of_a_base_does_not_change_its_key_and_its_manifest_does() {
        let image = |name: &str, content: &[u8]| {
            let mut vertex = exec(|_| {});
            vertex.inputs.clear();
            vertex.op = Op::Source(SourceOp::Image(ImageSource {
                name: name.to_owned(),
                manifest: Digest::of(content),
                platform: oci::Platform::new("linux", "amd64"),
                origin: ImageOrigin::Store,
                pinned: None,
            }));
            CacheMap::of(&vertex).unwrap().key(&[])
        };
        assert_eq!(image("a", b"1"), image("b", b"1"));
        assert_ne!(image("a", b"1"), image("a", b"2"));
    }

    #[test]
    fn a_directory_of_the_user_has_no_key_of_its_own() {
        let mut vertex = exec(|_| {});
        vertex.inputs.clear();
        vertex.op = Op::Source(SourceOp::Local(LocalSource {
            name: "context".to_owned(),
            ignore: Vec::new(),
        }));
        assert_eq!(CacheMap::of(&vertex), None);
    }
}
