//! Images that are kept (`--load`) of a builder with a store of its own: they go on to the user's store, where `images`, `run` and
//! `push` find them, and the builder's has its cache of them.

use export::output::Publication;
use export::{Exported, ExportedImage, OutputSpec};
use oci::descriptor;
use transport::{Selection, StoreSource, StoreTarget};

use crate::command::transfer::{Carrier, Lines, Surroundings, Words};
use crate::options::{Places, ResultOptions};
use crate::report::{Kind, Report};

/// Brings what was kept into the user's store, if that is another one.
pub(super) fn carry<'e>(
    exported: &'e [Exported],
    options: &ResultOptions,
    around: Surroundings<'_>,
) -> Result<(), Box<Report>> {
    let Some(users) = around.places.users_store.clone() else {
        return Ok(());
    };
    let kept = |(output, exported): (&OutputSpec, &'e Exported)| match output {
        OutputSpec::Image { publication, .. } if publication.store => {
            let image = exported.image.as_ref()?;
            Some((publication.clone(), image))
        }
        _ => None,
    };
    let outputs = options.outputs.iter().zip(exported);
    let images: Vec<_> = outputs.filter_map(kept).collect();
    if images.is_empty() {
        return Ok(());
    }
    let places = Places {
        store: users,
        users_store: None,
        ..around.places.clone()
    };
    let own = Carrier::open(around)?;
    let users = Carrier::open(Surroundings {
        places: &places,
        ..around
    })?;
    images
        .iter()
        .try_for_each(|(publication, image)| carry_one((publication, image), &own, &users))
}

fn carry_one(
    (publication, image): (&Publication, &ExportedImage),
    own: &Carrier,
    users: &Carrier,
) -> Result<(), Box<Report>> {
    let internal = |error: &dyn std::error::Error| Report::new(Kind::Internal, error);
    let digest = descriptor::digest_of(&image.top).map_err(|error| internal(&error))?;
    let source = StoreSource::of(&own.store, &own.lease, &image.top, digest.to_string());
    let mut names = image.names.clone();
    names.extend(publication.names_by_digest(&names, &digest));
    let target = StoreTarget::new(&users.store, &users.lease, names);
    let lines = Lines::new(Words::None);
    let options = users.options(Selection::All, &lines);
    transport::copy(&source, &target, &options).map_err(|error| users.of_copy(&error))?;
    let forgotten = own.store.content().forget(&digest);
    forgotten.map_err(|error| Report::new(Kind::Host, &error))?;
    Ok(())
}
