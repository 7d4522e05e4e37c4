//! Reading the documents of a source, and choosing among them by platform.

use std::io::Read as _;

use oci::check::{self, is_image_config, subject_of_attestation};
use oci::descriptor;
use oci::limits::{CONFIG_MAX_BYTES, INDEX_MAX_DEPTH, MANIFEST_MAX_BYTES};
use oci::media_type::{DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED, OCI_INDEX};
use oci::{Descriptor, Digest, ImageConfig, ImageIndex, ImageManifest, Platform};

use super::CopyError;
use crate::place::{Document, PlaceError, Source};
use crate::stop::Stop;

/// Returns the platforms that an image, or the images of an index, are for.
///
/// # Errors
///
/// Fails when a document cannot be read, or is malformed.
pub fn platforms_of_root(source: &dyn Source) -> Result<Vec<Platform>, CopyError> {
    let stop = Stop::never();
    let reader = Reader {
        source,
        stop: &stop,
    };
    let root = reader.root()?;
    reader.platforms(&root)
}

/// Returns the platform that the configuration of an image says.
///
/// # Errors
///
/// Fails when the configuration cannot be read, or is none.
pub fn platform_of_manifest(
    source: &dyn Source,
    manifest: &Document,
) -> Result<Platform, CopyError> {
    let stop = Stop::never();
    let reader = Reader {
        source,
        stop: &stop,
    };
    reader.platform(manifest)
}

/// Reads the documents of a source.
pub(super) struct Reader<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) stop: &'a Stop,
}

