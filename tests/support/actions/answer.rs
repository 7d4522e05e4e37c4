//! The protocols: what is asked → what is answered.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Entry, Permission, State};
use crate::http::Asked;
use crate::registry::answer::Answer;

const TWIRP: &str = "/service/twirp/github.actions.results.api.v1.CacheService/";
const REST: &str = "/service/_apis/artifactcache/";
const STORE: &str = "/store/";

/// Returns one word for what is asked.
pub(super) fn step(asked: &Asked) -> &'static str {
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let method = asked.method.as_str();
    if let Some(name) = path.strip_prefix(TWIRP) {
        return match name {
            "GetCacheEntryDownloadURL" => "find",
            "CreateCacheEntry" => "reserve",
            _ => "commit",
        };
    }
    if let Some(rest) = path.strip_prefix(REST) {
        return match (method, rest) {
            ("GET", _) => "find",
            ("POST", "caches") => "reserve",
            ("POST", _) => "commit",
            _ => "put",
        };
    }
    match method {
        "GET" if path.starts_with(STORE) => "get",
        "GET" => "list",
        _ if query.contains("comp=blocklist") => "join",
        _ => "put",
    }
}

/// Carries a request out.
pub(super) fn answer(state: &mut State, asked: &Asked, body: Vec<u8>, ranges: bool) -> Answer {
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let query = fields(query);
    if let Some(id) = path.strip_prefix(STORE) {
        return store(state, asked, (id, &query), body, ranges);
    }
    if path.starts_with("/api/") {
        return list(state, asked, &query);
    }
    let Some(permissions) = permissions(state, asked) else {
        let message = json!({ "code": "unauthenticated", "msg": "the token is not valid" });
        return Answer::json(401, &message);
    };
    if let Some(method) = path.strip_prefix(TWIRP) {
        return twirp(state, method, &body, &permissions);
    }
    match path.strip_prefix(REST) {
        Some(rest) => rest_api(state, asked, (rest, &query), body, &permissions),
        None => Answer::json(404, &json!({ "message": "no such thing" })),
    }
}

fn permissions(state: &State, asked: &Asked) -> Option<Vec<Permission>> {
    let token = asked.header("authorization")?.strip_prefix("Bearer ")?;
    let known = state.tokens.iter().find(|(known, _)| known == token);
    known.map(|(_, permissions)| permissions.clone())
}

fn twirp(state: &mut State, method: &str, body: &[u8], permissions: &[Permission]) -> Answer {
    let question: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| question[name].as_str().unwrap_or_default().to_owned();
    let (key, version) = (text("key"), text("version"));
    match method {
        "GetCacheEntryDownloadURL" => {
            let more = question["restore_keys"].as_array().cloned();
            let prefixes: Vec<_> = more
                .iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            let Some((key, url)) = find(state, &version, &[key], &prefixes, permissions) else {
                return Answer::json(200, &json!({ "ok": false, "signed_download_url": "" }));
            };
            let found = json!({ "ok": true, "signed_download_url": url, "matched_key": key });
            Answer::json(200, &found)
        }
        "CreateCacheEntry" => match reserve(state, &key, &version, permissions) {
            Ok(id) => {
                let url = signed(state, id);
                Answer::json(200, &json!({ "ok": true, "signed_upload_url": url }))
            }
            Err(Refused::Taken) => {
                let message = "cache entry with the same key, version, and scope already exists";
                Answer::json(409, &json!({ "code": "already_exists", "msg": message }))
            }
            Err(Refused::ReadOnly(message)) => {
                Answer::json(200, &json!({ "ok": false, "message": message }))
            }
        },
        _ => {
            let size = text("size_bytes").parse().unwrap_or_default();
            let entry = state.entries.iter().find(|entry| {
                entry.key == key && entry.version == version && entry.content.is_none()
            });
            let id = entry.map_or(0, |entry| entry.id);
            let ok = commit(state, id, size);
            Answer::json(200, &json!({ "ok": ok, "entry_id": id.to_string() }))
        }
    }
}

