//! An image that was built, as a place that images are copied from.

use std::io::{self, Read};

use graph::ImageOrigin;
use oci::assemble::Blob;
use oci::digest::DigestError;
use oci::{Descriptor, Digest, Reference, descriptor};
use rootfs::{Root, RootPath};
use solver::counted::{Count, Counted};
use solver::event::StepId;
use solver::{Cancellable, Events, Workshop, base};
use store::Lent;
use transport::{Document, LoneBlob, PlaceError, Source};

use crate::blob::open_blob;
use crate::image::{ImageSet, LayerFile, LayerPlace};
use crate::layout;

/// What is asked for is no part of the image: our fault.
#[derive(Debug, thiserror::Error)]
#[error("the image that was built has no `{digest}`")]
struct NoPart {
    digest: Digest,
}

/// An image that was built.
#[derive(Debug)]
pub(crate) struct BuiltImage<'a> {
    set: &'a ImageSet,
    workshop: &'a Workshop,
    /// The step that tells how far each blob is; none where that takes no time.
    step: Option<&'a StepId>,
    /// For each layer of a base the repository that has it, in the order of the digests.
    repositories: Vec<(Digest, Reference)>,
}

impl<'a> BuiltImage<'a> {
    /// Makes the source of an image.
    pub(crate) fn new(set: &'a ImageSet, workshop: &'a Workshop) -> Self {
        let repositories = set.layers.iter().filter_map(|(digest, layer)| {
            repository_of(&layer.place).map(|repository| (digest.clone(), repository))
        });
        Self {
            set,
            workshop,
            step: None,
            repositories: repositories.collect(),
        }
    }

    /// Has a step tell how far each blob is.
    #[must_use]
    pub(crate) fn told_by(self, step: &'a StepId) -> Self {
        let step = Some(step);
        Self { step, ..self }
    }

    fn find(&self, digest: &Digest) -> Result<&Blob, NoPart> {
        let mut documents = self.set.documents.iter();
        let found = documents.find(|document| document.digest == *digest);
        found.ok_or_else(|| NoPart {
            digest: digest.clone(),
        })
    }
}

impl Source for BuiltImage<'_> {
    fn shown(&self) -> String {
        "this build".to_owned()
    }

    fn root(&self) -> Result<Document, PlaceError> {
        let Document { bytes, .. } = self.document(&self.set.top)?;
        let top = self.set.top.clone();
        let said = self.set.top_annotations.clone();
        Ok(Document {
            descriptor: layout::annotated(top, said, self.set.created),
            bytes,
        })
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document, PlaceError> {
        let digest = descriptor::digest_of(descriptor)?;
        let bytes = self.find(&digest)?.bytes.clone();
        Ok(Document {
            descriptor: descriptor.clone(),
            bytes,
        })
    }

    fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, PlaceError> {
        let digest = descriptor::digest_of(descriptor)?;
        match self.set.layers.get(&digest) {
            Some(layer) => {
                let blob = open_layer(self.workshop, &digest, layer, from)?;
                let Some(step) = self.step else {
                    return Ok(blob);
                };
                let blob = (&digest, layer.size_bytes, blob);
                Ok(counted(&self.workshop.events, step, blob, from))
            }
            None => Ok(transport::of_bytes(&self.find(&digest)?.bytes, from)),
        }
    }

    fn lend(&self, blob: &Descriptor, to: (&Root, &RootPath)) -> Result<Lent, PlaceError> {
        let digest = descriptor::digest_of(blob)?;
        let is_ours = |layer: &&LayerFile| layer.layout().is_none();
        let Some(layer) = self.set.layers.get(&digest).filter(is_ours) else {
            return Ok(Lent::No);
        };
        if let LayerPlace::Base(base) = &layer.place {
            base::bring(self.workshop, base, None)?;
        }
        let content = self.workshop.store.content();
        Ok(content.lend((&digest, layer.size_bytes), to)?)
    }

    fn repository_of(&self, blob: &Descriptor) -> Option<&Reference> {
        let digest: Result<Digest, DigestError> = descriptor::digest_of(blob);
        let digest = digest.ok()?;
        let mut known = self.repositories.iter();
        known
            .find(|(layer, _)| *layer == digest)
            .map(|(_, repository)| repository)
    }

    fn referrers(&self, _subject: &Digest) -> Result<Vec<Descriptor>, PlaceError> {
        Ok(Vec::new())
    }
}

/// Has a step tell how far a blob is while it is read, from its byte `from` on.
fn counted(
    events: &Events,
    step: &StepId,
    (digest, size_bytes, blob): (&Digest, u64, Box<dyn Read + Send>),
    from: u64,
) -> Box<dyn Read + Send> {
    let count = Count::new(events, Some(step), pushing(digest), Some(size_bytes));
    Box::new(Counted::new(blob, count.from(from)))
}

/// Returns how displays are told of a blob that is pushed.
pub(crate) fn pushing(digest: &Digest) -> String {
    format!("pushing {digest}")
}

/// Returns the source of one layer of an image that is being built, before there is an image; `step` tells how far
/// it is.
pub(crate) fn lone_layer<'a>(
    layer: &'a LayerFile,
    (workshop, step): (&'a Workshop, &'a StepId),
) -> LoneBlob<'a> {
    let open = |descriptor: &Descriptor, from| {
        let digest = descriptor::digest_of(descriptor)?;
        let blob = open_layer(workshop, &digest, layer, from)?;
        let blob = (&digest, layer.size_bytes, blob);
        Ok(counted(&workshop.events, step, blob, from))
    };
    LoneBlob::new(open).also_in(repository_of(&layer.place))
}

/// Returns the repository that has a base's layer: another one of the same registry may take it from there.
fn repository_of(place: &LayerPlace) -> Option<Reference> {
    let base = match place {
        LayerPlace::Packed => return None,
        LayerPlace::Remote(remote) => return remote.repository(),
        LayerPlace::Base(base) => base,
    };
    match &base.image.origin {
        ImageOrigin::Registry { repository } => Some(repository.clone()),
        // An image of the store has, as a rule, the name of the repository that it was pulled from. A registry
        // that does not have it there says so, and gets the layer.
        ImageOrigin::Store => {
            let name = Reference::parse_docker_ref(&base.image.name).ok()?;
            Some(name.repository())
        }
        ImageOrigin::Layout { .. } => None,
    }
}

/// Opens the blob of a layer; one that only a registry has is fetched first.
fn open_layer(
    workshop: &Workshop,
    digest: &Digest,
    layer: &LayerFile,
    from: u64,
) -> Result<Box<dyn Read + Send>, PlaceError> {
    match &layer.place {
        LayerPlace::Packed => {}
        LayerPlace::Base(base) => base::bring(workshop, base, None)?,
        LayerPlace::Remote(remote) => remote.bring(workshop, None)?,
    }
    let mut blob = open_blob(workshop, digest, layer)?;
    // What is passed over is read: the reader verifies the whole.
    let mut passed_over = Cancellable::new(blob.by_ref().take(from), &workshop.cancel);
    io::copy(&mut passed_over, &mut io::sink())?;
    Ok(Box::new(blob))
}
