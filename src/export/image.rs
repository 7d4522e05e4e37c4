//! What every image exporter writes: layers packed, configurations, manifests and index assembled.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;

use graph::ImageOrigin;
use oci::assemble::{self, AssembledImage, Blob, ImageParts, LayerDescriptor};
use oci::descriptor::{self, Descriptor};
use oci::{Clock, Digest, History, Timestamp};
use solver::event::Event;
use solver::pack::PackLayerError;
use solver::result::{Held, StackLayer};
use solver::{BuildResult, LayerBlob, PackPlan, PlatformResult, Workshop, pack_layer};

use crate::exporter::{ExportError, step_id};

/// An image, or an index of images, ready to be written.
#[derive(Debug)]
pub(crate) struct ImageSet {
    /// Every blob that is no layer: configurations, manifests, the index.
    pub(crate) documents: Vec<Blob>,
    /// Every layer once, by digest.
    pub(crate) layers: BTreeMap<Digest, LayerFile>,
    /// The index, or the manifest of a single platform.
    pub(crate) top: Descriptor,
    /// When the newest image was made.
    pub(crate) created: Option<Timestamp>,
}

/// A layer's blob and where it is.
#[derive(Debug, Clone)]
pub(crate) struct LayerFile {
    /// Its size, in bytes.
    pub(crate) size_bytes: u64,
    /// The OCI image layout that holds it; the store's own if none.
    pub(crate) layout: Option<PathBuf>,
}

/// Packs and assembles a result.
pub(crate) fn assemble(
    result: &BuildResult,
    workshop: &Workshop,
    plan: &PackPlan,
) -> Result<ImageSet, ExportError> {
    let packed = pack_all(result, workshop, plan)?;
    let mut layers = BTreeMap::new();
    let mut images = Vec::new();
    let mut created = None;
    for platform in &result.platforms {
        let parts = parts(platform, workshop, &packed)?;
        collect_layers(platform, &parts, &mut layers);
        created = created.max(parts.created);
        images.push(assemble::assemble_image(parts)?);
    }
    let (top, index) = top_of(&images);
    let mut documents = Vec::new();
    for AssembledImage {
        config, manifest, ..
    } in images
    {
        documents.extend([config, manifest]);
    }
    documents.extend(index);
    Ok(ImageSet {
        documents,
        layers,
        top,
        created,
    })
}

/// One platform is a manifest; several are an index.
fn top_of(images: &[AssembledImage]) -> (Descriptor, Option<Blob>) {
    if let [single] = images {
        return (single.descriptor(), None);
    }
    let index = assemble::assemble_index(images, &BTreeMap::new());
    (index.descriptor(), Some(index))
}

/// The blob of each layer of a result, by the layer's name.
type Packed = BTreeMap<String, LayerBlob>;

/// Packs the layers, several side by side: a small one need not wait for a large one.
fn pack_all(
    result: &BuildResult,
    workshop: &Workshop,
    plan: &PackPlan,
) -> Result<Packed, ExportError> {
    let stacks = result
        .platforms
        .iter()
        .flat_map(|platform| platform.stack.layers());
    let layers: BTreeMap<String, &Arc<StackLayer>> =
        stacks.map(|layer| (layer.id.to_string(), layer)).collect();
    let layers: Vec<_> = layers.into_iter().collect();
    let threads = available_parallelism().map_or(2, usize::from);
    let mut packed = Packed::new();
    for batch in layers.chunks(threads.max(1)) {
        if workshop.cancel.is_cancelled() {
            return Err(ExportError::Cancelled);
        }
        packed.extend(pack_batch(batch, workshop, plan)?);
    }
    Ok(packed)
}

