//! `careen imagetools create`: an index of images, and one more image for an index.

use std::path::Path;

use export::Annotation;
use export::annotation::AnnotationLevel;
use oci::check::is_attestation;
use oci::descriptor::{annotated, digest_of, platform_of, to_canonical_json};
use oci::{Descriptor, Platform};
use registry::Registry;
use serde_json::{Value as Json, json};
use transport::{Combination, Document, Location, Source, appended_to};

use super::{Carrier, IndexError, Surroundings, misused, note, put, put_more, warn, with_tag};
use crate::args::ImagetoolsCreateArguments;
use crate::exit;
use crate::format;
use crate::options::RegistryOptions;
use crate::options::index::{CreateRequest, IndexSource};
use crate::registries;
use crate::report::{Kind, Report};
use crate::run::Outcome;

/// What is known of the index cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write what is known of the index to `{path}`")]
struct MetadataFile {
    path: String,
    source: std::io::Error,
}

/// Runs `imagetools create` in the builder.
pub(super) fn run(arguments: &ImagetoolsCreateArguments, around: Surroundings<'_>) -> Outcome {
    let request = CreateRequest::new(arguments, around.env).map_err(|error| misused(&error))?;
    let carrier = Carrier::with_registries(around, &request.registries)?;
    let sources = request
        .sources
        .iter()
        .map(|source| carrier.source(&source.location));
    let sources = sources.collect::<Result<Vec<_>, _>>()?;
    let combination = combined(&request, &sources).map_err(|error| carrier.of(&error))?;
    let index = if arguments.append {
        add(arguments, &request, &carrier, (&combination, around))?
    } else {
        Some(write(arguments, &request, &carrier, &combination)?)
    };
    if let (Some(path), Some(index)) = (&arguments.metadata_file, index) {
        write_metadata(
            &around.env.current_directory.join(path),
            &request.targets,
            &index,
        )?;
    }
    Ok(exit::DONE)
}

/// Puts the entries together, as they are asked for.
fn combined<'a>(
    request: &CreateRequest,
    sources: &'a [Box<dyn Source>],
) -> Result<Combination<'a>, IndexError> {
    let mut combination = Combination::new();
    for source in sources {
        combination.add(source.as_ref())?;
    }
    describe(&mut combination, &request.sources);
    keep_platforms(&mut combination, &request.platforms)?;
    for annotation in &request.annotations {
        annotate(&mut combination, annotation);
    }
    for duplicate in combination.duplicates() {
        warn(&format!(
            "{}; whoever asks for it gets the first",
            IndexError::of_duplicate(duplicate)
        ));
    }
    Ok(combination)
}

/// Says of entries what the descriptors of the sources say.
fn describe(combination: &mut Combination<'_>, sources: &[IndexSource]) {
    let described: Vec<_> = sources
        .iter()
        .filter_map(|source| source.descriptor.as_ref())
        .collect();
    if described.is_empty() {
        return;
    }
    combination.change_entries(|entry, _from| {
        let digest = entry.digest().clone();
        for said in described.iter().filter(|said| *said.digest() == digest) {
            if let Some(platform) = said.platform() {
                entry.set_platform(Some(platform.clone()));
            }
            for (key, value) in said.annotations().iter().flatten() {
                *entry = annotated(entry, key, value);
            }
        }
    });
}

fn keep_platforms(
    combination: &mut Combination<'_>,
    platforms: &[Platform],
) -> Result<(), IndexError> {
    if platforms.is_empty() {
        return Ok(());
    }
    let available: Vec<_> = combination
        .entries()
        .iter()
        .filter(|entry| !is_attestation(&entry.descriptor))
        .filter_map(|entry| platform_of(&entry.descriptor))
        .map(|platform| platform.to_string())
        .collect();
    match combination.keep_platforms(platforms).into_iter().next() {
        None => Ok(()),
        Some(platform) => Err(IndexError::NoPlatform {
            platform,
            available: available.join(", "),
        }),
    }
}

