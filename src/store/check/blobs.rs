//! Blobs, each against its digest.

use std::io::Read as _;
use std::path::Path;

use oci::{Digest, VerifiedReader, VerifyError};

use super::{
    CheckError, Checker, Mended, Part, Wrong, entries, is_directory, modes, name, remove, said,
};
use crate::blob::BlobError;
use crate::claim::{ClaimName, Claims};
use crate::ingest::BLOB_MODE;
use crate::layout::Layout;
use crate::name::ObjectId;

/// How many bytes are read between two looks whether somebody wishes an end.
const READ_BYTES: usize = 256 * 1024;

impl Checker<'_> {
    /// Looks at all blobs.
    pub(super) fn blobs(&mut self) -> Result<(), CheckError> {
        for algorithm in entries(&self.layout.all_blobs())? {
            if !is_directory(&algorithm) {
                self.stray(Part::Blob, &algorithm);
                continue;
            }
            self.directory(&algorithm);
            for path in entries(&algorithm)? {
                self.go_on()?;
                match Digest::parse(&format!("{}:{}", name(&algorithm), name(&path))) {
                    Ok(digest) => self.blob(&digest, &path)?,
                    Err(_no_digest) => self.stray(Part::Blob, &path),
                }
            }
        }
        Ok(())
    }

    /// Tells of something that has a name which nothing of careen's has there.
    pub(super) fn stray(&mut self, part: Part, path: &Path) {
        self.tell((part, path), Wrong::Name, |layout| remove(layout, path));
    }

    fn blob(&mut self, digest: &Digest, path: &Path) -> Result<(), CheckError> {
        let wrong = match self.read(digest)? {
            Ok(None) => return Ok(()),
            Ok(Some((bytes, mode))) => {
                self.count(Part::Blob, bytes);
                if modes::is_blobs(mode) {
                    return Ok(());
                }
                self.tell((Part::Blob, path), Wrong::Mode(mode), |_| {
                    modes::set(path, BLOB_MODE)
                });
                return Ok(());
            }
            Err(wrong) => wrong,
        };
        self.count(Part::Blob, 0);
        self.damaged.insert(digest.clone());
        let claims = Claims::new(std::sync::Arc::clone(self.layout));
        self.tell((Part::Blob, path), wrong, |layout| {
            discard((layout, &claims), (digest, path))
        });
        if self
            .found
            .damage
            .last()
            .is_some_and(|last| last.mended.is_some())
        {
            self.damaged.remove(digest);
        }
        Ok(())
    }

    /// Reads a blob to its end; returns its size and mode, or nothing where it is gone meanwhile.
    fn read(&self, digest: &Digest) -> Result<Result<Option<(u64, u32)>, Wrong>, CheckError> {
        let file = match self.content.open_raw(digest) {
            Ok(file) => file,
            Err(BlobError::Absent { .. }) => return Ok(Ok(None)),
            Err(BlobError::NotAFile { .. }) => return Ok(Err(Wrong::Kind)),
            Err(error) => return Ok(Err(Wrong::Unreadable(said(&error)))),
        };
        let unreadable = |error: std::io::Error| Wrong::Unreadable(error.to_string());
        let metadata = match file.metadata() {
            Ok(metadata) => metadata,
            Err(error) => return Ok(Err(unreadable(error))),
        };
        let mut reader = VerifiedReader::new(file, digest, metadata.len());
        let mut room = vec![0; READ_BYTES];
        loop {
            self.go_on()?;
            match reader.read(&mut room) {
                Ok(0) => return Ok(Ok(Some((metadata.len(), modes::of(&metadata))))),
                Ok(_) => {}
                Err(error) => {
                    let damaged = VerifyError::in_error(&error).cloned();
                    return Ok(Err(damaged.map_or_else(|| unreadable(error), Wrong::Bytes)));
                }
            }
        }
    }
}

/// Removes a blob that is damaged, whoever uses it: who reads it gets an error anyway.
fn discard(
    (layout, claims): (&Layout, &Claims),
    (digest, path): (&Digest, &Path),
) -> Result<Mended, String> {
    let object = ObjectId::Blob(digest.clone());
    let claim = claims.exclusive(ClaimName::Object(&object));
    let claim = claim.map_err(|error| said(&error))?;
    let removed = remove(layout, path);
    drop(claim);
    removed
}
