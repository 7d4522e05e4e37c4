//! What a client is told when it gets nothing: a status, a code of the specification, a sentence.

use std::fmt;
use std::io::{self, ErrorKind};

use serde_json::json;

use crate::http::{HeadError, Response};
use crate::storage::StorageError;

/// The codes of errors (distribution-spec, "Error Codes").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    SizeInvalid,
    Denied,
    Unsupported,
    TooManyRequests,
}

impl Code {
    fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::Denied => "DENIED",
            Self::Unsupported => "UNSUPPORTED",
            Self::TooManyRequests => "TOOMANYREQUESTS",
        }
    }
}

/// An answer that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: u16,
    code: Code,
    message: String,
    headers: Vec<(&'static str, String)>,
    problem: Option<String>,
}

impl Refusal {
    pub(crate) fn new<M: fmt::Display>(status: u16, code: Code, message: M) -> Self {
        Self {
            status,
            code,
            message: message.to_string(),
            headers: Vec::new(),
            problem: None,
        }
    }

    /// Adds a header.
    #[must_use]
    pub(crate) fn header<V: Into<String>>(mut self, name: &'static str, value: V) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn of_head(error: HeadError) -> Self {
        Self::new(error.status(), Code::Unsupported, error)
    }

    pub(crate) fn too_many_connections() -> Self {
        let message = "the registry has as many connections as it takes";
        Self::new(503, Code::TooManyRequests, message).header("Retry-After", "1")
    }

    /// The body of a request cannot be read.
    pub(crate) fn of_body(error: &io::Error) -> Self {
        let status = match error.kind() {
            ErrorKind::TimedOut => 408,
            _ => 400,
        };
        let message = format!("the body of the request cannot be read: {error}");
        Self::new(status, Code::BlobUploadInvalid, message)
    }

    /// The registry's own disk fails. What it says is for the log: paths are no business of clients.
    pub(crate) fn of_storage(error: &StorageError) -> Self {
        let (status, message) = if error.is_full() {
            (507, "the registry has no room left")
        } else {
            (500, "the registry cannot read or write its storage")
        };
        Self {
            problem: Some(error.to_string()),
            ..Self::new(status, Code::Denied, message)
        }
    }

    /// Returns the answer.
    pub(crate) fn into_response(self) -> Response {
        let error = json!({ "code": self.code.as_str(), "message": self.message });
        let response = Response::new(self.status).json(&json!({ "errors": [error] }));
        let response = response.problem(self.problem);
        let add = |response: Response, (name, value)| response.header(name, value);
        self.headers.into_iter().fold(response, add)
    }
}
