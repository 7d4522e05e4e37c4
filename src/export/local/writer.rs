//! Writing objects into a directory of the user's, one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use layer::{Attributes, Change, ChangeKind, Node, NodeKind, Times};
use rootfs::{File, FileKind, FileTime, FsError, Inode, Mode, Root, RootPath};

use crate::exporter::{ExportError, fs_error};
use crate::output::LocalMode;

/// The bits that let a program run as its owner or group.
const OWNERS_RIGHTS: u32 = 0o6000;

/// The prefix of extended attributes that every owner of a file may set.
const USER_XATTR: &[u8] = b"user.";

/// Writes objects below a directory.
#[derive(Debug)]
pub(super) struct Writer<'r> {
    root: &'r Root,
    /// The directory, as messages show it.
    shown: &'r Path,
    mode: LocalMode,
    times: Times,
    /// Mode and time of each directory, which are set when nothing is put into it any more.
    directories: BTreeMap<RootPath, (Mode, FileTime)>,
    /// Everything that was written.
    written: BTreeSet<RootPath>,
    left_out: u64,
    written_bytes: u64,
}

impl<'r> Writer<'r> {
    /// Starts to write below a directory.
    pub(super) fn new(root: &'r Root, shown: &'r Path, mode: LocalMode, times: Times) -> Self {
        Self {
            root,
            shown,
            mode,
            times,
            directories: BTreeMap::new(),
            written: BTreeSet::new(),
            left_out: 0,
            written_bytes: 0,
        }
    }

    /// Tells whether something was written at a path.
    pub(super) fn has(&self, path: &RootPath) -> bool {
        self.written.contains(path)
    }

    /// Returns how many device nodes were left out, and how many bytes of files were written.
    pub(super) fn written(&self) -> (u64, u64) {
        (self.left_out, self.written_bytes)
    }

    /// Writes an object. The directory that it is in was written before it, and is a directory: no link is
    /// followed.
    pub(super) fn put(&mut self, change: &Change) -> Result<(), ExportError> {
        let Change { path, kind } = change;
        let ChangeKind::Put(node) = kind else {
            // A whole tree removes nothing.
            return Ok(());
        };
        match &node.kind {
            NodeKind::CharDevice { .. } | NodeKind::BlockDevice { .. } => {
                self.left_out += 1;
                return Ok(());
            }
            // The second name of a device node.
            NodeKind::HardLink { target } if !self.has(target) => {
                self.left_out += 1;
                return Ok(());
            }
            NodeKind::Directory { .. } => self.directory(path, &node.attributes)?,
            _ => self.replace(path, node)?,
        }
        if let NodeKind::File { size, .. } = &node.kind {
            self.written_bytes += size;
        }
        self.written.insert(path.clone());
        Ok(())
    }

    /// Gives the directories their modes and times, those inside others first.
    pub(super) fn finish(&mut self) -> Result<(), ExportError> {
        for (path, (mode, time)) in std::mem::take(&mut self.directories).iter().rev() {
            let set = || -> Result<(), FsError> {
                let inode = self.root.inode(path)?;
                inode.set_mode(*mode)?;
                inode.set_mtime(*time)
            };
            set().map_err(|source| self.failed(path, source))?;
        }
        Ok(())
    }

    fn directory(&mut self, path: &RootPath, attributes: &Attributes) -> Result<(), ExportError> {
        let time = self.times.of(attributes.mtime);
        let make = || -> Result<(), FsError> {
            match self.root.metadata(path)? {
                Some(found) if found.kind == FileKind::Directory => {
                    return self.open_up(path, found.mode);
                }
                Some(_) => self.root.remove_file(path)?,
                None => {}
            }
            self.root.mkdir(path)
        };
        make()
            .and_then(|()| set_xattrs(&self.root.inode(path)?, attributes))
            .map_err(|source| self.failed(path, source))?;
        self.directories
            .insert(path.clone(), (attributes.mode, time));
        Ok(())
    }

    /// Lets the owner put something into a directory, whatever its mode will be.
    fn open_up(&self, path: &RootPath, mode: Mode) -> Result<(), FsError> {
        const OWNER_ALL: u32 = 0o700;
        if mode.bits() & OWNER_ALL == OWNER_ALL {
            return Ok(());
        }
        self.root.set_mode(path, Mode::new(mode.bits() | OWNER_ALL))
    }

