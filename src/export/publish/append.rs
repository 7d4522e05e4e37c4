//! `--append`: the images of a build take their places in the index that a name has now, beside those that others
//! built for their platforms.
//!
//! The images are put first, without a name; then `transport::append` adds them to the index of each name, however
//! many do the same at the same time.

use std::path::Path;

use oci::{Descriptor, Reference};
use solver::Workshop;
use transport::{
    AppendError, Combination, CombineError, CopyProgress, LayoutTag, LayoutTarget, Pace,
    PlaceError, RegistryTag, Silent, StoreTag, StoreTarget, Tag, Target, append,
};

use super::source::BuiltImage;
use super::{Told, copy_options, stop_of, target};
use crate::annotation::{self, AnnotationLevel};
use crate::exporter::{ExportError, ExportStep};
use crate::image::ImageSet;
use crate::output::{ImageOptions, Publication};

/// The images of a build cannot be added to an index.
#[derive(Debug, thiserror::Error)]
enum AddError {
    #[error(transparent)]
    Combine(#[from] CombineError),
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// Images that are added to indexes.
pub(crate) struct Addition<'a> {
    /// The images, below an index of their own.
    pub(crate) set: &'a ImageSet,
    /// What they are like.
    pub(crate) image: &'a ImageOptions,
    /// The export that adds them.
    pub(crate) step: &'a ExportStep<'a>,
}

impl Addition<'_> {
    /// Adds them to the indexes that the store has under their names; returns the last index.
    pub(crate) fn to_store(&self) -> Result<Option<Descriptor>, ExportError> {
        self.set.bring_in(self.step)?;
        let Workshop { store, lease, .. } = self.step.workshop;
        let names = self.image.names.iter();
        let tags: Vec<_> = names
            .map(|name| StoreTag::new(store, lease, name))
            .collect();
        let target = StoreTarget::new(store, lease, Vec::new());
        self.add(target, &as_tags(&tags), &Silent)
            .map_err(|source| ExportError::Add {
                shown: "store".to_owned(),
                source: source.into(),
            })
    }

    /// Adds them to the indexes that a layout has under their names; returns the last index.
    pub(crate) fn to_layout(&self, path: &Path) -> Result<Option<Descriptor>, ExportError> {
        let failed = |source: PlaceError| ExportError::Add {
            shown: path.display().to_string(),
            source,
        };
        let stop = stop_of(self.step.workshop);
        let names = self.image.names.iter();
        let tags: Vec<_> = names
            .map(|name| LayoutTag::named(path, name, &stop))
            .collect();
        let target =
            LayoutTarget::named(path, &[], &stop).map_err(|source| failed(source.into()))?;
        self.add(target, &as_tags(&tags), &Silent)
            .map_err(|source| failed(source.into()))
    }

    /// Adds them to the indexes that a repository of a registry has under these tags; returns the last index.
    pub(crate) fn to_repository(
        &self,
        publication: &Publication,
        (repository, tags): (&Reference, &[String]),
    ) -> Result<Option<Descriptor>, ExportError> {
        let failed = |source: PlaceError| ExportError::Push {
            repository: repository.name(),
            source,
        };
        let registries = &self.step.workshop.registries;
        let once = registries.once();
        let tags = || -> Result<Vec<_>, PlaceError> {
            let usual = registries.protected(publication.protection)?;
            let once = once.protected(publication.protection)?;
            let name = |tag: &String| repository.with_tag(tag);
            let tag = |tag| Ok(RegistryTag::new(usual, once, &name(tag)?)?);
            tags.iter().map(tag).collect()
        };
        let tags = tags().map_err(failed)?;
        let target = target(self.step.workshop, publication, (repository, &[]));
        let target = target.map_err(failed)?;
        let told = Told { step: self.step };
        self.step
            .tell(format!("pushing layers to {}", repository.name()), false);
        self.add(target, &as_tags(&tags), &told)
            .map_err(|source| failed(source.into()))
    }

    /// Puts the images at a target, and adds them to the index of each tag. A layout is locked as long as its target
    /// is there.
    fn add(
        &self,
        target: impl Target,
        tags: &[&dyn Tag],
        progress: &dyn CopyProgress,
    ) -> Result<Option<Descriptor>, AddError> {
        let workshop = self.step.workshop;
        let built = BuiltImage::new(self.set, workshop).told_by(&self.step.id);
        let mut combination = Combination::new();
        combination.add(&built)?;
        let said = annotation::at(&self.image.annotations, AnnotationLevel::Index, None);
        for (key, value) in &said {
            combination.annotate(key, value);
        }
        let options = copy_options(workshop, progress);
        combination.put_images(&target, &options, &|_source| false)?;
        drop(target);
        let additions = combination.additions();
        let mut last = None;
        for tag in tags {
            let shown = tag.shown();
            self.step
                .tell(format!("adding to the index of {shown}"), false);
            let appended = append(*tag, &additions, &Pace::default(), &options.stop)?;
            if let Some(late) = appended.late {
                workshop.events.warn(format!(
                    "`{shown}` took {} s to be written: what others added meanwhile may be lost",
                    late.as_secs()
                ));
            }
            let digest = appended.index.digest();
            self.step
                .tell(format!("the index of {shown} is {digest}"), true);
            last = Some(appended.index);
        }
        Ok(last)
    }
}

fn as_tags<T: Tag>(tags: &[T]) -> Vec<&dyn Tag> {
    tags.iter().map(|tag| tag as &dyn Tag).collect()
}
