//! Which repository has what, and how that stands in `index.json`.
//!
//! The index has an entry for each tag, whose `org.opencontainers.image.ref.name` is `repository:tag`, and one
//! for each manifest that neither a tag nor another manifest of its repository leads to. Both have the
//! repository in an annotation of ours, so that what is written is read back as it was. A repository has the manifests that its entries lead to, and the blobs that those
//! name and that are there; blobs that no manifest names yet are known to the running process alone.
//!
//! Entries that others wrote are understood where they name a repository: by a `ref.name` with a colon, or by
//! the full name that containerd, Docker and careen write, whose registry is left out. The others are kept and not
//! served.

use std::collections::{BTreeMap, BTreeSet};

use oci::descriptor::{
    ANNOTATION_REF_NAME, annotation_of, digest_of, new_index, to_canonical_json, with_annotations,
};
use oci::limits::INDEX_MAX_DEPTH;
use oci::reference::{is_repository_path, is_tag};
use oci::{Descriptor, Digest, ImageIndex, Reference};

use super::document::Manifest;
use super::files::{Files, StorageError};

/// The annotation with the repository of an entry.
const ANNOTATION_REPOSITORY: &str = "careen.registry.repository";

/// The annotation with the whole name of an image, as containerd and Docker write it.
const ANNOTATION_IMAGE_NAME: &str = "io.containerd.image.name";

/// What one repository has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repository {
    /// The tags, with their entries in the index.
    pub(crate) tags: BTreeMap<String, Descriptor>,
    pub(crate) manifests: BTreeMap<Digest, Manifest>,
    pub(crate) blobs: BTreeSet<Digest>,
}

/// What the registry has.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) repositories: BTreeMap<String, Repository>,
    /// Entries that name no repository.
    unserved: Vec<Descriptor>,
    /// What those lead to.
    kept: Repository,
}

/// What an entry of the index says.
#[derive(Debug, PartialEq, Eq)]
struct EntryName {
    repository: String,
    tag: Option<String>,
}

impl Repository {
    /// Returns what a tag names.
    pub(crate) fn tagged(&self, tag: &str) -> Option<Digest> {
        digest_of(self.tags.get(tag)?).ok()
    }

    fn has(&self, digest: &Digest) -> bool {
        self.blobs.contains(digest) || self.manifests.contains_key(digest)
    }

    /// Returns what a manifest names and the repository does not have.
    pub(crate) fn missing(&self, manifest: &Manifest) -> Option<Digest> {
        let mut blobs = manifest.blobs.iter();
        let mut children = manifest.children.iter();
        let blob = blobs.find(|digest| !self.blobs.contains(digest));
        blob.or_else(|| children.find(|digest| !self.has(digest)))
            .cloned()
    }

    /// Adds a tag.
    pub(crate) fn tag(&mut self, repository: &str, tag: &str, manifest: Descriptor) {
        let name = (
            ANNOTATION_REF_NAME.to_owned(),
            format!("{repository}:{tag}"),
        );
        let annotations = [name, owner(repository)].into();
        self.tags
            .insert(tag.to_owned(), with_annotations(manifest, &annotations));
    }

    /// Removes a manifest and the tags that name it.
    pub(crate) fn remove_manifest(&mut self, digest: &Digest) {
        self.manifests.remove(digest);
        self.tags
            .retain(|_, entry| digest_of(entry).as_ref() != Ok(digest));
    }

    /// Returns its entries in the index.
    fn entries(&self, name: &str) -> Vec<Descriptor> {
        let tagged = self.tags.values().filter_map(|entry| digest_of(entry).ok());
        let children = self
            .manifests
            .values()
            .flat_map(|manifest| manifest.children.clone());
        let reached: BTreeSet<Digest> = tagged.chain(children).collect();
        let lone = self
            .manifests
            .iter()
            .filter(|(digest, _)| !reached.contains(digest));
        let lone = lone.map(|(digest, manifest)| {
            with_annotations(manifest.descriptor(digest), &[owner(name)].into())
        });
        self.tags.values().cloned().chain(lone).collect()
    }

    /// Adds a manifest and what it leads to, as far as it is there.
    fn load(&mut self, root: Digest, files: &Files) -> Result<(), StorageError> {
        let mut level = vec![root];
        for _ in 0..=INDEX_MAX_DEPTH {
            let mut below = Vec::new();
            for digest in level {
                if self.manifests.contains_key(&digest) {
                    continue;
                }
                let Some(bytes) = files.read_document(&digest)? else {
                    continue;
                };
                let Ok(manifest) = Manifest::parse(&bytes, None) else {
                    // An index may list what is no manifest at all.
                    self.blobs.insert(digest);
                    continue;
                };
                self.load_blobs(&manifest.blobs, files)?;
                below.extend(manifest.children.iter().cloned());
                self.manifests.insert(digest, manifest);
            }
            level = below;
        }
        Ok(())
    }

    /// Adds the blobs that are there.
    fn load_blobs(&mut self, blobs: &[Digest], files: &Files) -> Result<(), StorageError> {
        for blob in blobs {
            if files.open_blob(blob)?.is_some() {
                self.blobs.insert(blob.clone());
            }
        }
        Ok(())
    }
}

impl Contents {
    /// Reads what the entries of an index lead to. The texts are what the operator has to know.
    pub(crate) fn load(
        index: &ImageIndex,
        files: &Files,
    ) -> Result<(Self, Vec<String>), StorageError> {
        let mut contents = Self::default();
        let mut notes = Vec::new();
        for entry in index.manifests() {
            contents.load_entry(entry, files, &mut notes)?;
        }
        Ok((contents, notes))
    }

