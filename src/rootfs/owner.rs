//! How the owner, mode and device number that an image gives an inode are held on disk.
//!
//! | Storage | owner | mode | device nodes |
//! | --- | --- | --- | --- |
//! | [`IdStorage::Shifted`] | the inode's, shifted by a constant | the inode's | placeholder |
//! | [`IdStorage::Recorded`] | in an [`OwnerRecord`] | in an [`OwnerRecord`], until a command changes the inode's | placeholder |
//!
//! A record is the extended attribute `user.careen.owner` of a regular file or directory, and an
//! entry of an [`OwnerTable`] for what can hold no such attribute (symlinks, fifos and sockets,
//! xattr(7)). Its text is `UID:GID:MODE`, ids decimal and mode octal, followed for a device node by
//! `:cMAJOR,MINOR` or `:bMAJOR,MINOR`. An inode of the recorded storage that has no record belongs to
//! 0:0 and has the mode it has.
//!
//! A device node is never made: it is a regular file with a record that names the device. An ordinary
//! user could not make it, and nothing in a sandbox should find one that works. Like a device node it
//! has an owner and a mode that a command can change, and what is written to it is in no file.

use std::collections::BTreeMap;
use std::fmt;

use crate::attr::{FileKind, Inode, Metadata, Mode};
use crate::error::FsError;
use crate::path::{PathError, RootPath};

/// The extended attribute that holds an [`OwnerRecord`].
pub const OWNER_XATTR: &[u8] = b"user.careen.owner";

/// How ids of an image are held on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdStorage {
    /// The image's id `n` is the id `n + by` of this process, for `n` below `count`.
    Shifted {
        /// What is added to an id of the image.
        by: u32,
        /// How many ids there are.
        count: u32,
    },
    /// Every inode belongs to the caller, and a record says to whom it belongs in the image.
    Recorded,
}

/// An id that cannot be held, or that is none of the image's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The image uses an id above those that it was given.
    #[error("the image has the id {id}, and ids 0 to {} can be held here", count.saturating_sub(1))]
    TooHigh {
        /// The id in the image.
        id: u32,
        /// How many ids there are.
        count: u32,
    },
    /// A file belongs to an id that none of the image's is held as.
    #[error("the id {id} on disk is none of the image's, which are {by} to {}", u64::from(*by) + u64::from(count.saturating_sub(1)))]
    Foreign {
        /// The id on disk, as this process sees it.
        id: u32,
        /// What is added to an id of the image.
        by: u32,
        /// How many ids there are.
        count: u32,
    },
}

impl IdStorage {
    /// Returns the id on disk of an id of the image.
    ///
    /// # Errors
    ///
    /// Fails where the id is above those that can be held.
    pub fn to_disk(self, id: u32) -> Result<u32, IdError> {
        match self {
            Self::Shifted { by, count } if id < count => {
                by.checked_add(id).ok_or(IdError::TooHigh { id, count })
            }
            Self::Shifted { count, .. } => Err(IdError::TooHigh { id, count }),
            Self::Recorded => Ok(id),
        }
    }

    /// Returns the id of the image of an id on disk.
    ///
    /// # Errors
    ///
    /// Fails where the id on disk is none of the image's.
    pub fn to_image(self, id: u32) -> Result<u32, IdError> {
        match self {
            Self::Shifted { by, count } => match id.checked_sub(by) {
                Some(image) if image < count => Ok(image),
                _ => Err(IdError::Foreign { id, by, count }),
            },
            Self::Recorded => Ok(id),
        }
    }
}

/// A device node's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Device {
    /// A character device.
    Char {
        /// Which driver.
        major: u32,
        /// Which of its devices.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Which driver.
        major: u32,
        /// Which of its devices.
        minor: u32,
    },
}

/// What an image says of an inode and this process cannot, or may not, make true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnerRecord {
    /// The owner in the image.
    pub uid: u32,
    /// The group in the image.
    pub gid: u32,
    /// The permission bits.
    pub mode: Mode,
    /// The device that the inode stands for, if it is a device node.
    pub device: Option<Device>,
}

/// A text that is no [`OwnerRecord`] or [`OwnerTable`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A record has the wrong form.
    #[error("`{}` is no owner record", text.escape_ascii())]
    Malformed {
        /// The text.
        text: Vec<u8>,
    },
    /// A line of a table has the wrong form.
    #[error("line {line} of the owner table is no owner record and path")]
    Line {
        /// The number of the line, from 1.
        line: usize,
    },
    /// The path in a line of a table is none.
    #[error("line {line} of the owner table")]
    Path {
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong with the path.
        #[source]
        source: PathError,
    },
}

