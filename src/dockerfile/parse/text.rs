//! The instructions whose argument is the rest of the line: `WORKDIR`, `USER`, `STOPSIGNAL`, `MAINTAINER`.

use crate::ast::{InstructionKind, Word};
use crate::diagnostic::Diagnostic;
use crate::node::Node;
use crate::parse::flag::Flags;

pub(super) fn workdir(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<InstructionKind> {
    text(node, "WORKDIR /path", diagnostics).map(InstructionKind::Workdir)
}

pub(super) fn user(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<InstructionKind> {
    text(node, "USER name:group", diagnostics).map(InstructionKind::User)
}

pub(super) fn stop_signal(
    node: &Node,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<InstructionKind> {
    text(node, "STOPSIGNAL SIGTERM", diagnostics).map(InstructionKind::StopSignal)
}

pub(super) fn maintainer(
    node: &Node,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<InstructionKind> {
    text(node, "MAINTAINER name", diagnostics).map(InstructionKind::Maintainer)
}

fn text(node: &Node, usage: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<Word> {
    Flags::none(node, diagnostics);
    let word = super::words(node).first();
    if word.is_none() {
        diagnostics.push(needs_an_argument(node, usage));
    }
    word.cloned()
}

/// Returns the diagnostic for an instruction without any argument.
pub(super) fn needs_an_argument(node: &Node, usage: &str) -> Diagnostic {
    Diagnostic::error(
        format!("{} has no argument", node.name()),
        node.keyword.span,
    )
    .with_help(format!("write it as in `{usage}`"))
}
