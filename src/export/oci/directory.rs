//! The layout as a directory, which may be there already and have other images in it.

use std::path::Path;

use oci::Descriptor;
use transport::{CopyError, LayoutTarget, Silent};

use crate::exporter::{ExportError, ExportStep};
use crate::image::ImageSet;
use crate::output::{ImageOptions, Naming};
use crate::publish::{Addition, copied, stop_of};

/// Adds to a directory, or makes it; returns the index that the images are in, where they were added to one.
pub(super) fn write(
    set: &ImageSet,
    step: &ExportStep<'_>,
    image: &ImageOptions,
    path: &Path,
) -> Result<Option<Descriptor>, ExportError> {
    if image.naming == Naming::Append {
        return Addition { set, image, step }.to_layout(path);
    }
    let workshop = step.workshop;
    let failed = |source| ExportError::Layout {
        path: path.to_owned(),
        source,
    };
    let target = LayoutTarget::named(path, &image.names, &stop_of(workshop));
    let target = target.map_err(|source| failed(source.into()))?;
    match copied(set, &target, workshop, &Silent) {
        Err(CopyError::Stopped) => Err(ExportError::Cancelled),
        copied => copied
            .map(|()| None)
            .map_err(|source| failed(source.into())),
    }
}
