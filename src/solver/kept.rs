//! Commands that failed, kept for whoever wants to look into what they left.
//!
//! ```text
//! the command failed ──keep──► snapshots: its root, and what it had mounted of other stages, each as one directory
//!                              document:  what it was and what it saw                            (store::KeptSteps)
//! later              ──enter─► the same sandbox, with another command; what that changes is dropped
//! ```
//!
//! The directories have the files of all layers under second names, so that nothing else has to stay for them. Secrets,
//! agents, proxies and authorities are the build's ([`Given`]) and are in no document: who enters a step later
//! has those of that moment, or none.

mod enter;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use graph::{ExecMount, ExecOp, StepLabel};
use oci::{Clock, Platform, Timestamp};
use rootfs::{OwnerTable, Root};
use serde::{Deserialize, Serialize};
use store::{KeptId, KeptSteps, Lease, Removed, SnapshotId, SnapshotKind, SnapshotMeta};
use vendor_shim::agent::Agent;

pub use enter::{EnterError, Entry, enter};

use crate::authorities::Authorities;
use crate::error::StepError;
use crate::job::{CommandLimits, JobOptions, Workshop};
use crate::network::UsualNetwork;
use crate::ops::exec::{FailureStatus, Left, Secrets, Volume};
use crate::owners;
use crate::realise::{self, RealiseError};
use crate::result::{Output, Stack};
use crate::stash::chain;
use crate::worker::Step;

/// How many steps are kept.
pub const KEPT_LIMIT: usize = 5;

/// How long a step is kept.
pub const KEPT_AGE_LIMIT: Duration = Duration::from_hours(24);

/// The shell where the command had none.
const SHELL: &str = "/bin/sh";

/// What shells are called.
const SHELLS: [&str; 7] = ["sh", "ash", "bash", "dash", "fish", "ksh", "zsh"];

/// A command that failed, and what it saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptStep {
    /// When it ended.
    pub created: Timestamp,
    /// How the step is called.
    pub label: StepLabel,
    /// Whose programs ran.
    pub platform: Platform,
    /// How it ended, in words.
    pub failure: String,
    op: ExecOp,
    /// What it stood on, changed by it, and what it had mounted; none for what is empty.
    inputs: Vec<Option<SnapshotId>>,
    volumes: Vec<Volume>,
    network: UsualNetwork,
}

/// What of a build is written nowhere, and whoever enters a step has to be given.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// Variables that enter neither keys nor history (`http_proxy`, …), as `NAME=value`.
    pub untracked_env: Vec<String>,
    /// Whom commands trust beside those whom their image trusts.
    pub authorities: Authorities,
    /// The secrets.
    pub secrets: Secrets,
    /// The agents.
    pub ssh: BTreeMap<String, Arc<dyn Agent>>,
    /// What each command may use.
    pub limits: CommandLimits,
}

/// What is told of a command that failed while the build goes on.
#[derive(Debug)]
pub struct FailedStep {
    /// Its name.
    pub id: KeptId,
    /// What it saw.
    pub step: KeptStep,
    /// What of that is not kept.
    pub given: Given,
}

impl KeptStep {
    /// Returns the shell that the command was of, or the usual one.
    pub fn shell(&self) -> &str {
        let program = self.op.argv.first().map_or("", String::as_str);
        let name = Path::new(program)
            .file_name()
            .and_then(|name| name.to_str());
        if name.is_some_and(|name| SHELLS.contains(&name)) {
            program
        } else {
            SHELL
        }
    }

    /// Returns where the command began.
    pub fn working_directory(&self) -> &str {
        &self.op.working_directory
    }

    /// Says what the command saw and whoever enters does not, a thing each.
    pub fn missing(&self, given: &Given) -> Vec<String> {
        let missing = self.op.mounts.iter().filter_map(|mount| match mount {
            ExecMount::Secret(mount) if given.secrets.get(&mount.id).is_none() => {
                Some(format!("the secret `{}`", mount.id))
            }
            ExecMount::Ssh(mount) if !given.ssh.contains_key(&mount.id) => {
                Some(format!("the SSH agent `{}`", mount.id))
            }
            ExecMount::Cache(mount) if enter::begins_with_input(mount) => Some(format!(
                "the cache `{}`, which begins with files of a stage",
                mount.id
            )),
            _ => None,
        });
        missing.collect()
    }
}

impl Given {
    fn of(options: &JobOptions) -> Self {
        Self {
            untracked_env: options.untracked_env.clone(),
            authorities: options.authorities.clone(),
            secrets: options.secrets.clone(),
            ssh: options.ssh.clone(),
            limits: options.limits.clone(),
        }
    }
}

