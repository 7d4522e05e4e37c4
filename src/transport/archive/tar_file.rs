//! A tar that is a file, with its members found by name: [`TarFile`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek as _, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use layer::{ArchiveFormat, Limits, MemberKind};
use store::{Spool, Store};

use super::ArchiveSourceError;
use crate::limits::{ARCHIVE_MEMBERS_MAX, LINKS_MAX};
use crate::stop::Stop;

/// As many bytes as tell how something is compressed.
const MAGIC_BYTES: usize = 6;

/// Where the bytes of an archive are.
#[derive(Debug)]
enum Bytes {
    /// In the user's file.
    File(File),
    /// In one of ours: what the user has is compressed, or comes only once.
    Spool(Spool),
}

impl Bytes {
    fn file(&self) -> &File {
        match self {
            Self::File(file) => file,
            Self::Spool(spool) => spool.file(),
        }
    }
}

/// Where in an archive a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Extent {
    offset: u64,
    pub(super) size_bytes: u64,
}

/// A tar with its members.
#[derive(Debug)]
pub(super) struct TarFile {
    bytes: Arc<Bytes>,
    pub(super) path: PathBuf,
    files: BTreeMap<String, Extent>,
    /// Where the links lead, by their names.
    links: BTreeMap<String, String>,
    /// The names that more than one file has.
    twice: BTreeSet<String>,
}

impl TarFile {
    /// Opens an archive. One that is compressed, or no regular file, is unpacked into the store first.
    pub(super) fn open(
        path: &Path,
        store: &Store,
        stop: &Stop,
    ) -> Result<Self, ArchiveSourceError> {
        let open = || {
            let file = File::open(path)?;
            let is_regular = file.metadata()?.is_file();
            let is_plain = is_regular && format_at(&file, 0)? == ArchiveFormat::Plain;
            Ok((file, is_plain))
        };
        let (file, is_plain) = open().map_err(|source| ArchiveSourceError::Open {
            path: path.to_owned(),
            source,
        })?;
        if is_plain {
            return Self::index(Bytes::File(file), path);
        }
        Self::spool(file, (path, store), stop)
    }

    /// Takes an archive that comes only once.
    pub(super) fn spool<R: Read + Send>(
        reader: R,
        (path, store): (&Path, &Store),
        stop: &Stop,
    ) -> Result<Self, ArchiveSourceError> {
        let spool = store.spool().map_err(ArchiveSourceError::Spool)?;
        let copy = || {
            let mut tar = layer::decompressor(reader)?;
            let mut out = spool.file();
            copy_until(&mut tar, &mut out, stop)?;
            out.rewind()
        };
        copy().map_err(|source| ArchiveSourceError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::index(Bytes::Spool(spool), path)
    }

    fn index(bytes: Bytes, path: &Path) -> Result<Self, ArchiveSourceError> {
        let limits = Limits {
            entries: ARCHIVE_MEMBERS_MAX,
            ..Limits::default()
        };
        let members = layer::index_archive(bytes.file(), limits)?;
        let mut tar = Self {
            bytes: Arc::new(bytes),
            path: path.to_owned(),
            files: BTreeMap::new(),
            links: BTreeMap::new(),
            twice: BTreeSet::new(),
        };
        for member in members {
            // What leads out of the archive, or is no text, is the name of nothing that an image has.
            if let Some(name) = normal(&member.name) {
                tar.add(name, member.kind);
            }
        }
        Ok(tar)
    }

    fn add(&mut self, name: String, kind: MemberKind) {
        if self.files.contains_key(&name) || self.links.contains_key(&name) {
            self.twice.insert(name.clone());
        }
        match kind {
            MemberKind::File { offset, size_bytes } => {
                self.files.insert(name, Extent { offset, size_bytes });
            }
            MemberKind::Symlink(target) => {
                let directory = name.rsplit_once('/').map_or("", |(directory, _)| directory);
                let target = [directory.as_bytes(), b"/", &target].concat();
                self.link(name, &target);
            }
            MemberKind::HardLink(target) => self.link(name, &target),
        }
    }

    fn link(&mut self, name: String, target: &[u8]) {
        if let Some(target) = normal(target) {
            self.links.insert(name, target);
        }
    }

    /// Finds a file by its name, or by the name of a link to it.
    pub(super) fn find(&self, name: &str) -> Option<Extent> {
        let mut name = normal(name.as_bytes())?;
        for _ in 0..LINKS_MAX {
            match self.links.get(&name) {
                Some(target) => name.clone_from(target),
                None => return self.files.get(&name).copied(),
            }
        }
        None
    }

    /// Returns the files below a directory, by the rest of their names.
    pub(super) fn below<'a>(
        &'a self,
        directory: &'a str,
    ) -> impl Iterator<Item = (&'a str, Extent)> {
        let files = self.files.range(directory.to_owned()..);
        files.map_while(move |(name, extent)| Some((name.strip_prefix(directory)?, *extent)))
    }

