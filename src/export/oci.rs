//! `type=oci`: an OCI image layout (image-spec, image-layout.md), as an archive or a directory.
//!
//! An archive is written beside its target and renamed. A directory is added to, as every copy into a layout does.

mod directory;

use solver::BuildResult;

use crate::archive::{self, Documents};
use crate::exporter::{ExportError, ExportStep, Exported, Exporter};
use crate::image;
use crate::layout;
use crate::output::{Destination, ImageOptions, LayoutForm};

/// Writes OCI image layouts.
#[derive(Debug)]
pub(crate) struct OciExporter<'o> {
    /// Where the layout goes.
    pub(crate) destination: &'o Destination,
    /// Whether it is an archive.
    pub(crate) form: LayoutForm,
    /// What the image is like.
    pub(crate) image: &'o ImageOptions,
}

impl Exporter for OciExporter<'_> {
    fn name(&self) -> &'static str {
        "exporting to oci image format"
    }

    fn export(&self, result: &BuildResult, step: &ExportStep<'_>) -> Result<Exported, ExportError> {
        let set = image::assemble(result, step, self.image)?;
        set.bring_in(step)?;
        let names = &self.image.names;
        let writing = match self.form {
            LayoutForm::Archive => "sending tarball",
            LayoutForm::Directory => "copying files",
        };
        step.tell(writing.to_owned(), false);
        let (mut index, mut unchanged) = (None, false);
        match (self.form, self.destination) {
            (LayoutForm::Directory, Destination::Path(path)) => {
                index = directory::write(&set, step, self.image, path)?;
            }
            (LayoutForm::Directory, Destination::Stdout) | (LayoutForm::Archive, _) => {
                let documents = Documents::of_layout(&layout::entries(&set, names));
                unchanged = archive::write(&set, step.workshop, &documents, self.destination)?;
            }
        }
        step.tell(writing.to_owned(), true);
        Ok(Exported {
            image: Some(set.exported_in(index, names)),
            unchanged,
        })
    }
}
