//! Caches in the cache service of GitHub Actions: `type=gha`.
//!
//! ```text
//! document SCOPE    { "entries": [ { "platform": "linux/amd64", "config": CacheConfig }, … ] }
//! blobs             by their digests
//! ```
//!
//! One document has the entries of all platforms, so that an import asks for one thing per branch. Machines that each
//! build one platform put one entry each into it: the service sees to it that none of them is lost ([`gha`]).

use std::fmt;
use std::io::{self, Read};
use std::sync::OnceLock;

use gha::{Change, Document, GhaError, Service, Settings, Stored};
use oci::descriptor::digest_of;
use oci::{Descriptor, Platform};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use solver::Workshop;
use transport::{PlaceError, Source, Transferred};

use crate::config::{CacheConfig, CacheLayer, ConfigError};
use crate::place::{CacheEntry, ExportPlace, ExportSession, ImportPlace, ReadError};

/// A scope of the cache service.
#[derive(Debug, Clone)]
pub struct GhaCache {
    settings: Settings,
    /// What blobs are read from; opened with the first of them.
    blobs: OnceLock<Service>,
}

/// What a scope has for all platforms.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Entries {
    entries: Vec<Entry>,
}

/// What a scope has for one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    platform: String,
    /// A [`CacheConfig`], perhaps of another format: it is nobody's to lose.
    config: Value,
}

impl Entries {
    fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        Ok(serde_json::from_slice(bytes)?)
    }

    fn get(&self, platform: &Platform) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.is_for(platform))
    }

    fn put(&mut self, new: Entry, platform: &Platform) {
        match self.entries.iter_mut().find(|entry| entry.is_for(platform)) {
            Some(entry) => *entry = new,
            None => self.entries.push(new),
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and JSON are valid JSON")
    }
}

impl Entry {
    fn of(entry: &CacheEntry) -> Self {
        Self {
            platform: name(&entry.platform),
            config: serde_json::to_value(&entry.config)
                .expect("texts, numbers and lists are valid JSON"),
        }
    }

    fn is_for(&self, platform: &Platform) -> bool {
        self.platform == name(platform)
    }

    fn config(&self) -> Result<CacheConfig, ConfigError> {
        CacheConfig::parse(self.config.to_string().as_bytes())
    }
}

/// Returns the name of a platform, one for each that is the same.
fn name(platform: &Platform) -> String {
    platform.normalized().format_all()
}

impl GhaCache {
    /// Makes it; nothing is asked yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            blobs: OnceLock::new(),
        }
    }

    /// Returns a service for one import or export, which ends when the time for that is over.
    fn timed(&self, workshop: &Workshop) -> Result<Service, PlaceError> {
        let options = workshop.registries.client_options();
        Ok(Service::open_timed(self.settings.clone(), options)?)
    }

    fn blobs(&self, workshop: &Workshop) -> Result<&Service, PlaceError> {
        if let Some(service) = self.blobs.get() {
            return Ok(service);
        }
        let options = workshop.registries.client_options();
        // Of two threads that are here at once one makes it for nothing.
        let service = Service::open(self.settings.clone(), options)?;
        Ok(self.blobs.get_or_init(|| service))
    }
}

impl ImportPlace for GhaCache {
    fn shown(&self) -> String {
        format!("gha:{}", self.settings.scope())
    }

    fn read(
        &self,
        workshop: &Workshop,
        platforms: &[Platform],
    ) -> Result<Option<Vec<CacheConfig>>, ReadError> {
        let service = self.timed(workshop).map_err(ReadError::Unreadable)?;
        let documents = service.documents();
        let documents = documents.map_err(|error| ReadError::Unreadable(error.into()))?;
        read_all(&documents, platforms)
    }

    fn open(
        &self,
        workshop: &Workshop,
        layer: &CacheLayer,
    ) -> Result<Box<dyn Read + Send>, PlaceError> {
        let blob = self.blobs(workshop)?.blob(&layer.digest, layer.size)?;
        Ok(Box::new(blob))
    }
}

/// Reads what the documents of several branches have for platforms, the job's own branch first. One that is damaged does
/// not hide the others.
fn read_all(
    documents: &[Document],
    platforms: &[Platform],
) -> Result<Option<Vec<CacheConfig>>, ReadError> {
    if documents.is_empty() {
        return Ok(None);
    }
    let mut found = Vec::new();
    let mut damage = None;
    for document in documents {
        match read_one(document, platforms) {
            Ok(configs) => found.extend(configs),
            Err(error) => damage = damage.or(Some(error)),
        }
    }
    match damage {
        Some(error) if found.is_empty() => Err(error.into()),
        _ => Ok(Some(found)),
    }
}