impl Reader<'_> {
    pub(super) fn shown(&self) -> String {
        self.source.shown()
    }

    fn failed(&self, source: PlaceError) -> CopyError {
        if self.stop.is_stopped() {
            return CopyError::Stopped;
        }
        CopyError::Read {
            shown: self.shown(),
            source,
        }
    }

    pub(super) fn digest(&self, descriptor: &Descriptor) -> Result<Digest, CopyError> {
        descriptor::digest_of(descriptor).map_err(|source| CopyError::Digest {
            shown: self.shown(),
            source,
        })
    }

    pub(super) fn root(&self) -> Result<Document, CopyError> {
        let root = self.source.root().map_err(|error| self.failed(error))?;
        self.checked(root)
    }

    /// Reads a manifest or an index that another one names.
    pub(super) fn document(&self, entry: &Descriptor) -> Result<Document, CopyError> {
        if self.stop.is_stopped() {
            return Err(CopyError::Stopped);
        }
        if entry.size() > MANIFEST_MAX_BYTES {
            return Err(CopyError::TooLarge {
                shown: self.shown(),
            });
        }
        let read = self.source.document(entry);
        let read = read.map_err(|error| self.failed(error))?;
        self.checked(Document {
            // The index says more of it, its platform for one, than the place itself may know.
            descriptor: entry.clone(),
            bytes: read.bytes,
        })
    }

    /// Refuses what can be no part of a copy.
    fn checked(&self, document: Document) -> Result<Document, CopyError> {
        let media_type = document.descriptor.media_type().as_ref();
        if media_type == DOCKER_SCHEMA1 || media_type == DOCKER_SCHEMA1_SIGNED {
            return Err(CopyError::Schema1 {
                shown: self.shown(),
            });
        }
        self.digest(&document.descriptor)?;
        self.check_size(&document)?;
        if check::is_index(&document.bytes) {
            self.index(&document)?;
        } else {
            self.manifest(&document)?;
        }
        Ok(document)
    }

    /// Compares the size of a document with what its descriptor says: registries do.
    fn check_size(&self, document: &Document) -> Result<(), CopyError> {
        let found_bytes = document.bytes.len() as u64;
        let expected_bytes = document.descriptor.size();
        if found_bytes == expected_bytes {
            return Ok(());
        }
        Err(CopyError::Size {
            shown: self.shown(),
            digest: document.descriptor.digest().to_string(),
            expected_bytes,
            found_bytes,
        })
    }

    fn malformed(&self, document: &Document, source: check::DocumentError) -> CopyError {
        CopyError::Document {
            shown: self.shown(),
            digest: document.descriptor.digest().to_string(),
            source,
        }
    }

    pub(super) fn manifest(&self, document: &Document) -> Result<ImageManifest, CopyError> {
        check::parse_manifest(&document.bytes).map_err(|error| self.malformed(document, error))
    }

    pub(super) fn index(&self, document: &Document) -> Result<ImageIndex, CopyError> {
        check::parse_index(&document.bytes).map_err(|error| self.malformed(document, error))
    }

    /// Returns what an index names; of a manifest nothing.
    pub(super) fn entries(&self, document: &Document) -> Result<Vec<Descriptor>, CopyError> {
        if !check::is_index(&document.bytes) {
            return Ok(Vec::new());
        }
        Ok(self.index(document)?.manifests().clone())
    }

    pub(super) fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, CopyError> {
        let found = self.source.referrers(subject);
        found.map_err(|error| self.failed(error))
    }

    /// Returns the platform that the configuration of an image says.
    pub(super) fn platform(&self, document: &Document) -> Result<Platform, CopyError> {
        let manifest = self.manifest(document)?;
        let config = manifest.config();
        let digest = config.digest().to_string();
        if !is_image_config(config) || config.size() > CONFIG_MAX_BYTES {
            return Err(CopyError::NotConvertible {
                shown: self.shown(),
                digest: document.descriptor.digest().to_string(),
            });
        }
        let reader = self.source.blob(config, 0);
        let mut bytes = Vec::new();
        let reader = reader.map_err(|error| self.failed(error))?;
        reader
            .take(CONFIG_MAX_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|source| CopyError::ReadConfig {
                shown: self.shown(),
                digest: digest.clone(),
                source,
            })?;
        let config = ImageConfig::parse(&bytes).map_err(|source| CopyError::Config {
            shown: self.shown(),
            digest,
            source,
        })?;
        Ok(config.platform())
    }

    /// Returns the platforms of an index's entries, or that of an image.
    pub(super) fn platforms(&self, document: &Document) -> Result<Vec<Platform>, CopyError> {
        if !check::is_index(&document.bytes) {
            return Ok(vec![self.platform(document)?]);
        }
        Ok(check::platforms_of(&self.index(document)?))
    }

    fn no_platform(&self, platform: &Platform, available: Vec<Platform>) -> CopyError {
        CopyError::NoPlatform {
            shown: self.shown(),
            platform: Box::new(platform.clone()),
            available,
        }
    }

    /// Returns the image for a platform; one that is no index is taken as it is.
    pub(super) fn system(
        &self,
        root: Document,
        platform: &Platform,
    ) -> Result<Document, CopyError> {
        if check::is_index(&root.bytes) {
            return self.selected(root, platform);
        }
        Ok(root)
    }

    /// Returns the image for a platform.
    pub(super) fn one(&self, root: Document, platform: &Platform) -> Result<Document, CopyError> {
        if check::is_index(&root.bytes) {
            return self.selected(root, platform);
        }
        let found = self.platform(&root)?;
        if !platform.can_run(&found) {
            return Err(self.no_platform(platform, vec![found]));
        }
        Ok(root)
    }

    /// Goes down from an index to the image for a platform.
    fn selected(&self, root: Document, platform: &Platform) -> Result<Document, CopyError> {
        let mut current = root;
        for _ in 0..=INDEX_MAX_DEPTH {
            if !check::is_index(&current.bytes) {
                return self.agreeing(current, platform);
            }
            let index = self.index(&current)?;
            let Some(entry) = check::select_platform(&index, platform) else {
                return Err(self.no_platform(platform, check::platforms_of(&index)));
            };
            current = self.document(entry)?;
        }
        Err(CopyError::TooDeep {
            shown: self.shown(),
        })
    }

    /// Looks into the configuration of an image of which the index says no platform. What it says of others is
    /// compared when their configurations are copied.
    fn agreeing(&self, image: Document, platform: &Platform) -> Result<Document, CopyError> {
        if descriptor::platform_of(&image.descriptor).is_some() {
            return Ok(image);
        }
        let found = self.platform(&image)?;
        if !platform.can_run(&found) {
            return Err(self.no_platform(platform, vec![found]));
        }
        Ok(image)
    }

    /// Returns an index of the images for these platforms. It is the one that is there, if that has no others.
    pub(super) fn filtered(
        &self,
        root: Document,
        platforms: &[Platform],
    ) -> Result<Document, CopyError> {
        if !check::is_index(&root.bytes) {
            return match platforms {
                [platform] => self.one(root, platform),
                _ => Err(CopyError::NoIndex {
                    shown: self.shown(),
                }),
            };
        }
        let mut images: Vec<Descriptor> = Vec::new();
        for platform in platforms {
            let image = self.selected(root.clone(), platform)?.descriptor;
            if !images.iter().any(|other| other.digest() == image.digest()) {
                images.push(image);
            }
        }
        let mut index = self.index(&root)?;
        let kept = kept_entries(&index, &images);
        if kept == *index.manifests() {
            return Ok(root);
        }
        index.set_manifests(kept);
        let media_type = root.descriptor.media_type().as_ref();
        let media_type = if media_type.is_empty() {
            OCI_INDEX
        } else {
            media_type
        };
        Ok(Document::new(
            media_type,
            descriptor::to_canonical_json(&index),
        ))
    }
}

/// Returns the entries of these images in the order of the index, with the attestations about them. What is below
/// another index comes after them.
fn kept_entries(index: &ImageIndex, images: &[Descriptor]) -> Vec<Descriptor> {
    let is_image = |entry: &Descriptor| images.iter().any(|image| image.digest() == entry.digest());
    let is_about_one = |entry: &Descriptor| {
        let subject = subject_of_attestation(entry);
        subject.is_some_and(|of| images.iter().any(|image| image.digest().as_ref() == of))
    };
    let entries = index.manifests().iter();
    let mut kept: Vec<Descriptor> = entries
        .filter(|entry| is_image(entry) || is_about_one(entry))
        .cloned()
        .collect();
    let below = images
        .iter()
        .filter(|image| !kept.iter().any(|entry| entry.digest() == image.digest()));
    let below: Vec<_> = below.cloned().collect();
    kept.extend(below);
    kept
}
