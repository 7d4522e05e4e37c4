//! Results of builds in places where other machines find them: `--cache-to` and `--cache-from`.
//!
//! ```text
//! build ──KeyedLayer──► export ──CacheConfig, blobs──► ExportPlace      a repository, a layout, …
//! build ◄──CacheBackend── Importer ◄──CacheConfig── ImportPlace         the same, or an image
//! ```
//!
//! * [`config`]: the document that says which key led to which layer;
//! * [`place`]: what a place of caches has to do; [`image_place`]: registries and image layouts;
//!   [`gha_place`]: the cache service of GitHub Actions;
//! * [`import`]: a place, as the solver asks it; [`export`]: what a build led to, written to a place;
//! * [`merge`]: what stays of earlier builds; [`inline`]: a cache inside an image;
//! * [`mount`]: cache mounts in it;
//! * [`limits`]: bounds on what is read.
//!
//! Keys are careen's own, so other builders' caches are of no use here, and careen's are of none there.
#![forbid(unsafe_code)]

pub mod config;
pub mod export;
pub mod gha_place;
pub mod image_place;
pub mod import;
pub mod inline;
pub mod limits;
pub mod merge;
pub mod mount;
pub mod place;

pub use config::{CacheAlias, CacheConfig, CacheLayer, CacheRecord, ConfigError};
pub use export::{CacheExport, CacheTarget, ExportCacheError, Mode};
pub use gha_place::GhaCache;
pub use image_place::{LocalCache, RegistryCache};
pub use import::Importer;
pub use mount::{CachedMount, CachedPack, MountName};
pub use place::{CacheEntry, ExportPlace, ExportSession, ImportPlace, ReadError};
