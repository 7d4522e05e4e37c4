//! Overlays and binds, as detached mounts: in no namespace, kept by a descriptor, moved into a
//! sandbox.
//!
//! | Kernel | How an overlay is made |
//! | --- | --- |
//! | 6.8 and later | `fsopen`, one `lowerdir+` a layer, `fsmount`; as many layers as overlayfs takes (500) |
//! | before | `mount(2)` with all layers in one string, in a thread with a mount namespace of its own |
//!
//! Layers are named by descriptor (`/proc/self/fd/N`), never by path: the path of a store says
//! nothing about what is behind it now, and the text is what a sandbox sees in its `mountinfo`.
//! Attributes of overlayfs are those of the `user.` namespace, the only ones that a user namespace
//! may write (`userxattr`, `Documentation/filesystems/overlayfs.rst`, "User xattr").

use std::ffi::CString;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::thread;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::sched::CloneFlags;
use thiserror::Error;

use crate::features::KernelFeatures;
use crate::spec::Access;
use crate::sys::mount::{self, Depth, Setting};
use crate::sys::{CallError, file, process, shown};

/// How many lower layers overlayfs takes (`OVL_MAX_STACK`).
pub const LOWERS_LIMIT: usize = 500;

/// The space for options in `mount(2)`, in bytes: a page with its last byte zero.
const OPTIONS_LIMIT_BYTES: usize = 4095;

/// How an overlay is to behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OverlayOptions {
    /// Whether `sync` and its like do nothing for the upper directory. The one who keeps the upper
    /// directory has to sync the file system that it is on.
    pub volatile: bool,
}

/// The two directories of an overlay that can be written. They are on one file system.
#[derive(Debug, Clone, Copy)]
pub struct Upper<'d> {
    /// Where changes go.
    pub upper: BorrowedFd<'d>,
    /// An empty directory of overlayfs's own.
    pub work: BorrowedFd<'d>,
}

/// Why there is no overlay.
#[derive(Debug, Error)]
pub enum OverlayError {
    /// There is nothing to be merged.
    #[error("mount an overlay of no layers")]
    NoLowers,
    /// There are more layers than overlayfs takes.
    #[error("mount an overlay of {count} layers; the kernel takes {LOWERS_LIMIT}")]
    TooManyLowers {
        /// How many there are.
        count: usize,
    },
    /// There are more layers than fit into the one string of an older kernel.
    #[error(
        "mount an overlay of {count} layers; Linux before 6.8 takes as many as fit into a page"
    )]
    TooLong {
        /// How many there are.
        count: usize,
    },
    /// The kernel refused a call.
    #[error("mount an overlay of {count} layers")]
    Call {
        /// How many layers there are.
        count: usize,
        /// The call.
        source: CallError,
    },
    /// No thread could be started for it.
    #[error("start a thread to mount an overlay in")]
    Thread(#[source] std::io::Error),
}

/// Returns the detached mount of `lowers`, the topmost first, with `upper` over them.
///
/// Without `upper` it cannot be written: a view. A view of one layer is an overlay too, so that
/// whiteouts and opaque directories of that layer look like what they mean.
///
/// While the mount exists the kernel refuses the same upper and work directories to another
/// overlay.
///
/// # Errors
///
/// Fails when the kernel refuses it.
pub fn mount_overlay(
    lowers: &[BorrowedFd<'_>],
    upper: Option<Upper<'_>>,
    options: OverlayOptions,
    features: &KernelFeatures,
) -> Result<OwnedFd, OverlayError> {
    let count = lowers.len();
    let layers = Layers {
        lowers,
        upper,
        options,
    };
    match count {
        0 => return Err(OverlayError::NoLowers),
        _ if count > LOWERS_LIMIT => return Err(OverlayError::TooManyLowers { count }),
        _ => {}
    }
    if features.overlay_layer_by_layer {
        return layers
            .by_context()
            .map_err(|source| OverlayError::Call { count, source });
    }
    layers.by_string()
}

/// Returns a detached mount of the file or directory `source`.
///
/// It has neither devices nor set-user-id programs: those of the host have no business in a
/// sandbox.
///
/// # Errors
///
/// Fails when the kernel refuses it, as it does for a file system that may not be mounted twice.
pub fn bind(
    source: BorrowedFd<'_>,
    submounts: Submounts,
    access: Access,
) -> Result<OwnedFd, CallError> {
    let depth = match submounts {
        Submounts::Without => Depth::Single,
        Submounts::With => Depth::Recursive,
    };
    let mount = mount::open_tree(source, c"", depth)?;
    let attributes = mount::NO_DEVICES | mount::NO_SUID;
    let attributes = match access {
        Access::ReadOnly => attributes | mount::READ_ONLY,
        Access::ReadWrite => attributes,
    };
    mount::mount_setattr(mount.as_fd(), attributes, depth)?;
    Ok(mount)
}

/// Returns a detached mount of a directory that is to be the root of a sandbox and is changed in place.
///
/// It has no devices. Set-user-id programs in it are those of the image, whose ids are the sandbox's; they have no effect
/// where the file system itself was mounted without them.
///
/// # Errors
///
/// Fails when the kernel refuses it.
pub fn bind_root(directory: BorrowedFd<'_>) -> Result<OwnedFd, CallError> {
    let mount = mount::open_tree(directory, c"", Depth::Single)?;
    mount::mount_setattr(mount.as_fd(), mount::NO_DEVICES, Depth::Single)?;
    Ok(mount)
}

/// Whether a bind includes what is mounted below its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submounts {
    /// The one file system.
    Without,
    /// Those below it too.
    With,
}

