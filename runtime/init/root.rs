//! The root of a sandbox: from a namespace full of the host's mounts to one with its own alone.

use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::unistd::{fchdir, sethostname};

use super::{Handed, devices, mask};
use crate::mountpoint::{Stub, find_or_make};
use crate::protocol::{InitFailure, Setup, SetupStep};
use crate::spec::{
    Access, Confinement, Hostname, MountSource, MountSpec, NetworkMode, ProcSource, TargetKind,
};
use crate::sys::mount::{self, Depth, NO_DEVICES, NO_EXECUTION, NO_SUID, READ_ONLY, Setting};
use crate::sys::{CallError, Called as _, file, network, shown};

/// Attributes of the kernel's own file systems.
pub(super) const KERNEL_FILES: u64 = NO_SUID | NO_DEVICES | NO_EXECUTION;

/// A root that is being built.
#[derive(Debug)]
pub(crate) struct Scene<'s> {
    pub(super) setup: &'s Setup,
    pub(super) root: OwnedFd,
    /// Those that are not attached yet.
    mounts: Vec<Option<OwnedFd>>,
    /// The file systems that were mounted here, once they were.
    pub(super) proc: Option<OwnedFd>,
    pub(super) dev: Option<OwnedFd>,
    pub(super) sys: Option<OwnedFd>,
    /// What was made in the root to be mounted on.
    pub(crate) stubs: Vec<Stub>,
    /// Which mount of the specification is being mounted.
    at_mount: Option<usize>,
}

type Build = fn(&mut Scene<'_>) -> Result<(), CallError>;

/// What is done, in this order.
pub(crate) const STEPS: &[(SetupStep, Build)] = &[
    (SetupStep::PrivateMounts, |_| mount::make_private()),
    (SetupStep::Root, |scene| scene.mount_root()),
    (SetupStep::Proc, |scene| scene.mount_proc()),
    (SetupStep::Dev, devices::mount_dev),
    (SetupStep::Sys, |scene| scene.mount_sys()),
    (SetupStep::Mounts, |scene| scene.mount_specified()),
    (SetupStep::MaskedPaths, mask::mask_paths),
    (SetupStep::Pivot, |scene| scene.pivot()),
    (SetupStep::RootAccess, |scene| scene.restrict_root()),
    (SetupStep::Loopback, |scene| scene.raise_loopback()),
    (SetupStep::Hostname, |scene| scene.set_hostname()),
    (SetupStep::Landlock, |scene| {
        scene.setup.wall.raise(scene.root.as_fd())
    }),
];

/// Builds the root that `setup` describes and makes it this process's root directory.
pub(crate) fn build(setup: &Setup, handed: Handed) -> Result<Scene<'_>, InitFailure> {
    let Handed { root, mounts, .. } = handed;
    let mounts = mounts.into_iter().map(Some).collect();
    let (proc, dev, sys) = (None, None, None);
    let mut scene = Scene {
        setup,
        root,
        mounts,
        proc,
        dev,
        sys,
        stubs: Vec::new(),
        at_mount: None,
    };
    for (step, build) in STEPS {
        build(&mut scene).map_err(|error| InitFailure {
            mount: scene.at_mount,
            ..InitFailure::new(*step, &error)
        })?;
    }
    Ok(scene)
}

