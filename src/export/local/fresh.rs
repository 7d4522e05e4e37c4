//! A directory that takes its place when it is whole.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::new_file::{WRITERS_LIMIT, beside, has_name};

/// A directory beside its target, which goes if it does not come to that.
///
/// It is made under a lock, as files are ([`crate::new_file`]): what a killed process left has none, and goes
/// when the same target is written again.
#[derive(Debug)]
pub(super) struct FreshDirectory {
    path: Option<PathBuf>,
    /// Held as long as the directory is not whole.
    _lock: File,
}

impl FreshDirectory {
    /// Makes a directory beside its target, and those above it that are missing.
    pub(super) fn create(target: &Path) -> io::Result<Self> {
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        for number in 0..WRITERS_LIMIT {
            let path = beside(target, number);
            if let Some(lock) = create_locked(&path)? {
                let path = Some(path);
                return Ok(Self { path, _lock: lock });
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    /// Returns where it is now.
    pub(super) fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
    }

    /// Puts the directory into its place.
    pub(super) fn finish(mut self, target: &Path) -> io::Result<()> {
        if let Some(path) = &self.path {
            fs::rename(path, target)?;
        }
        self.path = None;
        Ok(())
    }
}

impl Drop for FreshDirectory {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            // The first error is the one to report; a left-over is only untidy.
            drop(remove(&path));
        }
    }
}

/// Makes and locks a directory, after removing an abandoned one; none if somebody else has the name.
fn create_locked(path: &Path) -> io::Result<Option<File>> {
    if is_abandoned(path) {
        remove(path)?;
    }
    let lock = match fs::create_dir(path).and_then(|()| File::open(path)) {
        // Somebody else has the name, or took this directory for an abandoned one before it was locked.
        Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => {
            return Ok(None);
        }
        opened => opened?,
    };
    let is_ours = match lock.try_lock() {
        Ok(()) => has_name(&lock, path)?,
        Err(TryLockError::WouldBlock) => false,
        // Where directories cannot be locked nobody takes this one for abandoned.
        Err(TryLockError::Error(_)) => true,
    };
    Ok(is_ours.then_some(lock))
}

/// Tells whether whoever made a directory is gone.
fn is_abandoned(path: &Path) -> bool {
    let is_ours = fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
    is_ours && File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

/// Removes a tree whose directories may be closed to their owner.
fn remove(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let root = rootfs::Root::open(parent.unwrap_or(Path::new(".")));
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let name = rootfs::RootPath::lexical(name).map_err(io::Error::other)?;
    root.and_then(|root| root.remove_all(&name))
        .map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_directory_appears_when_it_is_whole_and_leaves_nothing_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("made/out");
        let fresh = FreshDirectory::create(&target).unwrap();
        fs::create_dir(fresh.path().join("half")).unwrap();
        drop(fresh);
        assert!(names(&dir.path().join("made")).is_empty());
        let fresh = FreshDirectory::create(&target).unwrap();
        fs::write(fresh.path().join("file"), "whole").unwrap();
        assert_eq!(names(&dir.path().join("made")), [".out.careen-0"]);
        fresh.finish(&target).unwrap();
        assert_eq!(names(&dir.path().join("made")), ["out"]);
        assert_eq!(fs::read(target.join("file")).unwrap(), b"whole");
    }

    #[test]
    fn two_writers_do_not_meet_and_what_a_killed_one_left_goes() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        fs::create_dir_all(dir.path().join(".out.careen-0/left")).unwrap();
        let one = FreshDirectory::create(&target).unwrap();
        let two = FreshDirectory::create(&target).unwrap();
        assert!(names(one.path()).is_empty());
        assert_eq!(names(dir.path()), [".out.careen-0", ".out.careen-1"]);
        one.finish(&target).unwrap();
        drop(two);
        assert_eq!(names(dir.path()), ["out"]);
    }
}
