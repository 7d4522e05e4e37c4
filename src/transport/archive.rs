//! Archives of images as places: OCI image layouts in a tar, and what `docker save` writes.
//!
//! An archive is read where it is: its headers once, and then what is needed. One that is compressed or comes from a
//! pipe is unpacked into a file of the store, which is gone afterwards. `docker save` writes an OCI image layout
//! with a `manifest.json` today; where there is a layout it is what counts, since it has the digests that the image
//! has elsewhere.

mod docker;
mod error;
mod tar_file;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use oci::check;
use oci::descriptor::{self, ANNOTATION_REF_NAME};
use oci::limits::{LAYOUT_MAX_BYTES, MANIFEST_MAX_BYTES};
use oci::media_type::OCI_INDEX;
use oci::{Descriptor, Digest, Reference, VerifiedReader};
use store::{ANNOTATION_IMAGE_NAME, BlobError, LayoutIndex, LayoutSelector, Store};

use crate::layout::{INDEX_FILE, VERSION_FILE, index_json};
use crate::limits::ARCHIVE_IMAGES_MAX;
use crate::middle;
use crate::place::{Document, PlaceError, Source};
use crate::referrer;
use crate::stop::Stop;
use crate::store::without_names;

use docker::SavedImage;
pub use error::ArchiveSourceError;
use tar_file::{Extent, TarFile};
pub use write::{ArchiveTarget, ArchiveTargetError, ImageArchive, Output, Style};

/// The file in which `docker save` lists images.
pub const MANIFEST_FILE: &str = "manifest.json";

/// What an archive lists.
#[derive(Debug)]
enum Listed {
    /// The entries of a layout's index.
    Layout(Vec<Descriptor>),
    /// The images of `manifest.json`.
    Docker(Vec<SavedImage>),
}

/// An archive of images.
#[derive(Debug)]
pub struct ImageFile {
    tar: Arc<TarFile>,
    listed: Listed,
}

/// An image of an archive, with the names that it has there.
#[derive(Debug)]
pub struct ArchivedImage {
    /// Its names.
    pub names: Vec<Reference>,
    /// The image.
    pub source: ArchiveSource,
}

impl ImageFile {
    /// Opens an archive that is a file.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be read, or has no images.
    pub fn open(path: &Path, store: &Store, stop: &Stop) -> Result<Self, ArchiveSourceError> {
        Self::new(TarFile::open(path, store, stop)?)
    }

