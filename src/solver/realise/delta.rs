//! A copy of which little changed → a small directory over that which an earlier copy left.
//!
//! Copies of one *lineage* are those of one vertex of the graph, whatever the files are. What the last whole directory of a
//! lineage was made of stands in a hint of the store. The next copy is compared with that; where few paths differ, a
//! directory is made that has these alone, with the directories above them and a whiteout for each that is gone. Both
//! directories together are the layer, the whole one below. It is always a whole one, so that no chain grows; when the delta
//! would have more than an eighth of the paths, the copy is made whole again.
//!
//! Seen alone, the two are the change set of the copy, no more and no less: the layer that is packed of them is the same. Over
//! the layers below that is true as well, as long as those have nothing where a whiteout is, or where a directory takes
//! the place of something else or something else that of a directory. Where they do, and where there is a hard link, of
//! which one name could change without the other, the copy is made whole.
//!
//! The hint:
//!
//! ```text
//! format, 1 byte · length of the name, 2 bytes · name of the snapshot
//! (length of the path, 2 bytes · path · 1 for a directory, 1 byte · start of the fingerprint, 16 bytes)…
//! ```

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::Arc;

use layer::{Change, ChangeKind, ChangeSet, ChecksumError, NodeKind};
use rootfs::{Root, RootPath};
use store::{Hints, SnapshotId};
use tracing::debug;

use super::error::RealiseError;
use crate::result::Recipe;

/// Raised when the meaning of the hint changes.
const FORMAT: u8 = 1;

/// How many changes a copy has at least of which a delta is made: fewer are copied as fast.
const CHANGES_MIN: usize = 64;

/// Which part of the changes may differ, as the divisor.
const PART: usize = 8;

/// How many bytes of a fingerprint are kept.
const FINGERPRINT_BYTES: usize = 16;

/// What is to be put over the directory of an earlier copy.
#[derive(Debug)]
pub(super) struct Delta {
    /// The snapshot of that directory.
    pub(super) over: SnapshotId,
    /// What is to be put there.
    pub(super) changes: ChangeSet,
    /// Where the layers below may have nothing.
    free: Vec<RootPath>,
}

impl Delta {
    /// Compares a copy with the last whole one of its lineage; none if there is none or too much differs.
    pub(super) fn of(hints: &Hints, recipe: &Recipe) -> Result<Option<Self>, ChecksumError> {
        let lineage = recipe.lineage.as_ref();
        let Some(lineage) = lineage.filter(|_| recipe.len() >= CHANGES_MIN) else {
            return Ok(None);
        };
        let Some(hint) = hints.get(lineage) else {
            return Ok(None);
        };
        match Earlier::parse(&hint) {
            Some((over, earlier)) => delta(over, earlier, recipe),
            None => Ok(None),
        }
    }

    /// Tells whether the layers below, seen as one, have nothing where they may have nothing.
    pub(super) fn fits(
        &self,
        below: impl FnOnce() -> Result<Option<Arc<Root>>, RealiseError>,
    ) -> Result<bool, RealiseError> {
        if self.free.is_empty() {
            return Ok(true);
        }
        let Some(below) = below()? else {
            return Ok(true);
        };
        for path in &self.free {
            if below.metadata(path)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Keeps what a directory was made of, for the next copy of its lineage. Whether that can be done matters to nobody.
pub(super) fn remember(hints: &Hints, id: &SnapshotId, recipe: &Recipe) {
    let is_simple = |change: Change| kind_of(&change).is_some();
    let (Some(lineage), true) = (&recipe.lineage, recipe.len() >= CHANGES_MIN) else {
        return;
    };
    if !recipe.iter().all(is_simple) {
        return;
    }
    let write = || -> Result<(), Box<dyn std::error::Error>> {
        let mut hint = hints.create(lineage)?;
        let mut bytes = vec![FORMAT];
        add(&mut bytes, id.as_str().as_bytes());
        for change in recipe.iter() {
            add(&mut bytes, change.path.as_bytes());
            bytes.push(u8::from(kind_of(&change) == Some(Kind::Directory)));
            bytes.extend(fingerprint(&change)?);
            if bytes.len() > 1 << 18 {
                hint.write(&bytes)?;
                bytes.clear();
            }
        }
        hint.write(&bytes)?;
        Ok(hint.commit()?)
    };
    if let Err(error) = write() {
        debug!(%lineage, %error, "no delta can be made over this copy");
    }
}

fn add(bytes: &mut Vec<u8>, text: &[u8]) {
    // Paths and names are shorter than 4 KiB.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    bytes.extend(length.to_le_bytes());
    bytes.extend_from_slice(text);
}

/// As much of a kind as matters when one thing takes the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Directory,
    Other,
}

/// Returns the kind of what a change puts; none of a change of which no delta is made.
fn kind_of(change: &Change) -> Option<Kind> {
    let ChangeKind::Put(node) = &change.kind else {
        return None;
    };
    match node.kind {
        NodeKind::HardLink { .. } | NodeKind::Directory { opaque: true } => None,
        NodeKind::Directory { opaque: false } => Some(Kind::Directory),
        _ => Some(Kind::Other),
    }
}

fn fingerprint(change: &Change) -> Result<[u8; FINGERPRINT_BYTES], ChecksumError> {
    let mut start = [0; FINGERPRINT_BYTES];
    if let ChangeKind::Put(node) = &change.kind {
        let digest = layer::fingerprint(&change.path, node)?.to_sha256();
        start.copy_from_slice(&digest.unwrap_or_default()[..FINGERPRINT_BYTES]);
    }
    Ok(start)
}

/// One path of an earlier copy.
struct Record {
    path: RootPath,
    kind: Kind,
    fingerprint: [u8; FINGERPRINT_BYTES],
}

/// The paths of an earlier copy, in order.
struct Earlier<'a> {
    left: &'a [u8],
}

impl<'a> Earlier<'a> {
    fn parse(hint: &'a [u8]) -> Option<(SnapshotId, Self)> {
        let mut left = hint.strip_prefix(&[FORMAT])?;
        let name = take_text(&mut left)?;
        let id = SnapshotId::new(std::str::from_utf8(name).ok()?).ok()?;
        Some((id, Self { left }))
    }
}

impl Iterator for Earlier<'_> {
    /// `None` in it where the rest is none of records.
    type Item = Option<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_empty() {
            return None;
        }
        let record = take_record(&mut self.left);
        if record.is_none() {
            self.left = &[];
        }
        Some(record)
    }
}

