//! Archives of `docker save`, of every age: what they list, and manifests for it.
//!
//! ```text
//! since 25     oci-layout, index.json, blobs/…, manifest.json       read as a layout
//! since 1.10   manifest.json: [{Config, RepoTags, Layers}]          ID.json, ID/layer.tar, symbolic links between them
//! before       repositories: {NAME: {TAG: ID}}                      ID/json, ID/layer.tar
//! ```
//!
//! There are no manifests in the last two, and their layers are not compressed as a rule. A manifest is made that
//! names the layers as they are, each verified against the diff id that the configuration has.

mod first;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use layer::ArchiveFormat;
use oci::descriptor;
use oci::limits::{CONFIG_MAX_BYTES, MANIFEST_MAX_BYTES};
use oci::media_type::{
    DOCKER_CONFIG, DOCKER_LAYER, DOCKER_LAYER_GZIP, DOCKER_LAYER_ZSTD, DOCKER_MANIFEST,
};
use oci::{Descriptor, DiffId, Digest, DigestWriter, ImageConfig, Reference};
use serde::Deserialize;

use super::tar_file::{Extent, TarFile};
use super::{ArchiveSource, ArchiveSourceError, MANIFEST_FILE};
use crate::place::Document;

/// An image that an archive lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SavedImage {
    form: Form,
    tags: Vec<String>,
}

/// How an image is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// As a configuration and layers.
    Config {
        /// The file of the configuration.
        config: String,
        /// The files of the layers, the lowest first.
        layers: Vec<String>,
    },
    /// As a chain of directories, of which this is the last.
    Chain(String),
}

impl SavedImage {
    /// Returns the names that are some.
    pub(super) fn names(&self) -> Vec<Reference> {
        let parse = |tag: &String| Reference::parse_docker_ref(tag).ok();
        self.tags.iter().filter_map(parse).collect()
    }
}

/// An image in `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// Returns what an archive lists.
pub(super) fn listed(tar: &TarFile) -> Result<Vec<SavedImage>, ArchiveSourceError> {
    let Some(bytes) = tar.document(MANIFEST_FILE, MANIFEST_MAX_BYTES)? else {
        return first::listed(tar)?.ok_or_else(|| ArchiveSourceError::NoImages {
            path: tar.path.clone(),
        });
    };
    let entries: Vec<Entry> = parse(tar, MANIFEST_FILE, &bytes)?;
    let saved = |entry: Entry| SavedImage {
        form: Form::Config {
            config: entry.config,
            layers: entry.layers.unwrap_or_default(),
        },
        tags: entry.repo_tags.unwrap_or_default(),
    };
    Ok(entries.into_iter().map(saved).collect())
}

fn parse<'b, T: Deserialize<'b>>(
    tar: &TarFile,
    name: &str,
    bytes: &'b [u8],
) -> Result<T, ArchiveSourceError> {
    serde_json::from_slice(bytes).map_err(|source| ArchiveSourceError::List {
        path: tar.path.clone(),
        name: name.to_owned(),
        source,
    })
}

/// Makes an image of what an archive has.
pub(super) fn source(
    tar: &Arc<TarFile>,
    image: &SavedImage,
) -> Result<ArchiveSource, ArchiveSourceError> {
    let mut making = Making {
        tar,
        blobs: BTreeMap::new(),
        documents: BTreeMap::new(),
    };
    let root = match &image.form {
        Form::Config { config, layers } => making.listed(config, layers)?,
        Form::Chain(last) => making.chained(last)?,
    };
    let path = tar.path.display();
    let shown = match image.names().first() {
        Some(name) => format!("docker-archive:{path}:{}", name.familiar()),
        None => format!("docker-archive:{path}"),
    };
    Ok(ArchiveSource {
        tar: Arc::clone(tar),
        blobs: making.blobs,
        documents: making.documents,
        entries: Vec::new(),
        root,
        shown,
    })
}

/// An image in the making.
struct Making<'a> {
    tar: &'a TarFile,
    blobs: BTreeMap<Digest, Extent>,
    documents: BTreeMap<Digest, Vec<u8>>,
}

/// A layer as it is in the archive.
struct Layer {
    descriptor: Descriptor,
    diff_id: DiffId,
}

