//! Tars as layers have them: written as ustar, read as ustar with PAX records (POSIX, pax, "pax Interchange
//! Format").
//!
//! It is no reader for everything: what careen should not write is a panic.

use std::collections::BTreeMap;

use crate::fail;

/// The unit of a tar, in bytes.
const BLOCK: usize = 512;

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file and its content.
    File(Vec<u8>),
    /// A directory.
    Directory,
    /// A symbolic link and its target.
    Symlink(String),
    /// Another name of an earlier entry.
    HardLink(String),
    /// A character device with its major and minor number.
    Character(u32, u32),
    /// A block device with its major and minor number.
    Block(u32, u32),
    /// A named pipe.
    Fifo,
}

/// One entry of a tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The path, without slashes at its ends.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// The permissions and the three bits above them.
    pub mode: u32,
    /// The user and the group.
    pub owner: (u64, u64),
    /// The time of the last change, in whole seconds since 1970.
    pub mtime: i64,
    /// The extended attributes.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

impl Entry {
    fn new(path: &str, kind: Kind, mode: u32) -> Self {
        let path = path.trim_matches('/').to_owned();
        Self {
            path,
            kind,
            mode,
            owner: (0, 0),
            mtime: 0,
            xattrs: BTreeMap::new(),
        }
    }

    /// Makes a file of root's with mode 0644.
    pub fn file<C: Into<Vec<u8>>>(path: &str, content: C) -> Self {
        Self::new(path, Kind::File(content.into()), 0o644)
    }

    /// Makes a directory of root's with mode 0755.
    pub fn directory(path: &str) -> Self {
        Self::new(path, Kind::Directory, 0o755)
    }

    /// Makes a symbolic link.
    pub fn symlink(path: &str, target: &str) -> Self {
        Self::new(path, Kind::Symlink(target.to_owned()), 0o777)
    }

    /// Makes a hard link to an earlier entry.
    pub fn hard_link(path: &str, target: &str) -> Self {
        Self::new(path, Kind::HardLink(target.to_owned()), 0o644)
    }

    /// Makes a character device.
    pub fn character(path: &str, major: u32, minor: u32) -> Self {
        Self::new(path, Kind::Character(major, minor), 0o666)
    }

    /// Gives it a mode.
    #[must_use]
    pub fn mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }

    /// Gives it an owner.
    #[must_use]
    pub fn owner(self, user: u64, group: u64) -> Self {
        Self {
            owner: (user, group),
            ..self
        }
    }

    /// Gives it a time.
    #[must_use]
    pub fn mtime(self, seconds: i64) -> Self {
        Self {
            mtime: seconds,
            ..self
        }
    }

    /// Gives it an extended attribute.
    #[must_use]
    pub fn xattr(mut self, name: &str, value: &[u8]) -> Self {
        self.xattrs.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Returns the content of a file as text.
    pub fn text(&self) -> &str {
        let Kind::File(content) = &self.kind else {
            fail(&format!("`{}` is no file: {:?}", self.path, self.kind))
        };
        std::str::from_utf8(content).expect("the file is text")
    }
}

/// Writes a tar of these entries.
pub fn write(entries: &[Entry]) -> Vec<u8> {
    let mut tar = Vec::new();
    for entry in entries {
        write_entry(&mut tar, entry);
    }
    tar.resize(tar.len() + 2 * BLOCK, 0);
    tar
}

fn write_entry(tar: &mut Vec<u8>, entry: &Entry) {
    if !entry.xattrs.is_empty() {
        let records: Vec<u8> = entry.xattrs.iter().flat_map(record).collect();
        let pax = Entry::file("pax", records.as_slice());
        push(tar, &header(&pax, b'x', "", records.len()), &records);
    }
    let (flag, link, content): (u8, &str, &[u8]) = match &entry.kind {
        Kind::File(content) => (b'0', "", content),
        Kind::HardLink(target) => (b'1', target, &[]),
        Kind::Symlink(target) => (b'2', target, &[]),
        Kind::Character(..) => (b'3', "", &[]),
        Kind::Block(..) => (b'4', "", &[]),
        Kind::Directory => (b'5', "", &[]),
        Kind::Fifo => (b'6', "", &[]),
    };
    push(tar, &header(entry, flag, link, content.len()), content);
}

/// Returns an extended attribute as a PAX record, which begins with its own length.
fn record((name, value): (&String, &Vec<u8>)) -> Vec<u8> {
    let rest = [b" SCHILY.xattr.", name.as_bytes(), b"=", value, b"\n"].concat();
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    [length.to_string().as_bytes(), &rest].concat()
}

fn push(tar: &mut Vec<u8>, header: &[u8], content: &[u8]) {
    tar.extend_from_slice(header);
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
}

/// Returns a header, the fields at their offsets.
fn header(entry: &Entry, flag: u8, link: &str, size: usize) -> Vec<u8> {
    let mut header = vec![0; BLOCK];
    let mut put = |at: usize, width: usize, field: &[u8]| {
        assert!(
            field.len() <= width,
            "a field of a ustar header has {width} bytes: {entry:?}"
        );
        header.splice(at..at + field.len(), field.iter().copied());
    };
    let octal = |value: u64, digits: usize| format!("{value:0digits$o}").into_bytes();
    put(0, 100, entry.path.as_bytes());
    put(100, 8, &octal(u64::from(entry.mode), 7));
    put(108, 8, &octal(entry.owner.0, 7));
    put(116, 8, &octal(entry.owner.1, 7));
    put(124, 12, &octal(size as u64, 11));
    put(136, 12, &octal(entry.mtime.unsigned_abs(), 11));
    put(148, 8, b"        ");
    put(156, 1, &[flag]);
    put(157, 100, link.as_bytes());
    put(257, 8, b"ustar\x0000");
    if let Kind::Character(major, minor) | Kind::Block(major, minor) = entry.kind {
        put(329, 8, &octal(u64::from(major), 7));
        put(337, 8, &octal(u64::from(minor), 7));
    }
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    header.splice(148..155, format!("{sum:06o}\0").into_bytes());
    header
}