fn take_record(left: &mut &[u8]) -> Option<Record> {
    let path = RootPath::strict(take_text(left)?).ok()?;
    let (kind, rest) = left.split_first()?;
    let (fingerprint, rest) = rest.split_first_chunk::<FINGERPRINT_BYTES>()?;
    *left = rest;
    let kind = if *kind == 1 {
        Kind::Directory
    } else {
        Kind::Other
    };
    Some(Record {
        path,
        kind,
        fingerprint: *fingerprint,
    })
}

fn take_text<'a>(left: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = left.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    *left = rest;
    Some(text)
}

/// What differs between two copies.
#[derive(Default)]
struct Difference {
    put: Vec<RootPath>,
    gone: Vec<RootPath>,
    free: Vec<RootPath>,
    /// A directory that is none any more: what was below it is gone with it.
    covered: Option<RootPath>,
}

impl Difference {
    fn lose(&mut self, record: Record) {
        let Record { path, kind, .. } = record;
        let covered = self.covered.as_ref();
        if covered.is_some_and(|above| path.starts_with(above)) {
            return;
        }
        if kind == Kind::Directory {
            self.covered = Some(path.clone());
        }
        self.free.push(path.clone());
        self.gone.push(path);
    }

    fn replace(&mut self, record: &Record, kind: Kind) {
        if record.kind != kind {
            self.free.push(record.path.clone());
            if kind == Kind::Other {
                self.covered = Some(record.path.clone());
            }
        }
        self.put.push(record.path.clone());
    }

    fn len(&self) -> usize {
        self.put.len() + self.gone.len()
    }
}

fn delta(
    over: SnapshotId,
    earlier: Earlier<'_>,
    recipe: &ChangeSet,
) -> Result<Option<Delta>, ChecksumError> {
    let Some(difference) = compare(earlier.peekable(), recipe)? else {
        return Ok(None);
    };
    let Difference {
        put, gone, free, ..
    } = difference;
    let mut changes = BTreeMap::new();
    for path in put.iter().chain(&gone) {
        for above in path.ancestors() {
            // An overlay shows the attributes of the uppermost directory.
            match recipe.get(&above) {
                Some(change) if kind_of(&change) == Some(Kind::Directory) => {
                    changes.insert(above, change.kind);
                }
                _ => return Ok(None),
            }
        }
    }
    for path in put {
        if let Some(change) = recipe.get(&path) {
            changes.insert(path, change.kind);
        }
    }
    changes.extend(gone.into_iter().map(|path| (path, ChangeKind::Delete)));
    let changes = changes
        .into_iter()
        .map(|(path, kind)| Change { path, kind })
        .collect();
    Ok(Some(Delta {
        over,
        changes: ChangeSet::new(changes),
        free,
    }))
}

/// Returns what differs; none if that is too much, or of a kind of which no delta is made.
fn compare(
    mut earlier: Peekable<Earlier<'_>>,
    changes: &ChangeSet,
) -> Result<Option<Difference>, ChecksumError> {
    let mut difference = Difference::default();
    let limit = changes.len() / PART;
    for change in changes.iter() {
        let Some(kind) = kind_of(&change) else {
            return Ok(None);
        };
        let record = loop {
            let is_due = |record: &Option<Record>| {
                record
                    .as_ref()
                    .is_none_or(|record| record.path <= change.path)
            };
            match earlier.next_if(is_due) {
                None => break None,
                Some(None) => return Ok(None),
                Some(Some(record)) if record.path == change.path => break Some(record),
                Some(Some(record)) => difference.lose(record),
            }
        };
        match record {
            None => difference.put.push(change.path.clone()),
            Some(record) if record.kind == kind && record.fingerprint == fingerprint(&change)? => {}
            Some(record) => difference.replace(&record, kind),
        }
        if difference.len() > limit {
            return Ok(None);
        }
    }
    for record in earlier {
        let Some(record) = record else {
            return Ok(None);
        };
        difference.lose(record);
    }
    Ok((difference.len() <= limit).then_some(difference))
}

#[cfg(test)]
#[path = "delta_tests.rs"]
mod tests;
