//! Base images: from a name to a manifest, from a manifest to a configuration and layers.
//!
//! An image is found in the store, in a layout of the user's, or in a registry ([`resolve_named`]). Digests name
//! what they name for ever, so what they led to is remembered, and of a registry only the digest of a tag is asked
//! for again. The layers of a registry's image are fetched when something needs their files ([`bring`]).

use std::io::Read;

use graph::{ImageOrigin, ImageSource};
use oci::descriptor::Descriptor;
use oci::{DiffId, Digest, ImageConfig, Platform};
use serde::{Deserialize, Serialize};
use store::{BlobError, BlobSource, ForeignLayout, LayoutLocation, Store};

use crate::job::Workshop;
use crate::result::BaseLayer;

mod arriving;
mod error;
mod fetch;
mod found;
mod loading;
mod lookup;
mod named;
mod reader;
mod remote;
mod step;

pub(crate) use arriving::ArrivingBlob;
pub use error::BaseError;
pub(crate) use fetch::{Awaited, fetch_all};
pub use fetch::{FetchLayerError, bring, bring_all};
pub use found::FoundImages;
pub use loading::Labels;
use lookup::stored;
pub use lookup::{platforms_of_layout, platforms_of_stored};
pub use named::{Named, Pull, platforms_of_named, resolve_named};
use reader::{Files, Reader};
pub use step::BaseStep;
pub(crate) use step::BaseWork;

/// A base image, resolved for one platform.
#[derive(Debug, Clone)]
pub struct ResolvedImage {
    /// What the graph names.
    pub source: ImageSource,
    /// Its configuration.
    pub config: ImageConfig,
}

/// A layer as a manifest describes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LayerBlobRef {
    /// The digest of the blob.
    pub digest: Digest,
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// Its media type.
    pub media_type: String,
}

/// A base image with its layers, the lowest first.
#[derive(Debug, Clone)]
pub struct OpenedImage {
    /// Its configuration.
    pub config: ImageConfig,
    /// Its layers with the digests of their tars.
    pub layers: Vec<(LayerBlobRef, DiffId)>,
}

/// Resolves an image of the store by its name.
///
/// # Errors
///
/// Fails when there is none, none for the platform, or what is there is malformed.
pub fn resolve_stored(
    store: &Store,
    name: &str,
    platform: &Platform,
) -> Result<ResolvedImage, BaseError> {
    let top = stored(store, name)?;
    let documents = &Files {
        name,
        blobs: store.content(),
    };
    let reader = Reader { name, documents };
    remembered(store, &[top], platform, |tops| {
        reader.resolve(tops, platform)
    })
    .map(|resolved| resolved.into_image(name, platform, ImageOrigin::Store))
}

/// Resolves an image of an OCI image layout of the user's.
///
/// # Errors
///
/// As [`resolve_stored`].
pub fn resolve_layout(
    store: &Store,
    location: &LayoutLocation,
    platform: &Platform,
) -> Result<ResolvedImage, BaseError> {
    let name = location.path.display().to_string();
    let layout_error = |source| BaseError::Layout {
        name: name.clone(),
        source,
    };
    let layout = ForeignLayout::open(&location.path).map_err(layout_error)?;
    let tops = layout.resolve(&location.selector).map_err(layout_error)?;
    let documents = &Files {
        name: &name,
        blobs: &layout,
    };
    let reader = Reader {
        name: &name,
        documents,
    };
    let resolved = remembered(store, &tops, platform, |tops| {
        reader.resolve(tops, platform)
    })?;
    let origin = ImageOrigin::Layout {
        path: location.path.clone(),
    };
    Ok(resolved.into_image(&name, platform, origin))
}

/// What a name was resolved to: digests name what they name for ever, so it is remembered, and a build
/// that changed nothing opens no blob.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Resolved {
    manifest: Digest,
    config: ImageConfig,
    layers: Vec<(LayerBlobRef, DiffId)>,
}

