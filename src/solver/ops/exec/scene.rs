//! All that a command sees, before it runs and after: where something can be mounted.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use graph::ExecOp;
use rootfs::{OwnerTable, Root};
use runtime::{RecordedOwner, SandboxSpec};
use store::ActiveSnapshot;

use super::trust::Trust;
use super::{
    Below, Ground, MountTable, lowers, make_working_directory, mounts, network, spec, users,
};
use crate::error::StepError;
use crate::job::Workshop;
use crate::trees::Tree;
use crate::worker::Step;

/// A command that is ready to run.
pub(super) struct Scene<'w> {
    /// What the sandbox is told.
    pub(super) spec: SandboxSpec,
    /// Its root.
    pub(super) ground: Ground<'w>,
    /// What is mounted over that.
    pub(super) mounts: MountTable,
    below: Below,
    lowers: Vec<Arc<Root>>,
    active: ActiveSnapshot,
    trust: Trust,
}

/// What a command left.
pub(crate) struct Left {
    /// What it changed.
    pub(crate) active: ActiveSnapshot,
    /// Owners that these files cannot hold.
    pub(crate) owners: OwnerTable,
    /// The directories of what it stood on, the lowest first.
    pub(crate) lowers: Vec<Arc<Root>>,
    /// The files that it changed in place, for the next one.
    pub(super) tree: Option<Tree>,
}

impl<'w> Scene<'w> {
    /// Prepares everything.
    pub(super) fn set(step: &Step<'w>, op: &ExecOp) -> Result<Self, StepError> {
        let workshop = step.workshop;
        let network = network(step, op);
        network.begin(workshop);
        let lowers = lowers(step, step.below()?)?;
        let active = workshop.store.snapshots().prepare(&workshop.lease)?;
        let host_files = workshop
            .host_files
            .prepare(&workshop.store, &workshop.lease)?;
        let trust = Trust::prepare(step, op)?;
        let stack = (step.below()?, lowers.as_slice());
        let files = (&*host_files, &active);
        let ground = Ground::make(workshop, step.step_id(), stack, trust.layer(), files)?;
        let user = rootfs::resolve_user(ground.view(), &op.user)?;
        users::check(workshop, ground.view(), &user)?;
        let mut ground = ground.note()?;
        make_working_directory(workshop, ground.view(), &op.working_directory)?;
        ground.furnish(&trust)?;
        let below = Below::find(workshop, step.below()?, ground.view())?;
        let network = network.settle(workshop)?;
        let mut mounts = mounts::prepare(step, op, (&host_files, network))?;
        trust.mount(&host_files, &mut mounts)?;
        let spec = SandboxSpec {
            network,
            ..spec(step, op, &user, &mounts)
        };
        Ok(Self {
            spec,
            ground,
            mounts,
            below,
            lowers,
            active,
            trust,
        })
    }

    /// Returns the mounts, and what is recorded of files that hold no attribute; once.
    pub(super) fn hand_over(&mut self) -> (Vec<OwnedFd>, Vec<RecordedOwner>) {
        let recorded = [self.below.files.clone(), self.mounts.take_recorded()].concat();
        (self.mounts.take_files(), recorded)
    }

    /// Gives back what the command had besides its root.
    pub(super) fn clear(
        &mut self,
        workshop: &Workshop,
        recorded: &[RecordedOwner],
    ) -> Result<(), StepError> {
        let mounts = std::mem::take(&mut self.mounts);
        mounts.keep_owners(workshop, recorded)
    }

    /// Returns what the command left.
    pub(super) fn strike(self, recorded: &[RecordedOwner]) -> Result<Left, StepError> {
        let Self {
            mut ground,
            below,
            active,
            lowers,
            trust,
            ..
        } = self;
        ground.put_changes(&lowers, &trust, active.fs())?;
        let owners = below.left(recorded, active.fs(), ground.view())?;
        Ok(Left {
            owners,
            tree: ground.into_tree(),
            active,
            lowers,
        })
    }
}
