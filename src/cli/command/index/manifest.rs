//! `careen manifest`: lists of manifests that are put together step by step, and pushed as indexes.
//!
//! A list is in the store (`store::ListStore`) until it is pushed: where each image is, and what the index will say of
//! it. Nothing of the images is there.

mod inspect;
mod list;

use oci::check::{is_attestation, is_index, parse_index};
use oci::descriptor::{platform_of, with_platform};
use oci::{Descriptor, Platform, Reference};
use store::{ListError, ListStore};
use transport::{Combination, Location, Source};

use super::{Carrier, IndexError, Surroundings, misused, put};
use crate::args::{
    ManifestAccess, ManifestAnnotateArguments, ManifestCommand, ManifestPushArguments,
    ManifestRmArguments,
};
use crate::env::Environment;
use crate::exit;
use crate::format;
use crate::options::RegistryOptions;
use crate::options::index::{IndexUsageError, list_name};
use crate::options::transfer;
use crate::report::{Kind, Report};
use crate::run::Outcome;

use list::{List, Member};

/// Why something cannot be done with a list.
#[derive(Debug, thiserror::Error)]
enum ManifestError {
    #[error(transparent)]
    List(#[from] ListError),
    #[error(transparent)]
    Index(Box<IndexError>),
    #[error("there is a list `{name}` already")]
    Exists { name: String },
    #[error("there is no list `{name}`")]
    NoList { name: String },
    #[error("the list `{name}` has no image `{image}`")]
    NoMember { name: String, image: String },
    #[error(
        "`{image}` is an index of several images, and a list is of single ones: it has {platforms}"
    )]
    IsIndex { image: String, platforms: String },
    #[error(
        "`{image}` in the list `{name}` is another image now: it was `{expected}` when it was added"
    )]
    Moved {
        image: String,
        name: String,
        expected: String,
    },
}

/// Checks what can be checked before a process is started.
pub(super) fn check(command: &ManifestCommand, env: &Environment) -> Result<(), IndexUsageError> {
    match command {
        ManifestCommand::Create(arguments) => {
            Asked::new(&arguments.list, &arguments.images, &arguments.access, env).map(drop)
        }
        ManifestCommand::Add(arguments) => {
            Asked::new(&arguments.list, &arguments.images, &arguments.access, env).map(drop)
        }
        ManifestCommand::Annotate(arguments) => list_name(&arguments.list).map(drop),
        ManifestCommand::Inspect(arguments) => inspect::check(arguments, env),
        ManifestCommand::Push(arguments) => {
            let target = arguments.destination.as_ref().unwrap_or(&arguments.list);
            Asked::new(
                &arguments.list,
                std::slice::from_ref(target),
                &arguments.access,
                env,
            )
            .map(drop)
        }
        ManifestCommand::Rm(arguments) => arguments
            .lists
            .iter()
            .try_for_each(|name| list_name(name).map(drop)),
    }
}

/// Runs a command in the builder.
pub(super) fn run(command: &ManifestCommand, around: Surroundings<'_>) -> Outcome {
    match command {
        ManifestCommand::Create(create) => {
            let asked = asked(&create.list, &create.images, &create.access, around)?;
            let begins = if create.amend {
                Begins::Anyhow
            } else {
                Begins::Anew
            };
            add(&asked, begins, around)
        }
        ManifestCommand::Add(add_arguments) => {
            let asked = asked(
                &add_arguments.list,
                &add_arguments.images,
                &add_arguments.access,
                around,
            )?;
            add(&asked, Begins::Never, around)
        }
        ManifestCommand::Annotate(arguments) => annotate(arguments, around),
        ManifestCommand::Inspect(arguments) => inspect::run(arguments, around),
        ManifestCommand::Push(arguments) => push(arguments, around),
        ManifestCommand::Rm(arguments) => remove(arguments, around),
    }
}

/// A list and places, as they were typed.
struct Asked {
    name: Reference,
    locations: Vec<Location>,
    registries: RegistryOptions,
}

impl Asked {
    fn new(
        list: &str,
        images: &[String],
        access: &ManifestAccess,
        env: &Environment,
    ) -> Result<Self, IndexUsageError> {
        let name = list_name(list)?;
        let locations = images.iter().map(|image| transfer::location(image, env));
        let locations = locations.collect::<Result<Vec<_>, _>>()?;
        let places: Vec<_> = locations.iter().collect();
        Ok(Self {
            name,
            registries: transfer::registries(&access.registry(), env, &places)?,
            locations,
        })
    }
}

