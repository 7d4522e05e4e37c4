//! `careen repack`: what was changed in a bundle → one more layer of the image that was unpacked.

mod changes;

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use layer::{ChangeSet, Compression, Times};
use oci::assemble::{
    AssembleError, AssembledImage, HistoryDetail, ImageParts, LayerDescriptor, assemble_image,
};
use oci::check::{self, DocumentError};
use oci::config::History;
use oci::descriptor;
use oci::digest::DigestError;
use oci::limits::MANIFEST_MAX_BYTES;
use oci::media_type::Flavour;
use oci::{Clock, Descriptor, Digest, ImageConfig, ImageManifest, MediaType, Timestamp};
use solver::event::StepId;
use solver::result::{Held, StackLayer};
use solver::{BaseLayers, LayerBlob, PackPlan, pack_layer};
use store::{BlobError, BlobSource as _, IngestError, NameError, SnapshotId};
use transport::{Document, PlaceError, Selection, Source, StoreSource, copy};

use super::bundle::{ROOTFS, Record, RecordedImage};
use super::located::{self, Finder};
use super::transfer::Surroundings;
use super::workspace;
use crate::args::RepackArguments;
use crate::env::Environment;
use crate::exit;
use crate::report::{Kind, Report};
use crate::run::Outcome;

/// What stands in the history.
const CREATED_BY: &str = "careen repack";

