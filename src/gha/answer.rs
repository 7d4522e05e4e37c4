//! What servers answer: JSON with a limit, and errors in the forms that the services have.

use fetch::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::Failure;
use crate::limits::{ANSWER_MAX_BYTES, ERROR_MAX_BYTES, MESSAGE_MAX_CHARS};

/// What the service answers to a job that may not write, after the words that follow.
const WRITE_DENIED: &str = "cache write denied";

/// An error: that of Twirp (`code`, `msg`), or that of the first protocol (`typeKey`, `message`).
#[derive(Default, Deserialize)]
struct ErrorDocument {
    #[serde(default)]
    code: String,
    #[serde(default)]
    msg: String,
    #[serde(default)]
    message: String,
    #[serde(default, rename = "typeKey")]
    type_key: String,
}

/// Reads the whole body of an answer as JSON.
pub(crate) fn json<T: DeserializeOwned>(
    response: &mut Response,
    what: &'static str,
) -> Result<T, Failure> {
    let bytes = response
        .read_whole(ANSWER_MAX_BYTES)
        .map_err(fetch::FetchError::at_origins)?;
    serde_json::from_slice(without_mark(&bytes)).map_err(|error| Failure::malformed(what, error))
}

/// Returns the error that an answer of the service is, about the entry with this key.
pub(crate) fn refused(mut response: Response, key: &str) -> Failure {
    let document = error_document(&mut response);
    let message = [&document.msg, &document.message, &document.code]
        .into_iter()
        .find(|text| !text.is_empty());
    let message = message.map(|text| shown(text)).unwrap_or_default();
    if is_taken(response.status(), &document, &message) {
        let key = key.to_owned();
        return Failure::Taken { key, message };
    }
    if response.status() == 404 && !key.is_empty() {
        return Failure::Missing;
    }
    denied(&message).unwrap_or(Failure::Refused {
        host: response.url().authority(),
        status: response.status(),
        reason: response.reason(),
        message,
    })
}

/// Returns the error that an answer of a store of blobs is. Its body is not shown: it may tell what was signed.
pub(crate) fn refused_by_store(response: Response) -> Failure {
    let failure = Failure::Refused {
        host: response.url().authority(),
        status: response.status(),
        reason: response.reason(),
        message: shown(response.header("x-ms-error-code").unwrap_or_default()),
    };
    response.discard(ERROR_MAX_BYTES);
    failure
}

/// Returns the error that a message is which says that the job may not write.
pub(crate) fn denied(message: &str) -> Option<Failure> {
    let rest = message.trim().strip_prefix(WRITE_DENIED)?;
    Some(Failure::ReadOnly {
        message: shown(rest.trim_start_matches([':', ' '])),
    })
}

/// Returns a text of a server's as a message shows it.
pub(crate) fn shown(text: &str) -> String {
    fetch::shown(text, MESSAGE_MAX_CHARS)
}

fn error_document(response: &mut Response) -> ErrorDocument {
    // What breaks off here says less of the error that is reported anyhow.
    let bytes = response.read_whole(ERROR_MAX_BYTES).unwrap_or_default();
    serde_json::from_slice(without_mark(&bytes)).unwrap_or_default()
}

fn is_taken(status: u16, document: &ErrorDocument, message: &str) -> bool {
    status == 409
        || document.code == "already_exists"
        || document.type_key.contains("AlreadyExists")
        || message.to_ascii_lowercase().contains("already exists")
}

/// The services of the first protocol begin what they say with a byte order mark.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}
