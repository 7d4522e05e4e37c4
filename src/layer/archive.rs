//! The regular files of a tar, one after the other: how an archive of an image is read.
//!
//! Nothing is written: names and bytes are handed to the caller. Links, devices and files with holes mean
//! nothing in such an archive and are passed over.

use std::io::{self, BufReader, Read, Seek as _};

use rootfs::File;

use crate::decompress::{ArchiveFormat, decompressor, sniff};
use crate::header::{self, BLOCK_BYTES};
use crate::limits::Limits;
use crate::tarread::{EntryKind, TarError, TarReader};

/// A tar that is read file by file.
#[derive(Debug)]
pub struct ArchiveReader<R> {
    reader: TarReader<BufReader<R>>,
}

/// Tells whether a file begins as a tar does, compressed or not: by its content, whatever its name.
///
/// # Errors
///
/// Fails when the file cannot be read. What cannot be decompressed is no archive.
pub fn is_archive(mut file: &File) -> io::Result<bool> {
    let mut start = [0; BLOCK_BYTES];
    let found = read_up_to(&mut file, &mut start)?;
    file.rewind()?;
    if sniff(&start[..found]) == ArchiveFormat::Plain {
        return Ok(found == BLOCK_BYTES && is_header(&start));
    }
    let mut block = [0; BLOCK_BYTES];
    let read = decompressor(file).and_then(|mut tar| read_up_to(&mut tar, &mut block));
    file.rewind()?;
    Ok(read.is_ok_and(|count| count == BLOCK_BYTES) && is_header(&block))
}

/// Tells whether the first 512 bytes, or all that there are, may be the beginning of an archive: of a tar, or of
/// something that is compressed.
pub fn begins_archive(start: &[u8]) -> bool {
    let header = start.first_chunk::<BLOCK_BYTES>();
    sniff(start) != ArchiveFormat::Plain || header.is_some_and(is_header)
}

fn is_header(block: &[u8; BLOCK_BYTES]) -> bool {
    header::parse(block).is_ok()
}

fn read_up_to(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match reader.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(read) => count += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// One file of an archive; reading gives its bytes.
#[derive(Debug)]
pub struct ArchiveFile<'a, R> {
    /// Its name as the archive has it. It is a stranger's word.
    pub name: Vec<u8>,
    /// Its size.
    pub size_bytes: u64,
    reader: &'a mut TarReader<BufReader<R>>,
    left_bytes: u64,
}

/// An archive cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("read the archive")]
pub struct ArchiveError(#[from] pub(crate) TarError);

impl<R: Read> ArchiveReader<R> {
    /// Reads an uncompressed tar.
    pub fn new(tar: R, limits: Limits) -> Self {
        Self {
            reader: TarReader::new(tar, limits),
        }
    }

    /// Returns the next file, whatever was left of the one before.
    ///
    /// # Errors
    ///
    /// Fails when the archive is malformed, or exceeds a limit.
    pub fn next_file(&mut self) -> Result<Option<ArchiveFile<'_, R>>, ArchiveError> {
        while let Some(entry) = self.reader.next_entry()? {
            if entry.kind == EntryKind::File && entry.is_dense() {
                return Ok(Some(ArchiveFile {
                    name: entry.name,
                    size_bytes: entry.size,
                    left_bytes: entry.size,
                    reader: &mut self.reader,
                }));
            }
        }
        Ok(None)
    }
}

impl<R: Read> Read for ArchiveFile<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = self.left_bytes.min(buffer.len() as u64);
        let data = self.reader.data(wanted).map_err(io::Error::other)?;
        let count = data.len();
        buffer[..count].copy_from_slice(data);
        self.reader.consume(count).map_err(io::Error::other)?;
        self.left_bytes -= count as u64;
        Ok(count)
    }
}
