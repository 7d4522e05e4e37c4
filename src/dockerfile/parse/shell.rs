//! `SHELL ["program", "argument", …]`

use crate::ast::{InstructionKind, ShellInstruction};
use crate::diagnostic::Diagnostic;
use crate::node::Node;
use crate::parse::flag::Flags;

pub(super) fn shell(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<InstructionKind> {
    Flags::none(node, diagnostics);
    let words = super::words(node);
    if words.is_empty() {
        diagnostics.push(super::text::needs_an_argument(
            node,
            "SHELL [\"/bin/sh\", \"-c\"]",
        ));
        return None;
    }
    if !node.json {
        let span = words.first().map_or(node.keyword.span, |word| word.span);
        diagnostics.push(
            Diagnostic::error("SHELL takes a JSON array of strings", span)
                .with_label("no JSON array")
                .with_help("write `SHELL [\"/bin/sh\", \"-c\"]`, with double quotes".to_owned()),
        );
        return None;
    }
    Some(InstructionKind::Shell(ShellInstruction {
        words: words.to_vec(),
    }))
}
