//! Blobs of the store that turn out to be damaged while a build uses them: they are removed, and the build begins
//! again, which fetches or makes them anew.

use std::error::Error;

use oci::{Digest, VerifyError};
use store::{BlobError, ContentStore};
use transport::StorePlaceError;

/// Returns the blob of the store that an error is about, if it was damaged and is not there any more.
pub(super) fn blob_behind(error: &(dyn Error + 'static), content: &ContentStore) -> Option<Digest> {
    let digest = match blob_error(error) {
        // Whoever looked at it before us has removed it.
        Some(BlobError::Absent { digest, place }) if place == content.root().shown() => {
            return Some(digest.clone());
        }
        Some(BlobError::NotAFile { digest, .. }) => digest,
        Some(BlobError::Damaged(verdict)) => verdict.digest(),
        _ => fetch::nearest_cause::<VerifyError>(error)?.digest(),
    };
    // A blob of a user's layout, or of a registry, is none of the store's.
    let is_removed = matches!(content.discard_damaged(digest), Ok(true));
    is_removed.then(|| digest.clone())
}

/// Returns the error of a blob that is behind another error. One that adds nothing to it hides it from the causes.
fn blob_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a BlobError> {
    let place = || match fetch::nearest_cause::<StorePlaceError>(error)? {
        StorePlaceError::Blob(error) => Some(error),
        _ => None,
    };
    fetch::nearest_cause(error).or_else(place)
}
