//! `CMD command` and `ENTRYPOINT command`

use crate::ast::{CommandForm, InstructionKind, Word};
use crate::diagnostic::Diagnostic;
use crate::node::Node;
use crate::parse::flag::Flags;
use crate::source::{Span, Spanned};

pub(super) fn cmd(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> InstructionKind {
    Flags::none(node, diagnostics);
    InstructionKind::Cmd(command_form(node, super::words(node)))
}

pub(super) fn entrypoint(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> InstructionKind {
    Flags::none(node, diagnostics);
    InstructionKind::Entrypoint(command_form(node, super::words(node)))
}

/// Returns a command in the form it was written in. Without any text it is an empty line for the shell.
pub(super) fn command_form(node: &Node, words: &[Word]) -> CommandForm {
    match words {
        words if node.json => CommandForm::Exec(words.to_vec()),
        [text] => CommandForm::Shell(text.clone()),
        _ => {
            let end = node.span.end;
            CommandForm::Shell(Spanned::new(String::new(), Span::new(end, end)))
        }
    }
}
