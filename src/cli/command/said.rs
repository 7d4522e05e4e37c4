//! What is said about a Dockerfile on the way to a build: warnings when they are found, each once, and errors in the
//! end.

use dockerfile::diagnostic::Diagnostic;
use dockerfile::source::SourceFile;

use super::failure;
use crate::args::ProgressArgument;
use crate::report::{self, Report};

/// Tells what there is to say about one Dockerfile.
#[derive(Debug)]
pub(crate) struct Said<'a> {
    source: &'a SourceFile,
    /// Whether warnings are kept back: `--progress=none`.
    silent: bool,
    told: Vec<Diagnostic>,
}

impl<'a> Said<'a> {
    /// Begins with nothing said.
    pub(crate) fn new(source: &'a SourceFile, progress: ProgressArgument) -> Self {
        Self {
            source,
            silent: progress == ProgressArgument::None,
            told: Vec::new(),
        }
    }

    /// Prints the warnings among `said` that were not printed before, in the order of the file.
    pub(crate) fn warn<'d>(&mut self, said: impl IntoIterator<Item = &'d Diagnostic>) {
        let mut warnings: Vec<_> = said.into_iter().filter(|one| !one.is_error()).collect();
        warnings.sort_by_key(|warning| warning.span);
        for warning in warnings {
            if !self.told.contains(warning) {
                if !self.silent {
                    report::print_warning(warning, self.source);
                }
                self.told.push(warning.clone());
            }
        }
    }

    /// Prints all but the last error, and returns that: it ends the command. Warnings are printed before.
    pub(crate) fn refuse(&mut self, said: &[Diagnostic]) -> Box<Report> {
        self.warn(said);
        let errors = said.iter().filter(|one| one.is_error());
        let mut reports: Vec<_> = errors
            .map(|error| Report::of_diagnostic(error, self.source))
            .collect();
        let last = reports.pop();
        for report in &reports {
            report::print(report);
        }
        Box::new(last.unwrap_or_else(failure::without_reason))
    }
}
