//! A layer tar → a directory of its own in overlay form.
//!
//! The tar is hostile. Names are looked up inside the target directory alone; what is in the way of an
//! entry is removed and never written through; device nodes are recorded and never made; attributes that
//! overlayfs or careen itself would believe are refused.
//!
//! | In the tar | In the directory |
//! | --- | --- |
//! | `.wh.NAME` | the character device 0:0 |
//! | `.wh..wh..opq` | `user.overlay.opaque` = `y` on its directory |
//! | a device node | an empty file with a record |
//! | a parent that has no entry | a directory 0755 of 0:0, until [`settle`](crate::settle()) |
//! | a hard link to what this layer does not have | nothing, until [`settle`](crate::settle()) |
//!
//! Layers of one image are applied side by side, so nothing here looks at another layer.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

use rootfs::{Device, FsError, IdStorage, OwnerTable, PathError, Root, RootPath};

use crate::change::Attributes;
use crate::disk::Disk;
use crate::limits::Limits;
use crate::placer::{Linked, Placer, forget_below};
use crate::settle::{DeferredLink, Unsettled};
use crate::sink::{FillError, Sink};
use crate::tarread::{EntryKind, TarEntry, TarError, TarReader};
use crate::whiteout::{self, Meaning};
use crate::xattr;

/// How much of a tar is read at once, in bytes.
const BUFFER_BYTES: usize = 256 * 1024;

/// How a layer is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplyOptions {
    /// How owners are held on disk.
    pub ids: IdStorage,
    /// The bounds.
    pub limits: Limits,
}

/// A layer that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// How many entries the tar had.
    pub entries: u64,
    /// How many bytes all files have, with their holes.
    pub unpacked_bytes: u64,
    /// What depends on the layers below.
    pub unsettled: Unsettled,
    /// The owner records to be kept beside the directory; none but for [`IdStorage::Recorded`].
    pub owners: OwnerTable,
    /// Whether an entry gave the top directory its attributes. Where none did they are those of the
    /// layers below, which whoever mounts the layer has to give it.
    pub root_is_set: bool,
    /// Whether the layer hides everything below it. overlayfs does not look for that at the top, so
    /// whoever mounts the layer has to leave the lower ones out.
    pub root_is_opaque: bool,
}

/// A layer that cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The archive is damaged, ambiguous or too large.
    #[error("read the archive of the layer near byte {offset_bytes}")]
    Archive {
        /// How far it was read.
        offset_bytes: u64,
        /// What is wrong.
        #[source]
        source: TarError,
    },
    /// An entry has a name that is no path in an image.
    #[error("an entry of the layer has the name `{}`", name.escape_ascii())]
    Name {
        /// The name.
        name: Vec<u8>,
        /// What is wrong with it.
        #[source]
        source: PathError,
    },
    /// An entry for the top directory is no directory.
    #[error("the entry `{}` of the layer would replace the root, which must be a directory", name.escape_ascii())]
    RootEntry {
        /// The name.
        name: Vec<u8>,
    },
    /// An entry has the name of a whiteout, which it cannot be.
    #[error("the entry `{}` of the layer is a malformed whiteout", name.escape_ascii())]
    Whiteout {
        /// The name.
        name: Vec<u8>,
    },
    /// A symlink or hard link says nothing.
    #[error("`{}` in the layer is a link to nothing", path.absolute())]
    EmptyLink {
        /// The link.
        path: RootPath,
    },
    /// A hard link is to something that this very layer removes.
    #[error("`{}` in the layer is a link to `{}`, which the layer removes", path.absolute(), target.absolute())]
    HiddenLinkTarget {
        /// The link.
        path: RootPath,
        /// What it should be a name of.
        target: RootPath,
    },
    /// An entry has an extended attribute that only overlayfs or careen may set.
    #[error("`{}` in the layer has the extended attribute `{}`, which no layer may have", path.absolute(), name.escape_ascii())]
    Xattr {
        /// The entry.
        path: RootPath,
        /// The attribute.
        name: Vec<u8>,
    },
    /// An object cannot be made.
    #[error("write `{}` of the layer", path.absolute())]
    Write {
        /// The object.
        path: RootPath,
        /// Why not.
        #[source]
        source: FsError,
    },
}

