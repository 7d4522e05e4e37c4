//! The commands that bring images from one place to another, and what they share: [`Carrier`].

mod copy;
mod delete;
mod digest;
mod failure;
mod import;
mod load;
mod progress;
mod pull;
mod push;
mod save;
mod tags;

use std::io::{self, Write as _};
use std::path::PathBuf;

use oci::Platform;
use registry::Registry;
use runtime::{Builder, CancelToken};
use store::{FoundImage, Lease, Store};
use transport::{
    Context, CopyOptions, CopyProgress, CopyReport, Location, Selection, Source, Stop, Target,
};

use crate::args::{ImageTransfer, PlaceCommand};
use crate::env::Environment;
use crate::options::transfer::TransferUsageError;
use crate::options::{Places, RegistryOptions, host_platform};
use crate::registries;
use crate::report::{Kind, Report};
use crate::run::Outcome;
use crate::workshop;

pub(super) use progress::{Lines, Words, note};

/// What a command works in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) builder: &'a Builder,
    pub(crate) places: &'a Places,
    pub(crate) env: &'a Environment,
}

/// Runs a command about the images of the store.
pub(crate) fn run_images(command: &ImageTransfer, around: Surroundings<'_>) -> Outcome {
    match command {
        ImageTransfer::Pull(arguments) => pull::run(arguments, around),
        ImageTransfer::Push(arguments) => push::run(arguments, around),
        ImageTransfer::Save(arguments) => save::run(arguments, around),
        ImageTransfer::Load(arguments) => load::run(arguments, around),
        ImageTransfer::Import(arguments) => import::run(arguments, around),
    }
}

/// Runs a command about images wherever they are.
pub(crate) fn run_places(command: &PlaceCommand, around: Surroundings<'_>) -> Outcome {
    match command {
        PlaceCommand::Copy(arguments) => copy::run(arguments, around),
        PlaceCommand::Digest(arguments) => digest::run(arguments, around),
        PlaceCommand::Tags(arguments) => tags::run(arguments, around),
        PlaceCommand::Delete(arguments) => delete::run(arguments, around),
    }
}

/// A command asks registries that it did not open.
#[derive(Debug, thiserror::Error)]
#[error("a registry is asked, and none was opened")]
struct NoRegistries;

/// What images are carried with.
pub(crate) struct Carrier {
    pub(crate) store: Store,
    pub(crate) lease: Lease,
    pub(crate) registry: Option<Registry>,
    pub(crate) host: Platform,
    pub(crate) stop: Stop,
    cancel: CancelToken,
}

impl Carrier {
    /// Opens the store.
    pub(super) fn open(around: Surroundings<'_>) -> Result<Self, Box<Report>> {
        let store = workshop::open_store(around.builder, around.places)?;
        let lease = store
            .lease()
            .map_err(|error| Report::new(Kind::Host, &error))?;
        let cancel = around.builder.cancel().clone();
        let asked = cancel.clone();
        Ok(Self {
            store,
            lease,
            registry: None,
            host: host_platform(),
            stop: Stop::new(move || asked.is_cancelled()),
            cancel,
        })
    }

    /// Opens the store, and a client of registries.
    pub(super) fn with_registries(
        around: Surroundings<'_>,
        options: &RegistryOptions,
    ) -> Result<Self, Box<Report>> {
        let registry = registries::client(options, &around.places.remote, around.builder.cancel())?;
        Ok(Self {
            registry: Some(registry),
            ..Self::open(around)?
        })
    }

    fn context(&self) -> Context<'_> {
        Context {
            store: &self.store,
            lease: &self.lease,
            registry: self.registry.as_ref(),
            platform: &self.host,
            stop: self.stop.clone(),
        }
    }

    /// Returns the client of registries.
    fn registry(&self) -> Result<&Registry, Box<Report>> {
        let registry = self.registry.as_ref();
        registry.ok_or_else(|| Box::new(Report::new(Kind::Internal, &NoRegistries)))
    }

    /// Finds an image of the store by its name or id.
    fn find(&self, text: &str) -> Result<FoundImage, Box<Report>> {
        let found = self.store.content().find(text);
        found.map_err(|error| self.of_find(&error))
    }

    pub(super) fn source(&self, location: &Location) -> Result<Box<dyn Source>, Box<Report>> {
        transport::open_source(location, &self.context()).map_err(|error| self.of_open(&error))
    }

    pub(super) fn target(&self, location: &Location) -> Result<Box<dyn Target>, Box<Report>> {
        transport::open_target(location, &self.context()).map_err(|error| self.of_open(&error))
    }

    /// Returns how images are copied unless something else is asked for.
    pub(super) fn options<'a>(
        &self,
        selection: Selection,
        progress: &'a dyn CopyProgress,
    ) -> CopyOptions<'a> {
        CopyOptions::new(selection, progress, self.stop.clone())
    }

    /// Copies what is selected, and shows what becomes of the blobs.
    fn carry(
        &self,
        (source, target): (&dyn Source, &dyn Target),
        selection: Selection,
        lines: &Lines,
    ) -> Result<CopyReport, Box<Report>> {
        let options = self.options(selection, lines);
        transport::copy(source, target, &options).map_err(|error| self.of_copy(&error))
    }
}

/// Reports arguments that cannot be understood.
fn misused(error: &TransferUsageError) -> Box<Report> {
    Box::new(Report::new(Kind::Usage, error))
}

/// Writes a line to standard output.
fn say(line: &str) {
    // Whoever closes our output has read what they wanted.
    drop(writeln!(io::stdout(), "{line}"));
}

/// Returns a path below the working directory.
fn below(env: &Environment, path: &std::path::Path) -> PathBuf {
    env.current_directory.join(path)
}
