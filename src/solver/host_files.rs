//! The files of this machine that commands see: `/etc/resolv.conf` and `/etc/hosts`.
//!
//! They are written to a directory of their own when the first command of a build runs, and bound into
//! each sandbox, so that they never become part of a layer. So are files that exist for one command alone.
//! The directory is an unfinished snapshot of the store, which goes with the build: a file of a mount that
//! is in no namespace can be bound since Linux 6.15 only.
//! The mount points of every sandbox are a snapshot of the store, the lowest layer of each overlay.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use graph::ExtraHost;
use oci::Digest;
use rootfs::{FsError, IdStorage, Mode, PathError, Root, RootPath};
use runtime::userns::BuilderId;
use runtime::{Access, CallError, NetworkMode, Submounts};
use store::{
    ActiveSnapshot, Lease, NameError, SnapshotError, SnapshotId, SnapshotKind, SnapshotMeta, Store,
};

/// The name of the snapshot with the mount points; another set of them is another name.
const STUBS: &str = "stubs-1";

/// Why the files cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum HostFilesError {
    /// The kernel refused a mount.
    #[error("cannot prepare files for the sandbox")]
    Call(#[from] CallError),
    /// A file cannot be written.
    #[error("cannot prepare files for the sandbox")]
    Fs(#[from] FsError),
    /// A file cannot be written.
    #[error("cannot prepare files for the sandbox")]
    Write(#[from] std::io::Error),
    /// The mount points cannot be kept.
    #[error("cannot prepare the mount points of the sandbox")]
    Snapshot(#[from] SnapshotError),
    /// A name of ours is no name.
    #[error("cannot prepare files for the sandbox")]
    Path(#[from] PathError),
    /// A name of ours is no name.
    #[error("cannot prepare the mount points of the sandbox")]
    Name(#[from] NameError),
}

/// The texts of the resolver's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResolvConf {
    /// With the machine's network, or none.
    pub machine: Vec<u8>,
    /// With the network that a build has of its own.
    pub sandbox: Vec<u8>,
}

impl ResolvConf {
    /// Returns the one for a network.
    pub(crate) fn of(&self, network: NetworkMode) -> &[u8] {
        match network {
            NetworkMode::Host | NetworkMode::None => &self.machine,
            NetworkMode::Sandbox => &self.sandbox,
        }
    }
}

/// What commands see of this machine; nothing is made before a command runs.
#[derive(Debug)]
pub struct HostFiles {
    resolv_conf: ResolvConf,
    ids: IdStorage,
    // Guards that the files are prepared once; the second command waits for the first.
    prepared: Mutex<Option<Arc<Prepared>>>,
}

/// The files, prepared.
#[derive(Debug)]
pub struct Prepared {
    directory: ActiveSnapshot,
    stubs: Root,
    resolv_conf: ResolvConf,
    owner: BuilderId,
    // Guards that a file is written once; commands that share one run at the same time.
    written: Mutex<BTreeSet<Digest>>,
}

impl HostFiles {
    /// Keeps what is needed.
    pub fn new(resolv_conf: ResolvConf, ids: IdStorage) -> Self {
        Self {
            resolv_conf,
            ids,
            prepared: Mutex::new(None),
        }
    }

    /// Returns the files, prepared now if they are not.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot keep them.
    pub fn prepare(&self, store: &Store, lease: &Lease) -> Result<Arc<Prepared>, HostFilesError> {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = prepared.as_ref() {
            return Ok(Arc::clone(prepared));
        }
        let owner = container_root(self.ids);
        let made = Arc::new(Prepared {
            directory: store.snapshots().prepare(lease)?,
            stubs: stubs(store, lease, owner)?,
            resolv_conf: self.resolv_conf.clone(),
            owner,
            written: Mutex::new(BTreeSet::new()),
        });
        *prepared = Some(Arc::clone(&made));
        Ok(made)
    }
}

impl Prepared {
    /// Returns the layer of mount points that is below every image.
    pub fn stubs(&self) -> &Root {
        &self.stubs
    }

    /// Returns the text of the resolver's configuration.
    pub(crate) fn resolv_conf(&self, network: NetworkMode) -> &[u8] {
        self.resolv_conf.of(network)
    }

    /// Returns the files that every command sees, by their paths, as detached mounts.
    ///
    /// # Errors
    ///
    /// Fails when the store's file system is full.
    pub fn mounts(
        &self,
        hostname: &str,
        extra: &[ExtraHost],
        network: NetworkMode,
    ) -> Result<[(&'static str, OwnedFd); 2], HostFilesError> {
        let hosts = hosts(hostname, extra);
        Ok([
            ("/etc/hosts", self.file(hosts.as_bytes(), Mode::new(0o644))?),
            (
                "/etc/resolv.conf",
                self.file(self.resolv_conf(network), Mode::new(0o644))?,
            ),
        ])
    }

    /// Returns a file with this content, which belongs to container root, as a detached mount.
    ///
    /// # Errors
    ///
    /// As [`Self::mounts`].
    pub fn file(&self, content: &[u8], mode: Mode) -> Result<OwnedFd, HostFilesError> {
        let name = Digest::of(&[content, mode.to_string().as_bytes()].concat());
        let path = RootPath::lexical(name.encoded())?;
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if !written.contains(&name) {
            self.write(&path, content, mode)?;
            written.insert(name);
        }
        drop(written);
        // The file keeps its name: the kernel mounts nothing that was removed.
        let file = self.directory.fs().open_file(&path)?;
        Ok(runtime::bind(
            file.as_fd(),
            Submounts::Without,
            Access::ReadOnly,
        )?)
    }

    fn write(&self, path: &RootPath, content: &[u8], mode: Mode) -> Result<(), HostFilesError> {
        self.directory.fs().create_file(path)?.write_all(content)?;
        self.directory
            .fs()
            .set_owner(path, self.owner.0, self.owner.0)?;
        Ok(self.directory.fs().set_mode(path, mode)?)
    }
}

/// Returns the text of `/etc/hosts`: the lines of BuildKit's own file, so that a command sees what it
/// is used to, and what the user added, in the user's order.
pub(crate) fn hosts(hostname: &str, extra: &[ExtraHost]) -> String {
    let mut text =
        format!("127.0.0.1\tlocalhost {hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    for ExtraHost { name, address } in extra {
        text.push_str(&[&address.to_string(), "\t", name, "\n"].concat());
    }
    text
}

/// Returns the snapshot of mount points, made if the store has none.
fn stubs(store: &Store, lease: &Lease, owner: BuilderId) -> Result<Root, HostFilesError> {
    let id = SnapshotId::new(STUBS)?;
    if let Some(snapshot) = store.snapshots().open(lease, &id)? {
        return Ok(snapshot.fs);
    }
    let active = store.snapshots().prepare(lease)?;
    runtime::populate_stubs(active.fs().as_fd(), owner)?;
    Ok(active
        .commit(&id, SnapshotMeta::of(SnapshotKind::Files))?
        .fs)
}

/// Returns the id that container root has on disk.
pub(crate) fn container_root(ids: IdStorage) -> BuilderId {
    match ids {
        IdStorage::Shifted { by, .. } => BuilderId(by),
        IdStorage::Recorded => BuilderId(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_hosts_come_after_the_sandboxs_own_in_their_order() {
        let host = |name: &str, address: &str| ExtraHost {
            name: name.to_owned(),
            address: address.parse().unwrap(),
        };
        let extra = [host("z", "10.0.0.1"), host("a", "fe80:0::1")];
        assert_eq!(
            hosts("box", &extra),
            "127.0.0.1\tlocalhost box\n::1\tlocalhost ip6-localhost ip6-loopback\n\
             10.0.0.1\tz\nfe80::1\ta\n"
        );
    }
}
