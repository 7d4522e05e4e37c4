//! Blobs of files, read from the middle.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};

use oci::Digest;

/// A blob cannot be read from the middle.
#[derive(Debug, thiserror::Error)]
#[error("read blob `{digest}` from byte {from}")]
pub struct MiddleError {
    /// The blob.
    digest: Digest,
    /// Where reading begins, in bytes.
    from: u64,
    /// Why.
    source: io::Error,
}

/// Returns the file of a blob, from an offset in bytes on.
pub(crate) fn from_byte(mut file: File, digest: Digest, from: u64) -> Result<File, MiddleError> {
    match file.seek(SeekFrom::Start(from)) {
        Ok(_) => Ok(file),
        Err(source) => Err(MiddleError {
            digest,
            from,
            source,
        }),
    }
}
