//! Copying an image from one place to another.
//!
//! ```text
//! plan      source: root, what is selected below it, and of each manifest the blobs      (documents only)
//! blobs     each once, several at a time                                                 put_blob
//! documents what is named before what names it                                           put_document
//! root      with its names                                                               finish
//! ```
//!
//! A target that has the names and the documents already has everything: nothing more is asked of it then.
//!
//! Bytes are never changed: nothing is compressed again, and documents are written anew only where one platform of
//! several is meant, or media types of the other flavour.

mod convert;
mod parallel;
mod plan;
mod present;
mod select;
#[cfg(test)]
mod tests;
mod watched;

use std::error::Error;
use std::io;

use oci::check::DocumentError;
use oci::config::ConfigError;
use oci::digest::DigestError;
use oci::media_type::{Distribution, Flavour};
use oci::{Descriptor, MediaType, Platform};
use store::BlobError;

use crate::archive::ArchiveSourceError;
use crate::directory::DirectoryError;
use crate::layout::LayoutSourceError;
use crate::limits::{DOCUMENTS_MAX, DOCUMENTS_MAX_BYTES, JOBS};
use crate::place::{Document, PlaceError, Source, Target, Transferred};
use crate::stop::Stop;
use crate::store::StorePlaceError;

use plan::Plan;
pub use select::{platform_of_manifest, platforms_of_root};
use watched::Watched;

/// What of an image is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All of it: every platform, with what is said of each.
    All,
    /// The image for a platform alone, without the index; an image that is for no other is taken as it is.
    System(Platform),
    /// The image for a platform alone, without the index.
    One(Platform),
    /// An index of the images for these platforms, with what is said of each.
    Platforms(Vec<Platform>),
    /// The index alone, without what it names, which has to be there already.
    IndexOnly,
}

/// Whose media types the copy has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Convert {
    /// Those that there are.
    #[default]
    Keep,
    /// Those of a flavour.
    To(Flavour),
}

/// How an image is copied.
pub struct CopyOptions<'a> {
    /// What of it.
    pub selection: Selection,
    /// Whether what refers to it is copied too (distribution-spec, "Listing Referrers").
    pub referrers: Referrers,
    /// How many blobs are copied at the same time.
    pub jobs: usize,
    /// Whose media types the copy has.
    pub convert: Convert,
    /// Who is told what happens.
    pub progress: &'a dyn CopyProgress,
    /// Ends the copy.
    pub stop: Stop,
}

impl<'a> CopyOptions<'a> {
    /// Returns how an image is copied unless something else is asked for: as it is, without what refers to it.
    pub fn new(selection: Selection, progress: &'a dyn CopyProgress, stop: Stop) -> Self {
        Self {
            selection,
            referrers: Referrers::default(),
            jobs: JOBS,
            convert: Convert::default(),
            progress,
            stop,
        }
    }
}

impl std::fmt::Debug for CopyOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopyOptions")
            .field("selection", &self.selection)
            .field("referrers", &self.referrers)
            .field("jobs", &self.jobs)
            .field("convert", &self.convert)
            .finish_non_exhaustive()
    }
}

/// Whether what refers to an image goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Referrers {
    /// It stays.
    #[default]
    Left,
    /// It is copied too.
    Copied,
}

/// Who is told what happens; several threads tell it at once.
pub trait CopyProgress: Sync {
    /// A blob is looked for at the target, and copied if it is not there.
    fn started(&self, blob: &Descriptor);

    /// A blob is at the target.
    fn finished(&self, blob: &Descriptor, how: Transferred);

    /// A layer that registries do not hand out was passed over.
    fn passed_over(&self, blob: &Descriptor);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl CopyProgress for Silent {
    fn started(&self, _blob: &Descriptor) {}

    fn finished(&self, _blob: &Descriptor, _how: Transferred) {}

    fn passed_over(&self, _blob: &Descriptor) {}
}

/// What was copied.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyReport {
    /// What the source's name leads to.
    pub named: Descriptor,
    /// The manifest or the index that has the name at the target now: that, or what was selected of it.
    pub root: Descriptor,
    /// How many blobs were there.
    pub present: usize,
    /// How many blobs the target took from another repository of its own.
    pub mounted: usize,
    /// How many blobs were copied.
    pub copied: usize,
    /// How many layers that registries do not hand out were passed over.
    pub passed_over: usize,
    /// The bytes of the blobs that were copied.
    pub copied_bytes: u64,
    /// What the other flavour has no place for and the copy is without.
    pub left_out: LeftOut,
}

/// What Docker's media types have no place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeftOut {
    /// How many attestations.
    pub attestations: usize,
    /// How many documents had annotations.
    pub annotations: usize,
}

