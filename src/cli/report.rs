//! Errors → text: the excerpt, the causes, the notes, the help.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::time::Duration;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use dockerfile::diagnostic::Diagnostic;
use dockerfile::source::{SourceFile, Span};
use rootfs::IdError;

use crate::exit;

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The Dockerfile, the context or a command of the user's.
    User,
    /// The command line.
    Usage,
    /// This machine cannot.
    Host,
    /// This machine has an id too few for the image: this one.
    LacksId(u32),
    /// A registry refused, or could not be reached.
    Remote,
    /// The user, or somebody for them, ended it.
    Interrupted(u8),
    /// What an exit code of its own tells.
    Code(u8),
    /// Ours.
    Internal,
}

impl Kind {
    /// Returns the exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::User => exit::FAILED,
            Self::Usage => exit::USAGE,
            Self::Host | Self::LacksId(_) => exit::HOST,
            Self::Remote => exit::REMOTE,
            Self::Interrupted(signal) => exit::SIGNAL.saturating_add(signal),
            Self::Code(code) => code,
            Self::Internal => exit::INTERNAL,
        }
    }

    /// Returns the exit code of `careen run`, whose others are the command's.
    pub fn exit_code_of_run(self) -> u8 {
        match self {
            Self::Interrupted(_) | Self::Code(_) => self.exit_code(),
            Self::User
            | Self::Usage
            | Self::Host
            | Self::LacksId(_)
            | Self::Remote
            | Self::Internal => exit::RUN_FAILED,
        }
    }
}

/// An error as the user sees it.
#[derive(Debug, Clone)]
pub struct Report {
    /// Whose fault it is.
    pub kind: Kind,
    /// What was wrong with what.
    pub title: String,
    /// The place in the Dockerfile.
    pub place: Option<Place>,
    /// The causes, from near to far.
    pub causes: Vec<String>,
    /// What the user cannot see.
    pub notes: Vec<String>,
    /// What can be done.
    pub help: Option<String>,
    /// It in BuildKit's words, where there are such.
    pub solve: Option<String>,
}

/// A place in a Dockerfile.
#[derive(Debug, Clone)]
pub struct Place {
    /// The Dockerfile.
    pub source: SourceFile,
    /// The words that are marked.
    pub span: Span,
    /// What is said about them.
    pub label: String,
}

impl Report {
    /// Makes a report of an error and its causes. An id that cannot be held is this machine's fault, whatever else is.
    pub fn new(kind: Kind, error: &dyn Error) -> Self {
        let mut causes: Vec<String> = Vec::new();
        let mut kind = kind;
        let mut next = error.source();
        while let Some(cause) = next {
            if let Some(IdError::TooHigh { id, .. }) = cause.downcast_ref() {
                kind = Kind::LacksId(*id);
            }
            let text = cause.to_string();
            // A transparent error says the same as its cause.
            if causes.last() != Some(&text) && text != error.to_string() {
                causes.push(text);
            }
            next = cause.source();
        }
        Self {
            kind,
            title: error.to_string(),
            place: None,
            causes,
            notes: Vec::new(),
            help: None,
            solve: None,
        }
    }

    /// Makes a report of what is said about a Dockerfile.
    pub fn of_diagnostic(diagnostic: &Diagnostic, source: &SourceFile) -> Self {
        Self {
            kind: Kind::User,
            title: diagnostic.headline(source),
            place: Some(Place {
                source: source.clone(),
                span: diagnostic.span,
                label: diagnostic.label.clone(),
            }),
            causes: Vec::new(),
            notes: diagnostic.notes.clone(),
            solve: Some(buildkit::of_diagnostic(diagnostic, source)),
            help: diagnostic.help.clone(),
        }
    }

    /// Returns the report as text.
    pub fn to_text(&self) -> String {
        let level = match self.kind {
            Kind::Internal => Level::ERROR.with_name("internal error"),
            Kind::User
            | Kind::Usage
            | Kind::Host
            | Kind::LacksId(_)
            | Kind::Remote
            | Kind::Code(_)
            | Kind::Interrupted(_) => Level::ERROR,
        };
        self.render(level)
    }

    /// Returns what the report has beside its title: the place, and what is said of it.
    fn to_text_without_title(&self) -> String {
        let text = self.to_text();
        let begins = |line: &&str| {
            let line = line.trim_start();
            line.starts_with("--> ") || line.starts_with("= ")
        };
        let rest = text.lines().skip_while(|line| !begins(line));
        rest.map(|line| [line, "\n"].concat()).collect()
    }

    /// Returns what is said as a warning.
    pub fn to_warning(&self) -> String {
        self.render(Level::WARNING)
    }

    fn render(&self, level: Level<'_>) -> String {
        let mut text = match &self.place {
            Some(place) => {
                let snippet = Snippet::source(place.source.text()).path(place.source.name());
                let marked = AnnotationKind::Primary.span(place.span.start..place.span.end);
                let group =
                    level.primary_title(&self.title).element(snippet.annotation(
                        marked.label((!place.label.is_empty()).then_some(&*place.label)),
                    ));
                plain(&[group])
            }
            None => plain(&[Group::with_title(level.primary_title(&self.title))]),
        };
        let details = self.details();
        if self.place.is_some() && !details.is_empty() {
            let width = last_line_number_width(&text);
            writeln!(text, "{:width$} |", "").expect("a String takes what is written");
            text.push_str(&indented(&details, width));
        } else {
            text.push_str(&indented(&details, 1));
        }
        escaped(&text)
    }