/// Keeps what a command left, if the job asks for that; returns its name. That it cannot be kept is told, and is no
/// error: the command's own counts.
pub(crate) fn keep<L>(
    step: &Step<'_>,
    op: &ExecOp,
    status: FailureStatus,
    left: L,
) -> Option<KeptId>
where
    L: FnOnce() -> Result<Left, StepError>,
{
    let told = step.job.options.failed.as_ref()?;
    match left().and_then(|left| write(step, op, (status, &left))) {
        Ok(failed) => {
            let id = failed.id.clone();
            // Whoever asked may be gone; the step is there.
            drop(told.send(failed));
            Some(id)
        }
        Err(error) => {
            let text = format!("what the step left is not kept: {}", chain(&error));
            step.workshop.events.warn(text);
            None
        }
    }
}

fn write(
    step: &Step<'_>,
    op: &ExecOp,
    (status, left): (FailureStatus, &Left),
) -> Result<FailedStep, StepError> {
    let (workshop, options) = (step.workshop, &step.job.options);
    let steps = workshop.store.kept();
    let created = Clock::System.now();
    make_room(&steps, created)?;
    let _keeping = steps.begin()?;
    // Whoever removes it has not to wait for the end of this build.
    let lease = workshop.store.lease()?;
    let id = KeptId::random();
    let kept = KeptStep {
        created,
        label: step.vertex.label.clone(),
        platform: step.vertex.platform.clone(),
        failure: status.to_string(),
        op: op.clone(),
        inputs: keep_inputs(step, (&id, &lease), left)?,
        volumes: options.volumes.clone(),
        network: options.network,
    };
    steps.put(&id, &kept)?;
    Ok(FailedStep {
        id,
        step: kept,
        given: Given::of(options),
    })
}

/// Keeps the files that the command saw.
fn keep_inputs(
    step: &Step<'_>,
    (id, lease): (&KeptId, &Lease),
    left: &Left,
) -> Result<Vec<Option<SnapshotId>>, StepError> {
    let workshop = step.workshop;
    let top = Arc::new(left.active.fs().try_clone()?);
    let layers: Vec<_> = left.lowers.iter().cloned().chain([top]).collect();
    let mut owners = owners_of(workshop, step.below()?)?;
    for (path, record) in left.owners.iter() {
        owners.insert(path.clone(), *record);
    }
    let root = id.snapshot(0)?;
    snapshot((workshop, lease), &root, (&layers, &owners))?;
    let mut inputs = vec![Some(root)];
    for (number, input) in step.inputs.iter().enumerate().skip(1) {
        let kept = match input {
            Some(Output::Files(stack)) if !stack.layers().is_empty() => {
                let name = id.snapshot(number)?;
                let is_over = || workshop.cancel.is_cancelled();
                let layers = realise::lowers(workshop, step.step_id(), stack, &is_over)?;
                let owners = owners_of(workshop, stack)?;
                snapshot((workshop, lease), &name, (&layers, &owners))?;
                Some(name)
            }
            _ => None,
        };
        inputs.push(kept);
    }
    Ok(inputs)
}

fn owners_of(workshop: &Workshop, stack: &Stack) -> Result<OwnerTable, RealiseError> {
    Ok(owners::of_stack(workshop, stack)?.into_table())
}

/// Makes directories in overlay form, the lowest first, one directory of their own.
fn snapshot(
    (workshop, lease): (&Workshop, &Lease),
    name: &SnapshotId,
    (layers, owners): (&[Arc<Root>], &OwnerTable),
) -> Result<(), StepError> {
    let files = workshop.store.snapshots().prepare(lease)?;
    layer::flatten(layers, files.fs()).map_err(RealiseError::from)?;
    owners::remember(workshop, name, owners).map_err(RealiseError::from)?;
    files.commit(name, SnapshotMeta::of(SnapshotKind::Files))?;
    Ok(())
}

/// Removes what is too much or too old, so that there is room for one more. What somebody looks into stays.
fn make_room(steps: &KeptSteps, now: Timestamp) -> Result<(), StepError> {
    let mut known = Vec::new();
    for id in steps.ids()? {
        let created = steps.get::<KeptStep>(&id)?.map(|step| step.created);
        known.push((created, id));
    }
    for id in surplus(known, now) {
        let _in_use: Removed = steps.remove(&id)?;
    }
    Ok(steps.sweep()?)
}

/// Returns which steps go before one more is kept: all but the last ones, those that are too old, and those of which
/// nothing is known.
fn surplus(mut known: Vec<(Option<Timestamp>, KeptId)>, now: Timestamp) -> Vec<KeptId> {
    known.sort();
    let fits = |created: Timestamp| {
        let age = now.seconds().saturating_sub(created.seconds());
        u64::try_from(age).is_ok_and(|age| age <= KEPT_AGE_LIMIT.as_secs())
    };
    let mut free = KEPT_LIMIT - 1;
    let mut gone = Vec::new();
    for (created, id) in known.into_iter().rev() {
        if free > 0 && created.is_some_and(fits) {
            free -= 1;
        } else {
            gone.push(id);
        }
    }
    gone
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
