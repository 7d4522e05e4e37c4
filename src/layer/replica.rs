//! Objects of one tree, made again in another: with owner, mode, times, attributes and second names.
//!
//! | Kind | How |
//! | --- | --- |
//! | regular file | its blocks are shared if the file system can do that, else its bytes are copied |
//! | device node | as [`Devices`] says |
//! | socket | not: it means nothing without the process that listens; only where nothing else may differ either |
//! | a second name | a second name of what the first became |

use std::collections::BTreeMap;

use rootfs::{
    Entry, FileKind, FsError, IdStorage, Inode, Metadata, OWNER_XATTR, OwnerRecord, OwnerTable,
    Owners, Root, RootPath, copy_contents, write_all,
};

use crate::node::xattrs_of;
use crate::xattr;

/// A tree that cannot be made again.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// A tree cannot be walked.
    #[error("read the tree at `{}`", shown.display())]
    Walk {
        /// The tree.
        shown: std::path::PathBuf,
        /// Why not.
        #[source]
        source: FsError,
    },
    /// An object cannot be read or made.
    #[error("copy `{}` of the image", path.absolute())]
    Object {
        /// Its path.
        path: RootPath,
        /// Why not.
        #[source]
        source: FsError,
    },
    /// A device node that a sandbox around this one has recorded in its own layer.
    #[error(
        "keep the device node `{}` of the image: this build runs in a step of another one, which has it recorded as its own",
        path.absolute()
    )]
    RecordedAround {
        /// Its path.
        path: RootPath,
    },
}

impl ReplicaError {
    /// Returns a function that makes the error of an object, for `map_err`.
    pub(crate) fn object(path: &RootPath) -> impl FnOnce(FsError) -> Self {
        |source| Self::Object {
            path: path.clone(),
            source,
        }
    }

    /// Returns a function that makes the error of a walk, for `map_err`.
    pub(crate) fn walk(root: &Root) -> impl FnOnce(FsError) -> Self {
        |source| Self::Walk {
            shown: root.shown().to_owned(),
            source,
        }
    }
}

/// What device nodes become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Devices {
    /// Nodes that work, of the placeholders of the store. Where the kernel refuses that, they stay placeholders.
    Nodes,
    /// Placeholders of the store, of nodes that work.
    Placeholders,
    /// What they are: placeholders, in both trees.
    Kept,
}

/// A tree that is being made.
#[derive(Debug)]
pub(crate) struct Replica<'r> {
    target: &'r Root,
    devices: Devices,
    /// The first path of each inode that has several.
    links: BTreeMap<(u64, u64), RootPath>,
    /// What directories get in the end, since putting something into one changes its time.
    directories: Vec<(RootPath, Metadata, Xattrs)>,
}

/// Extended attributes by their names.
pub(crate) type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

impl<'r> Replica<'r> {
    /// Begins to make objects in `target`.
    pub(crate) fn new(target: &'r Root, devices: Devices) -> Self {
        Self {
            target,
            devices,
            links: BTreeMap::new(),
            directories: Vec::new(),
        }
    }

    /// Makes an object at its own path. Nothing but a directory may be there; its parent must be.
    pub(crate) fn put(&mut self, entry: &Entry) -> Result<(), ReplicaError> {
        self.put_at(entry, &entry.path)
    }

    /// Makes an object at a path.
    pub(crate) fn put_at(&mut self, entry: &Entry, path: &RootPath) -> Result<(), ReplicaError> {
        let recorded = || ReplicaError::RecordedAround { path: path.clone() };
        if self
            .is_recorded_around(entry)
            .map_err(ReplicaError::object(path))?
        {
            return Err(recorded());
        }
        self.make(entry, path).map_err(|error| {
            // With one id the sandbox around shows a node, and lets nobody make a record.
            let is_node = entry.metadata.device().is_some();
            if is_node && self.devices == Devices::Placeholders && error.is_not_permitted() {
                return recorded();
            }
            ReplicaError::object(path)(error)
        })
    }

