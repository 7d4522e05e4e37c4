//! Build checks: what is found in a Dockerfile that builds, and is perhaps not meant.
//!
//! The checks are `BuildKit`'s, with its names and sentences. Each has a file, which says when it speaks and what; where
//! it is asked depends on what it has to know:
//!
//! | Asked | Checks |
//! | --- | --- |
//! | while lines are joined | `NoEmptyContinuation` |
//! | of each instruction that was read | `StageNameCasing`, `FromAsCasing`, `MaintainerDeprecated`, `InvalidDefinitionDescription` |
//! | of a file without errors | `ConsistentInstructionCasing`, `DuplicateStageName`, `ReservedStageName` |
//! | when stages are planned | `InvalidDefaultArgInFrom`, `UndefinedArgInFrom`, `RedundantTargetPlatform`, `FromPlatformFlagConstDisallowed` |
//! | when a needed stage is lowered | the others |
//!
//! ```text
//! # check=skip=A,B;error=true      ─┐
//! BUILDKIT_DOCKERFILE_CHECK        ─┴► Settings ─┐
//! # check=skip=C above an instruction ───────────┴► Findings ─► Diagnostic (rule, sentence, lines)
//! ```

use crate::ast::{Ast, Instruction};
use crate::diagnostic::Diagnostic;
use crate::parse::Parsed;

mod casing;
mod copy_ignored_file;
mod default_arg;
mod description;
mod expose;
mod findings;
mod from_as_casing;
mod from_platform;
mod json_args;
mod legacy_key_value;
mod maintainer;
mod multiple;
mod platform;
mod rule;
mod secret;
mod settings;
mod stage_name;
mod undefined;
mod workdir;

pub(crate) use copy_ignored_file::{IgnoreFile, copy_ignored_file};
pub(crate) use default_arg::default_arg;
pub(crate) use expose::expose;
pub(crate) use findings::{Findings, Site};
pub(crate) use from_platform::{PlatformFlag, constant_platform, redundant_platform};
pub(crate) use json_args::json_args;
pub(crate) use legacy_key_value::legacy_key_value;
pub(crate) use multiple::{Multiple, Single};
pub(crate) use platform::base_platform;
pub use rule::Rule;
pub(crate) use secret::secret;
pub(crate) use settings::Settings;
pub(crate) use undefined::{undefined_argument, undefined_variable};
pub(crate) use workdir::relative_workdir;

/// Returns the warnings of the parser, but for what checks have found that are not wanted.
pub(crate) fn of_lines(parsed: &Parsed, settings: &Settings) -> Vec<Diagnostic> {
    let instructions = &parsed.ast.instructions;
    let is_wanted = |warning: &&Diagnostic| {
        let Some(rule) = warning.rule else {
            return true;
        };
        let holds =
            |at: usize| move |one: &&Instruction| one.span.start <= at && at <= one.span.end;
        let instruction = instructions.iter().find(holds(warning.span.start));
        let comments = instruction.map_or(&[][..], |one| &one.comments);
        settings.with_comments(comments).is_wanted(rule)
    };
    let warnings = parsed.diagnostics.iter().filter(|one| !one.is_error());
    warnings.filter(is_wanted).cloned().collect()
}

/// Asks the checks that look at one instruction after the other. Those that could not be read are passed over.
pub(crate) fn of_instructions(ast: &Ast, settings: &Settings) -> Vec<Diagnostic> {
    let mut findings = Findings::new(settings);
    for instruction in &ast.instructions {
        let mut at = findings.at(instruction);
        stage_name::casing(instruction, &mut at);
        from_as_casing::from_as_casing(instruction, &mut at);
        maintainer::maintainer(instruction, &mut at);
        description::description(instruction, &mut at);
    }
    findings.into_diagnostics()
}

/// Asks the checks that compare the instructions of a whole file, which was read without errors.
pub(crate) fn of_file(ast: &Ast, settings: &Settings) -> Vec<Diagnostic> {
    let mut findings = Findings::new(settings);
    stage_name::unique(ast, &mut findings);
    casing::casing(ast, &mut findings);
    findings.into_diagnostics()
}

#[cfg(test)]
mod tests;
