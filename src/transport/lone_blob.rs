//! A blob before there is an image that it is part of, as a place that it is copied from.

use std::fmt;
use std::io::Read;

use oci::{Descriptor, Digest, Reference};

use crate::middle;
use crate::place::{Document, PlaceError, Source};

/// A lone blob has no documents: our fault.
#[derive(Debug, thiserror::Error)]
#[error("there is a blob, and no image yet")]
struct NoImage;

/// What opens the blob, from an offset in bytes on.
type Open<'a> =
    dyn Fn(&Descriptor, u64) -> Result<Box<dyn Read + Send>, PlaceError> + Send + Sync + 'a;

/// A blob of this build that no image has yet: a layer that is pushed early, what a cache is made of.
pub struct LoneBlob<'a> {
    open: Box<Open<'a>>,
    repository: Option<Reference>,
}

impl<'a> LoneBlob<'a> {
    /// Makes the source of a blob that a function opens, as [`Source::blob`] does.
    pub fn new<O>(open: O) -> Self
    where
        O: Fn(&Descriptor, u64) -> Result<Box<dyn Read + Send>, PlaceError> + Send + Sync + 'a,
    {
        Self {
            open: Box::new(open),
            repository: None,
        }
    }

    /// Makes the source of a blob in memory.
    pub fn in_memory(bytes: &'a [u8]) -> Self {
        Self::new(|_, from| Ok(middle::of_bytes(bytes, from)))
    }

    /// Says which repository of a registry has the blob too.
    #[must_use]
    pub fn also_in(self, repository: Option<Reference>) -> Self {
        Self { repository, ..self }
    }
}

impl fmt::Debug for LoneBlob<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("LoneBlob");
        shown.field("repository", &self.repository);
        shown.finish_non_exhaustive()
    }
}

impl Source for LoneBlob<'_> {
    fn shown(&self) -> String {
        "this build".to_owned()
    }

    fn root(&self) -> Result<Document, PlaceError> {
        Err(NoImage.into())
    }

    fn document(&self, _descriptor: &Descriptor) -> Result<Document, PlaceError> {
        Err(NoImage.into())
    }

    fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, PlaceError> {
        (self.open)(descriptor, from)
    }

    fn repository(&self) -> Option<&Reference> {
        self.repository.as_ref()
    }

    fn referrers(&self, _subject: &Digest) -> Result<Vec<Descriptor>, PlaceError> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use oci::descriptor::descriptor;

    use super::*;

    #[test]
    fn a_blob_in_memory_is_read_from_an_offset_on_and_is_no_image() {
        let source = LoneBlob::in_memory(b"0123");
        let blob = descriptor("text/plain", &Digest::of(b"0123"), 4);
        for (from, expected) in [(0, "0123"), (3, "3"), (4, ""), (u64::MAX, "")] {
            let mut read = String::new();
            let mut reader = source.blob(&blob, from).unwrap();
            reader.read_to_string(&mut read).unwrap();
            assert_eq!(read, expected, "{from}");
        }
        for error in [source.root(), source.document(&blob)].map(Result::unwrap_err) {
            assert_eq!(error.to_string(), "there is a blob, and no image yet");
        }
        assert_eq!(source.repository(), None);
    }

    #[test]
    fn a_lone_blob_says_which_repository_has_it_too() {
        let repository = Reference::parse_docker_ref("registry.example/app").unwrap();
        let source = LoneBlob::in_memory(b"").also_in(Some(repository.clone()));
        assert_eq!(source.repository(), Some(&repository));
    }
}
