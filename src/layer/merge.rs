//! Directories of several layers → one directory that says what they say together.
//!
//! Files are not copied: they get a second name. Directories are made anew, each with the attributes of the topmost
//! that is merged into it. What the layers say of those below them is said again:
//!
//! | Of a path, from the top | In the merged directory |
//! | --- | --- |
//! | a whiteout | a whiteout, if something below is to be hidden |
//! | anything but a directory | that object |
//! | directories, to the bottom | a directory |
//! | directories, then an opaque one, a whiteout or a file | an opaque directory, if something below is to be hidden |
//!
//! A whiteout that hides nothing would be seen: overlayfs reads a directory that only one layer has as it is, and takes
//! whiteouts out of those that it merges (overlayfs.rst, "whiteouts and opaque directories"). The top is always merged,
//! and keeps its whiteouts.

use std::collections::BTreeMap;
use std::sync::Arc;

use rootfs::{FileKind, FsError, Inode, Metadata, Root, RootPath, copy_contents};

use crate::xattr;

/// Layers that cannot become one.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A directory cannot be read or written.
    #[error("merge `{}` of several layers", path.absolute())]
    Directory {
        /// Its path in the image.
        path: RootPath,
        /// Why not.
        #[source]
        source: FsError,
    },
    /// A layer changed meanwhile.
    #[error("merge `{}` of several layers: it is gone from one of them", path.absolute())]
    Gone {
        /// Its path in the image.
        path: RootPath,
    },
}

/// Merges directories in overlay form, the lowest first, into `target`, an empty directory on their file system. `below`
/// is the file system that they are on top of, none if there is nothing.
///
/// # Errors
///
/// Fails where a layer cannot be read or the target cannot be written; it is of no use then.
pub fn merge(layers: &[Arc<Root>], below: Option<&Root>, target: &Root) -> Result<(), MergeError> {
    Merging {
        layers,
        below,
        target,
        form: Form::Overlay,
    }
    .all()
}

/// Merges directories in overlay form, the lowest first, into `target`, an empty directory on their file system, which
/// becomes what an overlay of them would show.
///
/// # Errors
///
/// As [`merge`].
pub fn flatten(layers: &[Arc<Root>], target: &Root) -> Result<(), MergeError> {
    Merging {
        layers,
        below: None,
        target,
        form: Form::Plain,
    }
    .all()
}

/// What becomes of the directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One layer of an overlay.
    Overlay,
    /// A file system.
    Plain,
}

impl Merging<'_> {
    fn all(&self) -> Result<(), MergeError> {
        let top = Merged {
            path: RootPath::root(),
            from: (0..self.layers.len()).rev().collect(),
            is_alone: self.below.is_none(),
            is_opaque: false,
        };
        let mut left = vec![top];
        while let Some(merged) = left.pop() {
            self.directory(&merged, &mut left)?;
        }
        Ok(())
    }
}

/// A directory that several layers may have a part in.
struct Merged {
    path: RootPath,
    /// The layers that do, the topmost first.
    from: Vec<usize>,
    /// What is below has no part in it.
    is_alone: bool,
    /// It hides what is below.
    is_opaque: bool,
}

/// What the layers together say of a name.
enum Said {
    /// Nothing is there.
    Gone,
    /// The object that the layer at this place has.
    Object(usize),
    /// A directory.
    Directory(Parts),
}

/// The places of the layers that have a part in a directory, the topmost first.
struct Parts {
    from: Vec<usize>,
    is_closed: bool,
}

/// The directories of one path.
struct Opened {
    /// Those of the layers that have a part in it, with the places of these.
    parts: Vec<(usize, Root)>,
    target: Root,
    below: Option<Root>,
}

struct Merging<'a> {
    layers: &'a [Arc<Root>],
    below: Option<&'a Root>,
    target: &'a Root,
    form: Form,
}

impl Merging<'_> {
    fn directory(&self, merged: &Merged, left: &mut Vec<Merged>) -> Result<(), MergeError> {
        let failed = |source| MergeError::Directory {
            path: merged.path.clone(),
            source,
        };
        let gone = || MergeError::Gone {
            path: merged.path.clone(),
        };
        let opened = self.open(merged).map_err(failed)?.ok_or_else(gone)?;
        for (name, said) in opened.said().map_err(failed)? {
            let at = RootPath::root().child(&name);
            let at = at.expect("a name in a directory is one component");
            match said {
                Said::Gone if self.form == Form::Plain => {}
                Said::Gone if merged.path.is_root() || opened.hides(&at).map_err(failed)? => {
                    opened.target.whiteout(&at).map_err(failed)?;
                }
                Said::Gone => {}
                Said::Object(part) => opened.take(part, &at).map_err(failed)?,
                Said::Directory(parts) => {
                    opened.target.mkdir(&at).map_err(failed)?;
                    left.push(opened.entered(merged, &at, parts)?);
                }
            }
        }
        opened.finish(merged.is_opaque).map_err(failed)
    }

    /// Opens the directories of a path; none if a layer does not have what it had.
    fn open(&self, merged: &Merged) -> Result<Option<Opened>, FsError> {
        let mut parts = Vec::with_capacity(merged.from.len());
        for &layer in &merged.from {
            let Some(part) = self.layers[layer].open_dir_direct(&merged.path)? else {
                return Ok(None);
            };
            parts.push((layer, part));
        }
        let below = match self.below {
            Some(below) if !merged.is_alone => below.open_dir_direct(&merged.path)?,
            _ => None,
        };
        let target = self.target.open_dir_direct(&merged.path)?;
        Ok(target.map(|target| Opened {
            parts,
            target,
            below,
        }))
    }
}

