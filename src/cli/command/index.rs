//! `careen imagetools`, `careen manifest` and `careen merge`: indexes of images that are anywhere.

mod attested;
mod create;
mod inspect;
mod manifest;
mod merge;
mod shown;

use oci::Platform;
use registry::{Registry, RegistryError};
use transport::{
    Additions, AppendError, Appended, Combination, CombineError, CopyError, Document, Duplicate,
    LayoutTag, Location, Pace, PlaceError, RegistryTag, Selection, Source, StoreTag, Tag, append,
};

use super::transfer::{Carrier, Lines, Surroundings, Words, note};
use crate::args::{ImagetoolsCommand, ManifestCommand, MergeArguments};
use crate::env::Environment;
use crate::options::index::{CreateRequest, IndexUsageError, MergeRequest};
use crate::options::transfer;
use crate::report::{Kind, Report};
use crate::run::Outcome;

/// Runs a command below `imagetools` in the builder.
pub(crate) fn run_imagetools(command: &ImagetoolsCommand, around: Surroundings<'_>) -> Outcome {
    match command {
        ImagetoolsCommand::Inspect(arguments) => inspect::run(arguments, around),
        ImagetoolsCommand::Create(arguments) => create::run(arguments, around),
    }
}

/// Runs a command below `manifest` in the builder.
pub(crate) fn run_manifest(command: &ManifestCommand, around: Surroundings<'_>) -> Outcome {
    manifest::run(command, around)
}

/// Runs `merge` in the builder.
pub(crate) fn run_merge(arguments: &MergeArguments, around: Surroundings<'_>) -> Outcome {
    merge::run(arguments, around)
}

/// Checks what can be checked of `imagetools` before a process is started.
pub(crate) fn check_imagetools(
    command: &ImagetoolsCommand,
    env: &Environment,
) -> Result<(), IndexUsageError> {
    match command {
        ImagetoolsCommand::Inspect(arguments) => {
            let location = transfer::source(&arguments.image, &arguments.registry, env)?;
            transfer::registries(&arguments.registry, env, &[&location])?;
            Ok(())
        }
        ImagetoolsCommand::Create(arguments) => CreateRequest::new(arguments, env).map(drop),
    }
}

/// Checks what can be checked of `manifest` before a process is started.
pub(crate) fn check_manifest(
    command: &ManifestCommand,
    env: &Environment,
) -> Result<(), IndexUsageError> {
    manifest::check(command, env)
}

/// Checks what can be checked of `merge` before a process is started.
pub(crate) fn check_merge(
    arguments: &MergeArguments,
    env: &Environment,
) -> Result<(), IndexUsageError> {
    MergeRequest::new(arguments, env).map(drop)
}

/// Why something cannot be done with an index.
#[derive(Debug, thiserror::Error)]
enum IndexError {
    #[error(transparent)]
    Combine(#[from] CombineError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Copy(#[from] CopyError),
    #[error("cannot read `{shown}`")]
    Read { shown: String, source: PlaceError },
    #[error("cannot write `{shown}`")]
    Write { shown: String, source: PlaceError },
    #[error("cannot write `{shown}`")]
    Registry {
        shown: String,
        source: RegistryError,
    },
    #[error("there is no image for {platform}; there are images for {available}")]
    NoPlatform {
        platform: Platform,
        available: String,
    },
    #[error("there are several images for {platform}: {sources}")]
    Duplicate { platform: Platform, sources: String },
    #[error("the platforms cannot be told of an image that has none: `{digest}`")]
    WithoutPlatform { digest: String },
}

impl IndexError {
    fn of_duplicate(duplicate: Duplicate) -> Self {
        let sources: Vec<_> = duplicate
            .sources
            .iter()
            .map(|source| format!("`{source}`"))
            .collect();
        Self::Duplicate {
            platform: duplicate.platform,
            sources: sources.join(", "),
        }
    }
}

/// Reports arguments that cannot be understood.
fn misused(error: &IndexUsageError) -> Box<Report> {
    Box::new(Report::new(Kind::Usage, error))
}

/// Tells whether a source is in the repository that an index goes to: then its images are there.
fn is_same_repository(source: &dyn Source, target: &Location) -> bool {
    match (source.repository(), target) {
        (Some(repository), Location::Registry(name)) => repository.name() == name.name(),
        _ => false,
    }
}

/// Puts the images of an index at a place, and the index under its name.
fn put(
    carrier: &Carrier,
    (combination, index): (&Combination<'_>, &Document),
    location: &Location,
) -> Result<(), Box<Report>> {
    let target = carrier.target(location)?;
    let lines = Lines::new(Words::Push);
    let options = carrier.options(Selection::All, &lines);
    let put = combination
        .put_images(target.as_ref(), &options, &|source| {
            is_same_repository(source, location)
        })
        .map_err(IndexError::from)
        .and_then(|_reports| {
            target.finish(index).map_err(|source| IndexError::Write {
                shown: target.shown(),
                source,
            })
        });
    put.map_err(|error| carrier.of(&error))
}

/// Puts the images of entries at a place, and adds them to the index that is there.
fn put_more(
    carrier: &Carrier,
    (combination, additions): (&Combination<'_>, &Additions),
    location: &Location,
    once: &Registry,
) -> Result<Appended, Box<Report>> {
    put_images_alone(carrier, combination, location)?;
    let appended = with_tag(carrier, location, once, |tag| {
        Ok(append(tag, additions, &Pace::default(), &carrier.stop)?)
    });
    let appended = appended.map_err(|error| carrier.of(&error))?;
    if let Some(late) = appended.late {
        let seconds = late.as_secs();
        warn(&format!(
            "`{location}` took {seconds} s to be written: what others added meanwhile may be lost"
        ));
    }
    Ok(appended)
}

/// Puts the images at a place without any name. A layout is locked as long as that takes, and no longer.
fn put_images_alone(
    carrier: &Carrier,
    combination: &Combination<'_>,
    location: &Location,
) -> Result<(), Box<Report>> {
    let target = carrier.target(location)?;
    let lines = Lines::new(Words::Push);
    let options = carrier.options(Selection::All, &lines);
    let is_there = |source: &dyn Source| is_same_repository(source, location);
    combination
        .put_images(target.as_ref(), &options, &is_there)
        .map(drop)
        .map_err(|error| carrier.of(&IndexError::from(error)))
}

/// Does something with the tag that a place names.
fn with_tag<R, W>(
    carrier: &Carrier,
    location: &Location,
    once: &Registry,
    work: W,
) -> Result<R, IndexError>
where
    W: FnOnce(&dyn Tag) -> Result<R, IndexError>,
{
    match location {
        Location::Store(name) => work(&StoreTag::new(&carrier.store, &carrier.lease, name)),
        Location::Layout { path, selector } => work(&LayoutTag::new(path, selector, &carrier.stop)),
        Location::Registry(name) => {
            let registry = carrier.registry.as_ref().unwrap_or(once);
            let tag =
                RegistryTag::new(registry, once, name).map_err(|source| IndexError::Registry {
                    shown: location.to_string(),
                    source,
                })?;
            work(&tag)
        }
        Location::OciArchive { .. } | Location::DockerArchive { .. } | Location::Directory(_) => {
            unreachable_place(location)
        }
    }
}

/// What the arguments do not allow came here all the same.
fn unreachable_place<R>(location: &Location) -> Result<R, IndexError> {
    Err(IndexError::Write {
        shown: location.to_string(),
        source: "it cannot be added to".into(),
    })
}

/// Writes a warning to standard error.
fn warn(text: &str) {
    note(&format!("warning: {text}"));
}
