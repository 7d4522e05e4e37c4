//! `SOURCE_DATE_EPOCH` becomes the time of the build.

use dockerfile::diagnostic::Diagnostic;
use dockerfile::parse::Parsed;
use dockerfile::stage::{
    EpochOrigin, EpochSource, EpochValue, PlanOptions, SourceDateEpoch, source_date_epoch,
};
use oci::{Clock, Timestamp};
use solver::{Reach, SolveError, Workshop};

use super::context::Contexts;
use super::remote;
use crate::report::{Kind, Report};

/// The name of the argument.
const NAME: &str = "SOURCE_DATE_EPOCH";

/// Why there is no time.
pub(crate) enum EpochFailure {
    /// The Dockerfile or the argument is wrong.
    Faults(Vec<Diagnostic>),
    /// What has the time cannot be read.
    Source(Box<Report>),
}

/// Returns the clock of the build. Where the time is that of a source, the arguments get the time in the place of
/// the source's name.
///
/// # Errors
///
/// Fails when the value means nothing, and when what it names cannot be read or fetched.
pub(crate) fn settle(
    parsed: &Parsed,
    options: &mut PlanOptions,
    contexts: &mut Contexts<'_>,
    workshop: &Workshop,
) -> Result<Clock, EpochFailure> {
    let epoch = source_date_epoch(parsed, options).map_err(EpochFailure::Faults)?;
    let time = match &epoch.value {
        EpochValue::Unset => None,
        EpochValue::At(time) => Some(*time),
        EpochValue::Of(source) => {
            let time = time_of(source, contexts, workshop).map_err(EpochFailure::Source)?;
            replace(options, &epoch, time);
            time
        }
    };
    Ok(time.map_or(Clock::System, Clock::Fixed))
}

fn time_of(
    source: &EpochSource,
    contexts: &mut Contexts<'_>,
    workshop: &Workshop,
) -> Result<Option<Timestamp>, Box<Report>> {
    if workshop.reach == Reach::Known {
        return Err(Box::new(Report::new(
            Kind::Internal,
            &SolveError::OutOfReach,
        )));
    }
    match source {
        EpochSource::Context => contexts.main_time(),
        EpochSource::Named(name) => contexts.named_time(name, workshop),
        EpochSource::Http(source) => remote::http_time(source, workshop),
        EpochSource::Git(source) => remote::git_time(source, workshop),
    }
}

/// Gives the argument the time that was found; a source without one makes it empty.
fn replace(options: &mut PlanOptions, epoch: &SourceDateEpoch, time: Option<Timestamp>) {
    let text = time.map(|time| time.seconds().to_string());
    let text = text.unwrap_or_default();
    match epoch.origin {
        EpochOrigin::Argument => drop(options.build_args.insert(NAME.to_owned(), text)),
        EpochOrigin::Default => options.epoch_default = Some(text),
    }
}
