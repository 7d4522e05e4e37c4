//! Putting objects into a directory of their own in overlay form, whoever says what they are.
//!
//! Names are looked up in this directory alone, as if it were `/`: a symlink on the way leads to
//! another place in it. What is in the way of an object is removed first, so that nothing is written
//! through a link (RUSTSEC-2018-0002).

mod spot;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rootfs::{
    Device, File, FileKind, FileTime, FsError, IdStorage, Inode, Metadata, OwnerRecord, Owners,
    Root, RootPath,
};

use crate::change::Attributes;
use crate::finish::{finish_file, set_capability, set_plain_xattrs};
use crate::xattr;
use spot::Parent;
pub(crate) use spot::{Spot, put_file};

/// What is left to be done with a directory.
#[derive(Debug, Clone, Copy)]
struct Directory {
    /// Its time, set at the end, since putting something into it changes that.
    mtime: FileTime,
    /// It was made because something is in it, and the layers below may say what it is.
    is_implied: bool,
}

/// An object whose attributes are set.
#[derive(Debug, Clone, Copy)]
enum Made {
    Plain(FileKind),
    Device(Device),
}

impl From<FileKind> for Made {
    fn from(kind: FileKind) -> Self {
        Self::Plain(kind)
    }
}

/// What came of a hard link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Linked {
    /// It is there.
    Here,
    /// Its target is not in this directory. The paths are without symlinks of this directory.
    TargetMissing {
        /// Where the link would be.
        at: RootPath,
        /// Where the target would be.
        target: RootPath,
    },
    /// Its target is removed by this very layer.
    TargetHidden,
}

/// Puts objects into a directory.
#[derive(Debug)]
pub(crate) struct Placer<'t> {
    target: &'t Root,
    owners: Owners,
    /// The parent of the last object, and the path that led there.
    last: Option<(RootPath, Arc<Parent>)>,
    directories: BTreeMap<RootPath, Directory>,
    opaque_root: bool,
    root_set: bool,
}

/// What a [`Placer`] leaves to be known.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) owners: Owners,
    /// Directories that were made because something is in them, and that the layers below may have.
    pub(crate) implied: BTreeSet<RootPath>,
    /// Everything below the whole layer is hidden.
    pub(crate) opaque_root: bool,
    /// The attributes of the top directory were given.
    pub(crate) root_set: bool,
}

impl<'t> Placer<'t> {
    pub(crate) fn new(target: &'t Root, ids: IdStorage) -> Self {
        Self {
            target,
            owners: Owners::new(ids, rootfs::OwnerTable::default()),
            last: None,
            directories: BTreeMap::new(),
            opaque_root: false,
            root_set: false,
        }
    }

    /// Puts a directory, or gives one that is there other attributes.
    pub(crate) fn directory(
        &mut self,
        path: &RootPath,
        attributes: &Attributes,
        opaque: bool,
    ) -> Result<(), FsError> {
        if path.is_root() {
            self.root_set = true;
            self.opaque_root |= opaque;
            let inode = self.target.inode(path)?;
            return self.finish_object(&inode, path, FileKind::Directory.into(), attributes);
        }
        let spot = self.spot(path)?;
        let hides = self.make_directory(&spot)?;
        let inode = spot.parent.dir.inode(&spot.name)?;
        if hides || opaque {
            xattr::mark_opaque(&inode)?;
        }
        self.finish_object(&inode, &spot.real, FileKind::Directory.into(), attributes)
    }

    /// Makes a directory where there is none, and tells whether it took the place of a whiteout, so
    /// that what the layers below have in it stays removed.
    fn make_directory(&mut self, spot: &Spot) -> Result<bool, FsError> {
        let dir = &spot.parent.dir;
        match dir.mkdir(&spot.name) {
            Err(error) if error.is_already_there() => {}
            made => return made.map(|()| false),
        }
        let found = dir.metadata(&spot.name)?;
        if found.is_some_and(|metadata| metadata.kind == FileKind::Directory) {
            return Ok(false);
        }
        self.vacate(spot)?;
        dir.mkdir(&spot.name)?;
        Ok(found.is_some_and(|metadata| metadata.is_whiteout()))
    }

    /// Returns how owners are held.
    pub(crate) fn storage(&self) -> IdStorage {
        self.owners.storage()
    }

    /// Puts a regular file, whose bytes `fill` writes.
    pub(crate) fn file<E: From<FsError>>(
        &mut self,
        path: &RootPath,
        attributes: &Attributes,
        fill: impl FnOnce(&File) -> Result<(), E>,
    ) -> Result<(), E> {
        let (file, real) = self.create_file(path)?;
        fill(&file)?;
        let inode = Inode::from_file(file);
        Ok(self.finish_object(&inode, &real, FileKind::File.into(), attributes)?)
    }

