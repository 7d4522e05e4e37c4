//! `careen tag`: another name for an image.

use oci::Reference;
use store::{ObjectId, Presence, Store};

use super::error::ImageError;
use crate::args::ImageTagArguments;
use crate::exit;
use crate::options::Places;
use crate::run::Outcome;
use crate::workshop;

/// Runs `image tag` in the builder.
pub(crate) fn run(
    arguments: &ImageTagArguments,
    builder: &runtime::Builder,
    places: &Places,
) -> Outcome {
    let name = new_name(&arguments.name)?;
    let store = workshop::open_store(builder, places)?;
    tag(&store, &arguments.image, &name)?;
    Ok(exit::DONE)
}

fn new_name(text: &str) -> Result<Reference, ImageError> {
    let name = Reference::parse(text).map_err(|source| ImageError::Name {
        name: text.to_owned(),
        source,
    })?;
    if name.digest().is_some() {
        return Err(ImageError::NameWithDigest {
            name: text.to_owned(),
        });
    }
    Ok(name.into_docker_ref())
}

/// Names an image; what it has stays there meanwhile, even if somebody takes its last name away.
fn tag(store: &Store, text: &str, name: &Reference) -> Result<(), ImageError> {
    let content = store.content();
    let image = content.find(text)?.image;
    let lease = store.lease()?;
    let vanished = || ImageError::Vanished {
        image: text.to_owned(),
    };
    for digest in content.reached([&image.descriptor]) {
        let presence = lease.hold(&ObjectId::Blob(digest.clone()))?;
        if digest == image.digest && presence == Presence::Absent {
            return Err(vanished());
        }
    }
    // Whoever removed it before the lease was written removed its blobs perhaps as well.
    let images = content.images()?;
    if !images.iter().any(|other| other.digest == image.digest) {
        return Err(vanished());
    }
    Ok(content.tag(name, &image.descriptor)?)
}
