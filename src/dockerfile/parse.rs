//! Dockerfile text → syntax tree.
//!
//! ```text
//! SourceFile ─ directive ─► escape character
//!            ─ lines ─────► logical lines        continuations joined, comments taken out
//!            ─ node ──────► nodes                keyword, flags, arguments; here-documents attached
//!            ─ parse/* ───► instructions         typed, one file each
//! ```
//!
//! Parsing never stops at a fault: there is always a tree, and a list of diagnostics. An instruction that could not
//! be understood is [`InstructionKind::Invalid`].

use crate::ast::{Ast, Escape, Heredoc, Instruction, InstructionKind, Word};
use crate::diagnostic::{Diagnostic, Rule, quoted};
use crate::directive::{self, Directive};
use crate::heredoc::{self, Announced};
use crate::limits::{MAX_FILE_BYTES, MAX_INSTRUCTIONS, MAX_LINE_BYTES};
use crate::lines::{LineReader, LogicalLine};
use crate::node::{self, Node};
use crate::source::{LineRange, SourceFile, Span, Spanned};

mod arg;
mod command;
mod copy;
mod expose;
mod flag;
mod from;
mod healthcheck;
mod onbuild;
mod pairs;
mod run;
mod shell;
mod text;
mod trigger;
mod unknown;
mod volume;

#[cfg(test)]
mod tests;

pub(crate) use trigger::trigger;

/// What was read from a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The tree; also when there are errors.
    pub ast: Ast,
    /// What there is to say, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    /// Tells whether one of the diagnostics is an error.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Reads a Dockerfile.
pub fn parse(source: &SourceFile) -> Parsed {
    let Outline {
        directives,
        escape,
        nodes,
        mut diagnostics,
    } = read_nodes(source);
    check_order(&nodes, &mut diagnostics);
    let instructions = nodes
        .iter()
        .map(|node| instruction(node, &mut diagnostics))
        .collect();
    diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
    Parsed {
        ast: Ast {
            directives,
            syntax: syntax(source),
            escape,
            instructions,
        },
        diagnostics,
    }
}

/// Returns the frontend that a file asks for.
fn syntax(source: &SourceFile) -> Option<Word> {
    let syntax = directive::detect_syntax(source.text())?;
    Some(Spanned::new(syntax.command_line, syntax.span))
}

/// A Dockerfile of which every line was taken apart.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    pub(crate) directives: Vec<Directive>,
    pub(crate) escape: Escape,
    pub(crate) nodes: Vec<Node>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Takes every line of a Dockerfile apart.
pub(crate) fn read_nodes(source: &SourceFile) -> Outline {
    if source.text().len() > MAX_FILE_BYTES {
        let title = format!("Dockerfile is longer than {MAX_FILE_BYTES} bytes");
        let diagnostics = vec![Diagnostic::error(title, Span::new(0, 0))];
        return Outline {
            diagnostics,
            ..Outline::default()
        };
    }
    let (directives, escape, mut diagnostics) = directive::directives(source);
    // Directives are comments of nothing.
    let last_directive = directives.last().map(|last| last.name.span.start);
    let mut reader = LineReader::new(source, escape);
    let mut nodes = Vec::new();
    while let Some(line) = reader.next_logical() {
        if nodes.len() == MAX_INSTRUCTIONS {
            let title = format!("Dockerfile has more than {MAX_INSTRUCTIONS} instructions");
            diagnostics.push(Diagnostic::error(title, line.slice().span()));
            break;
        }
        warn_of_empty_continuations(&line, &mut diagnostics);
        let mut node = node::read(&line, escape, &mut diagnostics);
        node.comments
            .retain(|comment| Some(comment.span.start) > last_directive);
        node.follows_run = nodes.last().is_some_and(Node::runs);
        if node.may_have_heredocs() {
            read_heredocs(&mut reader, &line, &mut node, &mut diagnostics);
        }
        nodes.push(node);
    }
    diagnostics.extend(reader.too_long.iter().map(|span| line_too_long(*span)));
    if nodes.is_empty() {
        diagnostics.push(no_instructions());
    }
    Outline {
        directives,
        escape,
        nodes,
        diagnostics,
    }
}

fn no_instructions() -> Diagnostic {
    Diagnostic::error("file with no instructions", Span::new(0, 0))
        .with_help("begin with `FROM image` or `FROM scratch`".to_owned())
}

fn line_too_long(span: Span) -> Diagnostic {
    let start = Span::new(span.start, span.start);
    Diagnostic::error(format!("line is longer than {MAX_LINE_BYTES} bytes"), start)
        .with_help("break it with the escape character at the end of a line".to_owned())
}

/// The longest part of an instruction that a note repeats, in characters.
const MAX_QUOTED_CHARS: usize = 1000;

