//! Images of registries: what a name stands for now, and the documents of an image.
//!
//! A registry is asked what a tag stands for in each build, by one `HEAD`; for a digest it is not asked. What the
//! digest leads to is remembered, and documents are read only the first time. What a tag stood for is remembered
//! too, with the time of the answer, for a build that gets no answer.

use std::io::Read as _;

use graph::ImageOrigin;
use oci::descriptor::{self, Descriptor};
use oci::{Clock, Digest, Platform, Reference, Timestamp};
use registry::{Access, RegistryError, Repository, Selector};
use serde::{Deserialize, Serialize};
use store::Store;

use super::loading::{Labels, Loading};
use super::reader::{Documents, Reader};
use super::{
    BaseError, OpenedImage, Resolved, ResolvedImage, lookup, recall, record_key, remember,
};
use crate::job::Workshop;
use crate::registries::Pulling;

/// What happens when a registry does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// What the name stood for the last time is used, with a warning.
    Usual,
    /// The build fails: it is the answer of today that is wanted.
    Needed,
}

/// How long ago the answer of a registry may have been that is not remembered anew if it is the same.
const FRESH_SECONDS: i64 = 60;

/// What a name stood for.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct RememberedName {
    digest: Digest,
    /// When the registry said so.
    at: Timestamp,
}

/// Resolves an image of a registry for some platforms, in their order.
///
/// # Errors
///
/// Fails, with the place of the platform, when the registry cannot be asked or has no such image.
pub(super) fn resolve(
    workshop: &Workshop,
    reference: &Reference,
    (platforms, labels): (&[Platform], Labels),
    patience: Patience,
) -> Result<Vec<ResolvedImage>, (usize, BaseError)> {
    if workshop.registries.pulling() == Pulling::Forbidden {
        return resolve_remembered(workshop, reference, platforms);
    }
    let image = Image {
        workshop,
        reference,
    };
    let loading = Loading::new(reference, platforms, labels);
    loading.show(&workshop.events, || {
        let top = image.top(patience).map_err(|error| (0, error))?;
        image.resolve_all(&top, platforms)
    })
}

/// Resolves an image of a registry without asking it: from what is remembered.
///
/// # Errors
///
/// Fails when nothing is.
pub(super) fn resolve_remembered(
    workshop: &Workshop,
    reference: &Reference,
    platforms: &[Platform],
) -> Result<Vec<ResolvedImage>, (usize, BaseError)> {
    let image = Image {
        workshop,
        reference,
    };
    let not_asked = |place| {
        let name = reference.familiar();
        (place, BaseError::NotAsked { name })
    };
    let digest = match reference.digest() {
        Some(digest) => Some(digest.clone()),
        None => remembered_name(&workshop.store, reference).map(|known| known.digest),
    };
    let digest = digest.ok_or_else(|| not_asked(0))?;
    let resolve = |(place, platform): (usize, &Platform)| {
        let known = recall(&workshop.store, &[digest.to_string()], platform);
        let known = known.ok_or_else(|| not_asked(place))?;
        Ok(image.finish(known, &digest, platform))
    };
    platforms.iter().enumerate().map(resolve).collect()
}

/// Returns the platforms that an image of a registry is for.
///
/// # Errors
///
/// Fails when the registry cannot be asked or has no such image.
pub(super) fn platforms(
    workshop: &Workshop,
    reference: &Reference,
    patience: Patience,
) -> Result<Vec<Platform>, BaseError> {
    let image = Image {
        workshop,
        reference,
    };
    let top = image.top(patience)?;
    let documents = image.documents(&top)?;
    let top = documents.top.clone();
    let tops: Vec<_> = top.map(|(descriptor, _)| descriptor).into_iter().collect();
    lookup::platforms(&documents, &documents.name, &tops)
}

