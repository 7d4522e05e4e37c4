//! Writing blobs (distribution-spec, "Pushing blobs", "Mounting a blob from another repository").
//!
//! What has come of a body whose connection broke is kept, so that the client goes on from there.

use std::io::Read as _;

use oci::Digest;

use super::{Ask, Registry};
use crate::http::{Body, Head, Response, parse_upload_range};
use crate::limits::BLOB_LIMIT_BYTES;
use crate::refusal::{Code, Refusal};
use crate::route::{digest, parse_name};
use crate::storage::{Taken, Unavailable};

/// How much is copied at once, in bytes.
const COPY_BYTES: usize = 256 * 1024;

impl Registry {
    pub(super) fn begin_upload(
        &self,
        ask: &mut Ask<'_, '_, '_>,
        name: &str,
    ) -> Result<Response, Refusal> {
        let query = &ask.head.query;
        if let Some(text) = query.get("mount") {
            let wanted = digest(text)?;
            let from = query.get("from").map(parse_name).transpose()?;
            if self.storage.mount(name, &wanted, from.as_deref()) {
                return Ok(created(name, &wanted));
            }
        }
        let wanted = query.get("digest").map(digest).transpose()?;
        let begun = self.storage.begin_upload(name);
        let id = begun.map_err(|error| Refusal::of_storage(&error))?;
        let upload = self.take(name, &id)?;
        match wanted {
            None => Ok(progress(202, name, &id, 0)),
            Some(wanted) => self.complete(ask, name, upload, &wanted),
        }
    }

    pub(super) fn get_upload(&self, name: &str, id: &str) -> Result<Response, Refusal> {
        let upload = self.take(name, id)?;
        Ok(progress(204, name, id, upload.file.size_bytes()))
    }

    pub(super) fn append_to_upload(
        &self,
        ask: &mut Ask<'_, '_, '_>,
        name: &str,
        id: &str,
    ) -> Result<Response, Refusal> {
        let mut upload = self.take(name, id)?;
        check_range(ask.head, ask.body, name, id, &mut upload)?;
        receive(ask.body, &mut upload)?;
        Ok(progress(202, name, id, upload.file.size_bytes()))
    }

    pub(super) fn finish_upload(
        &self,
        ask: &mut Ask<'_, '_, '_>,
        name: &str,
        id: &str,
    ) -> Result<Response, Refusal> {
        let mut upload = self.take(name, id)?;
        let Some(text) = ask.head.query.get("digest") else {
            let message = "an upload ends with the digest of the blob in the query";
            return Err(Refusal::new(400, Code::DigestInvalid, message));
        };
        let wanted = digest(text)?;
        check_range(ask.head, ask.body, name, id, &mut upload)?;
        self.complete(ask, name, upload, &wanted)
    }

    pub(super) fn cancel_upload(&self, name: &str, id: &str) -> Result<Response, Refusal> {
        drop(self.take(name, id)?.finish());
        Ok(Response::new(204))
    }

    /// Receives the rest of a blob and gives it to the repository.
    fn complete(
        &self,
        ask: &mut Ask<'_, '_, '_>,
        name: &str,
        mut upload: Taken<'_>,
        wanted: &Digest,
    ) -> Result<Response, Refusal> {
        receive(ask.body, &mut upload)?;
        // From here on it is a blob or nothing: bytes that are wrong do not get right by more of them.
        let mut upload = upload.finish();
        let found = upload.file.digest_like(wanted);
        let found = found.map_err(|error| Refusal::of_storage(&error.into()))?;
        if found != *wanted {
            let size_bytes = upload.file.size_bytes();
            let message = format!("the {size_bytes} bytes that came are `{found}`, not `{wanted}`");
            return Err(Refusal::new(400, Code::DigestInvalid, message));
        }
        let added = self.storage.add_blob(name, upload.file, wanted);
        added.map_err(|error| Refusal::of_storage(&error))?;
        Ok(created(name, wanted))
    }

    fn take(&self, name: &str, id: &str) -> Result<Taken<'_>, Refusal> {
        self.storage
            .take_upload(name, id)
            .map_err(|error| match error {
                Unavailable::Unknown => {
                    let message = format!("repository `{name}` has no upload `{id}`");
                    Refusal::new(404, Code::BlobUploadUnknown, message)
                }
                Unavailable::Busy => {
                    let message = "another request writes to this upload";
                    Refusal::new(409, Code::BlobUploadInvalid, message)
                }
            })
    }
}

/// Makes sure that a chunk begins where the one before it has ended.
fn check_range(
    head: &Head,
    body: &Body<'_, '_>,
    name: &str,
    id: &str,
    upload: &mut Taken<'_>,
) -> Result<(), Refusal> {
    let Some(text) = head.header("content-range") else {
        return Ok(());
    };
    let Some((first, last)) = parse_upload_range(text) else {
        let message = format!("`{text}` is no range of the form `first-last`");
        return Err(Refusal::new(400, Code::BlobUploadInvalid, message));
    };
    // No byte and one byte are both called `0-0`. A client that takes it for none may send the one again.
    if (first, upload.file.size_bytes()) == (0, 1) {
        let cleared = upload.file.clear();
        cleared.map_err(|error| Refusal::of_storage(&error.into()))?;
    }
    let size_bytes = upload.file.size_bytes();
    if first != size_bytes {
        let message = format!("the next byte of the upload is {size_bytes}, not {first}");
        return Err(Refusal::new(416, Code::BlobUploadInvalid, message)
            .header("Location", location(name, id))
            .header("Range", range(size_bytes)));
    }
    let length_bytes = (last - first).saturating_add(1);
    match body.length() {
        Some(found) if found != length_bytes => {
            let message = format!("the range has {length_bytes} bytes and the body {found}");
            Err(Refusal::new(400, Code::SizeInvalid, message))
        }
        _ => Ok(()),
    }
}

/// Adds the body to an upload, as far as it comes.
fn receive(body: &mut Body<'_, '_>, upload: &mut Taken<'_>) -> Result<(), Refusal> {
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let count = match body.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) => return Err(Refusal::of_body(&error)),
        };
        if upload.file.size_bytes().saturating_add(count as u64) > BLOB_LIMIT_BYTES {
            let message = format!("a blob has at most {BLOB_LIMIT_BYTES} bytes");
            return Err(Refusal::new(413, Code::SizeInvalid, message));
        }
        let written = upload.file.write(buffer.get(..count).unwrap_or_default());
        written.map_err(|error| Refusal::of_storage(&error.into()))?;
    }
}

fn created(name: &str, digest: &Digest) -> Response {
    Response::new(201)
        .header("Location", format!("/v2/{name}/blobs/{digest}"))
        .header("Docker-Content-Digest", digest.as_str())
}

fn progress(status: u16, name: &str, id: &str, size_bytes: u64) -> Response {
    Response::new(status)
        .header("Location", location(name, id))
        .header("Range", range(size_bytes))
        .header("Docker-Upload-UUID", id)
}

fn location(name: &str, id: &str) -> String {
    format!("/v2/{name}/blobs/uploads/{id}")
}

/// Returns what has come, as the position of the last byte. There is no way to write that there is none; every
/// registry writes `0-0`.
fn range(size_bytes: u64) -> String {
    format!("0-{}", size_bytes.saturating_sub(1))
}
