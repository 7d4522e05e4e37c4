//! A cache that cannot be written.

use std::error::Error;

use gha::GhaError;
use remotecache::ExportCacheError;
use runtime::CancelReason;

use super::{interrupted, registry};
use crate::report::{Kind, Report};

/// Reports a cache that cannot be written. The outputs of the build are.
pub(crate) fn of_cache(error: &ExportCacheError) -> Box<Report> {
    let mut report = Report::new(Kind::User, error);
    registry::explain(&mut report, error);
    explain_service(&mut report, error);
    let note = "the outputs of the build are written; `ignore-error=true` makes this a warning";
    report.notes.push(note.to_owned());
    Box::new(report)
}

/// Reports that the build was interrupted when its outputs were written, and its caches were not yet.
pub(crate) fn cache_interrupted(reason: CancelReason) -> Box<Report> {
    let mut report = interrupted(reason);
    let note = "the outputs of the build are written, and its cache is not exported";
    report.notes.push(note.to_owned());
    report
}

/// Makes a report one about the cache service of GitHub Actions, where it is.
fn explain_service(report: &mut Report, error: &(dyn Error + 'static)) {
    let Some(error) = GhaError::behind(error) else {
        return;
    };
    report.kind = Kind::Remote;
    if error.is_read_only() {
        let help = "export where the job may write, as on a `push`: \
                    pull requests from forks read the caches of their base alone";
        report.help = Some(help.to_owned());
    }
}

/// Returns an error with its causes, on one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let Report { title, causes, .. } = Report::new(Kind::User, error);
    let all: Vec<_> = std::iter::once(title).chain(causes).collect();
    all.join(": ")
}
