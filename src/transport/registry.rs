//! Repositories of registries as [`Source`] and [`Target`].

use std::collections::BTreeSet;
use std::io::{self, Read};

use ::registry::{
    Access, BlobBody, Expect, Manifest, Registry, RegistryError, Repository, Selector, Uploaded,
};
use oci::descriptor::digest_of;
use oci::{Descriptor, Digest, Reference};

use crate::place::{Document, PlaceError, Source, Target, Transferred};

/// An image of a registry: what a tag or a digest names.
#[derive(Debug, Clone)]
pub struct RegistrySource {
    repository: Repository,
    selector: Selector,
}

/// A repository that an image is pushed to.
#[derive(Debug, Clone)]
pub struct RegistryTarget {
    repository: Repository,
    tags: BTreeSet<String>,
    expect: Option<Digest>,
}

impl RegistrySource {
    /// Names an image; nothing is asked yet.
    ///
    /// # Errors
    ///
    /// Fails as [`Registry::repository`] does.
    pub fn new(registry: &Registry, reference: &Reference) -> Result<Self, RegistryError> {
        Ok(Self {
            repository: registry.repository(reference, Access::Pull)?,
            selector: Selector::of(reference),
        })
    }

    /// Returns the repository, for what is not said of every place.
    pub fn repository_of(&self) -> &Repository {
        &self.repository
    }
}

impl RegistryTarget {
    /// Names a repository by a reference; its tag is what the image is called, and without one it has its digest
    /// alone. Nothing is asked yet.
    ///
    /// # Errors
    ///
    /// Fails as [`Registry::repository`] does.
    pub fn new(registry: &Registry, reference: &Reference) -> Result<Self, RegistryError> {
        Ok(Self {
            repository: registry.repository(reference, Access::Push)?,
            tags: reference.tag().map(str::to_owned).into_iter().collect(),
            expect: None,
        })
    }

    /// Adds a name for the image in the same repository.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Self {
        self.tags.insert(tag.to_owned());
        self
    }

    /// Replaces the tags only where they name this manifest now, as far as the registry looks at that.
    #[must_use]
    pub fn expect(mut self, digest: &Digest) -> Self {
        self.expect = Some(digest.clone());
        self
    }

    /// Returns the repository, for what is not said of every place.
    pub fn repository_of(&self) -> &Repository {
        &self.repository
    }

    fn leads_to(&self, selector: &Selector, document: &Document) -> Result<bool, PlaceError> {
        let found = self.repository.find_written(selector)?;
        let expected = document.descriptor.digest();
        Ok(found.is_some_and(|found| found.digest() == expected))
    }

    fn put(
        &self,
        selector: &Selector,
        document: &Document,
        expect: Expect<'_>,
    ) -> Result<(), PlaceError> {
        let media_type = document.descriptor.media_type().to_string();
        self.repository
            .put_manifest(selector, &media_type, &document.bytes, expect)?;
        Ok(())
    }
}

impl Source for RegistrySource {
    fn shown(&self) -> String {
        shown(&self.repository, &self.selector)
    }

    fn root(&self) -> Result<Document, PlaceError> {
        Ok(self.repository.manifest(&self.selector)?.into())
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document, PlaceError> {
        let selector = Selector::Digest(digest_of(descriptor)?);
        Ok(self.repository.manifest(&selector)?.into())
    }

    fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, PlaceError> {
        Ok(Box::new(self.repository.blob(descriptor, from)?))
    }

    fn repository(&self) -> Option<&Reference> {
        Some(self.repository.reference())
    }

    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, PlaceError> {
        Ok(self.repository.referrers(subject, None)?)
    }
}

impl Target for RegistryTarget {
    fn shown(&self) -> String {
        let name = self.repository.reference().name();
        let tags: Vec<_> = self
            .tags
            .iter()
            .map(|tag| format!("{name}:{tag}"))
            .collect();
        if tags.is_empty() {
            name
        } else {
            tags.join(", ")
        }
    }

    fn takes_restricted_layers(&self) -> bool {
        false
    }

    fn is_named(&self, root: &Document) -> Result<bool, PlaceError> {
        let tags = self.tags.iter().cloned().map(Selector::Tag);
        for selector in tags {
            if !self.leads_to(&selector, root)? {
                return Ok(false);
            }
        }
        // Without a tag it has its digest alone.
        Ok(!self.tags.is_empty() || self.has_document(root)?)
    }

    fn has_document(&self, document: &Document) -> Result<bool, PlaceError> {
        let selector = Selector::Digest(digest_of(&document.descriptor)?);
        self.leads_to(&selector, document)
    }

    fn put_blob(
        &self,
        descriptor: &Descriptor,
        source: &dyn Source,
    ) -> Result<Transferred, PlaceError> {
        let body = SourceBlob { source, descriptor };
        let uploaded =
            self.repository
                .put_blob(descriptor, &body, source.repository_of(descriptor))?;
        Ok(match uploaded {
            Uploaded::Present => Transferred::Present,
            Uploaded::Mounted => Transferred::Mounted,
            Uploaded::Sent => Transferred::Copied,
        })
    }

    fn put_document(&self, document: &Document) -> Result<(), PlaceError> {
        let selector = Selector::Digest(digest_of(&document.descriptor)?);
        self.put(&selector, document, Expect::Anything)
    }

    fn finish(&self, root: &Document) -> Result<(), PlaceError> {
        let expect = self
            .expect
            .as_ref()
            .map_or(Expect::Anything, Expect::Digest);
        for tag in &self.tags {
            self.put(&Selector::Tag(tag.clone()), root, expect)?;
        }
        if self.tags.is_empty() {
            self.put_document(root)?;
        }
        Ok(())
    }
}

impl From<Manifest> for Document {
    fn from(manifest: Manifest) -> Self {
        Self {
            descriptor: manifest.descriptor,
            bytes: manifest.bytes,
        }
    }
}

/// A blob of another place, as what is pushed.
struct SourceBlob<'a> {
    source: &'a dyn Source,
    descriptor: &'a Descriptor,
}

impl BlobBody for SourceBlob<'_> {
    fn open(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        self.source
            .blob(self.descriptor, from)
            .map_err(io::Error::other)
    }
}

fn shown(repository: &Repository, selector: &Selector) -> String {
    let separator = match selector {
        Selector::Tag(_) => ':',
        Selector::Digest(_) => '@',
    };
    format!("{}{separator}{selector}", repository.reference().name())
}

#[cfg(test)]
mod tests;
