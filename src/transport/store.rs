//! careen's own store as a place: [`StoreSource`] and [`StoreTarget`].
//!
//! What is read or written is in a lease as long as the source or target is there; after that a name has to lead
//! to it.

use std::collections::BTreeMap;
use std::io::Read;

use oci::descriptor::{self, ANNOTATION_REF_NAME};
use oci::digest::DigestError;
use oci::limits::MANIFEST_MAX_BYTES;
use oci::{Descriptor, Digest, Reference};
use rootfs::{Root, RootPath};
use store::{
    ANNOTATION_IMAGE_NAME, BlobError, BlobSource as _, DiscardError, IngestError, Lease,
    LeaseError, Lent, ObjectId, Presence, Store, TagError,
};

use crate::middle::{MiddleError, from_byte};
use crate::place::{Document, PlaceError, Source, Target, Transferred};
use crate::referrer;

/// The store cannot give or take an image.
#[derive(Debug, thiserror::Error)]
pub enum StorePlaceError {
    /// There is no image of that name.
    #[error("no image `{name}` in the store")]
    NotFound {
        /// The name, as people write it.
        name: String,
    },
    /// The names cannot be read or changed.
    #[error(transparent)]
    Tags(#[from] TagError),
    /// A blob cannot be kept.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// A blob cannot be read.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A blob cannot be read from the middle.
    #[error(transparent)]
    Middle(#[from] MiddleError),
    /// A damaged blob cannot be removed.
    #[error(transparent)]
    Discard(#[from] DiscardError),
    /// A blob cannot be written.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// A digest cannot be verified.
    #[error("a digest of the image is malformed")]
    Digest(#[from] DigestError),
}

/// An image of the store.
#[derive(Debug)]
pub struct StoreSource {
    store: Store,
    lease: Lease,
    top: Descriptor,
    shown: String,
}

impl StoreSource {
    /// Opens the image of a name; of a name with a digest, what has that digest.
    ///
    /// # Errors
    ///
    /// Fails when there is none, or the names cannot be read.
    pub fn open(store: &Store, lease: &Lease, name: &Reference) -> Result<Self, StorePlaceError> {
        let found = match store.content().resolve(name)? {
            Some(found) => Some(found),
            None => pinned(store, name)?,
        };
        let top = found.ok_or_else(|| StorePlaceError::NotFound {
            name: name.familiar(),
        })?;
        let shown = format!("store:{}", name.familiar());
        Ok(Self::of(store, lease, &top, shown))
    }

    /// Takes a manifest or an index of the store, whatever its name.
    pub fn of(store: &Store, lease: &Lease, top: &Descriptor, shown: String) -> Self {
        Self {
            store: store.clone(),
            lease: lease.clone(),
            top: without_names(top),
            shown,
        }
    }

    fn read(&self, descriptor: &Descriptor) -> Result<Document, StorePlaceError> {
        let digest = descriptor::digest_of(descriptor)?;
        self.lease.hold(&ObjectId::Blob(digest.clone()))?;
        let bytes = self
            .store
            .content()
            .read_blob(&digest, MANIFEST_MAX_BYTES)?;
        Ok(Document {
            descriptor: descriptor.clone(),
            bytes,
        })
    }

    fn open_blob(
        &self,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<Box<dyn Read + Send>, StorePlaceError> {
        let digest = descriptor::digest_of(descriptor)?;
        self.lease.hold(&ObjectId::Blob(digest.clone()))?;
        let content = self.store.content();
        if from == 0 {
            return Ok(Box::new(content.open_blob(&digest, descriptor.size())?));
        }
        let file = content.open_raw(&digest)?;
        Ok(Box::new(from_byte(file, digest, from)?))
    }
}

impl Source for StoreSource {
    fn shown(&self) -> String {
        self.shown.clone()
    }

    fn root(&self) -> Result<Document, PlaceError> {
        Ok(self.read(&self.top)?)
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document, PlaceError> {
        Ok(self.read(descriptor)?)
    }

    fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, PlaceError> {
        Ok(self.open_blob(descriptor, from)?)
    }

    fn lend(&self, blob: &Descriptor, to: (&Root, &RootPath)) -> Result<Lent, PlaceError> {
        let digest = descriptor::digest_of(blob)?;
        self.lease.hold(&ObjectId::Blob(digest.clone()))?;
        Ok(self.store.content().lend((&digest, blob.size()), to)?)
    }

    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, PlaceError> {
        let entries = self
            .store
            .content()
            .entries()
            .map_err(StorePlaceError::from)?;
        referrer::among(&entries, subject, &|entry| Ok(self.read(entry)?.bytes))
    }
}

/// Returns what the digest of a name leads to: a manifest or an index that some image of the store is or has.
fn pinned(store: &Store, name: &Reference) -> Result<Option<Descriptor>, StorePlaceError> {
    let Some(digest) = name.digest() else {
        return Ok(None);
    };
    let mut level: Vec<_> = store.content().tags()?;
    level.retain(|(other, _)| other.name() == name.name());
    for (_, top) in level {
        if top.digest().as_ref() == digest.as_str() {
            return Ok(Some(top));
        }
        let bytes = store
            .content()
            .read_blob(&descriptor::digest_of(&top)?, MANIFEST_MAX_BYTES)?;
        let Ok(index) = oci::check::parse_index(&bytes) else {
            continue;
        };
        let entries = index.manifests().iter();
        if let Some(entry) = entries
            .into_iter()
            .find(|entry| entry.digest().as_ref() == digest.as_str())
        {
            return Ok(Some(entry.clone()));
        }
    }
    Ok(None)
}

/// Returns a descriptor without the names that a layout gave it: they are not its own.
pub(crate) fn without_names(top: &Descriptor) -> Descriptor {
    let mut annotations: BTreeMap<_, _> = top
        .annotations()
        .clone()
        .unwrap_or_default()
        .into_iter()
        .collect();
    annotations.remove(ANNOTATION_IMAGE_NAME);
    annotations.remove(ANNOTATION_REF_NAME);
    descriptor::with_annotations(top.clone(), &annotations)
}

/// A place in the store.
#[derive(Debug)]
pub struct StoreTarget {
    store: Store,
    lease: Lease,
    names: Vec<Reference>,
    without_names: Unnamed,
}

/// What becomes of an image that gets no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unnamed {
    /// It is one of the store's images, known by its digest.
    Kept,
    /// Nothing leads to it, and it is there for as long as the lease holds it.
    Lent,
}

impl StoreTarget {
    /// Names the place. Without names the image is kept, and known by its digest alone.
    pub fn new(store: &Store, lease: &Lease, names: Vec<Reference>) -> Self {
        Self {
            store: store.clone(),
            lease: lease.clone(),
            names,
            without_names: Unnamed::Kept,
        }
    }

    /// Names a place where an image is for as long as the lease holds it: it is none of the store's images.
    pub fn lent(store: &Store, lease: &Lease) -> Self {
        Self {
            without_names: Unnamed::Lent,
            ..Self::new(store, lease, Vec::new())
        }
    }

    /// Tells whether a blob is there with its size; one of another size is removed.
    fn has(&self, digest: &Digest, size_bytes: u64) -> Result<bool, StorePlaceError> {
        let object = ObjectId::Blob(digest.clone());
        if self.lease.hold(&object)? == Presence::Absent {
            return Ok(false);
        }
        if self.store.content().has(digest)? == Some(size_bytes) {
            return Ok(true);
        }
        self.store.content().discard_damaged(digest)?;
        Ok(false)
    }

    fn keep(&self, document: &Document) -> Result<(), StorePlaceError> {
        let digest = descriptor::digest_of(&document.descriptor)?;
        let size_bytes = document.bytes.len() as u64;
        let (content, bytes) = (self.store.content(), document.bytes.as_slice());
        content.copy_in(&self.lease, (&digest, size_bytes), bytes)?;
        if let Some(entry) = referrer::entry_of(document) {
            content.keep(&entry)?;
        }
        Ok(())
    }

    fn name(&self, root: &Document) -> Result<(), StorePlaceError> {
        self.keep(root)?;
        let top = without_names(&root.descriptor);
        if self.names.is_empty() && self.without_names == Unnamed::Kept {
            self.store.content().keep(&top)?;
        }
        for name in &self.names {
            self.store.content().tag(name, &top)?;
        }
        Ok(())
    }
}

impl Target for StoreTarget {
    fn shown(&self) -> String {
        match self.names.first() {
            Some(name) => format!("store:{}", name.familiar()),
            None => "the store".to_owned(),
        }
    }

    fn put_blob(
        &self,
        descriptor: &Descriptor,
        source: &dyn Source,
    ) -> Result<Transferred, PlaceError> {
        let digest = descriptor::digest_of(descriptor).map_err(StorePlaceError::from)?;
        if self.has(&digest, descriptor.size())? {
            return Ok(Transferred::Present);
        }
        let reader = source.blob(descriptor, 0)?;
        let blob = (&digest, descriptor.size());
        let copied = self.store.content().copy_in(&self.lease, blob, reader);
        copied.map_err(StorePlaceError::from)?;
        Ok(Transferred::Copied)
    }

    fn put_document(&self, document: &Document) -> Result<(), PlaceError> {
        Ok(self.keep(document)?)
    }

    fn finish(&self, root: &Document) -> Result<(), PlaceError> {
        Ok(self.name(root)?)
    }
}
