//! `EXPOSE port[/protocol] …`

use crate::ast::{ExposeInstruction, InstructionKind};
use crate::diagnostic::Diagnostic;
use crate::node::Node;
use crate::parse::flag::Flags;

pub(super) fn expose(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<InstructionKind> {
    Flags::none(node, diagnostics);
    let ports = super::words(node);
    if ports.is_empty() {
        diagnostics.push(super::text::needs_an_argument(node, "EXPOSE 80/tcp"));
        return None;
    }
    Some(InstructionKind::Expose(ExposeInstruction {
        ports: ports.to_vec(),
    }))
}
