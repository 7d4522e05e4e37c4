//! Writes results: a finished build → files.
//!
//! * [`output`]: the `--output` grammar; [`annotation`]: what is said of an image;
//! * [`exporter`]: the trait, and the table of kinds;
//! * `image`: packs and assembles what every image exporter writes; `layout`, `archive`: the files that it
//!   becomes;
//! * `oci`, `docker`: images as archives and directories; `publish`: images in the store and in registries;
//! * [`early`]: layers packed while the build still runs;
//! * `tree`: what every exporter of files writes; `local`, `tar`: a directory and an archive of them;
//! * `sink`: files that take their place when they are whole.
#![forbid(unsafe_code)]

pub mod annotation;
mod archive;
mod blob;
mod docker;
pub mod early;
pub mod exporter;
mod image;
mod layout;
mod local;
mod memo;
mod oci;
pub mod output;
mod publish;
mod sink;
mod tar;
mod tree;

pub(crate) use transport::new_file;

pub use annotation::{Annotation, AnnotationError};
pub use early::EarlyLayers;
pub use exporter::{ExportError, Exported, ExportedImage, export_all, export_as};
pub use output::{OutputError, OutputSpec};
pub use transport::new_file::write_file;
