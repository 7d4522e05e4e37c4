//! The index of a stash: every object of a tree, with the digests of its files.
//!
//! Its text begins with [`FORMAT`]; then comes one line for each object, in the order of paths, with tabs between
//! the fields. The top directory is the first one.
//!
//! ```text
//! PATH UID:GID:MODE SECONDS.NANOS NAME=VALUE,… d
//! PATH UID:GID:MODE SECONDS.NANOS NAME=VALUE,… f SIZE PACK DIGEST
//! PATH UID:GID:MODE SECONDS.NANOS NAME=VALUE,… l TARGET
//! PATH UID:GID:MODE SECONDS.NANOS NAME=VALUE,… h PATH
//! PATH UID:GID:MODE SECONDS.NANOS NAME=VALUE,… p
//! ```

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read};

use oci::Digest;
use rootfs::RootPath;

use super::text;
use crate::change::Attributes;
use crate::limits::{
    STASH_BYTES_MAX, STASH_ENTRIES_MAX, STASH_INDEX_MAX_BYTES, STASH_LINE_MAX_BYTES,
};
use crate::xattr;

/// The first line of an index.
const FORMAT: &str = "careen stash 1";

/// What is said of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StashEntry {
    /// Owner, mode, time and extended attributes.
    pub attributes: Attributes,
    /// What kind of object it is, with what only that kind has.
    pub object: StashObject,
}

/// A kind of object. Devices and sockets are in no stash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StashObject {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Its size in bytes.
        size: u64,
        /// The number of the pack that has its bytes; of an empty file it says nothing.
        pack: u32,
        /// The digest of its bytes.
        digest: Digest,
    },
    /// A symbolic link.
    Symlink {
        /// What it says.
        target: Vec<u8>,
    },
    /// Another name of a file that comes before.
    HardLink {
        /// The path of that file.
        target: RootPath,
    },
    /// A named pipe.
    Fifo,
}

/// Every object of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StashIndex {
    pub(super) entries: BTreeMap<RootPath, StashEntry>,
}

/// Bytes that are no index.
#[derive(Debug, thiserror::Error)]
pub enum StashIndexError {
    /// They cannot be read or uncompressed.
    #[error("read the index of a cache mount")]
    Read(#[source] io::Error),
    /// They begin with something else.
    #[error("the index of a cache mount does not begin with `{FORMAT}`")]
    Format,
    /// A line has the wrong form.
    #[error("line {line} of the index of a cache mount is malformed")]
    Malformed {
        /// The number of the line, from 1.
        line: u64,
    },
    /// An object cannot be where a line puts it.
    #[error("line {line} of the index of a cache mount: `{}` cannot be there", path.absolute())]
    Misplaced {
        /// The number of the line, from 1.
        line: u64,
        /// The object.
        path: RootPath,
    },
    /// There is more than is taken.
    #[error("a cache mount has more than {limit} {what}")]
    TooLarge {
        /// The bound.
        limit: u64,
        /// What there is too much of.
        what: &'static str,
    },
}

impl StashIndex {
    /// Returns the objects in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&RootPath, &StashEntry)> {
        self.entries.iter()
    }

    /// Returns what is at a path.
    pub fn get(&self, path: &RootPath) -> Option<&StashEntry> {
        self.entries.get(path)
    }

    /// Takes an object out, with what is in it and what is a name of it.
    pub fn leave_out(&mut self, path: &RootPath) {
        self.entries.retain(|other, entry| {
            let is_name = matches!(&entry.object, StashObject::HardLink { target } if target.starts_with(path));
            !is_name && !other.starts_with(path)
        });
    }

    /// Returns its text, which is the same for the same objects.
    ///
    /// # Errors
    ///
    /// Fails where nobody would read it back, because there is too much in it.
    pub fn to_text(&self) -> Result<String, StashIndexError> {
        let mut bounds = Bounds::default();
        let mut out = format!("{FORMAT}\n");
        for (path, entry) in &self.entries {
            bounds.take(entry)?;
            out.push_str(&line(path, entry));
            out.push('\n');
            check_text(out.len() as u64)?;
        }
        Ok(out)
    }

    /// Reads an index, which may be compressed and is not trusted.
    ///
    /// # Errors
    ///
    /// Fails where it is damaged, has no place for an object, or has more than the bounds allow.
    pub fn read<R: Read + Send>(reader: R) -> Result<Self, StashIndexError> {
        let plain = crate::decompress::decompressor(reader).map_err(StashIndexError::Read)?;
        let mut lines = Lines {
            input: BufReader::new(plain.take(STASH_INDEX_MAX_BYTES + 1)),
            number: 0,
            bounds: Bounds::default(),
            read_bytes: 0,
        };
        if lines.next()?.as_deref() != Some(FORMAT) {
            return Err(StashIndexError::Format);
        }
        let mut index = Self::default();
        while let Some(text) = lines.next()? {
            let line = lines.number;
            let parsed = parse(&text).ok_or(StashIndexError::Malformed { line })?;
            lines.bounds.take(&parsed.1)?;
            index.add(line, parsed)?;
        }
        Ok(index)
    }

