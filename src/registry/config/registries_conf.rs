//! containers' `registries.conf`: prefixes, locations, mirrors, what is blocked, and short names.
//!
//! ```text
//! CONTAINERS_REGISTRIES_CONF                       alone, if it is set
//! ~/.config/containers/registries.conf             with ~/.config/containers/registries.conf.d/*.conf
//! /etc/containers/registries.conf                  with /etc/containers/registries.conf.d/*.conf, then
//!                                                  ~/.config/containers/registries.conf.d/*.conf
//! ```
//!
//! The first of these that is there counts (containers-registries.conf.d(5)). A later file replaces the tables
//! `[[registry]]` of the same prefix, the aliases of the same name, and the lists that it sets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use oci::Reference;
use serde::Deserialize;

use super::address::direct;
use super::file::{ConfigError, Owner, files_with, read_toml};
use super::rule::{Mirror, PullFrom, Rule};

/// The word for the files of credentials in the list of helpers.
const AUTH_FILES: &str = "containers-auth.json";

/// What all the files say together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RegistriesConf {
    /// The registries that a name without one may be of.
    pub(crate) search: Option<Vec<String>>,
    /// Short names, and what they stand for; nothing for those that were taken back.
    pub(crate) aliases: BTreeMap<String, Option<Reference>>,
    /// The credential helpers that are asked before and after the files of credentials.
    pub(crate) helpers: [Vec<String>; 2],
    /// By prefix.
    rules: BTreeMap<String, Rule>,
}

