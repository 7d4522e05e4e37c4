//! The executor that needs user namespaces, with many ids or with one.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use tracing::{debug, info_span};
use vendor_shim::network::{NetworkError, UserNetwork};

use crate::cancel::CancelToken;
use crate::cgroup::{ControlGroups, Group, GroupError, GroupLimits};
use crate::executor::{
    ExecError, Executor, ExecutorMode, Protections, SpecificationError, Step, StepOutcome,
};
use crate::features::KernelFeatures;
use crate::landlock::Wall;
use crate::network::{BuildNetwork, NetworkFailure};
use crate::notify::Supervisor;
use crate::parent::{Proceeded, Proceeding, Running, Spawned};
use crate::protocol::{OpenFiles, Setup};
use crate::rlimit::{LimitedResource, ResourceLimit};
use crate::spec::{Access, Confinement, MountSource, NetworkMode, ProcSource, SandboxSpec};
use crate::starter::Starter;
use crate::stubs;
use crate::sys::socket::DESCRIPTORS_LIMIT;
use crate::userns::{Builder, BuilderId, CommandNamespace, IdMap, SandboxId};

/// How many descriptors of a message are not for mounts: the root, the user namespace, the network, and what is read.
const OTHER_DESCRIPTORS: usize = 4;

/// Runs each command in namespaces of its own, as ids that the builder maps.
#[derive(Debug)]
pub struct Namespaces {
    ids: IdMap,
    open_files: OpenFiles,
    protections: Protections,
    proc: ProcSource,
    /// Made when the first command runs, because most builds run none. Guards that it is made once;
    /// steps start in several threads.
    ground: Mutex<Option<Arc<Ground>>>,
    network: BuildNetwork,
    /// Where commands have control groups, if they are to have such.
    groups: OnceLock<ControlGroups>,
}

/// What all sandboxes of a build have in common.
#[derive(Debug)]
struct Ground {
    starter: Starter,
    namespace: CommandNamespace,
}

impl Namespaces {
    /// Prepares to run commands for `builder`. Nothing is started yet.
    pub fn new(builder: &Builder, features: &KernelFeatures) -> Self {
        Self {
            ids: builder.ids(),
            open_files: builder.open_files(),
            protections: Protections::of(*features),
            proc: ProcSource::Fresh,
            ground: Mutex::new(None),
            network: BuildNetwork::new(Err(NetworkFailure::Unsupported)),
            groups: OnceLock::new(),
        }
    }

    /// Has the build's own network connected by `helper`, if a command asks for one; or says why there is none.
    #[must_use]
    pub fn with_network(self, helper: Result<Arc<dyn UserNetwork>, NetworkError>) -> Self {
        Self {
            network: BuildNetwork::new(helper.map_err(NetworkFailure::Connect)),
            ..self
        }
    }

    /// Has the `/proc` of commands be from somewhere else.
    #[must_use]
    pub fn with_proc(self, proc: ProcSource) -> Self {
        Self { proc, ..self }
    }

