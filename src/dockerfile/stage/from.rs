//! The name behind `--from`, with the build arguments in it expanded.
//!
//! `BuildKit` refuses variables there. What is planned is planned before anything is known of the base images, so
//! only arguments are taken: those of the stage, and those that are declared before the first `FROM`.

use crate::ast::{ArgDeclaration, InstructionKind, Word};
use crate::diagnostic::Diagnostic;
use crate::stage::environment::Environment;
use crate::stage::expand::expand;
use crate::stage::resolve::Scope;
use crate::stage::{Stage, StageBase, arguments};
use crate::suggest;

/// Returns what the word of an instruction of the last of `stages` names.
///
/// # Errors
///
/// Fails when a variable in it has no value, or nothing is left.
pub(super) fn name(
    scope: Scope<'_>,
    stages: &[Stage],
    index: usize,
    word: &Word,
) -> Result<String, Vec<Diagnostic>> {
    let visible = arguments_at(scope, stages, index);
    let expanded = expand(word, &visible, scope.ast.escape)?;
    if let Some(unset) = expanded.unset.first() {
        return Err(vec![without_value(word, unset, &visible)]);
    }
    if expanded.value.is_empty() {
        let title = format!("`--from` names nothing: `{}`", word.value);
        return Err(vec![Diagnostic::error(title, word.span)]);
    }
    Ok(expanded.value)
}

/// Returns the arguments that an instruction of the last stage sees, and the global ones.
fn arguments_at(scope: Scope<'_>, stages: &[Stage], index: usize) -> Environment {
    let mut chain = Vec::new();
    let mut next = stages.last();
    while let Some(stage) = next {
        chain.push(stage);
        next = match &stage.base {
            StageBase::Stage(id) => stages.get(id.0),
            StageBase::Scratch
            | StageBase::Image(_)
            | StageBase::Replaced(_)
            | StageBase::Bare(_) => None,
        };
    }
    let above = chain.into_iter().rev().flat_map(Stage::instructions);
    let mut visible = scope.globals.clone();
    for above in above.take_while(|above| *above != index) {
        let instruction = scope.ast.instructions.get(above);
        if let Some(InstructionKind::Arg(arg)) = instruction.map(|found| &found.kind) {
            for declaration in &arg.declarations {
                declare(scope, declaration, &mut visible);
            }
        }
    }
    visible
}

fn declare(scope: Scope<'_>, declaration: &ArgDeclaration, visible: &mut Environment) {
    let build_args = &scope.options.build_args;
    // A default that cannot be expanded is told where it stands.
    let value = arguments::value(declaration, build_args, visible, scope.ast.escape);
    if let Ok(Some(value)) = value {
        visible.set(&declaration.name.value, &value);
    }
}

fn without_value(word: &Word, name: &str, visible: &Environment) -> Diagnostic {
    let title = format!("`--from` has a variable without a value: `{}`", word.value);
    let help = suggest::did_you_mean(name, visible.names());
    let declare = || {
        format!(
            "declare `ARG {name}=…` above, or pass `--build-arg`: other variables are not seen here"
        )
    };
    Diagnostic::error(title, word.span).with_help(help.unwrap_or_else(declare))
}

/// Returns the fault that there is no stage of that number above the current one.
pub(super) fn unavailable(number: usize, current: usize, count: usize, word: &Word) -> Diagnostic {
    if number < count {
        return too_early(number, current, word);
    }
    let note = match count {
        1 => "the Dockerfile has one stage, which is 0".to_owned(),
        _ => format!("the Dockerfile has {count} stages, counted from 0"),
    };
    Diagnostic::error(format!("there is no stage {number}"), word.span).with_note(note)
}

/// Returns the fault that a stage stands at or below the current one.
pub(super) fn too_early(number: usize, current: usize, word: &Word) -> Diagnostic {
    let name = &word.value;
    if number == current {
        return Diagnostic::error(
            format!("stage `{name}` cannot take files from itself"),
            word.span,
        );
    }
    let title = format!("stage `{name}` stands below the one that takes files from it");
    Diagnostic::error(title, word.span)
        .with_help("move the stage up: files can be taken from stages above only".to_owned())
}
