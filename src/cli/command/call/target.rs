//! `--call=targets`

use dockerfile::call::TargetStage;
use dockerfile::source::SourceFile;
use serde_json::{Value, json};

use super::Saying;
use super::table::{location, table};

/// Makes the answer of a list of stages.
pub(super) fn answer(targets: &[TargetStage], source: &SourceFile) -> Saying {
    let list: Vec<Value> = targets.iter().map(entry).collect();
    let sources = [fetch::base64(source.text().as_bytes())];
    Saying::good(text(targets), json!({"targets": list, "sources": sources}))
}

fn entry(target: &TargetStage) -> Value {
    json!({
        "name": target.name,
        "default": target.is_default,
        "description": target.description,
        "base": target.base,
        "platform": target.platform,
        "location": location(target.lines),
    })
}

fn text(targets: &[TargetStage]) -> String {
    let names: Vec<String> = targets.iter().map(shown_name).collect();
    let mut rows = vec![["TARGET", "DESCRIPTION"]];
    let named = names.iter().zip(targets);
    rows.extend(named.map(|(name, target)| [name.as_str(), target.description.as_str()]));
    table(&rows)
}

fn shown_name(target: &TargetStage) -> String {
    match (target.name.as_str(), target.is_default) {
        ("", true) => "(default)".to_owned(),
        (name, true) => format!("{name} (default)"),
        (name, false) => name.to_owned(),
    }
}
