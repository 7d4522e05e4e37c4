//! Entries of a layer → its index: what [`Placer`](crate::placer::Placer) would make of them in a directory.
//!
//! What a directory would refuse is an error here too, not always with the same words: who needs them unpacks the layer.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, BufRead};
use std::sync::Arc;

use rootfs::{
    Device, FsError, IdStorage, Mode, OwnerTable, Owners, RootPath, TABLE_LIMIT_BYTES, Way,
};

use crate::change::Attributes;
use crate::disk::all_data;
use crate::index::{Indexed, IndexedDirectory, LayerIndex};
use crate::limits::INDEX_MAX_BYTES;
use crate::placer::{Linked, Placed, forget_below};
use crate::sink::{FillError, Sink};
use crate::tarread::{TarEntry, TarReader};
use crate::xattr;

/// The most entries of an index: each costs some hundred bytes of memory beside what it says.
const ENTRIES_MAX: usize = 100_000;

/// The files whose bytes an index keeps: those that names of users and groups are looked up in.
const TABLES: [&str; 2] = [rootfs::PASSWD, rootfs::GROUP];

/// The largest such file that is kept, in bytes.
const KEPT_TABLE_BYTES: u64 = TABLE_LIMIT_BYTES / 40;

/// The longest target of a symbolic link that file systems take, in bytes (`PATH_MAX` without its NUL).
const TARGET_MAX_BYTES: usize = 4095;

/// Makes an index.
pub(crate) struct Indexer<'i> {
    index: &'i mut LayerIndex,
    /// What all that was put says, in bytes, what was replaced later included.
    bytes: usize,
    root_set: bool,
    opaque_root: bool,
}

impl<'i> Indexer<'i> {
    pub(crate) fn new(index: &'i mut LayerIndex) -> Self {
        Self {
            index,
            bytes: 0,
            root_set: false,
            opaque_root: false,
        }
    }

    fn entries(&mut self) -> &mut BTreeMap<RootPath, Indexed> {
        &mut self.index.entries
    }

    /// Puts an object, in place of whatever is there.
    fn put(&mut self, path: &RootPath, indexed: Indexed) -> Result<(), FsError> {
        let real = self.spot(path)?;
        forget_below(self.entries(), &real);
        self.insert(real, indexed)
    }

    fn insert(&mut self, real: RootPath, indexed: Indexed) -> Result<(), FsError> {
        if self.index.entries.len() >= ENTRIES_MAX {
            return Err(refused("index", &real, io::ErrorKind::StorageFull));
        }
        self.count(&real, said_bytes(&indexed))?;
        self.entries().insert(real, indexed);
        Ok(())
    }

    /// Counts what is kept of a path.
    fn count(&mut self, real: &RootPath, said: usize) -> Result<(), FsError> {
        let bytes = real.as_bytes().len().saturating_add(said);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > INDEX_MAX_BYTES {
            return Err(refused("index", real, io::ErrorKind::StorageFull));
        }
        Ok(())
    }

    /// Returns the path of an object without symbolic links, its directories made.
    fn spot(&mut self, path: &RootPath) -> Result<RootPath, FsError> {
        let parent = self.parent(&path.parent().unwrap_or_default())?;
        Ok(parent.child(path.file_name().unwrap_or_default())?)
    }

    /// Returns the path of a directory without symbolic links, with it and those above it made.
    fn parent(&mut self, path: &RootPath) -> Result<RootPath, FsError> {
        if let Some(Indexed::Directory(_)) = self.index.entries.get(path) {
            return Ok(path.clone());
        }
        let real = self.resolve(path)?;
        for directory in real.ancestors().chain([real.clone()]) {
            if directory.is_root() {
                continue;
            }
            let (opaque, implied) = match self.index.entries.get(&directory) {
                Some(Indexed::Directory(_)) => continue,
                // What the layers below have in it stays removed.
                Some(Indexed::Gone) => (true, false),
                None => (false, true),
                Some(_) => return Err(refused("mkdir", &directory, io::ErrorKind::AlreadyExists)),
            };
            let made = IndexedDirectory {
                attributes: unsaid(),
                opaque,
                implied,
            };
            self.insert(directory, Indexed::Directory(made))?;
        }
        Ok(real)
    }

    fn resolve(&self, path: &RootPath) -> Result<RootPath, FsError> {
        let entries = &self.index.entries;
        let real = rootfs::follow(path, |path| {
            Ok::<_, Infallible>(match entries.get(path) {
                Some(Indexed::Symlink(target)) => Way::Link(target.clone()),
                Some(Indexed::File(_) | Indexed::Fifo) => Way::Blocked,
                Some(Indexed::Directory(_) | Indexed::Gone) | None => Way::Open,
            })
        });
        real.map_err(|_nowhere| refused("resolve", path, io::ErrorKind::NotADirectory))
    }

    fn is_hidden(&self, real: &RootPath) -> bool {
        self.opaque_root
            || real.ancestors().any(|above| {
                matches!(
                    self.index.entries.get(&above),
                    Some(Indexed::Gone | Indexed::Directory(IndexedDirectory { opaque: true, .. }))
                )
            })
    }
}

