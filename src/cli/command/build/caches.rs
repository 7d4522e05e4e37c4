//! Caches beside the store: where a build looks for results, and where it leaves its own.

use std::sync::Arc;

use export::output::Squash;
use export::{ExportError, OutputSpec};
use graph::Definition;
use layer::Times;
use oci::Platform;
use remotecache::export::export;
use remotecache::{
    CacheExport, CacheTarget, ExportCacheError, ExportPlace, ImportPlace, Importer, Mode, inline,
};
use solver::event::StepId;
use solver::stash::mounts_of;
use solver::{
    BaseLayers, BuildResult, CacheBackend, ImportError, Imports, KeyedLayer, KeyedLayers, PackPlan,
    Reach, Workshop,
};

use super::damaged::blob_behind;
use crate::command::failure;
use crate::options::{
    CacheDestination, CacheFailure, CacheOptions, CachePlace, CacheTo, ResultOptions,
};
use crate::report::Report;

/// The caches of a build.
#[derive(Debug)]
pub(super) struct Caches {
    pub(super) imports: Imports,
    exports: Vec<(CacheExport, CacheFailure)>,
    /// What happens to the times of files, if a cache goes into the image.
    inline: Option<Times>,
}

impl Caches {
    /// Makes them, for a build for these platforms; nobody is asked yet.
    pub(super) fn new(
        options: &CacheOptions,
        platforms: &[Platform],
        (wanted, workshop): (&ResultOptions, &Workshop),
    ) -> Self {
        let from = options.from.iter().map(|from| {
            let importer = Importer::new(import_place(&from.place), platforms.to_vec())
                .with_mounts(from.mounts.clone());
            Arc::new(importer) as Arc<dyn CacheBackend>
        });
        let image = wanted.outputs.iter().find_map(OutputSpec::pack_plan);
        let exports = options.to.iter().filter_map(|to| match to {
            CacheDestination::Place(to) => Some((cache_export(to, image), to.failure)),
            CacheDestination::Inline => None,
        });
        let is_inline = options
            .to
            .iter()
            .any(|to| matches!(to, CacheDestination::Inline));
        Self {
            imports: Imports::new(from.collect()),
            exports: exports.collect(),
            inline: is_inline.then(|| inline_times(wanted, workshop)).flatten(),
        }
    }

    /// Returns of which vertices the solver is to tell what their keys led to.
    pub(super) fn keyed(&self) -> KeyedLayers {
        let modes = self.exports.iter().map(|(export, _)| match export.mode {
            Mode::Min => KeyedLayers::OfResults,
            Mode::Max => KeyedLayers::All,
        });
        let inline = self.inline.map(|_| KeyedLayers::OfResults);
        modes.chain(inline).max().unwrap_or_default()
    }

    /// Adds the ways in which layers are packed for caches.
    pub(super) fn add_pack_plans(&self, plans: &mut Vec<PackPlan>) {
        for (export, _) in &self.exports {
            if !plans.contains(&export.plan) {
                plans.push(export.plan);
            }
        }
    }

    /// Puts what keys led to into the images, if that is asked for.
    pub(super) fn put_inline(&self, result: &mut BuildResult, keyed: &[Vec<KeyedLayer>]) {
        let Some(times) = self.inline else { return };
        for (platform, keyed) in result.platforms.iter_mut().zip(keyed) {
            inline::put(platform, keyed, times);
        }
    }

    /// Writes what the build led to to the places that are asked for.
    pub(super) fn export(
        &self,
        result: &BuildResult,
        (keyed, definition): (&[Vec<KeyedLayer>], &Definition),
        workshop: &Workshop,
    ) -> Result<(), ExportCacheError> {
        let named = mounts_of(definition);
        let targets = result.platforms.iter().zip(keyed);
        let targets = targets.map(|(result, keyed)| CacheTarget {
            platform: &result.platform,
            stack: &result.stack,
            keyed,
        });
        let targets: Vec<_> = targets.collect();
        for (number, (cache, failure)) in self.exports.iter().enumerate() {
            let step = StepId(format!("export-cache-{number}"));
            let exported = export(cache, (&targets, &named), workshop, &step);
            match (exported, failure) {
                (Err(error), CacheFailure::IsIgnored) if is_of_the_cache(&error) => {
                    workshop.events.warn(failure::chain(&error));
                }
                (exported, _) => exported?,
            }
        }
        Ok(())
    }
}

