//! Why something could not be fetched.

use fetch::{ClientError, FetchError, UrlError};
use oci::Digest;
use rootfs::FsError;
use store::{
    BlobError, ClaimError, IngestError, LeaseError, NameError, RecordError, RepositoryError,
    SnapshotError,
};
use vendor_shim::git::GitError;
use vendor_shim::program::ProgramNotFound;

/// Why something could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The job was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The URL is none.
    #[error("cannot use the URL `{url}`")]
    Url {
        /// The URL, without its password.
        url: String,
        /// Why.
        source: UrlError,
    },
    /// Nothing can be fetched at all.
    #[error("prepare to fetch files")]
    Client(#[from] ClientError),
    /// The file could not be fetched.
    #[error(transparent)]
    Fetch(FetchError),
    /// The file is another one.
    #[error("the file at `{url}` has the digest `{found}`, not `{expected}`")]
    Checksum {
        /// The URL.
        url: String,
        /// The digest that was asked for.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// There is no git.
    #[error("git is needed to fetch `{remote}`")]
    NoGit {
        /// The repository.
        remote: String,
        /// Where it was looked for.
        source: ProgramNotFound,
    },
    /// Git failed.
    #[error(transparent)]
    Git(GitError),
    /// The repository has no such branch or tag.
    #[error("the repository `{remote}` has no branch or tag `{reference}`")]
    NoReference {
        /// The repository.
        remote: String,
        /// The name.
        reference: String,
    },
    /// The repository does not say which branch is meant when none is named.
    #[error("the repository `{remote}` has no default branch")]
    NoHead {
        /// The repository.
        remote: String,
    },
    /// The repository does not have the commit.
    #[error("the repository `{remote}` has no commit `{commit}`")]
    NoCommit {
        /// The repository.
        remote: String,
        /// The commit.
        commit: String,
    },
    /// What is asked for by its commit needs the whole name of it.
    #[error("a commit is fetched by its whole name only, and `{checksum}` is not one")]
    NotACommit {
        /// What was given.
        checksum: String,
    },
    /// The name stands for another commit.
    #[error("`{reference}` of `{remote}` is the commit `{found}`, not `{expected}`")]
    WrongCommit {
        /// The repository.
        remote: String,
        /// The name.
        reference: String,
        /// The commit that was asked for, or the start of its name.
        expected: String,
        /// The commit that it is.
        found: String,
    },
    /// The directory that is meant is not there, or is none.
    #[error("the repository `{remote}` has no directory `{path}`")]
    NoDirectory {
        /// The repository.
        remote: String,
        /// The path as the user wrote it.
        path: String,
    },
    /// What was fetched could not be stored.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// What was fetched could not be read back.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The store could not keep a record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The store could not keep a lease.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The store could not lock something.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The store could not keep a snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The store has no place for a repository.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// A name of ours is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Files could not be read or written.
    #[error("put the files of the repository into place")]
    Files(#[from] FsError),
}

impl From<FetchError> for RemoteError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Cancelled => Self::Cancelled,
            error => Self::Fetch(error),
        }
    }
}

impl From<GitError> for RemoteError {
    fn from(error: GitError) -> Self {
        if error.is_cancelled() {
            Self::Cancelled
        } else {
            Self::Git(error)
        }
    }
}
