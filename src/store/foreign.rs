//! A user's OCI image layout: [`ForeignLayout`], for
//! `--build-context NAME=oci-layout://PATH[:TAG|@DIGEST]`.
//!
//! Nothing in it is trusted. Names are used below its directory only, documents have limits, blobs are
//! regular files, and every byte is verified (image-spec `image-layout.md`).

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use oci::check::{DocumentError, parse_index};
use oci::descriptor::{ANNOTATION_REF_NAME, annotation_of, digest_of};
use oci::digest::{Algorithm, DigestError};
use oci::limits::{INDEX_MAX_DEPTH, LAYOUT_MAX_BYTES, TAG_MAX_BYTES};
use oci::{Descriptor, Digest, ImageIndex, MediaType};
use rootfs::{FsError, Root, RootPath};

use crate::blob::{BlobDirectory, BlobError, BlobReader, BlobSource};
use crate::content::{LAYOUT_VERSION, OCI_LAYOUT, is_layout};
use crate::limits::{INDEX_LIMIT, INDEX_LIMIT_BYTES};
use crate::tags::ANNOTATION_IMAGE_NAME;

/// The tag of an image that is named without one, where several are there.
const DEFAULT_TAG: &str = "latest";

/// Which image of a layout is meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LayoutSelector {
    /// The only one, or the one with the tag `latest`.
    Default,
    /// The one with a tag.
    Tag(String),
    /// The manifest or index with a digest.
    Digest(Digest),
}

impl fmt::Display for LayoutSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str(DEFAULT_TAG),
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// Where an image in a layout is, as users write it: `PATH[:TAG|@DIGEST]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LayoutLocation {
    /// The directory of the layout.
    pub path: PathBuf,
    /// The image in it.
    pub selector: LayoutSelector,
}

impl LayoutLocation {
    /// Takes apart what follows `oci-layout://`.
    ///
    /// # Errors
    ///
    /// Fails when what follows an `@` begins with `sha256:` or `sha512:` and is no digest.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        if let Some((path, digest)) = text.rsplit_once('@')
            && let Some((algorithm, _)) = digest.split_once(':')
            && [Algorithm::Sha256, Algorithm::Sha512]
                .iter()
                .any(|known| known.as_str() == algorithm)
        {
            let selector = LayoutSelector::Digest(Digest::parse(digest)?);
            return Ok(Self {
                path: path.into(),
                selector,
            });
        }
        Ok(match text.rsplit_once(':') {
            Some((path, tag)) if is_tag(tag) => Self {
                path: path.into(),
                selector: LayoutSelector::Tag(tag.to_owned()),
            },
            _ => Self {
                path: text.into(),
                selector: LayoutSelector::Default,
            },
        })
    }
}

/// Tells whether a text fits the grammar of tags; distribution-spec, "Pulling manifests".
fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let more = |byte: u8| word(byte) || byte == b'.' || byte == b'-';
    text.len() <= TAG_MAX_BYTES && text.bytes().next().is_some_and(word) && text.bytes().all(more)
}

/// A layout cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// There is no such directory.
    #[error("open the image layout `{}`", path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// What failed.
        #[source]
        source: FsError,
    },
    /// A file that every layout has cannot be read.
    #[error("read `{name}` of the image layout `{}`", path.display())]
    Read {
        /// The directory.
        path: PathBuf,
        /// The file.
        name: &'static str,
        /// What failed.
        #[source]
        source: FsError,
    },
    /// A file that every layout has is not there.
    #[error("`{}` is no image layout: it has no `{name}`", path.display())]
    NotALayout {
        /// The directory.
        path: PathBuf,
        /// The file.
        name: &'static str,
    },
    /// The layout has another version, or none.
    #[error("the `oci-layout` in `{}` does not say version {LAYOUT_VERSION}", path.display())]
    Version {
        /// The directory.
        path: PathBuf,
    },
    /// An index is none.
    #[error("read an index of the image layout `{}`", path.display())]
    Index {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: DocumentError,
    },
    /// An index cannot be read.
    #[error("read an index of the image layout `{}`", path.display())]
    Blob {
        /// The directory.
        path: PathBuf,
        /// What failed.
        #[source]
        source: BlobError,
    },
    /// There are too many indexes to look for a digest.
    #[error("the image layout `{}` has more than {INDEX_LIMIT} indexes", path.display())]
    TooMany {
        /// The directory.
        path: PathBuf,
    },
    /// The image that is meant is not there.
    #[error("the image layout `{}` has no image `{selector}`; it has {}", path.display(), list(found))]
    NoSuchImage {
        /// The directory.
        path: PathBuf,
        /// The image.
        selector: LayoutSelector,
        /// The names, or the digests, of those that are there.
        found: Vec<String>,
    },
}

fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// An image layout that somebody else wrote.
#[derive(Debug)]
pub struct ForeignLayout {
    blobs: BlobDirectory,
    index: ImageIndex,
}

impl ForeignLayout {
    /// Opens a layout and reads its index.
    ///
    /// # Errors
    ///
    /// Fails when there is none at the path, or its index is none.
    pub fn open(path: &Path) -> Result<Self, ForeignError> {
        let root = Root::open(path).map_err(|source| ForeignError::Open {
            path: path.to_owned(),
            source,
        })?;
        let layout = read(&root, path, OCI_LAYOUT, LAYOUT_MAX_BYTES)?;
        if !is_layout(&layout) {
            return Err(ForeignError::Version {
                path: path.to_owned(),
            });
        }
        let index = read(&root, path, "index.json", INDEX_LIMIT_BYTES)?;
        let index = parse_index(&index).map_err(|source| ForeignError::Index {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            blobs: BlobDirectory::new(root),
            index,
        })
    }

    /// Returns what an image's name stands for: one manifest or index, or, where the layout lists the
    /// manifests of several platforms under one name, all of these.
    ///
    /// # Errors
    ///
    /// Fails when there is no such image; looking for a digest, also when an index in the layout
    /// cannot be read.
    pub fn resolve(&self, selector: &LayoutSelector) -> Result<Vec<Descriptor>, ForeignError> {
        let read = |digest: &Digest| self.blobs.read_blob(digest, INDEX_LIMIT_BYTES);
        let index = LayoutIndex {
            path: self.path(),
            index: &self.index,
            read: &read,
        };
        index.resolve(selector)
    }

    /// Returns all entries of the index.
    pub fn entries(&self) -> &[Descriptor] {
        self.index.manifests()
    }

    /// Opens a blob as it is, to read from its middle; nobody verifies what is read.
    ///
    /// # Errors
    ///
    /// Fails when no regular file is there.
    pub fn open_raw(&self, digest: &Digest) -> Result<File, BlobError> {
        self.blobs.open_file(digest).map(|(file, _)| file)
    }

    /// Returns the directory.
    pub fn path(&self) -> &Path {
        self.blobs.root().shown()
    }
}

/// The index of a layout, wherever its blobs are: in a directory, in an archive.
pub struct LayoutIndex<'a> {
    /// The directory or the archive.
    pub path: &'a Path,
    /// What `index.json` says.
    pub index: &'a ImageIndex,
    /// Reads an index that another one names.
    pub read: &'a dyn Fn(&Digest) -> Result<Vec<u8>, BlobError>,
}

