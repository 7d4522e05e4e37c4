//! Whether a directory still has the files that the blob of its layer says.
//!
//! Each entry is looked up below the directory, as it is now, and read beside what is there.
//!
//! | Of an entry | Compared |
//! | --- | --- |
//! | a regular file | that it is one, and all of its bytes, holes included |
//! | a symbolic link | what it says |
//! | a second name | that it is one of the same file, or of one like it |
//! | a directory | that it is one |
//! | anything else | nothing |
//!
//! Owners, modes, times and attributes are not: who keeps them depends on the machine.
//!
//! A name that comes twice is what it was the last time, which is right but for names that lead through links: what an
//! earlier entry put there is not known any more. So a difference may be none, and is one if a directory that was
//! unpacked anew is another there ([`Differences::between`]). What a layer says of those below it, and was settled with
//! them, is not where the blob says: such directories are not to be compared.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use rootfs::{
    Device, File, FileKind, FsError, IdStorage, Metadata, OwnerTable, Owners, Root, RootPath,
    next_data,
};

use crate::apply::read_into;
use crate::change::Attributes;
use crate::content::ContentError;
use crate::limits::Limits;
use crate::placer::{Linked, Placed};
use crate::room::DecoderRoom;
use crate::same::{CompareError, is_same_file};
use crate::sink::{FillError, Sink};
use crate::tarread::{TarEntry, TarReader};
use crate::unpack::{UnpackError, digested};

/// The most files that are told to be others than the layer says.
pub const DIFFERENCES_MAX: usize = 1000;

/// How many bytes are read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Files of a directory that may be others than its layer says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// Their paths in the archive, in order.
    pub paths: Vec<RootPath>,
    /// There are more, which are left out.
    pub is_cut_off: bool,
}

/// Reads the blob of a layer to its end and returns the files that are not in a directory as it has them, no more than
/// [`DIFFERENCES_MAX`] of them. The directory may be several, the topmost first, which are looked through one after the
/// other.
///
/// # Errors
///
/// Fails where the blob cannot be read, the archive or an entry is refused, or a file of the directory cannot be read.
pub fn differences<R: Read + Send>(
    blob: R,
    room: &DecoderRoom,
    directory: &[Arc<Root>],
) -> Result<Differences, UnpackError> {
    let tar = room.decompressor(blob).map_err(UnpackError::Read)?;
    let mut found = Found::default();
    digested(tar, |tar| {
        let reader = TarReader::buffered(tar, Limits::default());
        read_into(reader, Comparison::new(directory, &mut found))
    })?;
    Ok(Differences {
        paths: found.paths.into_iter().collect(),
        is_cut_off: found.is_cut_off,
    })
}

impl Differences {
    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.is_cut_off
    }

    /// Leaves those that are differences between a directory and what the blob unpacks to.
    ///
    /// # Errors
    ///
    /// Fails where a file of either cannot be read.
    pub fn between(
        &mut self,
        directory: &[Arc<Root>],
        unpacked: &[Arc<Root>],
    ) -> Result<(), CompareError> {
        let (mut ours, mut theirs) = (Finder::new(directory), Finder::new(unpacked));
        let mut left = Vec::new();
        for path in &self.paths {
            let mut is_same = || match (ours.place(path)?, theirs.place(path)?) {
                (None, None) => Ok(true),
                (Some(ours), Some(theirs)) => is_one_file(&ours, &theirs),
                (None, Some(_)) | (Some(_), None) => Ok(false),
            };
            let is_same = is_same().map_err(|source| CompareError::Content {
                path: path.clone(),
                source: ContentError::Open(source),
            })?;
            if !is_same {
                left.push(path.clone());
            }
        }
        self.paths = left;
        Ok(())
    }
}

/// What was found so far.
#[derive(Default)]
struct Found {
    paths: BTreeSet<RootPath>,
    is_cut_off: bool,
}

/// Compares entries with what is in a directory.
struct Comparison<'c> {
    finder: Finder<'c>,
    found: &'c mut Found,
}

impl<'c> Comparison<'c> {
    fn new(directory: &'c [Arc<Root>], found: &'c mut Found) -> Self {
        Self {
            finder: Finder::new(directory),
            found,
        }
    }

