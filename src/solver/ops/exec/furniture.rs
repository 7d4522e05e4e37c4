//! What a command sees in a tree beside the image, where nothing can be mounted: put into its place before the command
//! and taken away after it, so that no layer has it.
//!
//! ```text
//! place:   what is there  ──rename──► aside       our copy or file is put there
//! remove:  our copy       ──────────► gone, or back into the cache that it is of
//!          what was there ◄─rename─── aside
//! ```
//!
//! Places are found as those of mounts are: links of the image are followed inside the root, and what is missing is made,
//! and removed after the command unless that put something into it. Removal goes by the directory that was open before
//! the command ran, never by a path that the command could have changed since (CVE-2024-23652).
//!
//! A directory that got or lost something by this alone is as it was before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use layer::Baseline;
use rootfs::{Device, FileKind, FsError, Metadata, Mode, Root, RootPath, write_all};

use super::error::MountError;
use crate::trees::Tree;

/// The devices of every command (`Documentation/admin-guide/devices.txt`).
const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// The links beside them, of which all lead nowhere while there is no `/proc`, as a program can then see.
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Something that a command is to see.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Where.
    pub(super) target: String,
    pub(super) content: Content,
}

/// What it is.
#[derive(Debug)]
pub(super) enum Content {
    /// A file with these bytes.
    Text {
        bytes: Vec<u8>,
        owner: (u32, u32),
        mode: Mode,
    },
    /// An empty directory.
    Empty { mode: Mode },
    /// `/dev`.
    Devices,
    /// What is there, with other bytes. What a command puts in its place stays.
    Changed { bytes: Vec<u8> },
    /// A copy of what is at a path.
    Copy {
        from: Arc<Root>,
        path: RootPath,
        after: After,
    },
}

/// What becomes of a copy when the command has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// It is gone.
    Discard,
    /// It takes the place of what it is a copy of.
    Keep,
}

/// All that was put into a tree.
#[derive(Debug, Default)]
pub(super) struct Furniture {
    placed: Vec<Placed>,
    /// Directories that were made on the way to a place.
    made: Vec<Place>,
    /// The directories of the image that something was put into.
    touched: BTreeMap<RootPath, Touched>,
}

/// A name in a directory that is held open.
#[derive(Debug)]
struct Place {
    parent: Root,
    name: RootPath,
}

#[derive(Debug)]
struct Placed {
    place: Place,
    path: RootPath,
    /// The name under which that which was there is kept meanwhile.
    aside: Option<RootPath>,
    back: Option<(Arc<Root>, RootPath)>,
    /// What it is when the command begins, where what a command puts in its place stays.
    stays: Option<Metadata>,
}

#[derive(Debug)]
struct Touched {
    directory: Root,
    before: Metadata,
    /// What it is when the command begins.
    after: Metadata,
}

impl Furniture {
    /// Puts everything into its place, in this order. What is below something else comes after it.
    pub(super) fn place(tree: &Tree, wanted: Vec<Wanted>) -> Result<Self, MountError> {
        let mut furniture = Self::default();
        for Wanted { target, content } in wanted {
            let placed = furniture.place_one(tree, &target, content);
            placed.map_err(|source| match source {
                PlaceError::Fs(source) => MountError::File { target, source },
                PlaceError::Copy(source) => MountError::Copy { target, source },
            })?;
        }
        for touched in furniture.touched.values_mut() {
            let after = touched.settle(touched.before.mtime);
            touched.after = after.map_err(|source| MountError::File {
                target: touched.directory.shown().display().to_string(),
                source,
            })?;
        }
        Ok(furniture)
    }

    /// Takes everything away, when the command and all its processes are gone. Returns the paths at which nothing is the
    /// command's.
    pub(super) fn remove(
        self,
        tree: &Tree,
        before: &mut Baseline,
    ) -> Result<BTreeSet<RootPath>, FsError> {
        let touched = self.touched.into_iter().map(|(path, touched)| {
            let now = touched.metadata()?;
            Ok((path, touched, now))
        });
        let touched = touched.collect::<Result<Vec<_>, FsError>>()?;
        let mut apart = BTreeSet::new();
        for placed in self.placed.into_iter().rev() {
            if placed.is_replaced()? {
                placed.forget(tree)?;
            } else {
                apart.insert(placed.path.clone());
                placed.remove(tree)?;
            }
        }
        for place in self.made.iter().rev() {
            place.remove_empty()?;
        }
        for (path, touched, now) in touched {
            let is_ours = touched.after.ctime == now.ctime;
            let mtime = if is_ours {
                touched.before.mtime
            } else {
                now.mtime
            };
            let settled = touched.settle(mtime)?;
            if is_ours && before.is_unchanged(&path, &touched.before) {
                before.renew(&path, settled);
            }
        }
        Ok(apart)
    }

