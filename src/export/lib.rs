//! Writes results: a finished build → files.
//!
//! * [`output`]: the `--output` grammar;
//! * [`exporter`]: the trait, and the table of kinds;
//! * [`image`]: packs and assembles what every image exporter writes;
//! * [`oci`]: `type=oci`, an archive or a directory.
#![forbid(unsafe_code)]

pub mod exporter;
pub mod image;
mod memo;
pub mod oci;
pub mod output;

pub use exporter::{ExportError, Exported, Exporter, exporter_for};
pub use output::{Destination, OutputError, OutputSpec};