    fn place(&mut self, path: &RootPath) -> Result<Option<Place<'c>>, FsError> {
        self.finder.place(path)
    }

    /// Notes what was found of an entry, which is where all entries of that name before it were.
    fn note(&mut self, path: &RootPath, is_same: bool) {
        let Found { paths, is_cut_off } = &mut *self.found;
        let below = paths.range(path..);
        let gone: Vec<_> = below
            .take_while(|other| other.starts_with(path))
            .cloned()
            .collect();
        for other in gone {
            paths.remove(&other);
        }
        if is_same {
            return;
        }
        if paths.len() >= DIFFERENCES_MAX {
            *is_cut_off = true;
            return;
        }
        paths.insert(path.clone());
    }
}

/// Finds what is at paths of an archive.
struct Finder<'c> {
    directory: &'c [Arc<Root>],
    /// The parent of the last path, and where it is in each directory.
    last: Option<(RootPath, Vec<RootPath>)>,
}

/// What is in the directory at the path of an entry.
struct Place<'c> {
    root: &'c Arc<Root>,
    path: RootPath,
    metadata: Metadata,
}

impl<'c> Finder<'c> {
    fn new(directory: &'c [Arc<Root>]) -> Self {
        Self {
            directory,
            last: None,
        }
    }

    /// Returns what is at a path, and where that is; nothing where nothing is.
    fn place(&mut self, path: &RootPath) -> Result<Option<Place<'c>>, FsError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(None);
        };
        if self.last.as_ref().is_none_or(|(last, _)| *last != parent) {
            let real = self.directory.iter().map(|root| real_path(root, &parent));
            let real = real.collect::<Result<_, _>>()?;
            self.last = Some((parent, real));
        }
        let parents = self.last.iter().flat_map(|(_, parents)| parents);
        for (root, parent) in self.directory.iter().zip(parents) {
            let path = parent.child(name)?;
            if let Some(metadata) = absent_is_none(root.metadata(&path))?.flatten() {
                return Ok(Some(Place {
                    root,
                    path,
                    metadata,
                }));
            }
        }
        Ok(None)
    }
}

/// Returns where a path leads in a directory, as far as it does.
fn real_path(root: &Root, path: &RootPath) -> Result<RootPath, FsError> {
    match root.resolve(path) {
        // What is in the way of a directory is a difference, found at what should be in it.
        Err(error) if is_no_way(&error) => Ok(path.clone()),
        resolved => resolved,
    }
}

fn absent_is_none<T>(result: Result<T, FsError>) -> Result<Option<T>, FsError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_no_way(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tells whether an error says that nothing is there, or something else.
fn is_no_way(error: &FsError) -> bool {
    error.is_not_found() || error.is_loop()
}

impl Sink for Comparison<'_> {
    fn directory(&mut self, path: &RootPath, _: &Attributes) -> Result<(), FsError> {
        if path.is_root() {
            return Ok(());
        }
        let place = self.place(path)?;
        self.found.paths.remove(path);
        if !place.is_some_and(|place| place.metadata.kind == FileKind::Directory) {
            self.note(path, false);
        }
        Ok(())
    }

    fn file<B: BufRead>(
        &mut self,
        path: &RootPath,
        _: Attributes,
        entry: &TarEntry,
        reader: &mut TarReader<B>,
    ) -> Result<(), FillError> {
        let at = FillError::at(path);
        let place = self.place(path).map_err(at)?;
        let place = place.filter(|place| {
            place.metadata.kind == FileKind::File && place.metadata.size == entry.size
        });
        let opened = place.map(|place| place.root.open_file_traceless(&place.path));
        let file = opened.map(absent_is_none).transpose().map_err(at)?;
        let is_same = match file.flatten() {
            Some(file) => has_same_bytes(&file, (entry, reader), path)?,
            None => false,
        };
        self.note(path, is_same);
        Ok(())
    }

    fn symlink(&mut self, path: &RootPath, _: &Attributes, target: &[u8]) -> Result<(), FsError> {
        let is_same = match self.place(path)? {
            Some(place) if place.metadata.kind == FileKind::Symlink => {
                place.root.read_link(&place.path)? == target
            }
            Some(_) | None => false,
        };
        self.note(path, is_same);
        Ok(())
    }

    fn fifo(&mut self, path: &RootPath, _: &Attributes) -> Result<(), FsError> {
        self.note(path, true);
        Ok(())
    }

    fn device(&mut self, path: &RootPath, _: &Attributes, _: Device) -> Result<(), FsError> {
        self.note(path, true);
        Ok(())
    }

    fn hard_link(&mut self, path: &RootPath, target: &RootPath) -> Result<Linked, FsError> {
        let is_same = match (self.place(path)?, self.place(target)?) {
            (Some(name), Some(target)) => is_one_file(&name, &target)?,
            (None, _) => false,
            // Of a file of another layer.
            (Some(_), None) => true,
        };
        self.note(path, is_same);
        Ok(Linked::Here)
    }

    fn delete(&mut self, _: &RootPath) -> Result<(), FsError> {
        // What this layer has there stays.
        Ok(())
    }

    fn opaque(&mut self, _: &RootPath) -> Result<(), FsError> {
        Ok(())
    }

    fn real_name(&self, path: &RootPath) -> Result<RootPath, FsError> {
        Ok(path.clone())
    }

    fn finish(self) -> Result<Placed, FillError> {
        Ok(Placed {
            owners: Owners::new(IdStorage::Recorded, OwnerTable::default()),
            implied: BTreeSet::new(),
            opaque_root: false,
            root_set: true,
        })
    }
}

