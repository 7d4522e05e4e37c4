//! What a place of caches has to do: [`ImportPlace`] and [`ExportPlace`].

use std::fmt;
use std::io::Read;

use oci::{Descriptor, Digest, Platform, Reference};
use solver::Workshop;
use transport::{PlaceError, Source, Transferred};

use crate::config::{CacheConfig, CacheLayer, ConfigError};

/// Why a place has no cache that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Another builder wrote it.
    #[error("it is a cache of another builder, whose keys mean something else there")]
    Foreign,
    /// It is an image.
    #[error(
        "it is an image without a cache of careen's: `--cache-to type=inline` puts one into an image"
    )]
    NoCache,
    /// What is there is malformed.
    #[error("it is damaged")]
    Damaged(#[from] ConfigError),
    /// A document of an image is malformed.
    #[error("it is damaged")]
    Document(#[source] PlaceError),
    /// It cannot be read.
    #[error("it cannot be read")]
    Unreadable(#[source] PlaceError),
}

/// A place that caches are imported from. Nothing is asked before it is read.
pub trait ImportPlace: fmt::Debug + Send + Sync {
    /// Returns the place as messages name it.
    fn shown(&self) -> String;

    /// Reads what it has for platforms; `None` where there is nothing at all.
    ///
    /// # Errors
    ///
    /// Fails when what is there cannot be read or used.
    fn read(
        &self,
        workshop: &Workshop,
        platforms: &[Platform],
    ) -> Result<Option<Vec<CacheConfig>>, ReadError>;

    /// Opens the blob of a layer from its beginning. Who reads it verifies it.
    ///
    /// # Errors
    ///
    /// Fails when it is not there, or cannot be read.
    fn open(
        &self,
        workshop: &Workshop,
        layer: &CacheLayer,
    ) -> Result<Box<dyn Read + Send>, PlaceError>;

    /// Returns the repository of a registry that has the blobs, if the place is one.
    fn repository(&self) -> Option<Reference> {
        None
    }
}

/// A place that caches are exported to.
pub trait ExportPlace: fmt::Debug + Send + Sync {
    /// Returns the place as messages name it.
    fn shown(&self) -> String;

    /// Returns what kind of place it is, in BuildKit's words: `registry`, `client directory`.
    fn kind(&self) -> &'static str;

    /// Begins an export.
    ///
    /// # Errors
    ///
    /// Fails when the place cannot be written to.
    fn begin<'w>(
        &'w self,
        workshop: &'w Workshop,
    ) -> Result<Box<dyn ExportSession + 'w>, PlaceError>;
}

/// What is written for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheEntry {
    /// The platform that was built for.
    pub platform: Platform,
    /// What is known.
    pub config: CacheConfig,
}

/// A place is not read while it is written.
#[derive(Debug, thiserror::Error)]
#[error("`{digest}` cannot be read while the cache is written")]
struct NotReadable {
    digest: Digest,
}

/// One export to a place. What is put becomes visible with [`ExportSession::write`] alone.
pub trait ExportSession: Send + Sync {
    /// Reads what earlier builds left for a platform, so that it is not lost; `None` where there is nothing that can be
    /// used.
    ///
    /// # Errors
    ///
    /// Fails when there is something that must not be written over, or the place cannot be read.
    fn read(&self, platform: &Platform) -> Result<Option<CacheConfig>, PlaceError>;

    /// Opens a blob that earlier builds left, from its beginning. Who reads it verifies it.
    ///
    /// # Errors
    ///
    /// Fails when it is not there, or cannot be read. A place that cannot be read while it is written says so, and what
    /// cache mounts held is written to it as a whole.
    fn open(&self, layer: &CacheLayer) -> Result<Box<dyn Read + Send>, PlaceError> {
        Err(NotReadable {
            digest: layer.digest.clone(),
        }
        .into())
    }

    /// Makes sure that a blob is there; reads it from the source only if it must. Several threads may do so at once.
    ///
    /// # Errors
    ///
    /// Fails when the blob cannot be read from the source, or not be written.
    fn put(&self, blob: &Descriptor, source: &dyn Source) -> Result<Transferred, PlaceError>;

    /// Writes what is known, each platform in the place of what was there for it; what is there for others stays. All
    /// blobs are there.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written.
    fn write(&self, entries: &[CacheEntry]) -> Result<(), PlaceError>;
}
