//! Differences → text.

use std::fmt::Write as _;

use serde_json::Value;

use super::files::{Change, FileChange};
use super::{Differences, Layers, Side};
use crate::command::files::{FileRecord, Kind};

/// Returns differences as JSON, with a line end.
pub(super) fn json(differences: &Differences) -> String {
    let text = serde_json::to_string_pretty(differences);
    text.expect("texts and numbers are valid JSON") + "\n"
}

/// Returns differences as lines; nothing where there are none.
pub(super) fn text(differences: &Differences) -> String {
    let mut text = String::new();
    if differences.equal {
        return text;
    }
    side(&mut text, "---", &differences.one);
    side(&mut text, "+++", &differences.other);
    if !differences.config.is_empty() {
        text.push_str("config:\n");
    }
    for change in &differences.config {
        let shown =
            |value: &Option<Value>| value.as_ref().map_or("(none)".to_owned(), Value::to_string);
        let (one, other) = (shown(&change.one), shown(&change.other));
        line(&mut text, &format!("  {}: {one} -> {other}", change.field));
    }
    layers(&mut text, &differences.layers);
    if !differences.files.is_empty() {
        text.push_str("files:\n");
    }
    for change in &differences.files {
        line(&mut text, &file(change));
    }
    text
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a String takes what is written");
}

fn side(text: &mut String, mark: &str, side: &Side) {
    let Side {
        image,
        platform,
        manifest,
    } = side;
    line(text, &format!("{mark} {image} {platform} {manifest}"));
}

fn layers(text: &mut String, layers: &Layers) {
    let Layers { shared, one, other } = layers;
    if one == other {
        return;
    }
    line(text, &format!("layers: {shared} shared"));
    for (mark, ids) in [("-", one), ("+", other)] {
        for id in ids.iter().skip(*shared) {
            line(text, &format!("  {mark} {id}"));
        }
    }
}

fn file(change: &FileChange) -> String {
    let FileChange {
        path,
        change,
        differs,
        one,
        other,
    } = change;
    match (change, one, other) {
        (Change::Changed, Some(one), Some(other)) => {
            let parts = differs.iter().map(|what| difference(what, one, other));
            let parts: Vec<_> = parts.collect();
            format!("  ~ {path}: {}", parts.join(", "))
        }
        (Change::Added, _, Some(there)) => format!("  + {path} ({})", described(there)),
        (_, Some(there), _) => format!("  - {path} ({})", described(there)),
        _ => format!("  ~ {path}"),
    }
}

fn described(record: &FileRecord) -> String {
    let kind = kind(record.kind);
    let mut text = format!("{kind} {} {}:{}", record.mode, record.uid, record.gid);
    if let Some(size) = record.size {
        write!(text, " {size} bytes").expect("a String takes what is written");
    }
    if let Some(target) = &record.target {
        write!(text, " to {target}").expect("a String takes what is written");
    }
    text
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Symlink => "symlink",
        Kind::Hardlink => "hardlink",
        Kind::Char => "char",
        Kind::Block => "block",
        Kind::Fifo => "fifo",
    }
}

fn difference(what: &str, one: &FileRecord, other: &FileRecord) -> String {
    let optional = |text: &Option<String>| text.clone().unwrap_or_else(|| "(none)".to_owned());
    let size = |size: Option<u64>| size.map_or("(none)".to_owned(), |size| size.to_string());
    let (one, other) = match what {
        "kind" => (kind(one.kind).to_owned(), kind(other.kind).to_owned()),
        "mode" => (one.mode.clone(), other.mode.clone()),
        "owner" => (
            format!("{}:{}", one.uid, one.gid),
            format!("{}:{}", other.uid, other.gid),
        ),
        "size" => (size(one.size), size(other.size)),
        "target" => (optional(&one.target), optional(&other.target)),
        "time" => (one.mtime.clone(), other.mtime.clone()),
        // Too long for a line: `--format json` has it.
        _ => return what.to_owned(),
    };
    format!("{what} {one} -> {other}")
}
