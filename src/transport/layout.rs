//! OCI image layouts in directories as places (image-spec, image-layout.md): [`LayoutSource`] and
//! [`LayoutTarget`].

mod name;
mod prune;
mod write;

use std::io::Read;
use std::path::Path;

use oci::descriptor;
use oci::digest::DigestError;
use oci::limits::MANIFEST_MAX_BYTES;
use oci::media_type::OCI_INDEX;
use oci::{Descriptor, Digest};
use store::{BlobError, BlobSource as _, ForeignError, ForeignLayout, LayoutSelector};

use crate::middle::{MiddleError, from_byte};
use crate::place::{Document, PlaceError, Source};
use crate::referrer;
use crate::store::without_names;

pub(crate) use name::EntryName;
pub use name::OtherDigest;
pub use write::{LayoutError, LayoutTarget, remove};

/// The file that says which version a layout has.
pub const VERSION_FILE: &str = "oci-layout";

/// The file that names the images.
pub const INDEX_FILE: &str = "index.json";

/// The text of [`VERSION_FILE`].
pub const VERSION_TEXT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Returns the bytes of [`INDEX_FILE`].
pub fn index_json(entries: &[Descriptor]) -> Vec<u8> {
    let mut index = descriptor::new_index(entries.to_vec());
    index.set_media_type(Some(OCI_INDEX.into()));
    descriptor::to_canonical_json(&index)
}

/// Returns the path of a blob in a layout (image-layout.md, "Blobs").
pub fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().as_str(), digest.encoded())
}

/// A layout cannot give an image.
#[derive(Debug, thiserror::Error)]
pub enum LayoutSourceError {
    /// It cannot be opened, or has no such image.
    #[error(transparent)]
    Layout(#[from] ForeignError),
    /// A blob cannot be read.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A blob cannot be read from the middle.
    #[error(transparent)]
    Middle(#[from] MiddleError),
    /// A digest cannot be verified.
    #[error("a digest of the image is malformed")]
    Digest(#[from] DigestError),
}

/// An image of a layout.
#[derive(Debug)]
pub struct LayoutSource {
    layout: ForeignLayout,
    tops: Vec<Descriptor>,
    shown: String,
}

impl LayoutSource {
    /// Opens an image of a layout.
    ///
    /// # Errors
    ///
    /// Fails when there is no layout, or no such image in it.
    pub fn open(path: &Path, selector: &LayoutSelector) -> Result<Self, LayoutSourceError> {
        let layout = ForeignLayout::open(path)?;
        let tops = layout.resolve(selector)?;
        let location = crate::Location::Layout {
            path: path.to_owned(),
            selector: selector.clone(),
        };
        Ok(Self {
            layout,
            tops: tops.iter().map(without_names).collect(),
            shown: location.to_string(),
        })
    }

    fn read(&self, descriptor: &Descriptor) -> Result<Document, LayoutSourceError> {
        let digest = descriptor::digest_of(descriptor)?;
        let bytes = self.layout.read_blob(&digest, MANIFEST_MAX_BYTES)?;
        Ok(Document {
            descriptor: descriptor.clone(),
            bytes,
        })
    }

    fn open_blob(
        &self,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<Box<dyn Read + Send>, LayoutSourceError> {
        let digest = descriptor::digest_of(descriptor)?;
        if from == 0 {
            let blob = self.layout.open_blob(&digest, descriptor.size())?;
            return Ok(Box::new(blob));
        }
        let file = self.layout.open_raw(&digest)?;
        Ok(Box::new(from_byte(file, digest, from)?))
    }
}

impl Source for LayoutSource {
    fn shown(&self) -> String {
        self.shown.clone()
    }

    fn root(&self) -> Result<Document, PlaceError> {
        match self.tops.as_slice() {
            [top] => Ok(self.read(top)?),
            // The manifests of several platforms under one name are an index of them.
            tops => Ok(Document::new(OCI_INDEX, index_json(tops))),
        }
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document, PlaceError> {
        Ok(self.read(descriptor)?)
    }

    fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, PlaceError> {
        Ok(self.open_blob(descriptor, from)?)
    }

    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, PlaceError> {
        let entries = self.layout.entries();
        referrer::among(entries, subject, &|entry| Ok(self.read(entry)?.bytes))
    }
}
