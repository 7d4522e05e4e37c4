//! An index of images that are anywhere: [`Combination`].
//!
//! ```text
//! sources     each an image, or an index of several               add
//! entries     each manifest once; what is said of one with it     keep_platforms, annotate, replace…
//! target      the images that are not there, then the index       put_images, document
//! ```
//!
//! Manifests stay as they are, byte for byte; the index alone is new. An entry that says no platform gets that of its
//! configuration, since nobody could choose it otherwise.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use ::registry::RegistryError;
use oci::check::{self, DocumentError, is_attestation, subject_of_attestation};
use oci::descriptor::{self, platform_of, with_platform};
use oci::media_type::{DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX};
use oci::{Descriptor, Platform};

use crate::append::is_blob_not_seen;
use crate::copy::{CopyError, CopyOptions, CopyReport, copy, platform_of_manifest};
use crate::place::{Document, PlaceError, Source, Target};

mod picked;
#[cfg(test)]
mod tests;

use picked::{Picked, Unnamed};

/// How often images are put where somebody else puts the same.
const PUT_TRIES: u32 = 5;

/// How long is waited before that.
const PUT_PAUSE: Duration = Duration::from_millis(300);

/// An index cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CombineError {
    /// A source cannot be read.
    #[error("cannot read `{shown}`")]
    Read {
        /// The source.
        shown: String,
        /// Why.
        source: PlaceError,
    },
    /// A document of a source is malformed.
    #[error("`{digest}` of `{shown}` is malformed")]
    Document {
        /// The source.
        shown: String,
        /// The document.
        digest: String,
        /// What is wrong with it.
        source: DocumentError,
    },
    /// The platform of an image cannot be found out.
    #[error("cannot find out what `{digest}` of `{shown}` is for")]
    Platform {
        /// The source.
        shown: String,
        /// The manifest.
        digest: String,
        /// Why.
        source: Box<CopyError>,
    },
    /// An image cannot be copied to where the index goes.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// Docker's index has no annotations.
    #[error("an index of Docker's media type has no annotations: its images are all of that type")]
    DockerAnnotations,
}

/// An entry of the index to be.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The manifest, with its platform.
    pub descriptor: Descriptor,
    /// Which source has it, counted from 0; none where the target has it.
    source: Option<usize>,
    /// The further sources that have it.
    others: Vec<usize>,
}

/// An index that is being made.
#[derive(Debug, Default)]
pub struct Combination<'a> {
    sources: Vec<&'a dyn Source>,
    entries: Vec<Entry>,
    annotations: BTreeMap<String, String>,
    /// The only source, as it is, as long as nothing was changed.
    whole: Option<Document>,
}

/// What is added to an index.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Additions {
    /// The entries.
    pub entries: Vec<Descriptor>,
    /// What is said of the index itself.
    pub annotations: BTreeMap<String, String>,
}

/// A platform that several entries are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// The platform.
    pub platform: Platform,
    /// Where the entries are from.
    pub sources: Vec<String>,
}

impl<'a> Combination<'a> {
    /// Starts with nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what a source has: its image, or all that its index names. A manifest that is there already is not
    /// added again.
    ///
    /// # Errors
    ///
    /// Fails when the source cannot be read, is malformed, or does not tell what its image is for.
    pub fn add(&mut self, source: &'a dyn Source) -> Result<(), CombineError> {
        let root = source.root().map_err(|error| CombineError::Read {
            shown: source.shown(),
            source: error,
        })?;
        let is_first = self.sources.is_empty();
        self.sources.push(source);
        let at = Some(self.sources.len() - 1);
        for descriptor in entries_of(source, &root)? {
            self.push(descriptor, at);
        }
        self.whole = is_first.then_some(root);
        Ok(())
    }

    /// Adds an entry, unless its manifest is there.
    fn push(&mut self, descriptor: Descriptor, source: Option<usize>) {
        let is_it = |known: &&mut Entry| known.descriptor.digest() == descriptor.digest();
        let Some(known) = self.entries.iter_mut().find(is_it) else {
            self.entries.push(Entry {
                descriptor,
                source,
                others: Vec::new(),
            });
            return;
        };
        known.others.extend(source);
        if known.descriptor.platform().is_none() {
            known.descriptor.set_platform(descriptor.platform().clone());
        }
    }

    /// Returns the entries, those that are about images too.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Changes what the index says of entries. The function gets the descriptor and where it is from.
    pub fn change_entries<F: FnMut(&mut Descriptor, &str)>(&mut self, mut change: F) {
        self.whole = None;
        let shown: Vec<_> = self.sources.iter().map(|source| source.shown()).collect();
        for entry in &mut self.entries {
            let shown = entry
                .source
                .and_then(|at| shown.get(at))
                .map_or("", String::as_str);
            change(&mut entry.descriptor, shown);
        }
    }

