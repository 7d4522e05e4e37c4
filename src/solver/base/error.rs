//! Why a base image cannot be used.

use fetch::ClientError;
use oci::check::DocumentError;
use oci::config::ConfigError;
use oci::digest::DigestError;
use oci::reference::ReferenceError;
use oci::{Digest, Platform};
use registry::{LookupError, RegistryError};
use store::{BlobError, ForeignError, TagError};

use super::fetch::FetchLayerError;
use super::reader::INDEX_DEPTH_LIMIT;

/// Why a base image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// The store has no image of that name.
    #[error("no image `{name}` in the store")]
    NotFound {
        /// The name, in its normal form.
        name: String,
    },
    /// It is not in the store, and no registry may be asked.
    #[error("no image `{name}` in the store")]
    NotAsked {
        /// The name, in its normal form.
        name: String,
    },
    /// The name does not say which image of which registry is meant.
    #[error("cannot tell which image `{name}` is")]
    Ambiguous {
        /// The name.
        name: String,
        /// Why.
        source: LookupError,
    },
    /// The registry does not know the name.
    #[error("`{registry}` has no image `{name}`")]
    Unknown {
        /// The name, in its normal form.
        name: String,
        /// The registry.
        registry: String,
    },
    /// The registry cannot be asked for the image, or what it says is wrong.
    #[error("cannot get the image `{name}`")]
    Registry {
        /// The name.
        name: String,
        /// Why.
        source: Box<RegistryError>,
    },
    /// Nothing that talks to registries can be had.
    #[error("cannot talk to registries")]
    Client(#[from] ClientError),
    /// A layer cannot be brought into the store.
    #[error("cannot fetch the layer `{digest}` of `{name}`")]
    Fetch {
        /// The name of the image.
        name: String,
        /// The blob.
        digest: Digest,
        /// Why.
        source: FetchLayerError,
    },
    /// The image is there, for other platforms.
    #[error("`{name}` has no image for {platform}")]
    NoPlatform {
        /// The name.
        name: String,
        /// The platform that was asked for.
        platform: Box<Platform>,
        /// The platforms that it has.
        available: Vec<Platform>,
    },
    /// The configuration is for another platform than the index says.
    #[error("`{name}` is for {found}, though its index says {expected}")]
    WrongPlatform {
        /// The name.
        name: String,
        /// What the index says.
        expected: Box<Platform>,
        /// What the configuration says.
        found: Box<Platform>,
    },
    /// The name is none.
    #[error("`{name}` is no name of an image")]
    Name {
        /// The name.
        name: String,
        /// Why.
        source: ReferenceError,
    },
    /// The names of the store's images cannot be read.
    #[error("cannot look `{name}` up")]
    Tags {
        /// The name.
        name: String,
        /// Why.
        source: TagError,
    },
    /// The layout of the user's cannot be read.
    #[error("cannot use `{name}`")]
    Layout {
        /// The name.
        name: String,
        /// Why.
        source: ForeignError,
    },
    /// The configuration is too large.
    #[error("the configuration `{digest}` of `{name}` has more than {limit_bytes} bytes")]
    ConfigTooLarge {
        /// The name.
        name: String,
        /// The configuration.
        digest: Digest,
        /// The limit.
        limit_bytes: u64,
    },
    /// The configuration cannot be read to its end.
    #[error("cannot read the configuration `{digest}` of `{name}`")]
    ReadConfig {
        /// The name.
        name: String,
        /// The configuration.
        digest: Digest,
        /// Why.
        source: std::io::Error,
    },
    /// A document of the image is malformed.
    #[error("a document of `{name}` is malformed")]
    Document {
        /// The name.
        name: String,
        /// Why.
        source: DocumentError,
    },
    /// The configuration of the image is malformed.
    #[error("the configuration of `{name}` is malformed")]
    Config {
        /// The name.
        name: String,
        /// Why.
        source: ConfigError,
    },
    /// A digest in the image is malformed.
    #[error("a digest in `{name}` is malformed")]
    Digest {
        /// The name.
        name: String,
        /// Why.
        source: DigestError,
    },
    /// A document is not as long as its descriptor says.
    #[error(
        "`{digest}` of `{name}` has {found_bytes} bytes, and its descriptor says {expected_bytes}"
    )]
    Size {
        /// The name.
        name: String,
        /// The document.
        digest: Digest,
        /// What the descriptor says.
        expected_bytes: u64,
        /// What was found.
        found_bytes: u64,
    },
    /// A blob of the image cannot be read.
    #[error("cannot read `{name}`")]
    Blob {
        /// The name.
        name: String,
        /// Why.
        source: BlobError,
    },
    /// The manifest and the configuration do not fit together.
    #[error("`{name}` has {layers} layers and {diff_ids} diff ids")]
    LayerCount {
        /// The name.
        name: String,
        /// How many layers the manifest has.
        layers: usize,
        /// How many diff ids the configuration has.
        diff_ids: usize,
    },
    /// Indexes in indexes, too deep.
    #[error("the indexes of `{name}` are more than {INDEX_DEPTH_LIMIT} deep")]
    TooDeep {
        /// The name.
        name: String,
    },
}
