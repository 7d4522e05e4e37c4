//! What refers to an image, in places that have no list of it: the entries of an `index.json`.
//!
//! A manifest or an index with a `subject` (image-spec, manifest.md) has an entry without a name there, which other
//! tools write and find too. A tag `sha256-DIGITS`, where registries without the list of referrers have one
//! (distribution-spec, "Referrers Tag Schema"), is followed as well.

use oci::check;
use oci::descriptor::{self, ANNOTATION_REF_NAME};
use oci::{Descriptor, Digest, ImageIndex};

use crate::place::{Document, PlaceError};

/// Reads a manifest or an index that an entry names.
type Read<'a> = dyn Fn(&Descriptor) -> Result<Vec<u8>, PlaceError> + 'a;

/// Returns those of an index's entries that refer to a manifest.
pub(crate) fn among(
    entries: &[Descriptor],
    subject: &Digest,
    read: &Read<'_>,
) -> Result<Vec<Descriptor>, PlaceError> {
    let tag = format!("{}-{}", subject.algorithm().as_str(), subject.encoded());
    let mut found: Vec<Descriptor> = Vec::new();
    for entry in entries {
        let name = descriptor::annotation_of(entry, ANNOTATION_REF_NAME);
        let bytes = read(entry)?;
        if name == Some(&tag) {
            if let Ok(index) = check::parse_index(&bytes) {
                found.extend(index.manifests().iter().cloned());
            }
        } else if subject_of(&bytes).is_some_and(|of| of.digest().as_ref() == subject.as_str()) {
            found.push(crate::store::without_names(entry));
        }
    }
    found.sort_by(|one, other| one.digest().as_ref().cmp(other.digest().as_ref()));
    found.dedup_by(|one, other| one.digest() == other.digest());
    Ok(found)
}

/// Returns the entry of a document that refers to another one; nothing for the others.
pub(crate) fn entry_of(document: &Document) -> Option<Descriptor> {
    subject_of(&document.bytes)?;
    Some(crate::store::without_names(&document.descriptor))
}

/// Returns what a manifest or an index refers to.
pub(crate) fn subject_of(bytes: &[u8]) -> Option<Descriptor> {
    if check::is_index(bytes) {
        let index: ImageIndex = check::parse_index(bytes).ok()?;
        return index.subject().clone();
    }
    check::parse_manifest(bytes).ok()?.subject().clone()
}
