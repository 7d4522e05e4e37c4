//! What every image exporter writes: layers packed, configurations, manifests and index assembled.

mod history;
mod part;

use std::collections::BTreeMap;
use std::path::Path;

use graph::ImageOrigin;
use oci::assemble::{self, AssembledImage, Blob, ImageParts, LayerDescriptor};
use oci::descriptor::{self, Descriptor};
use oci::media_type::{Distribution, Flavour, LayerMediaType};
use oci::{Clock, Digest, MediaType, Reference, Timestamp};
use solver::result::{BaseLayer, Held, StackLayer};
use solver::{BuildResult, LayerBlob, PlatformResult, RemoteLayer, base};

use crate::annotation::{self, AnnotationLevel};
use crate::exporter::{ExportError, ExportStep, ExportedImage};
use crate::layout;
use crate::output::{ImageOptions, IndexForm, RestrictedLayers};
use part::{Packed, Part};

/// An image, or an index of images, ready to be written.
#[derive(Debug)]
pub(crate) struct ImageSet {
    /// Every blob that is no layer: configurations, manifests, the index.
    pub(crate) documents: Vec<Blob>,
    /// Every layer once, by digest.
    pub(crate) layers: BTreeMap<Digest, LayerFile>,
    /// What each image is made of.
    pub(crate) images: Vec<ImageDigests>,
    /// The index, or the manifest of a single platform.
    pub(crate) top: Descriptor,
    /// What is said of it where it is named.
    pub(crate) top_annotations: BTreeMap<String, String>,
    /// When the newest image was made.
    pub(crate) created: Option<Timestamp>,
}

/// What an image is made of.
#[derive(Debug)]
pub(crate) struct ImageDigests {
    /// Its manifest.
    pub(crate) manifest: Digest,
    /// Its configuration.
    pub(crate) config: Digest,
    /// Its layers, the lowest first.
    pub(crate) layers: Vec<Digest>,
}

/// A layer's blob and where it is.
#[derive(Debug, Clone)]
pub(crate) struct LayerFile {
    /// Its size, in bytes.
    pub(crate) size_bytes: u64,
    /// Its media type.
    pub(crate) media_type: String,
    /// Where it is.
    pub(crate) place: LayerPlace,
}

/// Where the blob of a layer is.
#[derive(Debug, Clone)]
pub(crate) enum LayerPlace {
    /// In the store: this build packed it.
    Packed,
    /// In the store, or where the base is that it came with.
    Base(BaseLayer),
    /// In the store, or in the cache that knows it.
    Remote(RemoteLayer),
}

impl LayerFile {
    /// Returns where the blob of a layer is: one of a base that was left alone is where the base is.
    pub(crate) fn of(layer: &StackLayer, blob: &LayerBlob) -> Self {
        let place = match &layer.held {
            Held::Base(base) if base.digest == blob.digest => LayerPlace::Base(base.clone()),
            Held::Remote(remote) if remote.blob().digest == blob.digest => {
                LayerPlace::Remote(remote.clone())
            }
            Held::Base(_) | Held::Stored | Held::Recipe(_) | Held::Remote(_) => LayerPlace::Packed,
        };
        Self {
            size_bytes: blob.size_bytes,
            media_type: blob.media_type.clone(),
            place,
        }
    }

    fn of_part(part: &Part, blob: &LayerBlob) -> Self {
        match part {
            Part::Layer(layer) => Self::of(layer, blob),
            Part::Squashed { .. } => Self {
                size_bytes: blob.size_bytes,
                media_type: blob.media_type.clone(),
                place: LayerPlace::Packed,
            },
        }
    }

    /// Returns the descriptor of a blob with this digest.
    pub(crate) fn descriptor(&self, digest: &Digest) -> Descriptor {
        descriptor::descriptor(&self.media_type, digest, self.size_bytes)
    }

