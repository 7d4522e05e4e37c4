//! Base images: from a name to a manifest, from a manifest to a configuration and layers.

use std::io::Read;

use graph::{ImageOrigin, ImageSource};
use oci::check::{self, DocumentError};
use oci::config::ConfigError;
use oci::descriptor::{self, Descriptor, ImageIndex, ImageManifest};
use oci::digest::DigestError;
use oci::reference::ReferenceError;
use oci::{DiffId, Digest, ImageConfig, MediaType, Platform};
use serde::{Deserialize, Serialize};
use store::{BlobError, BlobSource, ForeignError, ForeignLayout, LayoutLocation, Store, TagError};

use crate::result::BaseLayer;

mod lookup;

use lookup::stored;
pub use lookup::{platforms_of_layout, platforms_of_stored};

/// Indexes may hold indexes, this deep.
const INDEX_DEPTH_LIMIT: usize = oci::limits::INDEX_MAX_DEPTH;

/// Why a base image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// The store has no image of that name.
    #[error("no image `{name}` in the store")]
    NotFound {
        /// The name, in its normal form.
        name: String,
    },
    /// The image is there, for other platforms.
    #[error("`{name}` has no image for {platform}")]
    NoPlatform {
        /// The name.
        name: String,
        /// The platform that was asked for.
        platform: Box<Platform>,
        /// The platforms that it has.
        available: Vec<Platform>,
    },
    /// The configuration is for another platform than the index says.
    #[error("`{name}` is for {found}, though its index says {expected}")]
    WrongPlatform {
        /// The name.
        name: String,
        /// What the index says.
        expected: Box<Platform>,
        /// What the configuration says.
        found: Box<Platform>,
    },
    /// The name is none.
    #[error("`{name}` is no name of an image")]
    Name {
        /// The name.
        name: String,
        /// Why.
        source: ReferenceError,
    },
    /// The names of the store's images cannot be read.
    #[error("cannot look `{name}` up")]
    Tags {
        /// The name.
        name: String,
        /// Why.
        source: TagError,
    },
    /// The layout of the user's cannot be read.
    #[error("cannot use `{name}`")]
    Layout {
        /// The name.
        name: String,
        /// Why.
        source: ForeignError,
    },
    /// A document of the image is malformed.
    #[error("a document of `{name}` is malformed")]
    Document {
        /// The name.
        name: String,
        /// Why.
        source: DocumentError,
    },
    /// The configuration of the image is malformed.
    #[error("the configuration of `{name}` is malformed")]
    Config {
        /// The name.
        name: String,
        /// Why.
        source: ConfigError,
    },
    /// A digest in the image is malformed.
    #[error("a digest in `{name}` is malformed")]
    Digest {
        /// The name.
        name: String,
        /// Why.
        source: DigestError,
    },
    /// A document is not as long as its descriptor says.
    #[error(
        "`{digest}` of `{name}` has {found_bytes} bytes, and its descriptor says {expected_bytes}"
    )]
    Size {
        /// The name.
        name: String,
        /// The document.
        digest: Digest,
        /// What the descriptor says.
        expected_bytes: u64,
        /// What was found.
        found_bytes: u64,
    },
    /// A blob of the image cannot be read.
    #[error("cannot read `{name}`")]
    Blob {
        /// The name.
        name: String,
        /// Why.
        source: BlobError,
    },
    /// The manifest and the configuration do not fit together.
    #[error("`{name}` has {layers} layers and {diff_ids} diff ids")]
    LayerCount {
        /// The name.
        name: String,
        /// How many layers the manifest has.
        layers: usize,
        /// How many diff ids the configuration has.
        diff_ids: usize,
    },
    /// Indexes in indexes, too deep.
    #[error("the indexes of `{name}` are more than {INDEX_DEPTH_LIMIT} deep")]
    TooDeep {
        /// The name.
        name: String,
    },
}

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
    let reader = Reader {
        name,
        blobs: store.content(),
    };
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
    let reader = Reader {
        name: &name,
        blobs: &layout,
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
    let digests: Vec<_> = tops.iter().map(|top| top.digest().to_string()).collect();
    let key = record_key(&("resolved", digests, platform.to_string()));
    if let Ok(Some(resolved)) = store.records().get(&key) {
        return Ok(resolved);
    }
    let resolved = resolve(tops)?;
    let by_manifest = record_key(&("image", &resolved.manifest));
    for key in [key, by_manifest] {
        // What is too large to be remembered, or cannot be written, is read again the next time.
        if let Err(error) = store.records().put(&key, &resolved) {
            tracing::debug!(%error, "base not remembered");
        }
    }
    Ok(resolved)
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
pub fn open(store: &Store, source: &ImageSource) -> Result<OpenedImage, BaseError> {
    let name = &source.name;
    let key = record_key(&("image", &source.manifest));
    if let Ok(Some(Resolved { config, layers, .. })) = store.records().get(&key) {
        return Ok(OpenedImage { config, layers });
    }
    with_blobs(store, source, |blobs| {
        let reader = Reader { name, blobs };
        let bytes = reader.document(&source.manifest, oci::limits::MANIFEST_MAX_BYTES)?;
        let manifest = check::parse_manifest(&bytes).map_err(|source| reader.malformed(source))?;
        let config = reader.config(&manifest)?;
        let layers = reader.layers(&manifest, &config)?;
        Ok(OpenedImage { config, layers })
    })
}

/// Opens the blob of a base's layer, verified while it is read.
///
/// # Errors
///
/// Fails when the blob is not there.
pub fn open_layer(store: &Store, layer: &BaseLayer) -> Result<Box<dyn Read + Send>, BaseError> {
    let name = &layer.image.name;
    with_blobs(store, &layer.image, |blobs| {
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
        ImageOrigin::Store => use_blobs(store.content()),
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

/// Reads the documents of one image.
struct Reader<'a> {
    name: &'a str,
    blobs: &'a dyn BlobSource,
}

impl Reader<'_> {
    fn resolve(&self, tops: &[Descriptor], platform: &Platform) -> Result<Resolved, BaseError> {
        let top = match tops {
            [top] => top.clone(),
            // A tag that several entries of a layout have is an index of them.
            _ => self.select(&descriptor::new_index(tops.to_vec()), platform)?,
        };
        let top_digest = top.digest().to_string();
        let (manifest_digest, manifest, expected) = self.manifest(top, platform)?;
        let is_chosen = tops.len() > 1 || manifest_digest.to_string() != top_digest;
        let config = self.config(&manifest)?;
        let found = config.platform();
        if let Some(expected) = expected
            && !check::platforms_agree(&expected, &found)
        {
            return Err(BaseError::WrongPlatform {
                name: self.name.to_owned(),
                expected: Box::new(expected),
                found: Box::new(found),
            });
        }
        // What no index offers for a choice is taken as it is, as by `BuildKit`; the frontend warns of it.
        if is_chosen && !platform.can_run(&found.normalized()) {
            return Err(self.no_platform(platform, vec![found]));
        }
        let layers = self.layers(&manifest, &config)?;
        Ok(Resolved {
            manifest: manifest_digest,
            config,
            layers,
        })
    }

    /// Goes down from an index, or a manifest itself, to the platform's manifest.
    fn manifest(
        &self,
        top: Descriptor,
        platform: &Platform,
    ) -> Result<(Digest, ImageManifest, Option<Platform>), BaseError> {
        let mut current = top;
        for _ in 0..=INDEX_DEPTH_LIMIT {
            let (digest, bytes) = self.described(&current, oci::limits::MANIFEST_MAX_BYTES)?;
            if !check::is_index(&bytes) {
                let manifest = check::parse_manifest(&bytes).map_err(|e| self.malformed(e))?;
                return Ok((digest, manifest, descriptor::platform_of(&current)));
            }
            let index = check::parse_index(&bytes).map_err(|e| self.malformed(e))?;
            current = self.select(&index, platform)?;
        }
        Err(BaseError::TooDeep {
            name: self.name.to_owned(),
        })
    }

    fn select(&self, index: &ImageIndex, platform: &Platform) -> Result<Descriptor, BaseError> {
        let entry = check::select_platform(index, platform).cloned();
        entry.ok_or_else(|| self.no_platform(platform, check::platforms_of(index)))
    }

    fn config(&self, manifest: &ImageManifest) -> Result<ImageConfig, BaseError> {
        let (_, bytes) = self.described(manifest.config(), oci::limits::CONFIG_MAX_BYTES)?;
        ImageConfig::parse(&bytes).map_err(|source| BaseError::Config {
            name: self.name.to_owned(),
            source,
        })
    }

    fn layers(
        &self,
        manifest: &ImageManifest,
        config: &ImageConfig,
    ) -> Result<Vec<(LayerBlobRef, DiffId)>, BaseError> {
        let diff_ids = &config.rootfs.diff_ids;
        if manifest.layers().len() != diff_ids.len() {
            return Err(BaseError::LayerCount {
                name: self.name.to_owned(),
                layers: manifest.layers().len(),
                diff_ids: diff_ids.len(),
            });
        }
        let layers = manifest
            .layers()
            .iter()
            .zip(diff_ids)
            .map(|(descriptor, diff_id)| {
                let blob = LayerBlobRef {
                    digest: self.digest_of(descriptor)?,
                    size_bytes: descriptor.size(),
                    media_type: oci_layer_type(descriptor.media_type().as_ref()),
                };
                Ok((blob, diff_id.clone()))
            });
        layers.collect()
    }

    /// Reads the document that a descriptor names; its size must be the one that it says.
    fn described(
        &self,
        descriptor: &Descriptor,
        limit_bytes: u64,
    ) -> Result<(Digest, Vec<u8>), BaseError> {
        let digest = self.digest_of(descriptor)?;
        let bytes = self.document(&digest, limit_bytes)?;
        let (expected_bytes, found_bytes) = (descriptor.size(), bytes.len() as u64);
        if expected_bytes == found_bytes {
            return Ok((digest, bytes));
        }
        let name = self.name.to_owned();
        Err(BaseError::Size {
            name,
            digest,
            expected_bytes,
            found_bytes,
        })
    }

    fn document(&self, digest: &Digest, limit_bytes: u64) -> Result<Vec<u8>, BaseError> {
        self.blobs
            .read_blob(digest, limit_bytes)
            .map_err(|source| blob_error(self.name, source))
    }

    fn digest_of(&self, descriptor: &Descriptor) -> Result<Digest, BaseError> {
        descriptor::digest_of(descriptor).map_err(|source| BaseError::Digest {
            name: self.name.to_owned(),
            source,
        })
    }

    fn malformed(&self, source: DocumentError) -> BaseError {
        BaseError::Document {
            name: self.name.to_owned(),
            source,
        }
    }

    fn no_platform(&self, platform: &Platform, available: Vec<Platform>) -> BaseError {
        BaseError::NoPlatform {
            name: self.name.to_owned(),
            platform: Box::new(platform.clone()),
            available,
        }
    }
}

/// Returns the OCI name of a layer's media type: careen writes OCI manifests.
fn oci_layer_type(media_type: &str) -> String {
    let compression = MediaType::parse(media_type).layer_compression();
    match compression {
        Some(compression) => compression.oci_media_type().to_owned(),
        None => media_type.to_owned(),
    }
}
