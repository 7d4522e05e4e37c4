//! `careen delete`: an image out of a registry, the store, or a layout.

use oci::{Digest, Reference};
use registry::{Access, Selector};
use transport::{Location, layout};

use super::{Carrier, Surroundings, misused, say};
use crate::args::DeleteArguments;
use crate::exit;
use crate::options::transfer::{deletable, registries};
use crate::report::{Kind, Report};
use crate::run::Outcome;

/// There is nothing to remove.
#[derive(Debug, thiserror::Error)]
#[error("no image `{name}` in {place}")]
struct Absent {
    name: String,
    place: &'static str,
}

/// Runs `delete` in the builder.
pub(super) fn run(arguments: &DeleteArguments, around: Surroundings<'_>) -> Outcome {
    let location = deletable(&arguments.image, around.env).map_err(|error| misused(&error))?;
    let options = registries(&arguments.registry, around.env, &[&location]);
    let options = options.map_err(|error| misused(&error))?;
    let carrier = Carrier::with_registries(around, &options)?;
    match &location {
        Location::Registry(name) => carrier.delete_from_registry(name)?,
        Location::Store(name) => carrier.delete_from_store(name)?,
        Location::Layout { path, selector } | Location::OciArchive { path, selector } => {
            let gone = layout::remove(path, selector, &carrier.stop);
            for entry in gone.map_err(|error| carrier.of(&error))? {
                say(&format!("Untagged: {location} ({})", entry.digest()));
            }
        }
        Location::DockerArchive { .. } | Location::Directory(_) => {}
    }
    Ok(exit::DONE)
}

impl Carrier {
    /// Removes the manifest that a tag names: tags alone are not removed by every registry, and all tags of the
    /// manifest go with it.
    fn delete_from_registry(&self, name: &Reference) -> Result<(), Box<Report>> {
        let failed = |error| self.of_asked(("delete", &name.familiar()), error);
        let repository = self.registry()?.repository(name, Access::Push);
        let repository = repository.map_err(failed)?;
        let digest = if let Some(digest) = name.digest() {
            digest.clone()
        } else {
            let found = repository.resolve(&Selector::of(name)).map_err(failed)?;
            let found = found.ok_or_else(|| absent(name, "the registry", Kind::Remote))?;
            Digest::parse(found.digest().as_ref()).map_err(|error| self.of(&error))?
        };
        repository.delete_manifest(&digest).map_err(failed)?;
        say(&format!("Deleted: {}@{digest}", name.familiar_name()));
        Ok(())
    }

    fn delete_from_store(&self, name: &Reference) -> Result<(), Box<Report>> {
        let untagged = self.store.content().untag(name);
        if !untagged.map_err(|error| self.of(&error))? {
            return Err(absent(name, "the store", Kind::User));
        }
        say(&format!("Untagged: {}", name.familiar()));
        Ok(())
    }
}

fn absent(name: &Reference, place: &'static str, kind: Kind) -> Box<Report> {
    let name = name.familiar();
    Box::new(Report::new(kind, &Absent { name, place }))
}
