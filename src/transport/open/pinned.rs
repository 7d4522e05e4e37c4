//! A place whose name has a digest: it takes the image that has it, and no other.

use oci::{Descriptor, Digest, Reference};

use crate::layout::OtherDigest;
use crate::place::{Document, PlaceError, Source, Target, Transferred};

/// Returns a place that takes only what a name says, if it has a digest.
pub(super) fn to(name: &Reference, target: Box<dyn Target>) -> Box<dyn Target> {
    match name.digest() {
        Some(digest) => Box::new(Pinned {
            digest: digest.clone(),
            target,
        }),
        None => target,
    }
}

#[derive(Debug)]
struct Pinned {
    digest: Digest,
    target: Box<dyn Target>,
}

impl Target for Pinned {
    fn shown(&self) -> String {
        self.target.shown()
    }

    fn is_sequential(&self) -> bool {
        self.target.is_sequential()
    }

    fn takes_restricted_layers(&self) -> bool {
        self.target.takes_restricted_layers()
    }

    fn put_blob(
        &self,
        descriptor: &Descriptor,
        source: &dyn Source,
    ) -> Result<Transferred, PlaceError> {
        self.target.put_blob(descriptor, source)
    }

    fn put_document(&self, document: &Document) -> Result<(), PlaceError> {
        self.target.put_document(document)
    }

    fn finish(&self, root: &Document) -> Result<(), PlaceError> {
        OtherDigest::check(&self.digest, &root.descriptor)?;
        self.target.finish(root)
    }
}
