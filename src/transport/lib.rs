//! Images wherever they are: registries, the store, layouts, archives.
//!
//! A [`Source`] is one image or index somewhere; a [`Target`] is a place for one. Whatever is a source can be
//! copied to whatever is a target, and no byte of it changes on the way unless the formats need it.
//!
//! * [`Location`]: what a user writes for a place; [`open_source`] and [`open_target`] lead from it to one;
//! * `registry`, `store`, [`layout`], [`archive`], `directory`: the places; `referrer`: what refers to an image in
//!   them; `middle`: blobs from an offset on; [`LoneBlob`]: one that no image has yet; [`new_file`]: files that take their place when they are whole;
//! * [`copy`](copy()): from one place to another, until a [`Stop`];
//! * [`Combination`]: an index of images that are anywhere; [`append`](append()): one more for the index of a tag.
#![forbid(unsafe_code)]

mod append;
pub mod archive;
mod combine;
mod copy;
mod directory;
#[cfg(test)]
mod faults;
pub mod layout;
pub mod limits;
mod location;
mod lone_blob;
mod middle;
pub mod new_file;
mod open;
mod place;
mod referrer;
mod registry;
mod stop;
mod store;
#[cfg(test)]
mod testing;

pub use append::{
    AppendError, Appended, LayoutTag, Pace, RegistryTag, StoreTag, Tag, Written, append,
    appended_to,
};
pub use archive::{ArchiveSource, ArchiveTarget, ArchivedImage, ImageArchive, ImageFile};
pub use combine::{Additions, Combination, CombineError, Duplicate, Entry};
pub use copy::{
    Convert, CopyError, CopyOptions, CopyProgress, CopyReport, LeftOut, Referrers, Selection,
    Silent, copy, platform_of_manifest, platforms_of_root,
};
pub use directory::{DirectoryError, DirectorySource, DirectoryTarget};
pub use layout::{LayoutSource, LayoutTarget};
pub use location::{Location, LocationError};
pub use lone_blob::LoneBlob;
pub use middle::{MiddleError, of_bytes};
pub use open::{Context, OpenError, open_source, open_target};
pub use place::{Document, PlaceError, Source, Target, Transferred};
pub use registry::{RegistrySource, RegistryTarget};
pub use stop::Stop;
pub use store::{StorePlaceError, StoreSource, StoreTarget};
