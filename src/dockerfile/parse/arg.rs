//! `ARG name[=default] …`

use crate::ast::{ArgDeclaration, ArgInstruction, InstructionKind, Word};
use crate::diagnostic::Diagnostic;
use crate::node::{Node, split_at_equals};
use crate::parse::flag::Flags;

pub(super) fn arg(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<InstructionKind> {
    Flags::none(node, diagnostics);
    let words = super::words(node);
    if words.is_empty() {
        diagnostics.push(super::text::needs_an_argument(node, "ARG name=default"));
        return None;
    }
    let declarations: Vec<_> = words.iter().map(declaration).collect();
    if let Some(nameless) = declarations.iter().find(|one| one.name.value.is_empty()) {
        diagnostics.push(Diagnostic::error(
            "ARG has an empty name",
            nameless.name.span,
        ));
        return None;
    }
    Some(InstructionKind::Arg(ArgInstruction { declarations }))
}

fn declaration(word: &Word) -> ArgDeclaration {
    match split_at_equals(word) {
        Some((name, default)) => ArgDeclaration {
            name,
            default: Some(default),
        },
        None => ArgDeclaration {
            name: word.clone(),
            default: None,
        },
    }
}
