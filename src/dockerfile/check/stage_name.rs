//! `StageNameCasing`, `DuplicateStageName` and `ReservedStageName`: what a stage is called.

use std::collections::BTreeSet;

use crate::ast::{Ast, Instruction, InstructionKind, StageAlias};
use crate::check::{Findings, Rule, Site};
use crate::lower::go_quoted;

/// The names that mean something else than a stage.
const RESERVED: [&str; 2] = ["context", "scratch"];

/// Finds a name with capitals: stages are found by their names in lower case.
pub(super) fn casing(instruction: &Instruction, at: &mut Site<'_>) {
    let Some(alias) = alias(instruction) else {
        return;
    };
    let name = &alias.name.value;
    if *name != name.to_lowercase() {
        let detail = format!("Stage name '{name}' should be lowercase");
        at.find(Rule::StageNameCasing, detail, alias.name.span);
    }
}

/// Finds names that an earlier stage has, and reserved ones.
pub(super) fn unique(ast: &Ast, findings: &mut Findings<'_>) {
    let mut seen = BTreeSet::new();
    for instruction in &ast.instructions {
        let Some(alias) = alias(instruction) else {
            continue;
        };
        let name = alias.lower_name();
        let mut at = findings.at(instruction);
        if RESERVED.contains(&name.as_str()) {
            let name = go_quoted(&name);
            let detail =
                format!("Stage name should not use the same name as reserved stage {name}");
            at.find(Rule::ReservedStageName, detail, alias.name.span);
        }
        if !seen.insert(name.clone()) {
            let name = go_quoted(&name);
            let detail = format!("Duplicate stage name {name}, stage names should be unique");
            at.find(Rule::DuplicateStageName, detail, alias.name.span);
        }
    }
}

fn alias(instruction: &Instruction) -> Option<&StageAlias> {
    match &instruction.kind {
        InstructionKind::From(from) => from.alias.as_ref(),
        _ => None,
    }
}
