//! Where in a tar its files are, so that each can be read by itself: how an archive of an image that is a file is
//! read.
//!
//! The headers are read and nothing else, however large the files are.

use std::io::{Read, Seek, SeekFrom};

use crate::archive::ArchiveError;
use crate::limits::Limits;
use crate::tarread::{EntryKind, TarError, TarReader};

/// An entry of an archive that leads to bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveMember {
    /// Its name as the archive has it. It is a stranger's word.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: MemberKind,
}

/// What an entry of an archive is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberKind {
    /// A regular file.
    File {
        /// Where its first byte is in the archive.
        offset: u64,
        /// How many bytes it has.
        size_bytes: u64,
    },
    /// A symbolic link and where it leads, as the archive has it.
    Symlink(Vec<u8>),
    /// Another name of an entry before it.
    HardLink(Vec<u8>),
}

/// Lists the files and links of an uncompressed tar, in its order. Devices, directories and files with holes mean
/// nothing in the archive of an image and are passed over.
///
/// # Errors
///
/// Fails when the archive cannot be read, is malformed, ends inside a file, or exceeds a limit.
pub fn index_archive<R: Read + Seek>(
    mut tar: R,
    limits: Limits,
) -> Result<Vec<ArchiveMember>, ArchiveError> {
    let end = tar.seek(SeekFrom::End(0)).map_err(TarError::Read)?;
    tar.rewind().map_err(TarError::Read)?;
    let mut reader = TarReader::new(tar, limits);
    let mut members = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let kind = match entry.kind {
            EntryKind::File if entry.is_dense() => Some(MemberKind::File {
                offset: reader.offset(),
                size_bytes: entry.size,
            }),
            EntryKind::Symlink => Some(MemberKind::Symlink(entry.link)),
            EntryKind::HardLink => Some(MemberKind::HardLink(entry.link)),
            _ => None,
        };
        if let Some(kind) = kind {
            let name = entry.name;
            members.push(ArchiveMember { name, kind });
        }
        reader.seek_past_data()?;
        if reader.offset() > end {
            return Err(TarError::Truncated.into());
        }
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::archive_write::ArchiveWriter;

    fn archive() -> Vec<u8> {
        let mut writer = ArchiveWriter::new(Vec::new());
        writer.directory("a").unwrap();
        let long = format!("a/{}/{}", "x".repeat(200), "y".repeat(99));
        let large = vec![7; 700_000];
        for (name, content) in [("a/one", b"1".as_slice()), (&long, b""), ("a/two", &large)] {
            let size = content.len() as u64;
            writer.file(name, size, &mut { content }).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn files_are_found_where_they_are() {
        let tar = archive();
        let members = index_archive(Cursor::new(&tar), Limits::default()).unwrap();
        let found: Vec<_> = members
            .iter()
            .map(|member| {
                let MemberKind::File { offset, size_bytes } = member.kind else {
                    unreachable!("the archive has files alone");
                };
                let start = usize::try_from(offset).unwrap();
                let content = &tar[start..start + usize::try_from(size_bytes).unwrap()];
                (member.name.len(), content.len(), content.first().copied())
            })
            .collect();
        let expected = [(5, 1, Some(b'1')), (302, 0, None), (5, 700_000, Some(7))];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_archive_that_ends_inside_a_file_is_refused() {
        let tar = archive();
        for length in [tar.len() - 2048, 600_000, 2000] {
            let cut = Cursor::new(&tar[..length]);
            let error = index_archive(cut, Limits::default()).unwrap_err();
            assert_eq!(
                std::error::Error::source(&error).unwrap().to_string(),
                "the archive ends inside an entry",
                "{length}"
            );
        }
    }

    #[test]
    fn links_are_listed_with_where_they_lead() {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, target) in [
            ("a", tar::EntryType::Symlink, "../b"),
            ("c", tar::EntryType::Link, "d"),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(0);
            builder.append_link(&mut header, name, target).unwrap();
        }
        let tar = builder.into_inner().unwrap();
        let members = index_archive(Cursor::new(tar), Limits::default()).unwrap();
        let kinds: Vec<_> = members.into_iter().map(|member| member.kind).collect();
        let expected = [
            MemberKind::Symlink(b"../b".to_vec()),
            MemberKind::HardLink(b"d".to_vec()),
        ];
        assert_eq!(kinds, expected);
    }
}
