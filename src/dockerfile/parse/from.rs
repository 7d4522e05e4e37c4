//! `FROM [--platform=…] image [AS name]`

use crate::ast::{FromInstruction, InstructionKind, StageAlias, Word};
use crate::diagnostic::{Diagnostic, quoted};
use crate::node::Node;
use crate::parse::flag::{Flags, Takes};

pub(super) fn from(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<InstructionKind> {
    let faults = diagnostics.len();
    let flags = Flags::read(node, &[("platform", Takes::Text)], diagnostics);
    match image_and_alias(node) {
        // The value of `--platform linux/arm64` is not one word too many.
        Err(_) if diagnostics.len() > faults => None,
        Ok((image, alias)) => Some(InstructionKind::From(FromInstruction {
            platform: flags.text("platform"),
            image,
            alias,
        })),
        Err(diagnostic) => {
            diagnostics.push(*diagnostic);
            None
        }
    }
}

fn image_and_alias(node: &Node) -> Result<(Word, Option<StageAlias>), Box<Diagnostic>> {
    let is_as = |word: &Word| word.value.eq_ignore_ascii_case("as");
    let diagnostic = match super::words(node) {
        [image] => return Ok((image.clone(), None)),
        [image, keyword, name] if is_as(keyword) => {
            let Some(diagnostic) = name_fault(name) else {
                let alias = StageAlias {
                    keyword: keyword.clone(),
                    name: name.clone(),
                };
                return Ok((image.clone(), Some(alias)));
            };
            diagnostic
        }
        [] => Diagnostic::error("FROM has no image", node.keyword.span)
            .with_help("write `FROM image`, or `FROM scratch` for an empty one".to_owned()),
        [_, keyword] if is_as(keyword) => {
            Diagnostic::error("FROM has no stage name behind AS", keyword.span)
        }
        [_, keyword, _, superfluous, ..] if is_as(keyword) => superfluous_word(superfluous),
        [image, name] => superfluous_word(name).with_help(format!(
            "to name the stage, write `FROM {} AS {}`",
            image.value, name.value
        )),
        [_, superfluous, ..] => superfluous_word(superfluous),
    };
    Err(Box::new(diagnostic))
}

fn superfluous_word(word: &Word) -> Diagnostic {
    let title = format!(
        "FROM takes an image and `AS name`, not {}",
        quoted(&word.value)
    );
    Diagnostic::error(title, word.span)
        .with_help("FROM takes either one or three arguments: `FROM image AS name`".to_owned())
}

fn name_fault(name: &Word) -> Option<Diagnostic> {
    let lower = name.value.to_lowercase();
    let starts_well = lower.starts_with(|c: char| c.is_ascii_lowercase());
    let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if starts_well && lower.chars().all(is_good) {
        return None;
    }
    let title = format!("invalid stage name: {}", quoted(&name.value));
    let help = "a stage name starts with a letter and holds letters, digits, `-`, `_` and `.`";
    Some(Diagnostic::error(title, name.span).with_help(help.to_owned()))
}
