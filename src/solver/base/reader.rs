//! From the top of an image to the manifest, the configuration and the layers of a platform.

use oci::check::{self, DocumentError};
use oci::descriptor::{self, Descriptor, ImageIndex, ImageManifest};
use oci::{DiffId, Digest, ImageConfig, MediaType, Platform};
use store::BlobSource;

use super::{BaseError, LayerBlobRef, OpenedImage, Resolved, blob_error};

/// Indexes may hold indexes, this deep.
pub(super) const INDEX_DEPTH_LIMIT: usize = oci::limits::INDEX_MAX_DEPTH;

/// Where the documents of an image are read, each verified.
pub(super) trait Documents {
    /// Reads a manifest or an index.
    fn manifest(&self, digest: &Digest) -> Result<Vec<u8>, BaseError>;

    /// Reads a configuration.
    fn config(&self, descriptor: &Descriptor, digest: &Digest) -> Result<Vec<u8>, BaseError>;
}

/// The documents of an image whose blobs are files.
pub(super) struct Files<'a> {
    pub(super) name: &'a str,
    pub(super) blobs: &'a dyn BlobSource,
}

impl Files<'_> {
    fn read(&self, digest: &Digest, limit_bytes: u64) -> Result<Vec<u8>, BaseError> {
        let read = self.blobs.read_blob(digest, limit_bytes);
        read.map_err(|source| blob_error(self.name, source))
    }
}

impl Documents for Files<'_> {
    fn manifest(&self, digest: &Digest) -> Result<Vec<u8>, BaseError> {
        self.read(digest, oci::limits::MANIFEST_MAX_BYTES)
    }

    fn config(&self, _: &Descriptor, digest: &Digest) -> Result<Vec<u8>, BaseError> {
        self.read(digest, oci::limits::CONFIG_MAX_BYTES)
    }
}

/// Reads the documents of one image.
pub(super) struct Reader<'a> {
    pub(super) name: &'a str,
    pub(super) documents: &'a dyn Documents,
}

impl Reader<'_> {
    /// Resolves the image of a platform, from one or several tops.
    pub(super) fn resolve(
        &self,
        tops: &[Descriptor],
        platform: &Platform,
    ) -> Result<Resolved, BaseError> {
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
            let (digest, bytes) = self.top(&current)?;
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

    /// Reads the configuration of a manifest.
    pub(super) fn config(&self, manifest: &ImageManifest) -> Result<ImageConfig, BaseError> {
        let descriptor = manifest.config();
        let digest = self.digest_of(descriptor)?;
        let bytes = self.documents.config(descriptor, &digest)?;
        self.check_size(descriptor, &digest, &bytes)?;
        ImageConfig::parse(&bytes).map_err(|source| BaseError::Config {
            name: self.name.to_owned(),
            source,
        })
    }

    /// Returns the layers of a manifest with the digests of their tars.
    pub(super) fn layers(
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

    /// Reads the manifest or index that a descriptor names.
    pub(super) fn top(&self, descriptor: &Descriptor) -> Result<(Digest, Vec<u8>), BaseError> {
        let digest = self.digest_of(descriptor)?;
        let bytes = self.documents.manifest(&digest)?;
        self.check_size(descriptor, &digest, &bytes)?;
        Ok((digest, bytes))
    }

    /// Reads what a manifest names, given its digest alone.
    pub(super) fn open(&self, digest: &Digest) -> Result<OpenedImage, BaseError> {
        let bytes = self.documents.manifest(digest)?;
        let manifest = check::parse_manifest(&bytes).map_err(|source| self.malformed(source))?;
        let config = self.config(&manifest)?;
        let layers = self.layers(&manifest, &config)?;
        Ok(OpenedImage { config, layers })
    }

    /// Checks that a document has the size that its descriptor says.
    fn check_size(
        &self,
        descriptor: &Descriptor,
        digest: &Digest,
        bytes: &[u8],
    ) -> Result<(), BaseError> {
        let (expected_bytes, found_bytes) = (descriptor.size(), bytes.len() as u64);
        if expected_bytes == found_bytes {
            return Ok(());
        }
        Err(BaseError::Size {
            name: self.name.to_owned(),
            digest: digest.clone(),
            expected_bytes,
            found_bytes,
        })
    }

    fn digest_of(&self, descriptor: &Descriptor) -> Result<Digest, BaseError> {
        descriptor::digest_of(descriptor).map_err(|source| BaseError::Digest {
            name: self.name.to_owned(),
            source,
        })
    }

    pub(super) fn malformed(&self, source: DocumentError) -> BaseError {
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
