//! One command on an image, whose changes are dropped: how an image is tried.
//!
//! Nothing of it is a step of a build: it has no key, and no layer comes of it. The files that the command writes
//! are in an unfinished snapshot, which goes when the command has ended.

use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};

use graph::{ExtraHost, ImageSource};
use oci::Platform;
use rootfs::{Mode, ResolvedUser, Root, RootPath};
use runtime::userns::BuilderId;
use runtime::{
    Access, ExecutorMode, ExitStatus, GroupLimits, Hostname, NetworkMode, OutputSink,
    ResourceLimit, SandboxSpec, SandboxUser, Submounts, Talk, TargetKind, TerminalSize,
};
use store::ActiveSnapshot;

use crate::error::StepError;
use crate::event::StepId;
use crate::host_files::{self, HostFilesError, Prepared};
use crate::job::{CommandLimits, Workshop};
use crate::network::UsualNetwork;
use crate::ops::exec::{
    self, Below, Ground, MountTable, Mounted, MountedFrom, Volume, make_working_directory,
};
use crate::ops::image;
use crate::realise;
use crate::result::Stack;

/// One command, and what it sees.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The image.
    pub image: ImageSource,
    /// What the image is for, as it says itself.
    pub platform: Platform,
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Its environment, as `NAME=value`. `HOME` is added where it is missing.
    pub env: Vec<String>,
    /// Whom it runs as, in the words of `USER`.
    pub user: String,
    /// Where it starts: an absolute path. It is made if the image lacks it.
    pub working_directory: String,
    /// The host name it sees.
    pub hostname: Hostname,
    /// Further names in its `/etc/hosts`.
    pub extra_hosts: Vec<ExtraHost>,
    /// The network it has.
    pub network: UsualNetwork,
    /// What it sees of the machine.
    pub volumes: Vec<Volume>,
    /// New directories in memory, and how many bytes each holds.
    pub memory: Vec<(String, Option<u64>)>,
    /// The directories of the image that can be written to whatever the root is.
    pub image_volumes: Vec<String>,
    /// What it may do with the root.
    pub root_access: Access,
    /// The size of `/dev/shm`, in bytes.
    pub shared_memory_bytes: u64,
    /// Limits on its resources.
    pub limits: Vec<ResourceLimit>,
    /// What its processes may use together, if it has a control group.
    pub group: Option<GroupLimits>,
    /// The size of its terminal, if it has one.
    pub terminal: Option<TerminalSize>,
}

impl Launch {
    /// Gives the command these limits beside its own, which count more.
    pub fn limit(&mut self, limits: &CommandLimits) {
        for limit in &limits.processes {
            if !self.limits.iter().any(|own| own.resource == limit.resource) {
                self.limits.push(*limit);
            }
        }
        self.group.clone_from(&limits.group);
    }
}

/// Runs a command on an image to its end.
///
/// # Errors
///
/// Fails when the image cannot be used, its programs do not run here, or the command cannot be started. A
/// command that ran and failed is no error.
pub fn launch(
    workshop: &Workshop,
    launch: &Launch,
    talk: Talk<'_>,
    output: &mut dyn OutputSink,
) -> Result<ExitStatus, StepError> {
    if workshop.executor.mode() == ExecutorMode::Chroot {
        return Err(StepError::NothingMounts);
    }
    workshop.executor.check()?;
    workshop.emulation.require(&launch.platform)?;
    let snapshots = workshop.store.snapshots();
    // Both go when they are dropped: nothing of them is kept.
    launch.network.begin(workshop);
    let changes = snapshots.prepare(&workshop.lease)?;
    let files = snapshots.prepare(&workshop.lease)?;
    let prepared = workshop
        .host_files
        .prepare(&workshop.store, &workshop.lease)?;
    let stack = image::stack(workshop, &launch.image)?;
    let root = root(workshop, &stack, (&prepared, &changes))?;
    let user = rootfs::resolve_user(root.view(), &launch.user)?;
    exec::users::check(workshop, root.view(), &user)?;
    for directory in std::iter::once(&launch.working_directory).chain(&launch.image_volumes) {
        make_working_directory(workshop, root.view(), directory)?;
    }
    let below = Below::find(workshop, &stack, root.view())?;
    let network = launch.network.settle(workshop)?;
    let resolv_conf = prepared.resolv_conf(network);
    let mut mounts = mounts(workshop, launch, (files.fs(), resolv_conf))?;
    let descriptors = mounts.take_files();
    let outcome = workshop.executor.run(runtime::Step {
        spec: &spec(launch, &user, (network, &mounts)),
        root: root.mount(),
        mounts: descriptors,
        output,
        talk: Some(talk),
        cancel: &workshop.cancel,
        recorded: below.files,
    })?;
    Ok(outcome.status)
}

/// Mounts the image's files, and over them where changes go; or a copy of them.
fn root<'w>(
    workshop: &'w Workshop,
    stack: &Stack,
    files: (&Prepared, &ActiveSnapshot),
) -> Result<Ground<'w>, StepError> {
    let step = StepId("launch".to_owned());
    let is_over = || workshop.cancel.is_cancelled();
    let lowers = realise::lowers(workshop, step.clone(), stack, &is_over)?;
    Ground::make(workshop, step, (stack, &lowers), None, files)
}