    /// Keeps the images for these platforms, with what is said of them; returns the platforms that there is nothing
    /// for.
    pub fn keep_platforms(&mut self, platforms: &[Platform]) -> Vec<Platform> {
        self.whole = None;
        let is_for = |descriptor: &Descriptor, platform: &Platform| {
            platform_of(descriptor).is_some_and(|other| platform.is_same(&other))
        };
        let missing = platforms.iter().filter(|platform| {
            !self
                .entries
                .iter()
                .any(|entry| is_for(&entry.descriptor, platform))
        });
        let missing = missing.cloned().collect();
        let is_kept = |entry: &Entry| {
            platforms
                .iter()
                .any(|platform| is_for(&entry.descriptor, platform))
        };
        let (kept, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.entries)
            .into_iter()
            .partition(is_kept);
        let about = rest.into_iter().filter(|entry| {
            let subject = subject_of_attestation(&entry.descriptor);
            is_attestation(&entry.descriptor)
                && kept
                    .iter()
                    .any(|image| Some(image.descriptor.digest().as_ref()) == subject)
        });
        let about: Vec<_> = about.collect();
        self.entries = kept;
        self.entries.extend(about);
        missing
    }

    /// Says something of the index itself.
    pub fn annotate(&mut self, key: &str, value: &str) {
        self.whole = None;
        self.annotations.insert(key.to_owned(), value.to_owned());
    }

    /// Returns the platforms that more than one image is for; whoever asks for one of them gets the first.
    pub fn duplicates(&self) -> Vec<Duplicate> {
        let mut found: Vec<Duplicate> = Vec::new();
        for entry in self
            .entries
            .iter()
            .filter(|entry| !is_attestation(&entry.descriptor))
        {
            let Some(platform) =
                platform_of(&entry.descriptor).map(|platform| platform.normalized())
            else {
                continue;
            };
            let source = entry
                .source
                .and_then(|at| self.sources.get(at))
                .map(|source| source.shown());
            match found.iter_mut().find(|known| known.platform == platform) {
                Some(known) => known.sources.extend(source),
                None => found.push(Duplicate {
                    platform,
                    sources: source.into_iter().collect(),
                }),
            }
        }
        found.retain(|known| known.sources.len() > 1);
        found
    }

    /// Returns the only source's document as it is: an index of which nothing was changed or, where `any` says so, an
    /// image too.
    pub fn unchanged(&self, any: bool) -> Option<&Document> {
        self.whole
            .as_ref()
            .filter(|root| any || check::is_index(&root.bytes))
    }

    /// Returns the platforms whose image several sources have, the same one.
    pub fn repeated(&self) -> Vec<Duplicate> {
        let shown = |at: &usize| self.sources.get(*at).map(|source| source.shown());
        let repeated = self
            .entries
            .iter()
            .filter(|entry| !is_attestation(&entry.descriptor));
        let repeated = repeated.filter_map(|entry| {
            Some(Duplicate {
                platform: platform_of(&entry.descriptor)?,
                sources: entry
                    .source
                    .iter()
                    .chain(&entry.others)
                    .filter_map(shown)
                    .collect(),
            })
        });
        repeated.filter(|known| known.sources.len() > 1).collect()
    }

    /// Returns the index: of Docker's media type where all images are, and nothing is said of it.
    ///
    /// # Errors
    ///
    /// Fails when annotations are asked for of an index of Docker's.
    pub fn document(&self) -> Result<Document, CombineError> {
        let descriptors: Vec<_> = self
            .entries
            .iter()
            .map(|entry| entry.descriptor.clone())
            .collect();
        let document = index_of(descriptors, &self.annotations);
        let is_docker = document.descriptor.media_type().as_ref() == DOCKER_INDEX;
        let says_something = || {
            self.entries
                .iter()
                .any(|entry| entry.descriptor.annotations().is_some())
                || !self.annotations.is_empty()
        };
        if is_docker && says_something() {
            return Err(CombineError::DockerAnnotations);
        }
        Ok(document)
    }

    /// Returns what is to be added to an index that is there.
    pub fn additions(&self) -> Additions {
        let entries = self.entries.iter().map(|entry| entry.descriptor.clone());
        Additions {
            entries: entries.collect(),
            annotations: self.annotations.clone(),
        }
    }

    /// Puts the images at a target, without a name, as often as it takes while others put the same there. Those of sources that `is_there` says to be in the same
    /// repository are not looked at.
    ///
    /// # Errors
    ///
    /// Fails as [`copy`](copy()) does.
    pub fn put_images(
        &self,
        target: &dyn Target,
        options: &CopyOptions<'_>,
        is_there: &dyn Fn(&dyn Source) -> bool,
    ) -> Result<Vec<CopyReport>, CombineError> {
        let mut reports = Vec::new();
        for entry in &self.entries {
            let Some(source) = entry.source.and_then(|at| self.sources.get(at)) else {
                continue;
            };
            if is_there(*source) {
                continue;
            }
            let picked = Picked::new(*source, &entry.descriptor);
            reports.push(put(&picked, &Unnamed(target), options)?);
        }
        Ok(reports)
    }
}

