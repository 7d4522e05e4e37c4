//! The layout as a directory, which may be there already and have other images in it.

use std::path::Path;

use oci::Reference;
use solver::Workshop;
use transport::{CopyError, LayoutTarget, Silent};

use crate::exporter::ExportError;
use crate::image::ImageSet;
use crate::publish::{copied, stop_of};

/// Adds to a directory, or makes it.
pub(super) fn write(
    set: &ImageSet,
    workshop: &Workshop,
    names: &[Reference],
    path: &Path,
) -> Result<(), ExportError> {
    let failed = |source| ExportError::Layout {
        path: path.to_owned(),
        source,
    };
    let target = LayoutTarget::named(path, names, &stop_of(workshop));
    let target = target.map_err(|source| failed(source.into()))?;
    match copied(set, &target, workshop, &Silent) {
        Err(CopyError::Stopped) => Err(ExportError::Cancelled),
        copied => copied.map_err(|source| failed(source.into())),
    }
}
