//! Reading and removing blobs (distribution-spec, "Pulling blobs", "Deleting Blobs").

use std::fs::File;
use std::io::{Seek as _, SeekFrom};

use oci::Digest;

use super::Registry;
use crate::http::{Content, Head, Response, number};
use crate::refusal::{Code, Refusal};
use crate::storage::StorageError;

/// Which bytes of a blob a client asks for (RFC 9110, section 14.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// All of them.
    Whole,
    /// From the first of these up to and without the second.
    Between(u64, u64),
    /// Bytes that the blob does not have.
    Outside,
}

impl Registry {
    pub(super) fn get_blob(
        &self,
        head: &Head,
        name: &str,
        digest: &Digest,
    ) -> Result<Response, Refusal> {
        if !self.storage.has_blob(name, digest) {
            return Err(unknown(name, digest));
        }
        let opened = self.storage.open_blob(digest);
        let opened = opened.map_err(|error| Refusal::of_storage(&error))?;
        let Some((file, size_bytes)) = opened else {
            return Err(unknown(name, digest));
        };
        let response = |status: u16| {
            Response::new(status)
                .header("Content-Type", "application/octet-stream")
                .header("Docker-Content-Digest", digest.as_str())
                .header("ETag", format!("\"{digest}\""))
                .header("Accept-Ranges", "bytes")
        };
        match Part::asked_for(head, digest, size_bytes) {
            Part::Whole => Ok(response(200).content(Content::File(file, size_bytes))),
            Part::Between(from, to) => {
                let file = seek(file, from).map_err(|error| Refusal::of_storage(&error))?;
                let range = format!("bytes {from}-{}/{size_bytes}", to - 1);
                let response = response(206).header("Content-Range", range);
                Ok(response.content(Content::File(file, to - from)))
            }
            Part::Outside => {
                let message = format!("the blob has {size_bytes} bytes");
                let refusal = Refusal::new(416, Code::SizeInvalid, message);
                Err(refusal.header("Content-Range", format!("bytes */{size_bytes}")))
            }
        }
    }

    pub(super) fn delete_blob(&self, name: &str, digest: &Digest) -> Result<Response, Refusal> {
        match self.storage.remove_blob(name, digest) {
            Ok(true) => Ok(Response::new(202)),
            Ok(false) => Err(unknown(name, digest)),
            Err(error) => Err(Refusal::of_storage(&error)),
        }
    }
}

impl Part {
    fn asked_for(head: &Head, digest: &Digest, size_bytes: u64) -> Self {
        let of_another = head
            .header("if-range")
            .is_some_and(|tag| tag.trim_matches('"') != digest.as_str());
        match head.header("range") {
            Some(text) if head.method == "GET" && !of_another => Self::parse(text, size_bytes),
            _ => Self::Whole,
        }
    }

    /// Parses one range of bytes. What is malformed, or more than one, is passed over, as it may be.
    fn parse(text: &str, size_bytes: u64) -> Self {
        let ends = text
            .strip_prefix("bytes=")
            .and_then(|ends| ends.split_once('-'));
        let Some((first, last)) = ends.map(|(first, last)| (first.trim(), last.trim())) else {
            return Self::Whole;
        };
        let (from, to) = match (first, last, number(first), number(last)) {
            ("", _, _, Some(count)) => (size_bytes.saturating_sub(count), size_bytes),
            (_, "", Some(from), _) => (from, size_bytes),
            (_, _, Some(from), Some(last)) if from <= last => {
                (from, last.saturating_add(1).min(size_bytes))
            }
            _ => return Self::Whole,
        };
        if from < to {
            Self::Between(from, to)
        } else {
            Self::Outside
        }
    }
}

fn seek(mut file: File, to: u64) -> Result<File, StorageError> {
    file.seek(SeekFrom::Start(to))?;
    Ok(file)
}

fn unknown(name: &str, digest: &Digest) -> Refusal {
    let message = format!("repository `{name}` has no blob `{digest}`");
    Refusal::new(404, Code::BlobUnknown, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_understood_and_anything_else_is_passed_over() {
        for (text, expected) in [
            ("bytes=0-0", Part::Between(0, 1)),
            ("bytes=2-5", Part::Between(2, 6)),
            ("bytes=2-", Part::Between(2, 10)),
            ("bytes=9-99", Part::Between(9, 10)),
            ("bytes=-3", Part::Between(7, 10)),
            ("bytes=-30", Part::Between(0, 10)),
            ("bytes=10-", Part::Outside),
            ("bytes=-0", Part::Outside),
            ("bytes=5-2", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("items=0-1", Part::Whole),
        ] {
            assert_eq!(Part::parse(text, 10), expected, "{text}");
        }
        assert_eq!(Part::parse("bytes=0-", 0), Part::Outside);
    }
}