/// Applies an uncompressed layer tar to `target`, an empty directory of its own. The stream is read to
/// its end.
///
/// # Errors
///
/// Fails where the archive or an entry is refused, or an object cannot be made; what is in the directory
/// then is of no use.
pub fn apply(
    tar: &mut dyn Read,
    target: &Root,
    options: &ApplyOptions,
) -> Result<Applied, ApplyError> {
    apply_buffered(BufReader::with_capacity(BUFFER_BYTES, tar), target, options)
}

/// As [`apply`], of a stream that comes in large pieces.
pub(crate) fn apply_buffered<B: BufRead>(
    tar: B,
    target: &Root,
    options: &ApplyOptions,
) -> Result<Applied, ApplyError> {
    let reader = TarReader::buffered(tar, options.limits);
    std::thread::scope(|scope| {
        let disk = Disk::new(Placer::new(target, options.ids), scope);
        read_into(reader, disk)
    })
}

/// Gives all entries of a layer tar to whatever takes them. The stream is read to its end.
pub(crate) fn read_into<B: BufRead, S: Sink>(
    reader: TarReader<B>,
    sink: S,
) -> Result<Applied, ApplyError> {
    let mut state = State {
        reader,
        sink,
        links: BTreeMap::new(),
        next_link: 0,
    };
    while let Some(entry) = state.next_entry()? {
        state.entry(&entry)?;
    }
    state.finish()
}

struct State<B, S> {
    reader: TarReader<B>,
    sink: S,
    /// Hard links to what this layer does not have: where, in which order, and to what.
    links: BTreeMap<RootPath, (u64, RootPath)>,
    next_link: u64,
}

impl<B: BufRead, S: Sink> State<B, S> {
    fn next_entry(&mut self) -> Result<Option<TarEntry>, ApplyError> {
        let found = self.reader.next_entry();
        found.map_err(|source| self.archive_error(source))
    }

    fn archive_error(&self, source: TarError) -> ApplyError {
        ApplyError::Archive {
            offset_bytes: self.reader.offset(),
            source,
        }
    }

    fn entry(&mut self, entry: &TarEntry) -> Result<(), ApplyError> {
        let malformed = || ApplyError::Whiteout {
            name: entry.name.clone(),
        };
        match whiteout::meaning(&entry.name) {
            Meaning::Object => self.object(entry),
            Meaning::Reserved => Ok(()),
            Meaning::Malformed => Err(malformed()),
            _ if entry.kind != EntryKind::File => Err(malformed()),
            Meaning::Opaque { parent } => {
                let path = path_of(entry, parent)?;
                self.sink
                    .opaque(&path)
                    .map_err(|source| ApplyError::Write { path, source })
            }
            Meaning::Delete { parent, name } => {
                let path = path_of(entry, parent)?;
                let path = path
                    .child(name)
                    .map_err(|source| name_error(entry, source))?;
                self.delete(path)
            }
        }
    }

    fn object(&mut self, entry: &TarEntry) -> Result<(), ApplyError> {
        let path = path_of(entry, &entry.name)?;
        if path.is_root() && entry.kind != EntryKind::Directory {
            return Err(ApplyError::RootEntry {
                name: entry.name.clone(),
            });
        }
        if let Some(name) = entry.xattrs.keys().find(|name| xattr::is_forbidden(name)) {
            return Err(ApplyError::Xattr {
                path,
                name: name.clone(),
            });
        }
        self.forget_links(&path, entry.kind)?;
        let attributes = attributes_of(entry);
        match entry.kind {
            EntryKind::File => self.file(entry, &path, attributes),
            EntryKind::HardLink => self.hard_link(entry, path),
            EntryKind::Symlink if entry.link.is_empty() => Err(ApplyError::EmptyLink { path }),
            _ => {
                let placed = self.simple(entry, &path, &attributes);
                placed.map_err(|source| ApplyError::Write { path, source })
            }
        }
    }

    /// Puts an object that has no data and needs no other one.
    fn simple(
        &mut self,
        entry: &TarEntry,
        path: &RootPath,
        attributes: &Attributes,
    ) -> Result<(), FsError> {
        let sink = &mut self.sink;
        match entry.kind {
            EntryKind::Directory => sink.directory(path, attributes),
            EntryKind::Symlink => sink.symlink(path, attributes, &entry.link),
            EntryKind::Fifo => sink.fifo(path, attributes),
            EntryKind::CharDevice { major, minor } => {
                sink.device(path, attributes, Device::Char { major, minor })
            }
            EntryKind::BlockDevice { major, minor } => {
                sink.device(path, attributes, Device::Block { major, minor })
            }
            EntryKind::File | EntryKind::HardLink => Ok(()),
        }
    }

