//! What a builder is: a named list of nodes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::BuilderName;

/// What a builder is made of, in buildx' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Driver {
    /// The store of this user: what is built with a name is an image of it.
    Docker,
    /// A store of its own: what is built stays there unless something else is asked for.
    DockerContainer,
}

/// A driver that careen has not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DriverError {
    /// One that buildx has.
    #[error(
        "the driver `{text}` is not supported: careen builds on this machine, with `docker-container` in a store of the \
         builder's own, with `docker` in that of this user"
    )]
    Unsupported { text: String },
    /// One that nobody has.
    #[error("`{text}` is no driver: `docker-container` and `docker` are")]
    Unknown { text: String },
}

impl FromStr for Driver {
    type Err = DriverError;

    fn from_str(text: &str) -> Result<Self, DriverError> {
        let text = text.to_owned();
        match text.as_str() {
            "docker" => Ok(Self::Docker),
            "docker-container" => Ok(Self::DockerContainer),
            "kubernetes" | "remote" | "cloud" => Err(DriverError::Unsupported { text }),
            _ => Err(DriverError::Unknown { text }),
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Docker => "docker",
            Self::DockerContainer => "docker-container",
        })
    }
}

/// Where a node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Place {
    /// This machine.
    Here,
    /// Another machine: `ssh://HOST`.
    Ssh(String),
}

/// What is no place of a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no place of a node: `default` is this machine, `ssh://HOST` another")]
pub(crate) struct PlaceError {
    text: String,
}

/// No place is longer, in bytes.
const PLACE_LIMIT_BYTES: usize = 1024;

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let is_socket = text.starts_with("unix://");
        let is_local = BuilderName::parse(text).is_ok_and(|name| name.is_local_engine());
        // A socket of a daemon of this machine stands for this machine.
        if is_local || is_socket || text == "local" {
            return Ok(Self::Here);
        }
        let host = text.strip_prefix("ssh://").filter(|host| !host.is_empty());
        let is_plain = text.len() <= PLACE_LIMIT_BYTES && !text.chars().any(char::is_control);
        match host {
            Some(host) if is_plain => Ok(Self::Ssh(host.to_owned())),
            _ => Err(PlaceError {
                text: text.to_owned(),
            }),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here => formatter.write_str("local"),
            Self::Ssh(host) => write!(formatter, "ssh://{host}"),
        }
    }
}

impl TryFrom<String> for Place {
    type Error = PlaceError;

    fn try_from(text: String) -> Result<Self, PlaceError> {
        text.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

/// A place that builds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Node {
    /// Its name.
    pub(crate) name: BuilderName,
    /// Where it is.
    pub(crate) endpoint: Place,
    /// The platforms that it is for; those that run on it, if none is said.
    pub(crate) platforms: Vec<String>,
    /// What was said for the driver (`NAME=VALUE`).
    pub(crate) driver_options: Vec<String>,
    /// What was said for `buildkitd`.
    pub(crate) flags: Option<String>,
    /// The file with the configuration of `buildkitd`.
    pub(crate) config: Option<String>,
}

/// A builder that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Builder {
    /// Its name.
    pub(crate) name: BuilderName,
    /// What it is made of.
    pub(crate) driver: Driver,
    /// Where it builds, in the order in which the nodes were added.
    pub(crate) nodes: Vec<Node>,
}

impl Builder {
    /// Returns the builder that is always there under this name: this machine.
    pub(crate) fn of_this_machine(name: BuilderName) -> Self {
        let node = Node {
            name: name.clone(),
            endpoint: Place::Here,
            platforms: Vec::new(),
            driver_options: Vec::new(),
            flags: None,
            config: None,
        };
        Self {
            name,
            driver: Driver::Docker,
            nodes: vec![node],
        }
    }

    /// Adds a node, in the place of the one that has its name.
    pub(crate) fn put(&mut self, node: Node) {
        match self.nodes.iter_mut().find(|old| old.name == node.name) {
            Some(old) => *old = node,
            None => self.nodes.push(node),
        }
    }

    /// Returns the first node that is elsewhere.
    pub(crate) fn elsewhere(&self) -> Option<&Node> {
        self.nodes.iter().find(|node| node.endpoint != Place::Here)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_are_named_or_refused_by_name() {
        assert_eq!("docker".parse(), Ok(Driver::Docker));
        assert_eq!("docker-container".parse(), Ok(Driver::DockerContainer));
        for text in ["kubernetes", "remote", "cloud"] {
            let text = text.to_owned();
            assert_eq!(
                text.parse::<Driver>(),
                Err(DriverError::Unsupported { text })
            );
        }
        let text = "dockr".to_owned();
        assert_eq!(text.parse::<Driver>(), Err(DriverError::Unknown { text }));
    }

    #[test]
    fn places_are_this_machine_or_another() {
        let table = [
            ("default", Some(Place::Here)),
            ("desktop-linux", Some(Place::Here)),
            ("local", Some(Place::Here)),
            ("unix:///var/run/docker.sock", Some(Place::Here)),
            (
                "ssh://me@host:22",
                Some(Place::Ssh("me@host:22".to_owned())),
            ),
            ("ssh://", None),
            ("ssh://a\nb", None),
            ("tcp://host:2375", None),
        ];
        for (text, expected) in table {
            let found = text.parse::<Place>().ok();
            assert_eq!(found, expected, "{text}");
            if let Some(place) = found {
                assert_eq!(place.to_string().parse(), Ok(place));
            }
        }
    }
}