    /// Tells whether a file is the placeholder of a node that the command made, and that somebody else than this program has
    /// made of it: here such nodes are real.
    fn is_recorded_around(&self, entry: &Entry) -> Result<bool, FsError> {
        let metadata = &entry.metadata;
        let is_empty = metadata.kind == FileKind::File && metadata.size == 0;
        if self.devices != Devices::Placeholders || !is_empty {
            return Ok(false);
        }
        let xattrs = xattrs_of(entry)?;
        let record = xattrs.get(OWNER_XATTR).map(|text| OwnerRecord::parse(text));
        Ok(matches!(
            record,
            Some(Ok(OwnerRecord {
                device: Some(_),
                ..
            }))
        ))
    }

    /// Makes a regular file at a path, with other bytes.
    pub(crate) fn put_changed(
        &self,
        entry: &Entry,
        path: &RootPath,
        bytes: &[u8],
    ) -> Result<(), ReplicaError> {
        let make = || {
            let file = self.target.create_file(path)?;
            write_all(&file, bytes)?;
            self.set(&Inode::from_file(file), &entry.metadata, &xattrs_of(entry)?)
        };
        make().map_err(ReplicaError::object(path))
    }

    /// Makes the directories above a path that are missing, as `tree` has them.
    pub(crate) fn put_parents(&mut self, tree: &Root, path: &RootPath) -> Result<(), ReplicaError> {
        let mut above: Vec<RootPath> = path.ancestors().filter(|above| above != path).collect();
        above.sort();
        for directory in above {
            let failed = ReplicaError::object;
            let found = self
                .target
                .metadata(&directory)
                .map_err(failed(&directory))?;
            if found.is_none() {
                let entry = tree.entry(&directory).map_err(failed(&directory))?;
                self.put(&entry)?;
            }
        }
        Ok(())
    }

    /// Gives the top the attributes of that of `tree`.
    pub(crate) fn put_top(&mut self, tree: &Root) -> Result<(), ReplicaError> {
        let top = RootPath::root();
        let read = tree.inode(&top).and_then(|inode| {
            let read = (inode.metadata()?, inode.xattrs()?);
            Ok(read)
        });
        let (metadata, xattrs) = read.map_err(ReplicaError::object(&top))?;
        self.directories.push((top, metadata, xattrs));
        Ok(())
    }

    /// Gives the directories their attributes, last of all.
    pub(crate) fn finish(self) -> Result<(), ReplicaError> {
        for (path, metadata, xattrs) in self.directories.iter().rev() {
            let inode = self.target.inode(path);
            let set = inode.and_then(|inode| {
                self.unset(&inode, xattrs)?;
                self.set(&inode, metadata, xattrs)
            });
            set.map_err(ReplicaError::object(path))?;
        }
        Ok(())
    }

    /// Removes the attributes that a directory was there with and does not have any more.
    fn unset(&self, inode: &Inode, xattrs: &Xattrs) -> Result<(), FsError> {
        let found = inode.xattrs()?;
        let is_gone = |name: &&Vec<u8>| !xattrs.contains_key(*name) && self.takes(name);
        let mut gone = found.keys().filter(is_gone);
        gone.try_for_each(|name| inode.remove_xattr(name))
    }

    fn make(&mut self, entry: &Entry, path: &RootPath) -> Result<(), FsError> {
        let metadata = &entry.metadata;
        if metadata.kind == FileKind::Socket && self.devices != Devices::Kept {
            return Ok(());
        }
        if let Some(first) = self.first_name(metadata, path) {
            return self.target.hard_link(&first, path);
        }
        let xattrs = xattrs_of(entry)?;
        match metadata.kind {
            FileKind::Directory => return self.directory(metadata, xattrs, path),
            FileKind::Symlink => self.target.symlink(&entry.read_link()?, path)?,
            FileKind::Fifo => self.target.mkfifo(path)?,
            FileKind::Socket => self.target.mksocket(path)?,
            FileKind::CharDevice | FileKind::BlockDevice => return self.device(metadata, path),
            FileKind::File => return self.file(entry, &xattrs, path),
        }
        self.set(&self.target.inode(path)?, metadata, &xattrs)
    }

