//! `VOLUME path …`

use crate::ast::{InstructionKind, VolumeInstruction};
use crate::diagnostic::Diagnostic;
use crate::node::Node;
use crate::parse::flag::Flags;
use crate::source::Spanned;

pub(super) fn volume(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<InstructionKind> {
    Flags::none(node, diagnostics);
    let words = super::words(node);
    if words.is_empty() {
        diagnostics.push(super::text::needs_an_argument(node, "VOLUME /path"));
        return None;
    }
    let trimmed = words
        .iter()
        .map(|word| Spanned::new(word.value.trim().to_owned(), word.span));
    let paths: Vec<_> = trimmed.collect();
    if let Some(empty) = paths.iter().find(|path| path.value.is_empty()) {
        diagnostics.push(Diagnostic::error("VOLUME has an empty path", empty.span));
        return None;
    }
    Some(InstructionKind::Volume(VolumeInstruction { paths }))
}
