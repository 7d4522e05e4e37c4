//! Flags with a meaning: which an instruction has, and what their values are.

use crate::ast::{Flag, Word};
use crate::diagnostic::{Diagnostic, quoted};
use crate::node::Node;
use crate::source::Spanned;
use crate::suggest;

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing, or `=true`, `=false`.
    Switch,
    /// A value.
    Text,
    /// A value, and it may be given again.
    Texts,
}

/// A flag that an instruction knows.
pub(super) type Known = (&'static str, Takes);

/// The flags of one instruction that it knows and that have a value they can have.
#[derive(Debug)]
pub(super) struct Flags<'n> {
    valid: Vec<&'n Flag>,
}

impl<'n> Flags<'n> {
    /// Checks the flags of a node against those that its instruction knows.
    pub(super) fn read(node: &'n Node, known: &[Known], diagnostics: &mut Vec<Diagnostic>) -> Self {
        let mut valid: Vec<&Flag> = Vec::new();
        for flag in &node.flags {
            let given_before = valid
                .iter()
                .any(|other| other.name.value == flag.name.value);
            match fault(node, flag, known, given_before) {
                Some(diagnostic) => diagnostics.push(diagnostic),
                None => valid.push(flag),
            }
        }
        Self { valid }
    }

    /// Reports every flag of an instruction that has none.
    pub(super) fn none(node: &'n Node, diagnostics: &mut Vec<Diagnostic>) {
        Self::read(node, &[], diagnostics);
    }

    /// Returns the value of a flag. An empty one counts as none, as in BuildKit.
    pub(super) fn text(&self, name: &str) -> Option<Word> {
        self.texts(name)
            .into_iter()
            .next()
            .filter(|word| !word.value.is_empty())
    }

    /// Returns the values of a flag that may be given again, in order.
    pub(super) fn texts(&self, name: &str) -> Vec<Word> {
        let of_name = self.valid.iter().filter(|flag| flag.name.value == name);
        of_name.filter_map(|flag| flag.value.clone()).collect()
    }

    /// Returns whether a switch is on, if it is given.
    pub(super) fn switch(&self, name: &str) -> Option<Spanned<bool>> {
        let flag = self.valid.iter().find(|flag| flag.name.value == name)?;
        let on = flag
            .value
            .as_ref()
            .is_none_or(|value| value.value.eq_ignore_ascii_case("true"));
        Some(Spanned::new(on, flag.span))
    }

    /// Returns whether a switch is given and on.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.switch(name).is_some_and(|switch| switch.value)
    }
}

fn fault(node: &Node, flag: &Flag, known: &[Known], given_before: bool) -> Option<Diagnostic> {
    let name = &flag.name.value;
    let Some((_, takes)) = known.iter().find(|(known, _)| known == name) else {
        return Some(unknown(node, flag, known));
    };
    if given_before && *takes != Takes::Texts {
        let title = format!("flag `--{name}` is given twice");
        return Some(Diagnostic::error(title, flag.span));
    }
    let value = flag.value.as_ref().map(|value| value.value.as_str());
    match (takes, value) {
        (Takes::Switch, None) | (Takes::Text | Takes::Texts, Some(_)) => None,
        (Takes::Switch, Some(value)) => bad_switch(flag, value),
        (Takes::Text | Takes::Texts, None) => Some(
            Diagnostic::error(format!("flag `--{name}` has no value"), flag.span)
                .with_help(format!("write `--{name}=…`, with `=` and without blanks")),
        ),
    }
}

fn bad_switch(flag: &Flag, value: &str) -> Option<Diagnostic> {
    if value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false") {
        return None;
    }
    let name = &flag.name.value;
    let span = flag.value.as_ref().map_or(flag.span, |value| value.span);
    let title = if value.is_empty() {
        format!("flag `--{name}` has an empty value")
    } else {
        format!("flag `--{name}` cannot be {}", quoted(value))
    };
    Some(Diagnostic::error(title, span).with_help(format!("use `--{name}` or `--{name}=false`")))
}

fn unknown(node: &Node, flag: &Flag, known: &[Known]) -> Diagnostic {
    let name = &flag.name.value;
    let near = suggest::nearest(name, known.iter().map(|(known, _)| *known));
    let help = match near {
        Some(near) => Some(format!("did you mean `--{near}`?")),
        None => owner(name).map(|owner| format!("`--{name}` is a flag of {owner}")),
    };
    Diagnostic::error(
        format!("unknown flag: {}", quoted(&format!("--{name}"))),
        flag.name.span,
    )
    .with_label(format!("{} has no such flag", node.name()))
    .with_help(help)
}

/// The flags that one kind of instruction has.
const OWNERS: [(&str, &[&str]); 6] = [
    ("ADD", &["checksum", "keep-git-dir", "unpack"]),
    ("COPY", &["from", "parents"]),
    ("COPY and ADD", &["chown", "chmod", "link", "exclude"]),
    ("FROM", &["platform"]),
    (
        "HEALTHCHECK",
        &[
            "interval",
            "timeout",
            "start-period",
            "start-interval",
            "retries",
        ],
    ),
    ("RUN", &["mount", "network", "security", "device"]),
];

/// Returns which instructions have a flag.
fn owner(flag: &str) -> Option<&'static str> {
    let owner = OWNERS.iter().find(|(_, flags)| flags.contains(&flag))?;
    Some(owner.0)
}
