//! Changes → a tar whose bytes are a function of the changes and the options.
//!
//! Every entry is a ustar header; what does not fit there goes into a PAX header before it (long paths
//! and links, large sizes and ids, times before 1970, extended attributes). A removed name is an empty
//! file `.wh.NAME`, an opaque directory is followed by `.wh..wh..opq` (image-spec layer.md). There are no
//! user and group names, access times or format extensions of one program.

use std::io::{self, Write};

use rootfs::{FileTime, Mode, RootPath};
use tar::Header;

use crate::change::{Attributes, Change, ChangeKind, Changes, Node, NodeKind};
use crate::content::{self, ContentError};
use crate::diff::DiffError;
use crate::header::{BLOCK_BYTES, put_octal, put_text};
use crate::pax::{self, push_record};
use crate::whiteout;

/// How exact the times of entries are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimePrecision {
    /// Whole seconds, rounded down, as BuildKit writes them.
    #[default]
    Seconds,
    /// Nanoseconds, in a PAX record where they are not zero.
    Nanoseconds,
}

/// Which times entries have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Times {
    /// Those of the changes.
    #[default]
    Kept,
    /// Those of the changes, but for later ones than this (`rewrite-timestamp`).
    NotAfter(oci::Timestamp),
    /// This one.
    All(oci::Timestamp),
}

impl Times {
    /// Returns the time that an object with a time of its own gets.
    #[must_use]
    pub fn of(self, own: FileTime) -> FileTime {
        let file_time = |time: oci::Timestamp| FileTime {
            seconds: time.seconds(),
            nanos: time.nanos(),
        };
        match self {
            Self::Kept => own,
            Self::NotAfter(limit) => own.min(file_time(limit)),
            Self::All(time) => file_time(time),
        }
    }
}

/// How changes become a tar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TarOptions {
    /// Which times entries have.
    pub times: Times,
    /// How exact times are.
    pub precision: TimePrecision,
}

/// A tar that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The changes cannot be read.
    #[error("read the changes of a layer")]
    Changes(#[source] DiffError),
    /// The bytes of a file are not what the change says.
    #[error("pack `{}`", path.absolute())]
    Content {
        /// The file in the image.
        path: RootPath,
        /// What is wrong.
        #[source]
        source: ContentError,
    },
    /// An object has a name that a layer uses to say that something is gone.
    #[error("`{}` cannot be in a layer: names that start with `.wh.` mean that something is gone", path.absolute())]
    MarkerName {
        /// The object.
        path: RootPath,
    },
    /// The name of an extended attribute has an equals sign, at which readers would end it.
    #[error("the extended attribute `{}` of `{}` cannot be in a tar", name.escape_ascii(), path.absolute())]
    XattrName {
        /// The object.
        path: RootPath,
        /// The attribute.
        name: Vec<u8>,
    },
    /// What is said of one object is too large to be read back.
    #[error("the extended attributes of `{}` are more than a tar reader takes", path.absolute())]
    LargeExtension {
        /// The object.
        path: RootPath,
    },
    /// The output does not take the bytes.
    #[error("write the tar")]
    Output(#[source] io::Error),
}

/// An entry, as it is written.
pub(crate) struct EntryHeader<'a> {
    pub(crate) name: Vec<u8>,
    pub(crate) link: &'a [u8],
    pub(crate) typeflag: u8,
    pub(crate) size: u64,
    pub(crate) device: (u32, u32),
    pub(crate) attributes: &'a Attributes,
}

/// Writes changes as a tar, and its end.
///
/// # Errors
///
/// Fails where the changes or a file cannot be read, a file is not what its change says, a name cannot
/// be in a layer, or the output takes no more.
pub fn write_tar<C: Changes, W: Write>(
    changes: C,
    options: &TarOptions,
    out: &mut W,
) -> Result<(), WriteError> {
    for change in changes {
        write_change(&change.map_err(WriteError::Changes)?, options, out)?;
    }
    put(out, &[0; 2 * BLOCK_BYTES])
}

