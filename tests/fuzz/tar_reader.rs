//! F2: the tar reader, against its own index and against the `tar` crate.
//!
//! What is accepted has one meaning: the files that are read one after the other are those that the index finds, with the
//! same bytes; and the other reader, where it accepts the archive too, finds those files.

use std::collections::BTreeSet;
use std::io::{Cursor, Read as _};

use layer::{ArchiveReader, Limits, MemberKind, index_archive};
use tar::EntryType;

use crate::tarball;

type Files = Vec<(Vec<u8>, Vec<u8>)>;

const LIMITS: Limits = Limits {
    entries: 10_000,
    unpacked_bytes: 1 << 24,
    stream_bytes: 1 << 24,
};

/// Reads an archive in three ways.
///
/// # Panics
///
/// Panics where they differ.
pub fn check(data: &[u8]) {
    let tar = tarball::with_sums(data);
    let read = read(&tar);
    let indexed = indexed(&tar);
    if let (Some(read), Some(indexed)) = (&read, &indexed) {
        assert_eq!(read, indexed, "reader and index");
    }
    if let (Some(read), Some(other)) = (read, other_read(&tar)) {
        assert_eq!(read, other, "reader and the `tar` crate");
    }
}

fn read(tar: &[u8]) -> Option<Files> {
    let mut reader = ArchiveReader::new(tar, LIMITS);
    let mut files = Files::new();
    while let Some(mut file) = reader.next_file().ok()? {
        let mut content = Vec::new();
        file.read_to_end(&mut content).ok()?;
        assert_eq!(content.len() as u64, file.size_bytes);
        files.push((file.name, content));
    }
    Some(files)
}

fn indexed(tar: &[u8]) -> Option<Files> {
    let members = index_archive(Cursor::new(tar), LIMITS).ok()?;
    let mut files = Files::new();
    for member in members {
        if let MemberKind::File { offset, size_bytes } = member.kind {
            let start = usize::try_from(offset).expect("an offset in memory");
            let size = usize::try_from(size_bytes).expect("a size in memory");
            files.push((member.name, tar[start..start + size].to_vec()));
        }
    }
    Some(files)
}

/// Reads with the `tar` crate; nothing where it refuses the archive, or is known to see something else.
fn other_read(tar: &[u8]) -> Option<Files> {
    let mut archive = tar::Archive::new(tar);
    let mut files = Files::new();
    for entry in archive.entries().ok()? {
        let mut entry = entry.ok()?;
        let kind = entry.header().entry_type();
        if kind == EntryType::GNUSparse || is_extension(kind) || is_misread(&mut entry) {
            return None;
        }
        let name = entry.path_bytes().into_owned();
        if name.contains(&0) {
            // It takes one NUL from the end of a long name; others read up to the first.
            return None;
        }
        // Old archives write directories so, and this reader takes them for files.
        let is_directory = name.ends_with(b"/");
        if is_file(entry.header().entry_type()) && !is_directory {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).ok()?;
            files.push((name, content));
        }
    }
    Some(files)
}

/// Every kind that is not known is that of a file (POSIX, pax, "ustar Interchange Format").
fn is_file(kind: EntryType) -> bool {
    matches!(kind, EntryType::Regular | EntryType::Continuous)
}

/// What says more of the next entry is none that the crate shows, unless another version than 00 stands behind `ustar`: then
/// it takes it for an entry, and others do not.
fn is_extension(kind: EntryType) -> bool {
    kind.is_pax_local_extensions() || kind.is_gnu_longname() || kind.is_gnu_longlink()
}

/// The crate knows nothing of sparse files in PAX records; it splits records at newlines in their values, of which it then
/// leaves out what has not the length that it says; of two records of one name it takes the first; and a name of GNU's goes
/// before one of them.
fn is_misread<R: std::io::Read>(entry: &mut tar::Entry<'_, R>) -> bool {
    let Ok(Some(records)) = entry.pax_extensions() else {
        return false;
    };
    let Ok(records) = records.into_iter().collect::<Result<Vec<_>, _>>() else {
        return true;
    };
    let mut keys = BTreeSet::new();
    let is_odd = |record: &tar::PaxExtension<'_>| {
        record.key_bytes().starts_with(b"GNU.sparse") || !keys.insert(record.key_bytes().to_owned())
    };
    if records.iter().any(is_odd) {
        return true;
    }
    let mut paths = records
        .iter()
        .filter(|record| record.key_bytes() == b"path");
    let path = paths.next().map(|record| record.value_bytes().to_owned());
    path.is_some_and(|path| path != *entry.path_bytes())
}
