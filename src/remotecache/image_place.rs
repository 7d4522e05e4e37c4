//! Caches in registries and in OCI image layouts: [`RegistryCache`] and [`LocalCache`].
//!
//! Both are an index with a manifest for each platform (drawn in [`crate::config`]), which any registry keeps and any
//! reader of layouts understands. It is put together as `careen index append` does it (ADR 10), so that machines that
//! write different platforms at the same time do not lose each other's.

mod documents;
mod local;
mod ours;
mod registry;

pub use local::{LocalCache, Unnamed};
pub use registry::RegistryCache;
