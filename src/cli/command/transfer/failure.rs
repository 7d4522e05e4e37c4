//! What went wrong on an image's way → what the user is told.

use std::error::Error;
use std::fmt::Display;

use dockerfile::suggest;
use oci::Reference;
use store::FindError;
use transport::{CopyError, OpenError, PlaceError, StorePlaceError};

use super::Carrier;
use crate::command::failure;
use crate::report::{Kind, Report};

/// Something could not be done with an image or a repository.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} `{shown}`")]
struct NotDone {
    doing: &'static str,
    shown: String,
    source: PlaceError,
}

impl Carrier {
    /// Reports a failure, whoever's it is.
    pub(in crate::command) fn of(&self, error: &(dyn Error + 'static)) -> Box<Report> {
        if let Some(reason) = self.cancel.reason() {
            return failure::interrupted(reason);
        }
        let mut report = Report::new(Kind::User, error);
        failure::registry::explain(&mut report, error);
        failure::disk::explain_copy(&mut report, error, self.store.path());
        Box::new(report)
    }

    /// Reports a place that cannot be opened.
    pub(super) fn of_open(&self, error: &OpenError) -> Box<Report> {
        let mut report = self.of(error);
        if let OpenError::Source { source, .. } = error
            && let Some(StorePlaceError::NotFound { name }) = source.downcast_ref()
        {
            report.help = self.help_for(name);
        }
        report
    }

    /// Reports a copy that failed.
    pub(in crate::command) fn of_copy(&self, error: &CopyError) -> Box<Report> {
        let mut report = self.of(error);
        if let CopyError::NoPlatform { available, .. } = error {
            report.notes.push(failure::it_has(available));
        }
        report
    }

    /// Reports an image that the store does not have.
    pub(super) fn of_find(&self, error: &FindError) -> Box<Report> {
        let mut report = self.of(error);
        if let FindError::None { text } = error {
            report.help = self.help_for(text);
        }
        report
    }

    /// Reports what could not be done with a place.
    pub(super) fn of_asked<E: Into<PlaceError>>(
        &self,
        (doing, shown): (&'static str, &dyn Display),
        error: E,
    ) -> Box<Report> {
        let shown = shown.to_string();
        let source = error.into();
        self.of(&NotDone {
            doing,
            shown,
            source,
        })
    }

    /// Returns the name of the store that was perhaps meant.
    fn help_for(&self, name: &str) -> Option<String> {
        let tags = self.store.content().tags().ok()?;
        let names: Vec<_> = tags.iter().map(|(name, _)| name.familiar()).collect();
        let wanted = Reference::parse_docker_ref(name).ok()?.familiar();
        let near = suggest::nearest(&wanted, names.iter().map(String::as_str))?;
        Some(format!(
            "the store has an image of a similar name: `{near}`"
        ))
    }
}
