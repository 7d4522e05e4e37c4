//! A tag of a registry.

use ::registry::{Access, Expect, Failure, Registry, RegistryError, Repository, Selector};
use oci::{Descriptor, Digest, Reference};

use super::{Tag, Written};
use crate::combine::entries_of;
use crate::place::{Document, PlaceError};
use crate::registry::RegistrySource;

/// What a registry says of a manifest that names what it does not have (distribution-spec, "Error Codes").
const BLOB_UNKNOWN: &str = "MANIFEST_BLOB_UNKNOWN";

/// A tag of a registry. What is written is tried once: what is tried again later would be too late.
#[derive(Debug, Clone)]
pub struct RegistryTag {
    /// For content, which a mirror may have too.
    source: RegistrySource,
    /// For the tag, which a mirror may know as it was.
    repository: Repository,
    /// For what may not be tried again.
    once: Repository,
    tag: Selector,
}

impl RegistryTag {
    /// Names a tag; `once` are the same registries, with a client that tries nothing again.
    ///
    /// # Errors
    ///
    /// Fails as [`Registry::repository`] does.
    pub fn new(
        registry: &Registry,
        once: &Registry,
        name: &Reference,
    ) -> Result<Self, RegistryError> {
        Ok(Self {
            source: RegistrySource::new(registry, name)?,
            repository: registry.repository(name, Access::Push)?,
            once: once.repository(name, Access::Push)?,
            tag: Selector::of(name),
        })
    }

    fn put(
        &self,
        selector: &Selector,
        index: &Document,
        expect: Expect<'_>,
    ) -> Result<Written, RegistryError> {
        let media_type = index.descriptor.media_type().to_string();
        match self
            .once
            .put_manifest(selector, &media_type, &index.bytes, expect)
        {
            Ok(()) => Ok(Written::Yes),
            Err(error) if error.is_changed() => Ok(Written::Changed),
            Err(error) if is_for_the_moment(&error) => Ok(Written::NotNow(error.into())),
            Err(error) => Err(error),
        }
    }
}

impl Tag for RegistryTag {
    fn shown(&self) -> String {
        let name = self.once.reference().name();
        format!("{name}:{}", self.tag)
    }

    fn read(&self) -> Result<Option<Document>, PlaceError> {
        match self.repository.manifest(&self.tag) {
            Ok(manifest) => Ok(Some(manifest.into())),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn look(&self) -> Result<Option<Digest>, PlaceError> {
        let found = self.repository.resolve(&self.tag)?;
        let digest = found.as_ref().map(oci::descriptor::digest_of);
        Ok(digest.transpose()?)
    }

    fn entries(&self, document: &Document) -> Result<Vec<Descriptor>, PlaceError> {
        Ok(entries_of(&self.source, document)?)
    }

    fn write(&self, index: &Document, expected: Option<&Digest>) -> Result<Written, PlaceError> {
        let expect = expected.map_or(Expect::Nothing, Expect::Digest);
        Ok(self.put(&self.tag, index, expect)?)
    }

    /// Puts the index under its own digest once more, if that named something else, and if it named nothing: a registry
    /// that looks at what is expected refuses both, and others take what they have.
    fn is_exact(&self, index: &Document) -> bool {
        let Ok(digest) = index.digest() else {
            return false;
        };
        let other = Digest::of(b"something else");
        let itself = Selector::Digest(digest);
        // Whatever else went wrong, nothing is known of the registry then.
        let is_refused = |expect| matches!(self.put(&itself, index, expect), Ok(Written::Changed));
        is_refused(Expect::Digest(&other)) && is_refused(Expect::Nothing)
    }
}

/// Tells whether the same may be taken a moment later.
fn is_for_the_moment(error: &RegistryError) -> bool {
    error.is_unreachable() || error.is_rate_limited() || is_blob_not_seen(error)
}

/// Tells whether a registry does not see what a manifest names. Some do not for a moment, when another client has just
/// put the same there.
pub(crate) fn is_blob_not_seen(error: &RegistryError) -> bool {
    match &error.failure {
        Failure::Refused(refusal) => refusal
            .errors
            .iter()
            .any(|error| error.code == BLOB_UNKNOWN),
        _ => false,
    }
}
