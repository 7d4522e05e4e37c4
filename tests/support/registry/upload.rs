//! Uploads: begun, gone on with, finished, given up.

use std::sync::Arc;

use super::answer::{Answer, Ask, created, digest_like};
use super::{LocationForm, State, Upload};
use crate::http::Asked;

/// Keeps what came of a request's body before the connection broke.
pub(super) fn keep_part(state: &mut State, asked: &Asked, body: &[u8]) {
    let Some(ask) = Ask::parse(asked) else {
        return;
    };
    if let Some(id) = ask.below("/blobs/uploads/")
        && let Some(upload) = state.uploads.get_mut(&id)
        && ask
            .begins_at()
            .is_none_or(|first| first == upload.bytes.len())
    {
        upload.bytes.extend_from_slice(body);
    }
}

/// Carries out what is asked of an upload, or of all of them.
pub(super) fn upload(state: &mut State, ask: &Ask<'_>, id: &str, body: &[u8]) -> Answer {
    if ask.asked.method == "POST" {
        return begin_upload(state, ask);
    }
    let most = state.manners.chunk_max_bytes;
    let Some(upload) = state.uploads.get_mut(id) else {
        return Answer::error(404, "BLOB_UPLOAD_UNKNOWN");
    };
    if upload.query.is_some() && upload.query.as_deref() != ask.field("state") {
        return Answer::error(404, "BLOB_UPLOAD_UNKNOWN");
    }
    if most.is_some_and(|most| body.len() as u64 > most) {
        return Answer::error(413, "SIZE_INVALID");
    }
    if ask
        .begins_at()
        .is_some_and(|first| first != upload.bytes.len())
    {
        return progress(state, ask, id, 416);
    }
    match ask.asked.method.as_str() {
        "GET" => progress(state, ask, id, 204),
        "PATCH" => {
            upload.bytes.extend_from_slice(body);
            progress(state, ask, id, 202)
        }
        "PUT" => {
            upload.bytes.extend_from_slice(body);
            finish_upload(state, ask, id)
        }
        "DELETE" => {
            state.uploads.remove(id);
            Answer::new(204)
        }
        _ => Answer::error(405, "UNSUPPORTED"),
    }
}

fn begin_upload(state: &mut State, ask: &Ask<'_>) -> Answer {
    let mounted = ask
        .field("mount")
        .zip(ask.field("from"))
        .and_then(|(digest, from)| {
            let bytes = state.repositories.get(from)?.blobs.get(digest)?;
            Some((digest.to_owned(), Arc::clone(bytes)))
        });
    if let Some((digest, bytes)) = mounted.filter(|_| !state.manners.no_mounts) {
        let repository = state
            .repositories
            .entry(ask.repository.clone())
            .or_default();
        repository.blobs.insert(digest.clone(), bytes);
        return created(&ask.repository, &digest);
    }
    let id = format!("upload-{}", state.number());
    let upload = Upload {
        repository: ask.repository.clone(),
        ..Upload::default()
    };
    state.uploads.insert(id.clone(), upload);
    let answer = progress(state, ask, &id, 202);
    match state.manners.chunk_min_bytes {
        Some(least) => answer.header("OCI-Chunk-Min-Length", &least.to_string()),
        None => answer,
    }
}

/// Says where an upload goes on, and how much of it there is.
fn progress(state: &mut State, ask: &Ask<'_>, id: &str, status: u16) -> Answer {
    let path = format!("/v2/{}/blobs/uploads/{id}", ask.repository);
    let host = ask.asked.header("host").unwrap_or_default();
    let number = state.number();
    let Some(upload) = state.uploads.get_mut(id) else {
        return Answer::error(404, "BLOB_UPLOAD_UNKNOWN");
    };
    let location = match &state.manners.location {
        LocationForm::Path => path,
        LocationForm::Url => format!("http://{host}{path}"),
        LocationForm::Elsewhere(origin) => format!("{origin}{path}"),
        LocationForm::Query => {
            upload.query = Some(format!("a/{number}+b"));
            format!("{path}?state=a%2F{number}%2Bb&other=1")
        }
        // From `…/uploads/` and from `…/uploads/<id>` alike.
        LocationForm::Relative => format!("../uploads/{id}"),
    };
    let last = upload.bytes.len().saturating_sub(1);
    Answer::new(status)
        .header("Location", &location)
        .header("Range", &format!("0-{last}"))
}

fn finish_upload(state: &mut State, ask: &Ask<'_>, id: &str) -> Answer {
    let Some(upload) = state.uploads.remove(id) else {
        return Answer::error(404, "BLOB_UPLOAD_UNKNOWN");
    };
    let wanted = ask.field("digest").unwrap_or_default();
    if digest_like(wanted, &upload.bytes).as_deref() != Some(wanted) {
        return Answer::error(400, "DIGEST_INVALID");
    }
    let repository = state
        .repositories
        .entry(upload.repository.clone())
        .or_default();
    repository
        .blobs
        .insert(wanted.to_owned(), Arc::from(upload.bytes));
    created(&upload.repository, wanted)
}