impl Sink for Indexer<'_> {
    fn directory(&mut self, path: &RootPath, attributes: &Attributes) -> Result<(), FsError> {
        let real = if path.is_root() {
            self.root_set = true;
            RootPath::root()
        } else {
            self.spot(path)?
        };
        let mut said = attributes_of_directory(attributes);
        let opaque = match self.index.entries.remove(&real) {
            Some(Indexed::Directory(there)) => {
                for (name, value) in there.attributes.xattrs {
                    said.xattrs.entry(name).or_insert(value);
                }
                there.opaque
            }
            Some(Indexed::Gone) => true,
            Some(_) | None => false,
        };
        let directory = IndexedDirectory {
            attributes: said,
            opaque,
            implied: false,
        };
        self.insert(real, Indexed::Directory(directory))
    }

    fn file<B: BufRead>(
        &mut self,
        path: &RootPath,
        _: Attributes,
        entry: &TarEntry,
        reader: &mut TarReader<B>,
    ) -> Result<(), FillError> {
        let at = FillError::at(path);
        let real = self.spot(path).map_err(at)?;
        let is_table = TABLES
            .iter()
            .any(|table| table.as_bytes() == real.as_bytes());
        let is_kept = is_table && entry.is_dense() && entry.size <= KEPT_TABLE_BYTES;
        let bytes = if is_kept {
            Some(Arc::from(all_data(reader, entry.size)?))
        } else {
            None
        };
        self.put(path, Indexed::File(bytes)).map_err(at)
    }

    fn symlink(&mut self, path: &RootPath, _: &Attributes, target: &[u8]) -> Result<(), FsError> {
        if target.len() > TARGET_MAX_BYTES {
            return Err(refused("symlink", path, io::ErrorKind::InvalidFilename));
        }
        self.put(path, Indexed::Symlink(target.to_vec()))
    }

    fn fifo(&mut self, path: &RootPath, _: &Attributes) -> Result<(), FsError> {
        self.put(path, Indexed::Fifo)
    }

    fn device(&mut self, path: &RootPath, _: &Attributes, _: Device) -> Result<(), FsError> {
        self.put(path, Indexed::File(None))
    }

    fn hard_link(&mut self, path: &RootPath, target: &RootPath) -> Result<Linked, FsError> {
        let spot = self.spot(path)?;
        let real = self.real_name(target)?;
        if real == spot {
            return Ok(Linked::Here);
        }
        match self.index.entries.get(&real).cloned() {
            Some(Indexed::Gone) => Ok(Linked::TargetHidden),
            Some(Indexed::Directory(_)) => Err(refused("link", &real, io::ErrorKind::IsADirectory)),
            Some(_) if real.starts_with(&spot) => {
                Err(refused("link", &real, io::ErrorKind::NotFound))
            }
            Some(found) => {
                self.put(path, found)?;
                Ok(Linked::Here)
            }
            None if self.is_hidden(&real) => Ok(Linked::TargetHidden),
            None => {
                forget_below(self.entries(), &spot);
                // It is kept by whoever asked.
                self.count(&spot, real.as_bytes().len())?;
                Ok(Linked::TargetMissing {
                    at: spot,
                    target: real,
                })
            }
        }
    }

    fn delete(&mut self, path: &RootPath) -> Result<(), FsError> {
        let real = self.spot(path)?;
        match self.index.entries.get_mut(&real) {
            None => self.insert(real, Indexed::Gone),
            Some(Indexed::Directory(directory)) => {
                (directory.opaque, directory.implied) = (true, false);
                Ok(())
            }
            Some(_) => Ok(()),
        }
    }

    fn opaque(&mut self, path: &RootPath) -> Result<(), FsError> {
        let real = self.parent(path)?;
        self.opaque_root |= real.is_root();
        if let Some(Indexed::Directory(directory)) = self.index.entries.get_mut(&real) {
            directory.opaque = true;
        }
        Ok(())
    }

    fn real_name(&self, path: &RootPath) -> Result<RootPath, FsError> {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok(self.resolve(&parent)?.child(name)?),
            _ => Ok(RootPath::root()),
        }
    }

    fn finish(self) -> Result<Placed, FillError> {
        Ok(Placed {
            owners: Owners::new(IdStorage::Recorded, OwnerTable::default()),
            implied: self.index.implied().cloned().collect(),
            opaque_root: self.opaque_root,
            root_set: self.root_set,
        })
    }
}

/// Returns how many bytes an index keeps of an object, beside its path.
fn said_bytes(indexed: &Indexed) -> usize {
    match indexed {
        Indexed::Symlink(target) => target.len(),
        Indexed::File(Some(bytes)) => bytes.len(),
        Indexed::Directory(directory) => {
            let xattrs = directory.attributes.xattrs.iter();
            xattrs.map(|(name, value)| name.len() + value.len()).sum()
        }
        Indexed::Gone | Indexed::File(None) | Indexed::Fifo => 0,
    }
}

/// Returns the attributes of a directory that nobody says anything of.
pub(crate) fn unsaid() -> Attributes {
    Attributes {
        mode: Mode::new(0o755),
        ..Attributes::default()
    }
}

/// Returns the attributes that a directory has when it was given those of an entry.
fn attributes_of_directory(attributes: &Attributes) -> Attributes {
    let mut said = attributes.clone();
    let is_held = |name: &[u8]| xattr::is_kept(name) && name != xattr::CAPABILITY;
    said.xattrs.retain(|name, _| is_held(name));
    said
}

fn refused(what: &str, path: &RootPath, kind: io::ErrorKind) -> FsError {
    FsError::Call {
        call: format!("{what}({})", path.absolute()),
        source: kind.into(),
    }
}