/// A file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct FileText {
    unqualified_search_registries: Option<Vec<String>>,
    credential_helpers: Option<Vec<String>>,
    aliases: BTreeMap<String, String>,
    registry: Vec<RegistryText>,
    /// The table of the format's first version.
    registries: Option<toml::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct RegistryText {
    prefix: String,
    location: String,
    insecure: bool,
    blocked: bool,
    mirror_by_digest_only: bool,
    mirror: Vec<MirrorText>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct MirrorText {
    location: String,
    insecure: bool,
    pull_from_mirror: String,
}

/// Where the files are.
#[derive(Debug, Clone, Default)]
pub(crate) struct RegistriesConfPlaces {
    /// The one that counts alone.
    pub(crate) given: Option<PathBuf>,
    /// `~/.config/containers`.
    pub(crate) user: Option<PathBuf>,
    /// `/etc/containers`.
    pub(crate) system: PathBuf,
}

impl RegistriesConf {
    /// Reads all that there are.
    pub(crate) fn read(places: &RegistriesConfPlaces) -> Result<Self, ConfigError> {
        let mut conf = Self::default();
        if let Some(path) = &places.given {
            let text = read_toml(path, Owner::User)?.ok_or_else(|| ConfigError::Read {
                path: path.clone(),
                source: std::io::ErrorKind::NotFound.into(),
            })?;
            conf.add(path, text)?;
            return Ok(conf);
        }
        let system = Some(&places.system);
        let has_own = conf.add_main(places.user.as_deref())?;
        if !has_own {
            conf.add_main(system.map(PathBuf::as_path))?;
            conf.add_drop_ins(system)?;
        }
        conf.add_drop_ins(places.user.as_ref())?;
        Ok(conf)
    }

    fn add_main(&mut self, directory: Option<&Path>) -> Result<bool, ConfigError> {
        let Some(path) = directory.map(|directory| directory.join("registries.conf")) else {
            return Ok(false);
        };
        let Some(text) = read_toml(&path, Owner::User)? else {
            return Ok(false);
        };
        self.add(&path, text)?;
        Ok(true)
    }

    fn add_drop_ins(&mut self, directory: Option<&PathBuf>) -> Result<(), ConfigError> {
        let Some(directory) = directory.map(|directory| directory.join("registries.conf.d")) else {
            return Ok(());
        };
        let files = files_with(&directory, &["conf"]).map_err(|source| ConfigError::Read {
            path: directory,
            source,
        })?;
        for path in files {
            if let Some(text) = read_toml(&path, Owner::User)? {
                self.add(&path, text)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, text: FileText) -> Result<(), ConfigError> {
        if text.registries.is_some() {
            return Err(ConfigError::FirstVersion {
                path: path.to_owned(),
            });
        }
        if let Some(search) = text.unqualified_search_registries {
            self.search = Some(search);
        }
        if let Some(helpers) = text.credential_helpers {
            let mut parts = helpers.split(|helper| helper == AUTH_FILES);
            let mut next = || parts.next().unwrap_or_default().to_vec();
            self.helpers = [next(), next()];
        }
        for (name, value) in text.aliases {
            let target = alias(path, &name, &value)?;
            self.aliases.insert(name, target);
        }
        for registry in text.registry {
            let rule = rule(path, &registry)?;
            self.rules.insert(rule.prefix.clone(), rule);
        }
        Ok(())
    }

    /// Returns what is said of a repository, a tag or a digest: the table with the longest prefix.
    pub(crate) fn rule_of(&self, reference: &Reference) -> Option<&Rule> {
        let matching = self.rules.values();
        matching
            .filter(|rule| rule.matched(reference).is_some())
            .max_by_key(|rule| rule.prefix.len())
    }
}

fn alias(path: &Path, name: &str, value: &str) -> Result<Option<Reference>, ConfigError> {
    if value.is_empty() {
        return Ok(None);
    }
    let literal = Reference::parse_literal(value).ok();
    let has_registry = literal.as_ref().is_some_and(|l| !l.domain().is_empty());
    let target = Reference::parse(value)
        .ok()
        .filter(|target| has_registry && target.tag().is_none() && target.digest().is_none());
    let target = target.ok_or_else(|| ConfigError::Value {
        path: path.to_owned(),
        key: format!("aliases.\"{name}\""),
        expected: "a repository with its registry, without tag and digest",
    })?;
    Ok(Some(target))
}

fn rule(path: &Path, text: &RegistryText) -> Result<Rule, ConfigError> {
    let is_wildcard = text.prefix.starts_with("*.");
    if text.location.is_empty() && text.prefix.is_empty() {
        return Err(ConfigError::Incomplete {
            path: path.to_owned(),
            what: "a table `[[registry]]` has neither `prefix` nor `location`",
        });
    }
    let prefix = place(
        path,
        if text.prefix.is_empty() {
            &text.location
        } else {
            &text.prefix
        },
    )?;
    let location = match place(path, &text.location)? {
        location if location.is_empty() && is_wildcard => None,
        location if location.is_empty() => Some(prefix.clone()),
        location => Some(location),
    };
    let by_digest = text.mirror_by_digest_only;
    let mirrors = text.mirror.iter();
    Ok(Rule {
        location,
        insecure: text.insecure,
        blocked: text.blocked,
        mirrors: mirrors
            .map(|text| mirror(path, text, by_digest))
            .collect::<Result<_, _>>()?,
        prefix,
        path: path.to_owned(),
    })
}

fn mirror(path: &Path, text: &MirrorText, by_digest: bool) -> Result<Mirror, ConfigError> {
    if text.location.is_empty() {
        return Err(ConfigError::Incomplete {
            path: path.to_owned(),
            what: "a table `[[registry.mirror]]` has no `location`",
        });
    }
    if by_digest && !text.pull_from_mirror.is_empty() {
        return Err(ConfigError::Conflict {
            path: path.to_owned(),
            key: "pull-from-mirror".to_owned(),
            other: "mirror-by-digest-only = true",
        });
    }
    let pull_from = match text.pull_from_mirror.as_str() {
        "" if by_digest => PullFrom::DigestOnly,
        "" | "all" => PullFrom::All,
        "digest-only" => PullFrom::DigestOnly,
        "tag-only" => PullFrom::TagOnly,
        _ => {
            return Err(ConfigError::Value {
                path: path.to_owned(),
                key: "pull-from-mirror".to_owned(),
                expected: "`all`, `digest-only` or `tag-only`",
            });
        }
    };
    Ok(Mirror {
        location: place(path, &text.location)?,
        insecure: text.insecure,
        pull_from,
    })
}

/// Checks `host[:port][/path]`, with `*.` before it in prefixes; there is no scheme.
fn place(path: &Path, text: &str) -> Result<String, ConfigError> {
    let text = text.trim_end_matches('/');
    if text.is_empty() {
        return Ok(String::new());
    }
    let host = text.strip_prefix("*.").unwrap_or(text);
    let host = host.split('/').next().unwrap_or(host);
    if text.contains("://") {
        return Err(ConfigError::Value {
            path: path.to_owned(),
            key: text.to_owned(),
            expected: "a registry without `http://` and `https://`: `insecure = true` allows plain HTTP",
        });
    }
    direct(host, "").map_err(|source| ConfigError::Address {
        path: path.to_owned(),
        text: text.to_owned(),
        source,
    })?;
    // With more behind it, it must be a name: that is what it is put before.
    let bare = text.strip_prefix("*.").unwrap_or(text);
    let is_name = [String::new(), "/x".to_owned()]
        .iter()
        .any(|more| Reference::parse_literal(&format!("{bare}{more}")).is_ok());
    if !is_name {
        return Err(ConfigError::Value {
            path: path.to_owned(),
            key: text.to_owned(),
            expected: "the beginning of an image's name",
        });
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests;
