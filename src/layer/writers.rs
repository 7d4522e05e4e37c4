//! Threads that write regular files into directories that are there.
//!
//! Creating small files is bound by the journal of the disk's file system, which two or three writers keep busier than one.
//! Files of one directory go to one writer in a row, since a directory takes one new name at a time.

use std::mem;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use rootfs::{IdStorage, RootPath};

use crate::change::{Attributes, Content};
use crate::place::{PlaceError, PutError, fill};
use crate::placer::{Spot, put_file};

/// How many threads write.
const WRITERS: usize = 4;

/// How many files one writer gets at once. Each may hold a directory open: of all that are on their way the number stays
/// far below the thousand descriptors that a process has at least.
const BATCH: usize = 32;

/// How many batches wait for one writer.
const QUEUE: usize = 1;

/// A regular file to be written, where nothing is.
pub(crate) struct NewFile {
    /// Where.
    pub(crate) spot: Spot,
    /// Its path, for errors.
    pub(crate) path: RootPath,
    /// Owner, mode, time and extended attributes.
    pub(crate) attributes: Attributes,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Its bytes.
    pub(crate) content: Content,
}

/// A thread that writes, and what sends it numbered batches. It ends at the first failure.
struct Writer<'scope> {
    sender: SyncSender<(usize, Vec<NewFile>)>,
    thread: ScopedJoinHandle<'scope, Result<(), (usize, PlaceError)>>,
}

/// Writes files on several threads; few files are written by the caller.
pub(crate) struct Writers<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    ids: IdStorage,
    batch: Vec<NewFile>,
    sent: usize,
    threads: usize,
    busy: Vec<Writer<'scope>>,
}

impl<'scope, 'env> Writers<'scope, 'env> {
    pub(crate) fn new(scope: &'scope Scope<'scope, 'env>, ids: IdStorage) -> Self {
        Self {
            scope,
            ids,
            batch: Vec::new(),
            sent: 0,
            threads: WRITERS,
            busy: Vec::new(),
        }
    }

    /// Takes a file, to be written soon.
    pub(crate) fn give(&mut self, file: NewFile) -> Result<(), PlaceError> {
        let is_full = self.batch.len() >= BATCH;
        if is_full {
            self.send()?;
        }
        self.batch.push(file);
        Ok(())
    }

    fn send(&mut self) -> Result<(), PlaceError> {
        if self.sent % self.threads == self.busy.len() {
            match self.start() {
                Ok(writer) => self.busy.push(writer),
                // Those that are there do it all, or the caller.
                Err(_) if self.busy.is_empty() => {
                    return write_all(mem::take(&mut self.batch), self.ids);
                }
                Err(_) => self.threads = self.busy.len(),
            }
        }
        let turn = self.sent % self.threads;
        let batch = mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        let sent = self.busy[turn].sender.send((self.sent, batch));
        self.sent += 1;
        match sent {
            Ok(()) => Ok(()),
            // It failed: why is known when it is waited for.
            Err(_) => mem::replace(self, Self::new(self.scope, self.ids)).finish(),
        }
    }

    fn start(&self) -> std::io::Result<Writer<'scope>> {
        let (sender, receiver) = sync_channel::<(usize, Vec<NewFile>)>(QUEUE);
        let ids = self.ids;
        let thread = Builder::new().spawn_scoped(self.scope, move || {
            let mut batches = receiver.into_iter();
            batches.try_for_each(|(number, batch)| {
                write_all(batch, ids).map_err(|error| (number, error))
            })
        })?;
        Ok(Writer { sender, thread })
    }

    /// Waits for all files.
    ///
    /// # Errors
    ///
    /// Fails with what failed first in the order in which the files were taken.
    pub(crate) fn finish(self) -> Result<(), PlaceError> {
        let last = write_all(self.batch, self.ids);
        let mut failed: Option<(usize, PlaceError)> = None;
        for Writer { sender, thread } in self.busy {
            drop(sender);
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => match &failed {
                    Some(known) if known.0 < error.0 => {}
                    _ => failed = Some(error),
                },
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        failed.map_or(last, |(_, error)| Err(error))
    }
}

fn write_all(files: Vec<NewFile>, ids: IdStorage) -> Result<(), PlaceError> {
    files.into_iter().try_for_each(|file| {
        let NewFile {
            spot,
            path,
            attributes,
            size,
            content,
        } = file;
        let write = |to: &rootfs::File| fill(to, size, &content).map_err(PutError::from);
        put_file(&spot, &attributes, ids, write).map_err(|error| error.at(path))
    })
}
