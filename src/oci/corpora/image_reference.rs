//! Operations of the table `image-reference`.

use serde_json::{Value, json};

use super::{Answer, Case};
use crate::digest::{Digest, DigestError};
use crate::reference::tests::{grammar_groups, is_identifier};
use crate::reference::{AnyReference, Reference, ReferenceError};

pub(super) fn check(case: &Case) -> Result<(), String> {
    let text = case.text("ref");
    match case.op() {
        "parse" => compare(case, Reference::parse_literal(text).map(|it| parsed(&it))),
        "split" => compare(case, Reference::parse_literal(text).map(|it| split(&it))),
        "parse_canonical" => compare(case, Reference::parse_canonical(text).map(|it| split(&it))),
        "normalize" => compare(case, Reference::parse(text).map(|it| normalized(&it))),
        "parse_any" => compare(
            case,
            AnyReference::parse(text).map(|it| string(&it.to_string())),
        ),
        "docker_ref" => compare(
            case,
            Reference::parse_docker_ref(text).map(|it| string(&it.to_string())),
        ),
        "grammar" => case.compare(grammar(case)),
        _ => case.unknown(),
    }
}

fn compare(case: &Case, result: Result<Value, ReferenceError>) -> Result<(), String> {
    if let (Err(error), Some(expected)) = (&result, case.value["error_kind"].as_str())
        && error_kind(error) != expected
    {
        return Err(format!("expected {expected}, got {error}"));
    }
    case.compare(result.map_err(|error| error.to_string()))
}

/// Returns the word that the table has for an error.
fn error_kind(error: &ReferenceError) -> &'static str {
    match error {
        ReferenceError::Empty => "NameEmpty",
        ReferenceError::Format { .. } | ReferenceError::Identifier { .. } => {
            "ReferenceInvalidFormat"
        }
        ReferenceError::Uppercase { .. } => "NameContainsUppercase",
        ReferenceError::TooLong { .. } => "NameTooLong",
        ReferenceError::NotCanonical { .. } => "NameNotCanonical",
        ReferenceError::Tag { .. } => "TagInvalidFormat",
        ReferenceError::Digest { source, .. } => match source {
            DigestError::Length { .. } => "DigestInvalidLength",
            DigestError::Algorithm { .. } => "DigestUnsupported",
            DigestError::Format { .. } | DigestError::Digit { .. } => "DigestInvalidFormat",
        },
    }
}

fn parsed(reference: &Reference) -> Value {
    json!({
        "domain": reference.domain(),
        "name": reference.name(),
        "tag": reference.tag(),
        "digest": reference.digest().map(Digest::as_str),
    })
}

fn split(reference: &Reference) -> Value {
    json!({ "domain": reference.domain(), "path": reference.path() })
}

fn normalized(reference: &Reference) -> Value {
    json!({
        "domain": reference.domain(),
        "path": reference.path(),
        "familiar": reference.familiar_name(),
        "full": reference.to_string(),
        "familiar_string": reference.familiar(),
    })
}

fn string(text: &str) -> Value {
    json!({ "string": text })
}

fn grammar(case: &Case) -> Answer {
    let text = case.text("text");
    let groups = match case.text("kind") {
        "identifier" => is_identifier(text).then(Vec::new),
        kind => grammar_groups(kind, text).ok_or_else(|| format!("unknown kind `{kind}`"))?,
    };
    Ok(json!({ "match": groups.is_some(), "groups": groups.unwrap_or_default() }))
}
