//! `careen merge`: archives that several machines made become one index, with no registry in between.

use oci::descriptor::platform_of;
use store::LayoutSelector;
use transport::{Combination, ImageFile, LayoutSource, Location, PlaceError, Source};

use super::{Carrier, IndexError, Surroundings, misused, note, put};
use crate::args::MergeArguments;
use crate::exit;
use crate::format;
use crate::options::index::{MergeRequest, MergeSource};
use crate::report::Report;
use crate::run::Outcome;

/// Runs `merge` in the builder.
pub(super) fn run(arguments: &MergeArguments, around: Surroundings<'_>) -> Outcome {
    let request = MergeRequest::new(arguments, around.env).map_err(|error| misused(&error))?;
    let carrier = Carrier::with_registries(around, &request.registries)?;
    let sources = request.sources.iter().map(|source| open(&carrier, source));
    let sources = sources.collect::<Result<Vec<_>, _>>()?;
    let combination = merged(&sources).map_err(|error| carrier.of(&error))?;
    let index = combination
        .document()
        .map_err(|error| carrier.of(&IndexError::from(error)))?;
    for target in targets(arguments, &request, around) {
        put(&carrier, (&combination, &index), &target)?;
        note(&format!("{target}"));
    }
    format::print(&format!("{}\n", index.descriptor.digest()))?;
    Ok(exit::DONE)
}

/// Opens the only image of a file or a directory, or of a place.
fn open(carrier: &Carrier, source: &MergeSource) -> Result<Box<dyn Source>, Box<Report>> {
    let path = match source {
        MergeSource::Location(location) => return carrier.source(location),
        MergeSource::Path(path) => path,
    };
    let opened = || -> Result<Box<dyn Source>, PlaceError> {
        let is_directory = std::fs::metadata(path)?.is_dir();
        if is_directory {
            return Ok(Box::new(LayoutSource::open(
                path,
                &LayoutSelector::Default,
            )?));
        }
        let archive = ImageFile::open(path, &carrier.store, &carrier.stop)?;
        Ok(Box::new(archive.named(None)?))
    };
    opened().map_err(|source| {
        let shown = path.display().to_string();
        carrier.of(&IndexError::Read { shown, source })
    })
}

/// Puts the images together, each for a platform of its own.
fn merged(sources: &[Box<dyn Source>]) -> Result<Combination<'_>, IndexError> {
    let mut combination = Combination::new();
    for source in sources {
        combination.add(source.as_ref())?;
    }
    let several = combination
        .duplicates()
        .into_iter()
        .chain(combination.repeated())
        .next();
    if let Some(duplicate) = several {
        return Err(IndexError::of_duplicate(duplicate));
    }
    let unknown = combination
        .entries()
        .iter()
        .find(|entry| platform_of(&entry.descriptor).is_none());
    match unknown {
        None => Ok(combination),
        Some(entry) => Err(IndexError::WithoutPlatform {
            digest: entry.descriptor.digest().to_string(),
        }),
    }
}

/// Returns where the index goes: to registries, into an archive, or into the store.
fn targets(
    arguments: &MergeArguments,
    request: &MergeRequest,
    around: Surroundings<'_>,
) -> Vec<Location> {
    let mut targets = Vec::new();
    if let Some(path) = &arguments.output {
        let selector = match request.names.first() {
            Some(name) => LayoutSelector::Tag(name.to_string()),
            None => LayoutSelector::Default,
        };
        targets.push(Location::OciArchive {
            path: around.env.current_directory.join(path),
            selector,
        });
    }
    if arguments.push {
        targets.extend(request.names.iter().cloned().map(Location::Registry));
    } else if arguments.output.is_none() {
        targets.extend(request.names.iter().cloned().map(Location::Store));
    }
    targets
}