fn asked(
    list: &str,
    images: &[String],
    access: &ManifestAccess,
    around: Surroundings<'_>,
) -> Result<Asked, Box<Report>> {
    Asked::new(list, images, access, around.env).map_err(|error| misused(&error))
}

/// Whether a list may be begun by adding to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begins {
    /// It must not be there.
    Anew,
    /// It may be there.
    Anyhow,
    /// It must be there.
    Never,
}

fn add(asked: &Asked, begins: Begins, around: Surroundings<'_>) -> Outcome {
    let carrier = Carrier::with_registries(around, &asked.registries)?;
    let lists = carrier.store.lists();
    let mut members = Vec::new();
    for location in &asked.locations {
        let source = carrier.source(location)?;
        let member = member_of(source.as_ref(), location);
        members.push(member.map_err(|error| reported(&carrier, &error))?);
    }
    let name = asked.name.familiar();
    let added = lists.change(&asked.name, |list: Option<List>| {
        let mut list = match (list, begins) {
            (Some(_), Begins::Anew) => return Err(ManifestError::Exists { name }),
            (None, Begins::Never) => return Err(ManifestError::NoList { name }),
            (list, _) => list.unwrap_or_default(),
        };
        for member in members {
            list.add(member);
        }
        Ok(list)
    });
    added.map_err(|error| reported(&carrier, &error))?;
    format::print(&format!("Created manifest list {}\n", asked.name))?;
    Ok(exit::DONE)
}

/// Reports what cannot be added, with the way out.
fn reported(carrier: &Carrier, error: &ManifestError) -> Box<Report> {
    let mut report = carrier.of(error);
    let help = match error {
        ManifestError::Exists { .. } => "`--amend` adds to it, `careen manifest rm` removes it",
        ManifestError::IsIndex { .. } => "`careen imagetools create` takes all images of an index",
        _ => return report,
    };
    report.help = Some(help.to_owned());
    report
}

/// Finds out what a place has: an image, or an index of one image alone.
fn member_of(source: &dyn Source, location: &Location) -> Result<Member, ManifestError> {
    let mut combination = Combination::new();
    let added = combination.add(source);
    added.map_err(|error| ManifestError::Index(Box::new(error.into())))?;
    let entries = combination.entries().iter().map(|entry| &entry.descriptor);
    let images: Vec<_> = entries.filter(|entry| !is_attestation(entry)).collect();
    match images.as_slice() {
        [image] => Ok(Member::new(location, image)),
        images => {
            let platforms = images.iter().filter_map(|image| platform_of(image));
            let platforms: Vec<_> = platforms.map(|platform| platform.to_string()).collect();
            Err(ManifestError::IsIndex {
                image: location.to_string(),
                platforms: platforms.join(", "),
            })
        }
    }
}

fn annotate(arguments: &ManifestAnnotateArguments, around: Surroundings<'_>) -> Outcome {
    let carrier = Carrier::open(around)?;
    let name = list_name(&arguments.list).map_err(|error| misused(&error))?;
    let image = image_of(&arguments.image, around.env);
    let missing = || ManifestError::NoList {
        name: name.familiar(),
    };
    let changed = carrier.store.lists().change(&name, |list: Option<List>| {
        let mut list = list.ok_or_else(missing)?;
        let member = list
            .member_mut(&image)
            .ok_or_else(|| ManifestError::NoMember {
                name: name.familiar(),
                image: image.clone(),
            })?;
        let described = described(&member.descriptor, arguments);
        member.descriptor = described;
        Ok::<_, ManifestError>(list)
    });
    changed.map_err(|error| carrier.of(&error))?;
    Ok(exit::DONE)
}

/// Returns an image as lists name it: the place in its own words, or a digest.
fn image_of(text: &str, env: &Environment) -> String {
    if oci::Digest::parse(text).is_ok() {
        return text.to_owned();
    }
    transfer::location(text, env)
        .map_or_else(|_no_place| text.to_owned(), |location| location.to_string())
}