    /// Makes an empty regular file, whose bytes and attributes come later, and returns its path without symlinks.
    pub(crate) fn create_file(&mut self, path: &RootPath) -> Result<(File, RootPath), FsError> {
        let spot = self.spot(path)?;
        let file = self.create(&spot, Root::create_file)?;
        Ok((file, spot.real))
    }

    /// Gives a regular file of its own attributes.
    pub(crate) fn finish_file(
        &mut self,
        file: File,
        real: &RootPath,
        attributes: &Attributes,
    ) -> Result<(), FsError> {
        finish_file(&mut self.owners, file, real, attributes)
    }

    /// Returns where a file goes, if no link leads there: then nothing else is at that place, and [`put_file`] may put
    /// it there on another thread.
    pub(crate) fn direct_spot(&mut self, path: &RootPath) -> Result<Option<Spot>, FsError> {
        let spot = self.spot(path)?;
        Ok((spot.real == *path).then_some(spot))
    }

    /// Puts the record of a device node.
    pub(crate) fn device(
        &mut self,
        path: &RootPath,
        attributes: &Attributes,
        device: Device,
    ) -> Result<(), FsError> {
        let spot = self.spot(path)?;
        let inode = Inode::from_file(self.create(&spot, Root::create_file)?);
        self.finish_object(&inode, &spot.real, Made::Device(device), attributes)
    }

    /// Puts a symlink.
    pub(crate) fn symlink(
        &mut self,
        path: &RootPath,
        attributes: &Attributes,
        target: &[u8],
    ) -> Result<(), FsError> {
        let spot = self.spot(path)?;
        self.create(&spot, |dir, name| dir.symlink(target, name))?;
        let inode = spot.parent.dir.inode(&spot.name)?;
        self.finish_object(&inode, &spot.real, FileKind::Symlink.into(), attributes)
    }

    /// Puts a named pipe.
    pub(crate) fn fifo(&mut self, path: &RootPath, attributes: &Attributes) -> Result<(), FsError> {
        let spot = self.spot(path)?;
        self.create(&spot, Root::mkfifo)?;
        let inode = spot.parent.dir.inode(&spot.name)?;
        self.finish_object(&inode, &spot.real, FileKind::Fifo.into(), attributes)
    }

    /// Gives an object of this directory a second name. Attributes stay those of the object.
    pub(crate) fn hard_link(
        &mut self,
        path: &RootPath,
        target: &RootPath,
    ) -> Result<Linked, FsError> {
        let spot = self.spot(path)?;
        let real = self.real_name(target)?;
        if real == spot.real {
            return Ok(Linked::Here);
        }
        match self.target.metadata(&real)? {
            Some(found) if found.is_whiteout() => return Ok(Linked::TargetHidden),
            Some(found) => self.link_here(&spot, &real, &found)?,
            None if self.is_hidden(&real)? => return Ok(Linked::TargetHidden),
            None => {
                self.vacate(&spot)?;
                return Ok(Linked::TargetMissing {
                    at: spot.real,
                    target: real,
                });
            }
        }
        Ok(Linked::Here)
    }

    fn link_here(&mut self, spot: &Spot, real: &RootPath, found: &Metadata) -> Result<(), FsError> {
        let target = self.target;
        let to = spot.real.clone();
        self.create(spot, |_, _| target.hard_link(real, &to))?;
        // A record that is kept by path is needed by both.
        if let Some(record) = self.owners.table().get(real).copied()
            && !matches!(found.kind, FileKind::File | FileKind::Directory)
        {
            self.owners.table_mut().insert(to, record);
        }
        Ok(())
    }

