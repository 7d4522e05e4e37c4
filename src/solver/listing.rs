//! What a copy copied, file by file, so that it can be told later which of them changed.
//!
//! A content key is a digest of all files together: it says that something is another, not what. So where a copy is
//! carried out, a record has a listing of it, under a key that its content gives. Whoever has the contents of two builds
//! compares their listings. Nothing depends on them: one that is gone costs an answer and no work.
//!
//! A listing of very many files has directories in their place, each with one digest of all that is in it.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use layer::{Attributes, ChangeKind, Content, Listed, Node, NodeKind};
use oci::{Digest, Hasher};
use serde::{Deserialize, Serialize};
use store::{RecordError, RecordStore};

use crate::ops::copy::{Collected, Found};

/// How many paths a listing has at most.
const PATHS_MAX: usize = 20_000;

/// How many components the paths of directories have that stand for what is in them, from the first that is tried.
const DEPTHS: [usize; 3] = [3, 2, 1];

/// How many digits of a digest are kept: two files that differ have the same once in 2^64 times.
const DIGITS: usize = 16;

/// Whether listings are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Listings {
    /// None is.
    #[default]
    None,
    /// Those of the copies that are carried out.
    Kept,
}

/// What became of a file, or of what is in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileChange {
    /// It was not there before.
    Added,
    /// It is there no more.
    Removed,
    /// It says something else, or is of another kind.
    Content,
    /// It says the same, and has another owner or mode, or other extended attributes.
    Attributes,
}

/// A file that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedFile {
    /// Where it is in what is copied; of a directory that stands for what is in it, with a slash at the end.
    pub path: String,
    /// What became of it.
    pub change: FileChange,
}

/// A path, and digests of what is there: what it says, and whose it is.
type Line = (String, String, String);

/// What a copy copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Listing {
    /// How many components paths have at most, where that is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    depth: Option<usize>,
    /// Sorted by their paths, each once.
    lines: Vec<Line>,
}

/// Keeps the listing of what a copy copies.
///
/// # Errors
///
/// Fails when the record cannot be written.
pub(crate) fn keep(records: &RecordStore, collected: &Collected) -> Result<(), RecordError> {
    let listing = Listing::of(&collected.sources);
    records.put(&key(&collected.digest), &listing)
}

/// Returns what changed between two contents of a copy, sorted by path; none if one of them is not known any more, or
/// they cannot be compared.
///
/// # Errors
///
/// Fails when a record is there and cannot be read.
pub fn changed_files(
    records: &RecordStore,
    (before, now): (&Digest, &Digest),
) -> Result<Option<Vec<ChangedFile>>, RecordError> {
    let before = records.get::<Listing>(&key(before))?;
    let now = records.get::<Listing>(&key(now))?;
    let both = before.zip(now);
    Ok(both.and_then(|(before, now)| now.since(&before)))
}

fn key(content: &Digest) -> Digest {
    Digest::of(format!("listing\0{content}").as_bytes())
}

impl Listing {
    fn of(sources: &[Found]) -> Self {
        let count: usize = sources.iter().map(|found| found.entries.len()).sum();
        let depths = DEPTHS.into_iter().map(Some);
        let mut depths = (count <= PATHS_MAX)
            .then_some(None)
            .into_iter()
            .chain(depths);
        let fitting = depths.find_map(|depth| Self::at(sources, depth));
        // Whatever does not fit is compared as one.
        fitting
            .or_else(|| Self::at(sources, Some(0)))
            .unwrap_or(Self {
                depth: Some(0),
                lines: Vec::new(),
            })
    }

    /// Lists paths of at most so many components; none if there are too many.
    fn at(sources: &[Found], depth: Option<usize>) -> Option<Self> {
        let mut places: BTreeMap<String, (Hasher, Hasher)> = BTreeMap::new();
        for found in sources {
            for listed in found.entries.iter() {
                let place = place(found, &listed, depth);
                let (content, attributes) = places.entry(place).or_default();
                add(content, attributes, &listed);
                if places.len() > PATHS_MAX {
                    return None;
                }
            }
        }
        let lines = places
            .into_iter()
            .map(|(path, (content, attributes))| (path, digits(content), digits(attributes)));
        Some(Self {
            depth,
            lines: lines.collect(),
        })
    }

