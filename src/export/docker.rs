//! `type=docker`: an archive that `docker load` and `podman load` take.
//!
//! It is an OCI image layout with Docker's media types, and with the file `manifest.json` of `docker save`,
//! which names the same blobs for readers that know no layouts.

use oci::Reference;
use oci::descriptor;
use serde::Serialize;
use solver::BuildResult;

use crate::archive::{self, Documents};
use crate::exporter::{ExportError, ExportStep, Exported, Exporter};
use crate::image::{self, ImageDigests, ImageSet};
use crate::layout::{self, blob_path};
use crate::output::{Destination, ImageOptions};

/// The file in which `docker save` lists images.
const MANIFEST_FILE: &str = "manifest.json";

/// An image, as [`MANIFEST_FILE`] lists it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// Writes archives for Docker.
#[derive(Debug)]
pub(crate) struct DockerExporter<'o> {
    /// Where the archive goes.
    pub(crate) destination: &'o Destination,
    /// What the image is like.
    pub(crate) image: &'o ImageOptions,
}

impl Exporter for DockerExporter<'_> {
    fn name(&self) -> &'static str {
        "exporting to docker image format"
    }

    fn export(&self, result: &BuildResult, step: &ExportStep<'_>) -> Result<Exported, ExportError> {
        let set = image::assemble(result, step, self.image)?;
        set.bring_in(step)?;
        let entries = layout::entries(&set, &self.image.names);
        let documents = Documents::of_layout(&entries)
            .with(MANIFEST_FILE, manifest_json(&set, &self.image.names));
        step.tell("sending tarball".to_owned(), false);
        let unchanged = archive::write(&set, step.workshop, &documents, self.destination)?;
        step.tell("sending tarball".to_owned(), true);
        Ok(Exported {
            image: Some(set.exported(&self.image.names)),
            unchanged,
        })
    }
}

/// Returns the bytes of [`MANIFEST_FILE`].
fn manifest_json(set: &ImageSet, names: &[Reference]) -> Vec<u8> {
    let names: Vec<_> = names.iter().map(Reference::to_string).collect();
    let saved = |image: &ImageDigests| SavedImage {
        config: blob_path(&image.config),
        repo_tags: names.clone(),
        layers: image.layers.iter().map(blob_path).collect(),
    };
    let images: Vec<_> = set.images.iter().map(saved).collect();
    descriptor::to_canonical_json(&images)
}
