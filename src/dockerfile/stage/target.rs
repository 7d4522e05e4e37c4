//! Which stage is wanted, and which others it needs.

use std::collections::BTreeSet;

use crate::ast::Ast;
use crate::diagnostic::Diagnostic;
use crate::stage::{CopyFrom, PlanOptions, Stage, StageBase, StageId, StageScope, first_span};
use crate::suggest;

/// Returns the wanted stage: the last one, or that with the given name or number.
///
/// # Errors
///
/// Fails when there is no stage, or none of that name.
pub(super) fn find(
    stages: &[Stage],
    target: Option<&str>,
    ast: &Ast,
) -> Result<StageId, Vec<Diagnostic>> {
    let Some(last) = stages.last() else {
        let title = "the Dockerfile has no stage to build";
        let help = "begin one with `FROM image` or `FROM scratch`".to_owned();
        return Err(vec![
            Diagnostic::error(title, first_span(ast)).with_help(help),
        ]);
    };
    let Some(target) = target else {
        return Ok(StageId(last.number));
    };
    let wanted = target.to_lowercase();
    let named = stages
        .iter()
        .rfind(|stage| stage.name.as_deref() == Some(&wanted));
    let numbered = || stages.get(wanted.parse::<usize>().ok()?);
    match named.or_else(numbered) {
        Some(stage) => Ok(StageId(stage.number)),
        None => Err(vec![unknown(target, stages, ast)]),
    }
}

fn unknown(target: &str, stages: &[Stage], ast: &Ast) -> Diagnostic {
    let names: Vec<&str> = stages
        .iter()
        .filter_map(|stage| stage.name.as_deref())
        .collect();
    let title = format!("there is no stage `{target}`, which `--target` asks for");
    let help = suggest::did_you_mean(target, names.iter().copied());
    let fault = Diagnostic::error(title, first_span(ast)).with_help(help);
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    fault.with_note(match quoted.as_slice() {
        [] => "no stage of the Dockerfile has a name".to_owned(),
        [name] => format!("the only stage with a name is {name}"),
        names => format!("the stages are {}", names.join(", ")),
    })
}

/// Returns the stages that are looked at: those that `target` needs, or all of them.
pub(super) fn wanted(
    stages: &[Stage],
    target: StageId,
    options: &PlanOptions,
) -> BTreeSet<StageId> {
    match (options.stages, &options.target) {
        (StageScope::All, None) => (0..stages.len()).map(StageId).collect(),
        _ => needed(stages, target),
    }
}

/// Returns the stages that `target` is made from, itself included.
fn needed(stages: &[Stage], target: StageId) -> BTreeSet<StageId> {
    let mut needed = BTreeSet::new();
    let mut open = vec![target];
    while let Some(id) = open.pop() {
        let Some(stage) = stages.get(id.0) else {
            continue;
        };
        if !needed.insert(id) {
            continue;
        }
        if let StageBase::Stage(base) = stage.base {
            open.push(base);
        }
        open.extend(stage.sources().filter_map(|from| match from {
            CopyFrom::Stage(id) => Some(*id),
            CopyFrom::Scratch
            | CopyFrom::Image(_)
            | CopyFrom::Directory(_)
            | CopyFrom::Unavailable(_) => None,
        }));
    }
    needed
}
