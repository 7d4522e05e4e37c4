//! What the checks have found, without what the user does not want to hear.

use crate::ast::Instruction;
use crate::check::{Rule, Settings};
use crate::diagnostic::Diagnostic;
use crate::source::{LineRange, Span, Spanned};

/// Collects what checks find.
#[derive(Debug)]
pub(crate) struct Findings<'s> {
    settings: &'s Settings,
    found: Vec<Diagnostic>,
}

impl<'s> Findings<'s> {
    /// Begins without any.
    pub(crate) const fn new(settings: &'s Settings) -> Self {
        Self {
            settings,
            found: Vec::new(),
        }
    }

    /// Returns where checks tell what they find in an instruction.
    pub(crate) fn at<'f>(&'f mut self, instruction: &Instruction) -> Site<'f> {
        Site {
            settings: self.settings.with_comments(&instruction.comments),
            lines: Some(instruction.lines),
            found: &mut self.found,
        }
    }

    /// Returns what was found, in the order in which it was.
    pub(crate) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.found
    }
}

/// One instruction that is looked at.
#[derive(Debug)]
pub(crate) struct Site<'f> {
    settings: Settings,
    /// The lines that are named with the finding; those of its words when absent.
    lines: Option<LineRange>,
    found: &'f mut Vec<Diagnostic>,
}

impl<'f> Site<'f> {
    /// Returns a site that adds to `found`. `comments` are those directly above the instruction.
    pub(crate) fn new(
        settings: &Settings,
        comments: &[Spanned<String>],
        lines: Option<LineRange>,
        found: &'f mut Vec<Diagnostic>,
    ) -> Self {
        Self {
            settings: settings.with_comments(comments),
            lines,
            found,
        }
    }

    /// Tells something that no check has found, which cannot be switched off.
    pub(crate) fn warn(&mut self, warnings: Vec<Diagnostic>) {
        self.found.extend(warnings);
    }

    /// Tells what was found at some words of the instruction.
    pub(crate) fn find(&mut self, rule: Rule, detail: String, span: Span) {
        self.find_in(rule, detail, span, self.lines);
    }

    /// Tells what was found in other lines than those of the instruction.
    pub(crate) fn find_in(
        &mut self,
        rule: Rule,
        detail: String,
        span: Span,
        lines: Option<LineRange>,
    ) {
        if self.settings.is_wanted(rule) {
            self.found.push(finding(rule, detail, span, lines));
        }
    }
}

/// Returns the warning of a check.
pub(crate) fn finding(
    rule: Rule,
    detail: String,
    span: Span,
    lines: Option<LineRange>,
) -> Diagnostic {
    Diagnostic {
        lines,
        ..Diagnostic::warning(detail, span).with_rule(rule)
    }
}
