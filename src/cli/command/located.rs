//! An image that a user named, wherever it is, for one platform.

use oci::Platform;
use solver::Workshop;
use solver::base::{self, BaseError, ResolvedImage};
use store::LayoutLocation;

use crate::args::PullArgument;
use crate::report::{Kind, Report};

/// What begins the name of an image in a layout.
const LAYOUT: &str = "oci:";

/// Which image of several is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The platform that was asked for.
    pub(crate) platform: Option<&'a Platform>,
    /// This machine's platform.
    pub(crate) host: &'a Platform,
    /// When a registry is asked.
    pub(crate) pull: PullArgument,
}

/// Nothing can be pulled.
#[derive(Debug, thiserror::Error)]
#[error("`--pull always` is not supported yet: images come from the store or a layout")]
struct NoPull;

/// Finds an image. Where nobody asked for a platform it is the one for this machine; or else the first that is
/// there.
pub(crate) fn image(
    workshop: &Workshop,
    name: &str,
    wanted: &Wanted<'_>,
) -> Result<ResolvedImage, Box<Report>> {
    if wanted.pull == PullArgument::Always && !name.starts_with(LAYOUT) {
        return Err(Box::new(Report::new(Kind::User, &NoPull)));
    }
    let platform = wanted.platform.unwrap_or(wanted.host);
    let found = match resolve(workshop, name, platform) {
        Err(BaseError::NoPlatform { available, .. }) if wanted.platform.is_none() => {
            match available.first() {
                Some(first) => resolve(workshop, name, first),
                None => resolve(workshop, name, platform),
            }
        }
        found => found,
    };
    found.map_err(|error| Box::new(report(&error)))
}

fn resolve(
    workshop: &Workshop,
    name: &str,
    platform: &Platform,
) -> Result<ResolvedImage, BaseError> {
    match name.strip_prefix(LAYOUT) {
        Some(layout) => {
            let location = LayoutLocation::parse(layout).map_err(|source| BaseError::Digest {
                name: name.to_owned(),
                source,
            })?;
            base::resolve_layout(&workshop.store, &location, platform)
        }
        None => base::resolve_stored(&workshop.store, name, platform),
    }
}

fn report(error: &BaseError) -> Report {
    let mut report = Report::new(Kind::User, error);
    match error {
        BaseError::NotFound { .. } => {
            report.help = Some("`careen load -i ARCHIVE`, or `oci:DIRECTORY`".to_owned());
        }
        BaseError::NoPlatform { available, .. } => {
            let names: Vec<_> = available.iter().map(ToString::to_string).collect();
            report.notes.push(format!("it has {}", names.join(", ")));
        }
        _ => {}
    }
    report
}
