//! The two traits: what can be read from, and what can be written to.

use std::fmt;
use std::io::Read;

use oci::digest::DigestError;
use oci::{Descriptor, Digest, Reference};
use rootfs::{Root, RootPath};
use store::Lent;

/// A manifest or an index, with the bytes that it came as: its digest is over them.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its media type, digest and size.
    pub descriptor: Descriptor,
    /// Its bytes, verified.
    pub bytes: Vec<u8>,
}

impl Document {
    /// Makes a document of its bytes.
    pub fn new(media_type: &str, bytes: Vec<u8>) -> Self {
        let digest = Digest::of(&bytes);
        Self {
            descriptor: oci::descriptor::descriptor(media_type, &digest, bytes.len() as u64),
            bytes,
        }
    }

    /// Returns its digest.
    ///
    /// # Errors
    ///
    /// Fails on a digest of an algorithm that cannot be verified.
    pub fn digest(&self) -> Result<Digest, DigestError> {
        oci::descriptor::digest_of(&self.descriptor)
    }
}

/// Why a place cannot give or take something: the place's own error, whose text says what was tried and where.
pub type PlaceError = Box<dyn std::error::Error + Send + Sync>;

/// How a blob came to be at a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transferred {
    /// It was there.
    Present,
    /// The target took it from another repository of its own.
    Mounted,
    /// Its bytes were copied.
    Copied,
}

/// One image, or an index of several, somewhere.
pub trait Source: fmt::Debug + Send + Sync {
    /// Returns the place as messages name it: `registry.example/app:1`, `oci:dir:1`.
    fn shown(&self) -> String;

    /// Returns what the place's name leads to.
    ///
    /// # Errors
    ///
    /// Fails when there is nothing, or it cannot be read or trusted.
    fn root(&self) -> Result<Document, PlaceError>;

    /// Returns a manifest or an index by its digest.
    ///
    /// # Errors
    ///
    /// Fails when it is not there, or cannot be read or trusted.
    fn document(&self, descriptor: &Descriptor) -> Result<Document, PlaceError>;

    /// Opens a blob from an offset in bytes on. Read from its beginning to its end it is verified, and the error
    /// of the last read says so; read from elsewhere it is the reader who verifies the whole.
    ///
    /// # Errors
    ///
    /// Fails when it is not there, or cannot be read.
    fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, PlaceError>;

    /// Gives the file of a blob a second name, at a path that has none, so that its bytes need not be copied; tells
    /// whether it did. What has the name then is verified, is read-only, and is kept by the source too.
    ///
    /// # Errors
    ///
    /// Fails when the blob is not there, or cannot be read or trusted.
    fn lend(&self, _blob: &Descriptor, _to: (&Root, &RootPath)) -> Result<Lent, PlaceError> {
        Ok(Lent::No)
    }

    /// Returns the repository of a registry that has the blobs, so that another repository may take them from
    /// there.
    fn repository(&self) -> Option<&Reference> {
        None
    }

    /// Returns the repository of a registry that has a blob; the blobs of one image may be in several.
    fn repository_of(&self, _blob: &Descriptor) -> Option<&Reference> {
        self.repository()
    }

    /// Returns the descriptors of what refers to a manifest (distribution-spec, "Listing Referrers").
    ///
    /// # Errors
    ///
    /// Fails when the place cannot be asked.
    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, PlaceError>;
}

/// A place for one image, or an index of several. What is put becomes visible with its name alone, at the end.
pub trait Target: fmt::Debug + Send + Sync {
    /// Returns the place as messages name it.
    fn shown(&self) -> String;

    /// Tells whether blobs go there one after the other: into an archive, whose bytes depend on their order.
    fn is_sequential(&self) -> bool {
        false
    }

    /// Tells whether layers that registries do not hand out are kept there too.
    fn takes_restricted_layers(&self) -> bool {
        true
    }

    /// Tells whether all the names lead to a manifest or an index already. A place that cannot tell says no.
    ///
    /// # Errors
    ///
    /// Fails when the place cannot be asked.
    fn is_named(&self, _root: &Document) -> Result<bool, PlaceError> {
        Ok(false)
    }

    /// Tells whether a manifest or an index is there, and with it, as no place takes one without, all that it names. A
    /// place that cannot tell says no.
    ///
    /// # Errors
    ///
    /// Fails when the place cannot be asked.
    fn has_document(&self, _document: &Document) -> Result<bool, PlaceError> {
        Ok(false)
    }

    /// Makes sure that a blob is there; reads it from the source only if it must. Several threads may do so at
    /// once.
    ///
    /// # Errors
    ///
    /// Fails when the blob cannot be read from the source, or not be written.
    fn put_blob(
        &self,
        descriptor: &Descriptor,
        source: &dyn Source,
    ) -> Result<Transferred, PlaceError>;

    /// Keeps a manifest or an index under its digest; all that it names is there.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written.
    fn put_document(&self, document: &Document) -> Result<(), PlaceError>;

    /// Gives what was put its name or names, and completes the target. It is called once, at last.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written; then nothing of it is visible.
    fn finish(&self, root: &Document) -> Result<(), PlaceError>;
}
