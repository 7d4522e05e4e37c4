//! What is asked for → an answer (distribution-spec 1.1).
//!
//! * `blob`: reading and removing blobs;
//! * `upload`: writing them;
//! * `manifest`: manifests and tags;
//! * `list`: repositories, tags, referrers.

mod blob;
mod list;
mod manifest;
mod upload;

use std::path::Path;

use serde_json::json;

use crate::http::{Body, Head, Response, Service};
use crate::refusal::{Code, Refusal};
use crate::route::Route;
use crate::storage::{Access, OpenError, Storage};

/// A registry over one image layout.
#[derive(Debug)]
pub struct Registry {
    storage: Storage,
    access: Access,
}

/// A request, with what it is for.
struct Ask<'a, 'r, 's> {
    head: &'a Head,
    body: &'a mut Body<'r, 's>,
}

impl Registry {
    /// Opens the directory of an image layout; makes it where there is nothing and it may be written. With it
    /// come sentences on what is in the layout and cannot be served.
    ///
    /// # Errors
    ///
    /// Fails when the directory is no image layout, is damaged, or is written by another process.
    pub fn open(path: &Path, access: Access) -> Result<(Self, Vec<String>), OpenError> {
        let (storage, notes) = Storage::open(path, access)?;
        Ok((Self { storage, access }, notes))
    }

    fn try_answer(&self, head: &Head, body: &mut Body<'_, '_>) -> Result<Response, Refusal> {
        let route = Route::parse(&head.path)?;
        // A question to HEAD is one to GET whose answer stays behind.
        let method = match head.method.as_str() {
            "HEAD" => "GET",
            method => method,
        };
        if method != "GET" && self.access == Access::ReadOnly {
            let message = "this registry is read-only";
            return Err(Refusal::new(405, Code::Unsupported, message).header("Allow", "GET, HEAD"));
        }
        let ask = &mut Ask { head, body };
        match (method, route) {
            ("GET", Route::Base) => Ok(Response::new(200).json(&json!({}))),
            ("GET", Route::Catalog) => self.list_repositories(head),
            ("GET", Route::Tags(name)) => self.list_tags(head, &name),
            ("GET", Route::Referrers(name, digest)) => {
                Ok(self.list_referrers(head, &name, &digest))
            }
            ("GET", Route::Blob(name, digest)) => self.get_blob(head, &name, &digest),
            ("DELETE", Route::Blob(name, digest)) => self.delete_blob(&name, &digest),
            ("GET", Route::Manifest(name, selector)) => self.get_manifest(head, &name, &selector),
            ("PUT", Route::Manifest(name, selector)) => self.put_manifest(ask, &name, &selector),
            ("DELETE", Route::Manifest(name, selector)) => self.delete_manifest(&name, &selector),
            ("POST", Route::Uploads(name)) => self.begin_upload(ask, &name),
            ("GET", Route::Upload(name, id)) => self.get_upload(&name, &id),
            ("PATCH", Route::Upload(name, id)) => self.append_to_upload(ask, &name, &id),
            ("PUT", Route::Upload(name, id)) => self.finish_upload(ask, &name, &id),
            ("DELETE", Route::Upload(name, id)) => self.cancel_upload(&name, &id),
            (_, route) => Err(wrong_method(&head.method, &route)),
        }
    }
}

impl Service for Registry {
    fn answer(&self, head: &Head, body: &mut Body<'_, '_>) -> Response {
        self.try_answer(head, body)
            .unwrap_or_else(Refusal::into_response)
    }
}

fn wrong_method(method: &str, route: &Route) -> Refusal {
    let allowed = match route {
        Route::Base | Route::Catalog | Route::Tags(_) | Route::Referrers(..) => "GET, HEAD",
        Route::Blob(..) => "GET, HEAD, DELETE",
        Route::Manifest(..) => "GET, HEAD, PUT, DELETE",
        Route::Uploads(_) => "POST",
        Route::Upload(..) => "GET, HEAD, PATCH, PUT, DELETE",
    };
    let message = format!("`{method}` is not known here");
    Refusal::new(405, Code::Unsupported, message).header("Allow", allowed)
}

/// Refuses to go on where there is no such repository.
fn unknown_repository(name: &str) -> Refusal {
    let message = format!("there is no repository `{name}`");
    Refusal::new(404, Code::NameUnknown, message)
}
