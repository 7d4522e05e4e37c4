//! A tar of regular files and directories, written one after the other: how an archive of an image is written.
//!
//! Entries belong to root, have the modes 0644 and 0755 and the time 0: the bytes are a function of the names, the
//! contents and their order.

use std::io::{self, Read, Write};

use rootfs::{Mode, RootPath};

use crate::change::Attributes;
use crate::header::BLOCK_BYTES;
use crate::write::{EntryHeader, TarOptions, WriteError, padding, write_header};

/// How much is copied at once, in bytes.
const COPY_BYTES: usize = 256 * 1024;

/// A file cannot be added to an archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveWriteError {
    /// Its name cannot be in an archive.
    #[error("`{name}` is no name for a file of an archive")]
    Name {
        /// The name.
        name: String,
    },
    /// It cannot be read.
    #[error("read `{name}`")]
    Read {
        /// Its name in the archive.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// It has another size than was said.
    #[error("`{name}` has another size than the {size_bytes} bytes that were announced")]
    Size {
        /// Its name in the archive.
        name: String,
        /// What was said.
        size_bytes: u64,
    },
    /// The archive does not take it.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Writes a tar file by file.
#[derive(Debug)]
pub struct ArchiveWriter<W> {
    out: W,
}

impl<W: Write> ArchiveWriter<W> {
    /// Begins an archive.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// Adds a directory.
    ///
    /// # Errors
    ///
    /// Fails when the output takes no more.
    pub fn directory(&mut self, name: &str) -> Result<(), ArchiveWriteError> {
        self.header(&format!("{name}/"), (b'5', 0o755), 0)
    }

    /// Adds a file of a size that is known. After a failure the archive is of no use.
    ///
    /// # Errors
    ///
    /// Fails when the content cannot be read or has another size, or the output takes no more.
    pub fn file(
        &mut self,
        name: &str,
        size_bytes: u64,
        content: &mut dyn Read,
    ) -> Result<(), ArchiveWriteError> {
        self.header(name, (b'0', 0o644), size_bytes)?;
        self.copy(name, size_bytes, content)?;
        self.put(padding(size_bytes))
    }

    /// Writes the end, and returns the output.
    ///
    /// # Errors
    ///
    /// Fails when the output takes no more.
    pub fn finish(mut self) -> Result<W, ArchiveWriteError> {
        self.put(&[0; 2 * BLOCK_BYTES])?;
        Ok(self.out)
    }

    fn header(
        &mut self,
        name: &str,
        (typeflag, mode): (u8, u32),
        size: u64,
    ) -> Result<(), ArchiveWriteError> {
        let path = RootPath::strict(name.trim_end_matches('/')).map_err(|_not_a_path| {
            let name = name.to_owned();
            ArchiveWriteError::Name { name }
        })?;
        let attributes = Attributes {
            mode: Mode::new(mode),
            ..Attributes::default()
        };
        let entry = EntryHeader {
            name: name.as_bytes().to_vec(),
            link: &[],
            typeflag,
            size,
            device: (0, 0),
            attributes: &attributes,
        };
        Ok(write_header(
            &path,
            &entry,
            &TarOptions::default(),
            &mut self.out,
        )?)
    }

    fn copy(
        &mut self,
        name: &str,
        size_bytes: u64,
        content: &mut dyn Read,
    ) -> Result<(), ArchiveWriteError> {
        let mut left = size_bytes;
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            let count = match content.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    let name = name.to_owned();
                    return Err(ArchiveWriteError::Read { name, source });
                }
            };
            if count == 0 && left == 0 {
                return Ok(());
            }
            let rest = left.checked_sub(count as u64).filter(|_| count > 0);
            let Some(rest) = rest else {
                let name = name.to_owned();
                return Err(ArchiveWriteError::Size { name, size_bytes });
            };
            left = rest;
            self.put(buffer.get(..count).unwrap_or_default())?;
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), ArchiveWriteError> {
        let written = self.out.write_all(bytes).map_err(WriteError::Output);
        Ok(written?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::archive::ArchiveReader;

    #[test]
    fn what_was_written_is_read_back() {
        let mut writer = ArchiveWriter::new(Vec::new());
        writer.directory("blobs").unwrap();
        writer.file("blobs/a", 3, &mut b"abc".as_slice()).unwrap();
        writer.file("b", 0, &mut b"".as_slice()).unwrap();
        let tar = writer.finish().unwrap();
        assert_eq!(tar.len() % BLOCK_BYTES, 0);
        let mut reader = ArchiveReader::new(tar.as_slice(), Limits::default());
        let mut found = Vec::new();
        while let Some(mut file) = reader.next_file().unwrap() {
            let mut content = String::new();
            file.read_to_string(&mut content).unwrap();
            found.push((String::from_utf8(file.name).unwrap(), content));
        }
        let expected = [("blobs/a", "abc"), ("b", "")];
        assert_eq!(
            found,
            expected.map(|(name, text)| (name.to_owned(), text.to_owned()))
        );
    }

    #[test]
    fn a_file_of_another_size_and_a_name_that_leads_out_are_refused() {
        let mut writer = ArchiveWriter::new(Vec::new());
        for (name, size, expected) in [
            (
                "a",
                2,
                "`a` has another size than the 2 bytes that were announced",
            ),
            (
                "a",
                4,
                "`a` has another size than the 4 bytes that were announced",
            ),
            ("../a", 3, "`../a` is no name for a file of an archive"),
        ] {
            let error = writer.file(name, size, &mut b"abc".as_slice());
            assert_eq!(error.unwrap_err().to_string(), expected);
        }
    }
}
