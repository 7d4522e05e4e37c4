//! Emulators on their way into a directory, which are looked at before they take their places.
//!
//! Each is a file beside its place, locked while its maker lives (flock(2)): one that nobody has locked was left by somebody
//! who was killed, and whoever finds it removes it. A file is its maker's only when it is locked and still has its name,
//! since it may be found between the two. Where a file system has no locks, such files stay.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// How the names of such files begin: with a dot, so that they are nobody's emulator.
const PREFIX: &str = ".qemu-";

/// A file that is to become an emulator. It is removed when it is dropped before.
#[derive(Debug)]
pub(super) struct Unfinished {
    file: File,
    path: PathBuf,
    is_placed: bool,
}

impl Unfinished {
    /// Makes one for the emulator of a name.
    ///
    /// # Errors
    ///
    /// Fails when the directory takes no file.
    pub(super) fn create(directory: &Path, name: &str) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).read(true).create_new(true).mode(0o755);
        let mut number = 0_u64;
        loop {
            // Numbers of processes come back, and are those of other containers too.
            let hidden = format!(".{name}.{}.{number}", std::process::id());
            number += 1;
            let path = directory.join(hidden);
            let file = match options.open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                opened => opened?,
            };
            let is_found = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
            if !is_found && has_name(&file, &path)? {
                return Ok(Self {
                    file,
                    path,
                    is_placed: false,
                });
            }
        }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it into its place.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be renamed.
    pub(super) fn place(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.is_placed = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_placed {
            // Whoever comes next removes what cannot be removed now.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Removes what was left by those who were killed. What cannot be removed stays, and is in nobody's way.
pub(super) fn remove_abandoned(directory: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let names = entries.flatten().map(|entry| entry.file_name());
    for name in names.filter(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes())) {
        let path = directory.join(name);
        if let Err(error) = remove_if_abandoned(&path) {
            tracing::debug!(%error, path = %path.display(), "unfinished emulator not removed");
        }
    }
}

fn remove_if_abandoned(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Ok(());
    }
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) if has_name(&file, path)? => fs::remove_file(path),
        Ok(()) | Err(TryLockError::WouldBlock) => Ok(()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Tells whether an open file is the one that has the name.
fn has_name(file: &File, path: &Path) -> io::Result<bool> {
    let named = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        named => named?,
    };
    let open = file.metadata()?;
    Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_removed_and_what_is_made_stays() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let names = || {
            let entries = fs::read_dir(place.path()).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.collect::<std::collections::BTreeSet<_>>()
        };
        let others = ["qemu-arm-static", ".other", ".qemu-link"];
        fs::write(at(others[0]), "").unwrap();
        fs::write(at(others[1]), "").unwrap();
        std::os::unix::fs::symlink(at(others[0]), at(others[2])).unwrap();
        // What an earlier version left has no number.
        fs::write(at(".qemu-arm-static.7"), "").unwrap();
        let left = format!(".qemu-arm-static.{}.0", std::process::id());
        fs::write(at(&left), "").unwrap();
        let made = Unfinished::create(place.path(), "qemu-arm-static").unwrap();
        assert_ne!(made.path(), at(&left));
        let own = made
            .path()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        remove_abandoned(place.path());
        let expected = others.iter().map(|name| (*name).to_owned());
        assert_eq!(names(), expected.chain([own]).collect());
        drop(made);
        assert_eq!(names(), others.map(str::to_owned).into());
        let made = Unfinished::create(place.path(), "qemu-s390x-static").unwrap();
        made.place(&at("qemu-s390x-static")).unwrap();
        remove_abandoned(place.path());
        assert!(names().contains("qemu-s390x-static"));
        remove_abandoned(&at("none"));
    }
}
