//! What a layer has, without the bytes of its files: enough to look names up in it without unpacking it.
//!
//! Its text has one line for each path, in the order of paths, with the fields
//!
//! ```text
//! - PATH                              removed
//! f PATH                              a regular file, or a device node, which is held as one
//! t PATH BYTES                        a regular file with its bytes: a table of users or groups
//! p PATH                              a named pipe
//! l PATH TARGET                       a symbolic link
//! d PATH HOW UID:GID:MODE SECONDS.NANOS [NAME=VALUE ...]     a directory; HOW is `o` for opaque,
//!                                     `i` for one that the tar says nothing of, `b` for both, `-` for neither
//! ```
//!
//! What is no visible character of ASCII is written as `%` with two hexadecimal digits, and so is `%` itself.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::Read;
use std::sync::Arc;

use oci::DiffId;
use rootfs::{FileTime, OwnerRecord, RootPath};

use crate::apply::{Applied, read_into};
use crate::change::Attributes;
use crate::indexer::Indexer;
use crate::limits::Limits;
use crate::room::DecoderRoom;
use crate::tarread::TarReader;
use crate::unpack::{UnpackError, digested};

/// What an index says of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Indexed {
    /// Nothing is there any more.
    Gone,
    /// A directory.
    Directory(IndexedDirectory),
    /// A symbolic link and what it says.
    Symlink(Vec<u8>),
    /// A regular file, maybe with its bytes.
    File(Option<Arc<[u8]>>),
    /// A named pipe.
    Fifo,
}

/// A directory of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexedDirectory {
    pub(crate) attributes: Attributes,
    /// It hides what the layers below have in it.
    pub(crate) opaque: bool,
    /// The tar says nothing of it: it is what it is in the layers below.
    pub(crate) implied: bool,
}

/// What a layer has, without the bytes of its files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LayerIndex {
    pub(crate) entries: BTreeMap<RootPath, Indexed>,
}

/// Reads the blob of a layer to its end, and returns what it has, with the digest of its tar. There is no index of a
/// layer that says more about those below it than which directories it shares with them.
///
/// # Errors
///
/// Fails where the blob cannot be read, the archive or an entry is refused, or an index of it would be too large.
pub fn index<R: Read + Send>(
    blob: R,
    room: &DecoderRoom,
    limits: Limits,
) -> Result<(Option<LayerIndex>, DiffId), UnpackError> {
    let tar = room.decompressor(blob).map_err(UnpackError::Read)?;
    let mut index = LayerIndex::default();
    let (applied, diff_id) = digested(tar, |tar| {
        let reader = TarReader::buffered(tar, limits);
        read_into(reader, Indexer::new(&mut index))
    })?;
    let Applied {
        unsettled,
        root_is_opaque,
        ..
    } = applied;
    let is_whole = unsettled.links.is_empty() && !root_is_opaque;
    Ok((is_whole.then_some(index), diff_id))
}

impl LayerIndex {
    /// Returns the directories that the tar says nothing of.
    pub(crate) fn implied(&self) -> impl Iterator<Item = &RootPath> {
        let is_implied = |indexed: &Indexed| matches!(indexed, Indexed::Directory(directory) if directory.implied);
        let entries = self.entries.iter();
        entries
            .filter(move |(_, indexed)| is_implied(indexed))
            .map(|(path, _)| path)
    }

    /// Reads the text of an index; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let entries = text.lines().map(parse_line).collect::<Option<_>>()?;
        Some(Self { entries })
    }
}

impl fmt::Display for LayerIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.iter().try_for_each(|(path, indexed)| {
            let path = escape(&[b"/", path.as_bytes()].concat());
            match indexed {
                Indexed::Gone => writeln!(f, "- {path}"),
                Indexed::Directory(directory) => write_directory(f, &path, directory),
                Indexed::Symlink(target) => writeln!(f, "l {path} {}", escape(target)),
                Indexed::File(None) => writeln!(f, "f {path}"),
                Indexed::File(Some(bytes)) => writeln!(f, "t {path} {}", escape(bytes)),
                Indexed::Fifo => writeln!(f, "p {path}"),
            }
        })
    }
}

fn write_directory(
    f: &mut fmt::Formatter<'_>,
    path: &str,
    directory: &IndexedDirectory,
) -> fmt::Result {
    let Attributes {
        uid,
        gid,
        mode,
        mtime,
        xattrs,
    } = &directory.attributes;
    let owner = OwnerRecord {
        uid: *uid,
        gid: *gid,
        mode: *mode,
        device: None,
    };
    let how = match (directory.opaque, directory.implied) {
        (true, true) => 'b',
        (true, false) => 'o',
        (false, true) => 'i',
        (false, false) => '-',
    };
    write!(
        f,
        "d {path} {how} {owner} {}.{}",
        mtime.seconds, mtime.nanos
    )?;
    for (name, value) in xattrs {
        write!(f, " {}={}", escape(name), escape(value))?;
    }
    f.write_char('\n')
}

fn parse_line(line: &str) -> Option<(RootPath, Indexed)> {
    let mut fields = line.split(' ');
    let (kind, path) = (fields.next()?, unescape(fields.next()?)?);
    let path = RootPath::strict(path).ok()?;
    let indexed = match kind {
        "-" => Indexed::Gone,
        "d" => Indexed::Directory(parse_directory(&mut fields)?),
        "f" => Indexed::File(None),
        "t" => Indexed::File(Some(unescape(fields.next()?)?.into())),
        "l" => Indexed::Symlink(unescape(fields.next()?)?),
        "p" => Indexed::Fifo,
        _ => return None,
    };
    fields.next().is_none().then_some((path, indexed))
}

fn parse_directory<'a>(fields: &mut impl Iterator<Item = &'a str>) -> Option<IndexedDirectory> {
    let how = fields.next()?;
    let owner = OwnerRecord::parse(fields.next()?.as_bytes()).ok()?;
    let (seconds, nanos) = fields.next()?.split_once('.')?;
    let xattrs = fields.map(|xattr| {
        let (name, value) = xattr.split_once('=')?;
        Some((unescape(name)?, unescape(value)?))
    });
    Some(IndexedDirectory {
        attributes: Attributes {
            uid: owner.uid,
            gid: owner.gid,
            mode: owner.mode,
            mtime: FileTime {
                seconds: seconds.parse().ok()?,
                nanos: nanos.parse().ok()?,
            },
            xattrs: xattrs.collect::<Option<_>>()?,
        },
        opaque: matches!(how, "o" | "b"),
        implied: matches!(how, "i" | "b"),
    })
}

/// Writes bytes as visible characters without `%` and `=`.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_graphic() && !matches!(byte, b'%' | b'=') {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02x}").expect("a string takes everything");
        }
    }
    text
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let (digits, after) = after.split_first_chunk::<2>()?;
        let digits = std::str::from_utf8(digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    Some(bytes)
}