    /// Returns the OCI image layout of the user's that holds it; none if it is in the store, at least when it
    /// was brought there.
    pub(crate) fn layout(&self) -> Option<&Path> {
        match &self.place {
            LayerPlace::Packed | LayerPlace::Remote(_) => None,
            LayerPlace::Base(base) => match &base.image.origin {
                ImageOrigin::Layout { path } => Some(path),
                ImageOrigin::Store | ImageOrigin::Registry { .. } => None,
            },
        }
    }
}

impl ImageSet {
    /// Tells the digests of what the set is made of, in BuildKit's words.
    fn tell(&self, step: &ExportStep<'_>) {
        for ImageDigests {
            manifest, config, ..
        } in &self.images
        {
            step.tell(format!("exporting manifest {manifest}"), true);
            step.tell(format!("exporting config {config}"), true);
        }
        let top = self.top.digest();
        let is_manifest = |image: &ImageDigests| image.manifest.as_str() == top.as_ref();
        if !self.images.iter().any(is_manifest) {
            step.tell(format!("exporting manifest list {top}"), true);
        }
    }

    /// Makes sure that every layer is on this machine: those that only a registry or a cache has are fetched.
    pub(crate) fn bring_in(&self, step: &ExportStep<'_>) -> Result<(), ExportError> {
        let of_bases = self.layers.values().filter_map(|layer| match &layer.place {
            LayerPlace::Base(base) => Some(base.clone()),
            LayerPlace::Packed | LayerPlace::Remote(_) => None,
        });
        base::bring_all(step.workshop, &step.id, of_bases.collect())?;
        for layer in self.layers.values() {
            if let LayerPlace::Remote(remote) = &layer.place {
                let brought = remote.bring(step.workshop, Some(&step.id));
                brought.map_err(ExportError::Import)?;
            }
        }
        Ok(())
    }

    /// Returns what is told of it when it is in an index that others have images in too, or alone where there is none.
    pub(crate) fn exported_in(
        self,
        index: Option<Descriptor>,
        names: &[Reference],
    ) -> ExportedImage {
        match index {
            None => self.exported(names),
            Some(top) => ExportedImage {
                top,
                config: None,
                names: names.to_vec(),
            },
        }
    }

    /// Returns what is told of it when it is written.
    pub(crate) fn exported(self, names: &[Reference]) -> ExportedImage {
        let config = match self.images.as_slice() {
            [single] if self.top.platform().is_some() => Some(single.config.clone()),
            _ => None,
        };
        ExportedImage {
            top: layout::annotated(self.top, self.top_annotations, self.created),
            config,
            names: names.to_vec(),
        }
    }
}

/// Packs and assembles a result.
pub(crate) fn assemble(
    result: &BuildResult,
    step: &ExportStep<'_>,
    options: &ImageOptions,
) -> Result<ImageSet, ExportError> {
    let platforms: Vec<_> = result
        .platforms
        .iter()
        .map(|platform| (platform, part::parts(platform, options.squash)))
        .collect();
    let parts = platforms.iter().flat_map(|(_, parts)| parts);
    step.tell("exporting layers".to_owned(), false);
    let packed = part::pack_all(parts, step, &options.pack_plan())?;
    step.tell("exporting layers".to_owned(), true);
    let assembly = Assembly {
        packed,
        clock: options.time.map_or(step.workshop.clock, Clock::Fixed),
        flavour: flavour(step, options),
        options,
    };
    let mut layers = BTreeMap::new();
    let mut digests = Vec::new();
    let mut images = Vec::new();
    let mut created = None;
    for (platform, parts) in &platforms {
        let parts = assembly.image_parts(platform, parts, &mut layers)?;
        created = created.max(parts.created);
        let of_layers = parts
            .layers
            .iter()
            .map(|layer| layer.digest.clone())
            .collect();
        let image = assemble::assemble_image(parts)?;
        digests.push(ImageDigests {
            manifest: image.manifest.digest.clone(),
            config: image.config.digest.clone(),
            layers: of_layers,
        });
        images.push(image);
    }
    let (top, top_annotations, index) = assembly.top(&images);
    let documents = images
        .into_iter()
        .flat_map(|image| [image.config, image.manifest]);
    let set = ImageSet {
        documents: documents.chain(index).collect(),
        layers,
        images: digests,
        top,
        top_annotations,
        created,
    };
    set.tell(step);
    Ok(set)
}

