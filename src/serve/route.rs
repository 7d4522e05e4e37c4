//! A path → what is asked for.
//!
//! ```text
//! /v2/                              the registry itself      end-1
//! /v2/_catalog                      its repositories
//! /v2/<name>/blobs/<digest>         a blob                   end-2, end-10
//! /v2/<name>/manifests/<reference>  a manifest               end-3, end-7, end-9
//! /v2/<name>/blobs/uploads/         uploads                  end-4a, end-4b, end-11
//! /v2/<name>/blobs/uploads/<id>     an upload                end-5, end-6, end-13, end-14
//! /v2/<name>/tags/list              tags                     end-8
//! /v2/<name>/referrers/<digest>     what refers to a digest  end-12
//! ```
//!
//! The words are looked for from the end, since a repository may be called `blobs/uploads` too.

use oci::Digest;
use oci::reference::{is_repository_path, is_tag};

use crate::refusal::{Code, Refusal};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// Whether the registry speaks this protocol.
    Base,
    /// The names of the repositories.
    Catalog,
    /// A blob.
    Blob(String, Digest),
    /// A manifest.
    Manifest(String, Selector),
    /// The uploads of a repository.
    Uploads(String),
    /// One upload.
    Upload(String, String),
    /// The tags of a repository.
    Tags(String),
    /// What refers to a manifest.
    Referrers(String, Digest),
}

/// How a manifest is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selector {
    /// By what it is.
    Digest(Digest),
    /// By what it is called.
    Tag(String),
}

impl Route {
    /// Parses a path that has been decoded.
    pub(crate) fn parse(path: &str) -> Result<Self, Refusal> {
        let unknown = || Refusal::new(404, Code::NameUnknown, "there is nothing at this path");
        let below = path.strip_prefix("/v2").ok_or_else(unknown)?;
        if matches!(below, "" | "/") {
            return Ok(Self::Base);
        }
        if below == "/_catalog" {
            return Ok(Self::Catalog);
        }
        let parts: Vec<&str> = below
            .strip_prefix('/')
            .ok_or_else(unknown)?
            .split('/')
            .collect();
        match parts.as_slice() {
            [repository @ .., "blobs", "uploads", ""] | [repository @ .., "blobs", "uploads"] => {
                Ok(Self::Uploads(name(repository)?))
            }
            [repository @ .., "blobs", "uploads", id] => {
                Ok(Self::Upload(name(repository)?, (*id).to_owned()))
            }
            [repository @ .., "blobs", text] => Ok(Self::Blob(name(repository)?, digest(text)?)),
            [repository @ .., "manifests", text] => {
                Ok(Self::Manifest(name(repository)?, selector(text)?))
            }
            [repository @ .., "tags", "list"] => Ok(Self::Tags(name(repository)?)),
            [repository @ .., "referrers", text] => {
                Ok(Self::Referrers(name(repository)?, digest(text)?))
            }
            _ => Err(unknown()),
        }
    }
}

fn name(parts: &[&str]) -> Result<String, Refusal> {
    parse_name(&parts.join("/"))
}

/// Parses the name of a repository.
pub(crate) fn parse_name(text: &str) -> Result<String, Refusal> {
    if is_repository_path(text) {
        return Ok(text.to_owned());
    }
    let message = format!("`{text}` is no name of a repository");
    Err(Refusal::new(400, Code::NameInvalid, message))
}

/// Parses a digest.
pub(crate) fn digest(text: &str) -> Result<Digest, Refusal> {
    Digest::parse(text).map_err(|error| Refusal::new(400, Code::DigestInvalid, error))
}

fn selector(text: &str) -> Result<Selector, Refusal> {
    if text.contains(':') {
        return digest(text).map(Selector::Digest);
    }
    if is_tag(text) {
        return Ok(Selector::Tag(text.to_owned()));
    }
    let message = format!("`{text}` is neither a tag nor a digest");
    Err(Refusal::new(400, Code::ManifestInvalid, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_looked_for_from_the_end() {
        let digest = Digest::of(b"x");
        let a = || "a".to_owned();
        for (path, expected) in [
            ("/v2".to_owned(), Route::Base),
            ("/v2/".to_owned(), Route::Base),
            ("/v2/_catalog".to_owned(), Route::Catalog),
            (
                format!("/v2/a/blobs/{digest}"),
                Route::Blob(a(), digest.clone()),
            ),
            ("/v2/a/blobs/uploads/".to_owned(), Route::Uploads(a())),
            ("/v2/a/blobs/uploads".to_owned(), Route::Uploads(a())),
            (
                "/v2/a/blobs/uploads/1".to_owned(),
                Route::Upload(a(), "1".to_owned()),
            ),
            (
                "/v2/a/blobs/uploads/blobs/uploads/".to_owned(),
                Route::Uploads("a/blobs/uploads".to_owned()),
            ),
            ("/v2/a/tags/list".to_owned(), Route::Tags(a())),
            (
                format!("/v2/a/referrers/{digest}"),
                Route::Referrers(a(), digest.clone()),
            ),
            (
                "/v2/tags/list/manifests/list".to_owned(),
                Route::Manifest("tags/list".to_owned(), Selector::Tag("list".to_owned())),
            ),
            (
                format!("/v2/a/manifests/{digest}"),
                Route::Manifest(a(), Selector::Digest(digest.clone())),
            ),
        ] {
            assert_eq!(Route::parse(&path), Ok(expected), "{path}");
        }
    }

    #[test]
    fn what_is_malformed_is_told_apart_from_what_is_not_there() {
        for (path, status, code) in [
            ("/", 404, Code::NameUnknown),
            ("/v3/", 404, Code::NameUnknown),
            ("/v2/a", 404, Code::NameUnknown),
            ("/v2x", 404, Code::NameUnknown),
            ("/v2/A/tags/list", 400, Code::NameInvalid),
            ("/v2/../tags/list", 400, Code::NameInvalid),
            ("/v2//tags/list", 400, Code::NameInvalid),
            ("/v2/a//b/tags/list", 400, Code::NameInvalid),
            ("/v2/a/manifests/.x", 400, Code::ManifestInvalid),
            ("/v2/a/manifests/sha256:..", 400, Code::DigestInvalid),
            ("/v2/a/blobs/md5:00", 400, Code::DigestInvalid),
        ] {
            let refusal = Route::parse(path).unwrap_err();
            let expected = Refusal::new(status, code, "");
            let response = format!("{refusal:?}");
            assert!(
                response.contains(&format!("status: {status}, code: {code:?}")),
                "{path}: {response} {expected:?}"
            );
        }
    }
}
