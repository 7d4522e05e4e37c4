//! The names of all stages of a file.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ast::{Ast, Instruction, InstructionKind, StageAlias};

/// Returns the names of all stages of the file, by their numbers.
pub(super) fn of_stages(ast: &Ast) -> Arc<[Option<String>]> {
    let name = |instruction: &Instruction| match &instruction.kind {
        InstructionKind::From(from) => Some(from.alias.as_ref().map(StageAlias::lower_name)),
        _ => None,
    };
    ast.instructions.iter().filter_map(name).collect()
}

/// Returns the number of the first stage of each name.
pub(super) fn first_of_each(stages: &[Option<String>]) -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    for (number, name) in stages.iter().enumerate() {
        if let Some(name) = name {
            names.entry(name.clone()).or_insert(number);
        }
    }
    names
}
