//! The text of an `ONBUILD` trigger, as an image has it → the instruction that it is.

use crate::ast::{Escape, Instruction};
use crate::diagnostic::Diagnostic;
use crate::lines::LineReader;
use crate::node::{self, Node};
use crate::source::{LineRange, SourceFile, Span};

/// What no trigger can be: it would begin another stage, or leave a trigger to nobody.
const FORBIDDEN: [&str; 3] = ["FROM", "MAINTAINER", "ONBUILD"];

/// Reads a trigger. All its words stand at `span`, since the file does not have them.
///
/// # Errors
///
/// Fails when the text is not one instruction, or one that no trigger can be.
pub(crate) fn trigger(
    text: &str,
    span: Span,
    lines: LineRange,
) -> Result<Instruction, Vec<Diagnostic>> {
    let mut diagnostics = Vec::new();
    let node = only_node(text, span, lines, &mut diagnostics);
    let refusal = match &node {
        None => Some("an ONBUILD trigger must be one instruction".to_owned()),
        Some(node) if FORBIDDEN.contains(&node.name().as_str()) => {
            Some(format!("ONBUILD cannot hold {}", node.name()))
        }
        Some(_) => None,
    };
    diagnostics.extend(refusal.map(|title| Diagnostic::error(title, span)));
    let instruction = node.map(|node| super::instruction(&node, &mut diagnostics));
    diagnostics.retain(Diagnostic::is_error);
    match instruction {
        Some(instruction) if diagnostics.is_empty() => Ok(instruction),
        Some(_) | None => Err(diagnostics),
    }
}

/// Returns the instruction's node with its here-documents; none when there is not exactly one.
fn only_node(
    text: &str,
    span: Span,
    lines: LineRange,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Node> {
    let source = SourceFile::new("ONBUILD", text);
    let mut reader = LineReader::new(&source, Escape::default());
    let mut line = reader.next_logical()?;
    line.stand_at(span, lines);
    let mut node = node::read(&line, Escape::default(), diagnostics);
    if node.may_have_heredocs() {
        super::read_heredocs(&mut reader, &line, &mut node, diagnostics);
        (node.span, node.lines) = (span, lines);
    }
    reader.next_logical().is_none().then_some(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Span = Span::new(5, 12);
    const LINES: LineRange = LineRange { first: 3, last: 3 };

    #[test]
    fn a_trigger_with_a_here_document_stands_where_it_is_said_to_stand() {
        let text = "RUN <<EOF\necho a\nEOF";
        let instruction = trigger(text, SPAN, LINES).unwrap();
        assert_eq!(instruction.name(), "RUN");
        assert_eq!((instruction.span, instruction.lines), (SPAN, LINES));
        assert_eq!(instruction.keyword.span, SPAN);
        let bodies: Vec<&str> = instruction
            .heredocs
            .iter()
            .map(|heredoc| heredoc.content.as_str())
            .collect();
        assert_eq!(bodies, ["echo a\n"]);
    }

    #[test]
    fn what_is_not_one_instruction_is_refused() {
        for (text, expected) in [
            ("", "an ONBUILD trigger must be one instruction"),
            ("RUN a\nRUN b", "an ONBUILD trigger must be one instruction"),
            ("FROM scratch", "ONBUILD cannot hold FROM"),
            ("maintainer x", "ONBUILD cannot hold MAINTAINER"),
            ("ONBUILD RUN x", "ONBUILD cannot hold ONBUILD"),
            ("RUNN x", "unknown instruction: `RUNN`"),
            ("RUN <<EOF\necho a", "here-document `EOF` is not ended"),
        ] {
            let faults = trigger(text, SPAN, LINES).unwrap_err();
            let titles: Vec<&str> = faults.iter().map(|fault| fault.title.as_str()).collect();
            assert_eq!(titles, [expected], "{text}");
            assert_eq!(faults[0].span, SPAN);
        }
    }
}
