//! Plain progress where a runner reads it: what is shown folds, and nothing that a step prints is obeyed.
//!
//! GitHub's runner obeys commands that stand in what is printed, some of them anywhere in a line (`##[…]`), and takes a
//! carriage return for the end of one. So it is told to stop that, with a word that no step can know, and listens only for
//! the time of a line of ours:
//!
//! ```text
//! ::group::#5 [build 2/3] RUN make
//! ::stop-commands::8d6f…
//! #5 0.153 cc -o x x.c
//! #5 DONE 1.2s
//! ::8d6f…::
//! ::endgroup::
//! ```
//!
//! GitLab's sections are sequences in what is printed, too. What a step prints loses what would begin or end one.

use std::io::{self, Write};

use oci::Timestamp;

use crate::env::Runner;
use crate::report::Report;

/// What begins a line that GitLab takes for its own.
const CLEAR: &str = "\u{1b}[0K";

/// What folds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Folding {
    /// The lines of a step that stand together.
    Steps,
    /// Nothing: lines are as they are everywhere else.
    Nothing,
}

/// Whether the title of a step stands where its lines begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Title {
    Written,
    Missing,
}

/// Folds what is shown, for a runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folds {
    runner: Runner,
    /// The word that lets GitHub's runner listen again; a part of the names of GitLab's sections.
    token: String,
    start: Timestamp,
    folding: Folding,
    /// How many were begun.
    count: usize,
    is_open: bool,
}

impl Folds {
    /// Begins with none; nobody else knows the token.
    pub(super) fn new(
        (runner, folding): (Runner, Folding),
        token: String,
        start: Timestamp,
    ) -> Self {
        Self {
            runner,
            token,
            start,
            folding,
            count: 0,
            is_open: false,
        }
    }

    /// Begins one; the one before ends. Tells whether the title was written: who wants lines as they are everywhere else
    /// has no folds, and one guard around all of them.
    pub(super) fn open(&mut self, title: &str, out: &mut dyn Write) -> io::Result<Title> {
        if self.folding == Folding::Nothing {
            return self.guard(out).map(|()| Title::Missing);
        }
        self.begin(title, out).map(|()| Title::Written)
    }

    /// Has GitHub's runner stop to listen, if it does.
    pub(super) fn guard(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.runner == Runner::GitLab || std::mem::replace(&mut self.is_open, true) {
            return Ok(());
        }
        writeln!(out, "::stop-commands::{}", self.token)
    }

    fn begin(&mut self, title: &str, out: &mut dyn Write) -> io::Result<()> {
        self.close(out)?;
        self.count += 1;
        self.is_open = true;
        let Self { token, count, .. } = self;
        match self.runner {
            Runner::GitHub => {
                writeln!(out, "::group::{}\n::stop-commands::{token}", data(title))
            }
            Runner::GitLab => {
                let (at, title) = (self.start.seconds(), title.replace('\r', " "));
                writeln!(
                    out,
                    "{CLEAR}section_start:{at}:careen_{token}_{count}[collapsed=true]\r{CLEAR}{title}"
                )
            }
        }
    }

    /// Ends the one that was begun.
    pub(super) fn close(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if !std::mem::take(&mut self.is_open) {
            return Ok(());
        }
        let Self { token, count, .. } = self;
        match self.runner {
            Runner::GitHub => {
                writeln!(out, "::{token}::")?;
                match self.folding {
                    Folding::Steps => writeln!(out, "::endgroup::"),
                    Folding::Nothing => Ok(()),
                }
            }
            Runner::GitLab => {
                let at = self.start.seconds();
                writeln!(
                    out,
                    "{CLEAR}section_end:{at}:careen_{token}_{count}\r{CLEAR}"
                )
            }
        }
    }

    /// Returns a line that a step wrote without what the runner would obey.
    pub(super) fn harmless(&self, line: &[u8]) -> Vec<u8> {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\r').replace('\r', " ");
        match self.runner {
            Runner::GitHub => line.into_bytes(),
            Runner::GitLab => line
                .replace("section_start:", "section_start ")
                .replace("section_end:", "section_end ")
                .into_bytes(),
        }
    }
}