impl Scene<'_> {
    /// Mounts the root over the host's: a place that every host has. The host's stays this
    /// process's root directory until the pivot, and its paths lead below the mount.
    fn mount_root(&mut self) -> Result<(), CallError> {
        let top = file::open(AT_FDCWD, c"/", OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
        mount::move_mount(self.root.as_fd(), top.as_fd())
    }

    fn mount_proc(&mut self) -> Result<(), CallError> {
        let proc = match self.setup.proc {
            ProcSource::Fresh => make(c"proc", &[], KERNEL_FILES)?,
            ProcSource::Outer => outer_proc()?,
        };
        self.attach(&proc, b"/proc", TargetKind::Directory)?;
        self.proc = Some(proc);
        Ok(())
    }

    /// The files below `/sys` tell of the network that the namespace has: the host's are not for a
    /// sandbox.
    fn mount_sys(&mut self) -> Result<(), CallError> {
        let spec = &self.setup.spec;
        let access = match (spec.network, spec.confinement) {
            (NetworkMode::Host, Confinement::Container) => return Ok(()),
            (NetworkMode::Host, Confinement::Namespace) => return self.bind_sys(),
            (NetworkMode::None | NetworkMode::Sandbox, Confinement::Container) => READ_ONLY,
            (NetworkMode::None | NetworkMode::Sandbox, Confinement::Namespace) => 0,
        };
        let sys = match make(c"sysfs", &[], KERNEL_FILES | access) {
            // Where parts of the host's are hidden from us, the kernel gives no whole one.
            Err(error) if error.errno() == Errno::EPERM => return Ok(()),
            made => made?,
        };
        self.attach(&sys, b"/sys", TargetKind::Directory)?;
        self.sys = Some(sys);
        Ok(())
    }

    /// Binds the host's: a namespace can mount one of its own for its own network alone. With all that
    /// is mounted below it, since the kernel lets nobody take that away.
    fn bind_sys(&mut self) -> Result<(), CallError> {
        match mount::open_tree(AT_FDCWD, c"/sys", Depth::Recursive) {
            Err(error) if error.errno() == Errno::ENOENT => Ok(()),
            sys => self.attach(&sys?, b"/sys", TargetKind::Directory),
        }
    }

    fn mount_specified(&mut self) -> Result<(), CallError> {
        let setup = self.setup;
        for (index, mount) in setup.spec.mounts.iter().enumerate() {
            self.at_mount = Some(index);
            self.mount_one(mount)?;
        }
        self.at_mount = None;
        Ok(())
    }

    fn mount_one(&mut self, spec: &MountSpec) -> Result<(), CallError> {
        let mount = match spec.source {
            MountSource::Descriptor(index) => {
                let mount = self.mounts.get_mut(index).and_then(Option::take);
                mount.ok_or_else(|| CallError::new(format!("find mount {index}"), Errno::EBADF))?
            }
            MountSource::Root => self.part_of_root(spec)?,
            MountSource::Tmpfs { size_bytes, mode } => {
                make_tmpfs(size_bytes, mode, NO_SUID | NO_DEVICES)?
            }
        };
        if spec.access == Access::ReadOnly {
            mount::mount_setattr(mount.as_fd(), READ_ONLY, Depth::Recursive)?;
        }
        self.attach(&mount, &spec.target, spec.kind)
    }

    /// Takes a part of the root as a mount of its own.
    fn part_of_root(&mut self, spec: &MountSpec) -> Result<OwnedFd, CallError> {
        let place = find_or_make(self.root.as_fd(), &spec.target, spec.kind, &mut self.stubs)?;
        mount::open_tree(place.as_fd(), c"", Depth::Single)
    }

    /// Attaches a detached mount at a path of the root.
    pub(super) fn attach(
        &mut self,
        mount: &OwnedFd,
        target: &[u8],
        kind: TargetKind,
    ) -> Result<(), CallError> {
        let mut made = Vec::new();
        let place = find_or_make(self.root.as_fd(), target, kind, &mut made)?;
        // Only the root becomes a result. What was made in another mount may be mounted on by another
        // sandbox by now, and to remove it would take that mount away.
        let root = file::stat(self.root.as_fd())?.st_dev;
        for stub in made {
            if file::stat(stub.parent.as_fd())?.st_dev == root {
                self.stubs.push(stub);
            }
        }
        mount::move_mount(mount.as_fd(), place.as_fd())
    }

    fn pivot(&mut self) -> Result<(), CallError> {
        fchdir(&self.root).called(|| format!("fchdir({})", shown(self.root.as_fd())))?;
        mount::pivot_root_here()?;
        // The host's root now lies over ours, at the working directory.
        mount::detach_here()?;
        nix::unistd::chdir(c"/").called(|| "chdir(\"/\")".to_owned())?;
        self.make_working_directory();
        Ok(())
    }

    /// Makes the working directory where a mount hides the root's, as other runtimes do. The root's was made before
    /// this process was started. Where it cannot be made, the command's process says that it is not there.
    fn make_working_directory(&self) {
        let path = OsStr::from_bytes(&self.setup.spec.working_directory);
        let mut builder = DirBuilder::new();
        drop(builder.recursive(true).mode(0o755).create(path));
    }

    /// Only the root itself: what is mounted below it may be there to be written to.
    fn restrict_root(&mut self) -> Result<(), CallError> {
        match self.setup.spec.root_access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => mount::mount_setattr(self.root.as_fd(), READ_ONLY, Depth::Single),
        }
    }

    fn raise_loopback(&mut self) -> Result<(), CallError> {
        match self.setup.spec.network {
            // That of the build was made with it.
            NetworkMode::Host | NetworkMode::Sandbox => Ok(()),
            NetworkMode::None => network::raise_loopback(network::interface_socket()?.as_fd()),
        }
    }

    fn set_hostname(&mut self) -> Result<(), CallError> {
        let hostname = &self.setup.spec.hostname;
        let name = hostname.name();
        match sethostname(name) {
            // The kernel lets root of the namespace do it: this is the answer of a container's filter, as Podman's.
            Err(Errno::EPERM) if matches!(hostname, Hostname::Usual(_)) => Ok(()),
            set => set.called(|| format!("sethostname({name:?})")),
        }
    }
}

