//! What the commands share that work with the files of images: an open workshop, its warnings, its end.

use std::path::Path;

use registry::Registry;
use transport::Location;

use super::failure;
use super::located::Finder;
use super::transfer::Surroundings;
use crate::args::RegistryArguments;
use crate::exit;
use crate::options::{RegistryOptions, Resolver, host_platform};
use crate::progress::Display;
use crate::registries;
use crate::report::{Kind, Report};
use crate::run::Outcome;
use crate::workshop;

/// What is around a command, and how it reaches registries.
type Around<'a> = (Surroundings<'a>, &'a RegistryArguments);

/// Works in an open workshop for an answer that is an exit code too: 1 is one of them, and no failure. `named` are
/// the places that the command line names.
pub(crate) fn with_answer(
    around: Around<'_>,
    named: &[&str],
    work: impl FnOnce(&Finder<'_>) -> Result<u8, Box<Report>>,
) -> Outcome {
    with(around, named, work).map_err(|mut report| {
        if report.kind == Kind::User {
            report.kind = Kind::Code(exit::NO_ANSWER);
        }
        report
    })
}

/// Works in an open workshop. Warnings are shown as they come; an interruption is told as one.
pub(crate) fn with(
    around: Around<'_>,
    named: &[&str],
    work: impl FnOnce(&Finder<'_>) -> Result<u8, Box<Report>>,
) -> Outcome {
    let registry = client(around, named)?;
    let Surroundings {
        builder,
        places,
        env,
    } = around.0;
    let (workshop, events) = workshop::open(builder, places, &Resolver::default())?;
    let display = Display::quiet(events);
    let host = host_platform();
    let done = work(&Finder {
        workshop: &workshop,
        registry: &registry,
        host: &host,
        directory: Path::new(&env.current_directory),
    });
    let cancelled = workshop.cancel.reason();
    drop(workshop);
    display.finish();
    match (done, cancelled) {
        (Err(_), Some(reason)) => Err(failure::interrupted(reason)),
        (done, _) => done,
    }
}

/// Makes a client of registries; none is asked yet. `named` are the places that the command line names.
pub(crate) fn client(
    (around, arguments): Around<'_>,
    named: &[&str],
) -> Result<Registry, Box<Report>> {
    let named = named.iter().filter_map(|text| domain(text)).collect();
    let options = RegistryOptions::new(arguments, around.env, named);
    let options = options.map_err(|error| Report::new(Kind::Usage, &error))?;
    registries::client(&options, &around.places.remote, around.builder.cancel())
}

/// Returns the registry that a text names, if it names one.
fn domain(text: &str) -> Option<String> {
    match Location::parse(text).ok()? {
        Location::Registry(reference) => Some(reference.domain().to_owned()),
        _ => None,
    }
}
