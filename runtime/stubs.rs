//! What mounts are mounted on: files and directories that are no part of a result.
//!
//! A root has the mount points of every sandbox in its lowest layer, which [`populate`] fills:
//! nothing has to be made for them in the upper directory. An image can still hide one, by a
//! whiteout or a link to elsewhere, and a step can mount wherever it likes: then `init` makes a
//! stub, which is removed after the command as if it had never been there.
//!
//! Removal goes by the descriptor of the directory that the stub was made in, never by a path that
//! the command could have changed since (CVE-2024-23652), and only if the stub is still the one
//! that was made and is still empty.

use std::ffi::CString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FileStat, fstatat, futimens};
use nix::sys::time::{TimeSpec, TimeValLike as _};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, unlinkat};

use crate::mountpoint::{Stub, changed};
use crate::protocol::{StubRecord, Time};
use crate::spec::TargetKind;
use crate::sys::{CallError, Called as _, file, shown};
use crate::userns::BuilderId;

/// The directories of the lowest layer, outer ones first.
const DIRECTORIES: [&std::ffi::CStr; 4] = [c"dev", c"etc", c"proc", c"sys"];

/// The empty files of the lowest layer, by their directory.
const FILES: [(&std::ffi::CStr, &std::ffi::CStr); 2] =
    [(c"etc", c"hosts"), (c"etc", c"resolv.conf")];

/// Fills `directory` with what every sandbox mounts on, owned by `owner`, the root of containers.
///
/// What is there already stays, so that this may be called again.
///
/// # Errors
///
/// Fails when the directory cannot be written, or has something else of such a name.
pub fn populate(directory: BorrowedFd<'_>, owner: BuilderId) -> Result<(), CallError> {
    let mode = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    give(&file::open(directory, c".", mode, 0)?, owner)?;
    for name in DIRECTORIES {
        match file::make_directory(directory, name, 0o755) {
            Err(error) if error.errno() == Errno::EEXIST => {}
            made => made?,
        }
        give(&file::open(directory, name, mode, 0)?, owner)?;
    }
    for (parent, name) in FILES {
        let parent = file::open(directory, parent, mode, 0)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_NOFOLLOW;
        give(&file::open(parent.as_fd(), name, flags, 0o644)?, owner)?;
    }
    Ok(())
}

fn give(entry: &OwnedFd, owner: BuilderId) -> Result<(), CallError> {
    fchown(
        entry,
        Some(Uid::from_raw(owner.0)),
        Some(Gid::from_raw(owner.0)),
    )
    .called(|| format!("fchown({}, {}, {})", shown(entry.as_fd()), owner.0, owner.0))
}

/// Puts what came over the socket together again; `None` if it does not fit together.
pub(crate) fn received(records: Vec<StubRecord>, descriptors: Vec<OwnedFd>) -> Option<Vec<Stub>> {
    let mut descriptors = descriptors.into_iter();
    let stubs: Option<Vec<Stub>> = records
        .into_iter()
        .map(|record| {
            Some(Stub {
                record,
                parent: descriptors.next()?,
                entry: descriptors.next()?,
            })
        })
        .collect();
    stubs.filter(|_| descriptors.next().is_none())
}

/// Removes stubs when the sandbox that they were made for is gone, inner ones first.
pub(crate) fn remove(stubs: Vec<Stub>) -> Result<(), CallError> {
    // A directory is empty only when the stub inside it is gone.
    stubs
        .into_iter()
        .rev()
        .try_for_each(|stub| remove_one(&stub))
}

fn remove_one(stub: &Stub) -> Result<(), CallError> {
    let Some(name) = still_there(stub)? else {
        return Ok(());
    };
    let before = file::stat(stub.parent.as_fd())?;
    let flags = match stub.record.kind {
        TargetKind::File => UnlinkatFlags::NoRemoveDir,
        TargetKind::Directory => UnlinkatFlags::RemoveDir,
    };
    match unlinkat(&stub.parent, name.as_c_str(), flags) {
        // The command put something into it, so it is a part of the result now.
        Err(Errno::ENOTEMPTY | Errno::ENOENT) => return Ok(()),
        removed => removed.called(|| {
            format!(
                "unlinkat({}, {name:?}, {flags:?})",
                shown(stub.parent.as_fd())
            )
        })?,
    }
    restore_times(stub, &before)
}

