//! Removing a tree by descriptors, however deep it is.

use std::ffi::CString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::attr::{Inode, Mode};
use crate::call;
use crate::error::FsError;
use crate::walk::sorted_names;

/// How many levels below the top are held open. A directory that is deeper is moved up to the top
/// first: a `RUN` can make a tree deeper than a process has descriptors.
const DEPTH_LIMIT: usize = 32;

/// What every moved directory is called: its number follows. One that has the name is not replaced.
const MOVED_PREFIX: &str = ".careen-moved-";

/// A directory that is being emptied.
struct Level {
    fd: OwnedFd,
    name: CString,
    left: Vec<CString>,
}

/// Removes the directory `name` of `parent` with all that is in it.
pub(crate) fn remove_tree(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(), FsError> {
    let mut moved = 0;
    loop {
        let again = empty(parent, name, &mut moved)?;
        if !again {
            return call::rmdir(parent, name);
        }
    }
}

/// Empties a directory, and tells whether something was moved up meanwhile and is in it still.
fn empty(parent: BorrowedFd<'_>, name: &[u8], moved: &mut u64) -> Result<bool, FsError> {
    let before = *moved;
    let mut levels = vec![open_level(parent, name)?];
    loop {
        let depth = levels.len();
        let Some(level) = levels.last_mut() else {
            return Ok(*moved != before);
        };
        let Some(child) = level.left.pop() else {
            leave(&mut levels)?;
            continue;
        };
        if !is_directory(level.fd.as_fd(), &child)? {
            continue;
        }
        if depth < DEPTH_LIMIT {
            let next = open_level(level.fd.as_fd(), child.as_bytes())?;
            levels.push(next);
        } else {
            let (top, deep) = (levels[0].fd.as_fd(), levels[depth - 1].fd.as_fd());
            move_up(deep, child.as_bytes(), top, moved)?;
        }
    }
}

/// Removes the directory that has been emptied, unless it is the top.
fn leave(levels: &mut Vec<Level>) -> Result<(), FsError> {
    let done = levels.pop();
    match (done, levels.last()) {
        (Some(done), Some(above)) => call::rmdir(above.fd.as_fd(), done.name.as_bytes()),
        _ => Ok(()),
    }
}

/// Removes a name, and tells whether it is a directory and is there still.
fn is_directory(dir: BorrowedFd<'_>, name: &CString) -> Result<bool, FsError> {
    match call::unlink(dir, name.as_bytes()) {
        Ok(()) => Ok(false),
        Err(error) if error.is_errno(Errno::EISDIR) => Ok(true),
        // Somebody else removed it.
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens a directory and reads its names, giving us the right to where it is ours and shut.
fn open_level(parent: BorrowedFd<'_>, name: &[u8]) -> Result<Level, FsError> {
    let handle = call::openat(parent, name, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
    let left = match names(handle.as_fd()) {
        Err(error) if error.is_errno(Errno::EACCES) => {
            open_up(&handle)?;
            names(handle.as_fd())?
        }
        found => found?,
    };
    if !left.is_empty() && !is_ours_to_change(&handle)? {
        open_up(&handle)?;
    }
    Ok(Level {
        fd: handle,
        name: to_name(name),
        left,
    })
}

/// Reads the names in a directory.
fn names(dir: BorrowedFd<'_>) -> Result<Vec<CString>, FsError> {
    let names = sorted_names(dir)?.into_iter();
    Ok(names.map(|name| name.text).collect())
}

/// Tells whether a directory's owner may change it.
fn is_ours_to_change(handle: &OwnedFd) -> Result<bool, FsError> {
    let mode = call::fstat(handle.as_fd())?.st_mode;
    Ok(mode & 0o300 == 0o300)
}

fn open_up(handle: &OwnedFd) -> Result<(), FsError> {
    let inode = Inode::of(handle)?;
    match inode.set_mode(Mode::new(0o700)) {
        // It is not ours: what can be removed is decided by the calls that remove.
        Err(error) if error.is_errno(Errno::EPERM) => Ok(()),
        done => done,
    }
}

fn to_name(name: &[u8]) -> CString {
    CString::new(name).expect("a name that was opened has no NUL byte")
}

/// Moves a directory into the top one under a name that is free there.
fn move_up(
    dir: BorrowedFd<'_>,
    name: &[u8],
    top: BorrowedFd<'_>,
    moved: &mut u64,
) -> Result<(), FsError> {
    loop {
        *moved += 1;
        let free = format!("{MOVED_PREFIX}{moved}");
        match call::rename_noreplace((dir, name), (top, free.as_bytes())) {
            Err(error) if error.is_already_there() => {}
            // A directory whose `..` changes must be writable itself.
            Err(error) if error.is_errno(Errno::EACCES) => {
                open_up(&call::openat(
                    dir,
                    name,
                    OFlag::O_PATH | OFlag::O_DIRECTORY,
                )?)?;
                return call::rename_noreplace((dir, name), (top, free.as_bytes()));
            }
            done => return done,
        }
    }
}