/// What an overlay is made of.
#[derive(Clone, Copy)]
struct Layers<'d> {
    lowers: &'d [BorrowedFd<'d>],
    upper: Option<Upper<'d>>,
    options: OverlayOptions,
}

impl Layers<'_> {
    /// A view of one layer needs a second one: the kernel calls an overlay of one a mistake.
    fn needs_filler(&self) -> bool {
        self.lowers.len() == 1 && self.upper.is_none()
    }

    fn by_context(&self) -> Result<OwnedFd, CallError> {
        let filler = self.needs_filler().then(empty_directory).transpose()?;
        let context = mount::fsopen(c"overlay")?;
        let set = |setting: Setting<'_>| mount::fsconfig(context.as_fd(), setting);
        let set_path = |key, fd: BorrowedFd<'_>| set(Setting::String(key, &path_of(fd)));
        // The name that `mount` shows for it.
        set(Setting::String(c"source", c"overlay"))?;
        set(Setting::Flag(c"userxattr"))?;
        for lower in self
            .lowers
            .iter()
            .copied()
            .chain(filler.as_ref().map(OwnedFd::as_fd))
        {
            set_path(c"lowerdir+", lower)?;
        }
        if let Some(Upper { upper, work }) = self.upper {
            set_path(c"upperdir", upper)?;
            set_path(c"workdir", work)?;
        }
        if self.options.volatile {
            set(Setting::Flag(c"volatile"))?;
        }
        set(Setting::Create)?;
        mount::fsmount(context.as_fd(), 0)
    }

    /// In a thread of its own, because `mount(2)` puts the overlay at a path: there is none in the
    /// builder that nobody else uses, but every path is free in a mount namespace that ends with
    /// the thread.
    fn by_string(&self) -> Result<OwnedFd, OverlayError> {
        let count = self.lowers.len();
        let mounted = thread::scope(|scope| {
            let thread = thread::Builder::new().name("overlay".to_owned());
            let thread = thread.spawn_scoped(scope, || self.by_string_in_own_namespace());
            Ok(thread.map_err(OverlayError::Thread)?.join())
        })?;
        match mounted {
            Ok(mounted) => mounted,
            Err(_panic) => Err(OverlayError::Thread(std::io::Error::other("it panicked"))),
        }
        .map_err(|error| match error {
            OverlayError::Call { source, .. } => OverlayError::Call { count, source },
            other => other,
        })
    }

    fn by_string_in_own_namespace(&self) -> Result<OwnedFd, OverlayError> {
        let count = self.lowers.len();
        let failed = |source| OverlayError::Call { count, source };
        // The kernel takes layers from mounts of the caller's namespace only, which descriptors
        // from before do not refer to.
        let places: Vec<Place<'_>> = self.directories().map(Place::of).collect();
        process::unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_FS).map_err(failed)?;
        mount::make_private().map_err(failed)?;
        let directories: Result<Vec<OwnedFd>, CallError> = places.iter().map(Place::open).collect();
        let mut directories = directories.map_err(failed)?;
        if self.needs_filler() {
            directories.insert(
                self.lowers.len(),
                attached_empty_directory().map_err(failed)?,
            );
        }
        // Names of descriptors are short from here. The working directory is this thread's own.
        change_directory(c"/proc/self/fd").map_err(failed)?;
        let options = self.option_string(&directories);
        if options.as_bytes().len() > OPTIONS_LIMIT_BYTES {
            return Err(OverlayError::TooLong { count });
        }
        mount::mount(c"overlay", c"/proc", &options).map_err(failed)?;
        let mounted = open_directory(c"/proc").map_err(failed)?;
        mount::open_tree(mounted.as_fd(), c"", Depth::Single).map_err(failed)
    }

    /// Returns the lower directories, then the upper one and that of overlayfs.
    fn directories(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let writable = self.upper.map(|Upper { upper, work }| [upper, work]);
        self.lowers
            .iter()
            .copied()
            .chain(writable.into_iter().flatten())
    }

    /// Names the directories, which are those of [`Self::directories`] opened again.
    fn option_string(&self, directories: &[OwnedFd]) -> CString {
        let mut numbers = directories
            .iter()
            .map(|directory| directory.as_raw_fd().to_string());
        let writable = if self.upper.is_some() { 2 } else { 0 };
        let lowers: Vec<String> = numbers
            .by_ref()
            .take(directories.len().saturating_sub(writable))
            .collect();
        let mut options = vec![
            "userxattr".to_owned(),
            ["lowerdir=", &lowers.join(":")].concat(),
        ];
        for (key, number) in ["upperdir=", "workdir="].iter().zip(numbers) {
            options.push([key, number.as_str()].concat());
        }
        if self.options.volatile {
            options.push("volatile".to_owned());
        }
        CString::new(options.join(",")).expect("digits and fixed words have no zero byte")
    }
}

