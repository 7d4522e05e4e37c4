//! The bodies of answers, read with a limit, and errors among them.

use std::io::Read as _;

use fetch::{FetchError, Response};
use serde::Deserialize;

use crate::error::{ErrorMessage, Failure, Refusal};
use crate::limits::{ERROR_MAX_BYTES, MESSAGE_MAX_CHARS};

/// Most errors of one answer that are shown.
const ERRORS_SHOWN: usize = 3;

#[derive(Deserialize)]
struct ErrorDocument {
    #[serde(default)]
    errors: Vec<ErrorEntry>,
    // What token servers and older registries say in place of a list.
    #[serde(default)]
    details: Option<String>,
    #[serde(default)]
    error_description: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Reads the whole body of an answer.
pub(crate) fn read_all(
    response: &mut Response,
    what: &'static str,
    limit_bytes: u64,
) -> Result<Vec<u8>, Failure> {
    response
        .read_whole(limit_bytes)
        .map_err(|error| match error {
            FetchError::TooLarge { limit_bytes, .. } => Failure::TooLarge { what, limit_bytes },
            error => error.without_queries().into(),
        })
}

/// Returns the error that an answer is.
pub(crate) fn refused(mut response: Response) -> Failure {
    let refusal = refusal(&mut response);
    match refusal.status {
        405 => Failure::Unsupported(refusal),
        412 => Failure::Changed,
        _ => Failure::Refused(refusal),
    }
}

/// Reads what the body of an answer says, so that its connection can be used again.
pub(crate) fn refusal(response: &mut Response) -> Refusal {
    let mut bytes = Vec::new();
    let mut body = response.by_ref().take(ERROR_MAX_BYTES);
    // What breaks off here says less of the error that is reported anyhow.
    drop(body.read_to_end(&mut bytes));
    Refusal {
        answered_by: response.is_elsewhere().then(|| response.url().authority()),
        status: response.status(),
        reason: response.reason(),
        errors: errors_in(&bytes),
        rate_limit: rate_limit(response),
        retry_after_seconds: response.retry_after().map(|pause| pause.as_secs()),
    }
}

/// Reads the rest of an answer of which only the head matters, so that its connection can be used again.
pub(crate) fn discard(response: Response) {
    response.discard(ERROR_MAX_BYTES);
}

fn errors_in(body: &[u8]) -> Vec<ErrorMessage> {
    let Ok(document) = serde_json::from_slice::<ErrorDocument>(body) else {
        return Vec::new();
    };
    let entry = |entry: &ErrorEntry| ErrorMessage {
        code: shown(&entry.code),
        message: shown(&entry.message),
    };
    let listed: Vec<_> = document
        .errors
        .iter()
        .take(ERRORS_SHOWN)
        .map(entry)
        .collect();
    if !listed.is_empty() {
        return listed;
    }
    let message = document.error_description.or(document.details);
    let code = document.error.unwrap_or_default();
    let only = ErrorMessage {
        code: shown(&code),
        message: shown(&message.unwrap_or_default()),
    };
    let is_empty = only.code.is_empty() && only.message.is_empty();
    if is_empty { Vec::new() } else { vec![only] }
}

/// Returns a text of a server's as a message shows it: in one line and not too long.
pub(crate) fn shown(text: &str) -> String {
    fetch::shown(text, MESSAGE_MAX_CHARS)
}

/// Returns what the headers of Docker Hub and others say of the limit: `0 of 100`.
fn rate_limit(response: &Response) -> Option<String> {
    let number = |name| {
        let header = response.header(name)?;
        let number: u64 = header.split(';').next()?.trim().parse().ok()?;
        Some(number)
    };
    let remaining = number("ratelimit-remaining")?;
    Some(match number("ratelimit-limit") {
        Some(limit) => format!("{remaining} of {limit} left"),
        None => format!("{remaining} left"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_those_of_the_body_cut_and_escaped() {
        let found = |body: &str| -> Vec<String> {
            errors_in(body.as_bytes())
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        assert_eq!(
            found(
                r#"{"errors":[{"code":"DENIED","message":"no\naccess","detail":{}},{"code":"X"}]}"#
            ),
            ["no\\naccess (DENIED)", "X"]
        );
        assert_eq!(
            found(r#"{"error":"invalid_grant","error_description":"gone"}"#),
            ["gone (invalid_grant)"]
        );
        assert_eq!(
            found(r#"{"details":"incorrect username"}"#),
            ["incorrect username"]
        );
        // Escape sequences of terminals, in one byte or two, and what turns the direction of the text around.
        assert_eq!(
            found(
                r#"{"errors":[{"code":"\u009b2J","message":"\u001b]0;x\u0007\r\u202egone\u2066\u007f"}]}"#
            ),
            ["\\u{1b}]0;x\\u{7}\\r\\u{202e}gone\\u{2066}\\u{7f} (\\u{9b}2J)"]
        );
        for nothing in ["", "<html>", "[]", "{}", r#"{"errors":[]}"#] {
            assert!(found(nothing).is_empty(), "{nothing}");
        }
        let long = format!(r#"{{"errors":[{{"message":"{}"}}]}}"#, "x".repeat(5000));
        assert_eq!(found(&long), ["x".repeat(MESSAGE_MAX_CHARS)]);
    }
}
