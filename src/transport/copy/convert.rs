//! The documents of an image in the media types of the other flavour.
//!
//! Configurations and layers stay the bytes that they are: the two flavours have the same ones. A manifest that is
//! written anew has another digest, so what names it is written anew too.

use std::collections::BTreeMap;

use oci::check::{self, is_image_config, subject_of_attestation};
use oci::descriptor::{self, ANNOTATION_REFERENCE_DIGEST};
use oci::media_type::{Flavour, layer_in_flavour};
use oci::{Descriptor, ImageManifest, MediaType};

use super::select::Reader;
use super::{CopyError, LeftOut};
use crate::place::Document;

/// The documents in the other flavour.
pub(super) struct Converted {
    pub(super) levels: Vec<Vec<Document>>,
    pub(super) root: Document,
    pub(super) left_out: LeftOut,
}

/// Converts documents, what is named before what names it.
pub(super) fn convert(
    reader: &Reader<'_>,
    levels: Vec<Vec<Document>>,
    root: Document,
    flavour: Flavour,
) -> Result<Converted, CopyError> {
    let mut conversion = Conversion {
        reader,
        flavour,
        new: BTreeMap::new(),
        left_out: LeftOut::default(),
    };
    let attestations = attestations(reader, &levels, &root)?;
    let mut converted = Vec::new();
    for level in levels {
        let mut documents = Vec::new();
        for document in level {
            let is_attestation = attestations.contains(&document.descriptor.digest().to_string());
            if is_attestation && flavour == Flavour::Docker {
                conversion.left_out.attestations += 1;
                continue;
            }
            documents.push(conversion.document(document)?);
        }
        converted.push(documents);
    }
    let root = conversion.document(root)?;
    Ok(Converted {
        levels: converted,
        root,
        left_out: conversion.left_out,
    })
}

/// Returns the digests of what indexes call attestations.
fn attestations(
    reader: &Reader<'_>,
    levels: &[Vec<Document>],
    root: &Document,
) -> Result<Vec<String>, CopyError> {
    let mut digests = Vec::new();
    for document in levels.iter().flatten().chain([root]) {
        let entries = reader.entries(document)?;
        let found = entries.iter().filter(|entry| check::is_attestation(entry));
        digests.extend(found.map(|entry| entry.digest().to_string()));
    }
    Ok(digests)
}

struct Conversion<'a> {
    reader: &'a Reader<'a>,
    flavour: Flavour,
    /// The new descriptors, by the digests of the old documents.
    new: BTreeMap<String, Descriptor>,
    left_out: LeftOut,
}

impl Conversion<'_> {
    fn document(&mut self, document: Document) -> Result<Document, CopyError> {
        let old = document.descriptor.clone();
        let mut converted = if check::is_index(&document.bytes) {
            self.index(document)?
        } else {
            self.manifest(document)?
        };
        let mut new = converted.descriptor;
        new.set_platform(old.platform().clone());
        new.set_annotations(old.annotations().clone());
        self.new.insert(old.digest().to_string(), new.clone());
        converted.descriptor = new;
        Ok(converted)
    }

    fn manifest(&mut self, document: Document) -> Result<Document, CopyError> {
        let manifest = self.reader.manifest(&document)?;
        let media_type = document.descriptor.media_type().as_ref();
        if MediaType::parse(media_type) == MediaType::Manifest(self.flavour) {
            return Ok(document);
        }
        if self.flavour == Flavour::Docker && !is_image_config(manifest.config()) {
            return Err(CopyError::NotConvertible {
                shown: self.reader.shown(),
                digest: document.descriptor.digest().to_string(),
            });
        }
        let manifest = self.rewritten(manifest);
        let bytes = descriptor::to_canonical_json(&manifest);
        Ok(Document::new(self.flavour.manifest(), bytes))
    }

    fn rewritten(&mut self, mut manifest: ImageManifest) -> ImageManifest {
        let mut config = manifest.config().clone();
        if is_image_config(&config) {
            config.set_media_type(self.flavour.config().into());
        }
        let layer = |layer: &Descriptor| {
            let mut layer = layer.clone();
            let media_type = layer_in_flavour(layer.media_type().as_ref(), self.flavour);
            layer.set_media_type(media_type.as_str().into());
            layer
        };
        let layers = manifest.layers().iter().map(layer).collect();
        manifest.set_config(config);
        manifest.set_layers(layers);
        manifest.set_media_type(Some(self.flavour.manifest().into()));
        if self.flavour == Flavour::Docker {
            self.count_annotations(manifest.annotations().is_some());
            manifest.set_annotations(None);
            manifest.set_subject(None);
            manifest.set_artifact_type(None);
        }
        manifest
    }

    fn index(&mut self, document: Document) -> Result<Document, CopyError> {
        let mut index = self.reader.index(&document)?;
        let is_docker = self.flavour == Flavour::Docker;
        let entries = index.manifests().iter();
        let kept = entries.filter(|entry| !(is_docker && check::is_attestation(entry)));
        let entries: Vec<_> = kept.map(|entry| self.entry(entry)).collect();
        let media_type = document.descriptor.media_type().as_ref();
        let is_there = MediaType::parse(media_type) == MediaType::Index(self.flavour);
        if is_there && entries == *index.manifests() {
            return Ok(document);
        }
        index.set_manifests(entries);
        index.set_media_type(Some(self.flavour.index().into()));
        if is_docker {
            self.count_annotations(index.annotations().is_some());
            index.set_annotations(None);
            index.set_subject(None);
            index.set_artifact_type(None);
        }
        let bytes = descriptor::to_canonical_json(&index);
        Ok(Document::new(self.flavour.index(), bytes))
    }

    fn count_annotations(&mut self, has_some: bool) {
        self.left_out.annotations += usize::from(has_some);
    }

    /// Returns the entry of what may have another digest now.
    fn entry(&self, entry: &Descriptor) -> Descriptor {
        let mut result = entry.clone();
        if let Some(new) = self.new.get(entry.digest().as_ref()) {
            result.set_digest(new.digest().clone());
            result.set_size(new.size());
            result.set_media_type(new.media_type().clone());
        }
        let about = subject_of_attestation(entry);
        if let Some(new) = about.and_then(|about| self.new.get(about)) {
            let digest = new.digest().to_string();
            result = descriptor::annotated(&result, ANNOTATION_REFERENCE_DIGEST, &digest);
        }
        result
    }
}