/// Why no image can be made of a bundle.
#[derive(Debug, thiserror::Error)]
enum RepackError {
    #[error("cannot read the image that was unpacked")]
    Blob(#[from] BlobError),
    #[error("the manifest of the image that was unpacked is malformed")]
    Document(#[from] DocumentError),
    #[error("a digest of the image that was unpacked is malformed")]
    Digest(#[from] DigestError),
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    #[error("cannot keep the new image")]
    Ingest(#[from] IngestError),
    #[error("cannot name the new layer")]
    Name(#[from] NameError),
    #[error("`SOURCE_DATE_EPOCH={text}` is no number of seconds")]
    Time { text: String },
}

/// Runs `repack` in the builder.
pub(crate) fn run(arguments: &RepackArguments, around: Surroundings<'_>) -> Outcome {
    let env = around.env;
    let time = time(env).map_err(|error| Report::new(Kind::Usage, &error))?;
    let bundle = env.current_directory.join(&arguments.bundle);
    workspace::with(
        (around, &arguments.registry),
        &[&arguments.image],
        |finder| {
            let target = finder.target(&arguments.image)?;
            let record = Record::read(&bundle);
            let record = record.map_err(|error| Report::new(Kind::User, &error))?;
            let image = record.image.clone();
            let base = Pinned {
                source: finder.source(&image.location)?,
                top: image.manifest.clone(),
            };
            let base_root = finder.bring(&base, None)?;
            let changes = changes(record, &bundle)?;
            let root = if changes.is_empty() {
                finder
                    .workshop
                    .events
                    .warn("nothing was changed: the image is the one that was unpacked");
                base_root
            } else {
                add_layer(finder, (&image, &base_root), (changes, time))?
            };
            let (store, lease) = (&finder.workshop.store, &finder.workshop.lease);
            let made = StoreSource::of(store, lease, &root, arguments.image.clone());
            copy(&made, target.as_ref(), &finder.options(Selection::All))
                .map_err(|error| located::of_copy(&error))?;
            Ok(exit::DONE)
        },
    )
}

fn time(env: &Environment) -> Result<Timestamp, RepackError> {
    let Some(text) = &env.source_date_epoch else {
        return Ok(Clock::System.now());
    };
    let seconds = text.parse().ok();
    let time = seconds.and_then(|seconds| Timestamp::from_unix_seconds(seconds).ok());
    time.ok_or_else(|| RepackError::Time { text: text.clone() })
}

fn changes(record: Record, bundle: &Path) -> Result<ChangeSet, Box<Report>> {
    let files = record.files(bundle);
    let files = files.map_err(|error| Report::new(Kind::User, &error))?;
    let changes = changes::of(&bundle.join(ROOTFS), &files);
    changes.map_err(|error| Box::new(Report::new(Kind::User, &error)))
}

/// Puts one more layer on an image of the store; returns the new manifest.
fn add_layer(
    finder: &Finder<'_>,
    (recorded, base): (&RecordedImage, &Descriptor),
    (changes, time): (ChangeSet, Timestamp),
) -> Result<Descriptor, Box<Report>> {
    let config = finder.stored(base, recorded.location.clone())?.config;
    let user = |error: &dyn std::error::Error| Box::new(Report::new(Kind::User, error));
    let id = SnapshotId::random("repack").map_err(|error| user(&RepackError::from(error)))?;
    let layer = Arc::new(StackLayer {
        id,
        held: Held::Recipe(Arc::new(changes.into())),
        created: Some(time),
    });
    let plan = PackPlan {
        compression: Compression::default(),
        times: Times::Kept,
        base: BaseLayers::AsTheyAre,
    };
    let step = StepId("repack".to_owned());
    let packed = pack_layer(finder.workshop, &step, &layer, &plan);
    let packed = packed.map_err(|error| user(&error))?;
    let made = assembled(finder, (base, config), (packed, time));
    made.map_err(|error| user(&error))
}

fn assembled(
    finder: &Finder<'_>,
    (base, config): (&Descriptor, ImageConfig),
    (packed, time): (LayerBlob, Timestamp),
) -> Result<Descriptor, RepackError> {
    let content = finder.workshop.store.content();
    let digest = descriptor::digest_of(base)?;
    let bytes = content.read_blob(&digest, MANIFEST_MAX_BYTES)?;
    let manifest = check::parse_manifest(&bytes)?;
    let mut layers = base_layers(&manifest, &config)?;
    layers.push(LayerDescriptor {
        digest: packed.digest,
        size_bytes: packed.size_bytes,
        media_type: packed.media_type,
        diff_id: packed.diff_id,
        annotations: std::collections::BTreeMap::new(),
    });
    let image = assemble_image(ImageParts {
        platform: config.platform(),
        history: vec![History {
            created: Some(time),
            created_by: Some(CREATED_BY.to_owned()),
            ..History::default()
        }],
        layers,
        created: Some(time),
        annotations: manifest
            .annotations()
            .clone()
            .unwrap_or_default()
            .into_iter()
            .collect(),
        flavour: flavour(base),
        detail: HistoryDetail::Full,
        config,
    })?;
    keep(finder, &image)?;
    Ok(image.descriptor())
}

fn base_layers(
    manifest: &ImageManifest,
    config: &ImageConfig,
) -> Result<Vec<LayerDescriptor>, DigestError> {
    let layers = manifest.layers().iter().zip(&config.rootfs.diff_ids);
    layers
        .map(|(layer, diff_id)| {
            Ok(LayerDescriptor {
                digest: descriptor::digest_of(layer)?,
                size_bytes: layer.size(),
                media_type: layer.media_type().to_string(),
                diff_id: diff_id.clone(),
                annotations: layer
                    .annotations()
                    .clone()
                    .unwrap_or_default()
                    .into_iter()
                    .collect(),
            })
        })
        .collect()
}

/// The new image has the media types of the one that was unpacked.
fn flavour(base: &Descriptor) -> Flavour {
    match MediaType::parse(base.media_type().as_ref()) {
        MediaType::Manifest(flavour) => flavour,
        _ => Flavour::Oci,
    }
}

fn keep(finder: &Finder<'_>, image: &AssembledImage) -> Result<(), IngestError> {
    let content = finder.workshop.store.content();
    for blob in [&image.config, &image.manifest] {
        content.put(&finder.workshop.lease, &blob.bytes)?;
    }
    Ok(())
}

/// An image of a place by its manifest, whatever its name leads to now.
#[derive(Debug)]
struct Pinned {
    source: Box<dyn Source>,
    top: Descriptor,
}

impl Source for Pinned {
    fn shown(&self) -> String {
        self.source.shown()
    }

    fn root(&self) -> Result<Document, PlaceError> {
        self.source.document(&self.top)
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document, PlaceError> {
        self.source.document(descriptor)
    }

    fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, PlaceError> {
        self.source.blob(descriptor, from)
    }

    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, PlaceError> {
        self.source.referrers(subject)
    }
}
