//! Files of the kernel that a command has no business with: hidden, or made read-only.
//!
//! The lists are those of other builders together. Each path is looked up below the file system
//! that was mounted by us, without links and without leaving it; what the kernel does not have is
//! passed over.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, SFlag};

use super::devices::require_device;
use super::root::{KERNEL_FILES, Scene, make, mounted};
use crate::mountpoint::kind_of;
use crate::spec::{Confinement, ProcSource};
use crate::sys::mount::{self, Depth, READ_ONLY};
use crate::sys::{CallError, Called as _, file, shown};

/// Hidden below `/proc`.
const MASKED_IN_PROC: [&CStr; 10] = [
    c"acpi",
    c"asound",
    c"interrupts",
    c"kcore",
    c"keys",
    c"latency_stats",
    c"sched_debug",
    c"scsi",
    c"timer_list",
    c"timer_stats",
];

/// Read-only below `/proc`.
const READ_ONLY_IN_PROC: [&CStr; 5] = [c"bus", c"fs", c"irq", c"sys", c"sysrq-trigger"];

/// Hidden below `/sys`.
const MASKED_IN_SYS: [&CStr; 3] = [c"devices/virtual/powercap", c"firmware", c"fs/selinux"];

/// The directory of processors below `/sys`, and what is hidden in each.
const PROCESSORS: &CStr = c"devices/system/cpu";
const MASKED_IN_PROCESSOR: &str = "thermal_throttle";

/// Hides and protects what is in the file systems of the scene.
pub(super) fn mask_paths(scene: &mut Scene<'_>) -> Result<(), CallError> {
    if scene.setup.spec.confinement == Confinement::Namespace {
        return Ok(());
    }
    let null = mounted(scene.dev.as_ref(), "/dev")?;
    let proc = mounted(scene.proc.as_ref(), "/proc")?;
    let borders = match scene.setup.proc {
        ProcSource::Fresh => Borders::Closed,
        ProcSource::Outer => Borders::Open,
    };
    for path in READ_ONLY_IN_PROC {
        if let Some(target) = find(proc, path, borders)? {
            protect(&target)?;
        }
    }
    for path in MASKED_IN_PROC {
        hide_at(proc, path, (null, borders))?;
    }
    let Some(sys) = &scene.sys else { return Ok(()) };
    for path in MASKED_IN_SYS {
        hide_at(sys.as_fd(), path, (null, Borders::Closed))?;
    }
    for path in processors(sys.as_fd())? {
        hide_at(sys.as_fd(), &path, (null, Borders::Closed))?;
    }
    Ok(())
}

/// Whether a path may lead into what is mounted over a part of a file system. It may where that was
/// not mounted by us: what hides a file from the builder is hidden too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Borders {
    Closed,
    Open,
}

fn hide_at(
    file_system: BorrowedFd<'_>,
    path: &CStr,
    (dev, borders): (BorrowedFd<'_>, Borders),
) -> Result<(), CallError> {
    match find(file_system, path, borders)? {
        Some(target) => hide(&target, dev),
        None => Ok(()),
    }
}

fn find(
    file_system: BorrowedFd<'_>,
    path: &CStr,
    borders: Borders,
) -> Result<Option<OwnedFd>, CallError> {
    let stays = match borders {
        Borders::Closed => ResolveFlag::RESOLVE_NO_XDEV,
        Borders::Open => ResolveFlag::empty(),
    };
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
        .mode(Mode::empty())
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | stays);
    match openat2(file_system, path, how) {
        Err(Errno::ENOENT) => Ok(None),
        found => found
            .map(Some)
            .called(|| format!("openat2({}, {path:?}, RESOLVE_BENEATH)", shown(file_system))),
    }
}

/// Covers a directory with an empty one, and anything else with `/dev/null`.
fn hide(target: &OwnedFd, dev: BorrowedFd<'_>) -> Result<(), CallError> {
    let cover = if kind_of(&file::stat(target.as_fd())?) == SFlag::S_IFDIR {
        make(
            c"tmpfs",
            &[(c"mode", c"555"), (c"size", c"4k")],
            KERNEL_FILES | READ_ONLY,
        )?
    } else {
        let null = mount::open_tree(dev, c"null", Depth::Single)?;
        require_device(null.as_fd(), 1, 3)?;
        null
    };
    mount::move_mount(cover.as_fd(), target.as_fd())
}

/// Covers a place with itself, read-only.
fn protect(target: &OwnedFd) -> Result<(), CallError> {
    let copy = mount::open_tree(target.as_fd(), c"", Depth::Recursive)?;
    mount::mount_setattr(copy.as_fd(), KERNEL_FILES | READ_ONLY, Depth::Recursive)?;
    mount::move_mount(copy.as_fd(), target.as_fd())
}

/// Returns the path that is to be hidden for each processor.
fn processors(sys: BorrowedFd<'_>) -> Result<Vec<CString>, CallError> {
    let describe = || format!("read {PROCESSORS:?} in {}", shown(sys));
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut directory = match Dir::openat(sys, PROCESSORS, flags, Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(Vec::new()),
        opened => opened.called(describe)?,
    };
    let mut paths = Vec::new();
    for entry in directory.iter() {
        let entry = entry.called(describe)?;
        let name = entry.file_name().to_str().unwrap_or_default();
        let is_processor = name
            .strip_prefix("cpu")
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()));
        if is_processor {
            let parent = PROCESSORS.to_str().unwrap_or_default();
            paths.extend(CString::new(format!(
                "{parent}/{name}/{MASKED_IN_PROCESSOR}"
            )));
        }
    }
    paths.sort();
    Ok(paths)
}
