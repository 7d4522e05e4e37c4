//! The layout, and which repository has what.
//!
//! Files lie once for all repositories, as they do in any image layout; a repository has what was pushed to it or
//! mounted into it, and nothing else can be read from it. What is where is known to the process that serves, which
//! has read it from `index.json` and the manifests, and writes each change there before anybody sees it.
//!
//! * `document`: the bytes of a manifest → what has to be known of it;
//! * `contents`: which repository has what, and `index.json`;
//! * `files`: the files;
//! * `uploads`: what is not finished.

mod contents;
mod document;
mod files;
mod uploads;

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oci::{Descriptor, Digest};

use self::contents::{Contents, Repository};
pub(crate) use self::document::{Manifest, ManifestError};
pub(crate) use self::files::StorageError;
pub use self::files::{Access, OpenError};
use self::files::{Files, Temporary};
use self::uploads::Uploads;
pub(crate) use self::uploads::{Taken, Unavailable, new_id};
use crate::route::Selector;

/// The storage of a registry.
///
/// The lock guards what is where, and is held while that is written: two changes must reach `index.json` in the order
/// in which they were made. Blobs are read and written without it.
#[derive(Debug)]
pub(crate) struct Storage {
    files: Arc<Files>,
    contents: Mutex<Contents>,
    uploads: Uploads,
}

/// A manifest that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
}

/// What has to be true of what a name names for a manifest to take its place (RFC 9110, section 13.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Nothing.
    None,
    /// It names something: `If-Match: *`.
    Something,
    /// It names nothing: `If-None-Match: *`.
    Nothing,
    /// It names this: `If-Match: "<digest>"`.
    Digest(Digest),
}

/// A manifest to be kept.
#[derive(Debug)]
pub(crate) struct NewManifest<'m> {
    pub(crate) repository: &'m str,
    pub(crate) selector: &'m Selector,
    pub(crate) digest: Digest,
    pub(crate) bytes: &'m [u8],
    pub(crate) manifest: Manifest,
    pub(crate) condition: Condition,
}

/// A manifest is not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PutError {
    #[error("the manifest needs `{0}`, which the repository does not have")]
    Missing(Digest),
    #[error("the name names something else by now")]
    Condition,
    #[error("{0}")]
    Storage(#[from] StorageError),
}

impl Storage {
    /// Opens a layout. The texts are what the operator has to know.
    pub(crate) fn open(path: &Path, access: Access) -> Result<(Self, Vec<String>), OpenError> {
        let (files, index) = Files::open(path, access)?;
        let (contents, notes) =
            Contents::load(&index, &files).map_err(|source| OpenError::Read {
                path: path.to_owned(),
                source: Box::new(source),
            })?;
        let storage = Self {
            files: Arc::new(files),
            contents: Mutex::new(contents),
            uploads: Uploads::default(),
        };
        Ok((storage, notes))
    }

    /// Returns the names of the repositories, sorted.
    pub(crate) fn repositories(&self) -> Vec<String> {
        self.contents().repositories.keys().cloned().collect()
    }

    /// Returns the tags of a repository, sorted by their bytes; `None` if there is none of this name.
    pub(crate) fn tags(&self, name: &str) -> Option<Vec<String>> {
        let contents = self.contents();
        let repository = contents.repositories.get(name)?;
        Some(repository.tags.keys().cloned().collect())
    }

    /// Looks for a manifest.
    pub(crate) fn find_manifest(&self, name: &str, selector: &Selector) -> Option<Found> {
        let contents = self.contents();
        let repository = contents.repositories.get(name)?;
        let digest = find(repository, selector)?;
        let manifest = repository.manifests.get(&digest)?;
        Some(Found {
            media_type: manifest.media_type.clone(),
            digest,
        })
    }

    /// Tells whether there is a repository of this name.
    pub(crate) fn has_repository(&self, name: &str) -> bool {
        self.contents().repositories.contains_key(name)
    }

    /// Tells whether a repository has a blob.
    pub(crate) fn has_blob(&self, name: &str, digest: &Digest) -> bool {
        let contents = self.contents();
        let repository = contents.repositories.get(name);
        repository.is_some_and(|repository| repository.blobs.contains(digest))
    }

    /// Opens the file of a blob or a manifest, and returns its size.
    pub(crate) fn open_blob(&self, digest: &Digest) -> Result<Option<(File, u64)>, StorageError> {
        self.files.open_blob(digest)
    }

    /// Returns the descriptors of what refers to a manifest, of one type if one is asked for.
    pub(crate) fn referrers(
        &self,
        name: &str,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Vec<Descriptor> {
        let contents = self.contents();
        let manifests = contents.repositories.get(name).into_iter();
        let manifests = manifests.flat_map(|repository| &repository.manifests);
        manifests
            .filter(|(_, manifest)| manifest.subject.as_ref() == Some(subject))
            .filter_map(|(digest, manifest)| manifest.as_referrer(digest, artifact_type))
            .collect()
    }

    /// Begins an upload and returns its id.
    pub(crate) fn begin_upload(&self, repository: &str) -> Result<String, StorageError> {
        let id = new_id();
        let file = self.files.temporary(&id)?;
        self.uploads.add(&id, repository, file);
        Ok(id)
    }

    /// Takes an upload out.
    pub(crate) fn take_upload(&self, name: &str, id: &str) -> Result<Taken<'_>, Unavailable> {
        self.uploads.take(name, id)
    }

