//! What a command sees beside its root: the files of the machine, `--volume`, and the mounts of the step.
//!
//! Everything is prepared here, as mounts that are in no namespace yet, and put into place by the sandbox. What
//! has to live as long as the command (claims on caches, directories for what is written and discarded) is held by
//! the [`MountTable`].

use std::os::fd::OwnedFd;

use graph::{ExecFile, ExecMount, ExecOp, MountAccess, MountOwner, TmpfsMount};
use rootfs::{FsError, IdStorage, Mode, OwnerRecord, Root, RootPath};
use runtime::{
    Access, MountSource, MountSpec, NetworkMode, RecordedOwner, SecretVariable, TargetKind,
};
use store::{ActiveSnapshot, Claim};

use super::cache_owners::CacheOwners;
use super::error::MountError;
use super::socket::AgentSocket;
use super::{bind, cache_mount, secret, socket, volume};
use crate::error::StepError;
use crate::host_files::Prepared;
use crate::job::Workshop;
use crate::trees::Tree;
use crate::worker::Step;

/// The mode of a directory in memory, as `mount` makes it by itself.
const TMPFS_MODE: u32 = 0o1777;

/// The mounts of one command. Dropping it gives back what they need.
#[derive(Debug, Default)]
pub(crate) struct MountTable {
    specs: Vec<MountSpec>,
    files: Vec<OwnedFd>,
    secrets: Vec<SecretVariable>,
    secret_names: Vec<String>,
    recorded: Vec<RecordedOwner>,
    cache_owners: Vec<CacheOwners>,
    held: Vec<Held>,
}

/// What has to live as long as the command.
#[derive(Debug)]
#[expect(dead_code, reason = "held for what dropping it does")]
pub(super) enum Held {
    /// The right to a cache.
    Claim(Claim),
    /// The socket of an agent.
    Agent(AgentSocket),
    /// Where goes what is written and discarded.
    Discarded(Box<ActiveSnapshot>),
    /// A copy of files that is written to and discarded.
    Copy(Box<Tree>),
}

/// One mount, prepared.
pub(crate) struct Mounted {
    pub(crate) target: String,
    pub(crate) source: Source,
    pub(crate) kind: TargetKind,
    pub(crate) access: Access,
}

/// What is mounted.
pub(crate) enum Source {
    /// A detached mount.
    Descriptor(OwnedFd),
    /// What the root has at the target.
    Root,
    /// New memory.
    Memory { size_bytes: Option<u64>, mode: u32 },
}

/// Permission bits and owner of a mount: as they stand on disk, and as the command is to see them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: Mode,
    /// What is said of them where there is only one id, and all is its own.
    record: Option<OwnerRecord>,
}

impl Owner {
    /// Returns how an owner in the sandbox stands on disk.
    pub(super) fn on_disk(
        step: &Step<'_>,
        target: &str,
        owner: &MountOwner,
    ) -> Result<Self, MountError> {
        let ids = step.workshop.ids;
        let mode = Mode::new(owner.mode);
        if ids == IdStorage::Recorded {
            return Ok(Self {
                uid: 0,
                gid: 0,
                mode,
                record: Some(record(owner)),
            });
        }
        let id = |id: u32| {
            ids.to_disk(id).map_err(|source| MountError::Owner {
                target: target.to_owned(),
                id,
                source,
            })
        };
        Ok(Self {
            uid: id(owner.uid)?,
            gid: id(owner.gid)?,
            mode,
            record: None,
        })
    }

    /// Gives a file in memory, which holds no attributes, this owner. Returns what is to be recorded of it.
    pub(super) fn give(
        self,
        directory: &Root,
        path: &RootPath,
    ) -> Result<Option<RecordedOwner>, FsError> {
        directory.set_owner(path, self.uid, self.gid)?;
        directory.set_mode(path, self.mode)?;
        let Some(record) = self.record else {
            return Ok(None);
        };
        let found = directory.metadata(path)?;
        Ok(found.map(|found| RecordedOwner {
            device: found.dev,
            inode: found.ino,
            born: None,
            record,
        }))
    }
}

/// Returns the record of a mount's owner.
pub(super) fn record(owner: &MountOwner) -> OwnerRecord {
    OwnerRecord {
        uid: owner.uid,
        gid: owner.gid,
        mode: Mode::new(owner.mode),
        device: None,
    }
}

