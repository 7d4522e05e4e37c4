//! The query of a git URL: `?tag=v1&subdir=docs&submodules=false`.

use super::{GitTimes, GitUrl, GitUrlError};
use crate::number;

const KEYS: [&str; 10] = [
    "ref",
    "tag",
    "branch",
    "subdir",
    "checksum",
    "commit",
    "keep-git-dir",
    "submodules",
    "mtime",
    "fetch-by-commit",
];

/// The keys and values of a query, in order. A key without a value has an empty one.
pub(super) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Splits a query. Pairs that are not encoded as they have to be are left out, as Go's `URL.Query` does.
    pub(super) fn parse(text: &str) -> Result<Self, GitUrlError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in text
            .split('&')
            .filter(|pair| !pair.is_empty() && !pair.contains(';'))
        {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(key), Some(value)) = (decoded(key), decoded(value)) else {
                continue;
            };
            if !KEYS.contains(&key.as_str()) {
                return Err(GitUrlError::UnknownKey { key });
            }
            if pairs.iter().any(|(earlier, _)| *earlier == key) {
                return Err(GitUrlError::Twice { key });
            }
            pairs.push((key, value));
        }
        Ok(Self { pairs })
    }

    /// Adds what the query says to `url`.
    pub(super) fn apply(self, url: &mut GitUrl) -> Result<(), GitUrlError> {
        let mut tag = None;
        let mut branch = None;
        for (key, value) in self.pairs {
            match key.as_str() {
                "keep-git-dir" => url.keep_git_dir = Some(switch(&key, &value)?),
                "submodules" => url.submodules = Some(switch(&key, &value)?),
                "fetch-by-commit" => url.fetch_by_commit = Some(switch(&key, &value)?),
                "ref" => agree(&mut url.reference, given(&key, value)?)?,
                "subdir" => agree(&mut url.subdirectory, given(&key, value)?)?,
                "tag" => tag = Some(prefixed("refs/tags/", &given(&key, value)?)),
                "branch" => branch = Some(prefixed("refs/heads/", &given(&key, value)?)),
                "checksum" | "commit" => url.checksum = Some(given(&key, value)?),
                "mtime" => url.mtime = Some(times(&key, &given(&key, value)?)?),
                _ => return Err(GitUrlError::UnknownKey { key }),
            }
        }
        for reference in tag.into_iter().chain(branch) {
            agree(&mut url.reference, reference)?;
        }
        Ok(())
    }
}

/// Sets a part of the URL, which must not say something else already.
fn agree(part: &mut Option<String>, value: String) -> Result<(), GitUrlError> {
    match part {
        Some(first) if *first != value => Err(GitUrlError::Conflict {
            first: first.clone(),
            second: value,
        }),
        _ => {
            *part = Some(value);
            Ok(())
        }
    }
}

fn prefixed(prefix: &str, name: &str) -> String {
    if name.starts_with(prefix) {
        name.to_owned()
    } else {
        format!("{prefix}{name}")
    }
}

fn given(key: &str, value: String) -> Result<String, GitUrlError> {
    if value.is_empty() {
        Err(GitUrlError::NoValue {
            key: key.to_owned(),
        })
    } else {
        Ok(value)
    }
}

fn switch(key: &str, value: &str) -> Result<bool, GitUrlError> {
    if value.is_empty() {
        return Ok(true);
    }
    number::parse_bool(value).ok_or_else(|| bad(key, value))
}

fn times(key: &str, value: &str) -> Result<GitTimes, GitUrlError> {
    match value {
        "checkout" => Ok(GitTimes::Checkout),
        "commit" => Ok(GitTimes::Commit),
        _ => Err(bad(key, value)),
    }
}

fn bad(key: &str, value: &str) -> GitUrlError {
    GitUrlError::Value {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

fn decoded(text: &str) -> Option<String> {
    percent_decoded(&text.replace('+', " "))
}

/// Returns `text` with every `%20` resolved; nothing when a `%` has no two digits behind it.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let (high, low) = (rest.next().and_then(digit)?, rest.next().and_then(digit)?);
            bytes.push(high * 16 + low);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}
