//! The first protocol: `_apis/artifactcache`, with the content in requests to the service itself.
//!
//! ```text
//! GET   cache?keys=K&version=V              → 200 { cacheKey, archiveLocation }, or 204
//! POST  caches        { key, version }      → 201 { cacheId }, or 409
//! PATCH caches/ID     Content-Range: bytes 0-9/*
//! POST  caches/ID     { size }
//! ```

use fetch::{Method, Request, Url};
use serde::{Deserialize, Serialize};

use crate::answer::{json, refused};
use crate::error::Failure;
use crate::key;
use crate::limits::{COMMIT_LIMIT, ERROR_MAX_BYTES, PART_BYTES};
use crate::part::{Content, Part, send_all};
use crate::protocol::{Found, Wanted};
use crate::session::{Session, unsound};

/// The form of answers that is asked for.
const ACCEPT: &str = "application/json;api-version=6.0-preview.1";

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "cacheKey", default)]
    key: String,
    #[serde(rename = "archiveLocation", default)]
    url: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reservation<'k> {
    key: &'k str,
    version: String,
    cache_size: u64,
}

#[derive(Deserialize)]
struct Taken {
    #[serde(rename = "cacheId", alias = "cacheID")]
    id: u64,
}

#[derive(Serialize)]
struct Size {
    size: u64,
}

pub(crate) fn find(session: &Session, wanted: Wanted<'_>) -> Result<Option<Found>, Failure> {
    let url = &session.settings.url;
    let url = url.below("_apis/artifactcache/cache").map_err(unsound)?;
    let url = url
        .with_field("keys", wanted.key())
        .with_field("version", &key::version());
    let request = Request::new(Method::Get, url).credentials(session.bearer());
    let mut response = session.ask(&request.header("accept", ACCEPT), None)?;
    match response.status() {
        200 => {}
        // GitHub says 204; other services say that there is no such thing.
        204 | 404 => {
            response.discard(ERROR_MAX_BYTES);
            return Ok(None);
        }
        _ => return Err(refused(response, wanted.key())),
    }
    let entry: Entry = json(&mut response, "an entry that is malformed")?;
    let url = Url::parse(&entry.url)
        .map_err(|error| Failure::malformed("an entry with a place that is no URL", error))?;
    let key = entry.key;
    Ok(Some(Found { key, url }))
}

pub(crate) fn reserve(session: &Session, key: &str, size_bytes: u64) -> Result<u64, Failure> {
    let reservation = Reservation {
        key,
        version: key::version(),
        cache_size: size_bytes,
    };
    let request = request(session, Method::Post, "caches")?;
    let mut response = session.ask_with(&request, &reservation)?;
    if !is_success(response.status()) {
        return Err(refused(response, key));
    }
    let taken: Taken = json(&mut response, "no number of an entry")?;
    Ok(taken.id)
}

pub(crate) fn store(
    session: &Session,
    number: u64,
    content: &mut Content<'_>,
) -> Result<(), Failure> {
    let place = format!("caches/{number}");
    let size = Size {
        size: content.size_bytes,
    };
    send_all(content.parts(PART_BYTES), |part| {
        send(session, &place, part)
    })?;
    let request = request(session, Method::Post, &place)?.answer_limit(COMMIT_LIMIT);
    let response = session.ask_with(&request, &size)?;
    if !is_success(response.status()) {
        return Err(refused(response, ""));
    }
    response.discard(ERROR_MAX_BYTES);
    Ok(())
}

fn send(session: &Session, place: &str, part: &Part) -> Result<(), Failure> {
    let last = (part.start + part.bytes.len() as u64).saturating_sub(1);
    let range = format!("bytes {}-{last}/*", part.start);
    let request = request(session, Method::Patch, place)?
        .header("content-type", "application/octet-stream")
        .header("content-range", &range);
    let response = session.ask(&request, Some(&part.bytes))?;
    if !is_success(response.status()) {
        return Err(refused(response, ""));
    }
    response.discard(ERROR_MAX_BYTES);
    Ok(())
}

fn request(session: &Session, method: Method, rest: &str) -> Result<Request, Failure> {
    let request = session.request(method, &format!("_apis/artifactcache/{rest}"))?;
    Ok(request.header("accept", ACCEPT))
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}