/// Puts an image at a target. Others may put the same layers there at the same time, which not every registry is
/// equal to: then it is put again.
fn put(
    source: &dyn Source,
    target: &dyn Target,
    options: &CopyOptions<'_>,
) -> Result<CopyReport, CopyError> {
    let mut tries = 1;
    loop {
        let error = match copy(source, target, options) {
            Ok(report) => return Ok(report),
            Err(error) => error,
        };
        let is_for_the_moment = RegistryError::behind(&error).is_some_and(is_blob_not_seen);
        if !is_for_the_moment || tries == PUT_TRIES || options.stop.is_stopped() {
            return Err(error);
        }
        tries += 1;
        thread::park_timeout(PUT_PAUSE);
    }
}

/// Returns the entries that a document of a source adds to an index.
pub(crate) fn entries_of(
    source: &dyn Source,
    root: &Document,
) -> Result<Vec<Descriptor>, CombineError> {
    let malformed = |error| CombineError::Document {
        shown: source.shown(),
        digest: root.descriptor.digest().to_string(),
        source: error,
    };
    if !check::is_index(&root.bytes) {
        check::parse_manifest(&root.bytes).map_err(malformed)?;
        return Ok(vec![with_known_platform(
            source,
            root.descriptor.clone(),
            Some(root),
        )?]);
    }
    let index = check::parse_index(&root.bytes).map_err(malformed)?;
    let entries = index.manifests().iter().cloned();
    entries
        .map(|entry| with_known_platform(source, entry, None))
        .collect()
}

/// Gives an entry the platform of its configuration, unless it says one or is no image.
fn with_known_platform(
    source: &dyn Source,
    entry: Descriptor,
    document: Option<&Document>,
) -> Result<Descriptor, CombineError> {
    let is_index = oci::MediaType::parse(entry.media_type().as_ref()).is_index();
    if platform_of(&entry).is_some() || is_index {
        return Ok(entry);
    }
    let read;
    let document = if let Some(document) = document {
        document
    } else {
        read = source
            .document(&entry)
            .map_err(|error| CombineError::Read {
                shown: source.shown(),
                source: error,
            })?;
        &read
    };
    match platform_of_manifest(source, document) {
        Ok(platform) => Ok(with_platform(entry, &platform)),
        // An artifact is for no platform.
        Err(CopyError::NotConvertible { .. }) => Ok(entry),
        Err(error) => Err(CombineError::Platform {
            shown: source.shown(),
            digest: entry.digest().to_string(),
            source: Box::new(error),
        }),
    }
}

/// Returns the index of entries: of Docker's media type where all of them are, and else of OCI's.
pub(crate) fn index_of(
    entries: Vec<Descriptor>,
    annotations: &BTreeMap<String, String>,
) -> Document {
    let is_docker = |entry: &Descriptor| entry.media_type().as_ref() == DOCKER_MANIFEST;
    let media_type = if !entries.is_empty() && entries.iter().all(is_docker) {
        DOCKER_INDEX
    } else {
        OCI_INDEX
    };
    let mut index = descriptor::new_index(entries);
    index.set_media_type(Some(media_type.into()));
    if !annotations.is_empty() {
        index.set_annotations(Some(annotations.clone().into_iter().collect()));
    }
    Document::new(media_type, descriptor::to_canonical_json(&index))
}

/// Returns entries with others added: an image takes the place of the one for the same platform, and of what was said
/// of that one.
pub(crate) fn replaced(entries: &[Descriptor], additions: &[Descriptor]) -> Vec<Descriptor> {
    let platform = |entry: &Descriptor| {
        let platform = platform_of(entry).filter(|_| !is_attestation(entry));
        platform.map(|platform| platform.normalized())
    };
    let is_replaced = |old: &Descriptor| {
        additions.iter().any(|new| {
            new.digest() == old.digest()
                || (platform(old).is_some() && platform(old) == platform(new))
        })
    };
    let gone: Vec<_> = entries
        .iter()
        .filter(|entry| is_replaced(entry))
        .map(Descriptor::digest)
        .collect();
    let is_about_gone = |entry: &Descriptor| {
        let about = subject_of_attestation(entry);
        about.is_some_and(|about| gone.iter().any(|digest| digest.as_ref() == about))
    };
    let kept = entries
        .iter()
        .filter(|entry| !is_replaced(entry) && !is_about_gone(entry));
    kept.chain(additions).cloned().collect()
}