fn write_change<W: Write>(
    change: &Change,
    options: &TarOptions,
    out: &mut W,
) -> Result<(), WriteError> {
    let path = &change.path;
    if path.components().any(whiteout::is_marker) {
        return Err(WriteError::MarkerName { path: path.clone() });
    }
    match &change.kind {
        ChangeKind::Delete => {
            let parent = path.parent().unwrap_or_default();
            let name = [whiteout::PREFIX, path.file_name().unwrap_or_default()].concat();
            write_marker(&parent, &name, options, out)
        }
        ChangeKind::Put(node) => write_node(path, node, options, out),
    }
}

fn write_node<W: Write>(
    path: &RootPath,
    node: &Node,
    options: &TarOptions,
    out: &mut W,
) -> Result<(), WriteError> {
    write_header(path, &entry_of(path, node), options, out)?;
    match &node.kind {
        NodeKind::Directory { opaque: true } => write_marker(path, whiteout::OPAQUE, options, out),
        NodeKind::File { size, content } => {
            let failed = |source| WriteError::Content {
                path: path.clone(),
                source,
            };
            content::read(content, *size, |chunk| {
                out.write_all(chunk).map_err(PutError::Output)
            })
            .map_err(|error| match error {
                PutError::Content(source) => failed(source),
                PutError::Output(source) => WriteError::Output(source),
            })?;
            put(out, padding(*size))
        }
        _ => Ok(()),
    }
}

/// Why the bytes of a file did not get from where they are to the output.
enum PutError {
    Content(ContentError),
    Output(io::Error),
}

impl From<ContentError> for PutError {
    fn from(error: ContentError) -> Self {
        Self::Content(error)
    }
}

fn entry_of<'a>(path: &RootPath, node: &'a Node) -> EntryHeader<'a> {
    let mut entry = EntryHeader {
        name: path.as_bytes().to_vec(),
        link: &[],
        typeflag: b'0',
        size: 0,
        device: (0, 0),
        attributes: &node.attributes,
    };
    match &node.kind {
        NodeKind::Directory { .. } => {
            entry.typeflag = b'5';
            entry
                .name
                .extend_from_slice(if path.is_root() { b"./" } else { b"/" });
        }
        NodeKind::File { size, .. } => entry.size = *size,
        NodeKind::Symlink { target } => (entry.typeflag, entry.link) = (b'2', target),
        NodeKind::HardLink { target } => (entry.typeflag, entry.link) = (b'1', target.as_bytes()),
        NodeKind::CharDevice { major, minor } => {
            (entry.typeflag, entry.device) = (b'3', (*major, *minor));
        }
        NodeKind::BlockDevice { major, minor } => {
            (entry.typeflag, entry.device) = (b'4', (*major, *minor));
        }
        NodeKind::Fifo => entry.typeflag = b'6',
    }
    entry
}

/// Writes an empty file that says something of the directory that it is in. It is nobody's file, so it
/// has no owner, mode and time.
fn write_marker<W: Write>(
    parent: &RootPath,
    name: &[u8],
    options: &TarOptions,
    out: &mut W,
) -> Result<(), WriteError> {
    let attributes = Attributes::default();
    let slash: &[u8] = if parent.is_root() { b"" } else { b"/" };
    let name = [parent.as_bytes(), slash, name].concat();
    let entry = EntryHeader {
        name,
        link: &[],
        typeflag: b'0',
        size: 0,
        device: (0, 0),
        attributes: &attributes,
    };
    write_header(parent, &entry, options, out)
}

pub(crate) fn write_header<W: Write>(
    path: &RootPath,
    entry: &EntryHeader<'_>,
    options: &TarOptions,
    out: &mut W,
) -> Result<(), WriteError> {
    let mut records = Vec::new();
    for (name, value) in &entry.attributes.xattrs {
        if name.contains(&b'=') {
            return Err(WriteError::XattrName {
                path: path.clone(),
                name: name.clone(),
            });
        }
        push_record(&mut records, &[pax::XATTR_PREFIX, name].concat(), value);
    }
    let header = encode(entry, mtime(entry, options), &mut records);
    if pax::is_too_large(&records) {
        return Err(WriteError::LargeExtension { path: path.clone() });
    }
    if !records.is_empty() {
        put(out, extension_header(path, records.len()).as_bytes())?;
        put(out, &records)?;
        put(out, padding(records.len() as u64))?;
    }
    put(out, header.as_bytes())
}

