//! The destination side of a copy: where the files go.

use std::collections::{BTreeMap, BTreeSet};

use graph::CopyAction;
use layer::{Attributes, Change, ChangeKind, ChangeSet, ChangeSetBuilder, Listed, Node, NodeKind};
use oci::time::Clock;
use rootfs::{FileKind, FileTime, Mode, ResolvedUser, RootPath};

use super::collect::{Collected, Found};
use super::error::CopyError;
use super::file_time;
use super::mode::ModeChange;
use crate::realise::{Lookup, LookupError};

/// Makes the change set that a copy is.
pub(crate) fn plan(
    view: &Lookup<'_>,
    action: &CopyAction,
    collected: Collected,
    clock: &Clock,
) -> Result<ChangeSet, CopyError> {
    let mode = action.mode.as_deref().map(ModeChange::parse).transpose()?;
    let owner = action
        .owner
        .as_deref()
        .map(|owner| owner_of(view, owner))
        .transpose()?;
    let mut plan = Plan {
        view,
        mode,
        owner,
        now: file_time(clock),
        changes: ChangeSetBuilder::default(),
        made: BTreeSet::new(),
        absent: None,
    };
    for found in collected.sources {
        plan.place(found, &action.destination)?;
    }
    Ok(plan.changes.finish())
}

/// The owner of what a copy makes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Looks an owner up in the image. Of a bare number the group is the same number.
pub(crate) fn owner_of(view: &Lookup<'_>, owner: &str) -> Result<Owner, CopyError> {
    let refuse = |error| match error {
        LookupError::User(source) => CopyError::Owner {
            owner: owner.to_owned(),
            source,
        },
        error => error.into(),
    };
    let resolved = view.resolve_user(owner).map_err(refuse)?;
    Ok(Owner {
        uid: resolved.uid,
        gid: group_of(owner, &resolved),
    })
}

/// Returns the group of files that an owner gets. Of a bare number it is the same number, unlike that of a command.
pub(crate) fn group_of(owner: &str, resolved: &ResolvedUser) -> u32 {
    let is_number = owner.bytes().all(|byte| byte.is_ascii_digit());
    if is_number {
        resolved.uid
    } else {
        resolved.gid
    }
}

struct Plan<'a> {
    view: &'a Lookup<'a>,
    mode: Option<ModeChange>,
    owner: Option<Owner>,
    now: FileTime,
    changes: ChangeSetBuilder,
    /// The directories that every source has in common: they need not be looked for among all changes.
    made: BTreeSet<RootPath>,
    /// A directory of this copy that the destination does not have: nothing below it is there either, and most of what
    /// is copied is below such a one.
    absent: Option<RootPath>,
}

