//! `ConsistentInstructionCasing`: `FROM` and `copy` in one file, and `From`.

use crate::ast::Ast;
use crate::check::{Findings, Rule};

/// A way to write keywords.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Upper,
    Lower,
}

impl Case {
    /// Returns the case of a keyword, if it has one.
    fn of(keyword: &str) -> Option<Self> {
        if keyword == keyword.to_lowercase() {
            Some(Self::Lower)
        } else if keyword == keyword.to_uppercase() {
            Some(Self::Upper)
        } else {
            None
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Upper => "uppercase",
            Self::Lower => "lowercase",
        }
    }
}

/// Finds keywords in another case than most have; of as many in either case the upper one wins. What stands before
/// the first `FROM` neither counts nor is looked at.
pub(super) fn casing(ast: &Ast, findings: &mut Findings<'_>) {
    let in_stages = || {
        let all = ast.instructions.iter();
        all.skip_while(|instruction| instruction.name() != "FROM")
    };
    let count = |case| {
        let cases = in_stages().filter_map(|instruction| Case::of(&instruction.keyword.value));
        cases.filter(|found| *found == case).count()
    };
    let usual = if count(Case::Lower) > count(Case::Upper) {
        Case::Lower
    } else {
        Case::Upper
    };
    for instruction in in_stages() {
        let keyword = &instruction.keyword;
        if Case::of(&keyword.value) != Some(usual) {
            let (name, usual) = (&keyword.value, usual.name());
            let detail =
                format!("Command '{name}' should match the case of the command majority ({usual})");
            let mut at = findings.at(instruction);
            at.find(Rule::ConsistentInstructionCasing, detail, keyword.span);
        }
    }
}