    fn place_one(&mut self, tree: &Tree, target: &str, content: Content) -> Result<(), PlaceError> {
        let root = tree.root();
        let path = root.resolve(&RootPath::lexical(target).map_err(FsError::from)?)?;
        let place = self.find(root, &path)?;
        let aside = if root.metadata(&path)?.is_some() {
            let name = RootPath::strict(self.placed.len().to_string()).map_err(FsError::from)?;
            place.parent.rename_into(&place.name, tree.aside(), &name)?;
            Some(name)
        } else {
            None
        };
        let original = aside.as_ref().map(|name| (tree.aside(), name));
        let may_stay = matches!(content, Content::Changed { .. });
        let back = content.put(&place, original)?;
        let stays = place.parent.metadata(&place.name)?.filter(|_| may_stay);
        self.placed.push(Placed {
            place,
            path,
            aside,
            back,
            stays,
        });
        Ok(())
    }

    /// Opens the directory of a place, made now if it is missing.
    fn find(&mut self, root: &Root, path: &RootPath) -> Result<Place, FsError> {
        let directory = path.parent().unwrap_or_else(RootPath::root);
        let mut above: Vec<RootPath> = directory.ancestors().collect();
        above.push(directory.clone());
        for directory in above.into_iter().rev() {
            if root.metadata(&directory)?.is_some() {
                self.touch(root, directory)?;
                break;
            }
        }
        for made in root.mkdir_all(&directory, Mode::new(0o755))? {
            self.made.push(Place::open(root, &made)?);
        }
        Place::open(root, path)
    }

    fn touch(&mut self, root: &Root, path: RootPath) -> Result<(), FsError> {
        if self.touched.contains_key(&path) {
            return Ok(());
        }
        let directory = root.open_dir_nofollow(&path)?;
        let before = directory.inode(&RootPath::root())?.metadata()?;
        let touched = Touched {
            directory,
            before,
            after: before,
        };
        self.touched.insert(path, touched);
        Ok(())
    }
}

/// Why something cannot be put into its place.
enum PlaceError {
    Fs(FsError),
    Copy(layer::ReplicaError),
}

impl From<FsError> for PlaceError {
    fn from(error: FsError) -> Self {
        Self::Fs(error)
    }
}

impl Content {
    /// Puts it into a place where nothing is any more; returns what it is to take the place of afterwards.
    fn put(
        self,
        place: &Place,
        original: Option<(&Root, &RootPath)>,
    ) -> Result<Option<(Arc<Root>, RootPath)>, PlaceError> {
        let Place { parent, name } = place;
        match self {
            Self::Text { bytes, owner, mode } => {
                write_all(&parent.create_file(name)?, &bytes)?;
                parent.set_owner(name, owner.0, owner.1)?;
                parent.set_mode(name, mode)?;
            }
            Self::Empty { mode } => {
                parent.mkdir(name)?;
                parent.set_mode(name, mode)?;
            }
            Self::Devices => make_devices(parent, name)?,
            Self::Changed { bytes } => {
                if let Some(original) = original {
                    let copied = layer::copy_changed(original, &bytes, (parent, name));
                    copied.map_err(PlaceError::Copy)?;
                }
            }
            Self::Copy { from, path, after } => {
                let copied = layer::copy_tree((&from, &path), (parent, name));
                copied.map_err(PlaceError::Copy)?;
                return Ok((after == After::Keep).then_some((from, path)));
            }
        }
        Ok(None)
    }
}

