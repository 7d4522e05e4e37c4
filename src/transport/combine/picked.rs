//! One image of a source as a source of its own, and a target as a place for what gets no name yet.

use std::io::Read;

use oci::{Descriptor, Digest, Reference};

use crate::place::{Document, PlaceError, Source, Target, Transferred};

/// A manifest of a source.
#[derive(Debug)]
pub(super) struct Picked<'a> {
    source: &'a dyn Source,
    manifest: &'a Descriptor,
}

impl<'a> Picked<'a> {
    /// Takes a manifest that the source has.
    pub(super) fn new(source: &'a dyn Source, manifest: &'a Descriptor) -> Self {
        Self { source, manifest }
    }
}

impl Source for Picked<'_> {
    fn shown(&self) -> String {
        self.source.shown()
    }

    fn root(&self) -> Result<Document, PlaceError> {
        self.source.document(self.manifest)
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document, PlaceError> {
        self.source.document(descriptor)
    }

    fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, PlaceError> {
        self.source.blob(descriptor, from)
    }

    fn repository(&self) -> Option<&Reference> {
        self.source.repository()
    }

    fn repository_of(&self, blob: &Descriptor) -> Option<&Reference> {
        self.source.repository_of(blob)
    }

    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, PlaceError> {
        self.source.referrers(subject)
    }
}

/// A target that gets its name later.
#[derive(Debug)]
pub(super) struct Unnamed<'a>(pub(super) &'a dyn Target);

impl Target for Unnamed<'_> {
    fn shown(&self) -> String {
        self.0.shown()
    }

    fn is_sequential(&self) -> bool {
        self.0.is_sequential()
    }

    fn takes_restricted_layers(&self) -> bool {
        self.0.takes_restricted_layers()
    }

    fn put_blob(
        &self,
        descriptor: &Descriptor,
        source: &dyn Source,
    ) -> Result<Transferred, PlaceError> {
        self.0.put_blob(descriptor, source)
    }

    fn put_document(&self, document: &Document) -> Result<(), PlaceError> {
        self.0.put_document(document)
    }

    fn finish(&self, root: &Document) -> Result<(), PlaceError> {
        self.0.put_document(root)
    }
}