impl Plan<'_> {
    fn place(&mut self, found: Found, destination: &str) -> Result<(), CopyError> {
        let wanted = destination_path(destination)?;
        if found.is_directory() {
            let target = self.view.resolve(&wanted)?;
            self.make_directories(&target)?;
            return self.place_contents(found, &target);
        }
        let target = self.file_target(&found, &wanted, destination)?;
        let mut names = BTreeMap::new();
        for Listed { change, inode } in found.entries.drain() {
            if let ChangeKind::Put(node) = change.kind {
                self.put((node, inode), target.clone(), &mut names)?;
            }
        }
        Ok(())
    }

    /// Puts what is below a directory; the directory itself gives no attributes.
    fn place_contents(&mut self, found: Found, target: &RootPath) -> Result<(), CopyError> {
        let mut names = BTreeMap::new();
        let keeps_directories = found.keeps_directories;
        for Listed { change, inode } in found.entries.drain() {
            let Change { path: tail, kind } = change;
            let ChangeKind::Put(node) = kind else {
                continue;
            };
            if tail.is_root() {
                continue;
            }
            let path = target.join(&tail).map_err(|source| CopyError::Path {
                path: tail.to_string(),
                source,
            })?;
            if keeps_directories && self.keeps(&node, &path)? {
                continue;
            }
            self.put((node, inode), path, &mut names)?;
        }
        Ok(())
    }

    /// Tells whether an entry is a directory that is at the destination, which is then kept.
    fn keeps(&mut self, node: &Node, path: &RootPath) -> Result<bool, CopyError> {
        let is_directory = matches!(node.kind, NodeKind::Directory { .. });
        if !is_directory || self.kind_at(path)? != Some(FileKind::Directory) {
            return Ok(false);
        }
        self.make_directories(path)?;
        Ok(true)
    }

    fn put(
        &mut self,
        (node, inode): (Node, Option<(u64, u64)>),
        path: RootPath,
        names: &mut BTreeMap<(u64, u64), RootPath>,
    ) -> Result<(), CopyError> {
        let is_directory = matches!(node.kind, NodeKind::Directory { .. });
        let found = self.kind_at(&path)?;
        if found.is_none() && is_directory {
            self.note_absent(&path);
        }
        match (found, is_directory) {
            (Some(FileKind::Directory), false) => {
                return Err(CopyError::IsADirectory {
                    path: path.to_string(),
                });
            }
            (None | Some(FileKind::Directory), _) | (Some(_), false) => {}
            (Some(_), true) => {
                return Err(CopyError::NotADirectory {
                    path: path.to_string(),
                });
            }
        }
        let mut node = self.changed(node);
        if let Some(inode) = inode {
            let first = names.entry(inode).or_insert_with(|| path.clone());
            if *first != path {
                node.kind = NodeKind::HardLink {
                    target: first.clone(),
                };
            }
        }
        self.push(path, node);
        Ok(())
    }

    fn push(&mut self, path: RootPath, node: Node) {
        let kind = ChangeKind::Put(node);
        self.changes.push(Change { path, kind });
    }

    /// Applies `--chown` and `--chmod`.
    fn changed(&self, mut node: Node) -> Node {
        if let Some(owner) = self.owner {
            (node.attributes.uid, node.attributes.gid) = (owner.uid, owner.gid);
        }
        let is_link = matches!(node.kind, NodeKind::Symlink { .. });
        if let (Some(change), false) = (&self.mode, is_link) {
            let is_directory = matches!(node.kind, NodeKind::Directory { .. });
            node.attributes.mode = change.apply(node.attributes.mode, is_directory);
        }
        node
    }

    /// Returns where a file goes, with the directories on the way made: into the destination if that is
    /// a directory or is called one, else onto it.
    fn file_target(
        &mut self,
        found: &Found,
        wanted: &RootPath,
        destination: &str,
    ) -> Result<RootPath, CopyError> {
        if names_directory(destination) || self.is_directory(wanted)? {
            let directory = self.view.resolve(wanted)?;
            self.make_directories(&directory)?;
            return child(&directory, &found.name);
        }
        // A link to a file is replaced, not written through.
        let directory = self.view.resolve(&parent(wanted))?;
        self.make_directories(&directory)?;
        child(&directory, wanted.file_name().unwrap_or(&found.name))
    }

    /// Tells whether a directory is at a path, whose links are followed.
    fn is_directory(&self, path: &RootPath) -> Result<bool, CopyError> {
        Ok(self.kind_at(&self.view.resolve(path)?)? == Some(FileKind::Directory))
    }

    /// Makes sure that a directory and its parents are in the change set: those that are there with
    /// their attributes, the others with those of a new one.
    fn make_directories(&mut self, path: &RootPath) -> Result<(), CopyError> {
        for directory in with_ancestors(path) {
            if self.made.contains(&directory) {
                continue;
            }
            match self.put_at(&directory) {
                None => {}
                Some(FileKind::Directory) => continue,
                Some(_) => {
                    return Err(CopyError::NotADirectory {
                        path: directory.to_string(),
                    });
                }
            }
            let node = match self.view.directory(&directory)? {
                Some(attributes) => directory_node(attributes),
                None if self.view.kind(&directory)?.is_some() => {
                    return Err(CopyError::NotADirectory {
                        path: directory.to_string(),
                    });
                }
                None => {
                    self.note_absent(&directory);
                    directory_node(self.new_directory())
                }
            };
            self.made.insert(directory.clone());
            self.push(directory, node);
        }
        Ok(())
    }

    /// Returns the kind of what this copy puts at a path.
    fn put_at(&self, path: &RootPath) -> Option<FileKind> {
        // What a walk brings comes in order, behind all that was there.
        if self.changes.is_behind(path) {
            return None;
        }
        match self.changes.get(path)?.kind {
            ChangeKind::Put(node) => Some(kind_of(&node)),
            ChangeKind::Delete => None,
        }
    }

    fn new_directory(&self) -> Attributes {
        let owner = self.owner.unwrap_or(Owner { uid: 0, gid: 0 });
        let mode = Mode::new(0o755);
        let mode = self
            .mode
            .as_ref()
            .map_or(mode, |change| change.apply(mode, true));
        Attributes {
            uid: owner.uid,
            gid: owner.gid,
            mode,
            mtime: self.now,
            xattrs: BTreeMap::new(),
        }
    }

    /// Returns what is at a path of the destination, with what this copy makes; links not followed.
    fn kind_at(&self, path: &RootPath) -> Result<Option<FileKind>, CopyError> {
        if path.is_root() {
            return Ok(Some(FileKind::Directory));
        }
        if let Some(kind) = self.put_at(path) {
            return Ok(Some(kind));
        }
        if self
            .absent
            .as_ref()
            .is_some_and(|top| path.starts_with(top))
        {
            return Ok(None);
        }
        Ok(self.view.kind(path)?)
    }

    /// Takes note that the destination does not have a directory.
    fn note_absent(&mut self, directory: &RootPath) {
        let is_known = |top: &RootPath| directory.starts_with(top);
        if !self.absent.as_ref().is_some_and(is_known) {
            self.absent = Some(directory.clone());
        }
    }
}

/// Returns a path and those above it without the root, from the first component downwards.
pub(crate) fn with_ancestors(path: &RootPath) -> impl Iterator<Item = RootPath> {
    let own = (!path.is_root()).then(|| path.clone());
    path.ancestors().chain(own)
}

fn names_directory(destination: &str) -> bool {
    destination.ends_with('/') || destination.ends_with("/.")
}

fn destination_path(destination: &str) -> Result<RootPath, CopyError> {
    RootPath::lexical(destination).map_err(|source| CopyError::Path {
        path: destination.to_owned(),
        source,
    })
}

/// Returns the change of one directory that is there or is made.
pub(crate) fn directory_node(attributes: Attributes) -> Node {
    Node {
        attributes,
        kind: NodeKind::Directory { opaque: false },
    }
}

fn kind_of(node: &Node) -> FileKind {
    match node.kind {
        NodeKind::Directory { .. } => FileKind::Directory,
        NodeKind::File { .. } | NodeKind::HardLink { .. } => FileKind::File,
        NodeKind::Symlink { .. } => FileKind::Symlink,
        NodeKind::CharDevice { .. } => FileKind::CharDevice,
        NodeKind::BlockDevice { .. } => FileKind::BlockDevice,
        NodeKind::Fifo => FileKind::Fifo,
    }
}

fn parent(path: &RootPath) -> RootPath {
    path.parent().unwrap_or_else(RootPath::root)
}

fn child(path: &RootPath, name: &[u8]) -> Result<RootPath, CopyError> {
    let shown = || String::from_utf8_lossy(name).into_owned();
    path.child(name).map_err(|source| CopyError::Path {
        path: shown(),
        source,
    })
}
