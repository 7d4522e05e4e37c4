//! A file is there whole or not at all: write to a temporary, sync, rename, sync the directory.

use std::fs::File;
use std::os::fd::AsFd as _;

use crate::attr::{Inode, Mode};
use crate::call;
use crate::copy::write_all;
use crate::error::FsError;
use crate::path::RootPath;
use crate::root::Root;

/// How the names of temporary files start. One that a dead process left can be removed.
pub const TEMPORARY_PREFIX: &str = ".careen-tmp-";

/// Writes a file below a root in one step that a crash cannot cut in two; what is there is replaced.
///
/// # Errors
///
/// Fails where the directory cannot be written or synced; what was at the path is there still, and
/// the temporary is gone unless it cannot be removed either.
pub fn write_atomic(root: &Root, path: &RootPath, bytes: &[u8], mode: Mode) -> Result<(), FsError> {
    let (dir, name) = root.parent(path)?;
    let parent = Root::from_fd(call::duplicate(dir.as_fd())?, root.shown());
    let (temporary, file) = create_temporary(&parent)?;
    let done = fill(&file, bytes, mode).and_then(|()| {
        let (from, to) = (
            (parent.as_fd(), temporary.as_bytes()),
            (parent.as_fd(), name),
        );
        call::renameat(from, to)
    });
    if let Err(error) = done {
        // The first error is the one to report; a temporary that stays is found by its name.
        drop(parent.remove_file(&temporary));
        return Err(error);
    }
    call::fsync(call::open_for_reading(parent.as_fd())?.as_fd())
}

/// Makes a file with a name that nobody else has.
fn create_temporary(parent: &Root) -> Result<(RootPath, File), FsError> {
    let process = std::process::id();
    let mut number = 0_u64;
    loop {
        let name = RootPath::strict(format!("{TEMPORARY_PREFIX}{process}-{number}"))?;
        match parent.create_file(&name) {
            Err(error) if error.is_already_there() => number += 1,
            made => return made.map(|file| (name, file)),
        }
    }
}

fn fill(file: &File, bytes: &[u8], mode: Mode) -> Result<(), FsError> {
    write_all(file, bytes)?;
    Inode::of(file)?.set_mode(mode)?;
    call::fsync(file.as_fd())
}

/// Writes to the disk everything on the file system that a directory is on (syncfs(2)).
///
/// # Errors
///
/// Fails when the disk does, and where the directory may not be read.
pub fn sync_file_system(on: &Root) -> Result<(), FsError> {
    call::syncfs(call::open_for_reading(on.as_fd())?.as_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_no_temporary_stays() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let path = RootPath::strict("sub/record").unwrap();
        root.mkdir_all(&RootPath::strict("sub").unwrap(), Mode::new(0o700))
            .unwrap();
        write_atomic(&root, &path, b"one", Mode::new(0o444)).unwrap();
        write_atomic(&root, &path, b"two", Mode::new(0o400)).unwrap();
        assert_eq!(root.read_to_end_limited(&path, 3).unwrap().unwrap(), b"two");
        assert_eq!(
            root.metadata(&path).unwrap().unwrap().mode,
            Mode::new(0o400)
        );
        let sub = root.open_dir(&RootPath::strict("sub").unwrap()).unwrap();
        assert_eq!(sub.names().unwrap(), [b"record".to_vec()]);
        sync_file_system(&sub).unwrap();
    }

    #[test]
    fn a_failed_write_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let path = RootPath::strict("taken").unwrap();
        root.mkdir(&path).unwrap();
        let error = write_atomic(&root, &path, b"x", Mode::new(0o600)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(nix::libc::EISDIR));
        assert_eq!(root.names().unwrap(), [b"taken".to_vec()]);
    }
}
