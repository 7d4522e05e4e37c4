//! The words of the OCI formats: digests, platforms, references, descriptors, configurations.
//!
//! The crate knows the formats of images, not where their bytes live: it opens no file and asks no
//! registry. Bytes come in as slices or readers, documents go out as bytes with their digests.
//!
//! * What a stranger wrote is parsed here, with the limits of [`limits`], into types that cannot hold
//!   what the formats do not allow: a [`Digest`] is always well-formed, a [`Reference`] always has a
//!   valid name.
//! * What careen writes is a function of its input: maps are sorted, times come from a [`Clock`].
//! * [`check`] holds every invariant of an image; exporters and tests call it on what was written.
#![forbid(unsafe_code)]

pub mod assemble;
pub mod check;
pub mod config;
#[cfg(test)]
mod corpora;
pub mod descriptor;
pub mod digest;
mod json;
pub mod limits;
pub mod media_type;
pub mod platform;
pub mod reference;
pub mod time;

pub use config::{History, ImageConfig, RunConfig};
pub use descriptor::{Descriptor, ImageIndex, ImageManifest, OciLayout};
pub use digest::{ChainId, DiffId, Digest, DigestWriter, Hasher, VerifiedReader, VerifyError};
pub use media_type::MediaType;
pub use platform::Platform;
pub use reference::{AnyReference, Reference};
pub use time::{Clock, Timestamp};

/// Returns the settings of property tests: failures are shown and not written beside the sources.
#[cfg(test)]
fn unrecorded() -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        failure_persistence: None,
        ..Default::default()
    }
}