    fn details(&self) -> Vec<(&'static str, &str)> {
        let causes = self
            .causes
            .iter()
            .map(|cause| ("caused by", cause.as_str()));
        let notes = self.notes.iter().map(|note| ("note", note.as_str()));
        let help = self.help.iter().map(|help| ("help", help.as_str()));
        causes.chain(notes).chain(help).collect()
    }
}

/// The error in one line.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escaped(&self.title))
    }
}

/// Makes visible what a terminal would obey, or show in another order: texts of errors have words of strangers.
fn escaped(text: &str) -> String {
    let is_obeyed = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    let turns_around = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_obeyed(character) || turns_around(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

fn plain(groups: &[Group<'_>]) -> String {
    let mut text = Renderer::plain().render(groups);
    text.push('\n');
    text
}

/// Writes `= note: …` lines; what has several lines goes on below its beginning.
fn indented(details: &[(&'static str, &str)], width: usize) -> String {
    let mut text = String::new();
    for (word, detail) in details {
        let start = format!("{:width$} = {word}: ", "");
        let continued = format!("\n{:indent$}", "", indent = start.len());
        text.push_str(&start);
        text.push_str(&detail.trim_end().replace('\n', &continued));
        text.push('\n');
    }
    text
}

/// Returns the width of the line numbers of an excerpt: that of the arrow's indent.
fn last_line_number_width(text: &str) -> usize {
    text.lines().find_map(|line| line.find("--> ")).unwrap_or(1)
}

/// Writes a report to standard error.
pub fn print(report: &Report) {
    write_text(&report.to_text());
}

/// Says why nothing happens for a while, if it is one that somebody would wonder about.
pub fn print_pause(why: &dyn fmt::Display, pause: Duration) {
    if let Some(text) = pause_notice(why, pause) {
        write_text(&text);
    }
}

/// Returns what is said of a pause, if anything is.
pub(crate) fn pause_notice(why: &dyn fmt::Display, pause: Duration) -> Option<String> {
    let seconds = pause.as_secs_f64().round();
    (seconds >= 1.0).then(|| pause_text(why, seconds))
}

fn pause_text(why: &dyn fmt::Display, seconds: f64) -> String {
    let why = escaped(&why.to_string());
    format!("{why}; trying again in {seconds} s\n")
}

/// Writes a text that is whole already to standard error.
pub(crate) fn print_text(text: &str) {
    write_text(text);
}

fn write_text(text: &str) {
    // Standard error is gone; there is nobody to tell.
    drop(io::stderr().lock().write_all(text.as_bytes()));
}

mod buildkit;
#[cfg(test)]
mod golden;

pub(crate) use buildkit::{Shown, beside_plain, excerpt};

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let source = SourceFile::new("Dockerfile", "FROM a\nCOPY requirments.txt /app/\n");
        Report {
            kind: Kind::User,
            title: "COPY source not found: `requirments.txt`".to_owned(),
            place: Some(Place {
                source,
                span: Span { start: 12, end: 27 },
                label: "no such path in the build context".to_owned(),
            }),
            causes: Vec::new(),
            notes: vec!["build context: /home/ana/site".to_owned()],
            help: Some("a path with a similar name exists: `requirements.txt`".to_owned()),
            solve: None,
        }
    }

    #[test]
    fn a_pause_says_why_in_one_line() {
        assert_eq!(
            pause_text(&"`r.example` answered 500\u{1b}[2J", 4.0),
            "`r.example` answered 500\\u{1b}[2J; trying again in 4 s\n"
        );
    }

    #[test]
    fn an_error_has_its_place_its_notes_and_its_help() {
        insta::assert_snapshot!(report().to_text(), @r"
        error: COPY source not found: `requirments.txt`
         --> Dockerfile:2:6
          |
        2 | COPY requirments.txt /app/
          |      ^^^^^^^^^^^^^^^ no such path in the build context
          |
          = note: build context: /home/ana/site
          = help: a path with a similar name exists: `requirements.txt`
        ");
    }

    #[test]
    fn what_a_stranger_says_moves_no_cursor() {
        let report = Report {
            place: None,
            title: "read `\u{1b}[2J`".to_owned(),
            causes: vec!["a\rb\u{9b}c\u{202e}d\te\nf".to_owned()],
            ..report()
        };
        let text = report.to_text();
        let obeyed = |c: char| c.is_control() && !matches!(c, '\n' | '\t') || c == '\u{202e}';
        assert!(!text.contains(obeyed), "{text:?}");
        assert!(text.contains("a\\rb\\u{9b}c\\u{202e}d\te\n"), "{text}");
    }

    #[test]
    fn an_error_without_a_place_has_its_causes_and_long_notes_go_on_below() {
        let report = Report {
            kind: Kind::Internal,
            place: None,
            causes: vec!["one".to_owned(), "two".to_owned()],
            notes: vec!["last output:\nline\nline".to_owned()],
            help: None,
            ..report()
        };
        insta::assert_snapshot!(report.to_text(), @r"
        internal error: COPY source not found: `requirments.txt`
          = caused by: one
          = caused by: two
          = note: last output:
                  line
                  line
        ");
    }
}
