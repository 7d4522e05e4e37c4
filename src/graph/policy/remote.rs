//! What policies call the things that servers have: BuildKit's names (moby/buildkit, `client/llb/source.go` and
//! `solver/pb/attr.go`).
//!
//! A user and a password in a URL are no part of the name: rules are about where something comes from, and messages tell
//! the name.

use super::PolicySource;
use crate::remote::{GitSource, HttpSource};

/// The attribute with the digest that a file must have.
pub const HTTP_CHECKSUM: &str = "http.checksum";
/// The attribute with the URL of a repository.
pub const GIT_URL: &str = "git.fullurl";
/// The attribute with the commit that must be found.
pub const GIT_CHECKSUM: &str = "git.checksum";

impl HttpSource {
    /// Returns the file in the words of policies: its URL.
    pub fn policy_source(&self) -> PolicySource {
        let mut source = PolicySource::new(without_user(&self.url));
        let checksum = self.checksum.as_ref();
        source.set(HTTP_CHECKSUM, checksum.map(ToString::to_string));
        source
    }
}

impl GitSource {
    /// Returns the repository in the words of policies: `git://HOST/PATH#REFERENCE:SUBDIRECTORY`.
    pub fn policy_source(&self) -> PolicySource {
        let reference = self.reference.as_deref().unwrap_or_default();
        let fragment = match self.subdirectory.as_deref() {
            Some(subdirectory) => format!("{reference}:{subdirectory}"),
            None => reference.to_owned(),
        };
        let mark = if fragment.is_empty() { "" } else { "#" };
        let place = place(&self.remote);
        let mut source = PolicySource::new(format!("git://{place}{mark}{fragment}"));
        source.set(GIT_URL, Some(without_token(&self.remote)));
        source.set(GIT_CHECKSUM, self.checksum.clone());
        source
    }
}

impl PolicySource {
    fn set(&mut self, key: &str, value: Option<String>) {
        self.attributes
            .extend(value.map(|value| (key.to_owned(), value)));
    }
}

/// Returns the host and the path of a repository.
fn place(remote: &str) -> String {
    match without_user(remote).split_once("://") {
        Some((_, place)) => place.to_owned(),
        // `git@host:path`, where no number is behind the colon.
        None => match remote.rsplit_once('@') {
            Some((_, place)) => place.replacen(':', "/", 1),
            None => remote.replacen(':', "/", 1),
        },
    }
}

/// Takes the user out of a URL where it may be a token: for ssh it is a part of where a repository is.
fn without_token(url: &str) -> String {
    if url.starts_with("http") {
        without_user(url)
    } else {
        url.to_owned()
    }
}

/// Takes the user and the password out of a URL.
fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::GitTimes;

    #[test]
    fn a_file_is_its_url_without_a_user() {
        for (url, expected) in [
            ("https://example.org/x?y=a@b", "https://example.org/x?y=a@b"),
            (
                "https://u:p@example.org:8443/x",
                "https://example.org:8443/x",
            ),
            ("http://u@example.org", "http://example.org"),
        ] {
            let url = url.to_owned();
            let source = HttpSource {
                url,
                checksum: None,
            }
            .policy_source();
            assert_eq!(source, PolicySource::new(expected));
        }
    }

    #[test]
    fn a_repository_is_its_place_whatever_it_is_fetched_by() {
        let source =
            |remote: &str, reference: Option<&str>, subdirectory: Option<&str>| GitSource {
                remote: remote.to_owned(),
                reference: reference.map(str::to_owned),
                checksum: Some("12ab".to_owned()),
                subdirectory: subdirectory.map(str::to_owned),
                keep_git_dir: false,
                submodules: true,
                times: GitTimes::Checkout,
                fetch_by_commit: false,
            };
        for (source, identifier, url) in [
            (
                source("https://u:p@example.org/o/r.git", None, None),
                "git://example.org/o/r.git",
                "https://example.org/o/r.git",
            ),
            (
                source("ssh://git@example.org:22/r", Some("v1"), Some("sub")),
                "git://example.org:22/r#v1:sub",
                "ssh://git@example.org:22/r",
            ),
            (
                source("git@example.org:o/r.git", Some("refs/tags/v1"), None),
                "git://example.org/o/r.git#refs/tags/v1",
                "git@example.org:o/r.git",
            ),
            (
                source("https://example.org/r", None, Some("sub")),
                "git://example.org/r#:sub",
                "https://example.org/r",
            ),
        ] {
            let found = source.policy_source();
            assert_eq!(found.identifier, identifier);
            let attribute = |key| found.attributes.get(key).map(String::as_str);
            assert_eq!(attribute(GIT_URL), Some(url));
            assert_eq!(attribute(GIT_CHECKSUM), Some("12ab"));
        }
    }
}