/// Returns the descriptor with what is said of the platform.
fn described(descriptor: &Descriptor, arguments: &ManifestAnnotateArguments) -> Descriptor {
    let mut platform = platform_of(descriptor).unwrap_or_else(|| Platform::new("", ""));
    if let Some(os) = &arguments.os {
        platform.os.clone_from(os);
    }
    if let Some(architecture) = &arguments.arch {
        platform.architecture.clone_from(architecture);
    }
    if arguments.variant.is_some() {
        platform.variant.clone_from(&arguments.variant);
    }
    if arguments.os_version.is_some() {
        platform.os_version.clone_from(&arguments.os_version);
    }
    for feature in &arguments.os_features {
        if !platform.os_features.contains(feature) {
            platform.os_features.push(feature.clone());
        }
    }
    with_platform(descriptor.clone(), &platform)
}

/// Reads a list that has to be there.
fn read(lists: &ListStore, name: &Reference) -> Result<List, ManifestError> {
    lists.get(name)?.ok_or_else(|| ManifestError::NoList {
        name: name.familiar(),
    })
}

fn push(arguments: &ManifestPushArguments, around: Surroundings<'_>) -> Outcome {
    let target = arguments.destination.as_ref().unwrap_or(&arguments.list);
    let asked = asked(
        &arguments.list,
        std::slice::from_ref(target),
        &arguments.access,
        around,
    )?;
    let carrier = Carrier::with_registries(around, &asked.registries)?;
    let lists = carrier.store.lists();
    let list = read(&lists, &asked.name).map_err(|error| carrier.of(&error))?;
    let sources = list
        .members
        .iter()
        .map(|member| pinned(&carrier, &asked.name, member));
    let sources = sources.collect::<Result<Vec<_>, _>>()?;
    let combination = combined(&list, &sources).map_err(|error| carrier.of(&error))?;
    let index = combination
        .document()
        .map_err(|error| carrier.of(&IndexError::from(error)))?;
    for location in &asked.locations {
        put(&carrier, (&combination, &index), location)?;
    }
    if arguments.purge {
        lists
            .remove(&asked.name)
            .map_err(|error| carrier.of(&error))?;
    }
    format::print(&format!("{}\n", index.descriptor.digest()))?;
    Ok(exit::DONE)
}

/// Opens the place of an image, which has to have the same image as when it was added.
fn pinned(
    carrier: &Carrier,
    name: &Reference,
    member: &Member,
) -> Result<Box<dyn Source>, Box<Report>> {
    let location = member.pinned().map_err(|error| carrier.of(&error))?;
    let source = carrier.source(&location)?;
    let root = super::inspect::read_root(source.as_ref()).map_err(|error| carrier.of(&error))?;
    let expected = member.descriptor.digest().to_string();
    let is_in_index = || {
        parse_index(&root.bytes).is_ok_and(|index| {
            index
                .manifests()
                .iter()
                .any(|entry| entry.digest() == member.descriptor.digest())
        })
    };
    let is_same = root.descriptor.digest() == member.descriptor.digest()
        || (is_index(&root.bytes) && is_in_index());
    if is_same {
        return Ok(source);
    }
    Err(carrier.of(&ManifestError::Moved {
        image: member.image.clone(),
        name: name.familiar(),
        expected,
    }))
}

/// Puts the images together, with what the list says of them.
fn combined<'a>(
    list: &List,
    sources: &'a [Box<dyn Source>],
) -> Result<Combination<'a>, IndexError> {
    let mut combination = Combination::new();
    for source in sources {
        combination.add(source.as_ref())?;
    }
    combination.change_entries(|entry, _from| {
        let member = list
            .members
            .iter()
            .find(|member| member.descriptor.digest() == entry.digest());
        if let Some(member) = member {
            entry.set_platform(member.descriptor.platform().clone());
        }
    });
    Ok(combination)
}

fn remove(arguments: &ManifestRmArguments, around: Surroundings<'_>) -> Outcome {
    let carrier = Carrier::open(around)?;
    let lists = carrier.store.lists();
    for text in &arguments.lists {
        let name = list_name(text).map_err(|error| misused(&error))?;
        let removed = lists.remove(&name).map_err(|error| carrier.of(&error))?;
        if !removed {
            let name = name.familiar();
            return Err(Box::new(Report::new(
                Kind::User,
                &ManifestError::NoList { name },
            )));
        }
    }
    Ok(exit::DONE)
}
