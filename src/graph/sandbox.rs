//! What a build asks of the sandboxes of its commands, beyond what every sandbox has.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What a command's sandbox has that the sandbox of a plain command has not.
///
/// All of it can change what a command does, so all of it is part of the key, as in `BuildKit`. The
/// default is that nothing was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SandboxSettings {
    /// How much of this machine's kernel the command may use.
    #[serde(default, skip_serializing_if = "is_default")]
    pub security: SecurityMode,
    /// Lines that `/etc/hosts` has after its own, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_hosts: Vec<ExtraHost>,
    /// The size of `/dev/shm` in bytes, if it is not the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_memory_bytes: Option<u64>,
    /// Limits of the command's processes, each resource once, in the order of their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// The control group that the command's is to be made in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup_parent: Option<String>,
}

impl SandboxSettings {
    /// Tells whether nothing was asked for.
    pub fn is_default(&self) -> bool {
        is_default(self)
    }
}

/// How much of the kernel a command may use (`RUN --security`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecurityMode {
    /// The capabilities of a container, filtered system calls, masked files.
    #[default]
    Sandbox,
    /// All that the sandbox's own user namespace allows.
    Insecure,
}

/// A name that commands know besides those of the name servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraHost {
    /// The name, in lower case.
    pub name: String,
    /// What it stands for.
    pub address: IpAddr,
}

/// A limit of a process (`getrlimit(2)`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Which, as `RLIMIT_…` without the beginning and in lower case: `nofile`.
    pub resource: String,
    /// The limit in force; none is without limit.
    pub soft: Option<u64>,
    /// The limit up to which a process may raise it; none is without limit.
    pub hard: Option<u64>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_asked_for_is_not_written() {
        let text = serde_json::to_string(&SandboxSettings::default()).unwrap();
        assert_eq!(text, "{}");
    }

    #[test]
    fn everything_that_was_asked_for_is_written() {
        let settings = SandboxSettings {
            security: SecurityMode::Insecure,
            extra_hosts: vec![ExtraHost {
                name: "db".to_owned(),
                address: IpAddr::from([10, 0, 0, 2]),
            }],
            shared_memory_bytes: Some(1024),
            limits: vec![Limit {
                resource: "nofile".to_owned(),
                soft: Some(10),
                hard: None,
            }],
            cgroup_parent: Some("build".to_owned()),
        };
        assert!(!settings.is_default());
        assert_eq!(
            serde_json::to_string(&settings).unwrap(),
            "{\"security\":\"insecure\",\"extra_hosts\":[{\"name\":\"db\",\"address\":\"10.0.0.2\"}],\
             \"shared_memory_bytes\":1024,\
             \"limits\":[{\"resource\":\"nofile\",\"soft\":10,\"hard\":null}],\
             \"cgroup_parent\":\"build\"}"
        );
    }
}
