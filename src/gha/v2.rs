//! The second protocol: Twirp with JSON, and the content in a store of blobs.
//!
//! ```text
//! CreateCacheEntry          { key, version }               → { ok, signed_upload_url, message }, or 409
//!   the content to the signed URL (`storage`)
//! FinalizeCacheEntryUpload  { key, version, size_bytes }   → { ok, entry_id, message }
//! GetCacheEntryDownloadURL  { key, version, restore_keys } → { ok, signed_download_url, matched_key }
//! ```

use fetch::{Method, Response, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::answer::{denied, json, refused, shown};
use crate::error::Failure;
use crate::part::Content;
use crate::protocol::{Found, Wanted};
use crate::session::Session;
use crate::{key, storage};

/// Where the service's methods are.
const SERVICE: &str = "twirp/github.actions.results.api.v1.CacheService";

#[derive(Serialize)]
struct Question<'k> {
    key: &'k str,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    restore_keys: Option<Vec<&'k str>>,
    // 64 bits are a text in the JSON of protocol buffers, and services take a number as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    size_bytes: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    ok: bool,
    #[serde(default)]
    message: String,
    #[serde(default, alias = "signedUploadUrl")]
    signed_upload_url: String,
    #[serde(default, alias = "signedDownloadUrl")]
    signed_download_url: String,
    #[serde(default, alias = "matchedKey")]
    matched_key: String,
}

impl<'k> Question<'k> {
    fn about(key: &'k str) -> Self {
        Self {
            key,
            version: key::version(),
            restore_keys: None,
            size_bytes: None,
        }
    }
}

pub(crate) fn find(session: &Session, wanted: Wanted<'_>) -> Result<Option<Found>, Failure> {
    let mut question = Question::about(wanted.key());
    if let Wanted::Newest(prefix) = wanted {
        question.restore_keys = Some(vec![prefix]);
    }
    let answer: Answer = match ask(session, "GetCacheEntryDownloadURL", &question) {
        Err(Failure::Missing) => return Ok(None),
        answer => answer?,
    };
    if !answer.ok {
        return Ok(None);
    }
    let key = match answer.matched_key.as_str() {
        "" => wanted.key().to_owned(),
        key => key.to_owned(),
    };
    let url = signed(&answer.signed_download_url)?;
    Ok(Some(Found { key, url }))
}

pub(crate) fn reserve(session: &Session, key: &str) -> Result<Url, Failure> {
    let answer: Answer = ask(session, "CreateCacheEntry", &Question::about(key))?;
    if answer.ok {
        return signed(&answer.signed_upload_url);
    }
    // Services say in this way as well that another job has the key.
    Err(denied(&answer.message).unwrap_or(Failure::Taken {
        key: key.to_owned(),
        message: shown(&answer.message),
    }))
}

pub(crate) fn store(
    session: &Session,
    key: &str,
    place: &Url,
    content: &mut Content<'_>,
) -> Result<(), Failure> {
    storage::store(session, place, content)?;
    let mut question = Question::about(key);
    question.size_bytes = Some(content.size_bytes.to_string());
    let answer: Answer = ask(session, "FinalizeCacheEntryUpload", &question)?;
    if answer.ok {
        return Ok(());
    }
    Err(Failure::Refused {
        host: session.settings.url.authority(),
        status: 200,
        reason: "OK",
        message: shown(match answer.message.as_str() {
            "" => "the entry was not taken",
            message => message,
        }),
    })
}

fn ask<T: DeserializeOwned>(
    session: &Session,
    method: &str,
    question: &Question<'_>,
) -> Result<T, Failure> {
    let request = session.request(Method::Post, &format!("{SERVICE}/{method}"))?;
    let mut response: Response = session.ask_with(&request, question)?;
    match response.status() {
        200..=299 => json(&mut response, "an answer that is malformed"),
        _ => Err(refused(response, question.key)),
    }
}

/// Reads a signed URL. What it is does not stand in the error.
fn signed(text: &str) -> Result<Url, Failure> {
    Url::parse(text)
        .map(|url| url.without_user())
        .map_err(|error| Failure::malformed("a place that is no URL", error))
}
