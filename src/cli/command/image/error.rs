//! Why something cannot be done with the images of the store.

use oci::Platform;
use oci::reference::ReferenceError;
use store::{FindError, LeaseError, SweepError, TagError};

use crate::report::{Kind, Report};

/// Why something cannot be done with the images of the store.
#[derive(Debug, thiserror::Error)]
pub(super) enum ImageError {
    /// There is no one image that is meant.
    #[error(transparent)]
    Find(#[from] FindError),
    /// Nothing of the image is there that could be shown.
    #[error("the image `{image}` has no configuration in the store")]
    NoConfig { image: String },
    /// The image is not for the platform.
    #[error("the image `{image}` is not there for {platform}")]
    NoPlatform { image: String, platform: Platform },
    /// An id of an image that has several names.
    #[error("the image `{image}` has several names: {names}")]
    SeveralNames { image: String, names: String },
    /// The new name is none.
    #[error("`{name}` is no name of an image")]
    Name {
        name: String,
        source: ReferenceError,
    },
    /// The new name has a digest.
    #[error("`{name}` has a digest, which no name can be given")]
    NameWithDigest { name: String },
    /// The image went away meanwhile.
    #[error("the image `{image}` is being removed")]
    Vanished { image: String },
    #[error("cannot read or change the names of the store's images")]
    Tags(#[from] TagError),
    #[error("cannot keep the image while it is named")]
    Lease(#[from] LeaseError),
    #[error("cannot remove what is not needed any more")]
    Sweep(#[from] SweepError),
}

impl From<ImageError> for Box<Report> {
    fn from(error: ImageError) -> Self {
        let kind = match &error {
            ImageError::Name { .. } | ImageError::NameWithDigest { .. } => Kind::Usage,
            _ => Kind::User,
        };
        let mut report = Report::new(kind, &error);
        report.help = match error {
            ImageError::SeveralNames { .. } => Some("`--force` takes all of them away".to_owned()),
            other => crate::command::failure::help_of_tags(&other),
        };
        Self::new(report)
    }
}
