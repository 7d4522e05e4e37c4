//! A file that takes its place when it is whole.

use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use store::SyncPolicy;

/// How many processes may write the same file at the same time.
pub const WRITERS_LIMIT: u32 = 64;

/// The bytes that are written at once.
const BUFFER_BYTES: usize = 1 << 20;

/// A file that takes its place when it is whole, and leaves nothing if it does not come to that.
///
/// It is written beside its target, under a name that says so and under a lock: what a killed process
/// left has no lock, and goes when the same target is written again.
#[derive(Debug)]
pub struct NewFile {
    temporary: Temporary,
    out: BufWriter<File>,
}

impl NewFile {
    /// Makes a temporary file beside its target.
    ///
    /// # Errors
    ///
    /// Fails when the directory takes no file, or too many write the same one.
    pub fn create(target: &Path) -> io::Result<Self> {
        let mut number = 0;
        while number < WRITERS_LIMIT {
            let path = beside(target, number);
            if let Some(file) = create_locked(&path)? {
                return Ok(Self {
                    temporary: Temporary(Some(path)),
                    out: BufWriter::with_capacity(BUFFER_BYTES, file),
                });
            }
            if !remove_abandoned(&path)? {
                number += 1;
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    /// Returns what the file is written through.
    pub fn out(&mut self) -> &mut BufWriter<File> {
        &mut self.out
    }

    /// Puts the file into its place, where a loss of power does not take it any more if it is synced; returns what the
    /// kernel keeps of it there.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written to its end or renamed; what was there stays then. Fails as well when its new name
    /// cannot be written to the disk.
    pub fn finish(mut self, target: &Path, sync: SyncPolicy) -> io::Result<Metadata> {
        self.out.flush()?;
        let file = self.out.get_ref();
        if sync == SyncPolicy::Full {
            file.sync_all()?;
        }
        self.temporary.rename(target)?;
        if sync == SyncPolicy::Full {
            sync_directory_of(target)?;
        }
        // Of the open file and not of the name, which another process may have taken by now.
        file.metadata()
    }
}

/// Writes to the disk which names a file's directory has.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent();
    let directory = directory.filter(|directory| !directory.as_os_str().is_empty());
    match File::open(directory.unwrap_or(Path::new("."))) {
        Ok(directory) => directory.sync_all(),
        // One that may be written and not be read takes files, and cannot be asked for this.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes a small file in one step; what is there is replaced, unless it is a pipe or a device, which is
/// written to.
///
/// # Errors
///
/// Fails when the file cannot be written; what was there stays then.
pub fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if is_special(path) {
        let mut file = File::options().write(true).open(path)?;
        return file.write_all(bytes);
    }
    let mut file = NewFile::create(path)?;
    file.out().write_all(bytes)?;
    file.finish(path, SyncPolicy::Full).map(drop)
}

/// Tells whether a path is a pipe or a device, or an open file of this process, which are written to and
/// not replaced: `/dev/stdout` must stay what it is.
pub fn is_special(path: &Path) -> bool {
    let leads_on = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    let is_open_file = leads_on && (path.starts_with("/dev") || path.starts_with("/proc"));
    is_open_file || fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// Returns a name beside a target for what is not whole.
pub fn beside(target: &Path, number: u32) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.careen-{number}"))
}

/// The name of a file that is not whole.
#[derive(Debug)]
struct Temporary(Option<PathBuf>);

impl Temporary {
    fn rename(&mut self, target: &Path) -> io::Result<()> {
        if let Some(path) = &self.0 {
            fs::rename(path, target)?;
        }
        self.0 = None;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            // The first error is the one to report; a left-over is only untidy.
            drop(fs::remove_file(path));
        }
    }
}

/// Makes and locks a file; none if the name is taken, or somebody took the file for an abandoned one
/// before it was locked.
fn create_locked(path: &Path) -> io::Result<Option<File>> {
    let file = match File::options().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
        opened => opened?,
    };
    // Where files cannot be locked nobody takes this one for abandoned.
    let ours = match file.try_lock() {
        Ok(()) => has_name(&file, path)?,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => true,
    };
    Ok(ours.then_some(file))
}

/// Removes what a process that is gone left under a name; tells whether the name is free now.
fn remove_abandoned(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => {}
        // Whatever this is, it is not ours.
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    }
    let Ok(file) = File::open(path) else {
        return Ok(false);
    };
    if file.try_lock().is_err() || !has_name(&file, path)? {
        return Ok(false);
    }
    Ok(fs::remove_file(path).is_ok())
}

/// Tells whether an open file or directory is what a name stands for.
///
/// # Errors
///
/// Fails when the file or the name cannot be looked at.
pub fn has_name(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((open.dev(), open.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

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
    fn a_file_that_is_finished_replaces_its_target() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.tar");
        fs::write(&target, "old").unwrap();
        let mut file = NewFile::create(&target).unwrap();
        file.out().write_all(b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"old");
        let written = file.finish(&target, SyncPolicy::Full).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(written.ino(), fs::metadata(&target).unwrap().ino());
        assert_eq!(names(dir.path()), ["out.tar"]);
    }

    #[test]
    fn a_small_file_is_replaced_and_a_device_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("id");
        for text in ["first", "second"] {
            write_file(&target, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&target).unwrap(), text);
        }
        assert_eq!(names(dir.path()), ["id"]);
        write_file(Path::new("/dev/null"), b"gone").unwrap();
        assert!(is_special(Path::new("/dev/null")) && is_special(Path::new("/dev/stdout")));
    }

    #[test]
    fn a_file_that_is_dropped_or_cannot_take_its_place_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        drop(NewFile::create(&target).unwrap());
        assert!(names(dir.path()).is_empty());
        fs::create_dir(&target).unwrap();
        let error = NewFile::create(&target)
            .unwrap()
            .finish(&target, SyncPolicy::Full);
        assert_eq!(error.unwrap_err().kind(), ErrorKind::IsADirectory);
        assert_eq!(names(dir.path()), ["out"]);
    }

    #[test]
    fn a_file_goes_into_a_directory_that_may_not_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let closed = dir.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o300)).unwrap();
        let target = closed.join("out");
        NewFile::create(&target)
            .unwrap()
            .finish(&target, SyncPolicy::Full)
            .unwrap();
        assert!(fs::metadata(&target).unwrap().is_file());
    }

    #[test]
    fn two_writers_do_not_meet_and_what_a_killed_one_left_goes() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        fs::write(dir.path().join(".out.careen-0"), "left").unwrap();
        let one = NewFile::create(&target).unwrap();
        let two = NewFile::create(&target).unwrap();
        assert_eq!(names(dir.path()), [".out.careen-0", ".out.careen-1"]);
        one.finish(&target, SyncPolicy::Full).unwrap();
        two.finish(&target, SyncPolicy::Full).unwrap();
        assert_eq!(names(dir.path()), ["out"]);
    }
}
