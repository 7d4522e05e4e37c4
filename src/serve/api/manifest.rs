//! Manifests and tags (distribution-spec, "Pulling manifests", "Pushing Manifests", "Deleting tags").
//!
//! Beyond the specification, a push may say what the name has to name: `If-Match: "<digest>"`, `If-Match: *`
//! and `If-None-Match: *`; where it does not, the answer is 412 and nothing has changed. So two who add to one index
//! can see each other.

use std::io::Read as _;

use oci::{Digest, Hasher};

use super::{Ask, Registry, unknown_repository};
use crate::http::{Content, Head, Response};
use crate::limits::MANIFEST_LIMIT_BYTES;
use crate::refusal::{Code, Refusal};
use crate::route::{Selector, digest};
use crate::storage::{Condition, Manifest, ManifestError, NewManifest, PutError};

impl Registry {
    pub(super) fn get_manifest(
        &self,
        head: &Head,
        name: &str,
        selector: &Selector,
    ) -> Result<Response, Refusal> {
        let found = self.storage.find_manifest(name, selector);
        let found = found.ok_or_else(|| self.unknown(name, selector))?;
        let tag = format!("\"{}\"", found.digest);
        let response = |status: u16| {
            Response::new(status)
                .header("Content-Type", found.media_type.as_str())
                .header("Docker-Content-Digest", found.digest.as_str())
                .header("ETag", tag.as_str())
        };
        if head.header("if-none-match") == Some(tag.as_str()) {
            return Ok(response(304));
        }
        let opened = self.storage.open_blob(&found.digest);
        match opened.map_err(|error| Refusal::of_storage(&error))? {
            Some((file, size_bytes)) => Ok(response(200).content(Content::File(file, size_bytes))),
            None => Err(self.unknown(name, selector)),
        }
    }

    pub(super) fn put_manifest(
        &self,
        ask: &mut Ask<'_, '_, '_>,
        name: &str,
        selector: &Selector,
    ) -> Result<Response, Refusal> {
        let condition = condition(ask.head)?;
        let bytes = read(ask.body)?;
        let sent_as = ask.head.header("content-type").map(without_parameters);
        let manifest = Manifest::parse(&bytes, sent_as).map_err(|error| invalid(&error))?;
        let found = digest_of(&bytes, selector)?;
        let subject = manifest.subject.clone();
        let put = self.storage.put_manifest(NewManifest {
            repository: name,
            selector,
            digest: found.clone(),
            bytes: &bytes,
            manifest,
            condition,
        });
        put.map_err(|error| refused(&error))?;
        let response = Response::new(201)
            .header("Location", format!("/v2/{name}/manifests/{found}"))
            .header("Docker-Content-Digest", found.as_str())
            .header("ETag", format!("\"{found}\""));
        Ok(match subject {
            Some(subject) => response.header("OCI-Subject", subject.as_str()),
            None => response,
        })
    }

    pub(super) fn delete_manifest(
        &self,
        name: &str,
        selector: &Selector,
    ) -> Result<Response, Refusal> {
        match self.storage.remove_manifest(name, selector) {
            Ok(true) => Ok(Response::new(202)),
            Ok(false) => Err(self.unknown(name, selector)),
            Err(error) => Err(Refusal::of_storage(&error)),
        }
    }

    fn unknown(&self, name: &str, selector: &Selector) -> Refusal {
        if !self.storage.has_repository(name) {
            return unknown_repository(name);
        }
        let message = match selector {
            Selector::Tag(tag) => format!("repository `{name}` has no tag `{tag}`"),
            Selector::Digest(digest) => format!("repository `{name}` has no manifest `{digest}`"),
        };
        Refusal::new(404, Code::ManifestUnknown, message)
    }
}

/// Reads a body that is not longer than a manifest may be.
fn read(body: &mut crate::http::Body<'_, '_>) -> Result<Vec<u8>, Refusal> {
    let too_large = || {
        let message = format!("a manifest has at most {MANIFEST_LIMIT_BYTES} bytes");
        Refusal::new(413, Code::SizeInvalid, message)
    };
    if body
        .length()
        .is_some_and(|length| length > MANIFEST_LIMIT_BYTES)
    {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let mut limited = body.take(MANIFEST_LIMIT_BYTES + 1);
    let read = limited.read_to_end(&mut bytes);
    read.map_err(|error| Refusal::of_body(&error))?;
    if bytes.len() as u64 > MANIFEST_LIMIT_BYTES {
        return Err(too_large());
    }
    Ok(bytes)
}

/// Returns the digest of a manifest, of the algorithm that it is named with, and has to be what it is named.
fn digest_of(bytes: &[u8], selector: &Selector) -> Result<Digest, Refusal> {
    let Selector::Digest(named) = selector else {
        return Ok(Digest::of(bytes));
    };
    let mut hasher = Hasher::with_algorithm(named.algorithm());
    hasher.update(bytes);
    let found = hasher.finish();
    if found == *named {
        return Ok(found);
    }
    let message = format!("the manifest is called `{named}` and is `{found}`");
    Err(Refusal::new(400, Code::DigestInvalid, message))
}

/// Parses what has to be true of what the name names now.
fn condition(head: &Head) -> Result<Condition, Refusal> {
    match (head.header("if-match"), head.header("if-none-match")) {
        (None, None) => Ok(Condition::None),
        (Some("*"), None) => Ok(Condition::Something),
        (None, Some("*")) => Ok(Condition::Nothing),
        (Some(tag), None) => digest(tag.trim_matches('"')).map(Condition::Digest),
        _ => {
            let message = "a manifest is put under `If-Match` with one digest or `*`, or \
                under `If-None-Match: *`";
            Err(Refusal::new(400, Code::Unsupported, message))
        }
    }
}

fn without_parameters(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or(media_type).trim()
}

fn invalid(error: &ManifestError) -> Refusal {
    Refusal::new(400, Code::ManifestInvalid, error)
}

fn refused(error: &PutError) -> Refusal {
    match error {
        PutError::Missing(_) => Refusal::new(404, Code::ManifestBlobUnknown, error),
        PutError::Condition => Refusal::new(412, Code::Denied, error),
        PutError::Storage(error) => Refusal::of_storage(error),
    }
}
