//! `ONBUILD instruction`

use crate::ast::{InstructionKind, OnbuildInstruction};
use crate::diagnostic::{Diagnostic, Severity};
use crate::node::{Arguments, Node};
use crate::parse::flag::Flags;

pub(super) fn onbuild(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<InstructionKind> {
    Flags::none(node, diagnostics);
    let Arguments::Line(Some(child)) = &node.arguments else {
        diagnostics.push(super::text::needs_an_argument(node, "ONBUILD RUN command"));
        return None;
    };
    if let Some(diagnostic) = forbidden(child) {
        diagnostics.push(diagnostic);
        return None;
    }
    let mut found = Vec::new();
    let trigger = Box::new(super::instruction(child, &mut found));
    // The image is fine; it is the build on top of it that would fail.
    diagnostics.extend(found.into_iter().map(|one| Diagnostic {
        severity: Severity::Warning,
        ..one.with_note("a build from this image will fail here")
    }));
    Some(InstructionKind::Onbuild(OnbuildInstruction {
        expression: expression(node),
        trigger,
    }))
}

fn forbidden(child: &Node) -> Option<Diagnostic> {
    let name = child.name();
    let title = match name.as_str() {
        "ONBUILD" => "ONBUILD cannot hold another ONBUILD".to_owned(),
        "FROM" | "MAINTAINER" => format!("ONBUILD cannot hold {name}"),
        _ => return None,
    };
    Some(Diagnostic::error(title, child.keyword.span))
}

/// Returns what the image stores: the line without the keyword, and the here-documents.
fn expression(node: &Node) -> String {
    let line = node.original.trim_start();
    let behind = line
        .get(node.keyword.value.len()..)
        .unwrap_or_default()
        .trim_start();
    let mut text = behind.to_owned();
    for heredoc in &node.heredocs {
        text.push('\n');
        text.push_str(&heredoc.content);
        text.push_str(&heredoc.name.value);
    }
    text
}