    /// Returns the first name of an inode that has several, `None` where this is it.
    fn first_name(&mut self, metadata: &Metadata, path: &RootPath) -> Option<RootPath> {
        if metadata.nlink < 2 || metadata.kind == FileKind::Directory {
            return None;
        }
        let inode = (metadata.dev, metadata.ino);
        let first = self.links.get(&inode).cloned();
        if first.is_none() {
            self.links.insert(inode, path.clone());
        }
        first
    }

    fn directory(
        &mut self,
        metadata: &Metadata,
        xattrs: Xattrs,
        path: &RootPath,
    ) -> Result<(), FsError> {
        match self.target.mkdir(path) {
            Err(error) if error.is_already_there() => {}
            made => made?,
        }
        self.directories.push((path.clone(), *metadata, xattrs));
        Ok(())
    }

    fn file(&self, entry: &Entry, xattrs: &Xattrs, path: &RootPath) -> Result<(), FsError> {
        let metadata = &entry.metadata;
        if self.devices == Devices::Nodes && self.node(metadata, xattrs, path)? {
            return Ok(());
        }
        let file = self.target.create_file(path)?;
        if metadata.size > 0 {
            copy_contents(&entry.open_file()?, &file)?;
        }
        self.set(&Inode::from_file(file), metadata, xattrs)
    }

    /// Makes the node that a placeholder stands for; tells whether it was made.
    fn node(&self, metadata: &Metadata, xattrs: &Xattrs, path: &RootPath) -> Result<bool, FsError> {
        let record = xattrs.get(OWNER_XATTR).map(|text| OwnerRecord::parse(text));
        let Some(Ok(OwnerRecord {
            device: Some(device),
            ..
        })) = record
        else {
            return Ok(false);
        };
        match self.target.mknod(path, device) {
            Err(error) if error.is_not_permitted() => return Ok(false),
            made => made?,
        }
        self.set(&self.target.inode(path)?, metadata, &Xattrs::new())?;
        Ok(true)
    }

    /// Makes the placeholder of a node.
    fn device(&self, metadata: &Metadata, path: &RootPath) -> Result<(), FsError> {
        let record = OwnerRecord {
            uid: metadata.uid,
            gid: metadata.gid,
            mode: metadata.mode,
            device: metadata.device(),
        };
        let inode = Inode::from_file(self.target.create_file(path)?);
        // Both trees have the ids of an image as they are.
        let storage = IdStorage::Shifted {
            by: 0,
            count: u32::MAX,
        };
        let mut owners = Owners::new(storage, OwnerTable::default());
        owners.set(&inode, path, FileKind::File, &record)?;
        inode.set_mtime(metadata.mtime)
    }

    fn set(&self, inode: &Inode, metadata: &Metadata, xattrs: &Xattrs) -> Result<(), FsError> {
        inode.set_owner(metadata.uid, metadata.gid)?;
        for (name, value) in xattrs {
            if self.takes(name) {
                inode.set_xattr(name, value)?;
            }
        }
        // A symbolic link has no mode of its own.
        if metadata.kind != FileKind::Symlink {
            inode.set_mode(metadata.mode)?;
        }
        inode.set_mtime(metadata.mtime)
    }

    /// Tells whether an attribute goes along. What a command says in our name is not believed, unless the records of its
    /// files are all that there is of their owners.
    fn takes(&self, name: &[u8]) -> bool {
        match self.devices {
            Devices::Nodes | Devices::Kept => xattr::belongs_to_inode(name),
            Devices::Placeholders => xattr::is_kept(name),
        }
    }
}
