//! Nodes in the form that BuildKit's parser prints its tree in.

use crate::ast::Flag;
use crate::node::{Arguments, Node};

pub(super) fn dump(nodes: &[Node]) -> String {
    let lines: Vec<_> = nodes
        .iter()
        .map(|node| format!("({})", node_text(node)))
        .collect();
    lines.join("\n")
}

fn node_text(node: &Node) -> String {
    let mut parts = vec![node.keyword.value.to_lowercase()];
    if !node.flags.is_empty() {
        let flags: Vec<_> = node
            .flags
            .iter()
            .map(|flag| quoted(flag_text(flag)))
            .collect();
        parts.push(format!("[{}]", flags.join(" ")));
    }
    match &node.arguments {
        Arguments::Words(words) => parts.extend(words.iter().map(|word| quoted(&word.value))),
        Arguments::Pairs(pairs, form) => {
            let separator = if *form == crate::ast::PairForm::Equals {
                "="
            } else {
                ""
            };
            for pair in pairs {
                parts.extend([&pair.key.value, &pair.value.value, separator].map(quoted));
            }
        }
        Arguments::Line(Some(child)) => parts.push(format!("({})", node_text(child))),
        Arguments::Unknown => parts.push(quoted("")),
        Arguments::Line(None) | Arguments::Broken => {}
    }
    parts.join(" ")
}

fn flag_text(flag: &Flag) -> String {
    let value = flag.value.as_ref().map(|value| format!("={}", value.value));
    format!("--{}{}", flag.name.value, value.unwrap_or_default())
}

/// Quotes as Go's `%q` does.
fn quoted(text: impl AsRef<str>) -> String {
    let escaped: String = text.as_ref().chars().map(escaped).collect();
    format!("\"{escaped}\"")
}

fn escaped(character: char) -> String {
    match character {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        control if control < ' ' || control == '\u{7f}' => format!("\\x{:02x}", control as u32),
        other if other.is_control() || (other.is_whitespace() && other != ' ') => {
            format!("\\u{:04x}", other as u32)
        }
        '\u{feff}' | '\u{200b}'..='\u{200f}' => format!("\\u{:04x}", character as u32),
        plain => plain.to_string(),
    }
}