/// Prepares all mounts of a command.
///
/// Caches come last: others may have to be waited for, who must not wait for anything that is prepared here.
pub(super) fn prepare(
    step: &Step<'_>,
    op: &ExecOp,
    (host_files, network): (&Prepared, NetworkMode),
) -> Result<MountTable, StepError> {
    let mut table = MountTable::default();
    for (target, file) in host_files.mounts(&op.hostname, &op.sandbox.extra_hosts, network)? {
        table.add(read_only_file(target, file));
    }
    for ExecFile {
        target,
        content,
        mode,
    } in &op.files
    {
        let file = host_files.file(content.as_bytes(), Mode::new(*mode))?;
        table.add(read_only_file(target, file));
    }
    let mut mounted = Vec::new();
    for volume in &step.job.options.volumes {
        mounted.push(volume::mount(step.workshop, volume, &mut table)?);
    }
    for mount in &op.mounts {
        mounted.extend(one(step, mount, &mut table)?);
    }
    mounted.extend(cache_mount::mount_all(step, &op.mounts, &mut table)?);
    // What is mounted below something else comes after it.
    mounted.sort_by(|one, other| one.target.cmp(&other.target));
    for mount in mounted {
        table.add(mount);
    }
    Ok(table)
}

/// The table of the kinds of mounts; caches are mounted all at once.
fn one(
    step: &Step<'_>,
    mount: &ExecMount,
    table: &mut MountTable,
) -> Result<Option<Mounted>, StepError> {
    match mount {
        ExecMount::Bind(mount) => bind::mount(step, mount, table).map(Some),
        ExecMount::Cache(_) => Ok(None),
        ExecMount::Tmpfs(mount) => Ok(Some(tmpfs(mount))),
        ExecMount::Secret(mount) => secret::mount(step, mount, table),
        ExecMount::Ssh(mount) => socket::mount(step, mount, table),
    }
}

fn tmpfs(mount: &TmpfsMount) -> Mounted {
    Mounted {
        target: mount.target.clone(),
        source: Source::Memory {
            size_bytes: mount.size_bytes,
            mode: TMPFS_MODE,
        },
        kind: TargetKind::Directory,
        access: access(mount.access),
    }
}

pub(super) fn access(access: MountAccess) -> Access {
    match access {
        MountAccess::ReadOnly => Access::ReadOnly,
        MountAccess::ReadWrite => Access::ReadWrite,
    }
}

fn read_only_file(target: &str, file: OwnedFd) -> Mounted {
    Mounted {
        target: target.to_owned(),
        source: Source::Descriptor(file),
        kind: TargetKind::File,
        access: Access::ReadOnly,
    }
}

impl MountTable {
    /// Adds a mount behind the others.
    pub(crate) fn add(&mut self, mounted: Mounted) {
        let source = match mounted.source {
            Source::Descriptor(mount) => {
                self.files.push(mount);
                MountSource::Descriptor(self.files.len() - 1)
            }
            Source::Root => MountSource::Root,
            Source::Memory { size_bytes, mode } => MountSource::Tmpfs { size_bytes, mode },
        };
        self.specs.push(MountSpec {
            target: mounted.target.into_bytes(),
            source,
            kind: mounted.kind,
            access: mounted.access,
        });
    }

    /// Adds a variable that holds a secret. Of several of one name the last counts.
    pub(super) fn add_secret(&mut self, variable: SecretVariable, name: &str) {
        if let Some(at) = self.secret_names.iter().position(|other| other == name) {
            self.secret_names.remove(at);
            self.secrets.remove(at);
        }
        self.secret_names.push(name.to_owned());
        self.secrets.push(variable);
    }

    /// Adds what is recorded of the files of mounts.
    pub(super) fn record<R: IntoIterator<Item = RecordedOwner>>(&mut self, recorded: R) {
        self.recorded.extend(recorded);
    }

    /// Adds the owners of a cache, which are kept after the command.
    pub(super) fn add_cache_owners(&mut self, owners: CacheOwners) {
        self.record(owners.files());
        self.cache_owners.push(owners);
    }

    /// Returns what is recorded of the files of mounts, once.
    pub(super) fn take_recorded(&mut self) -> Vec<RecordedOwner> {
        std::mem::take(&mut self.recorded)
    }

    /// Keeps what is recorded of the files of caches after the command.
    pub(super) fn keep_owners(
        &self,
        workshop: &Workshop,
        recorded: &[RecordedOwner],
    ) -> Result<(), StepError> {
        let mut caches = self.cache_owners.iter();
        caches.try_for_each(|cache| cache.keep(workshop, recorded))
    }

    pub(super) fn hold(&mut self, held: Held) {
        self.held.push(held);
    }

    /// Returns the mounts, in order.
    pub(crate) fn specs(&self) -> &[MountSpec] {
        &self.specs
    }

    /// Returns the descriptors that the mounts name, once.
    pub(crate) fn take_files(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.files)
    }

    /// Returns the variables that hold secrets.
    pub(super) fn secrets(&self) -> &[SecretVariable] {
        &self.secrets
    }

    /// Returns the names of the variables that hold secrets.
    pub(super) fn secret_names(&self) -> impl Iterator<Item = &[u8]> {
        self.secret_names.iter().map(String::as_bytes)
    }
}
