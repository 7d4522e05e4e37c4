//! Caches in registries: `type=registry`.

use std::io::Read;

use oci::{Descriptor, Platform, Reference};
use registry::RegistryError;
use solver::{Protection, Workshop};
use transport::{
    Pace, PlaceError, RegistrySource, RegistryTag, RegistryTarget, Source, Stop, Target as _,
    Transferred, append,
};

use super::documents;
use super::ours::{CacheTag, read_earlier};
use crate::config::{CacheConfig, CacheLayer};
use crate::place::{CacheEntry, ExportPlace, ExportSession, ImportPlace, ReadError};

/// A reference of a registry.
#[derive(Debug, Clone)]
pub struct RegistryCache {
    /// The reference, with a tag or a digest.
    pub reference: Reference,
    /// How connections are protected.
    pub protection: Protection,
}

impl RegistryCache {
    fn source(&self, workshop: &Workshop) -> Result<RegistrySource, PlaceError> {
        let registry = workshop.registries.protected(self.protection)?;
        Ok(RegistrySource::new(registry, &self.reference)?)
    }
}

impl ImportPlace for RegistryCache {
    fn shown(&self) -> String {
        self.reference.to_string()
    }

    fn read(
        &self,
        workshop: &Workshop,
        platforms: &[Platform],
    ) -> Result<Option<Vec<CacheConfig>>, ReadError> {
        let source = self.source(workshop).map_err(ReadError::Unreadable)?;
        let root = match source.root() {
            Ok(root) => root,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(ReadError::Unreadable(error)),
        };
        documents::read(&source, &root, platforms).map(Some)
    }

    fn open(
        &self,
        workshop: &Workshop,
        layer: &CacheLayer,
    ) -> Result<Box<dyn Read + Send>, PlaceError> {
        self.source(workshop)?.blob(&layer.descriptor(), 0)
    }

    fn repository(&self) -> Option<Reference> {
        Some(self.reference.repository())
    }
}

fn is_missing(error: &PlaceError) -> bool {
    RegistryError::behind(error.as_ref()).is_some_and(RegistryError::is_missing)
}

impl ExportPlace for RegistryCache {
    fn shown(&self) -> String {
        self.reference.to_string()
    }

    fn kind(&self) -> &'static str {
        "registry"
    }

    fn begin<'w>(
        &'w self,
        workshop: &'w Workshop,
    ) -> Result<Box<dyn ExportSession + 'w>, PlaceError> {
        let registries = &workshop.registries;
        let usual = registries.protected(self.protection)?;
        let once = registries.once();
        let once = once.protected(self.protection)?;
        Ok(Box::new(RegistrySession {
            source: self.source(workshop)?,
            target: RegistryTarget::new(usual, &self.reference.repository())?,
            tag: RegistryTag::new(usual, once, &self.reference)?,
            workshop,
        }))
    }
}

/// An export to a registry.
struct RegistrySession<'w> {
    source: RegistrySource,
    target: RegistryTarget,
    tag: RegistryTag,
    workshop: &'w Workshop,
}

impl ExportSession for RegistrySession<'_> {
    fn read(&self, platform: &Platform) -> Result<Option<CacheConfig>, PlaceError> {
        read_earlier(&CacheTag(&self.tag), &self.source, platform)
    }

    fn open(&self, layer: &CacheLayer) -> Result<Box<dyn Read + Send>, PlaceError> {
        self.source.blob(&layer.descriptor(), 0)
    }

    fn put(&self, blob: &Descriptor, source: &dyn Source) -> Result<Transferred, PlaceError> {
        self.target.put_blob(blob, source)
    }

    fn write(&self, entries: &[CacheEntry]) -> Result<(), PlaceError> {
        let additions = documents::put_all(entries, &self.target)?;
        let tag = CacheTag(&self.tag);
        let appended = append(&tag, &additions, &Pace::default(), &stop_of(self.workshop))?;
        if let Some(late) = appended.late {
            self.workshop.events.warn(format!(
                "`{}` took {} s to be written: what others added meanwhile may be lost",
                transport::Tag::shown(&tag),
                late.as_secs()
            ));
        }
        Ok(())
    }
}

/// Returns what ends a transfer with the job.
pub(super) fn stop_of(workshop: &Workshop) -> Stop {
    let cancel = workshop.cancel.clone();
    Stop::new(move || cancel.is_cancelled())
}
