//! The operations of `shell-lexer`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::text;
use crate::ast::Escape;
use crate::words::{Expanded, expand_word};

pub(super) fn run(op: &str, input: &Value) -> Option<Result<Value, String>> {
    let show: fn(Expanded) -> Value = match op {
        "word" => |expanded| json!(expanded.value),
        "words" => |expanded| json!(expanded.words),
        "word_matches" => |expanded| {
            json!({
                "result": expanded.value,
                "matched": expanded.used,
                "unmatched": expanded.unset,
            })
        },
        _ => return None,
    };
    Some(expand(input).map(show))
}

fn expand(input: &Value) -> Result<Expanded, String> {
    let environment: BTreeMap<String, String> =
        serde_json::from_value(input["env"].clone()).unwrap();
    let escape = match text(input, "escape") {
        "`" => Escape::Backtick,
        _ => Escape::Backslash,
    };
    let lookup = |name: &str| environment.get(name).cloned();
    expand_word(text(input, "word"), &lookup, escape).map_err(|error| error.to_string())
}
