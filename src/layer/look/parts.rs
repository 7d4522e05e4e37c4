//! The layers of a stack in parts: the names of consecutive ones in one sorted list.
//!
//! A layer whose names are known is put onto the part below it. Where that is no more than twice as long, both become one,
//! so that there are few parts however many layers there are, and each name is moved few times. No part is changed: the
//! stack below, and others on it, have theirs.
//!
//! Of a name there are *marks*: its hash, which layer may say something of it, and which one up to that hides what the others
//! have there. It is the layer that is asked what it says. A layer that is a directory is a part of its own, and is asked
//! itself.

use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;

use rootfs::RootPath;

use super::said::Said;
use super::{LookedInto, Undecided};
use crate::index::Indexed;

/// One layer, or several of which the names are known.
#[derive(Debug)]
pub(super) enum Part {
    /// A layer that is a directory.
    Directory { number: usize, layer: LookedInto },
    /// Layers of which the names are known.
    Named(Names),
}

/// Consecutive layers of which the names are known.
#[derive(Debug)]
pub(super) struct Names {
    /// The number of the lowest.
    first: u32,
    layers: Vec<LookedInto>,
    /// Sorted.
    marks: Vec<Mark>,
}

/// Says that a layer may say something of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    hash: u64,
    layer: u32,
    /// The uppermost layer of the part, up to this one, that hides what others have there, plus one.
    hiding: u32,
}

/// Returns what stands for a path. Two paths with one hash cost a question, and change no answer.
pub(super) fn hash_of(path: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(path);
    hasher.finish()
}

/// Puts a layer onto parts.
pub(super) fn add(parts: &mut Vec<Arc<Part>>, layer: LookedInto) {
    let number = parts.last().map_or(0, |part| part.end());
    let Some(mut names) = Names::of(number, &layer) else {
        parts.push(Arc::new(Part::Directory { number, layer }));
        return;
    };
    while let Some(Part::Named(below)) = parts.last().map(|part| &**part)
        && below.weight() <= 2 * names.weight()
    {
        names = below.merged(&names);
        parts.pop();
    }
    parts.push(Arc::new(Part::Named(names)));
}

impl Part {
    /// Returns the number of the layer that comes after this part.
    pub(super) fn end(&self) -> usize {
        match self {
            Self::Directory { number, .. } => number + 1,
            Self::Named(names) => names.first() + names.layers.len(),
        }
    }

    /// Tells whether this is a layer that is a directory.
    pub(super) fn is_directory(&self) -> bool {
        matches!(self, Self::Directory { .. })
    }

    /// Returns a layer of this part.
    pub(super) fn layer(&self, wanted: usize) -> Option<&LookedInto> {
        match self {
            Self::Directory { number, layer } => (*number == wanted).then_some(layer),
            Self::Named(names) => names.layers.get(wanted.checked_sub(names.first())?),
        }
    }

    /// Returns the marks of a name, those of layers below `floor` left out; the lowest layer comes first.
    pub(super) fn marks(&self, hash: u64, floor: usize) -> &[Mark] {
        let Self::Named(names) = self else { return &[] };
        let start = |layer: usize| {
            let is_before = |mark: &Mark| (mark.hash, mark.layer()) < (hash, layer);
            names.marks.partition_point(is_before)
        };
        &names.marks[start(floor)..start(usize::MAX)]
    }

    /// Returns what a layer of this part says.
    pub(super) fn said(&self, layer: usize, at: &RootPath) -> Result<Said, Undecided> {
        self.layer(layer).ok_or(Undecided)?.at(at)
    }
}

impl Mark {
    /// Returns the layer.
    pub(super) fn layer(&self) -> usize {
        self.layer as usize
    }

    /// Returns the uppermost layer of the part, up to this one, that hides what others have there.
    pub(super) fn hiding(&self) -> Option<usize> {
        (self.hiding as usize).checked_sub(1)
    }
}

impl Names {
    /// Takes the names of a layer; none of a directory.
    fn of(number: usize, layer: &LookedInto) -> Option<Self> {
        let first = u32::try_from(number).expect("as many layers do not fit into memory");
        let mut marks = Vec::new();
        let mut mark = |path: &[u8], hides: bool| {
            marks.push(Mark {
                hash: hash_of(path),
                layer: first,
                hiding: if hides { first + 1 } else { 0 },
            });
        };
        match layer {
            LookedInto::Directory(..) => return None,
            LookedInto::Index(index) => {
                for (path, indexed) in &index.entries {
                    mark(path.as_bytes(), hides(indexed));
                }
            }
            LookedInto::Changes(changes) => {
                let mut before = Vec::new();
                changes.for_each_name(|path, is_directory| {
                    for above in implied(path, &before) {
                        mark(above, false);
                    }
                    mark(path, !is_directory);
                    path.clone_into(&mut before);
                });
            }
        }
        marks.sort_unstable();
        marks.shrink_to_fit();
        Some(Self {
            first,
            layers: vec![layer.clone()],
            marks,
        })
    }

    fn first(&self) -> usize {
        self.first as usize
    }

    /// Returns how much there is to be moved when these are merged with others.
    fn weight(&self) -> usize {
        self.layers.len() + self.marks.len()
    }

    /// Returns these layers with those that stand on them.
    fn merged(&self, above: &Self) -> Self {
        let mut marks = Vec::with_capacity(self.marks.len() + above.marks.len());
        let mut own = self.marks.iter().peekable();
        for mark in &above.marks {
            while let Some(below) = own.next_if(|below| below.hash <= mark.hash) {
                marks.push(*below);
            }
            push_onto(&mut marks, *mark);
        }
        marks.extend(own);
        let layers = self.layers.iter().chain(&above.layers);
        Self {
            first: self.first,
            layers: layers.cloned().collect(),
            marks,
        }
    }
}

/// Adds the mark of a layer above; what hides others below it still does.
fn push_onto(marks: &mut Vec<Mark>, mut mark: Mark) {
    if let Some(below) = marks.last().filter(|below| below.hash == mark.hash) {
        mark.hiding = mark.hiding.max(below.hiding);
    }
    marks.push(mark);
}

/// Tells whether a layer that has this at a path hides what layers below have there.
fn hides(indexed: &Indexed) -> bool {
    !matches!(indexed, Indexed::Directory(directory) if !directory.opaque)
}

/// Returns the directories above a path that the one before it does not lie in, and is not.
fn implied<'p>(path: &'p [u8], before: &[u8]) -> impl Iterator<Item = &'p [u8]> {
    let is_new = |above: &&[u8]| match before.strip_prefix(*above) {
        Some(rest) => !matches!(rest, [] | [b'/', ..]),
        None => true,
    };
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes.map(|(at, _)| &path[..at]).filter(is_new)
}
