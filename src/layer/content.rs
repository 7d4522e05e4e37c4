//! Reading the bytes of a file that a change names, and noticing that they are not the ones meant.

use std::io::{self, Read as _, Seek as _};

use oci::{Digest, Hasher};
use rootfs::{File, FileKind, FsError, Metadata};

use crate::change::Content;

/// How many bytes are read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// A file whose bytes are not what a change says.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// It cannot be opened.
    #[error("open the file")]
    Open(#[source] FsError),
    /// Something else is in its place.
    #[error("the file is a regular file no more")]
    NotAFile,
    /// It cannot be read.
    #[error("read the file")]
    Read(#[source] io::Error),
    /// It grew or shrank.
    #[error("the file changed while it was used: it had {expected} bytes and has {found} or more")]
    Size {
        /// The size that was decided on, in bytes.
        expected: u64,
        /// How many bytes were found; reading stops one after the expected end.
        found: u64,
    },
    /// Its bytes are others.
    #[error("the file changed while it was used: it hashed to `{expected}` and does to `{found}`")]
    Digest {
        /// The digest that was decided on.
        expected: Digest,
        /// The digest of what was read.
        found: Digest,
    },
}

/// Opens a file, which must be a regular one.
pub(crate) fn open(root: &rootfs::Root, path: &rootfs::RootPath) -> Result<File, ContentError> {
    open_and_look(root, path).map(|(file, _)| file)
}

/// Opens a file, which must be a regular one, and returns what `stat` says of it too.
pub(crate) fn open_and_look(
    root: &rootfs::Root,
    path: &rootfs::RootPath,
) -> Result<(File, Metadata), ContentError> {
    let file = root.open_file_traceless(path).map_err(ContentError::Open)?;
    let metadata = Metadata::of(&file).map_err(ContentError::Open)?;
    match metadata.kind {
        FileKind::File => Ok((file, metadata)),
        _ => Err(ContentError::NotAFile),
    }
}

/// Hands all bytes of a content to `sink`, and fails where they are not `size` or do not have the
/// digest that is expected.
pub(crate) fn read<E: From<ContentError>>(
    content: &Content,
    size: u64,
    mut sink: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    match content {
        Content::Bytes(bytes) => {
            check_size(size, bytes.len() as u64)?;
            sink(bytes)
        }
        // A snapshot's, which nobody writes to: there is nothing to read, and nothing to compare it with.
        Content::File { expected: None, .. } if size == 0 => Ok(()),
        Content::File {
            root,
            path,
            expected,
        } => {
            let file = open(root, path)?;
            read_file(&file, size, expected.as_ref(), sink)
        }
    }
}

/// Hands all bytes of a file, from where it stands, to `sink`, under the same conditions.
pub(crate) fn read_file<E: From<ContentError>>(
    file: &File,
    size: u64,
    expected: Option<&Digest>,
    mut sink: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut hasher = expected.map(hasher_for);
    let mut found = 0;
    // One byte more than there should be shows a file that grew.
    let mut limited = file.take(size.saturating_add(1));
    let mut buffer = vec![0; buffer_length(size)];
    loop {
        let count = read_some(&mut limited, &mut buffer).map_err(ContentError::Read)?;
        if count == 0 {
            break;
        }
        found += count as u64;
        if found > size {
            return Err(ContentError::Size {
                expected: size,
                found,
            }
            .into());
        }
        let chunk = &buffer[..count];
        if let Some(hasher) = &mut hasher {
            hasher.update(chunk);
        }
        sink(chunk)?;
    }
    check_size(size, found)?;
    match (expected, hasher.map(Hasher::finish)) {
        (Some(expected), Some(found)) if *expected != found => Err(ContentError::Digest {
            expected: expected.clone(),
            found,
        }
        .into()),
        _ => Ok(()),
    }
}

/// Compares a file that was copied with what it should be, reading it from its start.
pub(crate) fn verify(file: &File, size: u64, expected: &Digest) -> Result<(), ContentError> {
    let mut from_start = file;
    from_start.rewind().map_err(ContentError::Read)?;
    read_file(file, size, Some(expected), |_| Ok(()))
}

/// Returns the digest of a file that has about `size` bytes.
pub(crate) fn digest(file: &File, size: u64) -> Result<Digest, ContentError> {
    let mut hasher = Hasher::new();
    // Most files are small, and memory that is not needed has to be cleared all the same.
    let mut buffer = vec![0; buffer_length(size)];
    let mut input = file;
    loop {
        match read_some(&mut input, &mut buffer).map_err(ContentError::Read)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// Returns how large a buffer is of which a file of `size` bytes does not fill the last byte, within a limit.
fn buffer_length(size: u64) -> usize {
    let wanted = usize::try_from(size.saturating_add(1));
    wanted.unwrap_or(usize::MAX).min(BUFFER_BYTES)
}

fn hasher_for(digest: &Digest) -> Hasher {
    Hasher::with_algorithm(digest.algorithm())
}

fn check_size(expected: u64, found: u64) -> Result<(), ContentError> {
    if found == expected {
        Ok(())
    } else {
        Err(ContentError::Size { expected, found })
    }
}

fn read_some<R: io::Read>(input: &mut R, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            found => return found,
        }
    }
}
