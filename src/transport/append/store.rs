//! A tag of careen's store.

use oci::{Descriptor, Digest, Reference};
use store::{Lease, Store};

use super::{Tag, Written};
use crate::combine::entries_of;
use crate::place::{Document, PlaceError, Source as _, Target as _};
use crate::store::{StorePlaceError, StoreSource, StoreTarget};

/// A name in the store.
#[derive(Debug)]
pub struct StoreTag<'a> {
    store: &'a Store,
    lease: &'a Lease,
    name: &'a Reference,
}

impl<'a> StoreTag<'a> {
    /// Names a tag.
    pub fn new(store: &'a Store, lease: &'a Lease, name: &'a Reference) -> Self {
        Self { store, lease, name }
    }

    fn source(&self, top: &Descriptor) -> StoreSource {
        StoreSource::of(self.store, self.lease, top, self.shown())
    }

    fn resolve(&self) -> Result<Option<Descriptor>, PlaceError> {
        let found = self.store.content().resolve(self.name);
        Ok(found.map_err(StorePlaceError::from)?)
    }
}

impl Tag for StoreTag<'_> {
    fn shown(&self) -> String {
        format!("store:{}", self.name.familiar())
    }

    fn read(&self) -> Result<Option<Document>, PlaceError> {
        let found = self.resolve()?;
        found.map(|top| self.source(&top).root()).transpose()
    }

    fn look(&self) -> Result<Option<Digest>, PlaceError> {
        let found = self.resolve()?;
        let digest = found.as_ref().map(oci::descriptor::digest_of);
        Ok(digest.transpose()?)
    }

    fn entries(&self, document: &Document) -> Result<Vec<Descriptor>, PlaceError> {
        Ok(entries_of(&self.source(&document.descriptor), document)?)
    }

    fn write(&self, index: &Document, expected: Option<&Digest>) -> Result<Written, PlaceError> {
        // Without a name: the name is given below, if it may be.
        StoreTarget::new(self.store, self.lease, Vec::new()).put_document(index)?;
        let content = self.store.content();
        let tagged = content.tag_if(self.name, expected, &index.descriptor);
        Ok(if tagged.map_err(StorePlaceError::from)? {
            Written::Yes
        } else {
            Written::Changed
        })
    }

    fn is_exact(&self, _index: &Document) -> bool {
        true
    }
}
