//! Entries of a layer → a directory, its small files written by several threads.
//!
//! One thread makes all names, in the order of the archive, so that what is in whose way is what it is with one thread
//! alone. What it hands over is a file that is open: its bytes and attributes go to that object whatever happens to its
//! name meanwhile, a second name or an end included. Large files are written as they are read.

use std::io::BufRead;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle, available_parallelism};

use rootfs::{Device, File, FsError, IdStorage, OwnerTable, Owners, RootPath};

use crate::change::Attributes;
use crate::finish::finish_file;
use crate::placer::{Linked, Placed, Placer};
use crate::sink::{FillError, Sink};
use crate::tarread::{TarEntry, TarReader};

/// The largest file that another thread writes, in bytes: its bytes are held in memory.
const SMALL_BYTES: u64 = 64 * 1024;

/// How many files wait to be written.
const FILES_AHEAD: usize = 32;

/// The most threads that write files of one layer: more do not help where the disk's journal is the limit.
const WRITERS_MAX: usize = 2;

/// A file that is there and has nothing in it yet.
struct Unwritten {
    file: File,
    path: RootPath,
    attributes: Attributes,
    bytes: Vec<u8>,
}

/// Why a file could not be written.
type WriteFailure = (RootPath, FsError);

/// Puts the entries of a layer into a directory.
pub(crate) struct Disk<'t, 'scope> {
    placer: Placer<'t>,
    small: SyncSender<Unwritten>,
    writers: Vec<ScopedJoinHandle<'scope, Result<(), WriteFailure>>>,
}

impl<'t, 'scope> Disk<'t, 'scope> {
    /// Starts the threads that write.
    pub(crate) fn new(placer: Placer<'t>, scope: &'scope Scope<'scope, '_>) -> Self {
        let ids = placer.storage();
        let (small, files) = sync_channel(FILES_AHEAD);
        // One of them waits for the next file, and the others for their turn to.
        let files = Arc::new(Mutex::new(files));
        let count = available_parallelism().map_or(1, usize::from);
        let writers = (0..count.min(WRITERS_MAX)).map(|_| {
            let files = Arc::clone(&files);
            scope.spawn(move || write_all(&files, ids))
        });
        Self {
            placer,
            small,
            writers: writers.collect(),
        }
    }

    /// Waits until all files are written.
    fn join(small: SyncSender<Unwritten>, writers: Writers<'scope>) -> Result<(), FillError> {
        drop(small);
        let mut failure = Ok(());
        for writer in writers {
            let written = match writer.join() {
                Ok(written) => written,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            failure = failure.and(written);
        }
        failure.map_err(|(path, source)| FillError::Write { path, source })
    }
}

type Writers<'scope> = Vec<ScopedJoinHandle<'scope, Result<(), WriteFailure>>>;

/// Writes files as they come, until there are no more or one cannot be written.
fn write_all(files: &Mutex<Receiver<Unwritten>>, ids: IdStorage) -> Result<(), WriteFailure> {
    let mut owners = Owners::new(ids, OwnerTable::default());
    loop {
        let next = files.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(unwritten) = next else {
            return Ok(());
        };
        let Unwritten {
            file,
            path,
            attributes,
            bytes,
        } = unwritten;
        let written = rootfs::write_all(&file, &bytes);
        written
            .and_then(|()| finish_file(&mut owners, file, &path, &attributes))
            .map_err(|source| (path, source))?;
    }
}

impl Sink for Disk<'_, '_> {
    fn directory(&mut self, path: &RootPath, attributes: &Attributes) -> Result<(), FsError> {
        self.placer.directory(path, attributes, false)
    }

    fn file<B: BufRead>(
        &mut self,
        path: &RootPath,
        attributes: Attributes,
        entry: &TarEntry,
        reader: &mut TarReader<B>,
    ) -> Result<(), FillError> {
        let at = FillError::at(path);
        let (file, real) = self.placer.create_file(path).map_err(at)?;
        if !entry.is_dense() || entry.size > SMALL_BYTES {
            fill(reader, entry, &file, at)?;
            let finished = self.placer.finish_file(file, &real, &attributes);
            return finished.map_err(at);
        }
        let unwritten = Unwritten {
            file,
            path: real,
            attributes,
            bytes: all_data(reader, entry.size)?,
        };
        // Where nobody takes it any more a file could not be written, which the end tells.
        drop(self.small.send(unwritten));
        Ok(())
    }

    fn symlink(
        &mut self,
        path: &RootPath,
        attributes: &Attributes,
        target: &[u8],
    ) -> Result<(), FsError> {
        self.placer.symlink(path, attributes, target)
    }

    fn fifo(&mut self, path: &RootPath, attributes: &Attributes) -> Result<(), FsError> {
        self.placer.fifo(path, attributes)
    }

    fn device(
        &mut self,
        path: &RootPath,
        attributes: &Attributes,
        device: Device,
    ) -> Result<(), FsError> {
        self.placer.device(path, attributes, device)
    }

    fn hard_link(&mut self, path: &RootPath, target: &RootPath) -> Result<Linked, FsError> {
        self.placer.hard_link(path, target)
    }

    fn delete(&mut self, path: &RootPath) -> Result<(), FsError> {
        self.placer.delete(path)
    }

    fn opaque(&mut self, path: &RootPath) -> Result<(), FsError> {
        self.placer.opaque(path)
    }

    fn real_name(&self, path: &RootPath) -> Result<RootPath, FsError> {
        self.placer.real_name(path)
    }

    fn finish(self) -> Result<Placed, FillError> {
        Self::join(self.small, self.writers)?;
        let finished = self.placer.finish();
        finished.map_err(FillError::at(&RootPath::root()))
    }
}

/// Reads all data of a small entry.
pub(crate) fn all_data<B: BufRead>(
    reader: &mut TarReader<B>,
    size_bytes: u64,
) -> Result<Vec<u8>, FillError> {
    let mut bytes = Vec::with_capacity(usize::try_from(size_bytes).unwrap_or_default());
    loop {
        let chunk = reader.data(size_bytes)?;
        if chunk.is_empty() {
            return Ok(bytes);
        }
        bytes.extend_from_slice(chunk);
        let count = chunk.len();
        reader.consume(count)?;
    }
}

/// Writes the data of an entry into its file, leaving its holes.
fn fill<B: BufRead>(
    reader: &mut TarReader<B>,
    entry: &TarEntry,
    file: &File,
    at: impl Fn(FsError) -> FillError,
) -> Result<(), FillError> {
    let mut end = 0;
    for region in &entry.regions {
        if region.offset != end {
            rootfs::seek(file, region.offset).map_err(&at)?;
        }
        end = region.offset + region.length;
        let mut left = region.length;
        while left > 0 {
            let chunk = reader.data(left)?;
            rootfs::write_all(file, chunk).map_err(&at)?;
            let count = chunk.len();
            reader.consume(count)?;
            left -= count as u64;
        }
    }
    let ends_with_hole = end < entry.size;
    let ends_with_mark = (entry.regions.last()).is_some_and(|region| region.length == 0);
    if ends_with_hole || (ends_with_mark && entry.size > 0) {
        rootfs::set_length(file, entry.size).map_err(&at)?;
    }
    Ok(())
}
