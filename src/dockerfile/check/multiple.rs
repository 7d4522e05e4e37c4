//! `MultipleInstructionsDisallowed`: instructions of which only the last one counts.

use std::collections::BTreeMap;

use crate::ast::{Instruction, InstructionKind};
use crate::check::{Rule, Site};
use crate::source::{LineRange, Span};

/// An instruction that a stage should have once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Single {
    Cmd,
    Entrypoint,
    Healthcheck,
}

impl Single {
    /// Returns which of them an instruction is, if it is one.
    pub(crate) const fn of(kind: &InstructionKind) -> Option<Self> {
        match kind {
            InstructionKind::Cmd(_) => Some(Self::Cmd),
            InstructionKind::Entrypoint(_) => Some(Self::Entrypoint),
            InstructionKind::Healthcheck(_) => Some(Self::Healthcheck),
            _ => None,
        }
    }
}

/// Where a stage has had them; a stage that is built on another begins without.
#[derive(Debug, Clone, Default)]
pub(crate) struct Multiple {
    last: BTreeMap<Single, (Span, LineRange)>,
}

impl Multiple {
    /// Takes note of one, and tells of the one before it: that is what does not count.
    pub(crate) fn note(&mut self, single: Single, instruction: &Instruction, at: &mut Site<'_>) {
        let place = (instruction.keyword.span, instruction.lines);
        let Some((span, lines)) = self.last.insert(single, place) else {
            return;
        };
        let detail = format!(
            "Multiple {} instructions should not be used in the same stage because only the last one will be used",
            instruction.keyword.value
        );
        at.find_in(
            Rule::MultipleInstructionsDisallowed,
            detail,
            span,
            Some(lines),
        );
    }
}