impl fmt::Debug for LayoutIndex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayoutIndex")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl LayoutIndex<'_> {
    /// Returns what an image's name stands for, as [`ForeignLayout::resolve`] does.
    ///
    /// # Errors
    ///
    /// Fails when there is no such image; looking for a digest, also when an index cannot be read.
    pub fn resolve(&self, selector: &LayoutSelector) -> Result<Vec<Descriptor>, ForeignError> {
        let found = match selector {
            LayoutSelector::Default => self.default_image(),
            LayoutSelector::Tag(tag) => self.tagged(tag),
            LayoutSelector::Digest(digest) => self.with_digest(digest)?.into_iter().collect(),
        };
        if found.is_empty() {
            return Err(ForeignError::NoSuchImage {
                path: self.path.to_owned(),
                selector: selector.clone(),
                found: self.names(),
            });
        }
        Ok(found)
    }

    /// Returns the image without a name or, where several have one, `latest`. Beside images with names, what
    /// has none is no image but refers to one.
    fn default_image(&self) -> Vec<Descriptor> {
        let entries = self.index.manifests();
        let has_name = |entry: &&Descriptor| annotation_of(entry, ANNOTATION_REF_NAME).is_some();
        let named: Vec<_> = entries.iter().filter(has_name).cloned().collect();
        let images = if named.is_empty() {
            entries.clone()
        } else {
            named
        };
        let one_name = images
            .windows(2)
            .all(|pair| name_of_entry(&pair[0]) == name_of_entry(&pair[1]));
        if one_name {
            images
        } else {
            self.tagged(DEFAULT_TAG)
        }
    }

    fn tagged(&self, tag: &str) -> Vec<Descriptor> {
        let has_tag = |entry: &&Descriptor| entry_has_tag(entry, tag);
        self.index
            .manifests()
            .iter()
            .filter(has_tag)
            .cloned()
            .collect()
    }

    /// Looks for a digest in the index, and in the indexes that it leads to.
    fn with_digest(&self, digest: &Digest) -> Result<Option<Descriptor>, ForeignError> {
        let mut level = self.index.manifests().clone();
        let mut read = 0;
        for _ in 0..INDEX_MAX_DEPTH {
            let found = level
                .iter()
                .find(|entry| entry.digest().as_ref() == digest.as_str());
            if let Some(found) = found {
                return Ok(Some(found.clone()));
            }
            let mut below = Vec::new();
            for entry in level.iter().filter(|entry| is_index(entry)) {
                read += 1;
                if read > INDEX_LIMIT {
                    return Err(ForeignError::TooMany {
                        path: self.path.to_owned(),
                    });
                }
                below.extend(self.entries_of(entry)?);
            }
            level = below;
        }
        Ok(None)
    }

    /// Reads an index that an entry leads to; of one that is not in the layout there are no entries.
    fn entries_of(&self, entry: &Descriptor) -> Result<Vec<Descriptor>, ForeignError> {
        let path = || self.path.to_owned();
        let Ok(digest) = digest_of(entry) else {
            return Ok(Vec::new());
        };
        let bytes = match (self.read)(&digest) {
            Ok(bytes) => bytes,
            Err(BlobError::Absent { .. }) => return Ok(Vec::new()),
            Err(source) => {
                return Err(ForeignError::Blob {
                    path: path(),
                    source,
                });
            }
        };
        let index = parse_index(&bytes).map_err(|source| ForeignError::Index {
            path: path(),
            source,
        })?;
        Ok(index.manifests().clone())
    }

    /// Returns the names of the images in the layout, each once, for people.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.index.manifests().iter().map(name_of_entry).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// Returns what an image is called in a list for people.
fn name_of_entry(entry: &Descriptor) -> String {
    match annotation_of(entry, ANNOTATION_REF_NAME) {
        Some(name) => name.to_owned(),
        None => entry.digest().to_string(),
    }
}

impl BlobSource for ForeignLayout {
    fn open_blob(&self, digest: &Digest, size_bytes: u64) -> Result<BlobReader, BlobError> {
        self.blobs.open_blob(digest, size_bytes)
    }

    fn read_blob(&self, digest: &Digest, limit_bytes: u64) -> Result<Vec<u8>, BlobError> {
        self.blobs.read_blob(digest, limit_bytes)
    }
}

/// Tells whether an entry has a tag: as its reference, or at the end of its reference or name, since
/// some write the whole name there.
fn entry_has_tag(entry: &Descriptor, tag: &str) -> bool {
    let ends = |name: &str| name == tag || name.rsplit_once(':').is_some_and(|(_, end)| end == tag);
    [ANNOTATION_REF_NAME, ANNOTATION_IMAGE_NAME]
        .into_iter()
        .filter_map(|annotation| annotation_of(entry, annotation))
        .any(ends)
}

fn is_index(entry: &Descriptor) -> bool {
    MediaType::parse(entry.media_type().as_ref()).is_index()
}

/// Reads a file that every layout has.
fn read(
    root: &Root,
    path: &Path,
    name: &'static str,
    limit_bytes: u64,
) -> Result<Vec<u8>, ForeignError> {
    let file = RootPath::strict(name).expect("the name is one component");
    match root.read_to_end_limited(&file, limit_bytes) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(ForeignError::NotALayout {
            path: path.to_owned(),
            name,
        }),
        Err(source) => Err(ForeignError::Read {
            path: path.to_owned(),
            name,
            source,
        }),
    }
}

#[cfg(test)]
#[path = "foreign_tests.rs"]
mod tests;
