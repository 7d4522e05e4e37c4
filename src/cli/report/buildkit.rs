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
//!
//! What the report has beside that follows: the word that is wrong, causes, notes and help.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use dockerfile::diagnostic::Diagnostic;
use dockerfile::source::SourceFile;

use super::{Kind, Place, Report, escaped};
use crate::command::failure::{LAST_OUTPUT, first_line, instruction_span};

/// How many lines are shown around an instruction of one line, and around one of several.
const AROUND_ONE: usize = 2;
const AROUND_SEVERAL: usize = 1;

const FRAME: &str = "--------------------";

/// What progress has shown of what failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Its last lines, at the end.
    LastLines,
    /// What it wrote, when it wrote it.
    Output,
}

/// Returns a report in BuildKit's form with what that has no words for; none where BuildKit has no form for it.
pub(crate) fn beside_plain(report: &Report, shown: Shown) -> Option<String> {
    if let Kind::Interrupted(_) | Kind::Usage | Kind::LacksId(_) | Kind::Internal = report.kind {
        return None;
    }
    let mut rest = report.clone();
    if shown == Shown::LastLines {
        rest.notes.retain(|note| !note.starts_with(LAST_OUTPUT));
    }
    let said = |help: &String| in_words(&rest).contains(&format!("({})", help.replace('`', "")));
    rest.help = rest.help.clone().filter(|help| !said(help));
    rest.place = rest.place.filter(says_more_than_its_line);
    Some(in_buildkits_form(report) + &rest.to_text_without_title())
}

/// Tells whether a place has more than the lines of an instruction, which the excerpt shows.
fn says_more_than_its_line(place: &Place) -> bool {
    let line = place.source.position(place.span.start).line;
    let whole = instruction_span(&place.source, line);
    let is_whole =
        place.span.start == whole.start && place.span.end >= first_line(&place.source, whole).end;
    !(is_whole && (place.label.is_empty() || place.label.starts_with("step ")))
}

/// Returns how BuildKit tells that a build failed.
fn in_buildkits_form(report: &Report) -> String {
    let excerpt_of = |place: &Place| excerpt(&place.source, &blamed(place));
    let mut text = report.place.as_ref().map(excerpt_of).unwrap_or_default();
    let error = "ERROR: failed to build: failed to solve";
    writeln!(text, "{error}: {}", in_words(report)).expect("a String takes what is written");
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
fn in_words(report: &Report) -> String {
    let text = report.solve.as_ref().unwrap_or(&report.title);
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
    for (number, line) in (1..).zip(source.text().split('\n')) {
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
        ERROR: failed to build: failed to solve: `a` is wrong
        ");
        insta::assert_snapshot!(in_buildkits_form(&report(text, 7)), @r"
        Dockerfile:7
        --------------------
           5 |       c
           6 |     RUN d
           7 | >>> RUN e
           8 |     
        --------------------
        ERROR: failed to build: failed to solve: `a` is wrong
        ");
    }

    #[test]
    fn what_failed_is_said_in_one_line() {
        let mut wrong = report("FORM a", 1);
        wrong.title.push_str("\nindeed");
        assert_eq!(in_words(&wrong), "`a` is wrong indeed");
        wrong.solve = Some("process failed".to_owned());
        assert_eq!(in_words(&wrong), "process failed");
        wrong.kind = Kind::Interrupted(2);
        assert_eq!(beside_plain(&wrong, Shown::Output), None);
    }

    #[test]
    fn what_buildkit_has_no_words_for_follows_and_nothing_comes_twice() {
        let mut wrong = report("FROM a\nCOPY b /c\n", 2);
        wrong.causes.push("it is gone".to_owned());
        wrong.notes.push(format!("{LAST_OUTPUT}one"));
        wrong.notes.push("it is late".to_owned());
        let place = wrong.place.as_mut().unwrap();
        "step 2/2".clone_into(&mut place.label);
        let told = beside_plain(&wrong, Shown::LastLines).unwrap();
        insta::assert_snapshot!(told, @r"
        Dockerfile:2
        --------------------
           1 |     FROM a
           2 | >>> COPY b /c
           3 |     
        --------------------
        ERROR: failed to build: failed to solve: `a` is wrong
          = caused by: it is gone
          = note: it is late
        ");
        let place = wrong.place.as_mut().unwrap();
        (place.span.start, place.span.end) = (12, 13);
        "not here".clone_into(&mut place.label);
        wrong.solve = Some("other words".to_owned());
        let told = beside_plain(&wrong, Shown::Output).unwrap();
        let (_, rest) = told.split_once("ERROR").unwrap();
        insta::assert_snapshot!(rest, @r"
        : failed to build: failed to solve: other words
         --> Dockerfile:2:6
          |
        2 | COPY b /c
          |      ^ not here
          |
          = caused by: it is gone
          = note: last output:
                  one
          = note: it is late
        ");
    }
}
