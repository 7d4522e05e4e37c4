//! What every exporter does, and which there are.

use std::path::PathBuf;

use oci::Digest;
use oci::assemble::AssembleError;
use oci::check::CheckError;
use oci::descriptor::Descriptor;
use solver::event::StepId;
use solver::pack::PackLayerError;
use solver::{BuildResult, Workshop};
use store::{BlobError, ForeignError, RecordError};

use crate::oci::OciExporter;
use crate::output::{OutputKind, OutputSpec};

/// Writes a finished build somewhere.
pub trait Exporter {
    /// Returns the name used in `--output type=…`.
    fn kind(&self) -> &'static str;

    /// Writes `result` and returns what was written.
    ///
    /// # Errors
    ///
    /// Fails when the target cannot be written or the store lost a blob. Nothing half-written is left
    /// at the target.
    fn export(&self, result: &BuildResult, workshop: &Workshop) -> Result<Exported, ExportError>;
}

/// What was written.
#[derive(Debug, Clone)]
pub struct Exported {
    /// The descriptor of the index, or of the manifest of a single platform.
    pub top: Descriptor,
    /// Whether it was there already, unchanged.
    pub unchanged: bool,
}

/// Why a result cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A layer cannot be packed.
    #[error(transparent)]
    Pack(#[from] PackLayerError),
    /// The image cannot be put together.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// The image that was put together breaks a rule of its format: our fault.
    #[error("the image that was put together is not valid")]
    Invalid(#[from] CheckError),
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
        /// The directory.
        path: PathBuf,
        /// Why.
        source: rootfs::FsError,
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
    /// What was written cannot be recorded.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The build was cancelled.
    #[error("cancelled")]
    Cancelled,
}

/// Returns the exporter of an output; none for one that writes nothing.
pub fn exporter_for(spec: &OutputSpec, names: Vec<::oci::Reference>) -> Option<Box<dyn Exporter>> {
    match spec.kind {
        OutputKind::Oci => Some(Box::new(OciExporter::new(spec.clone(), names))),
        OutputKind::CacheOnly => None,
    }
}

/// Returns the identity of the export in events.
pub(crate) fn step_id() -> StepId {
    StepId("export".to_owned())
}
