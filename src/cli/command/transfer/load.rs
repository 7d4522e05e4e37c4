//! `careen load`: images of an archive → the store.

use std::io;
use std::path::Path;

use transport::archive::ArchiveSourceError;
use transport::{ArchivedImage, ImageFile, Selection, StoreTarget};

use super::{Carrier, Lines, Surroundings, Words, below, misused, say};
use crate::args::LoadArguments;
use crate::exit;
use crate::options::transfer::selection;
use crate::report::Report;
use crate::run::Outcome;

/// Runs `load` in the builder.
pub(super) fn run(arguments: &LoadArguments, around: Surroundings<'_>) -> Outcome {
    let selection = selection(&arguments.platforms).map_err(|error| misused(&error))?;
    let selection = selection.unwrap_or(Selection::All);
    let carrier = Carrier::open(around)?;
    let images = open(arguments, around, &carrier).and_then(|archive| archive.images());
    let images = images.map_err(|error| {
        let file = arguments.input.as_ref();
        let shown = file.map_or("-".into(), |path| path.to_string_lossy());
        carrier.of_asked(("load", &shown), error)
    })?;
    for image in images {
        let line = load(&carrier, image, selection.clone())?;
        if !arguments.quiet {
            say(&line);
        }
    }
    Ok(exit::DONE)
}

fn open(
    arguments: &LoadArguments,
    around: Surroundings<'_>,
    carrier: &Carrier,
) -> Result<ImageFile, ArchiveSourceError> {
    let file = arguments.input.as_ref();
    if let Some(path) = file.filter(|path| path.as_os_str() != "-") {
        let path = below(around.env, path);
        return ImageFile::open(&path, &carrier.store, &carrier.stop);
    }
    let place = (Path::new("standard input"), &carrier.store);
    ImageFile::read(io::stdin(), place, &carrier.stop)
}

/// Loads an image; returns what is said of it.
fn load(
    carrier: &Carrier,
    image: ArchivedImage,
    selection: Selection,
) -> Result<String, Box<Report>> {
    let names = image.names;
    let target = StoreTarget::new(&carrier.store, &carrier.lease, names.clone());
    let lines = Lines::new(Words::None);
    let report = carrier.carry((&image.source, &target), selection, &lines)?;
    if names.is_empty() {
        return Ok(format!("Loaded image ID: {}", report.root.digest()));
    }
    let names = names
        .iter()
        .map(|name| format!("Loaded image: {}", name.familiar()));
    Ok(names.collect::<Vec<_>>().join("\n"))
}
