//! Why change sets cannot be made directories.

use std::io;

use layer::{ApplyError, ChecksumError, MergeError, PlaceError, ReplicaError, SettleError};
use oci::DiffId;
use rootfs::FsError;
use runtime::OverlayError;
use store::{BlobError, ClaimError, NameError, RecordError, SnapshotError, SnapshotId};

use crate::base::BaseError;
use crate::import::ImportError;
use crate::owners::OwnersError;
use crate::pack::PackLayerError;

/// Why a layer could not be made a directory.
#[derive(Debug, thiserror::Error)]
pub enum RealiseError {
    /// The job was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The files of layers are not for this process.
    #[error("the files of layers are out of reach")]
    OutOfReach,
    /// A layer of a cache is of no use.
    #[error("cannot unpack a layer of a cache")]
    Import(#[source] ImportError),
    /// The base cannot be read.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// A layer of a base cannot be unpacked.
    #[error("cannot unpack the layer `{layer}`")]
    Unpack {
        /// The diff id, or the name of the layer.
        layer: String,
        /// Why.
        source: ApplyError,
    },
    /// A copy cannot be compared with an earlier one.
    #[error("cannot compare a copy with what an earlier one left")]
    Compare(#[from] ChecksumError),
    /// A layer of a base cannot be read.
    #[error("cannot read the layer `{layer}`")]
    Read {
        /// The diff id, or the name of the layer.
        layer: String,
        /// Why.
        source: io::Error,
    },
    /// What a layer says about those below it cannot be carried out.
    #[error("cannot put the layer `{layer}` onto those below it")]
    Settle {
        /// The diff id.
        layer: String,
        /// Why.
        source: SettleError,
    },
    /// The tar of a layer is not the one that the configuration names.
    #[error("the layer `{expected}` is damaged: it unpacks to `{found}`")]
    WrongDiffId {
        /// What the configuration says.
        expected: DiffId,
        /// What was found.
        found: DiffId,
    },
    /// A layer hides everything below it, which overlayfs cannot express at the top.
    #[error("the layer `{layer}` hides all layers below it, which is not supported yet")]
    OpaqueTop {
        /// The diff id.
        layer: DiffId,
    },
    /// The files of a copy cannot be placed.
    #[error("cannot copy the files of the layer `{layer}`")]
    Place {
        /// The layer.
        layer: SnapshotId,
        /// Why.
        source: PlaceError,
    },
    /// Layers cannot be merged.
    #[error("cannot merge layers as `{layer}`")]
    Merge {
        /// What they become.
        layer: SnapshotId,
        /// Why.
        source: MergeError,
    },
    /// Layers cannot be seen as one file system, where nothing can be mounted.
    #[error("cannot put the layers together")]
    Flatten(#[from] MergeError),
    /// Layers cannot be copied, where nothing can be mounted.
    #[error("cannot put the layers together")]
    Lay(#[from] ReplicaError),
    /// The blob of a layer of ours cannot be read.
    #[error("cannot read the layer `{layer}`")]
    Blob {
        /// The layer.
        layer: SnapshotId,
        /// Why.
        source: BlobError,
    },
    /// A layer is neither there as a directory nor packed.
    #[error("the layer `{layer}` is gone from the store")]
    Gone {
        /// The layer.
        layer: SnapshotId,
    },
    /// The layers cannot be seen as one file system.
    #[error("cannot put the layers together")]
    Overlay(#[from] OverlayError),
    /// A directory cannot be read or written.
    #[error("cannot read or write a layer")]
    Fs(#[from] FsError),
    /// The store failed.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The store failed.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// A name of ours is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The store failed.
    #[error(transparent)]
    Owners(#[from] OwnersError),
    /// The store failed.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The store failed.
    #[error(transparent)]
    Packed(#[from] Box<PackLayerError>),
}
