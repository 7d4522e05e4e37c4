//! `MaintainerDeprecated`: the author of an image is a label.

use crate::ast::{Instruction, InstructionKind};
use crate::check::{Rule, Site};

/// Finds `MAINTAINER`.
pub(super) fn maintainer(instruction: &Instruction, at: &mut Site<'_>) {
    if matches!(instruction.kind, InstructionKind::Maintainer(_)) {
        let detail = "Maintainer instruction is deprecated in favor of using label".to_owned();
        let span = instruction.keyword.span;
        at.find(Rule::MaintainerDeprecated, detail, span);
    }
}
