//! The blob of a layer, wherever it is.

use oci::Digest;
use solver::Workshop;
use store::{BlobError, BlobReader, BlobSource as _, ForeignLayout};

use crate::exporter::ExportError;
use crate::image::LayerFile;

/// Opens a layer's blob where it is; what is read is verified.
pub(crate) fn open_blob(
    workshop: &Workshop,
    digest: &Digest,
    layer: &LayerFile,
) -> Result<BlobReader, ExportError> {
    let unreadable = |source: BlobError| ExportError::Blob {
        digest: digest.clone(),
        source,
    };
    let Some(path) = layer.layout() else {
        let content = workshop.store.content();
        return content
            .open_blob(digest, layer.size_bytes)
            .map_err(unreadable);
    };
    let foreign = ForeignLayout::open(path).map_err(|source| ExportError::Source {
        path: path.to_owned(),
        source,
    })?;
    foreign
        .open_blob(digest, layer.size_bytes)
        .map_err(unreadable)
}