/// Reads a tar to its end.
pub fn read(tar: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut pax = Records::new();
    let mut rest = tar;
    while let Some((header, after)) = rest.split_at_checked(BLOCK) {
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        let size = pax
            .get("size")
            .map_or_else(|| octal(header, 124, 12), |text| decimal(text));
        let size = usize::try_from(size).expect("a size is not negative");
        let (content, after) = after
            .split_at_checked(size)
            .unwrap_or_else(|| fail("the tar is cut off"));
        let padding = size.next_multiple_of(BLOCK) - size;
        rest = after
            .get(padding..)
            .unwrap_or_else(|| fail("the tar is cut off"));
        if header.get(156) == Some(&b'x') {
            pax = records(content);
        } else {
            entries.push(entry(header, content, &std::mem::take(&mut pax)));
        }
    }
    entries
}

type Records = BTreeMap<String, Vec<u8>>;

fn entry(header: &[u8], content: &[u8], pax: &Records) -> Entry {
    let text = |key: &str| {
        pax.get(key)
            .map(|value| String::from_utf8_lossy(value).into_owned())
    };
    let path =
        text("path").unwrap_or_else(|| match (field(header, 345, 155), field(header, 0, 100)) {
            (prefix, name) if prefix.is_empty() => name,
            (prefix, name) => format!("{prefix}/{name}"),
        });
    let link = text("linkpath").unwrap_or_else(|| field(header, 157, 100));
    let device = |at| u32::try_from(octal(header, at, 8)).expect("a device number is small");
    let kind = match header.get(156) {
        Some(b'0') => Kind::File(content.to_owned()),
        Some(b'1') => Kind::HardLink(link.trim_matches('/').to_owned()),
        Some(b'2') => Kind::Symlink(link),
        Some(b'3') => Kind::Character(device(329), device(337)),
        Some(b'4') => Kind::Block(device(329), device(337)),
        Some(b'5') => Kind::Directory,
        Some(b'6') => Kind::Fifo,
        flag => fail(&format!("the tar has an entry of the kind {flag:?}")),
    };
    let number = |key: &str, at, width| {
        pax.get(key)
            .map_or_else(|| octal(header, at, width), |value| decimal(value))
    };
    let id = |key, at| u64::try_from(number(key, at, 8)).expect("an id is not negative");
    let xattrs = pax.iter().filter_map(|(key, value)| {
        Some((key.strip_prefix("SCHILY.xattr.")?.to_owned(), value.clone()))
    });
    Entry {
        path: path.trim_matches('/').to_owned(),
        kind,
        mode: u32::try_from(octal(header, 100, 8)).expect("a mode is small"),
        owner: (id("uid", 108), id("gid", 116)),
        mtime: number("mtime", 136, 12),
        xattrs: xattrs.collect(),
    }
}

/// Reads PAX records: each begins with its own length, so that its value may hold any byte.
fn records(mut content: &[u8]) -> Records {
    let mut records = BTreeMap::new();
    while let Some(space) = content.iter().position(|byte| *byte == b' ') {
        let length = usize::try_from(decimal(content.get(..space).unwrap_or_default()));
        let length = length.expect("a length is not negative");
        let record = content
            .get(space + 1..length - 1)
            .unwrap_or_else(|| fail("the tar has half a record"));
        let equals = record
            .iter()
            .position(|byte| *byte == b'=')
            .expect("a record has a `=`");
        let (key, value) = record.split_at(equals);
        let value = value.get(1..).unwrap_or_default();
        records.insert(String::from_utf8_lossy(key).into_owned(), value.to_owned());
        content = content.get(length..).unwrap_or_default();
    }
    records
}

/// Returns a text field, which ends at a NUL or fills its place.
fn field(header: &[u8], at: usize, width: usize) -> String {
    let field = header.get(at..at + width).unwrap_or_default();
    let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

fn octal(header: &[u8], at: usize, width: usize) -> i64 {
    let text = field(header, at, width);
    let text = text.trim_matches(' ');
    if text.is_empty() {
        return 0;
    }
    i64::from_str_radix(text, 8).expect("numbers of a header are octal")
}

/// Reads the whole part of a decimal number.
fn decimal(text: &[u8]) -> i64 {
    let text = String::from_utf8_lossy(text);
    let whole = text.split('.').next().unwrap_or_default();
    whole.parse().expect("numbers of a record are decimal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let entries = [
            Entry::directory("etc").mode(0o1777),
            Entry::file("etc/motd", "hello\n")
                .owner(1000, 1001)
                .mtime(7)
                .mode(0o4755),
            Entry::file("etc/caps", "")
                .xattr("security.capability", b"\x01\n=\0")
                .xattr("user.a", b""),
            Entry::symlink("etc/link", "/etc/motd"),
            Entry::hard_link("etc/again", "etc/motd"),
            Entry::character("dev/null", 1, 3),
        ];
        assert_eq!(read(&write(&entries)), entries);
    }

    #[test]
    fn a_record_counts_the_digits_of_its_own_length() {
        for (length, expected) in [(73, "99 "), (74, "101 ")] {
            let value = vec![b'x'; length];
            let record = record((&"user.abc".to_owned(), &value));
            assert!(record.starts_with(expected.as_bytes()), "{}", record.len());
            assert_eq!(record.len().to_string(), expected.trim_end());
        }
    }
}
