//! Why a job ends without a result.

use fetch::nearest_cause;
use graph::VertexId;
use oci::VerifyError;
use rootfs::{FsError, IdError, UserError};
use runtime::{ExecError, OverlayError};
use store::{
    BlobError, ClaimError, KeptError, LaterError, LeaseError, NameError, RecordError, SnapshotError,
};

use crate::base::BaseError;
use crate::context::ContextError;
use crate::emulation::EmulationError;
use crate::host_files::HostFilesError;
use crate::import::ImportError;
use crate::ops::copy::CopyError;
use crate::ops::exec::{CommandFailure, MountError};
use crate::pack::PackLayerError;
use crate::realise::{LookupError, RealiseError};
use crate::remote::RemoteError;

/// Why a job ends without a result.
#[derive(Debug, thiserror::Error)]
pub enum SolveError {
    /// A step failed.
    #[error("step {} of the graph failed", vertex.index())]
    Step {
        /// Its vertex.
        vertex: VertexId,
        /// What went wrong.
        #[source]
        error: Box<StepError>,
    },
    /// The store could not keep what the steps made.
    #[error("cannot keep what was built")]
    Keep(#[source] LaterError),
    /// Something is not known yet, and cannot be made in this process ([`Reach::Known`](crate::Reach)).
    #[error("not everything is known yet")]
    OutOfReach,
    /// Nothing is under way, and yet something is unfinished: our fault.
    #[error(
        "the scheduler has nothing to wait for but {} vertices are unfinished: {}",
        states.len(),
        states.join(", ")
    )]
    Stalled {
        /// The vertices and their phases.
        states: Vec<String>,
    },
    /// A target is no file system: our fault.
    #[error("the vertex {} has no file system", vertex.index())]
    NoResult {
        /// The target.
        vertex: VertexId,
    },
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The job was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The command ran and did not succeed.
    #[error(transparent)]
    Command(#[from] CommandFailure),
    /// The command could not be run.
    #[error("cannot run the command")]
    Exec(#[from] ExecError),
    /// The root file system could not be put together.
    #[error("cannot put the root file system together")]
    Overlay(#[from] OverlayError),
    /// The root file system could not be mounted.
    #[error("cannot mount the root file system")]
    Bind(#[source] runtime::CallError),
    /// An image is tried with file systems that are mounted.
    #[error("cannot run a command on an image: nothing can be mounted on this machine")]
    NothingMounts,
    /// What a command changed in place could not be told.
    #[error("cannot keep what the command changed")]
    InPlace(#[source] layer::BaselineError),
    /// There is no way to run the platform's programs.
    #[error(transparent)]
    Emulation(#[from] EmulationError),
    /// The user of the step is not known.
    #[error(transparent)]
    User(#[from] UserError),
    /// The range of ids does not reach one that the command's user has, or that one of the image's users has.
    #[error("a user of the image has no id here")]
    Ids(#[source] IdError),
    /// What the command is to see cannot be mounted.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// Files could not be copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// A directory of the user's cannot be used.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// What a server has could not be fetched.
    #[error(transparent)]
    Remote(Box<RemoteError>),
    /// A base image cannot be used.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// A layer could not be made a directory.
    #[error(transparent)]
    Realise(#[from] RealiseError),
    /// Something could not be looked up in the layers.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// A layer could not be packed.
    #[error(transparent)]
    Pack(#[from] PackLayerError),
    /// The files of the machine that commands see could not be prepared.
    #[error(transparent)]
    HostFiles(#[from] HostFilesError),
    /// A file could not be read or written.
    #[error("cannot prepare the step")]
    Fs(#[from] FsError),
    /// The store could not keep a snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The store could not keep what was made.
    #[error(transparent)]
    Later(#[from] LaterError),
    /// The store could not keep a record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The store could not keep a lease.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The store could not lock something.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// No more descriptors can be had.
    #[error("cannot keep the root file system open")]
    Descriptor(#[source] std::io::Error),
    /// The store could not keep what a command that failed left.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// A name of ours is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No thread can be had for the step.
    #[error("cannot start a thread for the step")]
    Thread(#[source] std::io::Error),
    /// The step ended with a panic: our fault.
    #[error("the step ended with a panic")]
    Panicked,
    /// The scheduler began a step without what it needs: our fault.
    #[error("the step was begun without its input {index}")]
    MissingInput {
        /// Which input.
        index: usize,
    },
}

impl From<RemoteError> for StepError {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Cancelled => Self::Cancelled,
            error => Self::Remote(Box::new(error)),
        }
    }
}

impl StepError {
    /// Returns the error in one line, as displays show it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Command(failure) => failure.in_buildkits_words(),
            other => other.to_string(),
        }
    }

    /// Tells whether a blob, of the store or of a cache, may not have been what its digest says: who begins the job once
    /// more does without it.
    pub(crate) fn is_of_blob(&self) -> bool {
        ImportError::behind(self).is_some()
            || nearest_cause::<BlobError>(self).is_some()
            || nearest_cause::<VerifyError>(self).is_some()
    }
}
