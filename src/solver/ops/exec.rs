//! `RUN`: a command on an overlay of what is below, whose upper directory becomes the layer.

mod bind;
mod cache_mount;
mod check;
mod environment;
mod error;
mod leftover;
mod mounts;
mod output;
mod sandbox;
mod secret;
mod socket;
mod volume;

use std::cell::Cell;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use graph::{CacheKey, ExecOp, NetworkMode};
use rootfs::{Mode, ResolvedUser, Root, RootPath};
use runtime::{OverlayOptions, SandboxSpec, SandboxUser, Stream, Upper};
use store::{ActiveSnapshot, Claim, ClaimName, SnapshotId, SnapshotKind, SnapshotMeta, Store};

use crate::cache;
use crate::emulation::Emulator;
use crate::error::StepError;
use crate::event::Event;
use crate::host_files::Prepared;
use crate::job::Workshop;
use crate::owners;
use crate::realise;
use crate::result::{Held, Output, StackLayer};
use crate::state::Reuse;
use crate::worker::{Making, Step};

pub(crate) use check::check;
pub use error::MountError;
pub(crate) use mounts::{MountTable, Mounted, Source as MountedFrom};
pub use output::{CommandFailure, FailureStatus};
pub use secret::{Secret, Secrets};
pub(crate) use volume::mount as mount_volume;
pub use volume::{Volume, VolumeAccess};

use self::output::Lines;

/// Runs a command and keeps what it changed.
pub(crate) fn run(step: &Step<'_>, op: &ExecOp, making: Making) -> Result<Output, StepError> {
    let key = making.key.ok_or(StepError::MissingInput { index: 0 })?;
    let below = step.below()?;
    // Whoever builds the same at the same time, here or in another process, waits here and then
    // finds our result.
    let waiting = Waiting::new(
        step,
        "waiting for another build that runs this step".to_owned(),
    );
    let claims = step.workshop.store.claims();
    let claim = claims.exclusive_or(ClaimName::Key(key.digest()), &|| waiting.is_over())?;
    let _claim = KeyClaim::of(step, claim.ok_or(StepError::Cancelled)?);
    let is_renewed = step.job.definition.is_renewed(step.id);
    let may_reuse = step.job.options.reuse == Reuse::Yes && !is_renewed;
    if may_reuse && let Some(layer) = cache::find(step, &key)? {
        return Ok(Output::Files(below.with(layer)));
    }
    let emulator = step.workshop.emulation.require(&step.vertex.platform)?;
    let id = execute(step, op, &key, emulator.as_ref())?;
    let layer = StackLayer {
        id,
        held: Held::Stored,
        created: Some(step.workshop.clock.now()),
    };
    // The definition's record names the content's, which is written first.
    cache::remember(step.workshop, &key, &layer)?;
    if let Some(definition) = &making.definition {
        cache::remember_alias(step.workshop, definition, &key, &layer)?;
    }
    Ok(Output::Files(below.with(Arc::new(layer))))
}

/// The right to carry out a step, until its result can be found by whoever waits for it.
struct KeyClaim<'a> {
    store: &'a Store,
    claim: Option<Claim>,
}

impl<'a> KeyClaim<'a> {
    fn of(step: &Step<'a>, claim: Claim) -> Self {
        Self {
            store: &step.workshop.store,
            claim: Some(claim),
        }
    }
}

impl Drop for KeyClaim<'_> {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            self.store.give_back(claim);
        }
    }
}

/// A wait for somebody else, which is told once.
struct Waiting<'a> {
    step: &'a Step<'a>,
    what: String,
    told: Cell<bool>,
}

impl<'a> Waiting<'a> {
    fn new(step: &'a Step<'a>, what: String) -> Self {
        let told = Cell::new(false);
        Self { step, what, told }
    }

    /// Tells whether to give up. It is asked only when the first try was in vain.
    fn is_over(&self) -> bool {
        if !self.told.replace(true) {
            self.step.workshop.events.emit(Event::Progress {
                step: self.step.step_id(),
                what: self.what.clone(),
                done: false,
            });
        }
        self.step.workshop.cancel.is_cancelled()
    }
}

