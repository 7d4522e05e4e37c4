//! `type=oci`: an OCI image layout (image-spec, image-layout.md), as an archive or a directory.
//!
//! An archive is written beside its target and renamed. A directory is added to: blobs first, then
//! `index.json` in one rename, where images of other names stay.

mod archive;
mod directory;
mod new_file;

use std::io;
use std::path::Path;

use oci::descriptor::{self, Descriptor};
use oci::{Digest, Reference};
use rootfs::RootPath;
use solver::event::{Event, Origin};
use solver::{BuildResult, PackPlan, Workshop};

use crate::exporter::{ExportError, Exported, Exporter, step_id};
use crate::image::{self, ImageSet};
use crate::output::{Destination, OutputSpec};

/// The text of `oci-layout`.
const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Writes OCI image layouts.
#[derive(Debug)]
pub struct OciExporter {
    spec: OutputSpec,
    names: Vec<Reference>,
}

impl OciExporter {
    /// Makes an exporter that gives the image these names.
    pub fn new(spec: OutputSpec, names: Vec<Reference>) -> Self {
        Self { spec, names }
    }

    fn write(
        &self,
        set: &ImageSet,
        workshop: &Workshop,
        entries: &[Descriptor],
    ) -> Result<bool, ExportError> {
        match &self.spec.destination {
            Destination::Stdout => {
                archive::write_stdout(set, workshop, entries)?;
                Ok(false)
            }
            Destination::Path(path) if self.spec.archive => {
                archive::write_file(set, workshop, entries, path)
            }
            Destination::Path(path) => {
                directory::write(set, workshop, entries, path)?;
                Ok(false)
            }
        }
    }
}

impl Exporter for OciExporter {
    fn kind(&self) -> &'static str {
        "oci"
    }

    fn export(&self, result: &BuildResult, workshop: &Workshop) -> Result<Exported, ExportError> {
        let plan = workshop.pack.clone().unwrap_or(PackPlan {
            compression: self.spec.compression,
            clamp: None,
        });
        let name = "exporting to oci image format".to_owned();
        workshop.events.emit(Event::Started {
            step: step_id(),
            name: name.clone(),
        });
        let set = image::assemble(result, workshop, &plan)?;
        let entries: Vec<_> = if self.names.is_empty() {
            vec![image::named(&set.top, None, set.created)]
        } else {
            self.names
                .iter()
                .map(|name| image::named(&set.top, Some(name), set.created))
                .collect()
        };
        image::tell(workshop, format!("exporting {}", set.top.digest()), false);
        let unchanged = self.write(&set, workshop, &entries)?;
        image::tell(workshop, format!("exporting {}", set.top.digest()), true);
        let origin = if unchanged {
            Origin::Cached
        } else {
            Origin::Made
        };
        workshop.events.emit(Event::Finished {
            step: step_id(),
            name,
            origin,
        });
        Ok(Exported {
            top: set.top,
            unchanged,
        })
    }
}

/// Returns the bytes of `index.json`.
fn index_json(entries: &[Descriptor]) -> Vec<u8> {
    let mut index = descriptor::new_index(entries.to_vec());
    index.set_media_type(Some(oci::media_type::OCI_INDEX.into()));
    descriptor::to_canonical_json(&index)
}

/// Returns the path of a blob in an image layout (image-layout.md, "Blobs").
fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().as_str(), digest.encoded())
}

fn name(path: &str) -> RootPath {
    RootPath::lexical(path).expect("names of an image layout are short and have no NUL")
}

fn write_error(path: &Path, source: io::Error) -> ExportError {
    ExportError::Write {
        path: path.to_owned(),
        source,
    }
}
