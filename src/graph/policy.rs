//! The source policy: which sources a build may use, and what is used in their place.
//!
//! A policy is BuildKit's JSON document (`EXPERIMENTAL_BUILDKIT_SOURCE_POLICY`; moby/buildkit,
//! `sourcepolicy/policy.proto`):
//!
//! ```text
//! {"rules": [
//!   {"action": "DENY",    "selector": {"identifier": "docker-image://*"}},
//!   {"action": "ALLOW",   "selector": {"identifier": "docker-image://docker.io/library/*"}},
//!   {"action": "CONVERT", "selector": {"identifier": "docker-image://docker.io/library/debian:*"},
//!                         "updates":  {"identifier": "docker-image://mirror.example/debian:${1}"}}
//! ]}
//! ```
//!
//! The rules are gone through from the first to the last. The last `ALLOW` or `DENY` that fits decides; a `CONVERT` that
//! changes something begins the whole list again with what it made. What no rule fits is allowed.
//!
//! Regular expressions are refused and not approximated: a rule that is understood otherwise than it was meant lets
//! through what it should stop.

mod document;
#[cfg(test)]
mod tests;
mod wildcard;

use std::collections::BTreeMap;

pub use document::PolicyError;

use crate::userinfo::without_secret;
use wildcard::Wildcard;

/// How many times a source may be converted (BuildKit's limit is the same).
const CONVERSIONS_LIMIT: usize = 20;

/// A source, in the words of policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySource {
    /// What it is: `docker-image://docker.io/library/debian:12`, `https://example.org/x`, `local://context`.
    pub identifier: String,
    /// What else is known of it: `http.checksum`.
    pub attributes: BTreeMap<String, String>,
}

impl PolicySource {
    /// Returns the source of this name, of which nothing else is known.
    pub fn new<S: Into<String>>(identifier: S) -> Self {
        Self {
            identifier: identifier.into(),
            attributes: BTreeMap::new(),
        }
    }
}

/// Why a source may not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRefusal {
    /// A rule says so.
    #[error(
        "source `{}` denied by policy (rule {rule})",
        without_secret(identifier)
    )]
    Denied {
        /// The source, after all conversions.
        identifier: String,
        /// The rule, counted from 1.
        rule: usize,
    },
    /// Rules convert in a circle.
    #[error(
        "source `{}` was converted more than {CONVERSIONS_LIMIT} times by the policy",
        without_secret(identifier)
    )]
    Endless {
        /// The source as it was at first.
        identifier: String,
    },
}

/// A source policy. The default allows everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourcePolicy {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    selector: Selector,
    action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Allow,
    Deny,
    Convert {
        /// With `$1` for what the first `*` of the selector was.
        identifier: Option<String>,
        attributes: BTreeMap<String, String>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Selector {
    matcher: Matcher,
    constraints: Vec<Constraint>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Matcher {
    Exact(String),
    Wildcard(Wildcard),
}

/// What an attribute has to be, or must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Constraint {
    key: String,
    value: String,
    equal: bool,
}

/// What one pass over the rules came to.
enum Pass {
    Allowed,
    Denied { rule: usize },
    Converted(PolicySource),
}

impl SourcePolicy {
    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// Fails on what is no such document, and on rules that are not supported.
    pub fn parse(text: &[u8]) -> Result<Self, PolicyError> {
        document::parse(text).map(|rules| Self { rules })
    }

    /// Returns what is used for a source: itself, or what the rules convert it to.
    ///
    /// # Errors
    ///
    /// Fails when the source is denied, or converted without end.
    pub fn evaluate(&self, source: PolicySource) -> Result<PolicySource, PolicyRefusal> {
        let mut current = source.clone();
        for _ in 0..=CONVERSIONS_LIMIT {
            match self.pass(&current) {
                Pass::Allowed => return Ok(current),
                Pass::Denied { rule } => {
                    let identifier = current.identifier;
                    return Err(PolicyRefusal::Denied { identifier, rule });
                }
                Pass::Converted(converted) => current = converted,
            }
        }
        Err(PolicyRefusal::Endless {
            identifier: source.identifier,
        })
    }

    fn pass(&self, source: &PolicySource) -> Pass {
        let mut denied = None;
        for (index, rule) in self.rules.iter().enumerate() {
            let Some(parts) = rule.selector.fit(source) else {
                continue;
            };
            match &rule.action {
                Action::Allow => denied = None,
                Action::Deny => denied = Some(index + 1),
                Action::Convert {
                    identifier,
                    attributes,
                } => {
                    let converted = convert(source, identifier.as_deref(), attributes, &parts);
                    if converted != *source {
                        return Pass::Converted(converted);
                    }
                }
            }
        }
        denied.map_or(Pass::Allowed, |rule| Pass::Denied { rule })
    }
}

fn convert(
    source: &PolicySource,
    identifier: Option<&str>,
    attributes: &BTreeMap<String, String>,
    parts: &[&str],
) -> PolicySource {
    let mut converted = source.clone();
    if let Some(template) = identifier {
        converted.identifier = wildcard::expand(template, &source.identifier, parts);
    }
    converted.attributes.extend(attributes.clone());
    converted
}

impl Selector {
    /// Returns what the wildcards stand for, if the source is one of those that are meant.
    fn fit<'a>(&self, source: &'a PolicySource) -> Option<Vec<&'a str>> {
        let holds = |constraint: &Constraint| {
            // An attribute that is not there is empty.
            let value = source.attributes.get(&constraint.key);
            (value.map_or("", String::as_str) == constraint.value) == constraint.equal
        };
        if !self.constraints.iter().all(holds) {
            return None;
        }
        match &self.matcher {
            Matcher::Exact(identifier) => (*identifier == source.identifier).then(Vec::new),
            Matcher::Wildcard(wildcard) => wildcard.fit(&source.identifier),
        }
    }
}
