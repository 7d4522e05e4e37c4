//! `RUN`: a command on an overlay of what is below, whose upper directory becomes the layer; or on a copy of that
//! (`exec/ground.rs`).

mod bind;
mod cache_mount;
mod cache_owners;
mod check;
mod environment;
mod error;
mod furniture;
mod ground;
mod in_place;
mod leftover;
mod mounts;
mod output;
mod recorded;
mod sandbox;
mod scene;
mod secret;
mod socket;
mod trust;
pub(crate) mod users;
mod volume;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use graph::{CacheKey, ExecOp, KeyInput, NetworkMode};
use oci::{Clock, Timestamp};
use rootfs::{Mode, OwnerTable, ResolvedUser, Root, RootPath};
use runtime::{
    ExecutorMode, ExitStatus, Hostname, OutputSink, RecordedOwner, SandboxSpec, SandboxUser,
    StepOutcome, Stream, Talk, TerminalSize,
};
use store::{
    ActiveSnapshot, Claim, ClaimName, Medium, SnapshotId, SnapshotKind, SnapshotMeta, Store,
};

use crate::admission::Permit;
use crate::cache::{self, Found, Ran};
use crate::earlier::Siblings;
use crate::emulation::Emulator;
use crate::error::StepError;
use crate::experience::{self, Experience};
use crate::job::Workshop;
use crate::kept;
use crate::network::UsualNetwork;
use crate::owners;
use crate::realise::{self, RealiseError};
use crate::result::{Held, Output, Stack, StackLayer};
use crate::scheduler::News;
use crate::state::Reuse;
use crate::trees::Tree;
use crate::worker::{Making, Product, Step};

pub(crate) use check::check;
pub use error::MountError;
pub(crate) use ground::Ground;
pub(crate) use mounts::{MountTable, Mounted, Source as MountedFrom};
pub use output::{CommandFailure, EmulatorCrash, FailureStatus};
pub(crate) use recorded::Below;
pub use secret::{Secret, Secrets};
pub(crate) use volume::mount as mount_volume;
pub use volume::{Volume, VolumeAccess};

pub(crate) use self::scene::Left;

use self::output::Lines;
use self::scene::Scene;

/// Runs a command and keeps what it changed.
pub(crate) fn run(step: &Step<'_>, op: &ExecOp, making: &Making) -> Result<Product, StepError> {
    let keys = making.keys()?;
    // Whoever builds the same at the same time, here or in another process, waits here and then
    // finds our result.
    let what = "waiting for another build that runs this step".to_owned();
    let claim = wait_for(step, ClaimName::Key(keys.key.digest()), what)?;
    let _claim = KeyClaim::of(step, claim);
    let is_renewed = step.job.definition.is_renewed(step.id);
    let may_reuse = step.job.options.reuse == Reuse::Yes && !is_renewed;
    if may_reuse && let Some(found) = cache::find(step, &keys.key)? {
        return on_top(step, found);
    }
    step.workshop.executor.check()?;
    let emulator = step.workshop.emulation.require(&step.vertex.platform)?;
    let trees = step.workshop.unions.trees(step.workshop);
    let made = match trees {
        Some(trees) if step.workshop.executor.mode() == ExecutorMode::Chroot => {
            in_place::execute(step, op, emulator.as_ref(), trees)
        }
        _ => execute(step, op, emulator.as_ref()),
    }?;
    let (found, tree) = keep(step, making, made)?;
    let product = on_top(step, found)?;
    if let (Some(trees), Some(tree), Output::Files(stack)) = (trees, tree, &product.output) {
        trees.keep(stack.clone(), tree);
    }
    Ok(product)
}

/// What a program says that found no room, in whichever words of its own (`strerror` of ENOSPC).
const NO_ROOM: &str = "No space left on device";

/// How much of a command is kept with its result, for people.
const DESCRIPTION_CHARS: usize = 200;

/// What a command left, and when it ran.
struct Made {
    active: ActiveSnapshot,
    ran: Ran,
    /// Owners that its files cannot hold.
    owners: OwnerTable,
    /// The files that it changed in place, where nothing can be mounted.
    tree: Option<Tree>,
}

/// Keeps what a command made under its keys, or what an earlier one had made if that is the same. Of the former, the
/// files are returned too if it changed them in place.
fn keep(step: &Step<'_>, making: &Making, made: Made) -> Result<(Found, Option<Tree>), StepError> {
    let (workshop, keys) = (step.workshop, making.keys()?);
    let below = making.below.as_ref();
    let siblings = Siblings::of(workshop, below.unwrap_or(&KeyInput::Scratch))?;
    let compares = step.job.options.reuse == Reuse::Yes;
    let same = if compares {
        siblings.find_same(workshop, (&made.active, &made.owners), made.ran)?
    } else {
        None
    };
    let (found, ran, tree) = if let Some((key, layer, ran)) = same {
        let earlier = (key != keys.key).then_some(key);
        let found = Found::made(step, keys, layer)?;
        (Found { earlier, ..found }, ran, None)
    } else {
        let layer = StackLayer {
            id: commit(step, &keys.key, (made.active, &made.owners))?,
            held: Held::Stored,
            created: Some(workshop.clock.now()),
        };
        let found = Found::made(step, keys, Arc::new(layer))?;
        (found, made.ran, made.tree)
    };
    cache::remember(workshop, keys, &found, Some(ran))?;
    if found.earlier.is_none() {
        siblings.add(workshop, &keys.key)?;
    }
    Ok((found, tree))
}

