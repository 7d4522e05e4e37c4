//! `careen manifest inspect`: a list, or what is anywhere, as docker shows it.

use oci::Descriptor;
use oci::check::is_index;
use oci::descriptor::{self, with_platform};
use oci::media_type::DOCKER_MANIFEST;
use serde_json::{Value as Json, json};
use template::Value;
use transport::{Combination, Document, Location, Source, platform_of_manifest};

use super::super::inspect::read_root;
use super::super::shown;
use super::{
    Carrier, IndexError, ManifestError, Surroundings, asked, image_of, list_name, misused, read,
};
use crate::args::ManifestInspectArguments;
use crate::env::Environment;
use crate::exit;
use crate::format;
use crate::options::index::IndexUsageError;
use crate::options::transfer;
use crate::report::Report;
use crate::run::Outcome;

/// Checks what can be checked before a process is started.
pub(super) fn check(
    arguments: &ManifestInspectArguments,
    env: &Environment,
) -> Result<(), IndexUsageError> {
    match arguments.images.as_slice() {
        [list, image] => {
            list_name(list)?;
            super::Asked::new(list, std::slice::from_ref(image), &arguments.access, env).map(drop)
        }
        images => images.iter().try_for_each(|image| {
            let location = transfer::location(image, env)?;
            transfer::registries(&arguments.access.registry(), env, &[&location])?;
            Ok(())
        }),
    }
}

/// Runs `manifest inspect` in the builder.
pub(super) fn run(arguments: &ManifestInspectArguments, around: Surroundings<'_>) -> Outcome {
    let json = match arguments.images.as_slice() {
        [list, image] => member(arguments, (list, image), around)?,
        [image] => list_or_image(arguments, image, around)?,
        _ => Json::Null,
    };
    format::print(&(template::indented(&json, "\t") + "\n"))?;
    Ok(exit::DONE)
}

/// Shows an image of a list: its descriptor.
fn member(
    arguments: &ManifestInspectArguments,
    (list, image): (&str, &str),
    around: Surroundings<'_>,
) -> Result<Json, Box<Report>> {
    let asked = asked(list, &[image.to_owned()], &arguments.access, around)?;
    let carrier = Carrier::with_registries(around, &asked.registries)?;
    let found = read(&carrier.store.lists(), &asked.name).map_err(|error| carrier.of(&error))?;
    let image = image_of(image, around.env);
    let member = found.member(&image).ok_or_else(|| {
        carrier.of(&ManifestError::NoMember {
            name: asked.name.familiar(),
            image: image.clone(),
        })
    })?;
    let source = super::pinned(&carrier, &asked.name, member)?;
    let described = describe(source.as_ref(), &member.image, &member.descriptor);
    described.map_err(|error| carrier.of(&error))
}

/// Shows the list of a name or, where there is none, what is at the place.
fn list_or_image(
    arguments: &ManifestInspectArguments,
    image: &str,
    around: Surroundings<'_>,
) -> Result<Json, Box<Report>> {
    let location = transfer::location(image, around.env).map_err(|error| misused(&error.into()))?;
    let registries = transfer::registries(&arguments.access.registry(), around.env, &[&location])
        .map_err(|error| misused(&error.into()))?;
    let carrier = Carrier::with_registries(around, &registries)?;
    if let Location::Registry(name) = &location {
        let list = carrier
            .store
            .lists()
            .get::<super::List>(name)
            .map_err(|error| carrier.of(&error))?;
        if let Some(list) = list {
            let entries = list
                .members
                .iter()
                .map(|member| member.descriptor.clone())
                .collect();
            return Ok(of_entries(entries));
        }
    }
    let source = carrier.source(&location)?;
    let shown = at(source.as_ref(), &location, arguments.verbose);
    shown.map_err(|error| carrier.of(&error))
}

/// Returns the index that a list of entries makes.
fn of_entries(entries: Vec<Descriptor>) -> Json {
    let is_docker = entries
        .iter()
        .all(|entry| entry.media_type().as_ref() == DOCKER_MANIFEST);
    let flavour = if is_docker {
        oci::media_type::Flavour::Docker
    } else {
        oci::media_type::Flavour::Oci
    };
    let mut index = descriptor::new_index(entries);
    index.set_media_type(Some(flavour.index().into()));
    serde_json::from_slice(&descriptor::to_canonical_json(&index)).unwrap_or_default()
}

fn at(source: &dyn Source, location: &Location, verbose: bool) -> Result<Json, IndexError> {
    let root = read_root(source)?;
    if !verbose {
        return Ok(parsed(&root));
    }
    if !is_index(&root.bytes) {
        let entry = with_known_platform(source, &root);
        return describe(source, &location.to_string(), &entry);
    }
    let mut combination = Combination::new();
    combination.add(source)?;
    let entries = combination.entries().iter().map(|entry| {
        let entry = &entry.descriptor;
        describe(source, &format!("{location}@{}", entry.digest()), entry)
    });
    Ok(Json::Array(entries.collect::<Result<_, _>>()?))
}

/// Returns a descriptor with the platform of its configuration, if that says one.
fn with_known_platform(source: &dyn Source, root: &Document) -> Descriptor {
    match platform_of_manifest(source, root) {
        Ok(platform) => with_platform(root.descriptor.clone(), &platform),
        // An artifact is for no platform.
        Err(_no_image) => root.descriptor.clone(),
    }
}

/// Returns a manifest with its descriptor, in docker's words.
fn describe(source: &dyn Source, name: &str, entry: &Descriptor) -> Result<Json, IndexError> {
    let document = source.document(entry).map_err(|error| IndexError::Read {
        shown: format!("{}@{}", source.shown(), entry.digest()),
        source: error,
    })?;
    let is_docker = entry.media_type().as_ref() == DOCKER_MANIFEST;
    let key = match (is_index(&document.bytes), is_docker) {
        (true, _) => "Index",
        (false, true) => "SchemaV2Manifest",
        (false, false) => "OCIManifest",
    };
    let described = Value::from(shown::descriptor(entry)).to_json();
    let mut fields = serde_json::Map::new();
    fields.insert("Ref".to_owned(), json!(name));
    fields.insert("Descriptor".to_owned(), described);
    fields.insert(key.to_owned(), parsed(&document));
    Ok(Json::Object(fields))
}

/// Returns a document that was parsed before as JSON.
fn parsed(document: &Document) -> Json {
    serde_json::from_slice(&document.bytes).unwrap_or_default()
}