    fn ground(&self) -> Result<Arc<Ground>, ExecError> {
        // A thread that panicked here has left nothing half-made.
        let mut ground = self.ground.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = ground.as_ref() {
            return Ok(Arc::clone(made));
        }
        let starter = Starter::spawn(self.ids.mode()).map_err(ExecError::Starter)?;
        let namespace =
            CommandNamespace::create(self.ids, &starter).map_err(ExecError::Namespace)?;
        let made = Arc::new(Ground { starter, namespace });
        *ground = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Makes a user namespace for one step where its `/proc` shows the processes of others: the kernel keeps it from
    /// what a process of another user namespace has open, and from its variables (`ptrace(2)`, "Ptrace access mode
    /// checking").
    fn own_namespace(&self, starter: &Starter) -> Result<Option<CommandNamespace>, ExecError> {
        match self.proc {
            ProcSource::Fresh => Ok(None),
            ProcSource::Outer => CommandNamespace::create(self.ids, starter)
                .map(Some)
                .map_err(ExecError::Namespace),
        }
    }

    /// Starts the sandbox and its command, in `group` if it has one.
    fn start(&self, step: &Step<'_>, group: Option<&Group>) -> Result<Running, ExecError> {
        let owner = self.owner(step.spec)?;
        let ground = self.ground()?;
        let network = self.network_of(step)?;
        let own = self.own_namespace(&ground.starter)?;
        let namespace = own.as_ref().unwrap_or(&ground.namespace);
        let reads = step.talk.as_ref().is_some_and(|talk| talk.input.is_some());
        let input = (reads && step.spec.terminal.is_none()).then_some(owner);
        let (spawned, input) = Spawned::spawn(&ground.starter, owner, input)?;
        if let Some(group) = group {
            group.add(spawned.id()).map_err(ExecError::Group)?;
        }
        let descriptors: Vec<BorrowedFd<'_>> = [step.root]
            .into_iter()
            .chain(namespace.descriptor())
            .chain(network.iter().map(|network| network.as_fd()))
            .chain(input.as_ref().map(AsFd::as_fd))
            .chain(step.mounts.iter().map(|mount| mount.as_fd()))
            .collect();
        let mut setup = self.setup(step.spec, namespace.descriptor().is_some());
        setup.has_input = input.is_some();
        let supervisor = Supervisor::new(self.ids, setup.spec.user.clone(), step.recorded.clone());
        let isolated = match spawned.isolate(setup, &descriptors, step.cancel)? {
            Proceeding::Isolated(isolated) => isolated,
            Proceeding::Failed(failure) => {
                return Err(ExecError::from_failure(&failure, step.spec));
            }
        };
        match isolated.proceed(supervisor, step.spec.terminal, step.cancel)? {
            Proceeded::Running(running) => Ok(running),
            Proceeded::Failed(failure) => Err(ExecError::from_failure(&failure, step.spec)),
        }
    }

    /// Returns the network that the command is to join, if it is not made for it.
    fn network_of(&self, step: &Step<'_>) -> Result<Option<Arc<OwnedFd>>, ExecError> {
        if step.spec.network != NetworkMode::Sandbox {
            return Ok(None);
        }
        self.begin_network();
        let network = self.network.wait(step.cancel);
        network.map(Some).map_err(ExecError::Network)
    }

    /// Makes the control group of a command that is to have one.
    fn group_of(&self, limits: Option<&GroupLimits>) -> Result<Option<Group>, ExecError> {
        let Some(limits) = limits else {
            return Ok(None);
        };
        let groups = self.groups.get().ok_or(GroupError::Unsupported);
        let group = groups.and_then(|groups| groups.create(limits));
        group.map(Some).map_err(ExecError::Group)
    }

    fn setup(&self, spec: &SandboxSpec, joins_user_namespace: bool) -> Setup {
        let mut spec = spec.clone();
        if !spec.user.groups.contains(&spec.user.gid) {
            spec.user.groups.push(spec.user.gid);
        }
        let wall = Wall::around(&spec, self.protections);
        Setup {
            spec,
            ids: self.ids,
            joins_user_namespace,
            has_input: false,
            open_files: self.open_files,
            wall,
            proc: self.proc,
        }
    }

    /// Returns the command's user and group as the builder has them.
    fn owner(&self, spec: &SandboxSpec) -> Result<(BuilderId, BuilderId), ExecError> {
        let ids = |id| {
            let count = self.ids.count();
            let unmapped = SpecificationError::UnmappedId { id, count };
            self.ids
                .builder_id(SandboxId(id))
                .ok_or(ExecError::Specification(unmapped))
        };
        if self.ids.mode() == ExecutorMode::UsernsSingle && self.is_answered(spec) {
            check_real_time(spec)?;
            // Whoever it seems to be.
            return Ok((ids(0)?, ids(0)?));
        }
        // With one id nobody's groups can be changed, so what an image says of them has no effect.
        if self.ids.mode() != ExecutorMode::UsernsSingle {
            for group in &spec.user.groups {
                ids(*group)?;
            }
        }
        Ok((ids(spec.user.uid)?, ids(spec.user.gid)?))
    }

    /// Tells whether a command has a filter, whose questions are answered.
    fn is_answered(&self, spec: &SandboxSpec) -> bool {
        self.protections.seccomp && spec.confinement == Confinement::Container
    }
}

impl Executor for Namespaces {
    fn mode(&self) -> ExecutorMode {
        self.ids.mode()
    }

    fn protections(&self) -> Protections {
        self.protections
    }

    fn begin_network(&self) {
        // Without what all sandboxes need there is no command either, and that says so.
        if let Ok(ground) = self.ground() {
            self.network
                .begin(self.ids, (&ground.starter, &ground.namespace));
        }
    }

    fn await_network(&self, cancel: &CancelToken) -> Result<(), Arc<NetworkFailure>> {
        self.begin_network();
        self.network.wait(cancel).map(drop)
    }

    fn end_network(&self) {
        self.network.end();
    }

    fn find_groups(&self, limits: &GroupLimits, parent: Option<&str>) -> Result<(), GroupError> {
        let found = ControlGroups::find(limits, parent)?;
        // Who asked before has found the same.
        drop(self.groups.set(found));
        Ok(())
    }