    /// Adds an object, if what is above it is a directory and what it is a name of is a file.
    fn add(
        &mut self,
        line: u64,
        (path, entry): (RootPath, StashEntry),
    ) -> Result<(), StashIndexError> {
        let is_next = self
            .entries
            .last_key_value()
            .is_none_or(|(last, _)| *last < path);
        let has_place = match path.parent() {
            None => entry.object == StashObject::Directory,
            Some(parent) => self.is_directory(&parent),
        };
        let is_linked = match &entry.object {
            StashObject::HardLink { target } => self.is_file(target),
            _ => true,
        };
        if !(is_next && has_place && is_linked) {
            return Err(StashIndexError::Misplaced { line, path });
        }
        self.entries.insert(path, entry);
        Ok(())
    }

    fn is_directory(&self, path: &RootPath) -> bool {
        matches!(self.get(path), Some(entry) if entry.object == StashObject::Directory)
    }

    fn is_file(&self, path: &RootPath) -> bool {
        let object = self.get(path).map(|entry| &entry.object);
        !matches!(
            object,
            None | Some(StashObject::Directory | StashObject::HardLink { .. })
        )
    }
}

/// What has been counted against the bounds.
#[derive(Debug, Default)]
struct Bounds {
    entries: u64,
    file_bytes: u64,
}

impl Bounds {
    fn take(&mut self, entry: &StashEntry) -> Result<(), StashIndexError> {
        self.entries += 1;
        check(self.entries, STASH_ENTRIES_MAX, "files and directories")?;
        if let StashObject::File { size, .. } = entry.object {
            self.file_bytes = self.file_bytes.saturating_add(size);
        }
        check(self.file_bytes, STASH_BYTES_MAX, "bytes")
    }
}

fn check_text(bytes: u64) -> Result<(), StashIndexError> {
    check(bytes, STASH_INDEX_MAX_BYTES, "bytes of index")
}

fn check(found: u64, limit: u64, what: &'static str) -> Result<(), StashIndexError> {
    if found > limit {
        return Err(StashIndexError::TooLarge { limit, what });
    }
    Ok(())
}

/// The lines of an index that is being read.
struct Lines<R> {
    input: BufReader<R>,
    number: u64,
    bounds: Bounds,
    read_bytes: u64,
}

impl<R: Read> Lines<R> {
    fn next(&mut self) -> Result<Option<String>, StashIndexError> {
        self.number += 1;
        let mut line = Vec::new();
        let mut limited = (&mut self.input).take(STASH_LINE_MAX_BYTES);
        let count = limited
            .read_until(b'\n', &mut line)
            .map_err(StashIndexError::Read)?;
        if count == 0 {
            return Ok(None);
        }
        self.read_bytes += count as u64;
        check_text(self.read_bytes)?;
        let text = line
            .strip_suffix(b"\n")
            .and_then(|line| String::from_utf8(line.to_vec()).ok());
        // One that ends without a newline was cut off.
        text.map(Some)
            .ok_or(StashIndexError::Malformed { line: self.number })
    }
}

fn line(path: &RootPath, entry: &StashEntry) -> String {
    let attributes = text::attributes(&entry.attributes);
    let object = match &entry.object {
        StashObject::Directory => "d".to_owned(),
        StashObject::File { size, pack, digest } => format!("f\t{size}\t{pack}\t{digest}"),
        StashObject::Symlink { target } => format!("l\t{}", text::hex(target)),
        StashObject::HardLink { target } => format!("h\t{target}"),
        StashObject::Fifo => "p".to_owned(),
    };
    format!("{path}\t{attributes}\t{object}")
}

fn parse(line: &str) -> Option<(RootPath, StashEntry)> {
    let mut fields = line.split('\t');
    let path = text::parse_path(fields.next()?)?;
    let attributes = text::parse_attributes(&mut fields)?;
    let object = match fields.next()? {
        "d" => StashObject::Directory,
        "f" => StashObject::File {
            size: fields.next()?.parse().ok()?,
            pack: fields.next()?.parse().ok()?,
            digest: Digest::parse(fields.next()?).ok()?,
        },
        "l" => StashObject::Symlink {
            target: text::unhex(fields.next()?).filter(|target| !target.is_empty())?,
        },
        "h" => StashObject::HardLink {
            target: text::parse_path(fields.next()?)?,
        },
        "p" => StashObject::Fifo,
        _ => return None,
    };
    let is_honest =
        fields.next().is_none() && attributes.xattrs.keys().all(|name| xattr::is_kept(name));
    is_honest.then_some((path, StashEntry { attributes, object }))
}
