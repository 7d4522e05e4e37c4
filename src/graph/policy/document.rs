//! The document of a policy: JSON → rules.
//!
//! Keys that are not known are refused: a rule with a misspelt key would be another rule.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Action, Constraint, Matcher, Rule, Selector, Wildcard};

/// The version of the document that is read; 0 is that of a document that does not say.
const VERSION: i64 = 1;

/// Why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It is no document of that kind.
    #[error("read the source policy")]
    Document(#[source] serde_json::Error),
    /// It has a version that is not known.
    #[error("the source policy has version {version}; {VERSION} is supported")]
    Version {
        /// The version.
        version: i64,
    },
    /// A word stands where only others may.
    #[error(
        "rule {rule} of the source policy: `{word}` is no {what}: {}",
        words(known)
    )]
    Word {
        /// The rule, counted from 1.
        rule: usize,
        /// What it should be.
        what: &'static str,
        /// The word.
        word: String,
        /// The words that there are.
        known: &'static [&'static str],
    },
    /// A rule has a regular expression.
    #[error(
        "rule {rule} of the source policy has a regular expression, which is not supported: \
         `WILDCARD` and `EXACT` are"
    )]
    Regex {
        /// The rule, counted from 1.
        rule: usize,
    },
    /// A wildcard has two stars side by side.
    #[error(
        "rule {rule} of the source policy: `**` in `{identifier}` means nothing; `*` is any text"
    )]
    Wildcard {
        /// The rule, counted from 1.
        rule: usize,
        /// The wildcard.
        identifier: String,
    },
    /// A rule converts to nothing.
    #[error("rule {rule} of the source policy converts and has no `updates`")]
    NoUpdates {
        /// The rule, counted from 1.
        rule: usize,
    },
}

fn words(known: &[&str]) -> String {
    let quoted: Vec<_> = known.iter().map(|word| ["`", word, "`"].concat()).collect();
    quoted.join(", ")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    version: i64,
    #[serde(default)]
    rules: Vec<RuleText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    #[serde(default)]
    action: Word,
    selector: SelectorText,
    updates: Option<Updates>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SelectorText {
    identifier: String,
    #[serde(default, alias = "matchType")]
    match_type: Word,
    #[serde(default)]
    constraints: Vec<ConstraintText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConstraintText {
    key: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    condition: Word,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Updates {
    #[serde(default)]
    identifier: String,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
}

/// A word of an enumeration, or its number. The default is the first.
#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Number(usize),
    Text(String),
}

impl Default for Word {
    fn default() -> Self {
        Self::Number(0)
    }
}

impl Word {
    fn one_of(
        &self,
        known: &'static [&'static str],
        what: &'static str,
        rule: usize,
    ) -> Result<&'static str, PolicyError> {
        let found = match self {
            Self::Number(number) => known.get(*number),
            Self::Text(text) => known.iter().find(|word| *word == text),
        };
        found.copied().ok_or_else(|| PolicyError::Word {
            rule,
            what,
            word: match self {
                Self::Number(number) => number.to_string(),
                Self::Text(text) => text.clone(),
            },
            known,
        })
    }
}

/// Reads the rules of a document.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Rule>, PolicyError> {
    let document: Document = serde_json::from_slice(text).map_err(PolicyError::Document)?;
    if !(0..=VERSION).contains(&document.version) {
        let version = document.version;
        return Err(PolicyError::Version { version });
    }
    let numbered = document.rules.into_iter().zip(1..);
    numbered.map(|(text, rule)| read(text, rule)).collect()
}

fn read(text: RuleText, rule: usize) -> Result<Rule, PolicyError> {
    const ACTIONS: &[&str] = &["ALLOW", "DENY", "CONVERT"];
    let selector = selector(text.selector, rule)?;
    let action = match text.action.one_of(ACTIONS, "action", rule)? {
        "ALLOW" => Action::Allow,
        "DENY" => Action::Deny,
        _ => {
            let updates = text.updates.ok_or(PolicyError::NoUpdates { rule })?;
            let identifier = Some(updates.identifier).filter(|text| !text.is_empty());
            let attributes = updates.attrs;
            Action::Convert {
                identifier,
                attributes,
            }
        }
    };
    Ok(Rule { selector, action })
}

fn selector(text: SelectorText, rule: usize) -> Result<Selector, PolicyError> {
    const KINDS: &[&str] = &["WILDCARD", "EXACT", "REGEX"];
    let identifier = text.identifier;
    let matcher = match text.match_type.one_of(KINDS, "match type", rule)? {
        "WILDCARD" => match Wildcard::parse(&identifier) {
            Some(wildcard) => Matcher::Wildcard(wildcard),
            None => return Err(PolicyError::Wildcard { rule, identifier }),
        },
        "EXACT" => Matcher::Exact(identifier),
        _ => return Err(PolicyError::Regex { rule }),
    };
    let constraints = text.constraints.into_iter();
    let constraints: Result<_, _> = constraints.map(|text| constraint(text, rule)).collect();
    let constraints = constraints?;
    Ok(Selector {
        matcher,
        constraints,
    })
}

fn constraint(text: ConstraintText, rule: usize) -> Result<Constraint, PolicyError> {
    const CONDITIONS: &[&str] = &["EQUAL", "NOTEQUAL", "MATCHES"];
    let equal = match text.condition.one_of(CONDITIONS, "condition", rule)? {
        "EQUAL" => true,
        "NOTEQUAL" => false,
        _ => return Err(PolicyError::Regex { rule }),
    };
    Ok(Constraint {
        key: text.key,
        value: text.value,
        equal,
    })
}