    fn file(
        &mut self,
        entry: &TarEntry,
        path: &RootPath,
        attributes: Attributes,
    ) -> Result<(), ApplyError> {
        let filled = self.sink.file(path, attributes, entry, &mut self.reader);
        filled.map_err(|error| self.fill_error(error))
    }

    fn fill_error(&self, error: FillError) -> ApplyError {
        match error {
            FillError::Archive(source) => self.archive_error(source),
            FillError::Write { path, source } => ApplyError::Write { path, source },
        }
    }

    fn hard_link(&mut self, entry: &TarEntry, path: RootPath) -> Result<(), ApplyError> {
        let target = RootPath::strict(&entry.link);
        let target = target.map_err(|source| ApplyError::Name {
            name: entry.link.clone(),
            source,
        })?;
        if target.is_root() {
            return Err(ApplyError::EmptyLink { path });
        }
        match self.sink.hard_link(&path, &target) {
            Err(source) => Err(ApplyError::Write { path, source }),
            Ok(Linked::Here) => Ok(()),
            Ok(Linked::TargetHidden) => Err(ApplyError::HiddenLinkTarget { path, target }),
            Ok(Linked::TargetMissing { at, target }) => {
                self.links.insert(at, (self.next_link, target));
                self.next_link += 1;
                Ok(())
            }
        }
    }

    fn delete(&mut self, path: RootPath) -> Result<(), ApplyError> {
        // A whiteout does not apply to what this layer has, and a link that is to come is that.
        if !self.links.is_empty() && self.links.contains_key(&self.real_name(&path)?) {
            return Ok(());
        }
        self.sink
            .delete(&path)
            .map_err(|source| ApplyError::Write { path, source })
    }

    /// Forgets hard links that another entry takes the place of, or the directory of.
    fn forget_links(&mut self, path: &RootPath, by: EntryKind) -> Result<(), ApplyError> {
        if self.links.is_empty() {
            return Ok(());
        }
        let real = self.real_name(path)?;
        if by == EntryKind::Directory {
            self.links.remove(&real);
        } else {
            forget_below(&mut self.links, &real);
        }
        Ok(())
    }

    fn real_name(&self, path: &RootPath) -> Result<RootPath, ApplyError> {
        let real = self.sink.real_name(path);
        real.map_err(|source| ApplyError::Write {
            path: path.clone(),
            source,
        })
    }

    fn finish(self) -> Result<Applied, ApplyError> {
        let (entries, unpacked_bytes) = (self.reader.entries(), self.reader.unpacked_bytes());
        let offset_bytes = self.reader.offset();
        let placed = self.sink.finish().map_err(|error| match error {
            FillError::Archive(source) => ApplyError::Archive {
                offset_bytes,
                source,
            },
            FillError::Write { path, source } => ApplyError::Write { path, source },
        })?;
        let mut links: Vec<_> = self.links.into_iter().collect();
        links.sort_by_key(|(_, (order, _))| *order);
        let links = links
            .into_iter()
            .map(|(path, (_, target))| DeferredLink { path, target });
        Ok(Applied {
            entries,
            unpacked_bytes,
            unsettled: Unsettled {
                implied: placed.implied,
                links: links.collect(),
            },
            owners: placed.owners.into_table(),
            root_is_set: placed.root_set,
            root_is_opaque: placed.opaque_root,
        })
    }
}

fn path_of(entry: &TarEntry, name: &[u8]) -> Result<RootPath, ApplyError> {
    RootPath::strict(name).map_err(|source| name_error(entry, source))
}

fn name_error(entry: &TarEntry, source: PathError) -> ApplyError {
    ApplyError::Name {
        name: entry.name.clone(),
        source,
    }
}

fn attributes_of(entry: &TarEntry) -> Attributes {
    Attributes {
        uid: entry.uid,
        gid: entry.gid,
        mode: entry.mode,
        mtime: entry.mtime,
        xattrs: entry.xattrs.clone(),
    }
}