fn make_devices(parent: &Root, name: &RootPath) -> Result<(), FsError> {
    parent.mkdir(name)?;
    parent.set_mode(name, Mode::new(0o755))?;
    let directory = parent.open_dir_nofollow(name)?;
    let at = |name: &str| RootPath::strict(name).map_err(FsError::from);
    for (name, major, minor) in DEVICES {
        let device = Device::Char { major, minor };
        directory.mknod(&at(name)?, device)?;
        directory.set_mode(&at(name)?, Mode::new(0o666))?;
    }
    for (name, target) in LINKS {
        directory.symlink(target.as_bytes(), &at(name)?)?;
    }
    for (name, mode) in [("pts", 0o755), ("shm", 0o1777), ("mqueue", 0o1777)] {
        directory.mkdir(&at(name)?)?;
        directory.set_mode(&at(name)?, Mode::new(mode))?;
    }
    // Where the store's file system was mounted with `nodev`, a node can be made and not be used.
    directory.open_file(&at("null")?).map(drop)
}

impl Place {
    fn open(root: &Root, path: &RootPath) -> Result<Self, FsError> {
        let parent = path.parent().unwrap_or_else(RootPath::root);
        let name = path.file_name().unwrap_or_default();
        Ok(Self {
            parent: root.open_dir_nofollow(&parent)?,
            name: RootPath::root().child(name)?,
        })
    }

    /// Removes a directory that was made on the way, unless the command put something into it, or removed it.
    fn remove_empty(&self) -> Result<(), FsError> {
        match self.parent.metadata(&self.name)? {
            Some(found) if found.kind == FileKind::Directory => {}
            _ => return Ok(()),
        }
        let directory = self.parent.open_dir_nofollow(&self.name)?;
        if directory.names()?.is_empty() {
            self.parent.remove_dir(&self.name)
        } else {
            Ok(())
        }
    }
}

impl Placed {
    /// Tells whether something of the command's is in the place now.
    fn is_replaced(&self) -> Result<bool, FsError> {
        let Some(ours) = &self.stays else {
            return Ok(false);
        };
        let now = self.place.parent.metadata(&self.place.name)?;
        let of = |metadata: &Metadata| (metadata.dev, metadata.ino, metadata.ctime);
        Ok(now.is_none_or(|now| of(&now) != of(ours)))
    }

    /// Gives up what was there, which the command replaced or removed.
    fn forget(&self, tree: &Tree) -> Result<(), FsError> {
        match &self.aside {
            Some(aside) => tree.aside().remove_all(aside),
            None => Ok(()),
        }
    }

    fn remove(self, tree: &Tree) -> Result<(), FsError> {
        let Place { parent, name } = &self.place;
        if let Some((cache, path)) = &self.back {
            take_back((parent, name), (cache, path))?;
        }
        parent.remove_all(name)?;
        let Some(aside) = &self.aside else {
            return Ok(());
        };
        match tree.aside().rename_into(aside, parent, name) {
            // The command removed the directory, and with it what was in it.
            Err(error) if error.is_not_found() => tree.aside().remove_all(aside),
            renamed => renamed,
        }
    }
}

/// Puts what a command left of a copy in the place of the original, name by name: nobody else uses it meanwhile.
fn take_back(
    (parent, name): (&Root, &RootPath),
    (cache, path): (&Root, &RootPath),
) -> Result<(), FsError> {
    let is_directory =
        |found: Option<Metadata>| found.is_some_and(|found| found.kind == FileKind::Directory);
    if !is_directory(parent.metadata(name)?) || !is_directory(cache.metadata(path)?) {
        return Ok(());
    }
    let (from, to) = (
        parent.open_dir_nofollow(name)?,
        cache.open_dir_nofollow(path)?,
    );
    let at = |name: &[u8]| RootPath::root().child(name);
    for name in to.names()? {
        to.remove_all(&at(&name)?)?;
    }
    for name in from.names()? {
        from.rename_into(&at(&name)?, &to, &at(&name)?)?;
    }
    Ok(())
}

impl Touched {
    fn metadata(&self) -> Result<Metadata, FsError> {
        self.directory.inode(&RootPath::root())?.metadata()
    }

    /// Sets the time of the last modification; returns what the directory is then.
    fn settle(&self, mtime: rootfs::FileTime) -> Result<Metadata, FsError> {
        let inode = self.directory.inode(&RootPath::root())?;
        inode.set_mtime(mtime)?;
        inode.metadata()
    }
}
