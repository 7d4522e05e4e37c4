//! What people log in to: a registry, or a part of one.

use fetch::UrlError;

use super::key::normal;
use crate::config::address::direct;

/// A registry, or a part of one, as credentials know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginServer {
    key: String,
}

impl LoginServer {
    /// Reads `host[:port][/path]`, or a URL of a registry as docker takes it; Docker Hub has one name.
    ///
    /// # Errors
    ///
    /// Fails when it names no host.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.contains('@') {
            return Err(UrlError::Host('@'));
        }
        let server = Self { key: normal(text) };
        direct(server.domain(), "")?;
        Ok(server)
    }

    /// Returns Docker Hub.
    pub fn hub() -> Self {
        Self {
            key: crate::config::address::HUB.to_owned(),
        }
    }

    /// Returns the name under which credentials are kept.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns the registry: `host[:port]`.
    pub fn domain(&self) -> &str {
        self.key.split('/').next().unwrap_or(&self.key)
    }

    /// Returns the part of the registry; empty for all of it.
    pub fn path(&self) -> &str {
        self.key.split_once('/').map_or("", |(_, path)| path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_named_in_many_ways() {
        let cases = [
            ("docker.io", "docker.io", "docker.io", ""),
            ("https://index.docker.io/v1/", "docker.io", "docker.io", ""),
            ("r.example:5000/", "r.example:5000", "r.example:5000", ""),
            (
                "r.example/team/app",
                "r.example/team/app",
                "r.example",
                "team/app",
            ),
            ("http://[::1]:5000", "[::1]:5000", "[::1]:5000", ""),
        ];
        for (text, key, domain, path) in cases {
            let server = LoginServer::parse(text).unwrap();
            let parts = (server.key(), server.domain(), server.path());
            assert_eq!(parts, (key, domain, path), "{text}");
        }
        for text in ["", "/x", "me:hidden@r.example", "a b", "r.example:x"] {
            assert!(LoginServer::parse(text).is_err(), "{text}");
        }
    }
}