/// Tells whether two names are of one file, or of two with the same bytes: a file system takes so many names and no more.
fn is_one_file(one: &Place<'_>, other: &Place<'_>) -> Result<bool, FsError> {
    let (ours, theirs) = (&one.metadata, &other.metadata);
    if (ours.dev, ours.ino) == (theirs.dev, theirs.ino) {
        return Ok(true);
    }
    if ours.kind != theirs.kind {
        return Ok(false);
    }
    match ours.kind {
        FileKind::File if ours.size != theirs.size => Ok(false),
        FileKind::File => {
            let open = |place: &Place<'_>| place.root.open_file_traceless(&place.path);
            let is_same = is_same_file(&open(one)?, &open(other)?);
            is_same.map_err(|source| FsError::Call {
                call: format!("read({})", one.path.absolute()),
                source,
            })
        }
        FileKind::Symlink => {
            Ok(one.root.read_link(&one.path)? == other.root.read_link(&other.path)?)
        }
        _ => Ok(true),
    }
}

/// Compares the data of an entry, holes included, with a file of the same size. What differs need not be read to its end.
fn has_same_bytes<B: BufRead>(
    file: &File,
    (entry, reader): (&TarEntry, &mut TarReader<B>),
    path: &RootPath,
) -> Result<bool, FillError> {
    let mut beside = Beside {
        file,
        path,
        bytes: vec![0; CHUNK_BYTES],
    };
    let mut end = 0;
    for region in &entry.regions {
        if !beside.has_zeros(end, region.offset)? {
            return Ok(false);
        }
        end = region.offset;
        let mut left = region.length;
        while left > 0 {
            let chunk = reader.data(left.min(CHUNK_BYTES as u64))?;
            if beside.at(end, chunk.len())? != Some(chunk) {
                return Ok(false);
            }
            let count = chunk.len();
            reader.consume(count)?;
            end += count as u64;
            left -= count as u64;
        }
    }
    beside.has_zeros(end, entry.size)
}

/// A file that is read beside an entry.
struct Beside<'f> {
    file: &'f File,
    path: &'f RootPath,
    bytes: Vec<u8>,
}

impl Beside<'_> {
    /// Returns the bytes at an offset, at most as many as are read at once; nothing where the file ends before.
    fn at(&mut self, offset: u64, count: usize) -> Result<Option<&[u8]>, FillError> {
        let bytes = &mut self.bytes[..count];
        match self.file.read_exact_at(bytes, offset) {
            Ok(()) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(source) => Err(FillError::at(self.path)(FsError::Call {
                call: format!("pread({}, …, {count}, {offset})", self.path.absolute()),
                source,
            })),
        }
    }

    /// Tells whether all is zero between two offsets. Holes are passed over: they may be larger than any disk.
    fn has_zeros(&mut self, from: u64, to: u64) -> Result<bool, FillError> {
        let mut from = from;
        while from < to {
            from = match next_data(self.file, from) {
                Some(data) if data < to => data,
                Some(_) | None => return Ok(true),
            };
            let count =
                usize::try_from(to - from).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
            match self.at(from, count)? {
                Some(bytes) if bytes.iter().all(|&byte| byte == 0) => from += count as u64,
                Some(_) | None => return Ok(false),
            }
        }
        Ok(true)
    }
}