    fn run(&self, step: Step<'_>) -> Result<StepOutcome, ExecError> {
        let _span = info_span!("sandbox").entered();
        check(step.spec, step.mounts.len()).map_err(ExecError::Specification)?;
        let started = Instant::now();
        let group = self.group_of(step.spec.group.as_ref())?;
        let running = self.start(&step, group.as_ref())?;
        let Step {
            mounts,
            output,
            talk,
            cancel,
            ..
        } = step;
        // The sandbox has them now.
        drop(mounts);
        debug!(set_up = ?started.elapsed(), "command started");
        let ran_out = || group.as_ref().is_some_and(Group::ran_out_of_memory);
        let exited = running.wait(output, talk.as_ref(), cancel);
        let exited = exited.map_err(|error| match error {
            ExecError::Lost if ran_out() => ExecError::OutOfMemory,
            error => error,
        })?;
        // Of a root that cannot be written nothing is kept.
        if step.spec.root_access == Access::ReadWrite {
            stubs::remove(exited.stubs).map_err(ExecError::CleanUp)?;
        }
        let outcome = StepOutcome {
            status: exited.status,
            duration: started.elapsed(),
            peak_bytes: exited.peak_bytes,
            ran_out_of_memory: ran_out(),
            recorded: exited.recorded,
        };
        debug!(status = %outcome.status, duration = ?outcome.duration, "command ended");
        Ok(outcome)
    }
}

/// Refuses limits that are needed for something else where there is one id.
fn check_real_time(spec: &SandboxSpec) -> Result<(), ExecError> {
    let mut limits = spec.limits.iter();
    let differs = |limit: &ResourceLimit| {
        limit.resource == LimitedResource::RealTime && limit.soft != limit.hard
    };
    if limits.any(differs) {
        return Err(ExecError::Specification(SpecificationError::RealTimeLimits));
    }
    Ok(())
}

/// Refuses a specification that cannot be meant.
pub(crate) fn check(spec: &SandboxSpec, passed: usize) -> Result<(), SpecificationError> {
    if spec.arguments.is_empty() {
        return Err(SpecificationError::NoCommand);
    }
    if spec.working_directory.first() != Some(&b'/') {
        return Err(SpecificationError::RelativeWorkingDirectory);
    }
    let has_zero = |text: &Vec<u8>| text.contains(&0);
    let texts = [
        ("an argument", spec.arguments.iter().any(has_zero)),
        ("a variable", spec.environment.iter().any(has_zero)),
        (
            "a variable that holds a secret",
            spec.secret_environment
                .iter()
                .any(|secret| secret.entry().contains(&0)),
        ),
        ("the working directory", has_zero(&spec.working_directory)),
        (
            "the target of a mount",
            spec.mounts.iter().any(|mount| has_zero(&mount.target)),
        ),
    ];
    if let Some((what, _)) = texts.into_iter().find(|(_, found)| *found) {
        return Err(SpecificationError::ZeroByte { what });
    }
    let limit = DESCRIPTORS_LIMIT - OTHER_DESCRIPTORS;
    if passed > limit {
        return Err(SpecificationError::TooManyMounts { passed, limit });
    }
    check_sources(spec, passed)
}

/// Refuses mounts whose descriptors are not there, or not there any more.
fn check_sources(spec: &SandboxSpec, passed: usize) -> Result<(), SpecificationError> {
    let mut used = BTreeSet::new();
    for mount in &spec.mounts {
        let MountSource::Descriptor(index) = mount.source else {
            continue;
        };
        if index >= passed {
            return Err(SpecificationError::NoSuchMount { index, passed });
        }
        if !used.insert(index) {
            return Err(SpecificationError::MountUsedTwice { index });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{MountSpec, TargetKind};

    fn spec() -> SandboxSpec {
        SandboxSpec::new(vec![b"true".to_vec()])
    }

    fn descriptor(index: usize) -> Vec<MountSpec> {
        vec![MountSpec {
            target: b"/mnt".to_vec(),
            source: MountSource::Descriptor(index),
            kind: TargetKind::Directory,
            access: Access::ReadOnly,
        }]
    }

    #[test]
    fn a_specification_that_can_be_meant_is_taken() {
        assert_eq!(check(&spec(), 0), Ok(()));
        assert_eq!(
            check(
                &SandboxSpec {
                    mounts: descriptor(0),
                    ..spec()
                },
                1
            ),
            Ok(())
        );
    }

    #[test]
    fn a_text_that_no_system_call_takes_is_refused() {
        let cases = [
            (SandboxSpec::new(vec![b"a\0b".to_vec()]), "an argument"),
            (
                SandboxSpec {
                    environment: vec![b"A=\0".to_vec()],
                    ..spec()
                },
                "a variable",
            ),
            (
                SandboxSpec {
                    working_directory: b"/\0".to_vec(),
                    ..spec()
                },
                "the working directory",
            ),
        ];
        for (spec, what) in cases {
            assert_eq!(check(&spec, 0), Err(SpecificationError::ZeroByte { what }));
        }
    }

    #[test]
    fn a_specification_that_cannot_be_meant_is_refused() {
        let relative = SandboxSpec {
            working_directory: b"srv".to_vec(),
            ..spec()
        };
        let with = |mounts: Vec<MountSpec>| SandboxSpec { mounts, ..spec() };
        let twice = [descriptor(0), descriptor(0)].concat();
        let cases = [
            (
                SandboxSpec::new(Vec::new()),
                0,
                SpecificationError::NoCommand,
            ),
            (relative, 0, SpecificationError::RelativeWorkingDirectory),
            (
                with(descriptor(1)),
                1,
                SpecificationError::NoSuchMount {
                    index: 1,
                    passed: 1,
                },
            ),
            (
                with(twice),
                1,
                SpecificationError::MountUsedTwice { index: 0 },
            ),
            (
                spec(),
                250,
                SpecificationError::TooManyMounts {
                    passed: 250,
                    limit: 249,
                },
            ),
        ];
        for (spec, passed, expected) in cases {
            assert_eq!(check(&spec, passed), Err(expected));
        }
    }
}