fn rest_api(
    state: &mut State,
    asked: &Asked,
    (rest, query): (&str, &[(String, String)]),
    body: Vec<u8>,
    permissions: &[Permission],
) -> Answer {
    let id = || rest.strip_prefix("caches/")?.parse::<u64>().ok();
    let document: Value = serde_json::from_slice(&body).unwrap_or_default();
    match (asked.method.as_str(), id()) {
        ("GET", _) => {
            let keys: Vec<_> = value(query, "keys").split(',').map(str::to_owned).collect();
            let version = value(query, "version");
            match find(state, &version, &keys, &keys, permissions) {
                None => Answer::new(204),
                Some((key, url)) => {
                    let entry = json!({ "cacheKey": key, "archiveLocation": url });
                    Answer::json(200, &entry)
                }
            }
        }
        ("POST", None) => {
            let text = |name: &str| document[name].as_str().unwrap_or_default();
            match reserve(state, text("key"), text("version"), permissions) {
                Ok(id) => Answer::json(201, &json!({ "cacheId": id })),
                Err(Refused::Taken) => marked(
                    409,
                    &json!({
                        "typeKey": "ArtifactCacheItemAlreadyExistsException",
                        "message": "Cache already exists.",
                    }),
                ),
                Err(Refused::ReadOnly(message)) => marked(403, &json!({ "message": message })),
            }
        }
        ("POST", Some(id)) => {
            let size = document["size"].as_u64().unwrap_or_default();
            let is_done = commit(state, id, size);
            Answer::new(if is_done { 204 } else { 400 })
        }
        (_, Some(id)) => {
            let range = asked.header("content-range").unwrap_or_default();
            let start = range.strip_prefix("bytes ").unwrap_or_default();
            let start = start.split('-').next().unwrap_or_default();
            keep(state, id, format!("{start:0>12}"), body);
            Answer::new(204)
        }
        _ => Answer::new(404),
    }
}

/// The services of the first protocol begin their errors with a byte order mark.
fn marked(status: u16, document: &Value) -> Answer {
    let body = format!("\u{feff}{document}").into_bytes();
    Answer::new(status).with_body(body)
}

/// Finds an entry that a token may read, by its key or the beginning of it, and signs a URL for it.
fn find(
    state: &mut State,
    version: &str,
    keys: &[String],
    prefixes: &[String],
    permissions: &[Permission],
) -> Option<(String, String)> {
    let found = permissions.iter().find_map(|(branch, _)| {
        let there = state
            .entries
            .iter()
            .filter(|entry| entry.branch == *branch && entry.version == version)
            .filter_map(|entry| Some((entry.content.as_ref()?.0, entry)));
        let mut there: Vec<_> = there.collect();
        there.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        let by_key = |key: &String| there.iter().find(|(_, entry)| entry.key == *key);
        let by_prefix = |prefix: &String| {
            let mut there = there.iter();
            there.find(|(_, entry)| entry.key.starts_with(prefix.as_str()))
        };
        let found = keys.iter().find_map(by_key);
        let found = found.or_else(|| prefixes.iter().find_map(by_prefix));
        found.map(|(_, entry)| (entry.key.clone(), entry.id))
    });
    let (key, id) = found?;
    Some((key, signed(state, id)))
}