fn mtime(entry: &EntryHeader<'_>, options: &TarOptions) -> FileTime {
    let time = options.times.of(entry.attributes.mtime);
    match options.precision {
        TimePrecision::Seconds => FileTime { nanos: 0, ..time },
        TimePrecision::Nanoseconds => time,
    }
}

/// Fills a header, and adds a record for whatever does not fit there.
fn encode(entry: &EntryHeader<'_>, mtime: FileTime, records: &mut Vec<u8>) -> Header {
    let attributes = entry.attributes;
    let mut header = Header::new_ustar();
    if let Some(ustar) = header.as_ustar_mut() {
        let mut record = |fits: bool, key: &[u8], value: &[u8]| {
            if !fits {
                push_record(records, key, value);
            }
        };
        let seconds = u64::try_from(mtime.seconds);
        let fits = put_octal(&mut ustar.gid, attributes.gid.into());
        record(fits, b"gid", attributes.gid.to_string().as_bytes());
        record(
            put_text(&mut ustar.linkname, entry.link),
            b"linkpath",
            entry.link,
        );
        let fits = put_octal(&mut ustar.mtime, seconds.unwrap_or(0)) && mtime.nanos == 0;
        record(
            fits && seconds.is_ok(),
            b"mtime",
            pax::time_text(mtime).as_bytes(),
        );
        let (prefix, name, fits) = split_name(&entry.name);
        put_text(&mut ustar.prefix, prefix);
        put_text(&mut ustar.name, name);
        record(fits, b"path", &entry.name);
        record(
            put_octal(&mut ustar.size, entry.size),
            b"size",
            entry.size.to_string().as_bytes(),
        );
        let fits = put_octal(&mut ustar.uid, attributes.uid.into());
        record(fits, b"uid", attributes.uid.to_string().as_bytes());
        put_octal(&mut ustar.mode, attributes.mode.bits().into());
        put_octal(&mut ustar.dev_major, entry.device.0.into());
        put_octal(&mut ustar.dev_minor, entry.device.1.into());
        ustar.typeflag = [entry.typeflag];
    }
    header.set_cksum();
    header
}

/// Returns the header of a PAX header. Its name is used by readers that know no PAX.
fn extension_header(path: &RootPath, length: usize) -> Header {
    let mut header = Header::new_ustar();
    if let Some(ustar) = header.as_ustar_mut() {
        let name = [b"PaxHeaders.0/", path.file_name().unwrap_or(b".")].concat();
        put_text(&mut ustar.name, &name);
        put_octal(&mut ustar.mode, Mode::new(0o644).bits().into());
        put_octal(&mut ustar.uid, 0);
        put_octal(&mut ustar.gid, 0);
        put_octal(&mut ustar.size, length as u64);
        put_octal(&mut ustar.mtime, 0);
        ustar.typeflag = [b'x'];
    }
    header.set_cksum();
    header
}

/// Splits a name into the prefix and name fields, at the last slash that makes both fit, and tells
/// whether it fits at all; else the name field gets its start.
fn split_name(name: &[u8]) -> (&[u8], &[u8], bool) {
    const NAME_BYTES: usize = 100;
    const PREFIX_BYTES: usize = 155;
    if name.len() <= NAME_BYTES {
        return (&[], name, true);
    }
    let searched = &name[..name.len().min(PREFIX_BYTES + 1)];
    let slash = searched.iter().rposition(|&byte| byte == b'/');
    match slash.map(|at| (&name[..at], &name[at + 1..])) {
        Some((prefix, rest)) if !prefix.is_empty() && (1..=NAME_BYTES).contains(&rest.len()) => {
            (prefix, rest, true)
        }
        _ => (&[], name, false),
    }
}

/// Returns the zeros that fill up the last block of so many bytes.
pub(crate) fn padding(size: u64) -> &'static [u8] {
    const ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
    match usize::try_from(size % BLOCK_BYTES as u64) {
        Ok(used) if used > 0 => &ZEROS[used..],
        _ => &[],
    }
}

fn put<W: Write>(out: &mut W, bytes: &[u8]) -> Result<(), WriteError> {
    out.write_all(bytes).map_err(WriteError::Output)
}
