//! `type=image`: an image of the store, of registries, or of both.
//!
//! Blobs go first, side by side, then manifests, the index, and the names last. A push that fails leaves everything
//! in the store's cache: the next build finds it there, and the registry has the blobs that got through.

mod append;
mod source;

use std::collections::BTreeMap;

use oci::{Descriptor, Reference, descriptor};
use solver::event::Moved;
use solver::{BuildResult, Tree, Workshop};
use transport::{
    CopyOptions, CopyProgress, RegistryTarget, Selection, Silent, Stop, StoreTarget, Target,
    Transferred, copy,
};

use crate::exporter::{ExportError, ExportStep, Exported, Exporter};
use crate::image::{self, ImageSet};
use crate::layout;
use crate::output::{ImageOptions, Naming, OutputSpec, Publication, Push};
pub(crate) use append::Addition;
use source::BuiltImage;
pub(crate) use source::{lone_layer, pushing};

/// Publishes images.
#[derive(Debug)]
pub(crate) struct ImageExporter<'o> {
    /// Where the image goes.
    pub(crate) publication: &'o Publication,
    /// What the image is like.
    pub(crate) image: &'o ImageOptions,
}

impl Exporter for ImageExporter<'_> {
    fn name(&self) -> &'static str {
        "exporting to image"
    }

    fn export(&self, result: &BuildResult, step: &ExportStep<'_>) -> Result<Exported, ExportError> {
        let set = image::assemble(result, step, self.image)?;
        if self.publication.unpack {
            unpack(result, step)?;
        }
        let index = match self.image.naming {
            Naming::Replace => self.publish(&set, step).map(|()| None),
            Naming::Append => self.add(&set, step),
        }?;
        Ok(Exported {
            image: Some(set.exported_in(index, &self.image.names)),
            unchanged: false,
        })
    }
}

impl ImageExporter<'_> {
    /// Gives the image its names, wherever it goes.
    fn publish(&self, set: &ImageSet, step: &ExportStep<'_>) -> Result<(), ExportError> {
        if self.publication.store {
            self.keep(set, step)?;
        }
        for (repository, tags) in repositories(self.publication, &self.image.names) {
            self.push(set, (&repository, &tags), step)?;
        }
        Ok(())
    }

    /// Adds the images to the indexes that have their names, wherever they go; returns the last one.
    fn add(
        &self,
        set: &ImageSet,
        step: &ExportStep<'_>,
    ) -> Result<Option<Descriptor>, ExportError> {
        let image = self.image;
        let addition = Addition { set, image, step };
        let mut last = None;
        if self.publication.store {
            last = addition.to_store()?;
        }
        for (repository, tags) in repositories(self.publication, &image.names) {
            last = addition.to_repository(self.publication, (&repository, &tags))?;
        }
        Ok(last)
    }

    /// Puts the image into the store, under its names.
    fn keep(&self, set: &ImageSet, step: &ExportStep<'_>) -> Result<(), ExportError> {
        set.bring_in(step)?;
        let workshop = step.workshop;
        let digest = descriptor::digest_of(&set.top)?;
        let mut names = self.image.names.clone();
        names.extend(self.publication.names_by_digest(&names, &digest));
        let target = StoreTarget::new(&workshop.store, &workshop.lease, names.clone());
        let kept = copied(set, &target, workshop, &Silent);
        kept.map_err(|source| ExportError::Keep(Box::new(source)))?;
        if names.is_empty() {
            let root = layout::annotated(set.top.clone(), set.top_annotations.clone(), set.created);
            workshop.store.content().keep(&root)?;
        }
        for name in names {
            step.tell(format!("naming to {name}"), true);
        }
        Ok(())
    }

    /// Pushes the image into a repository.
    fn push(
        &self,
        set: &ImageSet,
        (repository, tags): (&Reference, &[String]),
        step: &ExportStep<'_>,
    ) -> Result<(), ExportError> {
        let failed = |source: transport::PlaceError| ExportError::Push {
            repository: repository.name(),
            source,
        };
        let target = target(step.workshop, self.publication, (repository, tags));
        let target = target.map_err(failed)?;
        step.tell(format!("pushing layers to {}", repository.name()), false);
        let built = BuiltImage::new(set, step.workshop).told_by(&step.id);
        let told = Told { step };
        let options = copy_options(step.workshop, &told);
        let pushed = copy(&built, &target, &options);
        pushed.map_err(|source| failed(source.into()))?;
        step.tell(format!("pushing layers to {}", repository.name()), true);
        let name = target.shown();
        step.tell(
            format!("pushing manifest for {name}@{}", set.top.digest()),
            true,
        );
        Ok(())
    }
}

