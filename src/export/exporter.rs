//! What every exporter does, and which there are.

use std::path::{Path, PathBuf};

use oci::assemble::AssembleError;
use oci::check::CheckError;
use oci::descriptor::Descriptor;
use oci::digest::DigestError;
use oci::{Digest, Platform, Reference};
use rootfs::RootPath;
use solver::base::BaseError;
use solver::event::{Event, Origin, StepId};
use solver::pack::PackLayerError;
use solver::realise::RealiseError;
use solver::{BuildResult, ImportError, SquashError, Workshop};
use store::{BlobError, ForeignError, RecordError, TagError};
use transport::{CopyError, PlaceError};

use crate::docker::DockerExporter;
use crate::local::LocalExporter;
use crate::oci::OciExporter;
use crate::output::{OutputError, OutputSpec};
use crate::publish::ImageExporter;
use crate::tar::TarExporter;

/// Writes a finished build somewhere.
pub trait Exporter {
    /// Returns what the step is called, in BuildKit's words.
    fn name(&self) -> &'static str;

    /// Writes `result` and returns what was written.
    ///
    /// # Errors
    ///
    /// Fails when the target cannot be written or the store lost a blob. Of a file nothing half-written is
    /// left at the target, nor is there a directory that was not there before.
    fn export(&self, result: &BuildResult, step: &ExportStep<'_>) -> Result<Exported, ExportError>;
}

/// What an exporter works with.
#[derive(Debug)]
pub struct ExportStep<'a> {
    /// The store and all else.
    pub workshop: &'a Workshop,
    /// Its identity in events.
    pub id: StepId,
}

impl ExportStep<'_> {
    /// Tells the display that the export moved on.
    pub(crate) fn tell(&self, what: String, done: bool) {
        self.workshop.events.progress(&self.id, what, done);
    }

    /// Ends an export that is to go no further.
    pub(crate) fn check_cancelled(&self) -> Result<(), ExportError> {
        if self.workshop.cancel.is_cancelled() {
            return Err(ExportError::Cancelled);
        }
        Ok(())
    }
}

/// What was written.
#[derive(Debug, Clone)]
pub struct Exported {
    /// The image; none where files were written.
    pub image: Option<ExportedImage>,
    /// Whether it was there already, unchanged.
    pub unchanged: bool,
}

/// An image that was written.
#[derive(Debug, Clone)]
pub struct ExportedImage {
    /// The descriptor of the index, or of the manifest of a single platform.
    pub top: Descriptor,
    /// The digest of the configuration, where there is one platform and no index.
    pub config: Option<Digest>,
    /// Its names.
    pub names: Vec<Reference>,
}

impl ExportedImage {
    /// Returns what an image is known by: its configuration, or the index of several.
    pub fn id(&self) -> String {
        let config = self.config.as_ref().map(Digest::to_string);
        config.unwrap_or_else(|| self.top.digest().to_string())
    }
}