/// Returns the text of a report as GitHub's runner is told: guarded, since it repeats what a step printed, and with the
/// command that has it shown beside the line that it is about.
pub(crate) fn guarded(text: &str, report: &Report, token: &str) -> String {
    let text = unheard(text, token);
    let annotation = annotation(report);
    format!("{text}{annotation}")
}

/// Returns lines in none of which GitHub's runner obeys anything.
pub(crate) fn unheard(lines: &str, token: &str) -> String {
    if lines.is_empty() {
        return String::new();
    }
    format!("::stop-commands::{token}\n{lines}::{token}::\n")
}

/// Returns the command that has GitHub show an error beside the line that it is about.
fn annotation(report: &Report) -> String {
    let place = report.place.as_ref().map_or_else(String::new, |place| {
        let line = place.source.position(place.span.start).line;
        format!(" file={},line={line}", property(place.source.name()))
    });
    format!("::error{place}::{}\n", data(&report.title))
}

/// Writes what a command of GitHub's says.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Writes a property of a command of GitHub's.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(runner: Runner) -> String {
        let token = "t0".to_owned();
        let mut folds = Folds::new((runner, Folding::Steps), token, Timestamp::UNIX_EPOCH);
        let mut out = Vec::new();
        folds.open("#1 [a 1/2] RUN 50%\n::x::", &mut out).unwrap();
        out.extend(folds.harmless(b"#1 0.1 ##[set-env]\r::y:: section_end:0:z\r"));
        out.push(b'\n');
        folds.open("#2 b", &mut out).unwrap();
        folds.close(&mut out).unwrap();
        folds.close(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn githubs_runner_listens_between_the_lines_of_steps_alone() {
        let expected = "::group::#1 [a 1/2] RUN 50%25%0A::x::\n::stop-commands::t0\n\
             #1 0.1 ##[set-env] ::y:: section_end:0:z\n::t0::\n::endgroup::\n\
             ::group::#2 b\n::stop-commands::t0\n::t0::\n::endgroup::\n";
        assert_eq!(folded(Runner::GitHub), expected);
    }

    #[test]
    fn what_scripts_read_has_one_guard_around_it() {
        let token = "t0".to_owned();
        let folding = (Runner::GitHub, Folding::Nothing);
        let mut folds = Folds::new(folding, token, Timestamp::UNIX_EPOCH);
        let mut out = Vec::new();
        for title in ["#1 a", "#2 b"] {
            assert_eq!(folds.open(title, &mut out).unwrap(), Title::Missing);
        }
        folds.close(&mut out).unwrap();
        assert_eq!(out, b"::stop-commands::t0\n::t0::\n");
    }

    #[test]
    fn an_error_is_shown_beside_its_line() {
        let mut report = Report::new(crate::report::Kind::User, &io::Error::other("100%\nwrong"));
        assert_eq!(annotation(&report), "::error::100%25%0Awrong\n");
        let source = dockerfile::source::SourceFile::new("a,b/Dockerfile", "FROM x\nRUN y\n");
        let span = source.line_span(2);
        let label = String::new();
        report.place = Some(crate::report::Place {
            source,
            span,
            label,
        });
        assert_eq!(
            annotation(&report),
            "::error file=a%2Cb/Dockerfile,line=2::100%25%0Awrong\n"
        );
    }

    #[test]
    fn gitlabs_sections_are_ours_alone() {
        let expected = "{c}section_start:0:careen_t0_1[collapsed=true]\r{c}#1 [a 1/2] RUN 50%\n::x::\n\
             #1 0.1 ##[set-env] ::y:: section_end 0:z\n{c}section_end:0:careen_t0_1\r{c}\n\
             {c}section_start:0:careen_t0_2[collapsed=true]\r{c}#2 b\n{c}section_end:0:careen_t0_2\r{c}\n";
        assert_eq!(folded(Runner::GitLab), expected.replace("{c}", CLEAR));
    }
}
