//! The trials in a new user namespace, with a range of ids or with one.
//!
//! ```text
//! first process                   copy
//!   │ ◄───────── Unshared ────────── │   a user and a mount namespace
//!   │ ─────────── Mapped ──────────► │   the ids of the plan
//!   │ ◄────────── Done ───────────── │   everything else
//! ```

use std::error::Error as _;
use std::os::fd::AsFd as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sched::CloneFlags;
use nix::unistd::{ForkResult, sethostname};
use rootfs::{FsError, Root, RootPath};
use serde::{Deserialize, Serialize};
use vendor_shim::idmap::IdMapError;

use super::copy::tried;
use super::{Bench, Finding, Primitive, Trial};
use crate::binfmt::{BinfmtError, BinfmtInstance};
use crate::channel::{Channel, Received};
use crate::credentials;
use crate::executor::ExecutorMode;
use crate::features::KernelFeatures;
use crate::overlay::{OverlayError, OverlayOptions, mount_overlay, open_directory};
use crate::spec::DEFAULT_HOSTNAME;
use crate::sys::mount::{self, Depth, NO_DEVICES, NO_EXECUTION, NO_SUID, Setting};
use crate::sys::{CallError, Called as _, process, security};
use crate::upper::{UpperError, try_upper};
use crate::userns::{IdMap, IdPlan, write_maps};
use crate::{memory_directory, seccomp};

/// What the copy says.
#[derive(Debug, Serialize, Deserialize)]
enum Said {
    Unshared(Finding),
    Done(Trial),
}

type Attempt = fn() -> Result<(), CallError>;

/// What is tried by root of the namespace, in this order. Each is done in a copy of its own: what fails half-way is gone
/// with it.
const ATTEMPTS: &[(Primitive, Attempt)] = &[
    (Primitive::MemoryDirectory, || memory_directory().map(drop)),
    (Primitive::Overlay, overlay),
    (Primitive::NestedNamespace, || {
        process::unshare(CloneFlags::CLONE_NEWUSER)
    }),
    (Primitive::StepNamespaces, step_namespaces),
    (Primitive::HostName, || in_step(host_name)),
    (Primitive::FreshProc, || in_step(fresh_proc)),
    (Primitive::OuterProc, || in_step(outer_proc)),
    (Primitive::NetworkNamespace, || {
        process::unshare(CloneFlags::CLONE_NEWNET)
    }),
    (Primitive::Filter, filter),
    (Primitive::Questions, questions),
    (Primitive::Emulators, emulators),
];

/// Runs the trial with the ids of `plan`; `None` if no process can be made for it.
pub(super) fn run(bench: &Bench<'_>, plan: &IdPlan) -> Option<Trial> {
    let (channel, theirs) = Channel::<Option<IdMap>, Said>::pair().ok()?;
    let child = match process::fork().ok()? {
        ForkResult::Child => {
            drop(channel);
            let told = serve(&Channel::over(theirs), bench.scratch);
            process::end(u8::from(told.is_none()))
        }
        ForkResult::Parent { child } => child,
    };
    drop(theirs);
    let trial = converse(&channel, child.as_raw().cast_unsigned(), bench, plan);
    drop(channel);
    process::wait(child).ok()?;
    Some(trial)
}

/// The side of the first process: maps the ids and gathers what is said.
fn converse(
    channel: &Channel<Option<IdMap>, Said>,
    pid: u32,
    bench: &Bench<'_>,
    plan: &IdPlan,
) -> Trial {
    let mut trial = Trial::default();
    let Ok(Received::Message(Said::Unshared(finding), _)) = channel.receive() else {
        return trial;
    };
    let is_unshared = finding.works();
    trial.findings.insert(Primitive::UserNamespace, finding);
    if !is_unshared {
        return trial;
    }
    let mapped = write_maps(pid, plan, bench.caller, bench.helpers);
    let ids = mapped.is_ok().then(|| plan.id_map());
    trial.findings.insert(Primitive::Ids, mapping(mapped));
    if channel.send(&ids, &[]).is_ok()
        && let Ok(Received::Message(Said::Done(rest), _)) = channel.receive()
    {
        // The ids are of use if they can be taken.
        trial.findings.extend(rest.findings);
    }
    trial
}

/// Says what came of mapping ids: with the helper's own words, where it was one.
fn mapping(mapped: Result<(), IdMapError>) -> Finding {
    let Err(error) = mapped else {
        return Finding::Works;
    };
    let errno = match &error {
        IdMapError::Write { source, .. } => source.raw_os_error(),
        IdMapError::Helper { .. } => None,
    };
    let mut call = error.to_string();
    if let (None, Some(cause)) = (errno, error.source()) {
        call = cause.to_string();
    }
    Finding::Refused { call, errno }
}

