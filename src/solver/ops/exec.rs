//! `RUN`: a command on an overlay of what is below, whose upper directory becomes the layer.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use graph::{CacheKey, ExecFile, ExecOp, NetworkMode};
use rootfs::{Mode, ResolvedUser, Root, RootPath};
use runtime::{
    Access, ExitStatus, MountSource, MountSpec, OverlayOptions, SandboxSpec, SandboxUser, Stream,
    TargetKind, Upper,
};
use store::{ActiveSnapshot, Claim, ClaimName, SnapshotId, SnapshotKind, SnapshotMeta};

use crate::cache;
use crate::emulation::Emulator;
use crate::error::StepError;
use crate::event::{Event, OutputStream};
use crate::host_files::Prepared;
use crate::owners;
use crate::realise;
use crate::result::{Held, Output, StackLayer};
use crate::state::Reuse;
use crate::worker::{Making, Step};

/// How many of a failed command's last lines its error repeats.
const LAST_LINES: usize = 20;

/// A line longer than this is passed on in parts, so that memory stays bounded.
const LINE_LIMIT_BYTES: usize = 64 * 1024;

/// A command that ran and did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("RUN failed: `{}` {status}", command)]
pub struct CommandFailure {
    /// The start of its argument vector, as the user would recognise it.
    pub command: String,
    /// How it ended.
    pub status: FailureStatus,
    /// The last lines that it wrote.
    pub last_output: Vec<String>,
    /// What ran it, if it was emulated.
    pub emulator: Option<String>,
}

/// How a command ended that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureStatus {
    /// With a status other than 0.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

impl fmt::Display for FailureStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with status {code}"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
        }
    }
}

/// Runs a command and keeps what it changed.
pub(crate) fn run(step: &Step<'_>, op: &ExecOp, making: Making) -> Result<Output, StepError> {
    let key = making.key.ok_or(StepError::MissingInput { index: 0 })?;
    let below = step.below()?;
    // Whoever builds the same at the same time, here or in another process, waits here and then
    // finds our result.
    let told = Cell::new(false);
    let cancelled = || {
        // Asked only when the first try was in vain.
        if !told.replace(true) {
            tell_waiting(step);
        }
        step.workshop.cancel.is_cancelled()
    };
    let claims = step.workshop.store.claims();
    let claim = claims.exclusive_or(ClaimName::Key(key.digest()), &cancelled)?;
    let _claim: Claim = claim.ok_or(StepError::Cancelled)?;
    let may_reuse = step.job.options.reuse == Reuse::Yes;
    if may_reuse && let Some(layer) = cache::find(step.workshop, &key)? {
        return Ok(Output::Files(below.with(layer)));
    }
    let emulator = step.workshop.emulation.require(&step.vertex.platform)?;
    let id = execute(step, op, &key, emulator.as_ref())?;
    let layer = StackLayer {
        id,
        held: Held::Stored,
        created: Some(step.workshop.clock.now()),
    };
    cache::remember(step.workshop, &key, &layer)?;
    Ok(Output::Files(below.with(Arc::new(layer))))
}

fn tell_waiting(step: &Step<'_>) {
    step.workshop.events.emit(Event::Progress {
        step: step.step_id(),
        what: "waiting for another build that runs this step".to_owned(),
        done: false,
    });
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
    let root = mount_root(step, &host_files, &lowers, &active)?;
    let view = Root::from_fd(root.try_clone().map_err(StepError::Descriptor)?, "/");
    let user = rootfs::resolve_user(&view, &op.user)?;
    let (mounts, files) = mounts(&host_files, op)?;
    let spec = spec(step, op, &user, mounts);
    make_working_directory(step, &view, op)?;
    drop(view);
    let mut lines = Lines::new(step);
    let outcome = workshop.executor.run(runtime::Step {
        spec: &spec,
        root: root.as_fd(),
        mounts: files,
        output: &mut |stream: Stream, bytes: &[u8]| lines.take(stream, bytes),
        cancel: &workshop.cancel,
    })?;
    lines.flush();
    drop(root);
    let status = match outcome.status {
        ExitStatus::Code(0) => None,
        ExitStatus::Code(code) => Some(FailureStatus::Code(code)),
        ExitStatus::Signal(signal) => Some(FailureStatus::Signal(signal)),
    };
    match status {
        None => commit(key, active),
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
    active.commit(&id, meta)?;
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
        last_output: lines.last.into(),
        emulator: emulator.map(|emulator| emulator.name.clone()),
    }
}

/// Mounts the overlay, detached: what is below, the mount points, and the active snapshot on top.
fn mount_root(
    step: &Step<'_>,
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
        &step.workshop.features,
    )?)
}

