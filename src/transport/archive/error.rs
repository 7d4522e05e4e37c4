//! Why an archive cannot give an image.

use std::io;
use std::path::PathBuf;

use oci::Digest;
use oci::check::DocumentError;
use oci::config::ConfigError;
use oci::digest::DigestError;
use store::{BlobError, FileError, ForeignError};

use super::MANIFEST_FILE;
use crate::layout::VERSION_FILE;
use crate::limits::ARCHIVE_IMAGES_MAX;

/// An archive cannot give an image.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveSourceError {
    /// It cannot be opened.
    #[error("open `{}`", path.display())]
    Open {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be read.
    #[error("read `{}`", path.display())]
    Read {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no room for it unpacked.
    #[error("unpack the archive")]
    Spool(#[source] FileError),
    /// It is no tar.
    #[error(transparent)]
    Tar(#[from] layer::ArchiveError),
    /// It has no images.
    #[error(
        "`{}` is no archive of images: it has neither `{VERSION_FILE}` nor `{MANIFEST_FILE}`",
        path.display()
    )]
    NoImages {
        /// The archive.
        path: PathBuf,
    },
    /// It has no layout.
    #[error(
        "`{}` is no OCI image layout but an archive of docker: `docker-archive:` names it",
        path.display()
    )]
    NoLayout {
        /// The archive.
        path: PathBuf,
    },
    /// A file is there twice, and nobody knows which is meant.
    #[error("`{}` has `{name}` twice", path.display())]
    Twice {
        /// The archive.
        path: PathBuf,
        /// The file.
        name: String,
    },
    /// A document is larger than any real one.
    #[error("`{name}` of `{}` is larger than {limit_bytes} bytes", path.display())]
    TooLarge {
        /// The archive.
        path: PathBuf,
        /// The document.
        name: String,
        /// The bound.
        limit_bytes: u64,
    },
    /// A file that the archive needs is not there.
    #[error("`{}` has an image that needs `{name}`, and not that", path.display())]
    Missing {
        /// The archive.
        path: PathBuf,
        /// The file.
        name: String,
    },
    /// A document is malformed.
    #[error("`{name}` of `{}` is malformed", path.display())]
    Document {
        /// The archive.
        path: PathBuf,
        /// The document.
        name: String,
        /// What is wrong with it.
        source: DocumentError,
    },
    /// A list of docker's is malformed.
    #[error("`{name}` of `{}` is malformed", path.display())]
    List {
        /// The archive.
        path: PathBuf,
        /// The list.
        name: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A configuration is malformed.
    #[error("the configuration `{name}` of `{}` is malformed", path.display())]
    Config {
        /// The archive.
        path: PathBuf,
        /// The configuration.
        name: String,
        /// What is wrong with it.
        source: ConfigError,
    },
    /// The configuration speaks of other layers than there are.
    #[error(
        "`{name}` of `{}` has {diff_ids} diff ids, and the image has {layers} layers",
        path.display()
    )]
    LayerCount {
        /// The archive.
        path: PathBuf,
        /// The configuration.
        name: String,
        /// How many layers there are.
        layers: usize,
        /// How many the configuration has.
        diff_ids: usize,
    },
    /// A layer is another one than the configuration says.
    #[error(
        "the layer `{name}` of `{}` unpacks to `{found}`, and its image says `{expected}`",
        path.display()
    )]
    DiffId {
        /// The archive.
        path: PathBuf,
        /// The layer.
        name: String,
        /// What the configuration says.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// A layer is compressed in a way that no image has.
    #[error("the layer `{name}` of `{}` is compressed with {by}, which no image can have", path.display())]
    Compression {
        /// The archive.
        path: PathBuf,
        /// The layer.
        name: String,
        /// By what.
        by: &'static str,
    },
    /// An image of an old archive has more parents than an image can have layers, or is its own.
    #[error("the parents of the image `{id}` of `{}` have no end", path.display())]
    Chain {
        /// The archive.
        path: PathBuf,
        /// The image.
        id: String,
    },
    /// There is no image of that name.
    #[error("`{}` has no image `{name}`; it has {}", path.display(), list(found))]
    NotFound {
        /// The archive.
        path: PathBuf,
        /// The name.
        name: String,
        /// Those that there are.
        found: Vec<String>,
    },
    /// There are several images, and none is named.
    #[error("`{}` has several images, and which one is not said: {}", path.display(), list(found))]
    Several {
        /// The archive.
        path: PathBuf,
        /// Those that there are.
        found: Vec<String>,
    },
    /// More images than anybody saves.
    #[error("`{}` has more than {ARCHIVE_IMAGES_MAX} images", path.display())]
    TooMany {
        /// The archive.
        path: PathBuf,
    },
    /// The layout in it has no such image.
    #[error(transparent)]
    Layout(#[from] ForeignError),
    /// A blob is not there, or damaged.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A digest cannot be verified.
    #[error("a digest of the image is malformed")]
    Digest(#[from] DigestError),
}

fn list(names: &[String]) -> String {
    match names {
        [] => "none with a name".to_owned(),
        names => {
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            names.join(", ")
        }
    }
}
