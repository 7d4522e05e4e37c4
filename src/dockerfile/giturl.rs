//! URLs of git repositories, with what part of one is meant.
//!
//! ```text
//! https://example.com/repo.git#ref:subdirectory
//! https://example.com/repo.git?tag=v1&subdir=docs
//! git@example.com:owner/repo.git#ref
//! ssh://git@example.com/owner/repo.git
//! git://example.com/repo
//! github.com/owner/repo                            contexts only, deprecated
//! ```
//!
//! An `http` or `https` URL names a repository only when its path ends in `.git`; everything else is a file to be
//! downloaded.

mod query;

use graph::GitSource;
pub use graph::GitTimes;

use query::Query;

/// A git repository and the part of it that is meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GitUrl {
    /// The repository's URL as git takes it, without fragment and query.
    pub remote: String,
    /// The last component of the path without `.git`.
    pub short_name: String,
    /// A branch, tag or commit.
    pub reference: Option<String>,
    /// A directory in the repository.
    pub subdirectory: Option<String>,
    /// The commit that `reference` has to be, or the start of its digest.
    pub checksum: Option<String>,
    /// Whether the URL looks like a path: `github.com/owner/repo`.
    pub looks_local: bool,
    /// Whether anybody on the way can change what is sent: `http` and `git`.
    pub unencrypted: bool,
    /// Whether `.git` is kept, if the URL says so.
    pub keep_git_dir: Option<bool>,
    /// Whether submodules are fetched, if the URL says so.
    pub submodules: Option<bool>,
    /// Which modification times files get, if the URL says so.
    pub mtime: Option<GitTimes>,
    /// Whether the commit is fetched by its digest and not by `reference`.
    pub fetch_by_commit: Option<bool>,
}

/// Says why a git URL is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitUrlError {
    /// A key is none of those known.
    #[error("unknown option `{key}` in a git URL")]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// A key has no value.
    #[error("option `{key}` of a git URL has no value")]
    NoValue {
        /// The key.
        key: String,
    },
    /// A key is given twice.
    #[error("option `{key}` of a git URL is given twice")]
    Twice {
        /// The key.
        key: String,
    },
    /// A value is none of those that the key can have.
    #[error("option `{key}` of a git URL cannot be `{value}`")]
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
    /// Two parts of the URL say different things.
    #[error("a git URL names both `{first}` and `{second}`")]
    Conflict {
        /// What is said first.
        first: String,
        /// What is said then.
        second: String,
    },
    /// A reference or a directory has a control character: no name of git's has one (`git check-ref-format`), and one that
    /// was written as `%1b` would be a terminal's when it is shown.
    #[error("a git URL has a control character in `{text}`")]
    Control {
        /// The reference or the directory, with such characters escaped.
        text: String,
    },
}

/// Reads the URL of a git repository; nothing when it is none.
///
/// # Errors
///
/// Fails when it is one, but its query cannot be understood or it names what git cannot have.
pub fn parse_git_url(text: &str) -> Result<Option<GitUrl>, GitUrlError> {
    let Some(parts) = split(text) else {
        return Ok(None);
    };
    let last = parts.remote.rsplit('/').next().unwrap_or_default();
    let mut url = GitUrl {
        short_name: last.strip_suffix(".git").unwrap_or(last).to_owned(),
        remote: parts.remote,
        looks_local: parts.looks_local,
        unencrypted: parts.unencrypted,
        ..GitUrl::default()
    };
    let (reference, subdirectory) = parts
        .fragment
        .split_once(':')
        .unwrap_or((&parts.fragment, ""));
    url.reference = non_empty(reference);
    url.subdirectory = non_empty(subdirectory);
    Query::parse(&parts.query)?.apply(&mut url)?;
    let named = [&url.reference, &url.subdirectory];
    let strange = named
        .into_iter()
        .flatten()
        .find(|name| name.chars().any(char::is_control))
        .map(|name| name.escape_debug().to_string());
    strange.map_or(Ok(Some(url)), |text| Err(GitUrlError::Control { text }))
}

/// What a simplified URL still says about the part that is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fragment {
    /// The reference.
    Reference,
    /// The reference and the subdirectory.
    ReferenceAndSubdirectory,
}

impl GitUrl {
    /// Returns what the graph takes: what the URL does not say is as BuildKit has it, without `.git` and with the files
    /// of submodules.
    pub fn source(&self) -> GitSource {
        GitSource {
            remote: self.remote.clone(),
            reference: self.reference.clone(),
            checksum: self.checksum.clone(),
            subdirectory: self.subdirectory.clone(),
            keep_git_dir: self.keep_git_dir.unwrap_or(false),
            submodules: self.submodules.unwrap_or(true),
            times: self.mtime.unwrap_or(GitTimes::Checkout),
            fetch_by_commit: self.fetch_by_commit.unwrap_or(false),
        }
    }

    /// Returns the URL with what is meant as a fragment: `remote#reference:subdirectory`.
    pub fn with_fragment(&self, fragment: Fragment) -> String {
        let reference = self.reference.as_deref().unwrap_or_default();
        let subdirectory = match fragment {
            Fragment::Reference => None,
            Fragment::ReferenceAndSubdirectory => self.subdirectory.as_deref(),
        };
        let cleaned = graph::pattern::clean_path(&format!("/{}", subdirectory.unwrap_or_default()));
        match (reference, cleaned.trim_start_matches('/')) {
            ("", "") => self.remote.clone(),
            (reference, "") => format!("{}#{reference}", self.remote),
            (reference, below) => format!("{}#{reference}:{below}", self.remote),
        }
    }
}

fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The parts of a URL that names a repository.
struct Parts {
    remote: String,
    query: String,
    fragment: String,
    looks_local: bool,
    unencrypted: bool,
}

fn split(text: &str) -> Option<Parts> {
    if text.starts_with("./") || text.starts_with("../") || text.chars().any(char::is_control) {
        return None;
    }
    if text.starts_with("github.com/") {
        return Some(Parts {
            looks_local: true,
            ..cut(text)
        });
    }
    match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => split_url(&scheme.to_lowercase(), rest),
        _ => split_scp(text),
    }
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric())
}

/// Cuts query and fragment off; the latter with its `%20`s resolved.
fn cut(text: &str) -> Parts {
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (remote, query) = text.split_once('?').unwrap_or((text, ""));
    Parts {
        remote: remote.to_owned(),
        query: query.to_owned(),
        fragment: query::percent_decoded(fragment).unwrap_or_else(|| fragment.to_owned()),
        looks_local: false,
        unencrypted: false,
    }
}

fn split_url(scheme: &str, rest: &str) -> Option<Parts> {
    let parts = cut(rest);
    let (host, path) = parts.remote.split_once('/').unwrap_or((&parts.remote, ""));
    if !has_valid_port(host) {
        return None;
    }
    let is_repository = match scheme {
        "http" | "https" => path.strip_suffix(".git").is_some(),
        "git" | "ssh" => true,
        _ => false,
    };
    is_repository.then(|| Parts {
        remote: format!("{scheme}://{}", parts.remote),
        unencrypted: matches!(scheme, "http" | "git"),
        ..parts
    })
}

/// Tells whether what follows the host is a number or nothing.
fn has_valid_port(authority: &str) -> bool {
    let host = authority.rsplit('@').next().unwrap_or_default();
    let port = match host.rsplit_once(']') {
        Some((_, behind)) => behind.strip_prefix(':').unwrap_or(behind),
        None => host.split_once(':').map_or("", |(_, port)| port),
    };
    port.chars().all(|c| c.is_ascii_digit())
}

/// Splits `user@host:path`.
fn split_scp(text: &str) -> Option<Parts> {
    let (user, rest) = text.split_once('@')?;
    let (host, _) = rest.split_once(':')?;
    let is_name = |text: &str, extra: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
    };
    (is_name(user, "-_") && is_name(host, "-.")).then(|| {
        let fragment = text.split_once('#').map_or("", |(_, fragment)| fragment);
        Parts {
            fragment: fragment.to_owned(),
            ..cut(text)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_url_are_told_apart() {
        for (text, expected) in [
            (
                "https://e.com/a/b.git#v1:c/d",
                "https://e.com/a/b.git v1 c/d",
            ),
            ("https://e.com/a/b.git#:c", "https://e.com/a/b.git - c"),
            ("HTTPS://e.com/b.git", "https://e.com/b.git - -"),
            ("ssh://git@e.com:22/b#x%20y", "ssh://git@e.com:22/b x y -"),
            ("git@e.com:b.git?tag=v1", "git@e.com:b.git refs/tags/v1 -"),
            (
                "https://e.com/b.git?branch=refs/heads/x",
                "https://e.com/b.git refs/heads/x -",
            ),
            ("github.com/a/b#c", "github.com/a/b c -"),
        ] {
            let url = parse_git_url(text).unwrap().unwrap();
            let part = |part: Option<String>| part.unwrap_or_else(|| "-".to_owned());
            let (reference, subdirectory) = (part(url.reference), part(url.subdirectory));
            assert_eq!(
                format!("{} {reference} {subdirectory}", url.remote),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn other_texts_are_no_git_urls() {
        for text in [
            "https://e.com/a",
            "https://e.com/a.git/",
            "ftp://e.com/a.git",
            "./a.git",
            "a.git",
            "e.com/a.git",
            "https://e.com:x/a.git",
            "git @e.com:a",
        ] {
            assert_eq!(parse_git_url(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn a_control_character_that_was_encoded_is_refused() {
        for (part, shown) in [
            ("#a%0ab", "a\\nb"),
            ("#a:b%1b", "b\\u{1b}"),
            ("?ref=%0d", "\\r"),
        ] {
            let error = parse_git_url(&format!("https://e.com/a.git{part}")).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("a git URL has a control character in `{shown}`")
            );
        }
    }

    #[test]
    fn a_query_that_contradicts_itself_is_refused() {
        for (query, message) in [
            ("x=1", "unknown option `x` in a git URL"),
            ("tag=", "option `tag` of a git URL has no value"),
            ("tag=a&tag=b", "option `tag` of a git URL is given twice"),
            (
                "submodules=2",
                "option `submodules` of a git URL cannot be `2`",
            ),
            ("ref=a&tag=b", "a git URL names both `a` and `refs/tags/b`"),
            ("ref=a#b", "a git URL names both `b` and `a`"),
            (
                "tag=a&branch=a",
                "a git URL names both `refs/tags/a` and `refs/heads/a`",
            ),
        ] {
            let error = parse_git_url(&format!("https://e.com/a.git?{query}")).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
