//! `COPY [flags] source … destination` and `ADD [flags] source … destination`

use crate::ast::{AddInstruction, CopyInstruction, CopySpec, InlineFile, InstructionKind, Word};
use crate::diagnostic::Diagnostic;
use crate::heredoc::{self, HeredocWord};
use crate::node::Node;
use crate::parse::flag::{Flags, Known, Takes};
use crate::source::Spanned;

const COPY_FLAGS: [Known; 6] = [
    ("from", Takes::Text),
    ("chown", Takes::Text),
    ("chmod", Takes::Text),
    ("link", Takes::Switch),
    ("parents", Takes::Switch),
    ("exclude", Takes::Texts),
];

const ADD_FLAGS: [Known; 7] = [
    ("chown", Takes::Text),
    ("chmod", Takes::Text),
    ("link", Takes::Switch),
    ("exclude", Takes::Texts),
    ("checksum", Takes::Text),
    ("keep-git-dir", Takes::Switch),
    ("unpack", Takes::Switch),
];

pub(super) fn copy(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<InstructionKind> {
    let flags = Flags::read(node, &COPY_FLAGS, diagnostics);
    let spec = spec(node, &flags, diagnostics)?;
    Some(InstructionKind::Copy(CopyInstruction {
        spec,
        from: flags.text("from"),
        parents: flags.is_on("parents"),
    }))
}

pub(super) fn add(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<InstructionKind> {
    let flags = Flags::read(node, &ADD_FLAGS, diagnostics);
    let spec = spec(node, &flags, diagnostics)?;
    Some(InstructionKind::Add(AddInstruction {
        spec,
        checksum: flags.text("checksum"),
        keep_git_dir: flags.switch("keep-git-dir"),
        unpack: flags.switch("unpack"),
    }))
}

fn spec(node: &Node, flags: &Flags<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<CopySpec> {
    let (destination, all_sources) = match super::words(node).split_last() {
        Some((destination, sources)) if !sources.is_empty() => (destination, sources),
        _ => {
            diagnostics.push(no_destination(node));
            return None;
        }
    };
    if heredoc_of(destination).is_some() {
        let title = format!(
            "{} cannot have a here-document as its destination",
            node.name()
        );
        diagnostics.push(Diagnostic::error(title, destination.span));
        return None;
    }
    let mut sources = Vec::new();
    let mut inline_files = Vec::new();
    for source in all_sources {
        match heredoc_of(source) {
            Some(word) => inline_files.push(inline_file(node, source, word)),
            None => sources.push(source.clone()),
        }
    }
    Some(CopySpec {
        sources,
        inline_files,
        destination: destination.clone(),
        chown: flags.text("chown"),
        chmod: flags.text("chmod"),
        link: flags.is_on("link"),
        exclude: flags.texts("exclude"),
    })
}

fn no_destination(node: &Node) -> Diagnostic {
    let name = node.name();
    match super::words(node).first() {
        None => super::text::needs_an_argument(node, &format!("{name} source destination")),
        Some(only) => Diagnostic::error(format!("{name} has no destination"), only.span)
            .with_label("the only argument")
            .with_help(format!(
                "write `{name} {} .` to copy it into WORKDIR",
                only.value
            )),
    }
}

/// Returns the here-document that a word announces. One with a faulty name is an ordinary word.
fn heredoc_of(word: &Word) -> Option<HeredocWord> {
    heredoc::parse_word(&word.value).ok().flatten()
}

fn inline_file(node: &Node, word: &Word, announced: HeredocWord) -> InlineFile {
    // Of two with one name the last counts, as in BuildKit.
    let body = node
        .heredocs
        .iter()
        .rev()
        .find(|heredoc| heredoc.name.value == announced.name);
    let content = body
        .map(|heredoc| heredoc.content.as_str())
        .unwrap_or_default();
    let content = if announced.chomp {
        heredoc::without_leading_tabs(content)
    } else {
        content.to_owned()
    };
    InlineFile {
        name: Spanned::new(announced.name, word.span),
        content,
        expand: announced.expand,
    }
}
