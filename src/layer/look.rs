//! Looking names up in a stack of layers of which not all are directories: as overlayfs would find them.
//!
//! A stack with one layer more shares what is known of those below ([`Lookups::with`]): a look-up costs about the same
//! however many layers there are, and so does the next layer (see [`parts`]).

mod parts;
mod said;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rootfs::{FileKind, Owners, Root, RootPath, TABLE_LIMIT_BYTES, Way};

use crate::change::{Attributes, ChangeSet};
use crate::index::{Indexed, LayerIndex};
use parts::{Mark, Part};
use said::{Found, Said};

/// The layers cannot be looked into without directories of them: something is not known, or is in the way. Whoever
/// needs the answer, or the words of the error, makes the directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not to be known without the files of the layers")]
pub struct Undecided;

/// A layer that is looked into.
#[derive(Debug, Clone)]
pub enum LookedInto {
    /// A layer of which there is an index.
    Index(Arc<LayerIndex>),
    /// A layer that is made of files which are elsewhere.
    Changes(Arc<ChangeSet>),
    /// A layer that is a directory, settled onto those below it.
    Directory(Arc<Root>, Owners),
}

/// A stack of layers that names are looked up in.
#[derive(Debug, Clone, Default)]
pub struct Lookups {
    /// The lowest first; what each has is never changed.
    parts: Vec<Arc<Part>>,
}

/// What all layers say of a path.
struct Merged {
    said: Said,
    /// The uppermost layer that says it.
    by: Option<usize>,
}

impl Lookups {
    /// Takes the layers, the lowest first.
    ///
    /// # Errors
    ///
    /// Fails where a layer has files below what is no directory in the layers below it, which has to be settled.
    pub fn new(layers: Vec<LookedInto>) -> Result<Self, Undecided> {
        let mut layers = layers.into_iter();
        layers.try_fold(Self::default(), |below, layer| below.with(layer))
    }

    /// Returns the stack with one layer more.
    ///
    /// # Errors
    ///
    /// Fails as [`Lookups::new`] does.
    pub fn with(&self, layer: LookedInto) -> Result<Self, Undecided> {
        if let LookedInto::Index(index) = &layer {
            for path in index.implied() {
                match self.look(path)?.said {
                    Said::Nothing | Said::Gone | Said::Directory(_) => {}
                    Said::Link(_) | Said::Other(_) => return Err(Undecided),
                }
            }
        }
        let mut parts = self.parts.clone();
        parts::add(&mut parts, layer);
        Ok(Self { parts })
    }

    /// Returns how many layers are directories, each of which is held open.
    pub fn open_directories(&self) -> usize {
        self.parts.iter().filter(|part| part.is_directory()).count()
    }

    /// Returns the kind of what is at a path; the last component is not followed.
    ///
    /// # Errors
    ///
    /// Fails where that cannot be known.
    pub fn kind(&self, path: &RootPath) -> Result<Option<FileKind>, Undecided> {
        let real = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => self.resolve(&parent)?.child(name),
            _ => return Ok(Some(FileKind::Directory)),
        };
        Ok(
            match self.look(&real.map_err(|_too_long| Undecided)?)?.said {
                Said::Nothing | Said::Gone => None,
                Said::Directory(_) => Some(FileKind::Directory),
                Said::Link(_) => Some(FileKind::Symlink),
                Said::Other(kind) => Some(kind),
            },
        )
    }

    /// Returns the path that a path leads to, without symbolic links, the last component's included. What does not
    /// exist is appended as it stands.
    ///
    /// # Errors
    ///
    /// Fails where that cannot be known, and where the path leads nowhere.
    pub fn resolve(&self, path: &RootPath) -> Result<RootPath, Undecided> {
        let real = rootfs::follow(path, |path| {
            self.look(path).map(|merged| match merged.said {
                Said::Link(target) => Way::Link(target),
                Said::Other(_) => Way::Blocked,
                Said::Nothing | Said::Gone | Said::Directory(_) => Way::Open,
            })
        });
        real.map_err(|_nowhere| Undecided)
    }

    /// Returns the attributes of a directory; none if there is no directory at the path, which no link leads to.
    ///
    /// # Errors
    ///
    /// Fails where that cannot be known.
    pub fn directory(&self, path: &RootPath) -> Result<Option<Attributes>, Undecided> {
        // What the top is like depends on how the layers are put together.
        if path.is_root()
            || self.resolve(&path.parent().unwrap_or_default())?
                != path.parent().unwrap_or_default()
        {
            return Err(Undecided);
        }
        Ok(match self.look(path)?.said {
            Said::Directory(found) => Some(found.attributes),
            Said::Nothing | Said::Gone | Said::Link(_) | Said::Other(_) => None,
        })
    }

    /// Reads a small file, following links; none where there is nothing.
    ///
    /// # Errors
    ///
    /// Fails where its bytes are not known.
    pub fn read(&self, path: &RootPath) -> Result<Option<Vec<u8>>, Undecided> {
        let real = self.resolve(path)?;
        let Merged { said, by } = self.look(&real)?;
        match said {
            Said::Nothing | Said::Gone => return Ok(None),
            Said::Other(FileKind::File) => {}
            Said::Directory(_) | Said::Link(_) | Said::Other(_) => return Err(Undecided),
        }
        match by.and_then(|layer| self.layer(layer)) {
            Some(LookedInto::Index(index)) => match index.entries.get(&real) {
                Some(Indexed::File(Some(bytes))) => Ok(Some(bytes.to_vec())),
                _ => Err(Undecided),
            },
            Some(LookedInto::Directory(root, _)) => root
                .read_to_end_limited(&real, TABLE_LIMIT_BYTES)
                .map_err(|_unreadable| Undecided),
            Some(LookedInto::Changes(_)) | None => Err(Undecided),
        }
    }

    fn layer(&self, number: usize) -> Option<&LookedInto> {
        self.parts.iter().find_map(|part| part.layer(number))
    }

    /// Says what the layers have at a path to which no link leads.
    fn look(&self, path: &RootPath) -> Result<Merged, Undecided> {
        let mut view = Seen {
            lookups: self,
            floor: 0,
            directories: None,
        };
        let mut merged = Merged {
            said: Said::Directory(Found::unsaid()),
            by: None,
        };
        let own = (!path.is_root()).then(|| path.clone());
        for at in path.ancestors().filter(|at| !at.is_root()).chain(own) {
            let Said::Directory(_) = merged.said else {
                return Ok(Merged {
                    said: Said::Nothing,
                    by: None,
                });
            };
            merged = view.descend(&at)?;
        }
        Ok(merged)
    }
}

