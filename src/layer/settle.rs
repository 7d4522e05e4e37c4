//! Completing a layer whose tar depends on the layers below it.
//!
//! Layers are applied side by side, and a tar may leave out what an earlier one has. What it left open is
//! settled when the layers below are complete:
//!
//! | The tar has | and below is | Then |
//! | --- | --- | --- |
//! | `usr/bin/x` without `usr/bin` | the directory `usr/bin` | it gets the attributes of that one |
//! | `var/run/x` without `var/run` | a symlink `var/run` → `/run` | `x` moves to `run/x` |
//! | `a/x` without `a` | nothing | `a` stays 0755 of 0:0 |
//! | `a/x` without `a` | a file `a` | an error |
//! | a hard link to `bin/y` | a file `bin/y` | it is copied up, and linked |
//! | a hard link to `bin/y` | nothing | an error |

use std::collections::{BTreeMap, BTreeSet};

use rootfs::{FileKind, FileTime, FsError, Metadata, Mode, OwnerTable, PathError, Root, RootPath};

use crate::xattr;

/// What of a layer depends on those below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unsettled {
    /// Directories that the tar has something in and no entry for.
    pub implied: BTreeSet<RootPath>,
    /// Hard links to what the layer does not have, in the order of the tar.
    pub links: Vec<DeferredLink>,
}

/// A hard link to what its layer does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeferredLink {
    /// Where the link is to be, without symlinks of its layer.
    pub path: RootPath,
    /// What it is to be a name of.
    pub target: RootPath,
}

impl Unsettled {
    /// Tells whether the layer is complete by itself, so that it is the same in every image.
    pub fn is_empty(&self) -> bool {
        self.implied.is_empty() && self.links.is_empty()
    }
}

/// A layer that does not fit to those below it.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The layer has something below what is a file in the layers below.
    #[error("the layer has files below `{}`, which is no directory in the layers below", path.absolute())]
    NotADirectory {
        /// What is no directory.
        path: RootPath,
    },
    /// The target of a hard link is nowhere.
    #[error("`{}` in the layer is a link to `{}`, which does not exist", path.absolute(), target.absolute())]
    LinkTarget {
        /// The link.
        path: RootPath,
        /// What it should be a name of.
        target: RootPath,
    },
    /// An object cannot be completed.
    #[error("complete `{}` of the layer", path.absolute())]
    Write {
        /// The object.
        path: RootPath,
        /// Why not.
        #[source]
        source: FsError,
    },
}

/// Completes the layer in `target` with what is `below`, the layers below it as one tree. Both hold owners
/// in the same way; `owners` are the records of `target`.
///
/// # Errors
///
/// Fails where the layer does not fit to those below, or an object cannot be made; the directory is of no
/// use then.
pub fn settle(
    target: &Root,
    below: &Root,
    unsettled: &Unsettled,
    owners: &mut OwnerTable,
) -> Result<(), SettleError> {
    let mut settler = Settler {
        target,
        below,
        owners,
        implied: unsettled.implied.clone(),
        moved: Vec::new(),
        times: BTreeMap::new(),
    };
    while let Some(path) = settler.implied.pop_first() {
        settler.directory(&path)?;
    }
    for link in &unsettled.links {
        settler.link(link)?;
    }
    // Copying up may have made directories that are below too.
    while let Some(path) = settler.implied.pop_first() {
        settler.directory(&path)?;
    }
    settler.restore_times()
}

struct Settler<'a> {
    target: &'a Root,
    below: &'a Root,
    owners: &'a mut OwnerTable,
    /// Directories to be looked at, those above first.
    implied: BTreeSet<RootPath>,
    /// What moved where, in order.
    moved: Vec<(RootPath, RootPath)>,
    /// The times that directories had before something was put into them.
    times: BTreeMap<RootPath, FileTime>,
}

fn at(path: &RootPath) -> impl Fn(FsError) -> SettleError + use<> {
    let path = path.clone();
    move |source| SettleError::Write {
        path: path.clone(),
        source,
    }
}

