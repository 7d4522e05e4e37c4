//! A command that changes a tree of its own in place, where nothing can be mounted ([`crate::trees`]).
//!
//! Its layer is the difference between the tree before and after. What it is to see besides is put into the tree and
//! taken away again ([`super::furniture`]):
//!
//! | What | How |
//! | --- | --- |
//! | `/dev` | made device nodes; no terminals by name |
//! | `/proc`, `/sys` | empty directories |
//! | bundles of certificates with those of `--ca` | files in the place of the image's, which come back unless the command replaced them |
//! | the machine's files, secrets | files, on disk as long as the command runs |
//! | `type=bind` | a copy; what is written to it is discarded, also where it should be refused |
//! | `type=cache` | a copy, which becomes the cache afterwards; one command at a time |
//! | `type=tmpfs` | an empty directory, on disk and without a limit |
//! | `type=ssh`, `--volume` | refused |

use std::collections::BTreeSet;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use graph::{BindMount, ExecFile, ExecMount, ExecOp};
use layer::Baseline;
use rootfs::{Mode, OwnerTable, Root, RootPath};
use runtime::{ExitStatus, NetworkMode, OutputSink, SandboxSpec, Talk, TerminalSize};
use store::ActiveSnapshot;

use super::error::MountError;
use super::furniture::{After, Content, Furniture, Wanted};
use super::mounts::MountTable;
use super::output::{FailureStatus, Lines};
use super::trust::{StandIn, Trust};
use super::{
    Left, Made, bind, cache_mount, failure, lowers, made, make_working_directory, network,
    run_command, secret, spec,
};
use crate::authorities::PLACE;
use crate::emulation::Emulator;
use crate::error::StepError;
use crate::host_files;
use crate::kept;
use crate::network::UsualNetwork;
use crate::ops::copy;
use crate::realise;
use crate::trees::{Tree, Trees};
use crate::worker::Step;

/// The mode of a directory in memory, as `mount` makes it by itself.
const TMPFS_MODE: u32 = 0o1777;