/// Prepares all mounts. `files` is where the files of the machine are, which the command may change.
fn mounts(
    workshop: &Workshop,
    launch: &Launch,
    (files, resolv_conf): (&Root, &[u8]),
) -> Result<MountTable, StepError> {
    let mut table = MountTable::default();
    let hosts = host_files::hosts(launch.hostname.name(), &launch.extra_hosts);
    let hostname = format!("{}\n", launch.hostname.name());
    for (name, text) in [
        ("hosts", hosts.as_bytes()),
        ("hostname", hostname.as_bytes()),
        ("resolv.conf", resolv_conf),
    ] {
        table.add(machine_file(workshop, files, (name, text))?);
    }
    let mut others = Vec::new();
    if launch.root_access == Access::ReadOnly {
        others.extend(launch.image_volumes.iter().map(|target| of_root(target)));
    }
    others.extend(launch.memory.iter().map(in_memory));
    for volume in &launch.volumes {
        others.push(exec::mount_volume(workshop, volume, &mut table)?);
    }
    // What is mounted below something else comes after it.
    others.sort_by(|one, other| one.target.cmp(&other.target));
    for mount in others {
        table.add(mount);
    }
    Ok(table)
}

/// Makes a file of `/etc` that belongs to the root of the sandbox, and may be written there.
fn machine_file(
    workshop: &Workshop,
    files: &Root,
    (name, text): (&str, &[u8]),
) -> Result<Mounted, StepError> {
    let make = || -> Result<OwnedFd, HostFilesError> {
        let path = RootPath::root().child(name.as_bytes())?;
        files.create_file(&path)?.write_all(text)?;
        let BuilderId(owner) = host_files::container_root(workshop.ids);
        files.set_owner(&path, owner, owner)?;
        files.set_mode(&path, Mode::new(0o644))?;
        let file = files.open_file(&path)?;
        let access = Access::ReadWrite;
        Ok(runtime::bind(file.as_fd(), Submounts::Without, access)?)
    };
    Ok(Mounted {
        target: format!("/etc/{name}"),
        source: MountedFrom::Descriptor(make()?),
        kind: TargetKind::File,
        access: Access::ReadWrite,
    })
}

/// Mounts a directory of the root once more, to be written to where the root is not.
fn of_root(target: &str) -> Mounted {
    Mounted {
        target: target.to_owned(),
        source: MountedFrom::Root,
        kind: TargetKind::Directory,
        access: Access::ReadWrite,
    }
}

fn in_memory((target, size_bytes): &(String, Option<u64>)) -> Mounted {
    /// As `mount` makes it by itself.
    const MODE: u32 = 0o1777;
    Mounted {
        target: target.clone(),
        source: MountedFrom::Memory {
            size_bytes: *size_bytes,
            mode: MODE,
        },
        kind: TargetKind::Directory,
        access: Access::ReadWrite,
    }
}

fn spec(
    launch: &Launch,
    user: &ResolvedUser,
    (network, mounts): (NetworkMode, &MountTable),
) -> SandboxSpec {
    let bytes = |texts: &[String]| texts.iter().map(|text| text.clone().into_bytes()).collect();
    SandboxSpec {
        environment: environment(&launch.env, user),
        working_directory: launch.working_directory.clone().into_bytes(),
        user: SandboxUser {
            uid: user.uid,
            gid: user.gid,
            groups: user.groups.clone(),
        },
        hostname: launch.hostname.clone(),
        network,
        mounts: mounts.specs().to_vec(),
        shared_memory_bytes: launch.shared_memory_bytes,
        limits: launch.limits.clone(),
        group: launch.group.clone(),
        root_access: launch.root_access,
        terminal: launch.terminal,
        ..SandboxSpec::new(bytes(&launch.command))
    }
}

fn environment(env: &[String], user: &ResolvedUser) -> Vec<Vec<u8>> {
    let mut entries: Vec<Vec<u8>> = env.iter().map(|entry| entry.clone().into_bytes()).collect();
    if !env.iter().any(|entry| entry.starts_with("HOME=")) {
        let home = user.home.as_deref().unwrap_or(b"/");
        entries.push([b"HOME=".as_slice(), home].concat());
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_is_the_users_unless_something_else_is_said() {
        let user = ResolvedUser {
            uid: 7,
            gid: 7,
            groups: vec![7],
            home: Some(b"/home/seven".to_vec()),
        };
        let of = |env: &[&str]| {
            let env: Vec<_> = env.iter().map(|&entry| entry.to_owned()).collect();
            let entries = environment(&env, &user).into_iter();
            entries
                .map(|entry| String::from_utf8(entry).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&["A=1"]), ["A=1", "HOME=/home/seven"]);
        assert_eq!(of(&["HOME=/srv"]), ["HOME=/srv"]);
    }
}