fn warn_of_empty_continuations(line: &LogicalLine, diagnostics: &mut Vec<Diagnostic>) {
    let Some(span) = line.empty_continuations.first() else {
        return;
    };
    let text: String = line.text.chars().take(MAX_QUOTED_CHARS).collect();
    // BuildKit notices it when the instruction has come to its end, and names that line.
    let last = line.lines().last;
    diagnostics.push(Diagnostic {
        lines: Some(LineRange { first: last, last }),
        ..Diagnostic::warning("Empty continuation line", *span)
            .with_rule(Rule::NoEmptyContinuation)
            .with_note(format!("the instruction goes on behind it: {text}"))
            .with_help("remove the empty line, or make it a comment".to_owned())
    });
}

/// Reads the bodies of the here-documents that `line` announces.
fn read_heredocs(
    reader: &mut LineReader<'_>,
    line: &LogicalLine,
    node: &mut Node,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let announced = match heredoc::announced(&line.text) {
        Ok(announced) => announced,
        Err(error) => {
            let title = "here-document has a name that cannot be read";
            diagnostics.push(Diagnostic::error(title, node.span).with_label(error.to_string()));
            return;
        }
    };
    let mut heredocs = Vec::new();
    for announced in announced {
        let word = line.slice().part(announced.start, announced.end).span();
        match read_body(reader, announced, word) {
            Ok(heredoc) => heredocs.push(heredoc),
            Err(diagnostic) => {
                diagnostics.push(*diagnostic);
                break;
            }
        }
    }
    node.span.end = node.span.end.max(reader.last_end());
    node.lines.last = reader.line_number();
    node.set_heredocs(heredocs);
}

fn read_body(
    reader: &mut LineReader<'_>,
    announced: Announced,
    word_span: Span,
) -> Result<Heredoc, Box<Diagnostic>> {
    let word = announced.word;
    let start = reader.offset();
    let mut content = String::new();
    while let Some(line) = reader.next_physical() {
        let text = if word.chomp {
            line.text.trim_start_matches('\t')
        } else {
            line.text
        };
        if text == word.name {
            return Ok(Heredoc {
                name: Spanned::new(word.name, word_span),
                content,
                body: Span::new(start, line.start),
                expand: word.expand,
                chomp: word.chomp,
                file_descriptor: word.file_descriptor,
            });
        }
        content.push_str(reader.raw(line));
    }
    let title = format!("here-document {} is not ended", quoted(&word.name));
    Err(Box::new(Diagnostic::error(title, word_span).with_help(
        format!("end it with a line that holds {} alone", quoted(&word.name)),
    )))
}

/// Checks that the first instruction is `FROM`, or `ARG`s and then `FROM`.
fn check_order(nodes: &[Node], diagnostics: &mut Vec<Diagnostic>) {
    let Some(first) = nodes.iter().find(|node| node.name() != "ARG") else {
        return;
    };
    let known = !matches!(first.arguments, node::Arguments::Unknown);
    if known && first.name() != "FROM" {
        let title = format!("{} stands before the first FROM", first.name());
        diagnostics.push(
            Diagnostic::error(title, first.keyword.span)
                .with_label("no stage has begun")
                .with_help("only ARG may stand before the first FROM".to_owned()),
        );
    }
}

/// Returns the instruction that a node stands for.
pub(crate) fn instruction(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Instruction {
    let kind = instruction_kind(node, diagnostics).unwrap_or(InstructionKind::Invalid);
    Instruction {
        keyword: node.keyword.clone(),
        span: node.span,
        lines: node.lines,
        original: node.original.clone(),
        comments: node.comments.clone(),
        flags: node.flags.clone(),
        heredocs: node.heredocs.clone(),
        kind,
    }
}

/// The table of instructions: one line each, one file each.
///
/// Nothing is returned when there is a diagnostic of severity error instead.
fn instruction_kind(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<InstructionKind> {
    if matches!(node.arguments, node::Arguments::Broken) {
        return None;
    }
    match node.name().as_str() {
        "ADD" => copy::add(node, diagnostics),
        "ARG" => arg::arg(node, diagnostics),
        "CMD" => Some(command::cmd(node, diagnostics)),
        "COPY" => copy::copy(node, diagnostics),
        "ENTRYPOINT" => Some(command::entrypoint(node, diagnostics)),
        "ENV" => pairs::env(node, diagnostics),
        "EXPOSE" => expose::expose(node, diagnostics),
        "FROM" => from::from(node, diagnostics),
        "HEALTHCHECK" => healthcheck::healthcheck(node, diagnostics),
        "LABEL" => pairs::label(node, diagnostics),
        "MAINTAINER" => text::maintainer(node, diagnostics),
        "ONBUILD" => onbuild::onbuild(node, diagnostics),
        "RUN" => Some(run::run(node, diagnostics)),
        "SHELL" => shell::shell(node, diagnostics),
        "STOPSIGNAL" => text::stop_signal(node, diagnostics),
        "USER" => text::user(node, diagnostics),
        "VOLUME" => volume::volume(node, diagnostics),
        "WORKDIR" => text::workdir(node, diagnostics),
        _ => unknown::unknown(node, diagnostics),
    }
}

/// Returns the arguments of a node that has words.
fn words(node: &Node) -> &[Word] {
    match &node.arguments {
        node::Arguments::Words(words) => words,
        _ => &[],
    }
}