/// Says something of the index, or of those entries that it is about.
fn annotate(combination: &mut Combination<'_>, annotation: &Annotation) {
    let Annotation { key, value, .. } = annotation;
    if annotation.level == AnnotationLevel::Index {
        combination.annotate(key, value);
        return;
    }
    combination.change_entries(|entry, _from| {
        let is_for =
            |platform: &Platform| platform_of(entry).is_some_and(|other| platform.is_same(&other));
        let is_meant = !is_attestation(entry) && annotation.platform.as_ref().is_none_or(is_for);
        if is_meant {
            *entry = annotated(entry, key, value);
        }
    });
}

/// Writes the index to each target, or shows it.
fn write(
    arguments: &ImagetoolsCreateArguments,
    request: &CreateRequest,
    carrier: &Carrier,
    combination: &Combination<'_>,
) -> Result<Descriptor, Box<Report>> {
    let index = match combination.unchanged(!arguments.prefer_index) {
        Some(document) => document.clone(),
        None => combination
            .document()
            .map_err(|error| carrier.of(&IndexError::from(error)))?,
    };
    if arguments.dry_run {
        show(&index)?;
        return Ok(index.descriptor);
    }
    for target in &request.targets {
        put(carrier, (combination, &index), target)?;
        tell(target, &index.descriptor);
    }
    Ok(index.descriptor)
}

/// Adds the entries to the index of each target, or shows what that would be.
fn add(
    arguments: &ImagetoolsCreateArguments,
    request: &CreateRequest,
    carrier: &Carrier,
    (combination, around): (&Combination<'_>, Surroundings<'_>),
) -> Result<Option<Descriptor>, Box<Report>> {
    let once = once(around, &request.registries)?;
    let additions = combination.additions();
    let mut last = None;
    for target in &request.targets {
        if arguments.dry_run {
            let index = with_tag(carrier, target, &once, |tag| {
                Ok(appended_to(tag, &additions)?)
            });
            let index = index.map_err(|error| carrier.of(&error))?;
            show(&index)?;
            last = Some(index.descriptor);
            continue;
        }
        let appended = put_more(carrier, (combination, &additions), target, &once)?;
        tell(target, &appended.index);
        last = Some(appended.index);
    }
    Ok(last)
}

/// Opens a client of registries that tries nothing again: for what must not have effect later than it is sent.
fn once(around: Surroundings<'_>, options: &RegistryOptions) -> Result<Registry, Box<Report>> {
    let options = RegistryOptions {
        retry: Some(0),
        ..options.clone()
    };
    registries::client(&options, &around.places.remote, around.builder.cancel())
}

fn show(index: &Document) -> Result<(), Box<Report>> {
    match serde_json::from_slice::<Json>(&index.bytes) {
        Ok(json) => format::print(&(template::indented(&json, "  ") + "\n")),
        // It was made, or parsed, by ourselves.
        Err(_no_json) => format::print(&String::from_utf8_lossy(&index.bytes)),
    }
}

fn tell(target: &Location, index: &Descriptor) {
    note(&format!("{target}: {}", index.digest()));
}

fn write_metadata(
    path: &Path,
    targets: &[Location],
    index: &Descriptor,
) -> Result<(), Box<Report>> {
    let names: Vec<_> = targets.iter().map(ToString::to_string).collect();
    let digest = digest_of(index)
        .map(|digest| digest.to_string())
        .unwrap_or_default();
    let known = json!({
        "containerimage.descriptor": serde_json::from_slice::<Json>(&to_canonical_json(index)).unwrap_or_default(),
        "containerimage.digest": digest,
        "image.name": names.join(","),
    });
    let text = template::indented(&known, "  ") + "\n";
    export::write_file(path, text.as_bytes()).map_err(|source| {
        let path = path.display().to_string();
        Box::new(Report::new(Kind::User, &MetadataFile { path, source }))
    })
}