/// Returns the repositories that an image is pushed to, each with the tags that it gets there.
fn repositories(
    publication: &Publication,
    names: &[Reference],
) -> BTreeMap<Reference, Vec<String>> {
    let mut repositories: BTreeMap<Reference, Vec<String>> = BTreeMap::new();
    if publication.push == Push::No {
        return repositories;
    }
    for name in names {
        let tags = repositories.entry(name.repository()).or_default();
        tags.extend(name.tag().map(str::to_owned));
    }
    repositories
}

/// Returns the repositories that an output goes to. One that cannot be asked is left out: the exporter says why.
pub(crate) fn targets(output: &OutputSpec, workshop: &Workshop) -> Vec<RegistryTarget> {
    let OutputSpec::Image { publication, image } = output else {
        return Vec::new();
    };
    let repositories = repositories(publication, &image.names);
    let targets = repositories
        .iter()
        .map(|(repository, tags)| target(workshop, publication, (repository, tags.as_slice())));
    targets.flatten().collect()
}

/// Returns the place of an image in a repository. Nothing is asked yet.
fn target(
    workshop: &Workshop,
    publication: &Publication,
    (repository, tags): (&Reference, &[String]),
) -> Result<RegistryTarget, transport::PlaceError> {
    let registry = workshop.registries.protected(publication.protection)?;
    let target = RegistryTarget::new(registry, repository)?;
    Ok(tags.iter().fold(target, |target, tag| target.tag(tag)))
}

/// Copies an image that was built.
pub(crate) fn copied(
    set: &ImageSet,
    target: &dyn Target,
    workshop: &Workshop,
    progress: &dyn CopyProgress,
) -> Result<(), transport::CopyError> {
    let options = copy_options(workshop, progress);
    copy(&BuiltImage::new(set, workshop), target, &options).map(drop)
}

/// Returns how what was built is copied: all of it, as it is.
fn copy_options<'p>(workshop: &Workshop, progress: &'p dyn CopyProgress) -> CopyOptions<'p> {
    CopyOptions::new(Selection::All, progress, stop_of(workshop))
}

/// Returns what ends a copy with the job.
pub(crate) fn stop_of(workshop: &Workshop) -> Stop {
    let cancel = workshop.cancel.clone();
    Stop::new(move || cancel.is_cancelled())
}

/// Tells the display what becomes of each blob.
struct Told<'a> {
    step: &'a ExportStep<'a>,
}

impl CopyProgress for Told<'_> {
    fn started(&self, _blob: &Descriptor) {}

    fn finished(&self, blob: &Descriptor, how: Transferred) {
        let word = match how {
            Transferred::Present => "is there",
            Transferred::Mounted => "mounted",
            Transferred::Copied => return self.pushed(blob),
        };
        self.step.tell(format!("{} {word}", blob.digest()), true);
    }

    fn passed_over(&self, blob: &Descriptor) {
        self.step
            .tell(format!("{} passed over", blob.digest()), true);
    }
}

impl Told<'_> {
    fn pushed(&self, blob: &Descriptor) {
        // A digest that was copied is one.
        let Ok(digest) = descriptor::digest_of(blob) else {
            return;
        };
        let moved = Moved {
            current: blob.size(),
            total: Some(blob.size()),
        };
        let events = &self.step.workshop.events;
        events.moved(&self.step.id, pushing(&digest), moved, true);
    }
}

/// Makes the files of all layers, as a command that runs on them would.
fn unpack(result: &BuildResult, step: &ExportStep<'_>) -> Result<(), ExportError> {
    for platform in &result.platforms {
        let shown = platform.platform.format_all();
        step.tell(format!("unpacking {shown}"), false);
        Tree::open(step.workshop, step.id.clone(), &platform.stack)?;
        step.tell(format!("unpacking {shown}"), true);
    }
    Ok(())
}