/// A directory, and where it is: enough to find it again in another mount namespace.
struct Place<'d> {
    directory: BorrowedFd<'d>,
    path: Vec<u8>,
}

impl<'d> Place<'d> {
    fn of(directory: BorrowedFd<'d>) -> Self {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", directory.as_raw_fd()));
        // A path that cannot be read is one that cannot be opened, and that is an error.
        let path = link
            .map(|path| path.into_os_string().into_vec())
            .unwrap_or_default();
        Self { directory, path }
    }

    /// Opens the path, and makes sure that it is the same directory.
    fn open(&self) -> Result<OwnedFd, CallError> {
        let moved = || {
            CallError::new(
                format!("find {} again", shown(self.directory)),
                Errno::ESTALE,
            )
        };
        let path = CString::new(self.path.as_slice()).map_err(|_zero| moved())?;
        let opened = open_directory(&path)?;
        let [before, now] = [file::stat(self.directory)?, file::stat(opened.as_fd())?];
        if (before.st_dev, before.st_ino) == (now.st_dev, now.st_ino) {
            Ok(opened)
        } else {
            Err(moved())
        }
    }
}

/// Returns an empty directory that is in this thread's mount namespace.
fn attached_empty_directory() -> Result<OwnedFd, CallError> {
    let empty = empty_directory()?;
    // Any directory that no layer is in, and that every host has.
    mount::move_mount(empty.as_fd(), open_directory(c"/dev")?.as_fd())?;
    Ok(empty)
}

/// Returns an empty directory, on a file system of its own in memory.
fn empty_directory() -> Result<OwnedFd, CallError> {
    let context = mount::fsopen(c"tmpfs")?;
    mount::fsconfig(context.as_fd(), Setting::Create)?;
    mount::fsmount(context.as_fd(), mount::READ_ONLY)
}

fn path_of(fd: BorrowedFd<'_>) -> CString {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    CString::new(path).expect("digits and fixed words have no zero byte")
}

pub(crate) fn open_directory(path: &std::ffi::CStr) -> Result<OwnedFd, CallError> {
    file::open(AT_FDCWD, path, OFlag::O_PATH | OFlag::O_DIRECTORY, 0)
}

fn change_directory(path: &std::ffi::CStr) -> Result<(), CallError> {
    nix::unistd::chdir(path)
        .map_err(|errno: Errno| CallError::new(format!("chdir({path:?})"), errno))
}