/// Makes a file system, with these options as key and value.
pub(super) fn make(
    kind: &std::ffi::CStr,
    options: &[(&std::ffi::CStr, &std::ffi::CStr)],
    attributes: u64,
) -> Result<OwnedFd, CallError> {
    let context = mount::fsopen(kind)?;
    let context = context.as_fd();
    // The name that `mount` shows for it.
    mount::fsconfig(context, Setting::String(c"source", kind))?;
    for (key, value) in options {
        let setting = if value.is_empty() {
            Setting::Flag(key)
        } else {
            Setting::String(key, value)
        };
        mount::fsconfig(context, setting)?;
    }
    mount::fsconfig(context, Setting::Create)?;
    mount::fsmount(context, attributes)
}

/// Returns the `/proc` that this process sees. What is mounted over parts of it comes along: the kernel lets nobody
/// take that away.
fn outer_proc() -> Result<OwnedFd, CallError> {
    let proc = mount::open_tree(AT_FDCWD, c"/proc", Depth::Recursive)?;
    mount::mount_setattr(proc.as_fd(), KERNEL_FILES, Depth::Recursive)?;
    Ok(proc)
}

fn make_tmpfs(size_bytes: Option<u64>, mode: u32, attributes: u64) -> Result<OwnedFd, CallError> {
    let c_string = |text: String| std::ffi::CString::new(text).expect("digits have no zero byte");
    let mode = c_string(format!("{mode:o}"));
    let size = size_bytes.map(|size| c_string(size.to_string()));
    let mut options = vec![(c"mode", mode.as_c_str())];
    options.extend(size.as_deref().map(|size| (c"size", size)));
    make(c"tmpfs", &options, attributes)
}

/// Opens a name of a directory to mount on, without following a link.
pub(super) fn place(
    directory: BorrowedFd<'_>,
    name: &std::ffi::CStr,
) -> Result<OwnedFd, CallError> {
    file::open(directory, name, OFlag::O_PATH | OFlag::O_NOFOLLOW, 0)
}

/// Returns a file system that an earlier step mounted.
pub(super) fn mounted<'m>(
    file_system: Option<&'m OwnedFd>,
    name: &str,
) -> Result<BorrowedFd<'m>, CallError> {
    let missing = || CallError::new(format!("open({name:?})"), Errno::ENOENT);
    file_system.map(AsFd::as_fd).ok_or_else(missing)
}