    /// Makes a complete file a blob of a repository; its bytes have this digest.
    pub(crate) fn add_blob(
        &self,
        name: &str,
        file: Temporary,
        digest: &Digest,
    ) -> Result<(), StorageError> {
        file.sync()?;
        let mut contents = self.contents();
        file.place(digest)?;
        let repository = contents.repositories.entry(name.to_owned()).or_default();
        repository.blobs.insert(digest.clone());
        Ok(())
    }

    /// Gives a repository a blob that another one has, or any if none is named; tells whether there was one.
    pub(crate) fn mount(&self, name: &str, digest: &Digest, from: Option<&str>) -> bool {
        let mut contents = self.contents();
        let has = |repository: &Repository| repository.blobs.contains(digest);
        let is_there = match from {
            Some(from) => contents.repositories.get(from).is_some_and(has),
            None => contents.repositories.values().any(has),
        };
        if is_there {
            let repository = contents.repositories.entry(name.to_owned()).or_default();
            repository.blobs.insert(digest.clone());
        }
        is_there
    }

    /// Keeps a manifest, and gives it its tag.
    pub(crate) fn put_manifest(&self, new: NewManifest<'_>) -> Result<(), PutError> {
        let mut file = self.files.temporary(&new_id())?;
        file.write(new.bytes).map_err(StorageError::Io)?;
        file.sync()?;
        self.change(new.repository, |repository| {
            let current = find(repository, new.selector);
            if !new.condition.holds(current.as_ref()) {
                return Err(PutError::Condition);
            }
            if let Some(digest) = repository.missing(&new.manifest) {
                return Err(PutError::Missing(digest));
            }
            file.place(&new.digest)?;
            if let Selector::Tag(tag) = new.selector {
                repository.tag(new.repository, tag, new.manifest.descriptor(&new.digest));
            }
            repository.manifests.insert(new.digest, new.manifest);
            Ok(())
        })
    }

    /// Removes a tag, or a manifest with its tags; tells whether there was one.
    pub(crate) fn remove_manifest(
        &self,
        name: &str,
        selector: &Selector,
    ) -> Result<bool, StorageError> {
        let Some(found) = self.find_manifest(name, selector) else {
            return Ok(false);
        };
        let removed = self.change(name, |repository| {
            match selector {
                Selector::Tag(tag) => drop(repository.tags.remove(tag)),
                Selector::Digest(digest) => repository.remove_manifest(digest),
            }
            Ok::<_, StorageError>(())
        });
        removed?;
        self.sweep(name, &found.digest)?;
        Ok(true)
    }

    /// Removes a blob from a repository; tells whether there was one.
    pub(crate) fn remove_blob(&self, name: &str, digest: &Digest) -> Result<bool, StorageError> {
        {
            let mut contents = self.contents();
            let repository = contents.repositories.get_mut(name);
            if !repository.is_some_and(|repository| repository.blobs.remove(digest)) {
                return Ok(false);
            }
        }
        self.sweep(name, digest)?;
        Ok(true)
    }

    /// Changes a repository and writes the index; if that fails, nothing has changed.
    fn change<E: From<StorageError>>(
        &self,
        name: &str,
        change: impl FnOnce(&mut Repository) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut contents = self.contents();
        let before = contents.repositories.get(name).cloned();
        let repository = contents.repositories.entry(name.to_owned()).or_default();
        let changed = change(repository).and_then(|()| {
            let index = contents.to_index();
            self.files.write_index(&index).map_err(E::from)
        });
        if changed.is_err() {
            match before {
                Some(before) => contents.repositories.insert(name.to_owned(), before),
                None => contents.repositories.remove(name),
            };
        }
        changed
    }

    /// Removes the file of a blob that nothing needs any more.
    fn sweep(&self, name: &str, digest: &Digest) -> Result<(), StorageError> {
        let mut contents = self.contents();
        contents.forget_empty(name);
        if contents.needs(digest) {
            return Ok(());
        }
        self.files.remove_blob(digest)
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // What a thread that panicked has changed is whole: a repository is put back or not.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Condition {
    fn holds(&self, current: Option<&Digest>) -> bool {
        match self {
            Self::None => true,
            Self::Something => current.is_some(),
            Self::Nothing => current.is_none(),
            Self::Digest(digest) => current == Some(digest),
        }
    }
}

fn find(repository: &Repository, selector: &Selector) -> Option<Digest> {
    match selector {
        Selector::Tag(tag) => repository.tagged(tag),
        Selector::Digest(digest) => {
            let is_there = repository.manifests.contains_key(digest);
            is_there.then(|| digest.clone())
        }
    }
}