/// Reads the configuration and the layers of an image of which only the digest is known.
///
/// # Errors
///
/// Fails when the registry cannot be asked, or does not have it any more.
pub(super) fn open(
    workshop: &Workshop,
    name: &str,
    repository: &Reference,
    manifest: &Digest,
) -> Result<OpenedImage, BaseError> {
    let image = Image {
        workshop,
        reference: repository,
    };
    let documents = &Pulled {
        name: name.to_owned(),
        repository: image.repository(Access::Pull)?,
        top: None,
    };
    Reader { name, documents }.open(manifest)
}

/// An image that is asked for.
struct Image<'a> {
    workshop: &'a Workshop,
    reference: &'a Reference,
}

impl Image<'_> {
    fn failed(&self, source: RegistryError) -> BaseError {
        failed(&self.reference.familiar(), source)
    }

    fn repository(&self, access: Access) -> Result<Repository, BaseError> {
        let registry = self.workshop.registries.usual()?;
        let repository = registry.repository(self.reference, access);
        repository.map_err(|error| self.failed(error))
    }

    /// Returns the digest that the name stands for.
    fn top(&self, patience: Patience) -> Result<Digest, BaseError> {
        if let Some(digest) = self.reference.digest() {
            return Ok(digest.clone());
        }
        let store = &self.workshop.store;
        let known = remembered_name(store, self.reference).filter(|_| patience == Patience::Usual);
        let registries = &self.workshop.registries;
        let registry = match &known {
            // Who has something to fall back on need not wait for long.
            Some(_) => registries.brief()?,
            None => registries.usual()?,
        };
        let repository = registry.repository(self.reference, Access::Resolve);
        let found =
            repository.and_then(|repository| repository.resolve(&Selector::of(self.reference)));
        match (found, known) {
            (Ok(Some(top)), _) => self.keep_name(&top),
            (Ok(None), _) => Err(BaseError::Unknown {
                name: self.reference.familiar(),
                registry: self.reference.domain().to_owned(),
            }),
            (Err(error), Some(known)) if error.is_unreachable() => {
                self.warn_of(&known, &error);
                Ok(known.digest)
            }
            (Err(error), _) => Err(self.failed(error)),
        }
    }

    fn warn_of(&self, known: &RememberedName, error: &RegistryError) {
        let RememberedName { digest, at } = known;
        let name = self.reference.familiar();
        tracing::debug!(%error, "no answer");
        self.workshop.events.warn(format!(
            "`{}` does not answer: `{name}` is taken to be {digest}, as it was at {at}",
            error.host
        ));
    }

    /// Remembers what the name stands for.
    fn keep_name(&self, top: &Descriptor) -> Result<Digest, BaseError> {
        let digest = descriptor::digest_of(top).map_err(|source| BaseError::Digest {
            name: self.reference.familiar(),
            source,
        })?;
        let known = RememberedName {
            digest: digest.clone(),
            at: Clock::System.now(),
        };
        let is_new = |former: RememberedName| {
            former.digest != known.digest
                || former.at.seconds() + FRESH_SECONDS < known.at.seconds()
        };
        if !remembered_name(&self.workshop.store, self.reference).is_none_or(is_new) {
            return Ok(digest);
        }
        let records = self.workshop.store.records();
        if let Err(error) = records.put(&name_key(self.reference), &known) {
            tracing::debug!(%error, "name not remembered");
        }
        Ok(digest)
    }

    /// Resolves the platforms, side by side where documents have to be read.
    fn resolve_all(
        &self,
        top: &Digest,
        platforms: &[Platform],
    ) -> Result<Vec<ResolvedImage>, (usize, BaseError)> {
        let digests = [top.to_string()];
        let known = platforms
            .iter()
            .map(|platform| recall(&self.workshop.store, &digests, platform));
        let mut found: Vec<_> = known.collect();
        if found.iter().any(Option::is_none) {
            let documents = self.documents(top).map_err(|error| (0, error))?;
            self.read_all(&documents, platforms, &mut found)?;
        }
        let found = found.into_iter().flatten().zip(platforms);
        Ok(found
            .map(|(resolved, platform)| self.finish(resolved, top, platform))
            .collect())
    }

    fn read_all(
        &self,
        documents: &Pulled,
        platforms: &[Platform],
        found: &mut [Option<Resolved>],
    ) -> Result<(), (usize, BaseError)> {
        std::thread::scope(|scope| {
            let wanted = found.iter_mut().zip(platforms).enumerate();
            let missing = wanted.filter(|(_, (slot, _))| slot.is_none());
            let threads: Vec<_> = missing
                .map(|(place, (slot, platform))| {
                    let read = move || self.read(documents, platform);
                    (place, slot, scope.spawn(read))
                })
                .collect();
            for (place, slot, thread) in threads {
                let resolved = match thread.join() {
                    Ok(resolved) => resolved,
                    Err(panic) => std::panic::resume_unwind(panic),
                };
                *slot = Some(resolved.map_err(|error| (place, error))?);
            }
            Ok(())
        })
    }

    fn read(&self, documents: &Pulled, platform: &Platform) -> Result<Resolved, BaseError> {
        let tops: Vec<_> = documents.top.iter().map(|(top, _)| top.clone()).collect();
        let reader = Reader {
            name: &documents.name,
            documents,
        };
        let resolved = reader.resolve(&tops, platform)?;
        remember(&self.workshop.store, &tops, platform, &resolved);
        Ok(resolved)
    }

    /// Reads the top, which all platforms share.
    fn documents(&self, top: &Digest) -> Result<Pulled, BaseError> {
        let repository = self.repository(Access::Pull)?;
        let manifest = repository.manifest(&Selector::Digest(top.clone()));
        let manifest = manifest.map_err(|error| self.failed(error))?;
        Ok(Pulled {
            name: self.reference.familiar(),
            repository,
            top: Some((manifest.descriptor, manifest.bytes)),
        })
    }

    fn finish(&self, resolved: Resolved, top: &Digest, platform: &Platform) -> ResolvedImage {
        let origin = ImageOrigin::Registry {
            repository: self.reference.repository(),
        };
        let mut image = resolved.into_image(&self.reference.familiar(), platform, origin);
        image.source.pinned = Some(self.pinned(top));
        image
    }

    /// Returns the whole name, with the digest that it stands for.
    fn pinned(&self, top: &Digest) -> String {
        match self.reference.digest() {
            Some(_) => self.reference.to_string(),
            None => format!("{}@{top}", self.reference),
        }
    }
}

