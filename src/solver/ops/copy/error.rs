//! Why files cannot be copied.

use graph::pattern::{BadPattern, PatternError};
use layer::{ApplyError, ChecksumError, DiffError};
use rootfs::{FsError, PathError, UserError};

use crate::owners::OwnersError;
use crate::realise::LookupError;

/// Why files cannot be copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The job was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// There is no such path in what is copied from.
    #[error("COPY source not found: `{path}`")]
    NotFound {
        /// The path as the Dockerfile has it.
        path: String,
        /// What it was looked for in.
        place: String,
        /// A path there with a similar name.
        similar: Option<String>,
    },
    /// The path is there, and an ignore pattern hides it.
    #[error("COPY source is left out by the ignore file: `{path}`")]
    Ignored {
        /// The path as the Dockerfile has it.
        path: String,
        /// What it was looked for in.
        place: String,
    },
    /// A path cannot be one below a root.
    #[error("cannot use the path `{path}`")]
    Path {
        /// The path.
        path: String,
        /// Why.
        source: PathError,
    },
    /// An exclude pattern is malformed.
    #[error("cannot use the pattern `{pattern}`")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Why.
        source: PatternError,
    },
    /// A wildcard is malformed.
    #[error("cannot use the wildcard `{pattern}`")]
    Wildcard {
        /// The wildcard.
        pattern: String,
        /// Why.
        source: BadPattern,
    },
    /// A file stands where a directory is needed.
    #[error("cannot copy a directory onto `/{path}`, which is not a directory")]
    NotADirectory {
        /// The path in the image.
        path: String,
    },
    /// A directory stands where a file is to be.
    #[error("cannot copy a file onto `/{path}`, which is a directory")]
    IsADirectory {
        /// The path in the image.
        path: String,
    },
    /// `--chown` names somebody whom the image does not know.
    #[error("cannot give the files to `{owner}`")]
    Owner {
        /// The owner as the Dockerfile has it.
        owner: String,
        /// Why.
        source: UserError,
    },
    /// `--chmod` is no mode.
    #[error("`{mode}` is no file mode")]
    Mode {
        /// The mode as the Dockerfile has it.
        mode: String,
    },
    /// A file that may be an archive cannot be read.
    #[error("cannot read the archive `{path}`")]
    Archive {
        /// The archive.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// An archive cannot be unpacked.
    #[error("cannot unpack the archive `{path}`")]
    Unpack {
        /// The archive.
        path: String,
        /// Why.
        source: ApplyError,
    },
    /// A hard link of an archive leads out of the archive.
    #[error("the archive `{path}` has a hard link to `{target}`, which it does not have")]
    ArchiveLink {
        /// The archive.
        path: String,
        /// What the link is to.
        target: String,
    },
    /// The owners of what an archive had cannot be kept.
    #[error(transparent)]
    Owners(OwnersError),
    /// A file could not be read.
    #[error("cannot read what is copied")]
    Read(#[from] FsError),
    /// The destination could not be looked at.
    #[error(transparent)]
    Destination(#[from] LookupError),
    /// An entry could not be read.
    #[error("cannot read what is copied")]
    Entry(#[from] DiffError),
    /// Files could not be digested.
    #[error("cannot digest what is copied")]
    Digest(#[from] ChecksumError),
}
