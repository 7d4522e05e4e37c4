//! The executor that needs no namespace: for root, where a container's filter of system calls allows none.
//!
//! A command has another root directory, which must be a directory of its own: it is changed in place. What else it
//! sees has to be there already, since nothing can be mounted. Processes, network and host name are those of the
//! container around; what keeps a command from them is Landlock, a filter of system calls and few capabilities
//! (`init/chroot.rs`).

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tracing::{debug, info_span};

use crate::executor::{
    ExecError, Executor, ExecutorMode, Protections, SpecificationError, Step, StepOutcome,
};
use crate::features::KernelFeatures;
use crate::landlock::Wall;
use crate::namespaces::check;
use crate::notify::Supervisor;
use crate::parent::{Proceeded, Proceeding, Running, Spawned};
use crate::protocol::{OpenFiles, Setup};
use crate::spec::{Access, Confinement, NetworkMode, ProcSource, SandboxSpec};
use crate::starter::Starter;
use crate::userns::{Builder, BuilderId, IdMap, SandboxId};

/// Runs each command below another root directory, as ids of the builder's own.
#[derive(Debug)]
pub struct Chroot {
    ids: IdMap,
    open_files: OpenFiles,
    protections: Protections,
    /// Made when the first command runs. Guards that it is made once; steps start in several threads.
    starter: Mutex<Option<Arc<Starter>>>,
}

impl Chroot {
    /// Prepares to run commands for `builder`. Nothing is started yet.
    pub fn new(builder: &Builder, features: &KernelFeatures) -> Self {
        Self {
            ids: builder.ids(),
            open_files: builder.open_files(),
            protections: Protections::of(*features),
            starter: Mutex::new(None),
        }
    }

    fn starter(&self) -> Result<Arc<Starter>, ExecError> {
        // A thread that panicked here has left nothing half-made.
        let mut starter = self.starter.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = starter.as_ref() {
            return Ok(Arc::clone(made));
        }
        let made = Starter::spawn(self.ids.mode()).map_err(ExecError::Starter)?;
        let made = Arc::new(made);
        *starter = Some(Arc::clone(&made));
        Ok(made)
    }

    fn start(&self, step: &Step<'_>) -> Result<Running, ExecError> {
        let owner = self.owner(step.spec)?;
        let starter = self.starter()?;
        let reads = step.talk.as_ref().is_some_and(|talk| talk.input.is_some());
        let input = (reads && step.spec.terminal.is_none()).then_some(owner);
        let (spawned, input) = Spawned::spawn(&starter, owner, input)?;
        let descriptors: Vec<BorrowedFd<'_>> = [step.root]
            .into_iter()
            .chain(input.as_ref().map(AsFd::as_fd))
            .collect();
        let mut setup = self.setup(step.spec);
        setup.has_input = input.is_some();
        let isolated = match spawned.isolate(setup, &descriptors, step.cancel)? {
            Proceeding::Isolated(isolated) => isolated,
            Proceeding::Failed(failure) => {
                return Err(ExecError::from_failure(&failure, step.spec));
            }
        };
        // Nothing in the filter of this mode asks.
        let supervisor = Supervisor::new(self.ids, step.spec.user.clone(), Vec::new());
        match isolated.proceed(supervisor, step.spec.terminal, step.cancel)? {
            Proceeded::Running(running) => Ok(running),
            Proceeded::Failed(failure) => Err(ExecError::from_failure(&failure, step.spec)),
        }
    }

    fn setup(&self, spec: &SandboxSpec) -> Setup {
        let mut spec = spec.clone();
        if !spec.user.groups.contains(&spec.user.gid) {
            spec.user.groups.push(spec.user.gid);
        }
        let wall = Wall::instead_of_namespaces(&spec, self.protections);
        Setup {
            spec,
            ids: self.ids,
            joins_user_namespace: false,
            has_input: false,
            open_files: self.open_files,
            wall,
            proc: ProcSource::default(),
        }
    }

    /// Returns the command's user and group.
    fn owner(&self, spec: &SandboxSpec) -> Result<(BuilderId, BuilderId), ExecError> {
        let ids = |id| {
            let count = self.ids.count();
            let unmapped = SpecificationError::UnmappedId { id, count };
            let id = self.ids.builder_id(SandboxId(id));
            id.ok_or(ExecError::Specification(unmapped))
        };
        for group in &spec.user.groups {
            ids(*group)?;
        }
        Ok((ids(spec.user.uid)?, ids(spec.user.gid)?))
    }
}

impl Executor for Chroot {
    fn mode(&self) -> ExecutorMode {
        ExecutorMode::Chroot
    }

    fn protections(&self) -> Protections {
        self.protections
    }

    fn run(&self, step: Step<'_>) -> Result<StepOutcome, ExecError> {
        let _span = info_span!("sandbox").entered();
        check(step.spec, step.mounts.len())
            .and_then(|()| check_needs(step.spec))
            .map_err(ExecError::Specification)?;
        let started = Instant::now();
        let running = self.start(&step)?;
        debug!(set_up = ?started.elapsed(), "command started");
        let exited = running.wait(step.output, step.talk.as_ref(), step.cancel)?;
        let outcome = StepOutcome {
            status: exited.status,
            duration: started.elapsed(),
            peak_bytes: exited.peak_bytes,
            ran_out_of_memory: false,
            recorded: Vec::new(),
        };
        debug!(status = %outcome.status, duration = ?outcome.duration, "command ended");
        Ok(outcome)
    }
}

/// Refuses what only a namespace can give.
fn check_needs(spec: &SandboxSpec) -> Result<(), SpecificationError> {
    let needs = [
        ("a network of its own", spec.network != NetworkMode::Host),
        (
            "a command without the confinement of a container",
            spec.confinement == Confinement::Namespace,
        ),
        ("a mount", !spec.mounts.is_empty()),
        (
            "a root that cannot be written to",
            spec.root_access == Access::ReadOnly,
        ),
    ];
    match needs.into_iter().find(|(_, needed)| *needed) {
        Some((what, _)) => Err(SpecificationError::NeedsNamespace { what }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{MountSource, MountSpec, TargetKind};

    #[test]
    fn what_only_a_namespace_can_give_is_refused_by_name() {
        let spec = || SandboxSpec::new(vec![b"true".to_vec()]);
        assert_eq!(check_needs(&spec()), Ok(()));
        let mount = MountSpec {
            target: b"/mnt".to_vec(),
            source: MountSource::Root,
            kind: TargetKind::Directory,
            access: Access::ReadWrite,
        };
        let refused = [
            SandboxSpec {
                network: NetworkMode::None,
                ..spec()
            },
            SandboxSpec {
                confinement: Confinement::Namespace,
                ..spec()
            },
            SandboxSpec {
                mounts: vec![mount],
                ..spec()
            },
            SandboxSpec {
                root_access: Access::ReadOnly,
                ..spec()
            },
        ];
        let shown = refused.map(|spec| check_needs(&spec).map_err(|error| error.to_string()));
        let expected = [
            "a network of its own",
            "a command without the confinement of a container",
            "a mount",
            "a root that cannot be written to",
        ]
        .map(|what| {
            Err(format!(
                "{what} needs a namespace, and this machine allows none"
            ))
        });
        assert_eq!(shown, expected);
    }
}