    /// Opens an archive that comes only once; it is shown by a path all the same.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn read<R: Read + Send>(
        reader: R,
        (shown, store): (&Path, &Store),
        stop: &Stop,
    ) -> Result<Self, ArchiveSourceError> {
        Self::new(TarFile::spool(reader, (shown, store), stop)?)
    }

    fn new(tar: TarFile) -> Result<Self, ArchiveSourceError> {
        let listed = match listed_by_layout(&tar)? {
            Some(entries) => Listed::Layout(entries),
            None => Listed::Docker(docker::listed(&tar)?),
        };
        let count = match &listed {
            Listed::Layout(entries) => entries.len(),
            Listed::Docker(images) => images.len(),
        };
        if count > ARCHIVE_IMAGES_MAX {
            return Err(ArchiveSourceError::TooMany { path: tar.path });
        }
        Ok(Self {
            tar: Arc::new(tar),
            listed,
        })
    }

    /// Returns all images, those of one name as one index.
    ///
    /// # Errors
    ///
    /// Fails when one of them cannot be read.
    pub fn images(&self) -> Result<Vec<ArchivedImage>, ArchiveSourceError> {
        match &self.listed {
            Listed::Layout(entries) => self.images_of_layout(entries),
            Listed::Docker(images) => images.iter().map(|image| self.saved(image)).collect(),
        }
    }

    fn saved(&self, image: &SavedImage) -> Result<ArchivedImage, ArchiveSourceError> {
        Ok(ArchivedImage {
            names: image.names(),
            source: docker::source(&self.tar, image)?,
        })
    }

    fn images_of_layout(
        &self,
        entries: &[Descriptor],
    ) -> Result<Vec<ArchivedImage>, ArchiveSourceError> {
        let mut groups: Vec<(Option<Reference>, Vec<Descriptor>)> = Vec::new();
        for entry in entries {
            let name = name_of(entry);
            let group = groups
                .iter_mut()
                .find(|(other, _)| name.is_some() && *other == name);
            match group {
                Some((_, tops)) => tops.push(entry.clone()),
                None => groups.push((name, vec![entry.clone()])),
            }
        }
        let images = groups.into_iter().map(|(name, tops)| {
            Ok(ArchivedImage {
                source: self.of_layout(&tops, self.shown_of(name.as_ref()))?,
                names: name.into_iter().collect(),
            })
        });
        images.collect()
    }

    fn shown_of(&self, name: Option<&Reference>) -> String {
        let path = self.tar.path.display();
        match name {
            Some(name) => format!("{path}:{}", name.familiar()),
            None => path.to_string(),
        }
    }

    /// Returns an image of the layout in the archive.
    ///
    /// # Errors
    ///
    /// Fails when there is no layout, or no such image in it.
    pub fn in_layout(
        &self,
        selector: &LayoutSelector,
    ) -> Result<ArchiveSource, ArchiveSourceError> {
        let Listed::Layout(entries) = &self.listed else {
            return Err(ArchiveSourceError::NoLayout {
                path: self.tar.path.clone(),
            });
        };
        let read = |digest: &Digest| self.read_blob(digest);
        let index = LayoutIndex {
            path: &self.tar.path,
            index: &descriptor::new_index(entries.clone()),
            read: &read,
        };
        let tops = index.resolve(selector)?;
        let location = crate::Location::OciArchive {
            path: self.tar.path.clone(),
            selector: selector.clone(),
        };
        self.of_layout(&tops, location.to_string())
    }

    /// Returns an image by its name, or the only one.
    ///
    /// # Errors
    ///
    /// Fails when there is none of that name, or there are several and none is named.
    pub fn named(&self, name: Option<&Reference>) -> Result<ArchiveSource, ArchiveSourceError> {
        match &self.listed {
            Listed::Layout(_) => self.chosen(self.images()?, name),
            Listed::Docker(saved) => {
                let names = |image: &SavedImage| image.names();
                let at = self.choose(saved.iter().map(names).collect(), name)?;
                docker::source(&self.tar, &saved[at])
            }
        }
    }

    fn chosen(
        &self,
        mut images: Vec<ArchivedImage>,
        name: Option<&Reference>,
    ) -> Result<ArchiveSource, ArchiveSourceError> {
        let names = images.iter().map(|image| image.names.clone()).collect();
        let at = self.choose(names, name)?;
        Ok(images.swap_remove(at).source)
    }

    /// Returns which image is meant.
    fn choose(
        &self,
        names: Vec<Vec<Reference>>,
        name: Option<&Reference>,
    ) -> Result<usize, ArchiveSourceError> {
        let found = |names: Vec<Vec<Reference>>| {
            let names = names.iter().flatten();
            names.map(Reference::familiar).collect::<Vec<_>>()
        };
        let Some(name) = name else {
            return match names.len() {
                1 => Ok(0),
                _ => Err(ArchiveSourceError::Several {
                    path: self.tar.path.clone(),
                    found: found(names),
                }),
            };
        };
        match names.iter().position(|names| names.contains(name)) {
            Some(at) => Ok(at),
            None => Err(ArchiveSourceError::NotFound {
                path: self.tar.path.clone(),
                name: name.familiar(),
                found: found(names),
            }),
        }
    }

    fn read_blob(&self, digest: &Digest) -> Result<Vec<u8>, BlobError> {
        let path = crate::layout::blob_path(digest);
        let Some(extent) = self.tar.find(&path) else {
            return Err(absent(digest, &self.tar.path));
        };
        read_verified(&self.tar, (digest, extent))
    }

    fn of_layout(
        &self,
        tops: &[Descriptor],
        shown: String,
    ) -> Result<ArchiveSource, ArchiveSourceError> {
        let tops: Vec<_> = tops.iter().map(without_names).collect();
        let root = match tops.as_slice() {
            [top] => Document {
                descriptor: top.clone(),
                bytes: self.read_blob(&descriptor::digest_of(top)?)?,
            },
            // The manifests of several platforms under one name are an index of them.
            tops => Document::new(OCI_INDEX, index_json(tops)),
        };
        let Listed::Layout(entries) = &self.listed else {
            return Err(ArchiveSourceError::NoLayout {
                path: self.tar.path.clone(),
            });
        };
        Ok(ArchiveSource {
            blobs: blobs_of_layout(&self.tar),
            tar: Arc::clone(&self.tar),
            documents: BTreeMap::new(),
            entries: entries.clone(),
            root,
            shown,
        })
    }
}