/// Runs the command; returns the snapshot of what it changed.
fn execute(
    step: &Step<'_>,
    op: &ExecOp,
    key: &CacheKey,
    emulator: Option<&Emulator>,
) -> Result<SnapshotId, StepError> {
    let workshop = step.workshop;
    let lowers = realise::lowers(workshop, step.step_id(), step.below()?)?;
    let active = workshop.store.snapshots().prepare(&workshop.lease)?;
    let host_files = workshop
        .host_files
        .prepare(&workshop.store, &workshop.lease)?;
    owners::inherit_top(workshop, active.fs(), lowers.last())?;
    let root = mount_root(workshop, &host_files, &lowers, &active)?;
    let view = Root::from_fd(root.try_clone().map_err(StepError::Descriptor)?, "/");
    let user = rootfs::resolve_user(&view, &op.user)?;
    make_working_directory(workshop, &view, &op.working_directory)?;
    drop(view);
    let mut mounts = mounts::prepare(step, op, &host_files)?;
    let files = mounts.take_files();
    let spec = spec(step, op, &user, &mounts);
    let mut lines = Lines::new(step);
    let outcome = workshop.executor.run(runtime::Step {
        spec: &spec,
        root: root.as_fd(),
        mounts: files,
        output: &mut |stream: Stream, bytes: &[u8]| lines.take(stream, bytes),
        talk: None,
        cancel: &workshop.cancel,
    })?;
    lines.flush();
    drop((root, mounts));
    match FailureStatus::of(outcome.status) {
        None => {
            leftover::make(active.fs(), &lowers, workshop.ids, &workshop.clock)?;
            commit(key, active)
        }
        Some(_) if workshop.cancel.is_cancelled() => Err(StepError::Cancelled),
        Some(status) => Err(failure(op, status, lines, emulator).into()),
    }
}

/// Keeps what the command changed. Two runs of one key may differ, so its name is nobody else's.
fn commit(key: &CacheKey, active: ActiveSnapshot) -> Result<SnapshotId, StepError> {
    let id = SnapshotId::random("run")?;
    let meta = SnapshotMeta {
        owner: Some(key.digest().clone()),
        ..SnapshotMeta::of(SnapshotKind::Upper)
    };
    active.commit_later(&id, meta)?;
    Ok(id)
}

fn failure(
    op: &ExecOp,
    status: FailureStatus,
    lines: Lines<'_>,
    emulator: Option<&Emulator>,
) -> CommandFailure {
    CommandFailure {
        command: op
            .argv
            .iter()
            .take(2)
            .cloned()
            .collect::<Vec<_>>()
            .join(" "),
        status,
        last_output: lines.into_last(),
        emulator: emulator.map(|emulator| emulator.name.clone()),
    }
}

/// Mounts the overlay, detached: what is below, the mount points, and the active snapshot on top.
pub(crate) fn mount_root(
    workshop: &Workshop,
    host_files: &Prepared,
    lowers: &[Arc<Root>],
    active: &ActiveSnapshot,
) -> Result<OwnedFd, StepError> {
    let mut layers: Vec<_> = lowers.iter().rev().map(|root| root.as_fd()).collect();
    layers.push(host_files.stubs().as_fd());
    let upper = Some(Upper {
        upper: active.fs().as_fd(),
        work: active.work().as_fd(),
    });
    // Whoever dies before the commit leaves nothing that is used: the kernel need not sync.
    let options = OverlayOptions { volatile: true };
    Ok(runtime::mount_overlay(
        &layers,
        upper,
        options,
        &workshop.features,
    )?)
}

/// Makes the working directory if the image does not have it, as BuildKit does.
pub(crate) fn make_working_directory(
    workshop: &Workshop,
    view: &Root,
    path: &str,
) -> Result<(), StepError> {
    let wanted = RootPath::lexical(path).map_err(|source| crate::ops::copy::CopyError::Path {
        path: path.to_owned(),
        source,
    })?;
    let target = view.resolve(&wanted)?;
    if view.metadata(&target)?.is_some() {
        return Ok(());
    }
    for made in view.mkdir_all(&target, Mode::new(0o755))? {
        let root = workshop.ids.to_disk(0).unwrap_or_default();
        if workshop.ids != rootfs::IdStorage::Recorded {
            view.set_owner(&made, root, root)?;
        }
    }
    Ok(())
}

fn spec(step: &Step<'_>, op: &ExecOp, user: &ResolvedUser, mounts: &MountTable) -> SandboxSpec {
    let network = match op.network {
        NetworkMode::Default => step.job.options.network,
        NetworkMode::None => runtime::NetworkMode::None,
        NetworkMode::Host => runtime::NetworkMode::Host,
    };
    SandboxSpec {
        arguments: op.argv.iter().map(|arg| arg.clone().into_bytes()).collect(),
        environment: environment::of(step, op, user, mounts),
        secret_environment: mounts.secrets().to_vec(),
        working_directory: op.working_directory.clone().into_bytes(),
        user: SandboxUser {
            uid: user.uid,
            gid: user.gid,
            groups: user.groups.clone(),
        },
        hostname: op.hostname.clone(),
        network,
        mounts: mounts.specs().to_vec(),
        confinement: sandbox::confinement(&op.sandbox),
        shared_memory_bytes: sandbox::shared_memory_bytes(&op.sandbox),
        limits: sandbox::limits(&op.sandbox),
        ..SandboxSpec::new(Vec::new())
    }
}
