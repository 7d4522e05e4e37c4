//! What is said about a Dockerfile: errors and warnings with their place.
//!
//! A [`Diagnostic`] is text and spans; the excerpt with carets is drawn where it is printed.

use crate::source::{LineRange, SourceFile, Span};

pub use crate::check::Rule;

/// How bad a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The build goes on.
    Warning,
    /// The build cannot go on.
    Error,
}

/// The longest text of the user's that a title repeats, in characters.
const MAX_QUOTED_CHARS: usize = 80;

/// Returns `text` between back quotes; a long one is cut.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((end, _)) => format!("`{}…`", text.get(..end).unwrap_or_default()),
        None => format!("`{text}`"),
    }
}

/// One thing to be said about a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The build check that found it, if it was one.
    pub rule: Option<Rule>,
    /// The lines that are named with what a check has found; those of the span when absent.
    pub lines: Option<LineRange>,
    /// What is wrong, in the user's words; one line without a full stop. Of a check it is `BuildKit`'s sentence.
    pub title: String,
    /// The place of the word that is wrong.
    pub span: Span,
    /// What is said under that word; may be empty.
    pub label: String,
    /// Facts that the user cannot see in the line.
    pub notes: Vec<String>,
    /// One thing that can be done about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Returns an error at `span`.
    pub fn error<T: Into<String>>(title: T, span: Span) -> Self {
        Self::new(Severity::Error, title, span)
    }

    /// Returns a warning at `span`.
    pub fn warning<T: Into<String>>(title: T, span: Span) -> Self {
        Self::new(Severity::Warning, title, span)
    }

    fn new<T: Into<String>>(severity: Severity, title: T, span: Span) -> Self {
        Self {
            severity,
            rule: None,
            lines: None,
            title: title.into(),
            span,
            label: String::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// Names the build check that found it.
    #[must_use]
    pub fn with_rule(mut self, rule: Rule) -> Self {
        self.rule = Some(rule);
        self
    }

    /// Sets the text under the word.
    #[must_use]
    pub fn with_label<T: Into<String>>(mut self, label: T) -> Self {
        self.label = label.into();
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn with_note<T: Into<String>>(mut self, note: T) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Sets what can be done, if there is something.
    #[must_use]
    pub fn with_help<T: Into<Option<String>>>(mut self, help: T) -> Self {
        self.help = help.into();
        self
    }

    /// Tells whether the build cannot go on.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Returns the lines that it is about.
    pub fn lines_in(&self, source: &SourceFile) -> LineRange {
        self.lines.unwrap_or_else(|| source.lines_of(self.span))
    }

    /// Returns the title as it is shown: of a check with its name and its first line, as `BuildKit` does.
    pub fn headline(&self, source: &SourceFile) -> String {
        match self.rule {
            Some(rule) => {
                let line = self.lines_in(source).first;
                format!("{}: {} (line {line})", rule.name(), self.title)
            }
            None => self.title.clone(),
        }
    }

    /// Returns the diagnostic as text without an excerpt of the source.
    ///
    /// ```text
    /// error: unknown instruction: `FORM`
    ///  --> Dockerfile:1:1
    ///   = help: did you mean `FROM`?
    /// ```
    pub fn to_text(&self, source: &SourceFile) -> String {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let place = source.position(self.span.start);
        let mut lines = vec![
            format!("{severity}: {}", self.headline(source)),
            format!(" --> {}:{}:{}", source.name(), place.line, place.column),
        ];
        if !self.label.is_empty() {
            lines.push(format!("  | {}: {}", source.slice(self.span), self.label));
        }
        lines.extend(self.notes.iter().map(|note| format!("  = note: {note}")));
        lines.extend(self.help.iter().map(|help| format!("  = help: {help}")));
        lines.join("\n")
    }
}
