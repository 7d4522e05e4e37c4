//! Docker's `daemon.json`: mirrors of Docker Hub, and registries that need not be protected.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::address::{Endpoint, is_within};
use super::file::{ConfigError, Owner, parse_json, read};

/// What the file says of registries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Daemon {
    /// The mirrors of Docker Hub, in their order.
    pub(crate) mirrors: Vec<Endpoint>,
    /// `host`, `host:port` or a network.
    insecure: Vec<String>,
}

impl Daemon {
    /// Reads the first of these files that is there.
    pub(crate) fn read(paths: &[PathBuf]) -> Result<Self, ConfigError> {
        for path in paths {
            if let Some(text) = read(path, Owner::Machine)? {
                return Self::parse(path, &text);
            }
        }
        Ok(Self::default())
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let value = parse_json(path, text)?;
        let mirrors = texts(path, &value, "registry-mirrors")?.into_iter();
        let endpoint = |text: String| {
            Endpoint::parse(&text)
                .map(|endpoint| {
                    let path = format!("{}/v2", endpoint.path());
                    endpoint.with_path(path)
                })
                .map_err(|source| ConfigError::Address {
                    path: path.to_owned(),
                    text,
                    source,
                })
        };
        let insecure = texts(path, &value, "insecure-registries")?.into_iter();
        let without_scheme = |text: String| match text.split_once("://") {
            Some((_, rest)) => rest.to_owned(),
            None => text,
        };
        Ok(Self {
            mirrors: mirrors.map(endpoint).collect::<Result<_, _>>()?,
            insecure: insecure.map(without_scheme).collect(),
        })
    }

    /// Tells whether a host need not be protected.
    pub(crate) fn is_insecure(&self, authority: &str, host: &str) -> bool {
        self.insecure
            .iter()
            .any(|entry| entry == authority || is_within(host, entry))
    }
}

fn texts(path: &Path, value: &Value, key: &str) -> Result<Vec<String>, ConfigError> {
    let Some(list) = value.get(key) else {
        return Ok(Vec::new());
    };
    let texts = list.as_array().and_then(|list| {
        let texts = list.iter().map(|item| item.as_str().map(str::to_owned));
        texts.collect()
    });
    texts.ok_or_else(|| ConfigError::Value {
        path: path.to_owned(),
        key: key.to_owned(),
        expected: "a list of texts",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_and_unprotected_registries_are_read() {
        let text = include_str!("examples/daemon.json");
        let daemon = Daemon::parse(Path::new("daemon.json"), text).unwrap();
        let mirrors: Vec<_> = daemon
            .mirrors
            .iter()
            .map(|mirror| mirror.host("x").unwrap().base.to_string())
            .collect();
        assert_eq!(
            mirrors,
            [
                "https://mirror.example/v2",
                "http://cache.example:5000/hub/v2"
            ]
        );
        let cases = [
            ("old.example:5000", "old.example", true),
            ("old.example", "old.example", false),
            ("10.20.0.7:5000", "10.20.0.7", true),
            ("10.21.0.7:5000", "10.21.0.7", false),
        ];
        for (authority, host, expected) in cases {
            assert_eq!(daemon.is_insecure(authority, host), expected, "{authority}");
        }
    }

    #[test]
    fn what_is_malformed_is_said_without_its_content() {
        let cases = [
            ("{\n\n \"a\": }", "`d.json`, line 3: no valid JSON"),
            (
                "{\"registry-mirrors\": \"x\"}",
                "`d.json`: `registry-mirrors` is not a list of texts",
            ),
            (
                "{\"insecure-registries\": [5]}",
                "`d.json`: `insecure-registries` is not a list of texts",
            ),
            (
                "{\"registry-mirrors\": [\"ftp://x\"]}",
                "`d.json`: `ftp://x` is no address of a registry",
            ),
        ];
        for (text, expected) in cases {
            let error = Daemon::parse(Path::new("d.json"), text).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        let absent = Daemon::read(&["/no/such".into()]).unwrap();
        assert_eq!(absent, Daemon::default());
    }
}
