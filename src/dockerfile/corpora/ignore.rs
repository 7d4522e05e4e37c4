//! The operations of `dockerignore`.

use graph::PatternSet;
use serde_json::{Value, json};

use super::{text, texts};
use crate::ignore;

pub(super) fn run(op: &str, input: &Value) -> Option<Result<Value, String>> {
    match op {
        "match" => Some(set(input).map(|set| json!(set.matches(text(input, "path"))))),
        "clean" => Some(
            set(input)
                .map(|set| json!({"count": set.len(), "has_exclusions": set.has_exceptions()})),
        ),
        "parse_file" => Some(Ok(json!(ignore::patterns(text(input, "text"))))),
        _ => None,
    }
}

fn set(input: &Value) -> Result<PatternSet, String> {
    PatternSet::new(texts(input, "patterns")).map_err(|error| error.to_string())
}