    /// Returns what changed since another; none if they list different things.
    fn since(&self, before: &Self) -> Option<Vec<ChangedFile>> {
        if self.depth != before.depth {
            return None;
        }
        let mut changed = Vec::new();
        let (mut old, mut new) = (before.lines.iter().peekable(), self.lines.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return Some(changed),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.0.cmp(&new.0),
            };
            let change = match order {
                Ordering::Less => old.next().map(|line| (line, FileChange::Removed)),
                Ordering::Greater => new.next().map(|line| (line, FileChange::Added)),
                Ordering::Equal => old.next().zip(new.next()).and_then(compared),
            };
            changed.extend(change.map(|(line, change)| ChangedFile {
                path: line.0.clone(),
                change,
            }));
        }
    }
}

fn compared<'a>((old, new): (&'a Line, &'a Line)) -> Option<(&'a Line, FileChange)> {
    if old.1 != new.1 {
        return Some((new, FileChange::Content));
    }
    (old.2 != new.2).then_some((new, FileChange::Attributes))
}

/// Returns where something is in what is copied, as far as the depth goes.
fn place(found: &Found, listed: &Listed, depth: Option<usize>) -> String {
    let name = String::from_utf8_lossy(&found.name);
    let tail = &listed.change.path;
    let path = match (name.is_empty(), tail.is_root()) {
        (_, true) => name.into_owned(),
        (true, false) => tail.to_string(),
        (false, false) => format!("{name}/{tail}"),
    };
    let Some(depth) = depth else {
        return path;
    };
    path.split_inclusive('/').take(depth).collect()
}

/// Adds what something says, and whose it is.
fn add(content: &mut Hasher, attributes: &mut Hasher, listed: &Listed) {
    let ChangeKind::Put(Node {
        attributes: own,
        kind,
    }) = &listed.change.kind
    else {
        return;
    };
    let path = listed.change.path.as_bytes();
    for text in [path, b"\0"] {
        content.update(text);
        attributes.update(text);
    }
    add_kind(content, kind);
    add_attributes(attributes, own);
}

fn add_kind(content: &mut Hasher, kind: &NodeKind) {
    let device = |major: &u32, minor: &u32| [major.to_le_bytes(), minor.to_le_bytes()].concat();
    let (letter, said) = match kind {
        NodeKind::Directory { .. } => (b"d", Vec::new()),
        NodeKind::File { content, .. } => (b"f", digest_of(content).into_bytes()),
        NodeKind::Symlink { target } => (b"l", target.clone()),
        NodeKind::HardLink { target } => (b"h", target.as_bytes().to_vec()),
        NodeKind::CharDevice { major, minor } => (b"c", device(major, minor)),
        NodeKind::BlockDevice { major, minor } => (b"b", device(major, minor)),
        NodeKind::Fifo => (b"p", Vec::new()),
    };
    content.update(letter);
    content.update(&said);
}

/// Returns the digest of a file, which is known since all were digested for the content key.
fn digest_of(content: &Content) -> String {
    match content {
        Content::Bytes(bytes) => Digest::of(bytes).to_string(),
        Content::File { expected, .. } => expected
            .as_ref()
            .map_or_else(String::new, Digest::to_string),
    }
}

fn add_attributes(hasher: &mut Hasher, attributes: &Attributes) {
    for number in [attributes.uid, attributes.gid, attributes.mode.bits()] {
        hasher.update(&number.to_le_bytes());
    }
    let xattrs = attributes.xattrs.iter();
    for text in xattrs.flat_map(|(name, value)| [name, value]) {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
}

fn digits(hasher: Hasher) -> String {
    hasher.finish().encoded().chars().take(DIGITS).collect()
}

#[cfg(test)]
mod tests;