    /// Returns where a name leads without following it itself.
    pub(crate) fn real_name(&self, path: &RootPath) -> Result<RootPath, FsError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(RootPath::root());
        };
        Ok(self.target.resolve(&parent)?.child(name)?)
    }

    /// Hides what the layers below have at a path. What this one has there stays, since a whiteout
    /// applies to the layers below alone (image-spec layer.md, "Whiteouts").
    pub(crate) fn delete(&mut self, path: &RootPath) -> Result<(), FsError> {
        let spot = self.spot(path)?;
        match spot.parent.dir.metadata(&spot.name)? {
            None => spot.parent.dir.whiteout(&spot.name),
            Some(found) if found.kind == FileKind::Directory => {
                // Nothing that the layers below say of it counts, its attributes neither.
                self.set_implied(&spot.real, false);
                let inode = spot.parent.dir.inode(&spot.name)?;
                xattr::mark_opaque(&inode)
            }
            Some(_) => Ok(()),
        }
    }

    /// Hides what the layers below have in a directory.
    pub(crate) fn opaque(&mut self, path: &RootPath) -> Result<(), FsError> {
        let parent = self.parent(path)?;
        self.opaque_root |= parent.real.is_root();
        let inode = parent.dir.inode(&RootPath::root())?;
        xattr::mark_opaque(&inode)
    }

    /// Sets the times of directories, and returns what else is to be known.
    pub(crate) fn finish(self) -> Result<Placed, FsError> {
        let mut implied = BTreeSet::new();
        for (path, directory) in &self.directories {
            self.target.inode(path)?.set_mtime(directory.mtime)?;
            if directory.is_implied && !self.is_hidden(path)? {
                implied.insert(path.clone());
            }
        }
        let Self {
            owners,
            opaque_root,
            root_set,
            ..
        } = self;
        Ok(Placed {
            owners,
            implied,
            opaque_root,
            root_set,
        })
    }

    /// Tells whether this layer hides what those below have at a path.
    fn is_hidden(&self, real: &RootPath) -> Result<bool, FsError> {
        if self.opaque_root {
            return Ok(true);
        }
        for directory in real.ancestors() {
            let Some(metadata) = self.target.metadata(&directory)? else {
                return Ok(false);
            };
            let is_directory = metadata.kind == FileKind::Directory;
            if metadata.is_whiteout() || (is_directory && self.is_opaque(&directory)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_opaque(&self, directory: &RootPath) -> Result<bool, FsError> {
        xattr::is_opaque(&self.target.inode(directory)?)
    }

    /// Makes an object, removing what is in its way.
    fn create<T>(
        &mut self,
        spot: &Spot,
        make: impl Fn(&Root, &RootPath) -> Result<T, FsError>,
    ) -> Result<T, FsError> {
        match make(&spot.parent.dir, &spot.name) {
            Err(error) if error.is_already_there() => {
                self.vacate(spot)?;
                make(&spot.parent.dir, &spot.name)
            }
            made => made,
        }
    }

    /// Removes what is in the way of an object, with all that is known of it.
    fn vacate(&mut self, spot: &Spot) -> Result<(), FsError> {
        spot.parent.dir.remove_all(&spot.name)?;
        self.last = None;
        self.owners.table_mut().remove_below(&spot.real);
        forget_below(&mut self.directories, &spot.real);
        Ok(())
    }

    /// Gives an object its attributes: those that need a writable file first, then owner and mode, then
    /// capabilities, which a change of owner takes away, then the time.
    fn finish_object(
        &mut self,
        inode: &Inode,
        real: &RootPath,
        made: Made,
        attributes: &Attributes,
    ) -> Result<(), FsError> {
        let Attributes {
            uid,
            gid,
            mode,
            mtime,
            xattrs,
        } = attributes;
        let (kind, device) = match made {
            Made::Plain(kind) => (kind, None),
            Made::Device(device) => (FileKind::File, Some(device)),
        };
        if matches!(kind, FileKind::File | FileKind::Directory) {
            set_plain_xattrs(inode, attributes)?;
        }
        let record = OwnerRecord {
            uid: *uid,
            gid: *gid,
            mode: *mode,
            device,
        };
        self.owners.set(inode, real, kind, &record)?;
        if kind == FileKind::File
            && let Some(value) = xattrs.get(xattr::CAPABILITY)
        {
            set_capability(inode, value, self.owners.storage())?;
        }
        if kind == FileKind::Directory {
            let directory = Directory {
                mtime: *mtime,
                is_implied: false,
            };
            self.directories.insert(real.clone(), directory);
            return Ok(());
        }
        inode.set_mtime(*mtime)
    }

    fn set_implied(&mut self, real: &RootPath, is_implied: bool) {
        if let Some(directory) = self.directories.get_mut(real) {
            directory.is_implied = is_implied;
        }
    }
}

/// Forgets a path and everything below it, which in the order of paths comes right after it.
pub(crate) fn forget_below<V>(known: &mut BTreeMap<RootPath, V>, path: &RootPath) {
    let below = known.range(path.clone()..).map(|(other, _)| other);
    let gone: Vec<_> = below
        .take_while(|other| other.starts_with(path))
        .cloned()
        .collect();
    for other in gone {
        known.remove(&other);
    }
}
