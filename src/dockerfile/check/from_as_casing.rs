//! `FromAsCasing`: `from … AS` and `FROM … as`.

use crate::ast::{Instruction, InstructionKind};
use crate::check::{Rule, Site};

/// Finds an `AS` in another case than its `FROM`. A `From` is the matter of `ConsistentInstructionCasing`.
pub(super) fn from_as_casing(instruction: &Instruction, at: &mut Site<'_>) {
    let InstructionKind::From(from) = &instruction.kind else {
        return;
    };
    let Some(alias) = &from.alias else { return };
    let (keyword, word) = (&instruction.keyword.value, &alias.keyword.value);
    let expected = if *keyword == keyword.to_lowercase() {
        word.to_lowercase()
    } else if *keyword == keyword.to_uppercase() {
        word.to_uppercase()
    } else {
        return;
    };
    if *word != expected {
        let detail = format!("'{word}' and '{keyword}' keywords' casing do not match");
        at.find(Rule::FromAsCasing, detail, alias.keyword.span);
    }
}
