//! From a name to the top of an image, and to the platforms that it is for.

use oci::check;
use oci::descriptor::Descriptor;
use oci::{Platform, Reference};
use store::{ForeignLayout, LayoutLocation, Store};

use super::BaseError;
use super::reader::{Documents, Files, Reader};

/// Reads a name.
pub(super) fn reference_of(name: &str) -> Result<Reference, BaseError> {
    Reference::parse_docker_ref(name).map_err(|source| BaseError::Name {
        name: name.to_owned(),
        source,
    })
}

/// Looks a name up in the store.
pub(super) fn stored(store: &Store, name: &str) -> Result<Descriptor, BaseError> {
    let reference = reference_of(name)?;
    let found = store
        .content()
        .resolve(&reference)
        .map_err(|source| BaseError::Tags {
            name: name.to_owned(),
            source,
        })?;
    found.ok_or_else(|| BaseError::NotFound {
        name: reference.familiar(),
    })
}

/// Returns the platforms that an image of the store is for.
///
/// # Errors
///
/// Fails when there is none of that name, or what is there is malformed.
pub fn platforms_of_stored(store: &Store, name: &str) -> Result<Vec<Platform>, BaseError> {
    let top = stored(store, name)?;
    let blobs = store.content();
    platforms(&Files { name, blobs }, name, &[top])
}

/// Returns the platforms that an image of a layout of the user's is for.
///
/// # Errors
///
/// As [`platforms_of_stored`].
pub fn platforms_of_layout(location: &LayoutLocation) -> Result<Vec<Platform>, BaseError> {
    let name = &location.path.display().to_string();
    let layout_error = |source| BaseError::Layout {
        name: name.clone(),
        source,
    };
    let layout = ForeignLayout::open(&location.path).map_err(layout_error)?;
    let tops = layout.resolve(&location.selector).map_err(layout_error)?;
    let blobs = &layout;
    platforms(&Files { name, blobs }, name, &tops)
}

/// Returns the platforms of one or several tops.
pub(super) fn platforms(
    documents: &dyn Documents,
    name: &str,
    tops: &[Descriptor],
) -> Result<Vec<Platform>, BaseError> {
    Reader { name, documents }.platforms(tops)
}

impl Reader<'_> {
    /// Returns the platforms of an index, or the one of a manifest.
    fn platforms(&self, tops: &[Descriptor]) -> Result<Vec<Platform>, BaseError> {
        let mut platforms = Vec::new();
        for top in tops {
            let (_, bytes) = self.top(top)?;
            if check::is_index(&bytes) {
                let index = check::parse_index(&bytes).map_err(|e| self.malformed(e))?;
                platforms.extend(check::platforms_of(&index));
            } else {
                let manifest = check::parse_manifest(&bytes).map_err(|e| self.malformed(e))?;
                platforms.push(self.config(&manifest)?.platform());
            }
        }
        let mut platforms: Vec<_> = platforms.iter().map(Platform::normalized).collect();
        platforms.retain(|platform| !platform.is_unknown());
        Ok(platforms)
    }
}
