//! The trials with the ids that there are: what root of a container may do whose filter forbids namespaces.

use std::ffi::CString;
use std::fs::{self, DirBuilder};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::sys::prctl;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{Gid, Uid, chown, setgroups, setresgid, setresuid};

use super::copy::tried;
use super::namespace::no_table;
use super::{Bench, Primitive, Trial};
use crate::executor::ExecutorMode;
use crate::seccomp;
use crate::sys::{self, CallError, Called as _, file, process, security};

/// An id that is not root's: `daemon` of most images.
const OTHER_ID: u32 = 1;

/// `/dev/null` (`Documentation/admin-guide/devices.txt`).
const NULL: (u64, u64) = (1, 3);

/// Runs the trial. What needs files is tried in the scratch directory.
pub(super) fn run(bench: &Bench<'_>) -> Trial {
    let mut trial = Trial::default();
    trial.note(Primitive::ChangeRoot, tried(change_root));
    trial.note(Primitive::ChangeUser, tried(change_user));
    let place = Place::make(bench.scratch);
    let with = |attempt: fn(&Path) -> Result<(), CallError>| match &place {
        Ok(place) => attempt(&place.0),
        Err(error) => Err(error.clone()),
    };
    trial.note(Primitive::ChangeOwner, with(change_owner));
    trial.note(Primitive::DeviceNodes, with(device_node));
    trial.note(Primitive::Filter, tried(filter));
    trial
}

/// A directory for files that are made only to see whether they can be.
struct Place(PathBuf);

impl Place {
    fn make(scratch: &Path) -> Result<Self, CallError> {
        let path = scratch.join(format!(".careen-probe-{}", std::process::id()));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or_default()))
            .called(|| format!("mkdir({})", quoted(&path)))?;
        Ok(Self(path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed is empty but for two files, and has a name that says whose it is.
        drop(fs::remove_dir_all(&self.0));
    }
}

fn quoted(path: &Path) -> String {
    sys::quoted(path.as_os_str().as_bytes())
}

fn change_root() -> Result<(), CallError> {
    let root = file::open(AT_FDCWD, c"/", OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
    process::change_root(root.as_fd(), root.as_fd())
}

fn change_user() -> Result<(), CallError> {
    let (user, group) = (Uid::from_raw(OTHER_ID), Gid::from_raw(OTHER_ID));
    setgroups(&[group]).called(|| format!("setgroups([{OTHER_ID}])"))?;
    setresgid(group, group, group).called(|| format!("setresgid({OTHER_ID}, …)"))?;
    setresuid(user, user, user).called(|| format!("setresuid({OTHER_ID}, …)"))
}

fn change_owner(place: &Path) -> Result<(), CallError> {
    let path = place.join("file");
    let made = fs::write(&path, b"");
    made.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or_default()))
        .called(|| format!("creat({})", quoted(&path)))?;
    let owner = (Some(Uid::from_raw(OTHER_ID)), Some(Gid::from_raw(OTHER_ID)));
    chown(&path, owner.0, owner.1)
        .called(|| format!("chown({}, {OTHER_ID}, {OTHER_ID})", quoted(&path)))
}

/// Makes a node and opens it: where devices are not allowed, it can be made all the same.
fn device_node(place: &Path) -> Result<(), CallError> {
    let path = place.join("null");
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    mknod(&path, SFlag::S_IFCHR, mode, makedev(NULL.0, NULL.1))
        .called(|| format!("mknod({}, S_IFCHR, {}:{})", quoted(&path), NULL.0, NULL.1))?;
    let name = CString::new(path.as_os_str().as_bytes());
    let name = name.map_err(|_zero| CallError::new("open a device node", Errno::EINVAL))?;
    file::open(AT_FDCWD, &name, OFlag::O_RDONLY, 0).map(drop)
}

fn filter() -> Result<(), CallError> {
    prctl::set_no_new_privs().called(|| "prctl(PR_SET_NO_NEW_PRIVS, 1)".to_owned())?;
    let filter = seccomp::filter(ExecutorMode::Chroot).ok_or_else(no_table)?;
    security::set_seccomp_filter(&filter)
}