/// An image cannot be copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source has no such image, or cannot give it.
    #[error("cannot read `{shown}`")]
    Read {
        /// The source.
        shown: String,
        /// Why.
        source: PlaceError,
    },
    /// The target cannot take it.
    #[error("cannot write `{shown}`")]
    Write {
        /// The target.
        shown: String,
        /// Why.
        source: PlaceError,
    },
    /// A blob cannot be copied.
    #[error("cannot copy `{digest}` from `{from}` to `{to}`")]
    Blob {
        /// The blob.
        digest: String,
        /// The source.
        from: String,
        /// The target.
        to: String,
        /// Why.
        source: PlaceError,
    },
    /// A manifest or an index is malformed.
    #[error("`{digest}` of `{shown}` is malformed")]
    Document {
        /// The source.
        shown: String,
        /// The document.
        digest: String,
        /// What is wrong with it.
        source: DocumentError,
    },
    /// A document is not as long as its descriptor says.
    #[error(
        "`{digest}` of `{shown}` has {found_bytes} bytes, and its descriptor says {expected_bytes}"
    )]
    Size {
        /// The source.
        shown: String,
        /// The document.
        digest: String,
        /// What the descriptor says.
        expected_bytes: u64,
        /// What was found.
        found_bytes: u64,
    },
    /// A configuration is malformed.
    #[error("the configuration `{digest}` of `{shown}` is malformed")]
    Config {
        /// The source.
        shown: String,
        /// The configuration.
        digest: String,
        /// What is wrong with it.
        source: ConfigError,
    },
    /// A configuration cannot be read.
    #[error("cannot read the configuration `{digest}` of `{shown}`")]
    ReadConfig {
        /// The source.
        shown: String,
        /// The configuration.
        digest: String,
        /// Why.
        source: io::Error,
    },
    /// A digest cannot be verified.
    #[error("a digest in `{shown}` is malformed")]
    Digest {
        /// The source.
        shown: String,
        /// What is wrong with it.
        source: DigestError,
    },
    /// A manifest of Docker's first schema.
    #[error("`{shown}` is an image of Docker's manifest schema 1, which is not supported")]
    Schema1 {
        /// The source.
        shown: String,
    },
    /// The image is there, for other platforms.
    #[error("`{shown}` has no image for {platform}")]
    NoPlatform {
        /// The source.
        shown: String,
        /// The platform that was asked for.
        platform: Box<Platform>,
        /// Those that there are.
        available: Vec<Platform>,
    },
    /// The configuration is for another platform than the index says.
    #[error(
        "`{shown}` has an image for {} in its index, whose configuration says {}",
        expected.format_all(),
        found.format_all()
    )]
    WrongPlatform {
        /// The source.
        shown: String,
        /// What the index says.
        expected: Box<Platform>,
        /// What the configuration says.
        found: Box<Platform>,
    },
    /// One image where an index has to be.
    #[error("`{shown}` is one image and no index")]
    NoIndex {
        /// The source.
        shown: String,
    },
    /// Indexes in indexes, too deep.
    #[error(
        "the indexes of `{shown}` are more than {} deep",
        oci::limits::INDEX_MAX_DEPTH
    )]
    TooDeep {
        /// The source.
        shown: String,
    },
    /// More documents than anybody needs.
    #[error(
        "`{shown}` has more than {DOCUMENTS_MAX} manifests, or {DOCUMENTS_MAX_BYTES} bytes of them"
    )]
    TooLarge {
        /// The source.
        shown: String,
    },
    /// Something that is no image has no form in the other flavour.
    #[error("`{digest}` of `{shown}` is no image, and Docker's media types have no form for it")]
    NotConvertible {
        /// The source.
        shown: String,
        /// The manifest.
        digest: String,
    },
    /// The user, or somebody for them, wants no more.
    #[error("the copy was ended")]
    Stopped,
}

/// Copies an image, or what is selected of it.
///
/// # Errors
///
/// Fails when the source cannot give it, the target cannot take it, there is nothing of what is selected, or it is
/// stopped. Blobs that were copied stay at the target then, and are found there the next time; no name leads to
/// them.
pub fn copy(
    source: &dyn Source,
    target: &dyn Target,
    options: &CopyOptions<'_>,
) -> Result<CopyReport, CopyError> {
    let plan = plan::make(source, options)?;
    carry_out(&plan, (source, target), options)
}