/// The documents of an image of a registry.
struct Pulled {
    name: String,
    repository: Repository,
    /// The top, if it was read.
    top: Option<(Descriptor, Vec<u8>)>,
}

impl Documents for Pulled {
    fn manifest(&self, digest: &Digest) -> Result<Vec<u8>, BaseError> {
        if let Some((top, bytes)) = &self.top
            && top.digest().as_ref() == digest.as_str()
        {
            return Ok(bytes.clone());
        }
        let manifest = self.repository.manifest(&Selector::Digest(digest.clone()));
        let manifest = manifest.map_err(|error| failed(&self.name, error))?;
        Ok(manifest.bytes)
    }

    fn config(&self, descriptor: &Descriptor, digest: &Digest) -> Result<Vec<u8>, BaseError> {
        let limit_bytes = oci::limits::CONFIG_MAX_BYTES;
        if descriptor.size() > limit_bytes {
            return Err(BaseError::ConfigTooLarge {
                name: self.name.clone(),
                digest: digest.clone(),
                limit_bytes,
            });
        }
        let blob = self.repository.blob(descriptor, 0);
        let mut bytes = Vec::new();
        blob.map_err(|error| failed(&self.name, error))?
            .read_to_end(&mut bytes)
            .map_err(|source| BaseError::ReadConfig {
                name: self.name.clone(),
                digest: digest.clone(),
                source,
            })?;
        Ok(bytes)
    }
}

fn failed(name: &str, source: RegistryError) -> BaseError {
    BaseError::Registry {
        name: name.to_owned(),
        source: Box::new(source),
    }
}

fn name_key(reference: &Reference) -> Digest {
    record_key(&("name", reference.to_string()))
}

fn remembered_name(store: &Store, reference: &Reference) -> Option<RememberedName> {
    store.records().get(&name_key(reference)).ok().flatten()
}
