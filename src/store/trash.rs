//! What is being removed: renamed first, so that it is gone at once, and deleted afterwards, outside
//! every lock that others wait for.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rootfs::{FsError, Root, RootPath};
use tracing::debug;

use crate::file::{self, FileError, random_name};
use crate::layout::{Layout, parent};
use crate::lock::take_abandoned;

/// Something could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum TrashError {
    /// It could not be renamed into the trash, and is where it was.
    #[error(transparent)]
    Move(#[from] FileError),
    /// It is in the trash and could not be deleted; the next opening of the store tries again.
    #[error("delete `{}`", path.display())]
    Delete {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: FsError,
    },
}

/// Something in the trash.
#[derive(Debug)]
#[must_use = "what is in the trash has to be deleted"]
pub(crate) struct Trashed {
    path: PathBuf,
}

/// Renames something into the trash; `None` where there is nothing.
pub(crate) fn take(layout: &Layout, path: &Path) -> Result<Option<Trashed>, FileError> {
    let trashed = layout.trash().join(random_name());
    match fs::rename(path, &trashed) {
        Ok(()) => Ok(Some(Trashed { path: trashed })),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::of("move into the trash", path)(error)),
    }
}

impl Trashed {
    /// Returns where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Deletes it with everything below it, unless somebody else does already.
    pub(crate) fn delete(self) -> Result<(), TrashError> {
        match take_abandoned(&self.path) {
            // Somebody deletes it, or has.
            Ok(None) => Ok(()),
            // What cannot be opened, a symlink above all, is no tree that two could delete at once.
            held => {
                let deleted = delete(&self.path);
                drop(held);
                deleted
            }
        }
    }
}

/// Takes whatever is at a path out of the way.
pub(crate) fn clear(layout: &Layout, path: &Path) -> Result<(), FileError> {
    let Some(trashed) = take(layout, path)? else {
        return Ok(());
    };
    if let Err(error) = trashed.delete() {
        // The place is free, which is what was asked for.
        debug!(%error, "left in the trash");
    }
    Ok(())
}

/// Removes something whose lock the caller has: files at once, directories by way of the trash, so
/// that nobody sees half a tree.
pub(crate) fn discard(layout: &Layout, path: &Path) -> Result<(), TrashError> {
    if !is_tree(path) {
        return Ok(file::remove_file(path)?);
    }
    match take(layout, path)? {
        Some(trashed) => delete(&trashed.path),
        None => Ok(()),
    }
}

/// Takes something out of the way whose lock the caller has: files are removed, directories stay in the trash until somebody
/// [empties](empty) it.
pub(crate) fn leave(layout: &Layout, path: &Path) -> Result<(), FileError> {
    if is_tree(path) {
        return take(layout, path).map(drop);
    }
    file::remove_file(path)
}

fn is_tree(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Deletes everything in the trash that nobody is deleting, and returns what went wrong.
pub(crate) fn empty(layout: &Layout) -> Result<Vec<TrashError>, FileError> {
    let left = file::entries(&layout.trash())?;
    let deleted = left.into_iter().map(|path| Trashed { path }.delete());
    Ok(deleted.filter_map(Result::err).collect())
}

fn delete(path: &Path) -> Result<(), TrashError> {
    let failed = |source| TrashError::Delete {
        path: path.to_owned(),
        source,
    };
    let trash = Root::open(parent(path)).map_err(failed)?;
    let name = path.file_name().unwrap_or_default();
    let name = RootPath::strict(name.as_encoded_bytes()).map_err(|source| failed(source.into()))?;
    trash.remove_all(&name).map_err(failed)
}
