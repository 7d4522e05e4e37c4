//! Images wherever they are: registries, the store, layouts, archives.
//!
//! A [`Source`] is one image or index somewhere; a [`Target`] is a place for one. Whatever is a source can be
//! copied to whatever is a target, and no byte of it changes on the way unless the formats need it.
#![forbid(unsafe_code)]

mod place;
mod registry;

pub use place::{Document, PlaceError, Source, Target, Transferred};
pub use registry::{RegistrySource, RegistryTarget};
