//! How the files of two images differ.

use std::cmp::Ordering;

use serde::Serialize;

use super::Compared;
use crate::command::files::{FileEntry, FileRecord, FilesError, Kind, add_digests};

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct FileChange {
    /// The path in the image.
    pub(super) path: String,
    /// What happened from one to the other.
    pub(super) change: Change,
    /// What differs, of a file that both have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) differs: Vec<&'static str>,
    /// What one has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) one: Option<FileRecord>,
    /// What the other has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) other: Option<FileRecord>,
}

/// What happened from one image to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Change {
    Added,
    Removed,
    Changed,
}

/// Compares two trees. Only files of one size are read, and those that differ anyway.
pub(super) fn compare(
    [one, other]: [Vec<FileEntry>; 2],
    times: Compared,
) -> Result<Vec<FileChange>, FilesError> {
    let mut pairs = paired(one, other);
    pairs.retain(|(one, other)| may_differ(one.as_ref(), other.as_ref(), times));
    let entries = pairs.iter_mut().flat_map(|(one, other)| [one, other]);
    add_digests(entries.flatten())?;
    Ok(pairs
        .into_iter()
        .filter_map(|(one, other)| change(one, other, times))
        .collect())
}

type Pair = (Option<FileEntry>, Option<FileEntry>);

/// Puts together what has one path.
fn paired(one: Vec<FileEntry>, other: Vec<FileEntry>) -> Vec<Pair> {
    let (mut one, mut other) = (one.into_iter().peekable(), other.into_iter().peekable());
    let mut pairs = Vec::new();
    loop {
        let order = match (one.peek(), other.peek()) {
            (None, None) => return pairs,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) => one.path.cmp(&other.path),
        };
        pairs.push(match order {
            Ordering::Less => (one.next(), None),
            Ordering::Greater => (None, other.next()),
            Ordering::Equal => (one.next(), other.next()),
        });
    }
}

/// Tells whether there is a difference, or there may be one in the bytes.
fn may_differ(one: Option<&FileEntry>, other: Option<&FileEntry>, times: Compared) -> bool {
    let (Some(one), Some(other)) = (one, other) else {
        return true;
    };
    one.content.is_some() && other.content.is_some()
        || !differences(&one.record, &other.record, times).is_empty()
}

fn change(one: Option<FileEntry>, other: Option<FileEntry>, times: Compared) -> Option<FileChange> {
    let path = one.as_ref().or(other.as_ref())?.path.absolute();
    let (one, other) = (
        one.map(|entry| entry.record),
        other.map(|entry| entry.record),
    );
    let (change, differs) = match (&one, &other) {
        (Some(one), Some(other)) => (Change::Changed, differences(one, other, times)),
        (Some(_), None) => (Change::Removed, Vec::new()),
        (None, _) => (Change::Added, Vec::new()),
    };
    if change == Change::Changed && differs.is_empty() {
        return None;
    }
    Some(FileChange {
        path,
        change,
        differs,
        one,
        other,
    })
}

/// Names what differs between two files of one path.
fn differences(one: &FileRecord, other: &FileRecord, times: Compared) -> Vec<&'static str> {
    // A symbolic link's mode says nothing.
    let is_link = one.kind == Kind::Symlink && other.kind == Kind::Symlink;
    let all = [
        ("kind", one.kind != other.kind),
        ("mode", one.mode != other.mode && !is_link),
        ("owner", (one.uid, one.gid) != (other.uid, other.gid)),
        ("size", one.size != other.size),
        ("content", one.digest != other.digest),
        ("target", one.target != other.target),
        ("device", one.device != other.device),
        ("time", one.mtime != other.mtime && times == Compared::Yes),
        ("xattrs", one.xattrs != other.xattrs),
    ];
    let found = all.into_iter().filter(|(_, differs)| *differs);
    found.map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use layer::{Attributes, Content, Node, NodeKind};
    use rootfs::{FileTime, Mode, RootPath};

    use super::*;

    fn file(path: &str, text: &str, mode: u32, seconds: i64) -> FileEntry {
        let attributes = Attributes {
            mode: Mode::new(mode),
            mtime: FileTime { seconds, nanos: 0 },
            ..Attributes::default()
        };
        let kind = NodeKind::File {
            size: text.len() as u64,
            content: Content::Bytes(Arc::from(text.as_bytes())),
        };
        FileEntry::new(RootPath::strict(path).unwrap(), Node { attributes, kind })
    }

    #[test]
    fn what_was_added_removed_or_changed_is_told_with_what_differs() {
        let one = vec![
            file("a", "x", 0o644, 1),
            file("b", "x", 0o644, 1),
            file("c", "x", 0o644, 1),
        ];
        let other = vec![
            file("a", "y", 0o644, 1),
            file("c", "x", 0o600, 2),
            file("d", "", 0o644, 1),
        ];
        let told = |times| -> Vec<_> {
            let changes = compare([one.clone(), other.clone()], times).unwrap();
            let line = |change: FileChange| (change.path, change.change, change.differs);
            changes.into_iter().map(line).collect()
        };
        let line = |path: &str, change, differs: &[&'static str]| {
            (path.to_owned(), change, differs.to_vec())
        };
        assert_eq!(
            told(Compared::Yes),
            [
                line("/a", Change::Changed, &["content"]),
                line("/b", Change::Removed, &[]),
                line("/c", Change::Changed, &["mode", "time"]),
                line("/d", Change::Added, &[]),
            ]
        );
        assert_eq!(
            told(Compared::No)[2],
            line("/c", Change::Changed, &["mode"])
        );
    }
}
