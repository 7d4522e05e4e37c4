//! The token of a job, and which branches' entries it is for.
//!
//! It is a JSON Web Token (RFC 7519) whose claim `ac` is a JSON text: `[{"Scope":"refs/heads/main","Permission":3}]`, with
//! 1 for reading and 2 for writing. Only the service can verify it; here it is read for the names of the branches alone.
//! Other services give tokens of other kinds, which say nothing.

use std::fmt;

use serde::Deserialize;

use crate::limits::{BRANCHES_MAX, TOKEN_MAX_BYTES};

const READ: u32 = 1;
const WRITE: u32 = 2;

/// A token. It cannot be shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token {
    text: String,
    /// None where the token does not say.
    branches: Option<Vec<Branch>>,
}

/// What a token allows for the entries of one branch.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Branch {
    #[serde(rename = "Scope")]
    name: String,
    #[serde(rename = "Permission")]
    permission: u32,
}

#[derive(Deserialize)]
struct Claims {
    ac: String,
}

impl Token {
    /// Takes the text of a token.
    pub(crate) fn new(text: String) -> Self {
        let branches = branches(&text);
        Self { text, branches }
    }

    /// Returns the text. It is secret.
    pub(crate) fn expose(&self) -> &str {
        &self.text
    }

    /// Returns the branch whose entries the job writes; none where it may not write.
    pub(crate) fn written(&self) -> Option<&str> {
        let Some(branches) = &self.branches else {
            return Some("");
        };
        let writable = branches
            .iter()
            .rfind(|branch| branch.permission & WRITE != 0);
        writable.map(|branch| branch.name.as_str())
    }

    /// Returns the branches whose entries the job reads, its own first: a pull request's, the one that it is to be merged
    /// into, the default one.
    pub(crate) fn read(&self) -> Vec<&str> {
        let Some(branches) = &self.branches else {
            return vec![""];
        };
        let mut names: Vec<&str> = Vec::new();
        for branch in branches {
            let is_readable = branch.permission & (READ | WRITE) != 0;
            if is_readable && !names.contains(&branch.name.as_str()) {
                names.push(&branch.name);
            }
        }
        names.truncate(BRANCHES_MAX);
        names
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(for {:?})", self.branches)
    }
}

fn branches(token: &str) -> Option<Vec<Branch>> {
    if token.len() > TOKEN_MAX_BYTES {
        return None;
    }
    let claims = token.split('.').nth(1)?;
    // RFC 4648, section 5: the alphabet for URLs.
    let claims = fetch::unbase64(&claims.replace('-', "+").replace('_', "/"))?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    serde_json::from_str(&claims.ac).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> Token {
        let encoded = fetch::base64(claims.as_bytes());
        let encoded = encoded.trim_end_matches('=').replace('+', "-");
        Token::new(format!("e30.{}.c2ln", encoded.replace('/', "_")))
    }

    #[test]
    fn a_token_says_which_branches_are_read_and_which_one_is_written() {
        let main = r#"{"Scope":"refs/heads/main","Permission":3}"#;
        let base = r#"{"Scope":"refs/heads/main","Permission":1}"#;
        let pull = r#"{"Scope":"refs/pull/7/merge","Permission":3}"#;
        let ac = |entries: &[&str]| {
            let ac = format!("[{}]", entries.join(","));
            serde_json::json!({ "ac": ac, "exp": 1 }).to_string()
        };
        let all: &[&str] = &["refs/pull/7/merge", "refs/heads/main"];
        for (claims, written, read) in [
            (ac(&[main]), Some("refs/heads/main"), &all[1..]),
            (ac(&[pull, base]), Some("refs/pull/7/merge"), all),
            (ac(&[base]), None, &all[1..]),
            (ac(&[]), None, &[]),
            ("{}".to_owned(), Some(""), &[""]),
            (r#"{"ac":"[1]"}"#.to_owned(), Some(""), &[""]),
            (r#"{"ac":[]}"#.to_owned(), Some(""), &[""]),
        ] {
            let token = token(&claims);
            assert_eq!(token.written(), written, "{claims}");
            assert_eq!(token.read(), read, "{claims}");
        }
    }

    #[test]
    fn a_token_of_another_kind_says_nothing_and_none_is_shown() {
        for text in ["opaque", "a.b.c", "", &"x.".repeat(TOKEN_MAX_BYTES)] {
            assert_eq!(Token::new(text.to_owned()).written(), Some(""));
        }
        let shown = format!("{:?}", Token::new("opaque".to_owned()));
        assert_eq!(shown, "Token(for None)");
    }

    #[test]
    fn no_more_branches_are_read_than_there_may_be() {
        let entries: Vec<_> = (0..50)
            .map(|number| serde_json::json!({"Scope": number.to_string(), "Permission": 1}))
            .collect();
        let ac = serde_json::to_string(&entries).unwrap();
        let token = token(&serde_json::json!({ "ac": ac }).to_string());
        assert_eq!(token.read().len(), BRANCHES_MAX);
    }
}
