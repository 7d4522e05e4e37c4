//! The blobs of an export: each put once, several at a time, and read only where it is not there.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;
use std::thread;

use oci::descriptor::{descriptor, digest_of};
use oci::{Descriptor, Digest, Reference};
use solver::result::{Held, StackLayer};
use solver::{LayerBlob, RemoteLayer, Workshop};
use store::BlobSource as _;
use transport::{Document, PlaceError, Source, Transferred};

use super::{ExportCacheError, Exporting, PARALLEL, Packed};
use crate::place::ExportSession;

/// A layer has no documents: our fault.
#[derive(Debug, thiserror::Error)]
#[error("there is a layer, and no image")]
struct OneLayer;

/// Puts the blobs of an export.
pub(super) fn put_all(
    exporting: &Exporting<'_>,
    session: &dyn ExportSession,
    packed: &Packed,
) -> Result<(), ExportCacheError> {
    let blobs: BTreeMap<&Digest, _> = packed
        .values()
        .map(|(layer, blob)| (&blob.digest, (layer, blob)))
        .collect();
    let blobs: Vec<_> = blobs.into_values().collect();
    for some in blobs.chunks(PARALLEL) {
        exporting.check_cancelled()?;
        thread::scope(|scope| {
            let spawn = |(layer, blob): &(&Arc<StackLayer>, &LayerBlob)| {
                let (layer, blob) = (Arc::clone(layer), (*blob).clone());
                scope.spawn(move || put(exporting, session, (&layer, &blob)))
            };
            let running: Vec<_> = some.iter().map(spawn).collect();
            running
                .into_iter()
                .try_for_each(|thread| match thread.join() {
                    Ok(put) => put,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
        })?;
    }
    Ok(())
}

fn put(
    exporting: &Exporting<'_>,
    session: &dyn ExportSession,
    (layer, blob): (&StackLayer, &LayerBlob),
) -> Result<(), ExportCacheError> {
    let source = CachedLayer::new(exporting.workshop, layer, blob);
    put_from(exporting, session, (blob, &source))
}

/// Puts a blob that the store has.
pub(super) fn put_stored(
    exporting: &Exporting<'_>,
    session: &dyn ExportSession,
    blob: &LayerBlob,
) -> Result<(), ExportCacheError> {
    let source = CachedLayer {
        workshop: exporting.workshop,
        size_bytes: blob.size_bytes,
        remote: None,
        repository: None,
    };
    put_from(exporting, session, (blob, &source))
}

fn put_from(
    exporting: &Exporting<'_>,
    session: &dyn ExportSession,
    (blob, source): (&LayerBlob, &CachedLayer<'_>),
) -> Result<(), ExportCacheError> {
    let wanted = descriptor(&blob.media_type, &blob.digest, blob.size_bytes);
    let how = session
        .put(&wanted, source)
        .map_err(|error| exporting.failed(error))?;
    let word = match how {
        Transferred::Present => "is there",
        Transferred::Mounted => "mounted",
        Transferred::Copied => "written",
    };
    exporting.tell(format!("layer {} {word}", blob.digest), true);
    Ok(())
}

/// A layer, wherever its blob is.
#[derive(Debug)]
struct CachedLayer<'a> {
    workshop: &'a Workshop,
    size_bytes: u64,
    /// The cache that has it, if it was imported and left as it was.
    remote: Option<&'a RemoteLayer>,
    repository: Option<Reference>,
}

impl<'a> CachedLayer<'a> {
    fn new(workshop: &'a Workshop, layer: &'a StackLayer, blob: &LayerBlob) -> Self {
        let remote = match &layer.held {
            Held::Remote(remote) if remote.blob().digest == blob.digest => Some(remote),
            Held::Remote(_) | Held::Base(_) | Held::Stored | Held::Recipe(_) => None,
        };
        Self {
            workshop,
            size_bytes: blob.size_bytes,
            remote,
            repository: remote.and_then(RemoteLayer::repository),
        }
    }
}

impl Source for CachedLayer<'_> {
    fn shown(&self) -> String {
        "this build".to_owned()
    }

    fn root(&self) -> Result<Document, PlaceError> {
        Err(OneLayer.into())
    }

    fn document(&self, _descriptor: &Descriptor) -> Result<Document, PlaceError> {
        Err(OneLayer.into())
    }

    fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, PlaceError> {
        if let Some(remote) = self.remote {
            remote.bring(self.workshop, None)?;
        }
        let content = self.workshop.store.content();
        let mut blob = content.open_blob(&digest_of(descriptor)?, self.size_bytes)?;
        // What is passed over is read: the reader verifies the whole.
        io::copy(&mut blob.by_ref().take(from), &mut io::sink())?;
        Ok(Box::new(blob))
    }

    fn repository(&self) -> Option<&Reference> {
        self.repository.as_ref()
    }

    fn referrers(&self, _subject: &Digest) -> Result<Vec<Descriptor>, PlaceError> {
        Ok(Vec::new())
    }
}
