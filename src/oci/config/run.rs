//! How a container of an image is run: the inner `config` of an image configuration.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json::{empty_is_none, is_false, is_zero, name_set, null_is_default, write_name_set};

/// How a container of an image is run; image-spec `config.md`, "Properties", and Docker's additions.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RunConfig {
    /// The user, and perhaps the group, that commands run as.
    #[serde(
        default,
        deserialize_with = "empty_is_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub user: Option<String>,
    /// The ports that the image listens on: `80/tcp`.
    #[serde(
        default,
        deserialize_with = "name_set",
        serialize_with = "write_name_set",
        skip_serializing_if = "BTreeSet::is_empty"
    )]
    pub exposed_ports: BTreeSet<String>,
    /// The environment, as `NAME=value`.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub env: Vec<String>,
    /// The command that arguments are added to.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub entrypoint: Vec<String>,
    /// The command, or the default arguments of the entry point.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub cmd: Vec<String>,
    /// The directories that are kept outside the container's layer.
    #[serde(
        default,
        deserialize_with = "name_set",
        serialize_with = "write_name_set",
        skip_serializing_if = "BTreeSet::is_empty"
    )]
    pub volumes: BTreeSet<String>,
    /// The directory that commands start in.
    #[serde(
        default,
        deserialize_with = "empty_is_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub working_dir: Option<String>,
    /// What the image says about itself.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub labels: BTreeMap<String, String>,
    /// The signal that asks the command to end.
    #[serde(
        default,
        deserialize_with = "empty_is_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub stop_signal: Option<String>,
    /// Whether the command is one text that is already quoted (Windows).
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_false"
    )]
    pub args_escaped: bool,
    /// How to see that a container is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// The instructions that run when the image is built upon.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub on_build: Vec<String>,
    /// The shell of commands that are one text.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub shell: Vec<String>,
    /// The fields that careen does not know, such as Docker's `NetworkDisabled`.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// How to see that a container is well. Times are in nanoseconds, as Docker writes them; 0 is "the
/// default".
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `NONE`; or `CMD` and arguments; or `CMD-SHELL` and one text.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub test: Vec<String>,
    /// The time between two checks.
    #[serde(
        rename = "Interval",
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_zero"
    )]
    pub interval_ns: i64,
    /// The time after which a check has failed.
    #[serde(
        rename = "Timeout",
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_zero"
    )]
    pub timeout_ns: i64,
    /// The time in which failures do not count.
    #[serde(
        rename = "StartPeriod",
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_zero"
    )]
    pub start_period_ns: i64,
    /// The time between two checks while failures do not count.
    #[serde(
        rename = "StartInterval",
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_zero"
    )]
    pub start_interval_ns: i64,
    /// The number of failures in a row after which the container is not well.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_zero"
    )]
    pub retries: i64,
}

impl RunConfig {
    /// Returns the value of an environment variable: that of its first entry, as BuildKit does.
    pub fn env_get(&self, name: &str) -> Option<&str> {
        self.env
            .iter()
            .find_map(|entry| match entry.split_once('=') {
                Some((found, value)) => (found == name).then_some(value),
                None => (entry == name).then_some(""),
            })
    }

    /// Sets an environment variable: in place if it is there, at the end if not, as BuildKit does.
    pub fn env_set(&mut self, name: &str, value: &str) {
        let entry = format!("{name}={value}");
        let has_name = |entry: &&mut String| entry.split('=').next() == Some(name);
        match self.env.iter_mut().find(has_name) {
            Some(found) => *found = entry,
            None => self.env.push(entry),
        }
    }
}