/// What is seen on the way down a path.
struct Seen<'l> {
    lookups: &'l Lookups,
    /// The lowest layer of which something is seen.
    floor: usize,
    /// The layers that are directories and have a part in the directory above; all at the top.
    directories: Option<Vec<usize>>,
}

/// What is put together of one path, from the top downwards.
#[derive(Default)]
struct Putting {
    result: Option<Found>,
    by: Option<usize>,
    /// Nothing below a layer that hides what is below it has a part in what is in the directory.
    floor: Option<usize>,
    directories: Vec<usize>,
    is_over: bool,
}

impl Seen<'_> {
    /// Goes one step down, to a path below that of the step before.
    fn descend(&mut self, at: &RootPath) -> Result<Merged, Undecided> {
        let hash = parts::hash_of(at.as_bytes());
        let mut putting = Putting::default();
        for part in self.lookups.parts.iter().rev() {
            if putting.is_over || part.end() <= self.floor {
                break;
            }
            let other = match &**part {
                Part::Directory { number, layer } => {
                    let sees = |above: &Vec<usize>| above.contains(number);
                    if self.directories.as_ref().is_none_or(sees) {
                        putting.take(*number, layer.at(at)?, true)
                    } else {
                        None
                    }
                }
                Part::Named(_) => {
                    let marks = part.marks(hash, self.floor);
                    putting.take_marked(part, marks, at)?
                }
            };
            if let Some(merged) = other {
                return Ok(merged);
            }
        }
        self.floor = putting
            .floor
            .map_or(self.floor, |floor| floor.max(self.floor));
        self.directories = Some(putting.directories);
        Ok(Merged {
            said: putting.result.map_or(Said::Nothing, Said::Directory),
            by: putting.by,
        })
    }
}

impl Putting {
    /// Takes what the layers of one part say, of those that may say something.
    fn take_marked(
        &mut self,
        part: &Part,
        mut marks: &[Mark],
        at: &RootPath,
    ) -> Result<Option<Merged>, Undecided> {
        while let Some((mark, below)) = marks.split_last() {
            let number = mark.layer();
            if let Some(merged) = self.take(number, part.said(number, at)?, false) {
                return Ok(Some(merged));
            }
            marks = below;
            if self.is_over {
                break;
            }
            if self.is_explicit() {
                // Of the layers below, only what hides others counts any more.
                let Some(hiding) = below.last().and_then(Mark::hiding) else {
                    break;
                };
                let count = below.partition_point(|mark| mark.layer() <= hiding);
                marks = &below[..count];
            }
        }
        Ok(None)
    }

    /// Takes what the next layer below says; returns the answer if that is no directory.
    fn take(&mut self, number: usize, said: Said, is_directory: bool) -> Option<Merged> {
        match said {
            Said::Nothing => {}
            Said::Directory(found) => {
                if self.floor.is_none() && is_directory {
                    self.directories.push(number);
                }
                if found.opaque && self.floor.is_none() {
                    self.floor = Some(number);
                }
                self.by = self.by.or(Some(number));
                // Of a directory that nothing is said of above, what is below counts.
                if !self.is_explicit() {
                    self.result = Some(found);
                }
                self.is_over = self.floor.is_some() && self.is_explicit();
            }
            other if self.result.is_none() => {
                return Some(Merged {
                    said: other,
                    by: Some(number),
                });
            }
            Said::Gone | Said::Link(_) | Said::Other(_) => {
                self.floor = self.floor.or(Some(number + 1));
                self.is_over = true;
            }
        }
        None
    }

    fn is_explicit(&self) -> bool {
        self.result.as_ref().is_some_and(|found| !found.implied)
    }
}
