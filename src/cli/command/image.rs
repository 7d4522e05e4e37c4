//! `careen image`: the images of the store.

mod details;
mod error;
mod filter;
pub(crate) mod history;
pub(crate) mod inspect;
pub(crate) mod ls;
mod prune;
pub(crate) mod rm;
mod space;
pub(crate) mod tag;
mod tree;

pub(in crate::command) use inspect::run_config;
pub(in crate::command) use space::{count, space};

use crate::args::ImageCommand;
use crate::command::transfer::{self, Surroundings};
use crate::options::host_platform;
use crate::report::{Kind, Report};
use crate::run::Outcome;
use oci::platform::PlatformError;
use oci::{Clock, Platform};
use store::Store;

use filter::Filters;

/// `--platform` names no platform.
#[derive(Debug, thiserror::Error)]
#[error("`--platform {text}` is no platform")]
struct PlatformUsage {
    text: String,
    source: PlatformError,
}

/// Runs a command below `image` in the builder.
pub(crate) fn run(command: &ImageCommand, around: Surroundings<'_>) -> Outcome {
    let (builder, places) = (around.builder, around.places);
    match command {
        ImageCommand::Ls(arguments) => ls::run(arguments, builder, places),
        ImageCommand::Inspect(arguments) => inspect::run(arguments, builder, places),
        ImageCommand::Tag(arguments) => tag::run(arguments, builder, places),
        ImageCommand::Rm(arguments) => rm::run(arguments, builder, places),
        ImageCommand::Prune(arguments) => prune::run(arguments, builder, places),
        ImageCommand::History(arguments) => history::run(arguments, builder, places),
        ImageCommand::Transfer(command) => transfer::run_images(command, around),
    }
}

/// Removes images without a name, or all; returns what is said of that, and how many bytes are free now.
pub(in crate::command) fn prune(
    store: &Store,
    filters: &[String],
    is_all: bool,
) -> Result<(String, u64), Box<Report>> {
    let filters = Filters::of_prune(filters)?;
    Ok(prune::prune(store, &filters, is_all)?)
}

/// Checks the filters of what prunes images.
pub(in crate::command) fn check_prune(filters: &[String]) -> Result<(), Box<Report>> {
    Filters::of_prune(filters)?;
    Ok(())
}

/// Reads `--platform`.
fn platform(text: Option<&str>) -> Result<Option<Platform>, Box<Report>> {
    let parsed = text.map(|text| {
        Platform::parse(text, &host_platform()).map_err(|source| {
            let text = text.to_owned();
            Box::new(Report::new(Kind::Usage, &PlatformUsage { text, source }))
        })
    });
    parsed.transpose()
}

/// Returns the clock that ages are told by: how old an image is depends on the day.
fn now() -> oci::Timestamp {
    Clock::System.now()
}

/// Returns the digits of an id that people see.
fn short(id: &str) -> String {
    let digits = id.split_once(':').map_or(id, |(_, digits)| digits);
    digits.chars().take(12).collect()
}