impl Resolved {
    fn into_image(self, name: &str, platform: &Platform, origin: ImageOrigin) -> ResolvedImage {
        let source = ImageSource {
            name: name.to_owned(),
            manifest: self.manifest,
            platform: platform.clone(),
            origin,
            pinned: None,
        };
        ResolvedImage {
            source,
            config: self.config,
        }
    }
}

/// Resolves, or takes what was resolved before.
fn remembered(
    store: &Store,
    tops: &[Descriptor],
    platform: &Platform,
    resolve: impl FnOnce(&[Descriptor]) -> Result<Resolved, BaseError>,
) -> Result<Resolved, BaseError> {
    if let Some(resolved) = recall(store, &digests_of(tops), platform) {
        return Ok(resolved);
    }
    let resolved = resolve(tops)?;
    remember(store, tops, platform, &resolved);
    Ok(resolved)
}

/// Returns what the digests of tops were resolved to before.
fn recall(store: &Store, tops: &[String], platform: &Platform) -> Option<Resolved> {
    let found = store.records().get(&resolved_key(tops, platform));
    found.ok().flatten()
}

/// Remembers what tops were resolved to. What is too large for that, or cannot be written, is read again the next
/// time.
fn remember(store: &Store, tops: &[Descriptor], platform: &Platform, resolved: &Resolved) {
    let key = resolved_key(&digests_of(tops), platform);
    let by_manifest = record_key(&("image", &resolved.manifest));
    for key in [key, by_manifest] {
        if let Err(error) = store.records().put(&key, resolved) {
            tracing::debug!(%error, "base not remembered");
        }
    }
}

fn digests_of(tops: &[Descriptor]) -> Vec<String> {
    tops.iter().map(|top| top.digest().to_string()).collect()
}

fn resolved_key(tops: &[String], platform: &Platform) -> Digest {
    record_key(&("resolved", tops, platform.to_string()))
}

fn record_key(parts: &impl Serialize) -> Digest {
    let text = serde_json::to_vec(parts).expect("texts and digests are valid JSON");
    Digest::of(&text)
}

/// Reads the configuration and the layers of a resolved image.
///
/// # Errors
///
/// Fails when a blob is gone, damaged or malformed.
pub fn open(workshop: &Workshop, source: &ImageSource) -> Result<OpenedImage, BaseError> {
    let store = &workshop.store;
    let key = record_key(&("image", &source.manifest));
    if let Ok(Some(Resolved { config, layers, .. })) = store.records().get(&key) {
        return Ok(OpenedImage { config, layers });
    }
    let name = &source.name;
    if let ImageOrigin::Registry { repository } = &source.origin {
        return remote::open(workshop, name, repository, &source.manifest);
    }
    with_blobs(store, source, |blobs| {
        let documents = &Files { name, blobs };
        Reader { name, documents }.open(&source.manifest)
    })
}

/// Opens the blob of a base's layer, verified while it is read. One that a registry has is fetched first.
///
/// # Errors
///
/// Fails when the blob is not there.
pub fn open_layer(
    workshop: &Workshop,
    layer: &BaseLayer,
) -> Result<Box<dyn Read + Send>, BaseError> {
    let name = &layer.image.name;
    bring(workshop, layer, None)?;
    with_blobs(&workshop.store, &layer.image, |blobs| {
        let reader = blobs.open_blob(&layer.digest, layer.size_bytes);
        let reader = reader.map_err(|source| blob_error(name, source))?;
        Ok(Box::new(reader) as Box<dyn Read + Send>)
    })
}

fn with_blobs<T>(
    store: &Store,
    source: &ImageSource,
    use_blobs: impl FnOnce(&dyn BlobSource) -> Result<T, BaseError>,
) -> Result<T, BaseError> {
    match &source.origin {
        ImageOrigin::Store | ImageOrigin::Registry { .. } => use_blobs(store.content()),
        ImageOrigin::Layout { path } => {
            let layout = ForeignLayout::open(path).map_err(|error| BaseError::Layout {
                name: source.name.clone(),
                source: error,
            })?;
            use_blobs(&layout)
        }
    }
}

fn blob_error(name: &str, source: BlobError) -> BaseError {
    BaseError::Blob {
        name: name.to_owned(),
        source,
    }
}
