//! Errors as BuildKit's plain progress ends with them, which scripts look for: the lines of the Dockerfile, and what
//! failed in one line.
//!
//! ```text
//! Dockerfile:4
//! --------------------
//!    2 |
//!    3 |     FROM base
//!    4 | >>> RUN false
//!    5 |
//! --------------------
//! ERROR: failed to build: failed to solve: process "/bin/sh -c false" did not complete successfully: exit code: 1
//! ```

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use dockerfile::diagnostic::Diagnostic;
use dockerfile::source::SourceFile;

use super::mask::masked;
use super::{Kind, Place, Report, escaped};
use crate::command::failure::instruction_span;

/// How many lines are shown around an instruction of one line, and around one of several.
const AROUND_ONE: usize = 2;
const AROUND_SEVERAL: usize = 1;

const FRAME: &str = "--------------------";

/// Returns how BuildKit tells that a build failed; nothing where somebody ended it.
pub(crate) fn in_buildkits_form(report: &Report) -> String {
    if let Kind::Interrupted(_) | Kind::Usage | Kind::LacksId(_) = report.kind {
        return String::new();
    }
    let excerpt_of = |place: &Place| excerpt(&place.source, &blamed(place));
    let mut text = report.place.as_ref().map(excerpt_of).unwrap_or_default();
    let error = "ERROR: failed to build: failed to solve";
    writeln!(text, "{error}: {}", cause(report)).expect("a String takes what is written");
    escaped(&text)
}

/// Returns what is said of a fault of a Dockerfile.
pub(super) fn of_diagnostic(diagnostic: &Diagnostic, source: &SourceFile) -> String {
    let line = source.position(diagnostic.span.start).line;
    let hint = diagnostic.help.as_deref();
    let hint = hint.filter(|help| help.starts_with("did you mean"));
    let hint = hint.map(|help| format!(" ({help})")).unwrap_or_default();
    let said = format!("{}{hint}", diagnostic.title).replace('`', "");
    format!("dockerfile parse error on line {line}: {said}")
}

/// Returns what failed in one line.
fn cause(report: &Report) -> String {
    let text = report.solve.clone().unwrap_or_else(|| {
        let all = std::iter::once(&report.title).chain(&report.causes);
        let all: Vec<_> = all.map(|one| one.replace('`', "")).collect();
        all.join(": ")
    });
    text.replace('\n', " ")
}

/// Returns lines of a Dockerfile with some around them.
pub(crate) fn excerpt(source: &SourceFile, meant: &RangeInclusive<usize>) -> String {
    let (first, last) = (*meant.start(), *meant.end());
    let around = if first == last {
        AROUND_ONE
    } else {
        AROUND_SEVERAL
    };
    let shown = first.saturating_sub(around).max(1)..=last + around;
    let mut out = format!("{}:{first}\n{FRAME}\n", source.name());
    for (number, line) in (1..).zip(masked(source.text()).split('\n')) {
        if shown.contains(&number) {
            let mark = if meant.contains(&number) {
                ">>>"
            } else {
                "   "
            };
            writeln!(out, "{number:4} | {mark} {line}").expect("a String takes what is written");
        }
    }
    out + FRAME + "\n"
}

/// Returns the lines that are to blame: those of the whole instruction, where it begins at the place.
fn blamed(place: &Place) -> RangeInclusive<usize> {
    let first = place.source.position(place.span.start).line;
    let whole = instruction_span(&place.source, first);
    let last = place.source.position(whole.end).line;
    first..=last.max(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str, line: usize) -> Report {
        let source = SourceFile::new("Dockerfile", text);
        let span = source.line_span(line);
        Report {
            place: Some(Place {
                source,
                span,
                label: String::new(),
            }),
            ..Report::new(Kind::User, &std::io::Error::other("`a` is wrong"))
        }
    }

    #[test]
    fn the_lines_of_an_instruction_are_shown_with_some_around_them() {
        let text = "FROM a\n\n# why\nRUN b \\\n  c\nRUN d\nRUN e\n";
        insta::assert_snapshot!(in_buildkits_form(&report(text, 4)), @r"
        Dockerfile:4
        --------------------
           3 |     # why
           4 | >>> RUN b \
           5 | >>>   c
           6 |     RUN d
        --------------------
        ERROR: failed to build: failed to solve: a is wrong
        ");
        insta::assert_snapshot!(in_buildkits_form(&report(text, 7)), @r"
        Dockerfile:7
        --------------------
           5 |       c
           6 |     RUN d
           7 | >>> RUN e
           8 |     
        --------------------
        ERROR: failed to build: failed to solve: a is wrong
        ");
    }

    #[test]
    fn what_failed_is_said_in_one_line() {
        let mut wrong = report("FORM a", 1);
        wrong.causes.push("it\nis".to_owned());
        assert_eq!(cause(&wrong), "a is wrong: it is");
        wrong.solve = Some("process failed".to_owned());
        assert_eq!(cause(&wrong), "process failed");
        wrong.kind = Kind::Interrupted(2);
        assert_eq!(in_buildkits_form(&wrong), "");
    }
}
