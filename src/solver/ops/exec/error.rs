//! Why what a command is to see cannot be mounted.

use std::path::PathBuf;

use rootfs::{FsError, IdError, PathError};
use runtime::{CallError, OverlayError, SubtreeError};
use store::CacheError;

/// Why what a command is to see cannot be mounted.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// There is no such path in what is mounted from.
    #[error("mount source not found: `{path}`")]
    SourceNotFound {
        /// The path.
        path: String,
        /// What it was looked for in.
        place: String,
        /// A path there with a similar name.
        similar: Option<String>,
    },
    /// The path is there, and an ignore pattern hides it.
    #[error("mount source is left out by the ignore file: `{path}`")]
    Ignored {
        /// The path.
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
    /// The step needs a secret that was not given.
    #[error("the secret `{id}` was not given")]
    NoSecret {
        /// Its id.
        id: String,
    },
    /// The step needs an SSH agent that was not given.
    #[error("the SSH agent `{id}` was not given")]
    NoAgent {
        /// Its id.
        id: String,
    },
    /// The step gives a mount to an id that the sandbox does not have.
    #[error("cannot give the mount at `{target}` to the id {id}")]
    Owner {
        /// The mount.
        target: String,
        /// The id.
        id: u32,
        /// Why.
        source: IdError,
    },
    /// A cache cannot be made or opened.
    #[error("cannot use the cache `{id}`")]
    Cache {
        /// Its id.
        id: String,
        /// Why.
        source: CacheError,
    },
    /// The owners of what a cache has cannot be found.
    #[error("cannot keep the owners of the cache `{id}`")]
    CacheOwners {
        /// Its id.
        id: String,
        /// Why.
        source: FsError,
    },
    /// What a new cache begins with cannot be copied.
    #[error("cannot fill the cache `{id}`")]
    Seed {
        /// Its id.
        id: String,
        /// Why.
        source: layer::PlaceError,
    },
    /// A file or directory of the machine cannot be mounted.
    #[error("cannot mount `{}`", path.display())]
    Volume {
        /// Its path on the machine.
        path: PathBuf,
        /// Why.
        source: FsError,
    },
    /// What is written to a directory of the machine cannot go elsewhere.
    #[error(
        "cannot discard what is written to `{}`: the file system of the store holds no overlay; `--store DIR` or \
         `CAREEN_STORE` names a directory on another one",
        path.display()
    )]
    NoOverlay {
        /// Its path on the machine.
        path: PathBuf,
    },
    /// The files cannot be put together.
    #[error("cannot prepare the mount at `{target}`")]
    Overlay {
        /// The mount.
        target: String,
        /// Why.
        source: OverlayError,
    },
    /// A part of them cannot be mounted.
    #[error("cannot prepare the mount at `{target}`")]
    Subtree {
        /// The mount.
        target: String,
        /// Why.
        source: SubtreeError,
    },
    /// The kernel refused a call.
    #[error("cannot prepare the mount at `{target}`")]
    Call {
        /// The mount.
        target: String,
        /// Why.
        source: CallError,
    },
    /// A socket cannot be served.
    #[error("cannot serve the socket at `{target}`")]
    Socket {
        /// The mount.
        target: String,
        /// Why.
        source: std::io::Error,
    },
    /// What is mounted elsewhere cannot be copied into its place.
    #[error("cannot prepare the mount at `{target}`")]
    Copy {
        /// The mount.
        target: String,
        /// Why.
        source: layer::ReplicaError,
    },
    /// It cannot be had where nothing can be mounted.
    #[error("cannot give the command {what} at `{target}`: nothing can be mounted on this machine")]
    NothingMounts {
        /// What it is.
        what: &'static str,
        /// Where it was to be.
        target: String,
    },
    /// A file cannot be read or written.
    #[error("cannot prepare the mount at `{target}`")]
    File {
        /// The mount.
        target: String,
        /// Why.
        source: FsError,
    },
}
