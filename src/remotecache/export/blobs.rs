//! The blobs of an export: each put once, several at a time, and read only where it is not there.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;
use std::thread;

use oci::Digest;
use oci::descriptor::descriptor;
use solver::result::{Held, StackLayer};
use solver::{LayerBlob, RemoteLayer, Workshop};
use store::BlobSource as _;
use transport::{LoneBlob, PlaceError, Transferred};

use super::{ExportCacheError, Exporting, PARALLEL, Packed};
use crate::place::ExportSession;

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
    // A cache that has it, if it was imported and left as it was.
    let remote = match &layer.held {
        Held::Remote(remote) if remote.blob().digest == blob.digest => Some(remote),
        Held::Remote(_) | Held::Base(_) | Held::Stored | Held::Recipe(_) => None,
    };
    put_blob(exporting, session, (blob, remote))
}

/// Puts a blob that the store has.
pub(super) fn put_stored(
    exporting: &Exporting<'_>,
    session: &dyn ExportSession,
    blob: &LayerBlob,
) -> Result<(), ExportCacheError> {
    put_blob(exporting, session, (blob, None))
}

fn put_blob(
    exporting: &Exporting<'_>,
    session: &dyn ExportSession,
    (blob, remote): (&LayerBlob, Option<&RemoteLayer>),
) -> Result<(), ExportCacheError> {
    let content = (&blob.digest, blob.size_bytes);
    let source = LoneBlob::new(|_, from| open(exporting.workshop, remote, content, from));
    let source = source.also_in(remote.and_then(RemoteLayer::repository));
    let wanted = descriptor(&blob.media_type, &blob.digest, blob.size_bytes);
    let how = session
        .put(&wanted, &source)
        .map_err(|error| exporting.failed(error))?;
    let word = match how {
        Transferred::Present => "is there",
        Transferred::Mounted => "mounted",
        Transferred::Copied => "written",
    };
    exporting.tell(format!("layer {} {word}", blob.digest), true);
    Ok(())
}

/// Opens the blob of a layer; one that only a cache has is fetched first.
fn open(
    workshop: &Workshop,
    remote: Option<&RemoteLayer>,
    (digest, size_bytes): (&Digest, u64),
    from: u64,
) -> Result<Box<dyn Read + Send>, PlaceError> {
    if let Some(remote) = remote {
        remote.bring(workshop, None)?;
    }
    let mut blob = workshop.store.content().open_blob(digest, size_bytes)?;
    // What is passed over is read: the reader verifies the whole.
    io::copy(&mut blob.by_ref().take(from), &mut io::sink())?;
    Ok(Box::new(blob))
}
