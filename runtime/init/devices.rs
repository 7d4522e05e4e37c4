//! `/dev` of a sandbox: a file system in memory with the devices that every program may expect.
//!
//! A user namespace can make no device that works, so those of the host are bound. They are checked
//! to be what they are called, because what hides other files is one of them (CVE-2025-31133).

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::sys::stat::{SFlag, makedev};

use super::root::{Scene, make, place};
use crate::mountpoint::kind_of;
use crate::spec::{Confinement, TargetKind};
use crate::sys::mount::{self, Depth, NO_DEVICES, NO_EXECUTION, NO_SUID, STRICT_ACCESS_TIME};
use crate::sys::{CallError, file, shown};

/// Name, path on the host, and the number of each device (`Documentation/admin-guide/devices.txt`).
const DEVICES: [(&CStr, &CStr, (u64, u64)); 6] = [
    (c"null", c"/dev/null", (1, 3)),
    (c"zero", c"/dev/zero", (1, 5)),
    (c"full", c"/dev/full", (1, 7)),
    (c"random", c"/dev/random", (1, 8)),
    (c"urandom", c"/dev/urandom", (1, 9)),
    (c"tty", c"/dev/tty", (5, 0)),
];

/// Further devices of a command that is confined by its namespace alone. Each is bound where the
/// machine has it; who may use it is decided by the permissions that it has there.
const FURTHER_DEVICES: [(&CStr, &CStr, (u64, u64)); 3] = [
    (c"fuse", c"/dev/fuse", (10, 229)),
    (c"kvm", c"/dev/kvm", (10, 232)),
    (c"net/tun", c"/dev/net/tun", (10, 200)),
];

const DIRECTORIES: [&CStr; 3] = [c"pts", c"shm", c"mqueue"];

/// Target and name.
const LINKS: [(&CStr, &CStr); 5] = [
    (c"pts/ptmx", c"ptmx"),
    (c"/proc/self/fd", c"fd"),
    (c"/proc/self/fd/0", c"stdin"),
    (c"/proc/self/fd/1", c"stdout"),
    (c"/proc/self/fd/2", c"stderr"),
];

/// The group that owns terminals, by a convention that programs rely on.
const TERMINAL_GROUP: u32 = 5;

/// Mounts `/dev` and fills it.
pub(super) fn mount_dev(scene: &mut Scene<'_>) -> Result<(), CallError> {
    // Not writable by everybody: with a sticky 1777 the kernel keeps other users from writing to
    // the devices (fs.protected_regular).
    let options = [(c"mode", c"755"), (c"size", c"65536k")];
    let dev = make(c"tmpfs", &options, NO_SUID | STRICT_ACCESS_TIME)?;
    fill(dev.as_fd())?;
    scene.attach(&dev, b"/dev", TargetKind::Directory)?;
    for (name, path, number) in DEVICES {
        bind_device(dev.as_fd(), name, path, number)?;
    }
    let spec = &scene.setup.spec;
    if spec.confinement == Confinement::Namespace {
        bind_further(dev.as_fd())?;
    }
    let has_terminal_group = scene.setup.ids.count() > TERMINAL_GROUP;
    mount_below(dev.as_fd(), has_terminal_group, spec.shared_memory_bytes)?;
    scene.dev = Some(dev);
    Ok(())
}

fn fill(dev: BorrowedFd<'_>) -> Result<(), CallError> {
    for (name, _, _) in DEVICES {
        file::open(
            dev,
            name,
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL,
            0o666,
        )?;
    }
    for name in DIRECTORIES {
        file::make_directory(dev, name, 0o755)?;
    }
    LINKS
        .iter()
        .try_for_each(|(target, name)| file::symlink(target, dev, name))
}

fn bind_device(
    dev: BorrowedFd<'_>,
    name: &CStr,
    path: &CStr,
    (major, minor): (u64, u64),
) -> Result<(), CallError> {
    let device = mount::open_tree(AT_FDCWD, path, Depth::Single)?;
    require_device(device.as_fd(), major, minor)?;
    mount::move_mount(device.as_fd(), place(dev, name)?.as_fd())
}

fn bind_further(dev: BorrowedFd<'_>) -> Result<(), CallError> {
    file::make_directory(dev, c"net", 0o755)?;
    for (name, path, number) in FURTHER_DEVICES {
        let missing = match file::open(AT_FDCWD, path, OFlag::O_PATH | OFlag::O_NOFOLLOW, 0) {
            Err(error) => matches!(
                error.errno(),
                Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES
            ),
            Ok(found) => require_device(found.as_fd(), number.0, number.1).is_err(),
        };
        if missing {
            continue;
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        drop(file::open(dev, name, flags, 0o666)?);
        bind_device(dev, name, path, number)?;
    }
    Ok(())
}

/// Fails unless `fd` is the character device of this number.
pub(super) fn require_device(fd: BorrowedFd<'_>, major: u64, minor: u64) -> Result<(), CallError> {
    let stat = file::stat(fd)?;
    if kind_of(&stat) == SFlag::S_IFCHR && stat.st_rdev == makedev(major, minor) {
        return Ok(());
    }
    let call = format!("find character device {major}:{minor} at {}", shown(fd));
    Err(CallError::new(call, Errno::ENODEV))
}

/// Mounts terminals, shared memory and message queues.
fn mount_below(
    dev: BorrowedFd<'_>,
    has_terminal_group: bool,
    shared_memory_bytes: u64,
) -> Result<(), CallError> {
    let mut terminal_options = vec![
        (c"newinstance", c""),
        (c"ptmxmode", c"0666"),
        (c"mode", c"0620"),
    ];
    if has_terminal_group {
        terminal_options.push((c"gid", c"5"));
    }
    let size = CString::new(shared_memory_bytes.to_string()).expect("digits have no zero byte");
    let memory_options = [(c"mode", c"1777"), (c"size", size.as_c_str())];
    let strict = NO_SUID | NO_DEVICES | NO_EXECUTION;
    let terminals = make(c"devpts", &terminal_options, NO_SUID | NO_EXECUTION)?;
    let memory = make(c"tmpfs", &memory_options, strict)?;
    let queues = make(c"mqueue", &[], strict)?;
    for (mount, name) in [terminals, memory, queues].iter().zip(DIRECTORIES) {
        mount::move_mount(mount.as_fd(), place(dev, name)?.as_fd())?;
    }
    Ok(())
}