/// Docker's media types have no place for what is said beside a manifest.
fn flavour(step: &ExportStep<'_>, options: &ImageOptions) -> Flavour {
    if options.flavour == Flavour::Docker && annotation::need_oci(&options.annotations) {
        step.workshop.events.warn(
            "the image has OCI's media types: Docker's have no place for the annotations that it has",
        );
        return Flavour::Oci;
    }
    options.flavour
}

/// What images are put together of.
struct Assembly<'a> {
    packed: Packed,
    clock: Clock,
    flavour: Flavour,
    options: &'a ImageOptions,
}

impl Assembly<'_> {
    /// Returns the parts of one image, and notes where its layers are.
    fn image_parts(
        &self,
        platform: &PlatformResult,
        parts: &[Part],
        files: &mut BTreeMap<Digest, LayerFile>,
    ) -> Result<ImageParts, ExportError> {
        let mut layers = Vec::new();
        for part in parts {
            let blob = self.packed.blob_of(part)?;
            let layer = self.layer(blob);
            let mut file = LayerFile::of_part(part, blob);
            file.media_type.clone_from(&layer.media_type);
            files.insert(blob.digest.clone(), file);
            layers.push(layer);
        }
        let history = history::of(platform, parts, self.clock);
        let created = history.iter().filter_map(|entry| entry.created).next_back();
        let created = created
            .or(platform.config.created)
            .or_else(|| Some(self.clock.now()));
        let mut config = platform.config.clone();
        if let Some(Part::Squashed { kept: 0, .. }) = parts.last() {
            // No layer of the base is left; what its history tells is told of no layer.
            config.rootfs.diff_ids.clear();
        }
        Ok(ImageParts {
            config,
            platform: platform.platform.clone(),
            history,
            layers,
            created,
            annotations: self.said(AnnotationLevel::Manifest, platform),
            flavour: self.flavour,
            detail: self.options.history,
        })
    }

    fn said(&self, level: AnnotationLevel, platform: &PlatformResult) -> BTreeMap<String, String> {
        annotation::at(&self.options.annotations, level, Some(&platform.platform))
    }

    fn layer(&self, blob: &LayerBlob) -> LayerDescriptor {
        LayerDescriptor {
            digest: blob.digest.clone(),
            size_bytes: blob.size_bytes,
            media_type: self.media_type(&blob.media_type),
            diff_id: blob.diff_id.clone(),
            annotations: BTreeMap::new(),
        }
    }

    /// Returns the media type of a layer. What registries do not hand out is in the output all the same,
    /// and is like any other layer there, unless it is asked for otherwise.
    fn media_type(&self, text: &str) -> String {
        match MediaType::parse(text) {
            MediaType::Layer(layer) if self.options.restricted == RestrictedLayers::Freed => {
                let distribution = Distribution::Free;
                let free = LayerMediaType {
                    distribution,
                    ..layer
                };
                free.as_str().to_owned()
            }
            _ => text.to_owned(),
        }
    }

    /// One platform is a manifest; several are an index.
    fn top(
        &self,
        images: &[AssembledImage],
    ) -> (Descriptor, BTreeMap<String, String>, Option<Blob>) {
        let said = &self.options.annotations;
        let of_manifest = |image: &AssembledImage| {
            let level = AnnotationLevel::ManifestDescriptor;
            annotation::at(said, level, Some(&image.platform))
        };
        if let ([single], IndexForm::ForSeveral) = (images, self.options.index) {
            return (single.descriptor(), of_manifest(single), None);
        }
        let manifests = images
            .iter()
            .map(|image| descriptor::with_annotations(image.descriptor(), &of_manifest(image)));
        let of_index = annotation::at(said, AnnotationLevel::Index, None);
        let index = assemble::assemble_index(manifests.collect(), &of_index, self.flavour);
        let of_descriptor = annotation::at(said, AnnotationLevel::IndexDescriptor, None);
        (index.descriptor(), of_descriptor, Some(index))
    }
}