/// Returns the entries of the layout that an archive has; nothing where it has none.
fn listed_by_layout(tar: &TarFile) -> Result<Option<Vec<Descriptor>>, ArchiveSourceError> {
    let malformed = |name: &str| {
        let (path, name) = (tar.path.clone(), name.to_owned());
        move |source| ArchiveSourceError::Document { path, name, source }
    };
    let Some(version) = tar.document(VERSION_FILE, LAYOUT_MAX_BYTES)? else {
        return Ok(None);
    };
    check::parse_layout(&version).map_err(malformed(VERSION_FILE))?;
    let Some(index) = tar.document(INDEX_FILE, MANIFEST_MAX_BYTES)? else {
        return Err(ArchiveSourceError::Missing {
            path: tar.path.clone(),
            name: INDEX_FILE.to_owned(),
        });
    };
    let index = check::parse_index(&index).map_err(malformed(INDEX_FILE))?;
    Ok(Some(index.manifests().clone()))
}

/// Returns where the blobs of a layout are.
fn blobs_of_layout(tar: &TarFile) -> BTreeMap<Digest, Extent> {
    let blob = |(path, extent): (&str, Extent)| {
        let (algorithm, encoded) = path.split_once('/')?;
        let digest = Digest::parse(&format!("{algorithm}:{encoded}")).ok()?;
        Some((digest, extent))
    };
    tar.below("blobs/").filter_map(blob).collect()
}

/// Returns the name that a layout gives an image: in full, or as a reference with a tag. A bare tag names nothing
/// outside its own layout.
fn name_of(entry: &Descriptor) -> Option<Reference> {
    if let Some(name) = descriptor::annotation_of(entry, ANNOTATION_IMAGE_NAME) {
        return Reference::parse_docker_ref(name).ok();
    }
    let name = descriptor::annotation_of(entry, ANNOTATION_REF_NAME)?;
    let is_reference = name.contains([':', '/']);
    is_reference
        .then(|| Reference::parse_docker_ref(name).ok())
        .flatten()
}

fn absent(digest: &Digest, path: &Path) -> BlobError {
    BlobError::Absent {
        digest: digest.clone(),
        place: path.to_owned(),
    }
}

/// Reads a document and verifies it.
fn read_verified(tar: &TarFile, (digest, extent): (&Digest, Extent)) -> Result<Vec<u8>, BlobError> {
    if extent.size_bytes > MANIFEST_MAX_BYTES {
        return Err(BlobError::TooLarge {
            digest: digest.clone(),
            size_bytes: extent.size_bytes,
            limit_bytes: MANIFEST_MAX_BYTES,
        });
    }
    let mut bytes = Vec::new();
    VerifiedReader::new(tar.reader(extent, 0), digest, extent.size_bytes)
        .read_to_end(&mut bytes)
        .map_err(|error| BlobError::from_read(digest, error))?;
    Ok(bytes)
}

/// An image of an archive.
#[derive(Debug)]
pub struct ArchiveSource {
    tar: Arc<TarFile>,
    blobs: BTreeMap<Digest, Extent>,
    /// The manifests and configurations that were made from what docker lists.
    documents: BTreeMap<Digest, Vec<u8>>,
    /// The entries of the layout, among which there may be what refers to the image.
    entries: Vec<Descriptor>,
    root: Document,
    shown: String,
}

impl ArchiveSource {
    fn read(&self, descriptor: &Descriptor) -> Result<Document, ArchiveSourceError> {
        let digest = descriptor::digest_of(descriptor)?;
        let bytes = match self.documents.get(&digest) {
            Some(bytes) => bytes.clone(),
            None => read_verified(&self.tar, (&digest, self.extent(&digest)?))?,
        };
        Ok(Document {
            descriptor: descriptor.clone(),
            bytes,
        })
    }

    fn extent(&self, digest: &Digest) -> Result<Extent, ArchiveSourceError> {
        let found = self.blobs.get(digest).copied();
        Ok(found.ok_or_else(|| absent(digest, &self.tar.path))?)
    }

    fn open_blob(
        &self,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<Box<dyn Read + Send>, ArchiveSourceError> {
        let digest = descriptor::digest_of(descriptor)?;
        if let Some(made) = self.documents.get(&digest) {
            return Ok(middle::of_bytes(made, from));
        }
        let extent = self.extent(&digest)?;
        let reader = self.tar.reader(extent, from);
        if from == 0 {
            let verified = VerifiedReader::new(reader, &digest, descriptor.size());
            return Ok(Box::new(verified));
        }
        Ok(Box::new(reader))
    }
}

impl Source for ArchiveSource {
    fn shown(&self) -> String {
        self.shown.clone()
    }

    fn root(&self) -> Result<Document, PlaceError> {
        Ok(self.root.clone())
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document, PlaceError> {
        Ok(self.read(descriptor)?)
    }

    fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, PlaceError> {
        Ok(self.open_blob(descriptor, from)?)
    }

    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, PlaceError> {
        referrer::among(&self.entries, subject, &|entry| Ok(self.read(entry)?.bytes))
    }
}