/// Why a result cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The result does not fit the output.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A layer cannot be packed.
    #[error(transparent)]
    Pack(#[from] PackLayerError),
    /// Layers cannot become one.
    #[error(transparent)]
    Squash(#[from] SquashError),
    /// The layers cannot be put together.
    #[error(transparent)]
    Realise(#[from] RealiseError),
    /// The image cannot be put together.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// The image that was put together breaks a rule of its format: our fault.
    #[error("the image that was put together is not valid")]
    Invalid(#[from] CheckError),
    /// The files of the result cannot be read.
    #[error("cannot read the files of the result")]
    Read(#[from] layer::DiffError),
    /// Two platforms have something at the same path.
    #[error(
        "`{one}` and `{other}` both have `{}`, and `platform-split=false` puts them into one tree",
        path.absolute()
    )]
    Collision {
        /// The path.
        path: RootPath,
        /// A platform.
        one: Platform,
        /// The platform after it.
        other: Platform,
    },
    /// The archive or directory cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The archive or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The archive cannot be written.
    #[error("cannot write `{}`", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: layer::WriteError,
    },
    /// A file of the layout cannot be read or written.
    #[error("cannot write `{}`", path.display())]
    Fs {
        /// The directory, or what is in it.
        path: PathBuf,
        /// Why.
        source: rootfs::FsError,
    },
    /// The bytes of a file are not those that are meant, or cannot be copied.
    #[error("cannot write `{}`", path.display())]
    Copy {
        /// The file.
        path: PathBuf,
        /// Why.
        source: layer::FillError,
    },
    /// A directory of the user's is where the result has something else.
    #[error("cannot write `{}`: a directory is in the way", path.display())]
    InTheWay {
        /// The path.
        path: PathBuf,
    },
    /// The image layout that is there cannot be read.
    #[error("cannot add to the image layout `{}`", path.display())]
    Layout {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The layout that a base's layer is in cannot be opened.
    #[error("cannot read the image layout `{}`", path.display())]
    Source {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: ForeignError,
    },
    /// A layer's blob cannot be read.
    #[error("cannot read the layer `{digest}`")]
    Blob {
        /// The blob.
        digest: Digest,
        /// Why.
        source: BlobError,
    },
    /// A layer in the store was damaged, and is not there any more: a build makes it again.
    #[error("the layer `{digest}` in the store is damaged")]
    Damaged {
        /// The blob.
        digest: Digest,
        /// What could not be written because of that.
        source: Box<Self>,
    },
    /// The store cannot keep the image.
    #[error("cannot keep the image in the store")]
    Keep(#[source] Box<CopyError>),
    /// The image cannot be named.
    #[error("cannot keep the image in the store")]
    Tag(#[from] TagError),
    /// A registry does not take the image.
    #[error("cannot push to `{repository}`")]
    Push {
        /// The repository.
        repository: String,
        /// Why.
        source: PlaceError,
    },
    /// The images cannot be added to an index.
    #[error("cannot add to an index in `{shown}`")]
    Add {
        /// Where the index is.
        shown: String,
        /// Why.
        source: PlaceError,
    },
    /// A layer of a base cannot be fetched.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// A layer of a cache cannot be fetched.
    #[error("cannot fetch a layer of a cache")]
    Import(#[source] ImportError),
    /// A digest of ours is malformed: our fault.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// What was written cannot be recorded.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The build was cancelled.
    #[error("cancelled")]
    Cancelled,
}

/// Returns the exporter of an output; none for one that writes nothing.
fn exporter_for(spec: &OutputSpec) -> Option<Box<dyn Exporter + '_>> {
    match spec {
        OutputSpec::Oci {
            destination,
            form,
            image,
        } => Some(Box::new(OciExporter {
            destination,
            form: *form,
            image,
        })),
        OutputSpec::Docker { destination, image } => {
            Some(Box::new(DockerExporter { destination, image }))
        }
        OutputSpec::Image { publication, image } => {
            Some(Box::new(ImageExporter { publication, image }))
        }
        OutputSpec::Local {
            directory,
            mode,
            tree,
        } => Some(Box::new(LocalExporter {
            directory,
            mode: *mode,
            tree,
        })),
        OutputSpec::Tar { destination, tree } => Some(Box::new(TarExporter { destination, tree })),
        OutputSpec::CacheOnly => None,
    }
}

/// Writes a result to each of some outputs, one after the other, and returns what was written.
///
/// # Errors
///
/// Fails with the first output that cannot be written; those before it are written then.
pub fn export_all(
    outputs: &[OutputSpec],
    result: &BuildResult,
    workshop: &Workshop,
) -> Result<Vec<Exported>, ExportError> {
    let platforms: Vec<_> = result
        .platforms
        .iter()
        .map(|result| result.platform.clone())
        .collect();
    let mut all = Vec::new();
    for (number, spec) in outputs.iter().enumerate() {
        spec.check(&platforms)?;
        let id = StepId(format!("export-{number}"));
        all.extend(export_as(id, spec, result, workshop)?);
    }
    Ok(all)
}

/// Writes a result to an output, as a step of that identity; returns what was written, if that is anything.
///
/// # Errors
///
/// Fails when it cannot be written.
pub fn export_as(
    id: StepId,
    output: &OutputSpec,
    result: &BuildResult,
    workshop: &Workshop,
) -> Result<Option<Exported>, ExportError> {
    let Some(exporter) = exporter_for(output) else {
        return Ok(None);
    };
    let step = ExportStep { workshop, id };
    export(exporter.as_ref(), result, &step).map(Some)
}

fn export(
    exporter: &dyn Exporter,
    result: &BuildResult,
    step: &ExportStep<'_>,
) -> Result<Exported, ExportError> {
    let (id, name) = (step.id.clone(), exporter.name().to_owned());
    step.workshop.events.emit(Event::Started {
        step: id.clone(),
        name: name.clone(),
    });
    let exported = exporter.export(result, step)?;
    let origin = if exported.unchanged {
        Origin::Cached
    } else {
        Origin::Made
    };
    step.workshop.events.emit(Event::Finished {
        step: id,
        name,
        origin,
    });
    Ok(exported)
}

/// Says that something could not be written.
pub(crate) fn write_error(path: &Path, source: std::io::Error) -> ExportError {
    ExportError::Write {
        path: path.to_owned(),
        source,
    }
}

/// Says that something could not be written, in the words of the call that failed.
pub(crate) fn fs_error(path: &Path, source: rootfs::FsError) -> ExportError {
    ExportError::Fs {
        path: path.to_owned(),
        source,
    }
}