    /// Reads a document; nothing where there is none.
    pub(super) fn document(
        &self,
        name: &str,
        limit_bytes: u64,
    ) -> Result<Option<Vec<u8>>, ArchiveSourceError> {
        let Some(extent) = self.find(name) else {
            return Ok(None);
        };
        if self.twice.contains(name) {
            return Err(ArchiveSourceError::Twice {
                path: self.path.clone(),
                name: name.to_owned(),
            });
        }
        if extent.size_bytes > limit_bytes {
            return Err(ArchiveSourceError::TooLarge {
                path: self.path.clone(),
                name: name.to_owned(),
                limit_bytes,
            });
        }
        let mut bytes = Vec::new();
        let read = self.reader(extent, 0).read_to_end(&mut bytes);
        read.map_err(|source| self.unreadable(source))?;
        Ok(Some(bytes))
    }

    /// Returns how a file is compressed.
    pub(super) fn format(&self, extent: Extent) -> Result<ArchiveFormat, ArchiveSourceError> {
        let mut start = Vec::new();
        let mut reader = self.reader(extent, 0).take(MAGIC_BYTES as u64);
        let read = reader.read_to_end(&mut start);
        read.map_err(|source| self.unreadable(source))?;
        Ok(layer::sniff(&start))
    }

    /// Reads a file from an offset on; nobody verifies what is read.
    pub(super) fn reader(&self, extent: Extent, from: u64) -> ExtentReader {
        ExtentReader {
            bytes: Arc::clone(&self.bytes),
            at: extent.offset.saturating_add(from),
            left: extent.size_bytes.saturating_sub(from),
        }
    }

    pub(super) fn unreadable(&self, source: io::Error) -> ArchiveSourceError {
        ArchiveSourceError::Read {
            path: self.path.clone(),
            source,
        }
    }
}

/// Reads a part of an archive; several do so at once.
#[derive(Debug)]
pub(super) struct ExtentReader {
    bytes: Arc<Bytes>,
    at: u64,
    left: u64,
}

impl Read for ExtentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let count = self.bytes.file().read_at(&mut buffer[..wanted], self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

fn format_at(file: &File, offset: u64) -> io::Result<ArchiveFormat> {
    let mut start = [0; MAGIC_BYTES];
    let count = file.read_at(&mut start, offset)?;
    Ok(layer::sniff(start.get(..count).unwrap_or_default()))
}

fn copy_until(reader: &mut dyn Read, out: &mut dyn Write, stop: &Stop) -> io::Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        if stop.is_stopped() {
            return Err(io::Error::other("reading was ended"));
        }
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => out.write_all(buffer.get(..count).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Returns a name without what does not matter in it; nothing for one that leads out of the archive, or is no text.
fn normal(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let mut words = Vec::new();
    for word in name.split('/') {
        match word {
            "" | "." => {}
            ".." => {
                words.pop()?;
            }
            word => words.push(word),
        }
    }
    Some(words.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_out_of_the_archive() {
        for (name, expected) in [
            ("./a/b", Some("a/b")),
            ("/a//b/", Some("a/b")),
            ("a/../b", Some("b")),
            ("a/../../b", None),
            ("..", None),
        ] {
            assert_eq!(normal(name.as_bytes()).as_deref(), expected, "{name}");
        }
        assert_eq!(normal(b"\xff"), None);
    }
}