/// Makes the working directory if the image does not have it, as BuildKit does.
fn make_working_directory(step: &Step<'_>, view: &Root, op: &ExecOp) -> Result<(), StepError> {
    let wanted = RootPath::lexical(&op.working_directory).map_err(|source| {
        crate::ops::copy::CopyError::Path {
            path: op.working_directory.clone(),
            source,
        }
    })?;
    let target = view.resolve(&wanted)?;
    if view.metadata(&target)?.is_some() {
        return Ok(());
    }
    for made in view.mkdir_all(&target, Mode::new(0o755))? {
        let root = step.workshop.ids.to_disk(0).unwrap_or_default();
        if step.workshop.ids != rootfs::IdStorage::Recorded {
            view.set_owner(&made, root, root)?;
        }
    }
    Ok(())
}

/// Returns the mounts of a command and their descriptors.
fn mounts(host_files: &Prepared, op: &ExecOp) -> Result<(Vec<MountSpec>, Vec<OwnedFd>), StepError> {
    let mut specs = Vec::new();
    let mut files = Vec::new();
    for (target, file) in host_files.mounts(&op.hostname)? {
        specs.push(file_mount(target, files.len()));
        files.push(file);
    }
    for ExecFile {
        target,
        content,
        mode,
    } in &op.files
    {
        specs.push(file_mount(target, files.len()));
        files.push(host_files.file(content.as_bytes(), Mode::new(*mode))?);
    }
    Ok((specs, files))
}

fn file_mount(target: &str, index: usize) -> MountSpec {
    MountSpec {
        target: target.as_bytes().to_vec(),
        source: MountSource::Descriptor(index),
        kind: TargetKind::File,
        access: Access::ReadOnly,
    }
}

fn spec(step: &Step<'_>, op: &ExecOp, user: &ResolvedUser, mounts: Vec<MountSpec>) -> SandboxSpec {
    let mut env: Vec<Vec<u8>> = op
        .env
        .iter()
        .map(|entry| entry.clone().into_bytes())
        .collect();
    let untracked = step.job.options.untracked_env.iter();
    let is_set = |name: &str| {
        op.env
            .iter()
            .any(|entry| entry.split('=').next() == Some(name))
    };
    let added = untracked.filter(|entry| !is_set(entry.split('=').next().unwrap_or_default()));
    env.extend(added.map(|entry| entry.clone().into_bytes()));
    if !is_set("HOME") {
        let home = user.home.clone().unwrap_or_else(|| b"/".to_vec());
        env.push([b"HOME=".as_slice(), &home].concat());
    }
    let network = match op.network {
        NetworkMode::Default => step.job.options.network,
        NetworkMode::None => runtime::NetworkMode::None,
        NetworkMode::Host => runtime::NetworkMode::Host,
    };
    SandboxSpec {
        arguments: op.argv.iter().map(|arg| arg.clone().into_bytes()).collect(),
        environment: env,
        working_directory: op.working_directory.clone().into_bytes(),
        user: SandboxUser {
            uid: user.uid,
            gid: user.gid,
            groups: user.groups.clone(),
        },
        hostname: op.hostname.clone(),
        network,
        mounts,
    }
}

/// Cuts output into lines, tells them, and keeps the last.
struct Lines<'a> {
    step: &'a Step<'a>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    last: VecDeque<String>,
}

impl<'a> Lines<'a> {
    fn new(step: &'a Step<'a>) -> Self {
        Self {
            step,
            stdout: Vec::new(),
            stderr: Vec::new(),
            last: VecDeque::new(),
        }
    }

    fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let pending = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        pending.extend_from_slice(bytes);
        let end = match pending.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => end + 1,
            None if pending.len() >= LINE_LIMIT_BYTES => pending.len(),
            None => return,
        };
        let text = pending.drain(..end).collect();
        self.tell(stream, text);
    }

    fn flush(&mut self) {
        for (stream, text) in [
            (Stream::Stdout, std::mem::take(&mut self.stdout)),
            (Stream::Stderr, std::mem::take(&mut self.stderr)),
        ] {
            if !text.is_empty() {
                self.tell(stream, text);
            }
        }
    }

    fn tell(&mut self, stream: Stream, text: Vec<u8>) {
        for line in text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            if self.last.len() == LAST_LINES {
                self.last.pop_front();
            }
            self.last
                .push_back(String::from_utf8_lossy(line).into_owned());
        }
        let stream = match stream {
            Stream::Stdout => OutputStream::Stdout,
            Stream::Stderr => OutputStream::Stderr,
        };
        let event = Event::Output {
            step: self.step.step_id(),
            stream,
            text,
        };
        self.step.workshop.events.emit(event);
    }
}