impl Opened {
    /// Returns what is said of each name.
    fn said(&self) -> Result<BTreeMap<Vec<u8>, Said>, FsError> {
        let mut said: BTreeMap<Vec<u8>, Said> = BTreeMap::new();
        for (part, (_, directory)) in self.parts.iter().enumerate() {
            for name in directory.names()? {
                match said.get_mut(&name) {
                    None => {
                        let first = first_said(part, directory, &name)?;
                        said.insert(name, first);
                    }
                    Some(Said::Directory(parts)) if !parts.is_closed => {
                        parts.add(part, directory, &name)?;
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(said)
    }

    /// Tells whether there is something below that a whiteout has to hide.
    fn hides(&self, at: &RootPath) -> Result<bool, FsError> {
        let below = self.below.as_ref();
        Ok(below
            .map(|below| below.metadata(at))
            .transpose()?
            .flatten()
            .is_some())
    }

    /// Gives an object of a part a second name, or copies a file that has as many as the file system takes.
    fn take(&self, part: usize, at: &RootPath) -> Result<(), FsError> {
        let from = &self.parts[part].1;
        match from.hard_link_into(at, &self.target, at) {
            Err(error) if error.is_linked_too_often() && is_file(from, at)? => {
                let file = self.target.create_file(at)?;
                copy_contents(&from.open_file_nofollow(at)?, &file)?;
                copy_attributes(&from.inode(at)?, &Inode::from_file(file))
            }
            linked => linked,
        }
    }

    /// Returns the directory of a name in this one, to be merged as well.
    fn entered(
        &self,
        merged: &Merged,
        at: &RootPath,
        Parts { from, is_closed }: Parts,
    ) -> Result<Merged, MergeError> {
        let failed = |source| MergeError::Directory {
            path: merged.path.clone(),
            source,
        };
        let path = merged.path.join(at);
        Ok(Merged {
            path: path.map_err(|source| failed(source.into()))?,
            from: from.into_iter().map(|part| self.parts[part].0).collect(),
            is_alone: is_closed || self.below.is_none(),
            is_opaque: is_closed && self.hides(at).map_err(failed)?,
        })
    }

    /// Gives the directory the attributes of the topmost part: last, since putting something into it changes its time.
    fn finish(&self, is_opaque: bool) -> Result<(), FsError> {
        let top = RootPath::root();
        let target = self.target.inode(&top)?;
        if is_opaque {
            xattr::mark_opaque(&target)?;
        }
        match self.parts.first() {
            Some((_, part)) => copy_attributes(&part.inode(&top)?, &target),
            None => Ok(()),
        }
    }
}

impl Parts {
    /// Takes in what the next lower part says of a directory.
    fn add(&mut self, part: usize, directory: &Root, name: &[u8]) -> Result<(), FsError> {
        match first_said(part, directory, name)? {
            Said::Directory(lower) => {
                self.from.push(part);
                self.is_closed = lower.is_closed;
            }
            Said::Gone | Said::Object(_) => self.is_closed = true,
        }
        Ok(())
    }
}

/// Returns what one part alone says of a name that it has.
fn first_said(part: usize, directory: &Root, name: &[u8]) -> Result<Said, FsError> {
    let at = RootPath::root().child(name)?;
    let found = directory.metadata(&at)?;
    Ok(match found {
        Some(found) if found.kind == FileKind::Directory => Said::Directory(Parts {
            from: vec![part],
            is_closed: xattr::is_opaque(&directory.inode(&at)?)?,
        }),
        Some(found) if !found.is_whiteout() => Said::Object(part),
        _ => Said::Gone,
    })
}

fn is_file(root: &Root, at: &RootPath) -> Result<bool, FsError> {
    let found = root.metadata(at)?;
    Ok(found.is_some_and(|found| found.kind == FileKind::File))
}

/// Copies what is on disk as it is: both are held in the same way.
fn copy_attributes(from: &Inode, to: &Inode) -> Result<(), FsError> {
    let Metadata {
        uid,
        gid,
        mode,
        mtime,
        ..
    } = from.metadata()?;
    to.set_owner(uid, gid)?;
    for (name, value) in from.xattrs()? {
        if xattr::belongs_to_inode(&name) {
            to.set_xattr(&name, &value)?;
        }
    }
    to.set_mode(mode)?;
    to.set_mtime(mtime)
}