fn carry_out(
    plan: &Plan,
    (source, target): (&dyn Source, &dyn Target),
    options: &CopyOptions<'_>,
) -> Result<CopyReport, CopyError> {
    let jobs = if target.is_sequential() {
        1
    } else {
        options.jobs
    };
    let watched = Watched {
        source,
        stop: options.stop.clone(),
        promised: &plan.promised,
    };
    let copier = Copier {
        source: &watched,
        target,
        options,
    };
    if copier.is_all_there(plan) {
        return Ok(report(plan, &copier.leave(plan)));
    }
    let copied = parallel::map(&plan.blobs, jobs, |blob| copier.blob(blob))?;
    for level in &plan.levels {
        parallel::map(level, jobs, |document| copier.document(document))?;
    }
    copier.check_stopped()?;
    let finished = target.finish(&plan.root);
    finished.map_err(|source| copier.write_failed(source))?;
    Ok(report(plan, &copied))
}

/// Adds up what happened to the blobs.
fn report(plan: &Plan, copied: &[Option<Transferred>]) -> CopyReport {
    let count = |how| copied.iter().filter(|one| **one == how).count();
    let bytes = plan.blobs.iter().zip(copied);
    CopyReport {
        named: plan.named.clone(),
        root: plan.root.descriptor.clone(),
        present: count(Some(Transferred::Present)),
        mounted: count(Some(Transferred::Mounted)),
        copied: count(Some(Transferred::Copied)),
        passed_over: count(None),
        copied_bytes: bytes
            .filter(|(_, how)| **how == Some(Transferred::Copied))
            .fold(0, |sum: u64, (blob, _)| sum.saturating_add(blob.size())),
        left_out: plan.left_out,
    }
}

struct Copier<'a> {
    source: &'a Watched<'a>,
    target: &'a dyn Target,
    options: &'a CopyOptions<'a>,
}

impl Copier<'_> {
    fn check_stopped(&self) -> Result<(), CopyError> {
        if self.options.stop.is_stopped() {
            return Err(CopyError::Stopped);
        }
        Ok(())
    }

    fn write_failed(&self, source: PlaceError) -> CopyError {
        if self.options.stop.is_stopped() {
            return CopyError::Stopped;
        }
        CopyError::Write {
            shown: self.target.shown(),
            source,
        }
    }

    /// Sees to it that a blob is at the target; nothing comes of one that was passed over.
    fn blob(&self, blob: &Descriptor) -> Result<Option<Transferred>, CopyError> {
        self.check_stopped()?;
        let is_restricted = is_restricted(blob);
        if self.is_passed_over(blob) {
            return Ok(self.pass_over(blob));
        }
        self.options.progress.started(blob);
        match self.target.put_blob(blob, self.source) {
            Ok(how) => {
                self.options.progress.finished(blob, how);
                Ok(Some(how))
            }
            Err(error) if is_restricted && is_absent(error.as_ref()) => Ok(self.pass_over(blob)),
            Err(_) if self.options.stop.is_stopped() => Err(CopyError::Stopped),
            Err(source) => Err(CopyError::Blob {
                digest: blob.digest().to_string(),
                from: self.source.shown(),
                to: self.target.shown(),
                source,
            }),
        }
    }

    /// Tells whether a layer is passed over without a look: a registry has it not, or takes it not.
    fn is_passed_over(&self, blob: &Descriptor) -> bool {
        let from_registry = self.source.repository().is_some();
        is_restricted(blob) && (from_registry || !self.target.takes_restricted_layers())
    }

    fn pass_over(&self, blob: &Descriptor) -> Option<Transferred> {
        self.options.progress.passed_over(blob);
        None
    }

    fn document(&self, document: &Document) -> Result<(), CopyError> {
        self.check_stopped()?;
        let put = self.target.put_document(document);
        put.map_err(|source| self.write_failed(source))
    }
}

/// Tells whether registries do not hand a layer out: it is somewhere else, or the source has it all the same.
fn is_restricted(blob: &Descriptor) -> bool {
    match MediaType::parse(blob.media_type().as_ref()) {
        MediaType::Layer(layer) => layer.distribution == Distribution::Restricted,
        _ => false,
    }
}

/// Tells whether a place of this machine does not have a blob.
fn is_absent(error: &(dyn Error + 'static)) -> bool {
    let blob = if let Some(StorePlaceError::Blob(blob)) = error.downcast_ref() {
        blob
    } else if let Some(LayoutSourceError::Blob(blob)) = error.downcast_ref() {
        blob
    } else if let Some(ArchiveSourceError::Blob(blob)) = error.downcast_ref() {
        blob
    } else {
        let of_directory = error.downcast_ref();
        return matches!(of_directory, Some(DirectoryError::Absent { .. }));
    };
    matches!(blob, BlobError::Absent { .. })
}
