//! `careen save`: images of the store → an archive.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;

use runtime::CancelToken;
use solver::cancel::{CancellablePipe, is_closed_pipe};
use store::FoundImage;
use transport::archive::{Output, Style};
use transport::{CopyError, ImageArchive, PlaceError, Selection, Silent, StoreSource};

use super::{Carrier, Surroundings, below, misused};
use crate::args::{FormatArgument, SaveArguments};
use crate::exit;
use crate::options::transfer::selection;
use crate::report::{Kind, Report};
use crate::run::Outcome;

/// An archive is no text.
#[derive(Debug, thiserror::Error)]
#[error("an archive is not written to a terminal: `-o FILE` names a file")]
struct Terminal;

/// Runs `save` in the builder.
pub(super) fn run(arguments: &SaveArguments, around: Surroundings<'_>) -> Outcome {
    let selection = selection(&arguments.platforms).map_err(|error| misused(&error))?;
    let selection = selection.unwrap_or(Selection::All);
    let carrier = Carrier::open(around)?;
    // Before anything is written: a name that is wrong costs no archive.
    let found = arguments.images.iter().map(|text| carrier.find(text));
    let found = found.collect::<Result<Vec<_>, _>>()?;
    let style = match arguments.format {
        FormatArgument::Oci => Style::Oci,
        FormatArgument::Docker => Style::Docker(carrier.host.clone()),
    };
    let output = output(arguments, around)?;
    match write(&carrier, found, (output, style), &selection) {
        Err(error) if is_closed_pipe(error.as_ref()) => Ok(exit::DONE),
        Err(error) => Err(match error.downcast::<CopyError>() {
            Ok(error) => carrier.of_copy(&error),
            Err(error) => carrier.of(error.as_ref()),
        }),
        Ok(()) => Ok(exit::DONE),
    }
}

/// Writes the archive.
fn write(
    carrier: &Carrier,
    images: Vec<FoundImage>,
    (output, style): (Output, Style),
    selection: &Selection,
) -> Result<(), PlaceError> {
    let archive = Arc::new(ImageArchive::create(output, style)?);
    for image in images {
        let names: Vec<_> = image.name.into_iter().collect();
        let target = archive.image(&names);
        let shown = names.first().map(oci::Reference::familiar);
        let shown = shown.unwrap_or_else(|| image.image.digest.to_string());
        let top = &image.image.descriptor;
        let source = StoreSource::of(&carrier.store, &carrier.lease, top, shown);
        let options = carrier.options(selection.clone(), &Silent);
        transport::copy(&source, &target, &options)?;
    }
    Ok(archive.finish()?)
}

/// Returns where the archive goes.
fn output(arguments: &SaveArguments, around: Surroundings<'_>) -> Result<Output, Box<Report>> {
    let file = arguments.output.as_ref();
    if let Some(path) = file.filter(|path| path.as_os_str() != "-") {
        return Ok(Output::File(below(around.env, path)));
    }
    if io::stdout().is_terminal() {
        return Err(Box::new(Report::new(Kind::Usage, &Terminal)));
    }
    // Not through Rust's own buffer, which would write as much at once as it holds.
    let file = io::stdout().as_fd().try_clone_to_owned();
    let file = file.map_err(|error| Report::new(Kind::Host, &error))?;
    let pipe = Pipe {
        file: File::from(file),
        cancel: around.builder.cancel().clone(),
    };
    Ok(Output::Stream(
        Box::new(pipe),
        PathBuf::from("standard output"),
    ))
}

/// Standard output, which is not waited for when the command is to end.
struct Pipe {
    file: File,
    cancel: CancelToken,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        CancellablePipe::new(&self.file, &self.cancel).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