/// Puts what a command changed onto what is below.
fn on_top(step: &Step<'_>, found: Found) -> Result<Product, StepError> {
    Ok(Product {
        output: Output::Files(step.below()?.with_command(found.layer)),
        earlier: found.earlier,
    })
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

/// Returns the directories of what a command stands on, or has mounted.
fn lowers(step: &Step<'_>, stack: &Stack) -> Result<Vec<Arc<Root>>, RealiseError> {
    // Whoever unpacks the same says so.
    let waiting = Waiting::new(step, None);
    realise::lowers(step.workshop, step.step_id(), stack, &|| waiting.is_over())
}

/// Takes a name that somebody else may have, and says so while that one is waited for.
fn wait_for(step: &Step<'_>, name: ClaimName<'_>, what: String) -> Result<Claim, StepError> {
    let waiting = Waiting::new(step, Some(what));
    let claims = step.workshop.store.claims();
    let claim = claims.exclusive_or(name, &|| waiting.is_over())?;
    claim.ok_or(StepError::Cancelled)
}

/// A wait for somebody else, which is told once. Others are prepared meanwhile.
struct Waiting<'a> {
    step: &'a Step<'a>,
    what: Option<String>,
    told: AtomicBool,
}

impl<'a> Waiting<'a> {
    fn new(step: &'a Step<'a>, what: Option<String>) -> Self {
        let told = AtomicBool::new(false);
        Self { step, what, told }
    }

    /// Tells whether to give up. It is asked only when the first try was in vain.
    fn is_over(&self) -> bool {
        if !self.told.swap(true, Ordering::Relaxed) {
            if let Some(what) = self.what.clone() {
                let step = self.step.step_id();
                self.step.workshop.events.progress(&step, what, false);
            }
            self.tell(News::StepsAside);
        }
        self.step.workshop.cancel.is_cancelled()
    }

    fn tell(&self, news: News) {
        // The scheduler is gone only if it panicked.
        drop(self.step.turn.news.send(news));
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if *self.told.get_mut() {
            self.tell(News::IsBack);
        }
    }
}

/// Waits until the command may run.
fn turn<'a>(step: &Step<'a>) -> Result<Permit<'a>, StepError> {
    let workshop = step.workshop;
    // Without a budget nobody asks how much it needs.
    let budget = step.job.options.memory_budget_bytes;
    let known = budget.and_then(|_| experience::of(workshop, &step.job.definition, step.id));
    let bytes = known.map(|known| known.peak_bytes);
    let is_over = || workshop.cancel.is_cancelled();
    let permit = step.turn.admission.admit(step.turn.rank, bytes, &is_over);
    permit.ok_or(StepError::Cancelled)
}

/// Runs the command; returns what it changed.
fn execute(step: &Step<'_>, op: &ExecOp, emulator: Option<&Emulator>) -> Result<Made, StepError> {
    let workshop = step.workshop;
    let mut scene = Scene::set(step, op)?;
    let mut lines = Lines::new(step);
    let handed = scene.hand_over();
    let (spec, root) = (&scene.spec, scene.ground.mount());
    let (outcome, began) = run_command(step, (spec, root), handed, &mut lines)?;
    scene.clear(workshop, &outcome.recorded)?;
    let left = || scene.strike(&outcome.recorded);
    match FailureStatus::of(outcome.status) {
        None => made(step, left()?, (&outcome, began)),
        Some(_) if workshop.cancel.is_cancelled() => Err(StepError::Cancelled),
        Some(status) => {
            let mut failed = failure((workshop, op), (status, &outcome), lines, emulator);
            // What is not kept goes here, and with it what filled the disk.
            failed.kept = kept::keep(step, op, status, left);
            Err(failed.into())
        }
    }
}

/// Makes what a command left ready to be kept as a layer.
fn made(
    step: &Step<'_>,
    left: Left,
    (outcome, began): (&StepOutcome, Timestamp),
) -> Result<Made, StepError> {
    let workshop = step.workshop;
    let Left {
        active,
        owners,
        lowers,
        tree,
    } = left;
    let took = Experience::new(outcome.duration, outcome.peak_bytes);
    experience::remember(workshop, &step.job.definition, step.id, took);
    leftover::make(active.fs(), &lowers, workshop.ids, &workshop.clock)?;
    let ended = Clock::System.now();
    Ok(Made {
        active,
        ran: Ran { began, ended },
        owners,
        tree,
    })
}

