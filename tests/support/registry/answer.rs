//! The protocol: what is asked → what is answered.

use std::sync::Arc;

use oci::{Digest, Hasher};
use serde_json::{Value, json};

use super::{State, door, references, upload};
use crate::http::Asked;

/// An answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Arc<[u8]>,
    /// The first byte of the body that is sent.
    pub(crate) from: usize,
}

/// A request, taken apart.
pub(super) struct Ask<'a> {
    pub(super) asked: &'a Asked,
    pub(super) repository: String,
    query: Vec<(String, String)>,
}

impl Answer {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces a header.
    pub(crate) fn set_header(&mut self, name: &str, value: &str) {
        self.remove_header(name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn remove_header(&mut self, name: &str) {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    pub(crate) fn json(status: u16, document: &Value) -> Self {
        let answer = Self::new(status).header("Content-Type", "application/json");
        answer.with_body(document.to_string().into_bytes())
    }

    pub(crate) fn with_body(mut self, body: Vec<u8>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn error(status: u16, code: &str) -> Self {
        let message = format!("the test says {code}");
        Self::json(
            status,
            &json!({ "errors": [{ "code": code, "message": message }] }),
        )
    }

    /// Makes the answer of a request that is not carried out.
    pub(crate) fn refusal(status: u16, headers: &[(String, String)]) -> Self {
        let code = match status {
            429 => "TOOMANYREQUESTS",
            404 => "BLOB_UPLOAD_UNKNOWN",
            403 => "DENIED",
            _ => "UNKNOWN",
        };
        let mut answer = Self::error(status, code);
        answer.headers.extend(headers.iter().cloned());
        answer
    }
}

/// Carries a request out.
pub(super) fn answer(state: &mut State, asked: &Asked, body: Vec<u8>, ranges: bool) -> Answer {
    if asked.path.starts_with("/token") {
        return door::give_token(state, asked);
    }
    if let Some(refusal) = door::refuse(state, asked) {
        return refusal;
    }
    let Some(ask) = Ask::parse(asked) else {
        return Answer::json(200, &json!({}));
    };
    if let Some(reference) = ask.below("/manifests/") {
        return manifest(state, &ask, &reference, body);
    }
    if let Some(id) = ask.below("/blobs/uploads/") {
        return upload::upload(state, &ask, &id, &body);
    }
    if let Some(digest) = ask.below("/blobs/") {
        return blob(state, &ask, &digest, ranges);
    }
    if ask.below("/tags/").is_some() {
        return tags(state, &ask);
    }
    match ask.below("/referrers/") {
        Some(digest) if !state.manners.no_referrers => referrers(state, &ask, &digest),
        _ => Answer::error(404, "NAME_UNKNOWN"),
    }
}

impl<'a> Ask<'a> {
    /// Finds the repository of a path; none in that of the registry itself.
    pub(super) fn parse(asked: &'a Asked) -> Option<Self> {
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let path = path.strip_prefix("/v2/").filter(|rest| !rest.is_empty())?;
        let words = ["/blobs/", "/manifests/", "/tags/", "/referrers/"];
        let end = words.iter().filter_map(|word| path.find(word)).min()?;
        Some(Self {
            asked,
            repository: path.get(..end)?.to_owned(),
            query: pairs(query),
        })
    }

    /// Returns what stands behind some words of the path.
    pub(super) fn below(&self, words: &str) -> Option<String> {
        let path = self.asked.path.split('?').next()?;
        let path = path.strip_prefix("/v2/")?.strip_prefix(&self.repository)?;
        Some(decoded(path.strip_prefix(words)?))
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the first byte that a chunk says to be.
    pub(super) fn begins_at(&self) -> Option<usize> {
        let (first, _) = self.asked.header("content-range")?.split_once('-')?;
        first.parse().ok()
    }
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), decoded(value)))
        .collect()
}

/// Undoes the percent-encoding of what clients encode here: `:`, `/` and `+`.
fn decoded(text: &str) -> String {
    let text = text.replace("%3A", ":").replace("%3a", ":");
    text.replace("%2F", "/")
        .replace("%2f", "/")
        .replace("%2B", "+")
        .replace("%2b", "+")
}

/// Returns the digest of bytes by the algorithm of another digest.
pub(super) fn digest_like(wanted: &str, bytes: &[u8]) -> Option<String> {
    let wanted = Digest::parse(wanted).ok()?;
    let mut hasher = Hasher::with_algorithm(wanted.algorithm());
    hasher.update(bytes);
    Some(hasher.finish().to_string())
}

fn manifest(state: &mut State, ask: &Ask<'_>, reference: &str, body: Vec<u8>) -> Answer {
    let repository = state
        .repositories
        .entry(ask.repository.clone())
        .or_default();
    let is_digest = reference.contains(':');
    let current = if is_digest {
        let is_there = repository.manifests.contains_key(reference);
        is_there.then(|| reference.to_owned())
    } else {
        repository.tags.get(reference).cloned()
    };
    match (ask.asked.method.as_str(), current) {
        ("GET" | "HEAD", Some(digest)) => {
            let Some((media_type, bytes)) = repository.manifests.get(&digest) else {
                return Answer::error(404, "MANIFEST_UNKNOWN");
            };
            let answer = Answer::new(200).header("Content-Type", media_type);
            let mut answer = answer.header("Docker-Content-Digest", &digest);
            answer.body = Arc::clone(bytes);
            answer
        }
        ("PUT", current) => put_manifest(state, ask, reference, current.as_deref(), body),
        ("DELETE", Some(digest)) => {
            if is_digest {
                repository.manifests.remove(&digest);
                repository.tags.retain(|_, named| *named != digest);
            } else {
                repository.tags.remove(reference);
            }
            Answer::new(202)
        }
        _ => Answer::error(404, "MANIFEST_UNKNOWN"),
    }
}

fn put_manifest(
    state: &mut State,
    ask: &Ask<'_>,
    reference: &str,
    current: Option<&str>,
    body: Vec<u8>,
) -> Answer {
    let wanted = ask
        .asked
        .header("if-match")
        .map(|tag| tag.trim_matches('"'));
    let is_unwanted = ask.asked.header("if-none-match") == Some("*") && current.is_some();
    if is_unwanted || wanted.is_some_and(|wanted| current != Some(wanted)) {
        return Answer::error(412, "DENIED");
    }
    let digest = digest_like(reference, &body).unwrap_or_else(|| Digest::of(&body).to_string());
    let is_digest = reference.contains(':');
    if is_digest && digest != reference {
        return Answer::error(400, "DIGEST_INVALID");
    }
    if state.manners.checks_references && !has_references(state, ask, &body) {
        return Answer::error(400, "MANIFEST_BLOB_UNKNOWN");
    }
    let media_type = ask.asked.header("content-type").unwrap_or_default();
    let subject = subject(&body).filter(|_| !state.manners.no_referrers);
    let repository = state
        .repositories
        .entry(ask.repository.clone())
        .or_default();
    if !is_digest {
        repository.tags.insert(reference.to_owned(), digest.clone());
    }
    let manifest = (media_type.to_owned(), Arc::from(body));
    repository.manifests.insert(digest.clone(), manifest);
    let answer = Answer::new(201)
        .header(
            "Location",
            &format!("/v2/{}/manifests/{digest}", ask.repository),
        )
        .header("Docker-Content-Digest", &digest);
    match subject {
        Some(subject) => answer.header("OCI-Subject", &subject),
        None => answer,
    }
}

fn has_references(state: &State, ask: &Ask<'_>, manifest: &[u8]) -> bool {
    let repository = state.repositories.get(&ask.repository);
    let is_there = |digest: &String| {
        repository
            .is_some_and(|it| it.blobs.contains_key(digest) || it.manifests.contains_key(digest))
    };
    references(manifest).iter().all(is_there)
}

fn subject(manifest: &[u8]) -> Option<String> {
    let document: Value = serde_json::from_slice(manifest).ok()?;
    document["subject"]["digest"].as_str().map(str::to_owned)
}

fn blob(state: &mut State, ask: &Ask<'_>, digest: &str, ranges: bool) -> Answer {
    let repository = state
        .repositories
        .entry(ask.repository.clone())
        .or_default();
    let Some(bytes) = repository.blobs.get(digest).map(Arc::clone) else {
        return Answer::error(404, "BLOB_UNKNOWN");
    };
    if ask.asked.method == "DELETE" {
        repository.blobs.remove(digest);
        return Answer::new(202);
    }
    let answer = Answer::new(200)
        .header("Content-Type", "application/octet-stream")
        .header("Docker-Content-Digest", digest);
    let range = ask.asked.header("range").filter(|_| ranges);
    let from: Option<usize> = range
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'))
        .and_then(|from| from.parse().ok());
    let size = bytes.len();
    match from {
        Some(from) if from < size => {
            let range = format!("bytes {from}-{}/{size}", size - 1);
            Answer {
                status: 206,
                body: bytes,
                from,
                ..answer.header("Content-Range", &range)
            }
        }
        Some(_) => {
            Answer::error(416, "UNSUPPORTED").header("Content-Range", &format!("bytes */{size}"))
        }
        None => Answer {
            body: bytes,
            ..answer
        },
    }
}

/// Says where what was put is.
pub(super) fn created(repository: &str, digest: &str) -> Answer {
    Answer::new(201)
        .header("Location", &format!("/v2/{repository}/blobs/{digest}"))
        .header("Docker-Content-Digest", digest)
}

fn tags(state: &mut State, ask: &Ask<'_>) -> Answer {
    let Some(repository) = state.repositories.get(&ask.repository) else {
        return Answer::error(404, "NAME_UNKNOWN");
    };
    let last = ask.field("last").unwrap_or_default();
    let rest = repository.tags.keys().filter(|tag| tag.as_str() > last);
    let asked_for = ask.field("n").and_then(|text| text.parse().ok());
    let most = state.manners.page.or(asked_for).unwrap_or(usize::MAX);
    let mut tags: Vec<_> = rest.cloned().collect();
    let goes_on = tags.len() > most;
    tags.truncate(most);
    let document = json!({ "name": ask.repository, "tags": tags });
    let answer = Answer::json(200, &document);
    match tags.last().filter(|_| goes_on) {
        Some(last) => {
            let name = &ask.repository;
            let link = format!("</v2/{name}/tags/list?n={most}&last={last}>; rel=\"next\"");
            answer.header("Link", &link)
        }
        None => answer,
    }
}

fn referrers(state: &mut State, ask: &Ask<'_>, digest: &str) -> Answer {
    let repository = state
        .repositories
        .entry(ask.repository.clone())
        .or_default();
    let refers = |(_, (_, bytes)): &(&String, &(String, Arc<[u8]>))| {
        subject(bytes).as_deref() == Some(digest)
    };
    let found = repository.manifests.iter().filter(refers);
    let found = found.map(|(digest, (media_type, bytes))| {
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    });
    let media_type = oci::media_type::OCI_INDEX;
    let manifests: Vec<_> = found.collect();
    let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": manifests });
    let mut answer = Answer::json(200, &index);
    answer.set_header("Content-Type", media_type);
    answer
}
