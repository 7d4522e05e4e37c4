//! What is said about a Dockerfile on the way to a build: warnings when they are found, each once, and errors in the
//! end.

use dockerfile::diagnostic::Diagnostic;
use dockerfile::source::SourceFile;

use solver::event::{Event, Events, NoticeLevel};

use super::failure;
use crate::report::Report;

/// Tells what there is to say about one Dockerfile.
#[derive(Debug)]
pub(crate) struct Said<'a> {
    source: &'a SourceFile,
    /// Where it is told: a display shows it in its place, and `--progress=none` shows errors alone.
    events: &'a Events,
    told: Vec<Diagnostic>,
}

impl<'a> Said<'a> {
    /// Begins with nothing said.
    pub(crate) fn new(source: &'a SourceFile, events: &'a Events) -> Self {
        Self {
            source,
            events,
            told: Vec::new(),
        }
    }

    /// Tells the warnings among `said` that were not told before, in the order of the file.
    pub(crate) fn warn<'d>(&mut self, said: impl IntoIterator<Item = &'d Diagnostic>) {
        let mut warnings: Vec<_> = said.into_iter().filter(|one| !one.is_error()).collect();
        warnings.sort_by_key(|warning| warning.span);
        for warning in warnings {
            if !self.told.contains(warning) {
                self.tell(NoticeLevel::Warning, warning);
                self.told.push(warning.clone());
            }
        }
    }

    /// Tells all but the last error, and returns that: it ends the command. Warnings are told before.
    pub(crate) fn refuse(&mut self, said: &[Diagnostic]) -> Box<Report> {
        self.warn(said);
        let mut errors: Vec<_> = said.iter().filter(|one| one.is_error()).collect();
        let last = errors.pop();
        for error in errors {
            self.tell(NoticeLevel::Error, error);
        }
        let last = last.map(|error| Report::of_diagnostic(error, self.source));
        Box::new(last.unwrap_or_else(failure::without_reason))
    }

    fn tell(&self, level: NoticeLevel, diagnostic: &Diagnostic) {
        let report = Report::of_diagnostic(diagnostic, self.source);
        self.events.emit(Event::Notice {
            level,
            text: match level {
                NoticeLevel::Error => report.to_text(),
                NoticeLevel::Warning => report.to_warning(),
            },
            short: report.title,
        });
    }
}
