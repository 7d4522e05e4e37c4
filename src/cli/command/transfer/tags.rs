//! `careen tags`: the tags of a repository.

use std::collections::BTreeSet;

use oci::Reference;
use oci::descriptor::{ANNOTATION_REF_NAME, annotation_of};
use registry::Access;
use store::ForeignLayout;
use transport::Location;

use super::{Carrier, Surroundings, misused, say};
use crate::args::TagsArguments;
use crate::exit;
use crate::options::transfer::{registries, tags_location};
use crate::report::Report;
use crate::run::Outcome;

/// Runs `tags` in the builder.
pub(super) fn run(arguments: &TagsArguments, around: Surroundings<'_>) -> Outcome {
    let location = tags_location(&arguments.repository, &arguments.registry, around.env)
        .map_err(|error| misused(&error))?;
    let options = registries(&arguments.registry, around.env, &[&location]);
    let options = options.map_err(|error| misused(&error))?;
    let carrier = Carrier::with_registries(around, &options)?;
    let tags = carrier.tags(&location)?;
    for tag in tags.iter().take(arguments.limit.unwrap_or(usize::MAX)) {
        say(tag);
    }
    Ok(exit::DONE)
}

impl Carrier {
    fn tags(&self, location: &Location) -> Result<Vec<String>, Box<Report>> {
        match location {
            Location::Registry(name) => self.tags_of_registry(name),
            Location::Store(name) => self.tags_of_store(name),
            Location::Layout { path, .. }
            | Location::OciArchive { path, .. }
            | Location::DockerArchive { path, .. }
            | Location::Directory(path) => {
                let layout = ForeignLayout::open(path).map_err(|error| self.of(&error))?;
                let entries = layout.entries().iter();
                let names = entries.filter_map(|entry| annotation_of(entry, ANNOTATION_REF_NAME));
                let names: BTreeSet<_> = names.map(str::to_owned).collect();
                Ok(names.into_iter().collect())
            }
        }
    }

    fn tags_of_registry(&self, name: &Reference) -> Result<Vec<String>, Box<Report>> {
        let repository = self.registry()?.repository(name, Access::Pull);
        let tags = repository.and_then(|repository| repository.tags());
        let mut tags = tags
            .map_err(|error| self.of_asked(("list the tags of", &name.familiar_name()), error))?;
        // The specification wants them in this order, and not every registry knows.
        tags.sort();
        Ok(tags)
    }

    fn tags_of_store(&self, name: &Reference) -> Result<Vec<String>, Box<Report>> {
        let tags = self
            .store
            .content()
            .tags()
            .map_err(|error| self.of(&error))?;
        let names = tags.iter().map(|(other, _)| other);
        let same = names.filter(|other| other.name() == name.name());
        Ok(same
            .filter_map(|other| other.tag().map(str::to_owned))
            .collect())
    }
}