/// Tells whether an export failed by itself: not because the build is to end, or because a layer has to be made again.
fn is_of_the_cache(error: &ExportCacheError) -> bool {
    !matches!(error, ExportCacheError::Cancelled) && ImportError::behind(error).is_none()
}

/// Returns how the files of the images with a cache in them are packed; none, with a warning, where they cannot have
/// one.
fn inline_times(wanted: &ResultOptions, workshop: &Workshop) -> Option<Times> {
    let mut images = wanted.outputs.iter().filter_map(OutputSpec::image);
    let Some(first) = images.next() else {
        let text = "`--cache-to type=inline` changes nothing: no output is an image";
        workshop.events.warn(text);
        return None;
    };
    let plan = first.pack_plan();
    if first.squash != Squash::None || images.any(|image| image.squash != Squash::None) {
        let text = "`--cache-to type=inline` changes nothing: layers that became one are no step's";
        workshop.events.warn(text);
        return None;
    }
    Some(plan.times)
}

fn import_place(place: &CachePlace) -> Box<dyn ImportPlace> {
    match place {
        CachePlace::Registry(cache) => Box::new(cache.clone()),
        CachePlace::Local(cache) => Box::new(cache.clone()),
        CachePlace::Gha(cache) => cache.clone(),
    }
}

fn export_place(place: &CachePlace) -> Box<dyn ExportPlace> {
    match place {
        CachePlace::Registry(cache) => Box::new(cache.clone()),
        CachePlace::Local(cache) => Box::new(cache.clone()),
        CachePlace::Gha(cache) => cache.clone(),
    }
}

/// Makes an export. Layers are packed as the image's are, unless something else is asked for: then they are the same
/// blobs.
fn cache_export(to: &CacheTo, image: Option<PackPlan>) -> CacheExport {
    let image = image.unwrap_or(PackPlan {
        compression: layer::Compression::default(),
        times: Times::Kept,
        base: BaseLayers::AsTheyAre,
    });
    CacheExport {
        place: export_place(&to.place),
        mode: to.mode,
        earlier: to.earlier,
        mounts: to.mounts.clone(),
        plan: PackPlan {
            compression: to.compression.unwrap_or(image.compression),
            times: image.times,
            base: to.compressed,
        },
    }
}

/// Why an attempt to build did not come to its end.
#[derive(Debug)]
pub(super) enum Failure {
    /// A layer of a cache is of no use: the text says which and why. The next attempt does not take it.
    Import(String),
    /// Something has to be made, and that cannot be done in this process.
    OutOfReach,
    /// A blob of the store was damaged: the text says which. The next attempt does not find it.
    Damaged {
        /// Which it was.
        why: String,
        /// What could not be done because of that.
        report: Box<Report>,
    },
    /// Something else.
    Build(Box<Report>),
}

impl Failure {
    /// Tells which it is.
    pub(super) fn of<E: std::error::Error + 'static>(
        error: E,
        workshop: &Workshop,
        report: impl FnOnce(E) -> Box<Report>,
    ) -> Self {
        // Who can make nothing leaves what is damaged to the builder, which says so.
        if workshop.cancel.is_cancelled() || workshop.reach == Reach::Known {
            return Self::Build(report(error));
        }
        if let Some(import) = ImportError::behind(&error) {
            return Self::Import(failure::chain(import));
        }
        let damaged = blob_behind(&error, workshop.store.content());
        let report = report(error);
        match damaged {
            Some(digest) => Self::Damaged {
                why: format!("the blob `{digest}` in the store is damaged"),
                report,
            },
            None => Self::Build(report),
        }
    }

    /// Tells which it is, of what an output did not take.
    pub(super) fn of_export(error: ExportError, workshop: &Workshop) -> Self {
        let report = |error: &ExportError| failure::of_export(error, workshop.store.path());
        match error {
            ExportError::Damaged { .. } => {
                let report = report(&error);
                let why = report.title.clone();
                Self::Damaged { why, report }
            }
            error => Self::of(error, workshop, |error| report(&error)),
        }
    }
}