fn too_long(path: &RootPath) -> impl Fn(PathError) -> SettleError + use<> {
    let path = path.clone();
    move |source| SettleError::Write {
        path: path.clone(),
        source: source.into(),
    }
}

impl Settler<'_> {
    fn directory(&mut self, path: &RootPath) -> Result<(), SettleError> {
        match self.found_below(path).map_err(at(path))? {
            None => Ok(()),
            Some(found) if found.kind == FileKind::Directory => {
                self.copy_attributes(path, &found).map_err(at(path))
            }
            Some(found) if found.kind == FileKind::Symlink => self.move_away(path),
            Some(_) => Err(SettleError::NotADirectory { path: path.clone() }),
        }
    }

    /// Returns what is below at a path to which no symlink leads: a directory of the layer hides a
    /// symlink below, and everything that it leads to.
    fn found_below(&self, path: &RootPath) -> Result<Option<Metadata>, FsError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return self.below.metadata(path);
        };
        match self.below.open_dir_direct(&parent)? {
            Some(directory) => directory.metadata(&RootPath::root().child(name)?),
            None => Ok(None),
        }
    }

    /// Gives an object of the layer the attributes of the one below.
    fn copy_attributes(&mut self, path: &RootPath, found: &Metadata) -> Result<(), FsError> {
        let (to, from) = (self.target.inode(path)?, self.below.inode(path)?);
        to.set_owner(found.uid, found.gid)?;
        if found.kind != FileKind::Symlink {
            to.set_mode(found.mode)?;
        }
        if matches!(found.kind, FileKind::File | FileKind::Directory) {
            for (name, value) in from.xattrs()? {
                if xattr::belongs_to_inode(&name) {
                    to.set_xattr(&name, &xattr::portable_capability(value))?;
                }
            }
        }
        self.times.insert(path.clone(), found.mtime);
        Ok(())
    }

    /// Moves what is in a directory of the layer to where the symlink below leads.
    fn move_away(&mut self, path: &RootPath) -> Result<(), SettleError> {
        let to = self.below.resolve(path).map_err(at(path))?;
        self.make_directories(&to)?;
        self.merge(path, &to)?;
        let below = self.implied.split_off(path);
        for implied in below {
            match implied.strip_prefix(path) {
                Some(rest) => self
                    .implied
                    .insert(to.join(&rest).map_err(too_long(&implied))?),
                None => self.implied.insert(implied),
            };
        }
        self.times.retain(|other, _| !other.starts_with(path));
        self.owners.rename(path, &to).map_err(too_long(path))?;
        self.moved.push((path.clone(), to));
        Ok(())
    }

    /// Makes a directory of the layer and those above it, as implied ones where they are missing.
    fn make_directories(&mut self, path: &RootPath) -> Result<(), SettleError> {
        for directory in path.ancestors().chain([path.clone()]) {
            if directory.is_root() {
                continue;
            }
            match self.target.metadata(&directory).map_err(at(&directory))? {
                Some(found) if found.kind == FileKind::Directory => continue,
                Some(_) => return Err(SettleError::NotADirectory { path: directory }),
                None => {}
            }
            self.remember_time(&directory).map_err(at(&directory))?;
            let made = self.target.mkdir(&directory);
            let made = made.and_then(|()| self.target.set_mode(&directory, Mode::new(0o755)));
            made.map_err(at(&directory))?;
            self.implied.insert(directory);
        }
        Ok(())
    }

    /// Remembers the time of the directory that a path is in, before it is changed.
    fn remember_time(&mut self, path: &RootPath) -> Result<(), FsError> {
        let parent = path.parent().unwrap_or_default();
        if !self.times.contains_key(&parent)
            && let Some(metadata) = self.target.metadata(&parent)?
        {
            self.times.insert(parent, metadata.mtime);
        }
        Ok(())
    }

    /// Moves everything in one directory of the layer into another and removes it. Where both have a
    /// name, directories become one, and otherwise the one that was written by the longer way stays.
    fn merge(&mut self, from: &RootPath, to: &RootPath) -> Result<(), SettleError> {
        let directory = self.target.open_dir_nofollow(from).map_err(at(from))?;
        for name in directory.names().map_err(at(from))? {
            let source = from.child(&name).map_err(too_long(from))?;
            let goal = to.child(&name).map_err(too_long(to))?;
            self.move_one(&source, &goal)?;
        }
        self.keep_opaque(from, to).map_err(at(from))?;
        self.remember_time(from).map_err(at(from))?;
        self.target.remove_dir(from).map_err(at(from))
    }

    fn move_one(&mut self, from: &RootPath, to: &RootPath) -> Result<(), SettleError> {
        let kind = |root: &Root, path: &RootPath| -> Result<Option<FileKind>, SettleError> {
            Ok(root
                .metadata(path)
                .map_err(at(path))?
                .map(|metadata| metadata.kind))
        };
        let kinds = (kind(self.target, from)?, kind(self.target, to)?);
        if kinds == (Some(FileKind::Directory), Some(FileKind::Directory)) {
            return self.merge(from, to);
        }
        self.remember_time(to).map_err(at(to))?;
        self.target.remove_all(to).map_err(at(to))?;
        self.target.rename(from, to).map_err(at(to))
    }

    /// A directory that hides what is below it hides it also where it moves to.
    fn keep_opaque(&self, from: &RootPath, to: &RootPath) -> Result<(), FsError> {
        if xattr::is_opaque(&self.target.inode(from)?)? {
            return xattr::mark_opaque(&self.target.inode(to)?);
        }
        Ok(())
    }

    /// Makes a hard link, copying what it links to up.
    fn link(&mut self, link: &DeferredLink) -> Result<(), SettleError> {
        let path = self.where_now(&link.path)?;
        let missing = || SettleError::LinkTarget {
            path: link.path.clone(),
            target: link.target.clone(),
        };
        let target = self.where_now(&real_name(self.below, &link.target).map_err(at(&path))?)?;
        if self.target.metadata(&target).map_err(at(&path))?.is_none() {
            let found = self.below.metadata(&target).map_err(at(&path))?;
            let found = found.filter(|found| found.kind != FileKind::Directory);
            self.copy_up(&target, &found.ok_or_else(missing)?)?;
        }
        if let Some(parent) = path.parent() {
            self.make_directories(&parent)?;
        }
        self.remember_time(&path).map_err(at(&path))?;
        self.target.hard_link(&target, &path).map_err(at(&path))
    }

    /// Returns where a path of the layer is after what moved.
    fn where_now(&self, path: &RootPath) -> Result<RootPath, SettleError> {
        let mut now = path.clone();
        for (from, to) in &self.moved {
            if let Some(rest) = now.strip_prefix(from) {
                now = to.join(&rest).map_err(too_long(path))?;
            }
        }
        Ok(now)
    }

    /// Copies what is below to the same path of the layer.
    fn copy_up(&mut self, path: &RootPath, found: &Metadata) -> Result<(), SettleError> {
        if let Some(parent) = path.parent() {
            self.make_directories(&parent)?;
        }
        self.remember_time(path).map_err(at(path))?;
        self.copy_object(path, found).map_err(at(path))?;
        self.copy_attributes(path, found).map_err(at(path))
    }

    fn copy_object(&self, path: &RootPath, found: &Metadata) -> Result<(), FsError> {
        match found.kind {
            FileKind::Symlink => self.target.symlink(&self.below.read_link(path)?, path),
            FileKind::Fifo => self.target.mkfifo(path),
            _ => {
                let from = self.below.open_file_nofollow(path)?;
                rootfs::copy_contents(&from, &self.target.create_file(path)?).map(|_| ())
            }
        }
    }

    fn restore_times(&self) -> Result<(), SettleError> {
        for (path, time) in &self.times {
            self.target.set_times(path, *time).map_err(at(path))?;
        }
        Ok(())
    }
}

/// Returns where a name leads in a tree without following it itself.
fn real_name(root: &Root, path: &RootPath) -> Result<RootPath, FsError> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok(root.resolve(&parent)?.child(name)?),
        _ => Ok(RootPath::root()),
    }
}
