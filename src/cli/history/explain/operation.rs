//! Operations as they are written for keys, compared part by part.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use solver::event::Operation;

use super::Reason;

/// How long a text is at most that is told of, in characters.
const TEXT_CHARS: usize = 400;

/// What a step did, and what it does.
pub(super) struct Compared<'a> {
    pub(super) old: &'a Operation,
    pub(super) new: &'a Operation,
}

impl Compared<'_> {
    /// Returns what is another. The digest of a base is told of by what stands on it.
    pub(super) fn reasons(&self, is_argument: &dyn Fn(&str) -> bool) -> Vec<Reason> {
        let (old, new) = (parts(self.old), parts(self.new));
        let mut names: Vec<_> = old.keys().chain(new.keys()).collect();
        names.sort();
        names.dedup();
        let mut reasons = Vec::new();
        for name in names {
            let (from, to) = (old.get(name), new.get(name));
            if from != to {
                reasons.extend(other(name, (from, to), is_argument));
            }
        }
        reasons
    }
}

/// Returns the parts of an operation by their names: those of what is in it, as `sandbox.security`, stand for that.
fn parts(operation: &Operation) -> BTreeMap<String, Value> {
    let mut parts = BTreeMap::new();
    if let Value::Object(members) = operation.written() {
        add(&mut parts, "", members);
    }
    parts
}

fn add(parts: &mut BTreeMap<String, Value>, before: &str, members: Map<String, Value>) {
    for (name, value) in members {
        let name = format!("{before}{name}");
        match value {
            Value::Object(inner) => add(parts, &format!("{name}."), inner),
            value => drop(parts.insert(name, value)),
        }
    }
}

/// Tells what is another in one part.
fn other(
    name: &str,
    (from, to): (Option<&Value>, Option<&Value>),
    is_argument: &dyn Fn(&str) -> bool,
) -> Vec<Reason> {
    match (name, from, to) {
        ("env", Some(Value::Array(from)), Some(Value::Array(to))) => {
            variables((from, to), is_argument)
        }
        ("argv", Some(Value::Array(from)), Some(Value::Array(to))) => vec![Reason::Command {
            from: command(from),
            to: command(to),
        }],
        _ => vec![Reason::Setting {
            name: name.to_owned(),
            from: from.map(shown),
            to: to.map(shown),
        }],
    }
}

/// Compares two environments by names. One whose order alone is another has no name to tell.
fn variables((from, to): (&[Value], &[Value]), is_argument: &dyn Fn(&str) -> bool) -> Vec<Reason> {
    let (old, new) = (by_name(from), by_name(to));
    let mut names: Vec<_> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    let mut reasons = Vec::new();
    for name in names {
        let value = |of: &BTreeMap<String, String>| of.get(name).map(|value| short(value));
        let (from, to) = (value(&old), value(&new));
        if old.get(name) == new.get(name) {
            continue;
        }
        let name = name.clone();
        reasons.push(if is_argument(&name) {
            Reason::Argument { name, from, to }
        } else {
            Reason::Variable { name, from, to }
        });
    }
    if reasons.is_empty() {
        let order = |values: &[Value]| Some(shown(&Value::Array(values.to_vec())));
        reasons.push(Reason::Setting {
            name: "env".to_owned(),
            from: order(from),
            to: order(to),
        });
    }
    reasons
}

fn by_name(values: &[Value]) -> BTreeMap<String, String> {
    let texts = values.iter().filter_map(Value::as_str);
    let pairs = texts.map(|text| text.split_once('=').unwrap_or((text, "")));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Returns what a command says: the last word of a shell's, else all words.
fn command(words: &[Value]) -> String {
    let words: Vec<_> = words.iter().filter_map(Value::as_str).collect();
    match words.as_slice() {
        [_shell, "-c", script] => short(script),
        words => short(&words.join(" ")),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => short(text),
        value => short(&value.to_string()),
    }
}

fn short(text: &str) -> String {
    let mut short: String = text.chars().take(TEXT_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