impl OwnerRecord {
    /// Reads the text of a record.
    ///
    /// # Errors
    ///
    /// Fails where it has another form than the one that `Display` writes.
    pub fn parse(text: &[u8]) -> Result<Self, RecordError> {
        let read = || {
            let mut fields = std::str::from_utf8(text).ok()?.split(':');
            let record = Self {
                uid: decimal(fields.next()?)?,
                gid: decimal(fields.next()?)?,
                mode: octal_mode(fields.next()?)?,
                device: fields.next().map(parse_device).transpose().ok()?,
            };
            fields.next().is_none().then_some(record)
        };
        read().ok_or_else(|| RecordError::Malformed {
            text: text.to_vec(),
        })
    }

    /// Returns the mode of an inode with this record: a command that changed the one on disk meant
    /// that of the image.
    fn mode_now(&self, metadata: &Metadata) -> Mode {
        if metadata.mode == disk_mode(metadata.kind, self.mode) {
            self.mode
        } else {
            metadata.mode
        }
    }
}

fn parse_device(text: &str) -> Result<Device, ()> {
    let number = |text: &str| -> Option<(u32, u32)> {
        let (major, minor) = text.split_once(',')?;
        Some((decimal(major)?, decimal(minor)?))
    };
    let char = text.strip_prefix('c').and_then(number);
    let block = text.strip_prefix('b').and_then(number);
    match (char, block) {
        (Some((major, minor)), _) => Ok(Device::Char { major, minor }),
        (None, Some((major, minor))) => Ok(Device::Block { major, minor }),
        (None, None) => Err(()),
    }
}

/// Reads a number in the one form that it is written in.
fn decimal(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn octal_mode(text: &str) -> Option<Mode> {
    let mode = Mode::new(u32::from_str_radix(text, 8).ok()?);
    (mode.to_string() == text).then_some(mode)
}

impl fmt::Display for OwnerRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.uid, self.gid, self.mode)?;
        match self.device {
            Some(Device::Char { major, minor }) => write!(f, ":c{major},{minor}"),
            Some(Device::Block { major, minor }) => write!(f, ":b{major},{minor}"),
            None => Ok(()),
        }
    }
}

/// The records of inodes that can hold no `user.` attribute, by path.
///
/// Its text has one line per record, sorted by path: the record, a blank, the path as
/// [`RootPath`]'s `Display` writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnerTable {
    records: BTreeMap<RootPath, OwnerRecord>,
}

impl OwnerTable {
    /// Returns the record of a path.
    pub fn get(&self, path: &RootPath) -> Option<&OwnerRecord> {
        self.records.get(path)
    }

    /// Sets the record of a path.
    pub fn insert(&mut self, path: RootPath, record: OwnerRecord) {
        self.records.insert(path, record);
    }

    /// Forgets a path and everything below it.
    pub fn remove_below(&mut self, path: &RootPath) {
        let below = self.records.range(path.clone()..).map(|(other, _)| other);
        let gone: Vec<_> = below
            .take_while(|other| other.starts_with(path))
            .cloned()
            .collect();
        for path in gone {
            self.records.remove(&path);
        }
    }

    /// Moves what is recorded at a path and below it to another path.
    ///
    /// # Errors
    ///
    /// Fails where a new path is too long.
    pub fn rename(&mut self, from: &RootPath, to: &RootPath) -> Result<(), PathError> {
        let below = self.records.range(from.clone()..);
        let moved = below.map_while(|(path, record)| Some((path.strip_prefix(from)?, *record)));
        let moved: Vec<_> = moved.collect();
        self.remove_below(from);
        for (rest, record) in moved {
            self.records.insert(to.join(&rest)?, record);
        }
        Ok(())
    }

    /// Tells whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Returns the records in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&RootPath, &OwnerRecord)> {
        self.records.iter()
    }

    /// Reads the text of a table.
    ///
    /// # Errors
    ///
    /// Fails at the first line that is no record and path.
    pub fn parse(text: &str) -> Result<Self, RecordError> {
        let mut table = Self::default();
        for (line, content) in (1..).zip(text.lines()) {
            let (record, path) = content.split_once(' ').ok_or(RecordError::Line { line })?;
            let record = OwnerRecord::parse(record.as_bytes());
            let record = record.ok().ok_or(RecordError::Line { line })?;
            let path = RootPath::from_escaped(path);
            let path = path.map_err(|source| RecordError::Path { line, source })?;
            table.insert(path, record);
        }
        Ok(table)
    }
}

impl fmt::Display for OwnerTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.records
            .iter()
            .try_for_each(|(path, record)| writeln!(f, "{record} {path}"))
    }
}

/// Sets and reads the owner, mode and device of inodes in a tree, whichever storage it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owners {
    storage: IdStorage,
    table: OwnerTable,
}

impl Owners {
    /// Takes the storage of a tree and the records that it has so far, of which only the recorded
    /// storage has any.
    pub fn new(storage: IdStorage, table: OwnerTable) -> Self {
        Self { storage, table }
    }

    /// Returns the storage.
    pub fn storage(&self) -> IdStorage {
        self.storage
    }

    /// Returns the records to be kept beside the tree.
    pub fn table(&self) -> &OwnerTable {
        &self.table
    }

    /// Returns the records to be kept beside the tree.
    pub fn into_table(self) -> OwnerTable {
        self.table
    }

