//! What is said of the files of an image, as commands tell and keep it.

use std::collections::BTreeMap;
use std::sync::Arc;

use layer::{Change, ChangeKind, ChecksumError, Content, DiffError, Node, NodeKind};
use oci::Digest;
use rootfs::{FileTime, Mode, Root, RootPath};
use serde::{Deserialize, Serialize};
use solver::Tree;

/// Why the files of an image cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilesError {
    /// The tree cannot be read.
    #[error("cannot read the files of the image")]
    Tree(#[from] DiffError),
    /// A file cannot be read.
    #[error("cannot read the files of the image")]
    Content(#[from] ChecksumError),
}

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Another name of an object before it.
    Hardlink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
}

/// What is said of one file. Bytes that are no text are escaped, and values of extended attributes are hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRecord {
    /// What it is.
    pub(crate) kind: Kind,
    /// The permission bits, octal.
    pub(crate) mode: String,
    /// The owner in the image.
    pub(crate) uid: u32,
    /// The group in the image.
    pub(crate) gid: u32,
    /// The time of the last modification, in seconds since 1970 with nine digits behind the point.
    pub(crate) mtime: String,
    /// The size of a regular file, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    /// The digest of a regular file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    /// What a link says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<String>,
    /// The numbers of a device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<(u32, u32)>,
    /// The extended attributes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) xattrs: BTreeMap<String, String>,
}

/// One file of an image, and where its bytes are.
#[derive(Debug, Clone)]
pub(crate) struct FileEntry {
    /// Its path.
    pub(crate) path: RootPath,
    /// What is said of it; the digest comes later.
    pub(crate) record: FileRecord,
    /// Where its bytes are, if they are to be read.
    pub(crate) content: Option<(Arc<Root>, RootPath)>,
}

/// Returns all files of a tree, in the order of their paths, with no digests yet.
pub(crate) fn of_tree(tree: &Tree) -> Result<Vec<FileEntry>, FilesError> {
    let mut entries = Vec::new();
    for change in tree.changes()? {
        let Change { path, kind } = change?;
        // A whole tree removes nothing.
        if let ChangeKind::Put(node) = kind {
            entries.push(FileEntry::new(path, node));
        }
    }
    Ok(entries)
}

/// Finds out the digests of these files.
pub(crate) fn add_digests<'e>(
    entries: impl Iterator<Item = &'e mut FileEntry>,
) -> Result<(), FilesError> {
    let mut entries: Vec<_> = entries.filter(|entry| entry.content.is_some()).collect();
    let contents: Vec<_> = entries
        .iter_mut()
        .filter_map(|entry| entry.content.take())
        .collect();
    let hashed = layer::hash_files(&contents)?;
    for (entry, file) in entries.into_iter().zip(hashed) {
        entry.record.digest = Some(file.digest.to_string());
    }
    Ok(())
}

impl FileEntry {
    /// Takes what a tree says of a path.
    pub(crate) fn new(path: RootPath, node: Node) -> Self {
        let mut record = FileRecord {
            kind: Kind::of(&node.kind),
            mode: node.attributes.mode.to_string(),
            uid: node.attributes.uid,
            gid: node.attributes.gid,
            mtime: shown_time(node.attributes.mtime),
            size: None,
            digest: None,
            target: None,
            device: None,
            xattrs: shown_xattrs(&node.attributes.xattrs),
        };
        let mut content = None;
        match node.kind {
            NodeKind::File { size, content: at } => {
                record.size = Some(size);
                match at {
                    Content::File { root, path, .. } => content = Some((root, path)),
                    Content::Bytes(bytes) => record.digest = Some(Digest::of(&bytes).to_string()),
                }
            }
            NodeKind::Symlink { target } => {
                record.target = Some(target.escape_ascii().to_string());
            }
            NodeKind::HardLink { target } => record.target = Some(target.to_string()),
            NodeKind::CharDevice { major, minor } | NodeKind::BlockDevice { major, minor } => {
                record.device = Some((major, minor));
            }
            NodeKind::Directory { .. } | NodeKind::Fifo => {}
        }
        Self {
            path,
            record,
            content,
        }
    }
}

impl Kind {
    fn of(kind: &NodeKind) -> Self {
        match kind {
            NodeKind::File { .. } => Self::File,
            NodeKind::Directory { .. } => Self::Directory,
            NodeKind::Symlink { .. } => Self::Symlink,
            NodeKind::HardLink { .. } => Self::Hardlink,
            NodeKind::CharDevice { .. } => Self::Char,
            NodeKind::BlockDevice { .. } => Self::Block,
            NodeKind::Fifo => Self::Fifo,
        }
    }
}

impl FileRecord {
    /// Returns the permission bits; `None` where the text has none.
    pub(crate) fn mode(&self) -> Option<Mode> {
        u32::from_str_radix(&self.mode, 8).ok().map(Mode::new)
    }

    /// Returns the extended attributes; `None` where the text has none.
    pub(crate) fn xattrs(&self) -> Option<BTreeMap<Vec<u8>, Vec<u8>>> {
        let pair = |(name, value): (&String, &String)| Some((bytes(name)?, bytes(value)?));
        self.xattrs.iter().map(pair).collect()
    }
}

/// Returns a time as text.
pub(crate) fn shown_time(time: FileTime) -> String {
    format!("{}.{:09}", time.seconds, time.nanos)
}

/// The names are hexadecimal behind `0x` where they are no plain text, as those of nobody are.
pub(crate) fn shown_xattrs(xattrs: &BTreeMap<Vec<u8>, Vec<u8>>) -> BTreeMap<String, String> {
    let name = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) if !text.starts_with("0x") => text.to_owned(),
        _ => hexadecimal(bytes),
    };
    let pair = |(key, value): (&Vec<u8>, &Vec<u8>)| (name(key), hexadecimal(value));
    xattrs.iter().map(pair).collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    std::iter::once("0x".to_owned()).chain(digits).collect()
}

/// Reads what [`shown_xattrs`] wrote.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let Some(digits) = text.strip_prefix("0x") else {
        return Some(text.as_bytes().to_vec());
    };
    let digits: Vec<char> = digits.chars().collect();
    let byte = |pair: &[char]| {
        let pair: String = pair.iter().collect();
        let is_whole = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        u8::from_str_radix(&pair, 16).ok().filter(|_| is_whole)
    };
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_attributes_are_read_as_they_were_written() {
        let xattrs: BTreeMap<Vec<u8>, Vec<u8>> = [
            (b"user.a".to_vec(), b"\0\xffx".to_vec()),
            (b"user.\xff".to_vec(), Vec::new()),
            (b"0xno".to_vec(), b"1".to_vec()),
        ]
        .into();
        let mut entry = FileEntry::new(
            RootPath::root(),
            Node {
                attributes: layer::Attributes::default(),
                kind: NodeKind::Fifo,
            },
        );
        entry.record.xattrs = shown_xattrs(&xattrs);
        assert_eq!(entry.record.xattrs["user.a"], "0x00ff78");
        assert_eq!(entry.record.xattrs(), Some(xattrs));
    }

    #[test]
    fn what_is_no_whole_byte_is_none() {
        for text in ["0x0", "0x+1", "0xzz"] {
            assert_eq!(bytes(text), None, "{text}");
        }
        assert_eq!(bytes("0x"), Some(Vec::new()));
    }

    #[test]
    fn times_before_1970_have_positive_parts() {
        let time = FileTime {
            seconds: -1,
            nanos: 5,
        };
        assert_eq!(shown_time(time), "-1.000000005");
    }
}
