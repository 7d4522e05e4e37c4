//! What is not finished yet: files and directories in `ingest/`, each locked by whoever writes it.
//!
//! A finished one is renamed into its place. One that is dropped before is removed, and one whose
//! lock is free belongs to a dead process and is removed by the next opening (`repair`).

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::debug;

use crate::file::{self, FileError, SyncPolicy, random_name};
use crate::layout::{Layout, parent};
use crate::lock::lock_new;
use crate::trash;

/// A file or directory in `ingest/`.
#[derive(Debug)]
pub(crate) struct Scratch {
    layout: Arc<Layout>,
    path: PathBuf,
    /// The open file, or directory, and with it the lock.
    file: File,
    state: State,
}

#[derive(Debug, Eq, PartialEq)]
enum State {
    Unfinished,
    InPlace,
}

/// Writes a small file that a loss of power leaves as it was or as it is meant to be; what is there is replaced.
pub(crate) fn replace_synced(
    layout: &Arc<Layout>,
    place: &Path,
    bytes: &[u8],
) -> Result<(), FileError> {
    let mut scratch = Scratch::file(layout)?;
    scratch
        .handle()
        .write_all(bytes)
        .map_err(FileError::of("write", scratch.path()))?;
    file::sync(scratch.handle(), scratch.path(), SyncPolicy::Full)?;
    scratch.replace(place)?;
    file::sync_dir(parent(place), SyncPolicy::Full)
}

impl Scratch {
    /// Makes an empty file.
    pub(crate) fn file(layout: &Arc<Layout>) -> Result<Self, FileError> {
        Self::create(layout, make_file)
    }

    /// Makes an empty directory.
    pub(crate) fn directory(layout: &Arc<Layout>) -> Result<Self, FileError> {
        Self::create(layout, make_directory)
    }

    fn create<M>(layout: &Arc<Layout>, make: M) -> Result<Self, FileError>
    where
        M: Fn(&Path) -> Result<Option<File>, FileError>,
    {
        loop {
            let path = layout.ingest().join(random_name());
            let Some(file) = make(&path)? else {
                continue;
            };
            let ours = lock_new(&file, &path).map_err(FileError::of("lock", &path))?;
            // Until it was locked, another process may have found it without an owner.
            if ours {
                return Ok(Self {
                    layout: Arc::clone(layout),
                    path,
                    file,
                    state: State::Unfinished,
                });
            }
        }
    }

    /// Returns where it is as long as it is not finished.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the open file or directory.
    pub(crate) fn handle(&self) -> &File {
        &self.file
    }

    /// Renames it into its place. A directory does not replace one with something in it.
    pub(crate) fn rename_to(&mut self, place: &Path) -> Result<(), FileError> {
        file::rename(&self.path, place)?;
        self.state = State::InPlace;
        Ok(())
    }

    /// Renames a file into its place, replacing whatever is there.
    pub(crate) fn replace(&mut self, place: &Path) -> Result<(), FileError> {
        match self.rename_to(place) {
            // A directory is nothing of ours there, and a file does not replace it.
            Err(error) if error.source.kind() == ErrorKind::IsADirectory => {
                trash::clear(&self.layout, place)?;
                self.rename_to(place)
            }
            renamed => renamed,
        }
    }
}

/// A file for what has to be read more than once and comes only once: a compressed archive, or standard input. It is
/// gone when this is.
#[derive(Debug)]
pub struct Spool {
    scratch: Scratch,
}

impl Spool {
    pub(crate) fn create(layout: &Arc<Layout>) -> Result<Self, FileError> {
        let scratch = Scratch::file(layout)?;
        Ok(Self { scratch })
    }

    /// Returns the file, open for reading and writing.
    pub fn file(&self) -> &File {
        self.scratch.handle()
    }
}

/// Makes and opens a file; `None` where the name is taken.
fn make_file(path: &Path) -> Result<Option<File>, FileError> {
    match file::create_file(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(FileError::of("create", path)(error)),
    }
}

/// Makes and opens a directory; `None` where the name is taken, or it was removed before it could be
/// locked.
fn make_directory(path: &Path) -> Result<Option<File>, FileError> {
    if !file::make_dir(path)? {
        return Ok(None);
    }
    let open = || {
        file::set_mode(path, file::DIRECTORY_MODE)?;
        file::open_nofollow(path).map_err(FileError::of("open", path))
    };
    match open() {
        Err(error) if error.is_not_found() => Ok(None),
        opened => opened.map(Some),
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.state == State::InPlace {
            return;
        }
        // The lock is held until the end, so that nobody else begins to remove it too.
        if let Err(error) = trash::discard(&self.layout, &self.path) {
            // There is nobody to tell; the next opening tries again.
            debug!(path = %self.path.display(), %error, "unfinished write left behind");
        }
    }
}
