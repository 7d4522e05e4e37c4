//! `ENV key=value …` and `LABEL key=value …`

use crate::ast::{EnvInstruction, InstructionKind, LabelInstruction, Pair, PairForm};
use crate::diagnostic::Diagnostic;
use crate::node::{Arguments, Node};
use crate::parse::flag::Flags;

pub(super) fn env(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<InstructionKind> {
    let (pairs, form) = pairs(node, diagnostics)?;
    Some(InstructionKind::Env(EnvInstruction { pairs, form }))
}

pub(super) fn label(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<InstructionKind> {
    let (pairs, form) = pairs(node, diagnostics)?;
    Some(InstructionKind::Label(LabelInstruction { pairs, form }))
}

fn pairs(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<(Vec<Pair>, PairForm)> {
    Flags::none(node, diagnostics);
    let (pairs, form) = match &node.arguments {
        Arguments::Pairs(pairs, form) => (pairs, *form),
        _ => return None,
    };
    if pairs.is_empty() {
        let usage = format!("{} name=value", node.name());
        diagnostics.push(super::text::needs_an_argument(node, &usage));
        return None;
    }
    if let Some(nameless) = pairs.iter().find(|pair| pair.key.value.is_empty()) {
        let title = format!("{} has an empty name", node.name());
        diagnostics.push(Diagnostic::error(title, nameless.key.span));
        return None;
    }
    Some((pairs.clone(), form))
}