/// The side of the copy. What it cannot say nobody hears.
fn serve(channel: &Channel<Said, Option<IdMap>>, scratch: &Path) -> Option<()> {
    let unshared = process::unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS);
    let finding = Finding::of(unshared);
    let is_unshared = finding.works();
    channel.send(&Said::Unshared(finding), &[]).ok()?;
    if !is_unshared {
        return Some(());
    }
    let Ok(Received::Message(Some(ids), _)) = channel.receive() else {
        return Some(());
    };
    channel.send(&Said::Done(be_root(ids, scratch)), &[]).ok()
}

/// Tries what root of the namespace can do; with files in the scratch directory.
fn be_root(ids: IdMap, scratch: &Path) -> Trial {
    let mut trial = Trial::default();
    if let Err(error) = credentials::become_namespace_root(ids) {
        trial.note(Primitive::Ids, Err(error));
        return trial;
    }
    trial.note(Primitive::PrivateMounts, mount::make_private());
    for (primitive, attempt) in ATTEMPTS {
        trial.note(*primitive, tried(attempt));
    }
    trial.note(Primitive::Upper, tried(|| upper(scratch)));
    trial
}

/// Mounts an overlay over a directory that is gone afterwards.
fn upper(scratch: &Path) -> Result<(), CallError> {
    let failed = |error: FsError| {
        let errno = match &error {
            FsError::Call { source, .. } => source.raw_os_error(),
            _ => None,
        };
        let errno = errno.map_or(Errno::EINVAL, Errno::from_raw);
        CallError::new(error.to_string(), errno)
    };
    let root = Root::open(scratch).map_err(failed)?;
    let name = format!(".careen-probe-{}", std::process::id());
    let name = RootPath::strict(name).map_err(|error| failed(error.into()))?;
    root.mkdir(&name).map_err(failed)?;
    let place = root.open_dir_nofollow(&name).map_err(failed);
    let tried = place.and_then(|place| {
        let tried = try_upper(place.as_fd(), &KernelFeatures::probe());
        tried.map_err(|error| match error {
            UpperError::Overlay(OverlayError::Call { source, .. }) => source,
            UpperError::Change(error) => failed(error),
            error => CallError::new(error.to_string(), Errno::EINVAL),
        })
    });
    root.remove_all(&name).map_err(failed)?;
    tried
}

fn overlay() -> Result<(), CallError> {
    // Kernels before 6.8 find a layer by its path alone. The namespace is this copy's own, and `/dev` is on every machine.
    process::unshare(CloneFlags::CLONE_NEWNS)?;
    mount::move_mount(
        memory_directory()?.as_fd(),
        open_directory(c"/dev")?.as_fd(),
    )?;
    let layer = open_directory(c"/dev")?;
    let layers = [layer.as_fd()];
    let view = mount_overlay(
        &layers,
        None,
        OverlayOptions::default(),
        &KernelFeatures::probe(),
    );
    match view {
        Ok(_) => Ok(()),
        Err(OverlayError::Call { source, .. }) => Err(source),
        Err(error) => Err(CallError::new(error.to_string(), Errno::EINVAL)),
    }
}

fn step_namespaces() -> Result<(), CallError> {
    process::unshare(
        CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWCGROUP,
    )
}

/// Tries something as the first process of a step's namespaces.
fn in_step(attempt: Attempt) -> Result<(), CallError> {
    step_namespaces()?;
    tried(attempt)
}

fn host_name() -> Result<(), CallError> {
    sethostname(DEFAULT_HOSTNAME).called(|| format!("sethostname({DEFAULT_HOSTNAME:?})"))
}

fn fresh_proc() -> Result<(), CallError> {
    let context = mount::fsopen(c"proc")?;
    mount::fsconfig(context.as_fd(), Setting::Create)?;
    mount::fsmount(context.as_fd(), NO_SUID | NO_DEVICES | NO_EXECUTION).map(drop)
}

fn outer_proc() -> Result<(), CallError> {
    mount::open_tree(AT_FDCWD, c"/proc", Depth::Recursive).map(drop)
}

fn filter() -> Result<(), CallError> {
    match seccomp::unanswered() {
        Some(filter) => security::set_seccomp_filter(&filter),
        None => Err(no_table()),
    }
}

fn questions() -> Result<(), CallError> {
    match seccomp::filter(ExecutorMode::UsernsMulti) {
        Some(filter) => security::set_asking_filter(&filter).map(drop),
        None => Err(no_table()),
    }
}

pub(super) fn no_table() -> CallError {
    let what = "find the table of system calls of this processor";
    CallError::new(what, Errno::ENOSYS)
}

fn emulators() -> Result<(), CallError> {
    match BinfmtInstance::mount() {
        Ok(_) => Ok(()),
        Err(
            BinfmtError::Unsupported(source)
            | BinfmtError::Mount(source)
            | BinfmtError::Register { source, .. },
        ) => Err(source),
    }
}