/// Runs the command; returns what it changed.
pub(super) fn execute(
    step: &Step<'_>,
    op: &ExecOp,
    emulator: Option<&Emulator>,
    trees: &Trees,
) -> Result<Made, StepError> {
    let workshop = step.workshop;
    let mut scene = Scene::set(step, (op, emulator.is_some()), trees)?;
    let mut lines = Lines::new(step);
    let (outcome, began) = run_command(
        step,
        (&scene.spec, scene.tree.root().as_fd()),
        <_>::default(),
        &mut lines,
    )?;
    let apart = scene.clear()?;
    let left = || scene.strike(trees, &apart);
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

/// Runs a command where another one failed, for whoever talks to it.
pub(super) fn enter(
    step: &Step<'_>,
    op: &ExecOp,
    (is_emulated, terminal, talk): (bool, Option<TerminalSize>, Talk<'_>),
    output: &mut dyn OutputSink,
) -> Result<ExitStatus, StepError> {
    let workshop = step.workshop;
    let Some(trees) = workshop.unions.trees(workshop) else {
        return Err(StepError::NothingMounts);
    };
    let mut scene = Scene::set(step, (op, is_emulated), trees)?;
    scene.spec.terminal = terminal;
    let outcome = workshop.executor.run(runtime::Step {
        spec: &scene.spec,
        root: scene.tree.root().as_fd(),
        mounts: Vec::new(),
        output,
        talk: Some(talk),
        cancel: &workshop.cancel,
        recorded: Vec::new(),
    })?;
    // What becomes of caches is decided here.
    scene.clear()?;
    Ok(outcome.status)
}

/// A command that is ready to run.
struct Scene {
    spec: SandboxSpec,
    tree: Tree,
    before: Baseline,
    furniture: Furniture,
    table: MountTable,
    trust: Trust,
    lowers: Vec<Arc<Root>>,
    active: ActiveSnapshot,
}

impl Scene {
    /// Prepares everything.
    fn set(
        step: &Step<'_>,
        (op, is_emulated): (&ExecOp, bool),
        trees: &Trees,
    ) -> Result<Self, StepError> {
        let workshop = step.workshop;
        trees.tell(workshop);
        // That commands have the machine's was told already.
        let network = match network(step, op) {
            UsualNetwork::SandboxOrHost => NetworkMode::Host,
            asked @ UsualNetwork::Only(_) => asked.settle(workshop)?,
        };
        let below = step.below()?;
        let lowers = lowers(step, below)?;
        let active = workshop.store.snapshots().prepare(&workshop.lease)?;
        let tree = trees.take(workshop, step.step_id(), (below, &lowers))?;
        let user = rootfs::resolve_user(tree.root(), &op.user)?;
        let before = Baseline::record(tree.root(), tree.aside()).map_err(StepError::InPlace)?;
        make_working_directory(workshop, tree.root(), &op.working_directory)?;
        let mut table = MountTable::default();
        let trust = Trust::look(step, op, Some(tree.root()))?;
        let mut furnishing = wanted(step, (op, network), &mut table)?;
        furnishing.extend(trusted(&trust));
        let furniture = Furniture::place(&tree, furnishing)?;
        layer::next_grain(tree.aside())?;
        let spec = SandboxSpec {
            is_emulated,
            network,
            ..spec(step, op, &user, &table)
        };
        Ok(Self {
            spec,
            tree,
            before,
            furniture,
            table,
            trust,
            lowers,
            active,
        })
    }

    /// Takes away what the command was only to see; returns the paths that are no part of its changes.
    fn clear(&mut self) -> Result<BTreeSet<RootPath>, StepError> {
        let furniture = std::mem::take(&mut self.furniture);
        let apart = furniture.remove(&self.tree, &mut self.before)?;
        drop(std::mem::take(&mut self.table));
        Ok(apart)
    }

    /// Returns what the command left.
    fn strike(self, trees: &Trees, apart: &BTreeSet<RootPath>) -> Result<Left, StepError> {
        let Self {
            tree,
            before,
            trust,
            lowers,
            active,
            ..
        } = self;
        trust.take_out(tree.root())?;
        let extracted = before.extract((tree.root(), trees.form()), apart, (&lowers, active.fs()));
        extracted.map_err(StepError::InPlace)?;
        Ok(Left {
            active,
            // Here the files have their owners themselves.
            owners: OwnerTable::default(),
            lowers,
            tree: Some(tree),
        })
    }
}

/// Returns what the command is to see, what is below something else after it.
fn wanted(
    step: &Step<'_>,
    (op, network): (&ExecOp, NetworkMode),
    table: &mut MountTable,
) -> Result<Vec<Wanted>, StepError> {
    if let Some(volume) = step.job.options.volumes.first() {
        return Err(refused("a volume", &volume.target).into());
    }
    let mut wanted = machine_files(step, op, network)?;
    let mut mounts = Vec::new();
    for mount in &op.mounts {
        mounts.extend(one(step, mount, table)?);
    }
    mounts.extend(caches(step, &op.mounts, table)?);
    mounts.sort_by(|one, other| one.target.cmp(&other.target));
    wanted.extend(mounts);
    Ok(wanted)
}

/// Returns what every command sees.
fn machine_files(
    step: &Step<'_>,
    op: &ExecOp,
    network: NetworkMode,
) -> Result<Vec<Wanted>, StepError> {
    let workshop = step.workshop;
    let host_files = workshop
        .host_files
        .prepare(&workshop.store, &workshop.lease)?;
    let hosts = host_files::hosts(&op.hostname, &op.sandbox.extra_hosts);
    let read_only = Mode::new(0o555);
    let mut wanted = vec![
        place("/dev", Content::Devices),
        place("/proc", Content::Empty { mode: read_only }),
        place("/sys", Content::Empty { mode: read_only }),
        text("/etc/hosts", hosts.as_bytes(), 0o644),
        text("/etc/resolv.conf", host_files.resolv_conf(network), 0o644),
    ];
    for ExecFile {
        target,
        content,
        mode,
    } in &op.files
    {
        wanted.push(text(target, content.as_bytes(), *mode));
    }
    Ok(wanted)
}

/// Returns whom the command trusts, as it sees them.
pub(super) fn trusted(trust: &Trust) -> Vec<Wanted> {
    let stand_ins = trust.stand_ins().iter().map(|StandIn { path, bytes, .. }| {
        let bytes = bytes.clone();
        place(&path.absolute(), Content::Changed { bytes })
    });
    let bundle = trust.bundle().map(|bundle| text(PLACE, bundle, 0o444));
    stand_ins.chain(bundle).collect()
}

fn place(target: &str, content: Content) -> Wanted {
    Wanted {
        target: target.to_owned(),
        content,
    }
}

fn text(target: &str, bytes: &[u8], mode: u32) -> Wanted {
    let content = Content::Text {
        bytes: bytes.to_vec(),
        owner: (0, 0),
        mode: Mode::new(mode),
    };
    place(target, content)
}

fn refused(what: &'static str, target: &str) -> MountError {
    MountError::NothingMounts {
        what,
        target: target.to_owned(),
    }
}

/// The table of the kinds of mounts; caches are taken all at once.
fn one(
    step: &Step<'_>,
    mount: &ExecMount,
    table: &mut MountTable,
) -> Result<Option<Wanted>, StepError> {
    match mount {
        ExecMount::Bind(mount) => bound(step, mount).map(Some),
        ExecMount::Cache(_) => Ok(None),
        ExecMount::Tmpfs(mount) => {
            let mode = Mode::new(TMPFS_MODE);
            Ok(Some(place(&mount.target, Content::Empty { mode })))
        }
        ExecMount::Secret(mount) => {
            let file = secret::take(step, mount, table)?;
            Ok(file.map(|(target, secret, owner)| {
                let content = Content::Text {
                    bytes: secret.expose().to_vec(),
                    owner: (owner.uid, owner.gid),
                    mode: owner.mode,
                };
                place(target, content)
            }))
        }
        ExecMount::Ssh(mount) => match step.job.options.ssh.get(&mount.id) {
            None if !mount.required => Ok(None),
            _ => Err(refused("the socket of an SSH agent", &mount.target).into()),
        },
    }
}

/// Returns a copy of the files of a stage, an image or a context.
fn bound(step: &Step<'_>, mount: &BindMount) -> Result<Wanted, StepError> {
    let stack = bind::stack(step, mount.input)?;
    let path = bind::source_path(&mount.source)?;
    let view = realise::view(step.workshop, step.step_id(), stack)?;
    let Some(root) = view.root() else {
        if path.is_root() {
            let mode = Mode::new(0o755);
            return Ok(place(&mount.target, Content::Empty { mode }));
        }
        return Err(not_found(&mount.source, None).into());
    };
    let failed = |source| MountError::File {
        target: mount.target.clone(),
        source,
    };
    let path = root.resolve(&path).map_err(failed)?;
    if root.metadata(&path).map_err(failed)?.is_none() {
        return Err(not_found(&mount.source, copy::similar(root, &path)).into());
    }
    let content = Content::Copy {
        from: Arc::clone(root),
        path,
        after: After::Discard,
    };
    Ok(place(&mount.target, content))
}

fn not_found(path: &str, similar: Option<String>) -> MountError {
    MountError::SourceNotFound {
        path: path.to_owned(),
        place: "the file system that is mounted from".to_owned(),
        similar,
    }
}

/// Returns copies of the caches of a command.
fn caches(
    step: &Step<'_>,
    mounts: &[ExecMount],
    table: &mut MountTable,
) -> Result<Vec<Wanted>, StepError> {
    let taken = cache_mount::take_all_alone(step, mounts, table)?;
    let wanted = taken.into_iter().map(|(mount, directory)| {
        let path = cache_mount::path_in(mount, &directory)?;
        let from = directory
            .fs
            .try_clone()
            .map_err(|source| MountError::File {
                target: mount.target.clone(),
                source,
            })?;
        let after = match mount.access {
            graph::MountAccess::ReadOnly => After::Discard,
            graph::MountAccess::ReadWrite => After::Keep,
        };
        let from = Arc::new(from);
        Ok(place(&mount.target, Content::Copy { from, path, after }))
    });
    wanted.collect()
}