fn read_one(document: &Document, platforms: &[Platform]) -> Result<Vec<CacheConfig>, ConfigError> {
    let entries = Entries::parse(&document.bytes)?;
    let wanted = platforms
        .iter()
        .filter_map(|platform| entries.get(platform));
    wanted.map(Entry::config).collect()
}

impl ExportPlace for GhaCache {
    fn shown(&self) -> String {
        format!("gha:{}", self.settings.scope())
    }

    fn kind(&self) -> &'static str {
        "GitHub Actions Cache"
    }

    fn begin<'w>(
        &'w self,
        workshop: &'w Workshop,
    ) -> Result<Box<dyn ExportSession + 'w>, PlaceError> {
        let service = self.timed(workshop)?;
        service.check_writable()?;
        Ok(Box::new(GhaSession {
            service,
            earlier: OnceLock::new(),
        }))
    }
}

/// An export to a scope.
struct GhaSession {
    service: Service,
    /// What the job's own branch has: read once for all platforms.
    earlier: OnceLock<Entries>,
}

impl fmt::Debug for GhaSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GhaSession").finish_non_exhaustive()
    }
}

impl GhaSession {
    fn earlier(&self) -> Result<&Entries, GhaError> {
        if let Some(earlier) = self.earlier.get() {
            return Ok(earlier);
        }
        let document = self.service.own_document()?;
        let entries = document.map(|document| Entries::parse(&document.bytes));
        // What is damaged is as good as nothing, and is written over.
        let entries = entries.and_then(Result::ok).unwrap_or_default();
        Ok(self.earlier.get_or_init(|| entries))
    }
}

impl ExportSession for GhaSession {
    fn read(&self, platform: &Platform) -> Result<Option<CacheConfig>, PlaceError> {
        let entry = self.earlier()?.get(platform);
        Ok(entry.and_then(|entry| entry.config().ok()))
    }

    fn put(&self, blob: &Descriptor, source: &dyn Source) -> Result<Transferred, PlaceError> {
        let open = || source.blob(blob, 0).map_err(io::Error::other);
        let stored = self
            .service
            .put_blob(&digest_of(blob)?, blob.size(), open)?;
        Ok(match stored {
            Stored::AlreadyThere | Stored::ByAnother => Transferred::Present,
            Stored::Sent => Transferred::Copied,
        })
    }

    fn write(&self, entries: &[CacheEntry]) -> Result<(), PlaceError> {
        let mut writing = Writing::new(entries);
        self.service
            .update_document(|state| writing.change(state))?;
        Ok(())
    }
}

/// The entries that are put into a document which others change too.
struct Writing<'e> {
    new: Vec<(&'e Platform, Entry)>,
    /// What was there for these platforms when they were written first.
    replaced: Option<Vec<Option<Entry>>>,
}

impl<'e> Writing<'e> {
    fn new(entries: &'e [CacheEntry]) -> Self {
        let new = entries
            .iter()
            .map(|entry| (&entry.platform, Entry::of(entry)));
        Self {
            new: new.collect(),
            replaced: None,
        }
    }

    /// Puts the entries into the state of the document that counts, unless they are there. What is neither ours nor what
    /// we replaced is of somebody who wrote the same platform later: it counts.
    fn change(&mut self, state: Option<&[u8]>) -> Change {
        let mut document = state
            .and_then(|state| Entries::parse(state).ok())
            .unwrap_or_default();
        let there: Vec<_> = self
            .new
            .iter()
            .map(|(platform, _)| document.get(platform).cloned())
            .collect();
        let is_ours = self
            .new
            .iter()
            .zip(&there)
            .all(|((_, new), there)| there.as_ref() == Some(new));
        let is_later = self.replaced.as_ref().is_some_and(|replaced| {
            let mut pairs = there.iter().zip(replaced);
            pairs.all(|(there, replaced)| there.is_some() && there != replaced)
        });
        if is_ours || is_later {
            return Change::Nothing;
        }
        self.replaced.get_or_insert(there);
        for (platform, new) in &self.new {
            document.put(new.clone(), platform);
        }
        Change::To(document.to_bytes())
    }
}

#[cfg(test)]
mod tests;
