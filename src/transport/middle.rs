//! Blobs, read from the middle.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek as _, SeekFrom};

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

/// Returns what reads bytes in memory, from an offset on.
pub fn of_bytes(bytes: &[u8], from: u64) -> Box<dyn Read + Send> {
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    Box::new(Cursor::new(bytes.get(from..).unwrap_or_default().to_vec()))
}