fn pack_batch(
    batch: &[(String, &Arc<StackLayer>)],
    workshop: &Workshop,
    plan: &PackPlan,
) -> Result<Packed, PackLayerError> {
    std::thread::scope(|scope| {
        let spawn = |(name, layer): &(String, &Arc<StackLayer>)| {
            let (name, layer) = (name.clone(), Arc::clone(layer));
            scope.spawn(move || {
                pack_layer(workshop, &step_id(), &layer, plan).map(|blob| (name, blob))
            })
        };
        let threads: Vec<_> = batch.iter().map(spawn).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| match thread.join() {
            Ok(packed) => packed,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        threads.into_iter().map(join).collect()
    })
}

fn parts(
    platform: &PlatformResult,
    workshop: &Workshop,
    packed: &Packed,
) -> Result<ImageParts, ExportError> {
    let blob_of = |layer: &Arc<StackLayer>| {
        let id = layer.id.clone();
        packed
            .get(&id.to_string())
            .ok_or(PackLayerError::Gone { layer: id })
    };
    let mut layers = Vec::new();
    for layer in platform.stack.layers() {
        let blob = blob_of(layer)?;
        layers.push(LayerDescriptor {
            digest: blob.digest.clone(),
            size_bytes: blob.size_bytes,
            media_type: blob.media_type.clone(),
            diff_id: blob.diff_id.clone(),
            annotations: BTreeMap::new(),
        });
    }
    let history = history(platform, workshop.clock);
    let created = history.iter().filter_map(|entry| entry.created).next_back();
    let created = created
        .or(platform.config.created)
        .or_else(|| Some(workshop.clock.now()));
    Ok(ImageParts {
        config: platform.config.clone(),
        platform: platform.platform.clone(),
        history,
        layers,
        created,
        annotations: BTreeMap::new(),
    })
}

/// Returns what the Dockerfile adds to the history. What has no layer has the time of the layer
/// before it, or of the first one: that is no reason for another digest when nothing else changed.
fn history(platform: &PlatformResult, clock: Clock) -> Vec<History> {
    let is_new = |layer: &&Arc<StackLayer>| !matches!(layer.held, Held::Base(_));
    let times: Vec<_> = platform
        .stack
        .layers()
        .iter()
        .filter(is_new)
        .map(|layer| layer.created)
        .collect();
    let fixed = match clock {
        Clock::Fixed(time) => Some(time),
        Clock::System => None,
    };
    let mut current = times.iter().flatten().next().copied();
    let mut of_layers = times.into_iter();
    let entries = platform.history.iter().map(|step| {
        if !step.empty_layer {
            current = of_layers.next().flatten().or(current);
        }
        History {
            created: fixed.or(current),
            created_by: Some(step.created_by.clone()),
            author: None,
            comment: Some(step.comment.clone()),
            empty_layer: step.empty_layer,
        }
    });
    entries.collect()
}

fn collect_layers(
    platform: &PlatformResult,
    parts: &ImageParts,
    layers: &mut BTreeMap<Digest, LayerFile>,
) {
    for (layer, packed) in platform.stack.layers().iter().zip(&parts.layers) {
        let layout = match &layer.held {
            Held::Base(base) => match &base.image.origin {
                ImageOrigin::Layout { path } => Some(path.clone()),
                ImageOrigin::Store => None,
            },
            Held::Stored | Held::Recipe(_) => None,
        };
        let file = LayerFile {
            size_bytes: packed.size_bytes,
            layout,
        };
        layers.insert(packed.digest.clone(), file);
    }
}

/// Returns the descriptor with the names that an image layout gives an image.
pub(crate) fn named(
    top: &Descriptor,
    name: Option<&oci::Reference>,
    created: Option<Timestamp>,
) -> Descriptor {
    let mut annotations = BTreeMap::new();
    if let Some(name) = name {
        let tag = name.tag().unwrap_or("latest");
        annotations.insert("io.containerd.image.name".to_owned(), name.to_string());
        annotations.insert(
            "org.opencontainers.image.ref.name".to_owned(),
            tag.to_owned(),
        );
    }
    if let Some(created) = created {
        annotations.insert(
            "org.opencontainers.image.created".to_owned(),
            created.to_string(),
        );
    }
    descriptor::with_annotations(top.clone(), &annotations)
}

/// Tells the display that the export moved on.
pub(crate) fn tell(workshop: &Workshop, what: String, done: bool) {
    workshop.events.emit(Event::Progress {
        step: step_id(),
        what,
        done,
    });
}

#[cfg(test)]
mod tests {
    use oci::{DiffId, ImageConfig, Platform, Reference};
    use solver::result::BaseLayer;
    use solver::{HistoryStep, Stack};
    use store::SnapshotId;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds).unwrap()
    }

    fn layer(name: &str, held: Held, created: Option<i64>) -> Arc<StackLayer> {
        Arc::new(StackLayer {
            id: SnapshotId::new(name).unwrap(),
            held,
            created: created.map(at),
        })
    }

    fn base() -> Held {
        let digest = Digest::of(b"layer");
        Held::Base(BaseLayer {
            image: Arc::new(graph::ImageSource {
                name: "base".to_owned(),
                manifest: digest.clone(),
                platform: Platform::new("linux", "amd64"),
                origin: ImageOrigin::Store,
            }),
            digest: digest.clone(),
            size_bytes: 5,
            media_type: oci::media_type::OCI_LAYER_GZIP.to_owned(),
            diff_id: DiffId::new(digest),
        })
    }

    fn step(created_by: &str, empty_layer: bool) -> HistoryStep {
        HistoryStep {
            created_by: created_by.to_owned(),
            comment: String::new(),
            empty_layer,
        }
    }

    fn result(layers: Vec<Arc<StackLayer>>, history: Vec<HistoryStep>) -> PlatformResult {
        PlatformResult {
            platform: Platform::new("linux", "amd64"),
            stack: Stack::from_iter(layers),
            config: ImageConfig::new(&Platform::new("linux", "amd64")),
            history,
        }
    }

    fn times(result: &PlatformResult, clock: Clock) -> Vec<Option<i64>> {
        let entries = history(result, clock).into_iter();
        let seconds = entries.map(|entry| entry.created.map(Timestamp::seconds));
        seconds.collect()
    }

    #[test]
    fn an_entry_without_a_layer_has_the_time_of_the_layer_before_it_or_the_first() {
        let layers = vec![
            layer("base", base(), None),
            layer("one", Held::Stored, Some(10)),
            layer("two", Held::Stored, Some(20)),
        ];
        let steps = vec![
            step("ENV", true),
            step("RUN", false),
            step("ENV", true),
            step("COPY", false),
            step("CMD", true),
        ];
        let result = result(layers, steps);
        let expected = [10, 10, 10, 20, 20].map(Some);
        assert_eq!(times(&result, Clock::System), expected);
        assert_eq!(times(&result, Clock::Fixed(at(1))), [Some(1); 5]);
    }

    #[test]
    fn a_result_that_adds_no_layer_has_no_times_of_its_own() {
        let result = result(vec![layer("base", base(), None)], vec![step("ENV", true)]);
        assert_eq!(times(&result, Clock::System), [None]);
    }

    #[test]
    fn an_image_in_a_layout_has_its_whole_name_and_its_tag() {
        let top = descriptor::descriptor(oci::media_type::OCI_INDEX, &Digest::of(b"x"), 1);
        let name = Reference::parse_docker_ref("app:1").unwrap();
        let entry = named(&top, Some(&name), Some(at(0)));
        for (key, expected) in [
            ("io.containerd.image.name", "docker.io/library/app:1"),
            ("org.opencontainers.image.ref.name", "1"),
            ("org.opencontainers.image.created", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(
                descriptor::annotation_of(&entry, key),
                Some(expected),
                "{key}"
            );
        }
        assert_eq!(named(&top, None, None), top);
    }
}