enum Refused {
    Taken,
    ReadOnly(&'static str),
}

fn reserve(
    state: &mut State,
    key: &str,
    version: &str,
    permissions: &[Permission],
) -> Result<u64, Refused> {
    let writable = permissions
        .iter()
        .rfind(|(_, permission)| permission & 2 != 0);
    let Some((branch, _)) = writable else {
        let message = "cache write denied: token has no writable scopes";
        return Err(Refused::ReadOnly(message));
    };
    let is_same = |entry: &Entry| {
        let is_version = entry.version == version || entry.version.is_empty();
        entry.branch == *branch && entry.key == key && is_version
    };
    if state.entries.iter().any(is_same) {
        return Err(Refused::Taken);
    }
    let id = state.number();
    state.entries.push(Entry {
        id,
        branch: (*branch).to_owned(),
        key: key.to_owned(),
        version: version.to_owned(),
        ..Entry::default()
    });
    Ok(id)
}

fn signed(state: &mut State, id: u64) -> String {
    let signature = format!("SIGNED{}+/=", state.number());
    let port = state.port;
    state.signatures.push(signature.clone());
    let signature = signature.replace('+', "%2B").replace('/', "%2F");
    let signature = signature.replace('=', "%3D");
    format!("http://127.0.0.1:{port}{STORE}{id}?sv=2025-01-05&sig={signature}")
}

fn keep(state: &mut State, id: u64, place: String, bytes: Vec<u8>) {
    let mut entries = state.entries.iter_mut();
    if let Some(entry) = entries.find(|entry| entry.id == id) {
        entry.parts.retain(|(known, _)| *known != place);
        entry.parts.push((place, bytes));
        entry.parts.sort();
    }
}

/// Puts an entry together, if it has the size that is said.
fn commit(state: &mut State, id: u64, size: u64) -> bool {
    let time = state.number();
    let mut entries = state.entries.iter_mut();
    let Some(entry) = entries.find(|entry| entry.id == id && entry.content.is_none()) else {
        return false;
    };
    let content: Vec<u8> = std::mem::take(&mut entry.parts)
        .into_iter()
        .flat_map(|(_, bytes)| bytes)
        .collect();
    if content.len() as u64 != size {
        return false;
    }
    entry.content = Some((time, Arc::from(content)));
    true
}

fn store(
    state: &mut State,
    asked: &Asked,
    (id, query): (&str, &[(String, String)]),
    body: Vec<u8>,
    ranges: bool,
) -> Answer {
    let signature = value(query, "sig");
    if !state.signatures.contains(&signature) || asked.header("authorization").is_some() {
        let secret = format!("<Error>Signature did not match: {signature}</Error>");
        return Answer::new(403)
            .header("x-ms-error-code", "AuthenticationFailed")
            .with_body(secret.into_bytes());
    }
    let id = id.parse().unwrap_or_default();
    if asked.method == "GET" {
        return content(state, asked, id, ranges);
    }
    match value(query, "comp").as_str() {
        "block" => keep(state, id, value(query, "blockid"), body),
        "blocklist" => put_together(state, id, &body),
        _ if asked.header("x-ms-blob-type") == Some("BlockBlob") => {
            keep(state, id, String::new(), body);
        }
        _ => return Answer::new(400),
    }
    Answer::new(201)
}

/// Leaves the blocks of an entry that are listed, in the order of the list.
fn put_together(state: &mut State, id: u64, list: &[u8]) {
    let list = String::from_utf8_lossy(list).into_owned();
    let ids = list.split("<Latest>").skip(1);
    let ids: Vec<_> = ids.filter_map(|rest| rest.split('<').next()).collect();
    let mut entries = state.entries.iter_mut();
    if let Some(entry) = entries.find(|entry| entry.id == id) {
        let blocks = std::mem::take(&mut entry.parts);
        let listed = ids.iter().filter_map(|id| {
            let block = blocks.iter().find(|(known, _)| known == id);
            block.map(|(_, bytes)| bytes.clone())
        });
        let whole: Vec<u8> = listed.flatten().collect();
        entry.parts = vec![(String::new(), whole)];
    }
}

fn content(state: &State, asked: &Asked, id: u64, ranges: bool) -> Answer {
    let entry = state.entries.iter().find(|entry| entry.id == id);
    let Some((_, bytes)) = entry.and_then(|entry| entry.content.as_ref()) else {
        return Answer::new(404).header("x-ms-error-code", "BlobNotFound");
    };
    let range = asked.header("range").filter(|_| ranges);
    let from: Option<usize> = range
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'))
        .and_then(|from| from.parse().ok());
    let body = Arc::clone(bytes);
    let size = body.len();
    let Some(from) = from else {
        return Answer {
            body,
            ..Answer::new(200)
        };
    };
    let range = format!("bytes {from}-{}/{size}", size.saturating_sub(1));
    Answer {
        body,
        from,
        ..Answer::new(206).header("Content-Range", &range)
    }
}

/// GitHub's API: the entries of the repository `o/n`, for whoever has the token `GHTOKEN`.
fn list(state: &State, asked: &Asked, query: &[(String, String)]) -> Answer {
    if asked.header("authorization") != Some("Bearer GHTOKEN") {
        return Answer::json(401, &json!({ "message": "Bad credentials" }));
    }
    if !asked.path.starts_with("/api/repos/o/n/actions/caches?") {
        return Answer::json(404, &json!({ "message": "Not Found" }));
    }
    let prefix = value(query, "key");
    let number = |name: &str| value(query, name).parse::<usize>().unwrap_or(1);
    let (size, page) = (number("per_page"), number("page"));
    let entries: Vec<_> = state
        .entries
        .iter()
        .filter(|entry| entry.content.is_some() && entry.key.starts_with(&prefix))
        .map(|entry| {
            json!({ "id": entry.id, "key": entry.key, "ref": entry.branch, "version": entry.version })
        })
        .collect();
    let page: Vec<_> = entries.iter().skip(size * (page - 1)).take(size).collect();
    Answer::json(
        200,
        &json!({ "total_count": entries.len(), "actions_caches": page }),
    )
}

fn fields(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), decoded(value)))
        .collect()
}

fn value(fields: &[(String, String)], name: &str) -> String {
    let field = fields.iter().find(|(known, _)| known == name);
    field.map(|(_, value)| value.clone()).unwrap_or_default()
}

/// Undoes the percent-encoding of a field.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let byte = part
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.extend(byte);
        bytes.extend_from_slice(part.get(2..).unwrap_or_default().as_bytes());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
