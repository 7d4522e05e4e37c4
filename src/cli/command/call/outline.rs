//! `--call=outline`

use dockerfile::call::{Outline, OutlineArgument, OutlineMount};
use dockerfile::source::SourceFile;
use serde_json::{Map, Value, json};

use super::Saying;
use super::table::{location, table};

/// Makes the answer of an outline.
pub(super) fn answer(outline: &Outline, source: &SourceFile) -> Saying {
    Saying::good(text(outline), document(outline, source))
}

/// Returns the outline in JSON; what is empty is left out.
fn document(outline: &Outline, source: &SourceFile) -> Value {
    let mut document = Map::new();
    let mut add = |name: &str, value: Value| {
        let is_empty = value == json!("") || value == json!([]);
        if !is_empty {
            document.insert(name.to_owned(), value);
        }
    };
    let mounts = |mounts: &[OutlineMount]| mounts.iter().map(mount).collect::<Value>();
    add("name", json!(outline.name));
    add("description", json!(outline.description));
    add("args", outline.arguments.iter().map(argument).collect());
    add("secrets", mounts(&outline.secrets));
    add("ssh", mounts(&outline.agents));
    add("cache", outline.caches.iter().map(cache).collect());
    add("sources", json!([fetch::base64(source.text().as_bytes())]));
    Value::Object(document)
}

fn argument(argument: &OutlineArgument) -> Value {
    json!({
        "name": argument.name,
        "description": argument.description,
        "value": argument.value,
        "location": location(argument.lines),
    })
}

fn mount(mount: &OutlineMount) -> Value {
    json!({
        "name": mount.name,
        "required": mount.required,
        "location": location(mount.lines),
    })
}

fn cache(cache: &OutlineMount) -> Value {
    json!({"ID": cache.name, "location": location(cache.lines)})
}

/// Returns the outline as tables with an empty line between them.
fn text(outline: &Outline) -> String {
    let parts = [
        target(outline),
        arguments(&outline.arguments),
        mounts("SECRET", &outline.secrets),
        mounts("SSH", &outline.agents),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join("\n")
}

fn target(outline: &Outline) -> Option<String> {
    if outline.name.is_empty() {
        return None;
    }
    let mut rows = vec![["TARGET:", outline.name.as_str()]];
    if !outline.description.is_empty() {
        rows.push(["DESCRIPTION:", &outline.description]);
    }
    Some(table(&rows))
}

fn arguments<'o>(arguments: &'o [OutlineArgument]) -> Option<String> {
    let mut rows = vec![["BUILD ARG", "VALUE", "DESCRIPTION"]];
    let row = |one: &'o OutlineArgument| [&*one.name, &*one.value, &*one.description];
    rows.extend(arguments.iter().map(row));
    (!arguments.is_empty()).then(|| table(&rows))
}

fn mounts(title: &'static str, mounts: &[OutlineMount]) -> Option<String> {
    let mut rows = vec![[title, "REQUIRED"]];
    let required = |mount: &OutlineMount| if mount.required { "true" } else { "" };
    rows.extend(
        mounts
            .iter()
            .map(|mount| [mount.name.as_str(), required(mount)]),
    );
    (!mounts.is_empty()).then(|| table(&rows))
}
