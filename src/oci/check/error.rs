//! What can be wrong with a document, and with an image made of documents.

use std::io;

use crate::config::ConfigError;
use crate::descriptor::SCHEMA_VERSION;
use crate::digest::{Digest, DigestError};
use crate::limits::{INDEX_MAX_DEPTH, LAYOUT_MAX_BYTES, MANIFEST_MAX_BYTES};
use crate::platform::Platform;

/// The kinds of documents, for messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DocumentKind {
    /// An image index, or Docker's manifest list.
    Index,
    /// An image manifest.
    Manifest,
    /// A lone descriptor.
    Descriptor,
    /// The `oci-layout` file.
    Layout,
}

impl DocumentKind {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Index => "image index",
            Self::Manifest => "image manifest",
            Self::Descriptor => "descriptor",
            Self::Layout => "image layout",
        }
    }

    /// Returns the most bytes that such a document may have.
    pub fn max_bytes(self) -> u64 {
        match self {
            Self::Index | Self::Manifest | Self::Descriptor => MANIFEST_MAX_BYTES,
            Self::Layout => LAYOUT_MAX_BYTES,
        }
    }
}

/// Why a document cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It is larger than the limit.
    #[error("{} has {found_bytes} bytes, more than {}", kind.as_str(), kind.max_bytes())]
    TooLarge {
        /// What was read.
        kind: DocumentKind,
        /// The size that was found.
        found_bytes: u64,
    },
    /// It is not the JSON of such a document.
    #[error("cannot read the {}", kind.as_str())]
    Json {
        /// What was read.
        kind: DocumentKind,
        /// What the JSON reader found, and where.
        #[source]
        source: serde_json::Error,
    },
    /// It is of Docker's schema 1, which nobody has written since 2017.
    #[error("{} is of Docker's schema 1, which is not supported", kind.as_str())]
    Schema1 {
        /// What was read.
        kind: DocumentKind,
    },
    /// It is of another version of the schema.
    #[error("{} has the schema version {found}, not {SCHEMA_VERSION}", kind.as_str())]
    SchemaVersion {
        /// What was read.
        kind: DocumentKind,
        /// The version that was found.
        found: u32,
    },
    /// It could be read as something else too, so that two programs could see two images in it.
    #[error("{} has the field `{field}`, which makes it ambiguous", kind.as_str())]
    Ambiguous {
        /// What was read.
        kind: DocumentKind,
        /// The field that should not be there.
        field: String,
    },
    /// It says of itself that it is something else.
    #[error("{} says that it is `{found}`", kind.as_str())]
    OtherKind {
        /// What was read.
        kind: DocumentKind,
        /// The media type that was found.
        found: String,
    },
    /// A media type is not one.
    #[error("{} has `{text}` for a media type", kind.as_str())]
    MediaType {
        /// What was read.
        kind: DocumentKind,
        /// The text that was found.
        text: String,
    },
    /// A size is larger than the formats allow.
    #[error("{} has the size {found_bytes}, more than 2^63-1", kind.as_str())]
    Size {
        /// What was read.
        kind: DocumentKind,
        /// The size that was found.
        found_bytes: u64,
    },
    /// An address is not a URI.
    #[error("{} has `{text}` for a URL", kind.as_str())]
    Url {
        /// What was read.
        kind: DocumentKind,
        /// The text that was found.
        text: String,
    },
    /// Embedded data is not base 64.
    #[error("{} has embedded data that is not base 64", kind.as_str())]
    Data {
        /// What was read.
        kind: DocumentKind,
    },
    /// The layout has a version that is not known.
    #[error("image layout has the version `{found}`, not 1.x")]
    LayoutVersion {
        /// The version that was found.
        found: String,
    },
}

/// Which invariant an image breaks.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A blob that is named is not there.
    #[error("blob `{digest}` is missing")]
    Missing {
        /// The blob.
        digest: Digest,
    },
    /// A blob cannot be read, or is not what its descriptor says (a [`crate::VerifyError`]).
    #[error("cannot read blob `{digest}`")]
    Read {
        /// The blob.
        digest: Digest,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A blob that has to be held in memory is too large for that.
    #[error("blob `{digest}` has {found_bytes} bytes, more than {limit_bytes}")]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// The size that its descriptor says, or that was reached.
        found_bytes: u64,
        /// The most that is read.
        limit_bytes: u64,
    },
    /// A descriptor's digest cannot be verified.
    #[error("cannot use a descriptor")]
    Digest {
        /// What is wrong with the digest.
        #[source]
        source: DigestError,
    },
    /// A document cannot be read.
    #[error("cannot use blob `{digest}`")]
    Document {
        /// The blob.
        digest: Digest,
        /// What is wrong with it.
        #[source]
        source: DocumentError,
    },
    /// An image configuration cannot be read.
    #[error("cannot use blob `{digest}`")]
    Config {
        /// The blob.
        digest: Digest,
        /// What is wrong with it.
        #[source]
        source: ConfigError,
    },
    /// A descriptor has a media type that cannot stand where it stands.
    #[error("blob `{digest}` has the media type `{found}`, which is not that of {expected}")]
    MediaType {
        /// The blob.
        digest: Digest,
        /// What should be there.
        expected: &'static str,
        /// The media type that was found.
        found: String,
    },
    /// A document says another media type of itself than its descriptor does.
    #[error("blob `{digest}` says that it is `{found}`, its descriptor says `{expected}`")]
    MediaTypeDiffers {
        /// The blob.
        digest: Digest,
        /// What the descriptor says.
        expected: String,
        /// What the document says.
        found: String,
    },
    /// Indexes are nested too deep.
    #[error("index `{digest}` is nested in more than {INDEX_MAX_DEPTH} indexes")]
    TooDeep {
        /// The index that is too deep.
        digest: Digest,
    },
    /// The configuration says another number of layers than the manifest.
    #[error("image `{digest}` has {layers} layers and {diff_ids} diff ids")]
    LayerCount {
        /// The manifest.
        digest: Digest,
        /// The layers of the manifest.
        layers: usize,
        /// The diff ids of the configuration.
        diff_ids: usize,
    },
    /// The history says another number of layers than the manifest.
    #[error("image `{digest}` has {layers} layers and {entries} entries of the history with one")]
    HistoryCount {
        /// The manifest.
        digest: Digest,
        /// The layers of the manifest.
        layers: usize,
        /// The entries that are not marked as empty.
        entries: usize,
    },
    /// The configuration says no operating system or no architecture.
    #[error("image `{digest}` has no operating system or no architecture")]
    NoPlatform {
        /// The manifest.
        digest: Digest,
    },
    /// The index and the configuration say different platforms.
    #[error("image `{digest}` is for {} in the index and for {} in its configuration",
        index.format_all(), config.format_all())]
    PlatformDiffers {
        /// The manifest.
        digest: Digest,
        /// The platform of the index's entry.
        index: Box<Platform>,
        /// The platform of the configuration.
        config: Box<Platform>,
    },
}