    /// Makes an object; what is in its place is there until the object is whole.
    fn replace(&self, path: &RootPath, node: &Node) -> Result<(), ExportError> {
        let found = self.root.metadata(path);
        let found = found.map_err(|source| self.failed(path, source))?;
        match found.map(|found| found.kind) {
            None => self.make(path, path, node),
            Some(FileKind::Directory) if self.mode == LocalMode::Copy => {
                Err(ExportError::InTheWay {
                    path: self.shown(path),
                })
            }
            Some(FileKind::Directory) => {
                let removed = self.root.remove_all(path);
                removed.map_err(|source| self.failed(path, source))?;
                self.make(path, path, node)
            }
            Some(_) => {
                let temporary = self.free_name(path)?;
                self.make(path, &temporary, node)?;
                let renamed = self.root.rename(&temporary, path);
                renamed.map_err(|source| self.undo(&temporary, self.failed(path, source)))
            }
        }
    }

    /// Makes an object under a name where nothing is; if that fails nothing is there again.
    fn make(&self, path: &RootPath, place: &RootPath, node: &Node) -> Result<(), ExportError> {
        let made = match &node.kind {
            NodeKind::File { size, content } => {
                return self.make_file(path, place, (*size, content, &node.attributes));
            }
            NodeKind::Symlink { target } => self.root.symlink(target, place),
            NodeKind::HardLink { target } => return self.link(path, place, target),
            _ => self.root.mkfifo(place),
        };
        let is_link = matches!(node.kind, NodeKind::Symlink { .. });
        let finished = made.and_then(|()| {
            let inode = self.root.inode(place)?;
            if !is_link {
                inode.set_mode(own_mode(node.attributes.mode))?;
            }
            inode.set_mtime(self.times.of(node.attributes.mtime))
        });
        finished.map_err(|source| self.undo(place, self.failed(path, source)))
    }

    /// Makes a second name of what was written before. What it is was set then.
    fn link(
        &self,
        path: &RootPath,
        place: &RootPath,
        target: &RootPath,
    ) -> Result<(), ExportError> {
        let linked = self.root.hard_link(target, place);
        linked.map_err(|source| self.failed(path, source))
    }

    fn make_file(
        &self,
        path: &RootPath,
        place: &RootPath,
        (size, content, attributes): (u64, &layer::Content, &Attributes),
    ) -> Result<(), ExportError> {
        let file = self.root.create_file(place);
        let file = file.map_err(|source| self.failed(path, source))?;
        let filled = layer::fill(&file, size, content).map_err(|source| ExportError::Copy {
            path: self.shown(path),
            source,
        });
        filled
            .and_then(|()| {
                let finished = self.finish_file(file, attributes);
                finished.map_err(|source| self.failed(path, source))
            })
            .map_err(|error| self.undo(place, error))
    }

    fn finish_file(&self, file: File, attributes: &Attributes) -> Result<(), FsError> {
        let inode = Inode::from_file(file);
        set_xattrs(&inode, attributes)?;
        inode.set_mode(own_mode(attributes.mode))?;
        inode.set_mtime(self.times.of(attributes.mtime))
    }

    /// Returns a name beside a path that nothing has.
    fn free_name(&self, path: &RootPath) -> Result<RootPath, ExportError> {
        let parent = path.parent().unwrap_or_default();
        let mut number = 0_u64;
        loop {
            let name = format!("{}export-{number}", rootfs::TEMPORARY_PREFIX);
            let free = parent.child(name.as_bytes());
            let free = free.map_err(|source| self.failed(path, source.into()))?;
            let found = self.root.metadata(&free);
            if found.map_err(|source| self.failed(path, source))?.is_none() {
                return Ok(free);
            }
            number += 1;
        }
    }

    /// Removes what is half made, and returns the error that is to be reported.
    fn undo(&self, place: &RootPath, error: ExportError) -> ExportError {
        // The first error is the one to report; a left-over is only untidy.
        drop(self.root.remove_file(place));
        error
    }

    fn failed(&self, path: &RootPath, source: FsError) -> ExportError {
        fs_error(&self.shown(path), source)
    }

    fn shown(&self, path: &RootPath) -> PathBuf {
        self.shown.join(path.to_string())
    }
}

/// Returns the mode of a file that belongs to somebody else now.
fn own_mode(mode: Mode) -> Mode {
    Mode::new(mode.bits() & !OWNERS_RIGHTS)
}

/// Sets the extended attributes that a user may set, where the file system has any.
fn set_xattrs(inode: &Inode, attributes: &Attributes) -> Result<(), FsError> {
    let of_user = attributes
        .xattrs
        .iter()
        .filter(|(name, _)| name.starts_with(USER_XATTR));
    for (name, value) in of_user {
        match inode.set_xattr(name, value) {
            Err(error) if error.is_unsupported() => return Ok(()),
            done => done?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
