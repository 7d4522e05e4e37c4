//! BuildKit's `buildkitd.toml`: its tables `[registry."HOST"]`; everything else in it is for its daemon.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::address::Endpoint;
use super::file::{ConfigError, Owner, read_toml};

/// What the file says of registries, by host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Buildkitd {
    registry: BTreeMap<String, RegistryTable>,
    #[serde(skip)]
    path: PathBuf,
}

/// What it says of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct RegistryTable {
    /// `host[:port][/path]`, in their order.
    mirrors: Vec<String>,
    /// Whether it speaks plain HTTP only.
    pub(crate) http: bool,
    /// Whether its certificate is not looked at, and plain HTTP will do.
    pub(crate) insecure: bool,
    /// Files of authorities.
    pub(crate) ca: Vec<PathBuf>,
    /// Who we are to it.
    pub(crate) keypair: Vec<KeyPair>,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct KeyPair {
    /// The file of the key.
    pub(crate) key: PathBuf,
    /// The file of the certificate.
    pub(crate) cert: PathBuf,
}

impl Buildkitd {
    /// Reads the first of these files that is there.
    pub(crate) fn read(paths: &[PathBuf]) -> Result<Self, ConfigError> {
        for path in paths {
            if let Some(read) = read_toml::<Self>(path, Owner::Machine)? {
                return Ok(Self {
                    path: path.clone(),
                    ..read
                });
            }
        }
        Ok(Self::default())
    }

    /// Returns what is said of a host.
    pub(crate) fn of(&self, authority: &str) -> Option<&RegistryTable> {
        self.registry.get(authority)
    }

    /// Returns the mirrors of a registry.
    pub(crate) fn mirrors(&self, domain: &str) -> Result<Vec<Endpoint>, ConfigError> {
        let mirrors = self.of(domain).map(|table| &*table.mirrors);
        let mirrors = mirrors.unwrap_or_default().iter();
        let endpoint = |text: &String| {
            let parsed = Endpoint::parse(text).map_err(|source| ConfigError::Address {
                path: self.path.clone(),
                text: text.clone(),
                source,
            })?;
            let path = format!("/v2{}", parsed.path());
            Ok(parsed.with_path(path))
        };
        mirrors.map(endpoint).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Buildkitd, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("buildkitd.toml");
        std::fs::write(&path, text).unwrap();
        Buildkitd::read(&["/no/such".into(), path])
    }

    #[test]
    fn tables_of_registries_are_read() {
        let buildkitd = read(include_str!("examples/buildkitd.toml")).unwrap();
        let mirrors: Vec<_> = buildkitd
            .mirrors("docker.io")
            .unwrap()
            .iter()
            .map(|mirror| mirror.host("x").unwrap().base.to_string())
            .collect();
        assert_eq!(
            mirrors,
            [
                "https://mirror.example:5000/v2",
                "https://core.example/v2/proxy.docker.io"
            ]
        );
        let table = buildkitd.of("mirror.example:5000").unwrap();
        assert!(table.http && !table.insecure);
        let table = buildkitd.of("core.example").unwrap();
        assert!(!table.http && table.insecure);
        assert_eq!(table.ca, [PathBuf::from("/etc/config/ca.pem")]);
        assert_eq!(
            table.keypair,
            [KeyPair {
                key: "/etc/config/key.pem".into(),
                cert: "/etc/config/cert.pem".into()
            }]
        );
        assert_eq!(buildkitd.of("other.example"), None);
        assert_eq!(buildkitd.mirrors("other.example").unwrap(), []);
    }

    #[test]
    fn what_is_malformed_is_said_with_its_line() {
        let error = read("debug = true\n[registry.\"r\"]\nmirrors = 5\n").unwrap_err();
        let ConfigError::Syntax { line, problem, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(line, 3);
        assert_eq!(problem, "invalid type: integer `5`, expected a sequence");
    }
}