impl Making<'_> {
    /// Makes the manifest of a configuration and layers.
    fn listed(&mut self, config: &str, layers: &[String]) -> Result<Document, ArchiveSourceError> {
        let (bytes, extent) = self.config(config)?;
        let parsed = ImageConfig::parse(&bytes).map_err(|source| ArchiveSourceError::Config {
            path: self.tar.path.clone(),
            name: config.to_owned(),
            source,
        })?;
        let diff_ids = &parsed.rootfs.diff_ids;
        if diff_ids.len() != layers.len() {
            return Err(ArchiveSourceError::LayerCount {
                path: self.tar.path.clone(),
                name: config.to_owned(),
                layers: layers.len(),
                diff_ids: diff_ids.len(),
            });
        }
        let mut descriptors = Vec::new();
        for (name, diff_id) in layers.iter().zip(diff_ids) {
            descriptors.push(self.layer_of(name, diff_id)?);
        }
        let digest = Digest::of(&bytes);
        let config = descriptor::descriptor(DOCKER_CONFIG, &digest, bytes.len() as u64);
        self.blobs.insert(digest, extent);
        Ok(self.manifest(config, descriptors))
    }

    fn config(&self, name: &str) -> Result<(Vec<u8>, Extent), ArchiveSourceError> {
        let extent = self.find(name)?;
        let bytes = self.tar.document(name, CONFIG_MAX_BYTES)?;
        Ok((bytes.unwrap_or_default(), extent))
    }

    fn find(&self, name: &str) -> Result<Extent, ArchiveSourceError> {
        let found = self.tar.find(name);
        found.ok_or_else(|| ArchiveSourceError::Missing {
            path: self.tar.path.clone(),
            name: name.to_owned(),
        })
    }

    /// Returns the descriptor of a layer whose diff id is known.
    fn layer_of(&mut self, name: &str, diff_id: &DiffId) -> Result<Descriptor, ArchiveSourceError> {
        let extent = self.find(name)?;
        if self.format(name, extent)?.is_none() {
            // It is verified when it is read.
            let digest = diff_id.digest().clone();
            self.blobs.insert(digest.clone(), extent);
            let layer = descriptor::descriptor(DOCKER_LAYER, &digest, extent.size_bytes);
            return Ok(layer);
        }
        let layer = self.layer(name)?;
        if layer.diff_id != *diff_id {
            return Err(ArchiveSourceError::DiffId {
                path: self.tar.path.clone(),
                name: name.to_owned(),
                expected: diff_id.digest().clone(),
                found: layer.diff_id.digest().clone(),
            });
        }
        Ok(layer.descriptor)
    }

    /// Reads a layer to find out what it is.
    fn layer(&mut self, name: &str) -> Result<Layer, ArchiveSourceError> {
        let extent = self.find(name)?;
        let media_type = self.format(name, extent)?;
        let failed = |source| self.tar.unreadable(source);
        let mut digests = DigestWriter::new(io::sink());
        io::copy(&mut self.tar.reader(extent, 0), &mut digests).map_err(failed)?;
        let (_, digest, size_bytes) = digests.finish();
        let diff_id = if media_type.is_some() {
            let tar = layer::decompressor(self.tar.reader(extent, 0));
            let mut digests = DigestWriter::new(io::sink());
            io::copy(&mut tar.map_err(failed)?, &mut digests).map_err(failed)?;
            digests.finish().1
        } else {
            digest.clone()
        };
        self.blobs.insert(digest.clone(), extent);
        let media_type = media_type.unwrap_or(DOCKER_LAYER);
        Ok(Layer {
            descriptor: descriptor::descriptor(media_type, &digest, size_bytes),
            diff_id: DiffId::new(diff_id),
        })
    }

    /// Returns the media type of a layer that is compressed; none of one that is not.
    fn format(
        &self,
        name: &str,
        extent: Extent,
    ) -> Result<Option<&'static str>, ArchiveSourceError> {
        let refused = |by| ArchiveSourceError::Compression {
            path: self.tar.path.clone(),
            name: name.to_owned(),
            by,
        };
        match self.tar.format(extent)? {
            ArchiveFormat::Plain => Ok(None),
            ArchiveFormat::Gzip => Ok(Some(DOCKER_LAYER_GZIP)),
            ArchiveFormat::Zstd => Ok(Some(DOCKER_LAYER_ZSTD)),
            ArchiveFormat::Bzip2 => Err(refused("bzip2")),
            ArchiveFormat::Xz => Err(refused("xz")),
        }
    }

    fn manifest(&mut self, config: Descriptor, layers: Vec<Descriptor>) -> Document {
        let mut manifest = descriptor::new_manifest(config, layers);
        manifest.set_media_type(Some(DOCKER_MANIFEST.into()));
        let bytes = descriptor::to_canonical_json(&manifest);
        let document = Document::new(DOCKER_MANIFEST, bytes);
        let digest = Digest::of(&document.bytes);
        self.documents.insert(digest, document.bytes.clone());
        document
    }
}