    /// Returns the records to be changed with the tree.
    pub fn table_mut(&mut self) -> &mut OwnerTable {
        &mut self.table
    }

    /// Gives an inode the owner and mode of a record, and makes an empty regular file a device node
    /// where the record names a device. Extended attributes that need a writable file are set before.
    ///
    /// # Errors
    ///
    /// Fails where an id cannot be held, or the inode may not be changed.
    pub fn set(
        &mut self,
        inode: &Inode,
        path: &RootPath,
        kind: FileKind,
        record: &OwnerRecord,
    ) -> Result<(), FsError> {
        match self.storage {
            IdStorage::Shifted { .. } => self.set_shifted(inode, path, kind, record),
            IdStorage::Recorded => self.set_recorded(inode, path, kind, record),
        }
    }

    fn set_shifted(
        &self,
        inode: &Inode,
        path: &RootPath,
        kind: FileKind,
        record: &OwnerRecord,
    ) -> Result<(), FsError> {
        let to_disk = |id| {
            let held = self.storage.to_disk(id);
            held.map_err(|source| FsError::Id {
                path: path.clone(),
                source,
            })
        };
        inode.set_owner(to_disk(record.uid)?, to_disk(record.gid)?)?;
        if record.device.is_some() {
            inode.set_xattr(OWNER_XATTR, record.to_string().as_bytes())?;
        }
        // A symlink has no mode of its own.
        if kind == FileKind::Symlink {
            Ok(())
        } else {
            inode.set_mode(record.mode)
        }
    }

    fn set_recorded(
        &mut self,
        inode: &Inode,
        path: &RootPath,
        kind: FileKind,
        record: &OwnerRecord,
    ) -> Result<(), FsError> {
        let disk = disk_mode(kind, record.mode);
        if kind != FileKind::Symlink {
            inode.set_mode(disk)?;
        }
        let shown = OwnerRecord {
            uid: 0,
            gid: 0,
            mode: disk,
            device: None,
        };
        match (*record == shown, holds_xattrs(kind)) {
            (true, true) => inode.remove_xattr(OWNER_XATTR),
            (false, true) => inode.set_xattr(OWNER_XATTR, record.to_string().as_bytes()),
            (true, false) => {
                self.table.remove_below(path);
                Ok(())
            }
            (false, false) => {
                self.table.insert(path.clone(), *record);
                Ok(())
            }
        }
    }

    /// Returns what an inode is in the image. `record` is the value of its [`OWNER_XATTR`], if it has
    /// one.
    ///
    /// # Errors
    ///
    /// Fails where the owner on disk is none of the image's, or the record is malformed.
    pub fn read(
        &self,
        path: &RootPath,
        metadata: &Metadata,
        record: Option<&[u8]>,
    ) -> Result<OwnerRecord, FsError> {
        let record = record.map(OwnerRecord::parse).transpose();
        let record = record.map_err(|source| FsError::Record {
            path: path.clone(),
            source,
        });
        match self.storage {
            IdStorage::Shifted { .. } => {
                let to_image = |id| {
                    let found = self.storage.to_image(id);
                    found.map_err(|source| FsError::Id {
                        path: path.clone(),
                        source,
                    })
                };
                let (uid, gid) = (to_image(metadata.uid)?, to_image(metadata.gid)?);
                // An attribute that names no device is somebody's own.
                let device = record.ok().flatten().filter(|_| is_file(metadata));
                let device = device.filter(|record| record.device.is_some());
                let mode = match device {
                    // As placeholders were made at first.
                    Some(device) if metadata.mode.bits() == 0 => device.mode,
                    _ => metadata.mode,
                };
                Ok(OwnerRecord {
                    uid,
                    gid,
                    mode,
                    device: device.and_then(|record| record.device),
                })
            }
            IdStorage::Recorded => {
                let table = self
                    .table
                    .get(path)
                    .copied()
                    .filter(|_| !holds_xattrs(metadata.kind));
                let plain = OwnerRecord {
                    uid: 0,
                    gid: 0,
                    mode: metadata.mode,
                    device: None,
                };
                Ok(record?.or(table).map_or(plain, |record| OwnerRecord {
                    mode: record.mode_now(metadata),
                    ..record
                }))
            }
        }
    }
}

fn holds_xattrs(kind: FileKind) -> bool {
    matches!(kind, FileKind::File | FileKind::Directory)
}

fn is_file(metadata: &Metadata) -> bool {
    metadata.kind == FileKind::File
}

/// Returns the mode on disk of an inode whose mode is recorded: its owner, who is the caller, can
/// always use it, and it has no bit that gives anybody else the caller's rights.
fn disk_mode(kind: FileKind, mode: Mode) -> Mode {
    match kind {
        FileKind::Symlink => Mode::new(0o777),
        FileKind::Directory => Mode::new(mode.bits() & 0o777 | 0o700),
        _ => Mode::new(mode.bits() & 0o777 | 0o600),
    }
}
