//! `InvalidDefinitionDescription`: comments above stages and arguments, which `--call` shows.

use crate::ast::{Instruction, InstructionKind, StageAlias};
use crate::check::{Rule, Site, settings};

/// Finds a comment directly above a named stage or an argument that does not begin with its name. It speaks only
/// when it is asked for: nothing says that every comment is meant as a description.
pub(super) fn description(instruction: &Instruction, at: &mut Site<'_>) {
    at.warn(settings::comment_warnings(instruction));
    let (keyword, names) = match &instruction.kind {
        InstructionKind::From(from) => (
            "FROM",
            from.alias.iter().map(StageAlias::lower_name).collect(),
        ),
        InstructionKind::Arg(arg) => {
            let names = arg.declarations.iter().map(|one| one.name.value.clone());
            ("ARG", names.collect::<Vec<_>>())
        }
        _ => return,
    };
    let (Some(first), Some(comment)) = (names.first(), instruction.comments.last()) else {
        return;
    };
    let word = comment.value.split(' ').next().unwrap_or_default();
    if names.iter().any(|name| name == word) {
        return;
    }
    let name = if names.len() == 1 { first } else { "<arg_key>" };
    let detail =
        format!("Comment for {keyword} should follow the format: `# {name} <description>`");
    let span = instruction.keyword.span;
    at.find(Rule::InvalidDefinitionDescription, detail, span);
}