/// Runs a command where another one failed, for whoever talks to it. Nothing of what it changes is kept.
pub(crate) fn enter(
    step: &Step<'_>,
    op: &ExecOp,
    (terminal, talk): (Option<TerminalSize>, Talk<'_>),
    output: &mut dyn OutputSink,
) -> Result<ExitStatus, StepError> {
    let workshop = step.workshop;
    workshop.executor.check()?;
    let emulator = workshop.emulation.require(&step.vertex.platform)?;
    if workshop.executor.mode() == ExecutorMode::Chroot {
        let said = (emulator.is_some(), terminal, talk);
        return in_place::enter(step, op, said, output);
    }
    let mut scene = Scene::set(step, op)?;
    scene.spec.terminal = terminal;
    let (mounts, recorded) = scene.hand_over();
    let outcome = workshop.executor.run(runtime::Step {
        spec: &scene.spec,
        root: scene.ground.mount(),
        mounts,
        output,
        talk: Some(talk),
        cancel: &workshop.cancel,
        recorded,
    })?;
    scene.clear(workshop, &outcome.recorded)?;
    Ok(outcome.status)
}

/// Runs the command to its end, below `root`; returns when it began, too.
fn run_command(
    step: &Step<'_>,
    (spec, root): (&SandboxSpec, BorrowedFd<'_>),
    (mounts, recorded): (Vec<OwnedFd>, Vec<RecordedOwner>),
    lines: &mut Lines<'_>,
) -> Result<(StepOutcome, Timestamp), StepError> {
    // Last of all: nothing that is waited for here holds up another command.
    let _permit = turn(step)?;
    let began = Clock::System.now();
    let outcome = step.workshop.executor.run(runtime::Step {
        spec,
        root,
        mounts,
        output: &mut |stream: Stream, bytes: &[u8]| lines.take(stream, bytes),
        talk: None,
        cancel: &step.workshop.cancel,
        recorded,
    })?;
    lines.flush();
    Ok((outcome, began))
}

/// Keeps what the command changed. Two runs of one key may differ, so its name is nobody else's.
fn commit(
    step: &Step<'_>,
    key: &CacheKey,
    (active, owners): (ActiveSnapshot, &OwnerTable),
) -> Result<SnapshotId, StepError> {
    let id = SnapshotId::random("run")?;
    owners::remember(step.workshop, &id, owners).map_err(RealiseError::from)?;
    let meta = SnapshotMeta {
        owner: Some(key.digest().clone()),
        description: Some(
            step.vertex
                .label
                .text
                .chars()
                .take(DESCRIPTION_CHARS)
                .collect(),
        ),
        ..SnapshotMeta::of(SnapshotKind::Upper)
    };
    active.commit_later(&id, meta)?;
    Ok(id)
}

/// Tells of a command that failed. What it wrote is still there.
fn failure(
    (workshop, op): (&Workshop, &ExecOp),
    (status, outcome): (FailureStatus, &StepOutcome),
    lines: Lines<'_>,
    emulator: Option<&Emulator>,
) -> CommandFailure {
    let last_output = lines.into_last();
    CommandFailure {
        command: op
            .argv
            .iter()
            .take(2)
            .cloned()
            .collect::<Vec<_>>()
            .join(" "),
        process: op.argv.join(" "),
        status,
        full_store: full_store(workshop.store.path(), &last_output),
        last_output,
        emulator: emulator.map(|emulator| emulator.name.clone()),
        ran_out_of_memory: outcome.ran_out_of_memory,
        crash: emulator.and_then(|emulator| EmulatorCrash::of(status, &emulator.path)),
        kept: None,
    }
}

/// Returns the store if its file system is full, or nearly so and the command said that it found no room.
fn full_store(path: &Path, last_output: &[String]) -> Option<PathBuf> {
    let medium = Medium::of(path).ok()?;
    let found_none = || last_output.iter().any(|line| line.contains(NO_ROOM));
    let is_full = medium.is_full() || (medium.is_scarce() && found_none());
    is_full.then(|| path.to_owned())
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

/// Returns which network a step asks for.
fn network(step: &Step<'_>, op: &ExecOp) -> UsualNetwork {
    match op.network {
        NetworkMode::Default => step.job.options.network,
        NetworkMode::None => UsualNetwork::Only(runtime::NetworkMode::None),
        NetworkMode::Host => UsualNetwork::Only(runtime::NetworkMode::Host),
    }
}

fn spec(step: &Step<'_>, op: &ExecOp, user: &ResolvedUser, mounts: &MountTable) -> SandboxSpec {
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
        hostname: Hostname::of_build(op.hostname.clone()),
        mounts: mounts.specs().to_vec(),
        confinement: sandbox::confinement(&op.sandbox),
        shared_memory_bytes: sandbox::shared_memory_bytes(&op.sandbox),
        limits: sandbox::limits(&op.sandbox, &step.job.options.limits),
        group: step.job.options.limits.group.clone(),
        ..SandboxSpec::new(Vec::new())
    }
}
