//! `--all-platforms`: every platform that all base images have.

use dockerfile::parse::Parsed;
use dockerfile::source::SourceFile;
use dockerfile::stage::{BaseRequest, PlanOptions, StagePlan};
use graph::SourcePolicy;
use oci::Platform;
use solver::Workshop;
use solver::base::{self, BaseError};

use super::bases::Place;
use super::policy;
use crate::command::failure;
use crate::command::said::Said;
use crate::options::BuildOptions;
use crate::report::{Kind, Report};

/// Why there are no platforms to build for.
#[derive(Debug, thiserror::Error)]
enum NoPlatforms {
    /// There is no base.
    #[error("`--all-platforms` builds for those of the base images, and there is no base image")]
    NoBase,
    /// The bases have nothing in common.
    #[error("`--all-platforms`: there is no platform that all base images are for")]
    NoneShared,
}

/// Returns the platforms that all base images of the target have, in the order of the first one.
///
/// # Errors
///
/// Fails with what is wrong in the Dockerfile, when a base is not there, and when there is no such platform.
pub(super) fn shared(
    (options, sources): (&BuildOptions, &SourcePolicy),
    plan_options: &PlanOptions,
    workshop: &Workshop,
    (source, parsed): (&SourceFile, &Parsed),
) -> Result<Vec<Platform>, Box<Report>> {
    let plan = StagePlan::new(parsed, plan_options.clone())
        .map_err(|faults| Said::new(source, &workshop.events).refuse(&faults))?;
    let mut shared: Option<Vec<Platform>> = None;
    let mut notes = Vec::new();
    for request in plan.target_bases() {
        let request = policy::admit(&request, sources, source)?;
        let found = platforms_of(&request, options, workshop);
        let found = found.map_err(|error| failure::of_base(&error, &request, source))?;
        let names: Vec<_> = found.iter().map(Platform::format_all).collect();
        notes.push(format!("`{}` has {}", request.name, names.join(", ")));
        shared = Some(match shared {
            None => found,
            Some(before) => before
                .into_iter()
                .filter(|one| found.contains(one))
                .collect(),
        });
    }
    match shared {
        None => Err(Box::new(Report::new(Kind::User, &NoPlatforms::NoBase))),
        Some(platforms) if platforms.is_empty() => {
            let mut report = Report::new(Kind::User, &NoPlatforms::NoneShared);
            report.notes = notes;
            Err(Box::new(report))
        }
        Some(platforms) => {
            check_outputs(options, &platforms)?;
            Ok(platforms)
        }
    }
}

/// Makes sure that each output has room for the platforms, which nobody knew when it was read.
fn check_outputs(options: &BuildOptions, platforms: &[Platform]) -> Result<(), Box<Report>> {
    for output in &options.result.outputs {
        output
            .check(platforms)
            .map_err(|error| Box::new(Report::new(Kind::Usage, &error)))?;
    }
    Ok(())
}

fn platforms_of(
    request: &BaseRequest,
    options: &BuildOptions,
    workshop: &Workshop,
) -> Result<Vec<Platform>, BaseError> {
    match Place::of(request, options) {
        Place::Layout(location) => base::platforms_of_layout(location),
        Place::Named(name) => base::platforms_of_named(workshop, name, options.policy.pull),
    }
}