/// Returns the name of the stub if it still names the empty one that was made.
fn still_there(stub: &Stub) -> Result<Option<CString>, CallError> {
    let Ok(name) = CString::new(stub.record.name.as_slice()) else {
        return Ok(None);
    };
    let made = file::stat(stub.entry.as_fd())?;
    let found = match fstatat(&stub.parent, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => return Ok(None),
        found => {
            found.called(|| format!("newfstatat({}, {name:?})", shown(stub.parent.as_fd())))?
        }
    };
    let same = (found.st_dev, found.st_ino) == (made.st_dev, made.st_ino);
    let empty =
        stub.record.kind == TargetKind::Directory || (found.st_size == 0 && found.st_nlink == 1);
    Ok((same && empty).then_some(name))
}

/// Gives the directory back the time of its last change that was not ours.
fn restore_times(stub: &Stub, before: &FileStat) -> Result<(), CallError> {
    let time = if changed(before) == stub.record.changed_by_us {
        stub.record.changed_before
    } else {
        changed(before)
    };
    let accessed = Time {
        seconds: before.st_atime,
        nanoseconds: before.st_atime_nsec,
    };
    futimens(&stub.parent, &spec(accessed), &spec(time))
        .called(|| format!("utimensat({})", shown(stub.parent.as_fd())))
}

fn spec(time: Time) -> TimeSpec {
    TimeSpec::seconds(time.seconds) + TimeSpec::nanoseconds(time.nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mountpoint::find_or_make;
    use std::fs::{self, File};
    use std::os::unix::fs::{MetadataExt as _, symlink};
    use std::path::Path;

    fn stubs_at(root: &Path, path: &str, kind: TargetKind) -> Vec<Stub> {
        let mut stubs = Vec::new();
        let root = File::open(root).unwrap();
        find_or_make(root.as_fd(), path.as_bytes(), kind, &mut stubs).unwrap();
        stubs
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_lowest_layer_has_what_sandboxes_mount_on() {
        let directory = tempfile::tempdir().unwrap();
        let own = BuilderId(nix::unistd::getuid().as_raw());
        let root = File::open(directory.path()).unwrap();
        for _ in 0..2 {
            populate(root.as_fd(), own).unwrap();
            assert_eq!(names(directory.path()), ["dev", "etc", "proc", "sys"]);
            assert_eq!(
                names(&directory.path().join("etc")),
                ["hosts", "resolv.conf"]
            );
        }
    }

    #[test]
    fn stubs_go_and_leave_no_trace() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir(root.join("etc")).unwrap();
        let old = TimeSpec::seconds(1_000_000_000);
        futimens(File::open(root.join("etc")).unwrap(), &old, &old).unwrap();
        let stubs = stubs_at(root, "/etc/a/b", TargetKind::File);
        assert_eq!(stubs.len(), 2);
        remove(stubs).unwrap();
        assert_eq!(names(&root.join("etc")), [""; 0]);
        assert_eq!(
            fs::metadata(root.join("etc")).unwrap().mtime(),
            1_000_000_000
        );
    }

    #[test]
    fn a_directory_that_the_command_changed_too_keeps_that_time() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let stubs = stubs_at(root, "/a", TargetKind::File);
        fs::write(root.join("b"), "").unwrap();
        let time = TimeSpec::seconds(2_000_000_000);
        futimens(File::open(root).unwrap(), &time, &time).unwrap();
        remove(stubs).unwrap();
        assert_eq!(names(root), ["b"]);
        assert_eq!(fs::metadata(root).unwrap().mtime(), 2_000_000_000);
    }

    #[test]
    fn a_stub_that_is_not_empty_any_more_stays() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let mut stubs = stubs_at(root, "/a", TargetKind::Directory);
        stubs.extend(stubs_at(root, "/b", TargetKind::File));
        fs::write(root.join("a/new"), "").unwrap();
        fs::write(root.join("b"), "new").unwrap();
        remove(stubs).unwrap();
        assert_eq!(names(root), ["a", "b"]);
    }

    /// A command that replaces the stub or its directory does not get us to remove anything
    /// else.
    #[test]
    fn what_is_not_the_stub_any_more_stays() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(directory.path().join("a"), "").unwrap();
        let stubs = stubs_at(&root, "/etc/a", TargetKind::File);
        fs::rename(root.join("etc"), root.join("moved")).unwrap();
        symlink("../..", root.join("etc")).unwrap();
        remove(stubs).unwrap();
        assert_eq!(names(directory.path()), ["a", "root"]);
        assert_eq!(names(&root.join("moved")), [""; 0]);

        let stubs = stubs_at(&root, "/moved/a", TargetKind::File);
        fs::remove_file(root.join("moved/a")).unwrap();
        fs::write(root.join("moved/a"), "").unwrap();
        fs::hard_link(root.join("moved/a"), root.join("b")).unwrap();
        remove(stubs).unwrap();
        assert_eq!(names(&root.join("moved")), ["a"]);
    }
}