    fn load_entry(
        &mut self,
        entry: &Descriptor,
        files: &Files,
        notes: &mut Vec<String>,
    ) -> Result<(), StorageError> {
        let shown = annotation_of(entry, ANNOTATION_REF_NAME)
            .unwrap_or("no name")
            .to_owned();
        let digest = digest_of(entry);
        let (Some(name), Ok(digest)) = (EntryName::of(entry), digest) else {
            notes.push(format!(
                "`{}` ({shown}) is in no repository and not served",
                entry.digest()
            ));
            self.unserved.push(entry.clone());
            return digest_of(entry).map_or(Ok(()), |digest| self.kept.load(digest, files));
        };
        let repository = self
            .repositories
            .entry(name.repository.clone())
            .or_default();
        repository.load(digest.clone(), files)?;
        if !repository.manifests.contains_key(&digest) {
            notes.push(format!(
                "`{digest}` of `{}` is missing or damaged",
                name.repository
            ));
            self.unserved.push(entry.clone());
            return Ok(());
        }
        let Some(tag) = name.tag else {
            return Ok(());
        };
        if repository.tags.contains_key(&tag) {
            let full = format!("{}:{tag}", name.repository);
            notes.push(format!("`{full}` is there twice; the first one is served"));
            self.unserved.push(entry.clone());
            return self.kept.load(digest, files);
        }
        repository.tags.insert(tag, entry.clone());
        Ok(())
    }

    /// Returns the bytes of `index.json`.
    pub(crate) fn to_index(&self) -> Vec<u8> {
        let served = self.repositories.iter();
        let served = served.flat_map(|(name, repository)| repository.entries(name));
        let entries = self.unserved.iter().cloned().chain(served).collect();
        let mut index = new_index(entries);
        index.set_media_type(Some(oci::media_type::OCI_INDEX.into()));
        to_canonical_json(&index)
    }

    /// Tells whether anything needs a blob.
    pub(crate) fn needs(&self, digest: &Digest) -> bool {
        self.kept.has(digest)
            || self
                .repositories
                .values()
                .any(|repository| repository.has(digest))
    }

    /// Forgets a repository that has nothing.
    pub(crate) fn forget_empty(&mut self, name: &str) {
        let is_empty = |repository: &Repository| {
            repository.manifests.is_empty() && repository.blobs.is_empty()
        };
        if self.repositories.get(name).is_some_and(is_empty) {
            self.repositories.remove(name);
        }
    }
}

fn owner(repository: &str) -> (String, String) {
    (ANNOTATION_REPOSITORY.to_owned(), repository.to_owned())
}

impl EntryName {
    fn of(entry: &Descriptor) -> Option<Self> {
        let reference = annotation_of(entry, ANNOTATION_REF_NAME);
        if let Some(repository) = annotation_of(entry, ANNOTATION_REPOSITORY) {
            let below = reference.and_then(|name| name.strip_prefix(repository));
            let tag = below.and_then(|rest| rest.strip_prefix(':'));
            return Self::new(repository, tag);
        }
        let written = reference.and_then(|name| name.rsplit_once(':'));
        if let Some(name) = written.and_then(|(name, tag)| Self::new(name, Some(tag))) {
            return Some(name);
        }
        let full = Reference::parse_canonical(annotation_of(entry, ANNOTATION_IMAGE_NAME)?).ok()?;
        Self::new(full.path(), full.tag())
    }

    fn new(repository: &str, tag: Option<&str>) -> Option<Self> {
        let fits = is_repository_path(repository) && tag.is_none_or(is_tag);
        fits.then(|| Self {
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::descriptor::descriptor;
    use oci::media_type::OCI_MANIFEST;

    #[test]
    fn an_entry_names_its_repository_in_one_of_three_ways() {
        let name = |repository: &str, tag: Option<&str>| EntryName::new(repository, tag);
        for (annotations, expected) in [
            (
                vec![
                    (ANNOTATION_REPOSITORY, "app.io/x"),
                    (ANNOTATION_REF_NAME, "app.io/x:1"),
                ],
                name("app.io/x", Some("1")),
            ),
            (vec![(ANNOTATION_REPOSITORY, "a")], name("a", None)),
            (
                vec![(ANNOTATION_REF_NAME, "team/app:1.0")],
                name("team/app", Some("1.0")),
            ),
            (
                vec![
                    (ANNOTATION_REF_NAME, "3"),
                    (ANNOTATION_IMAGE_NAME, "docker.io/library/alpine:3"),
                ],
                name("library/alpine", Some("3")),
            ),
            (
                vec![(ANNOTATION_IMAGE_NAME, "localhost:5000/app:1")],
                name("app", Some("1")),
            ),
            (vec![(ANNOTATION_REF_NAME, "latest")], None),
            (vec![(ANNOTATION_REF_NAME, "Team/App:1")], None),
            (vec![(ANNOTATION_IMAGE_NAME, "app:1")], None),
            (vec![], None),
        ] {
            let annotations = annotations.into_iter();
            let annotations = annotations.map(|(key, value)| (key.to_owned(), value.to_owned()));
            let entry = descriptor(OCI_MANIFEST, &Digest::of(b"x"), 1);
            let entry = with_annotations(entry, &annotations.collect());
            assert_eq!(EntryName::of(&entry), expected, "{entry:?}");
        }
    }
}
