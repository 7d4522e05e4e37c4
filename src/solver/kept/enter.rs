//! Entering a kept step: a job of one vertex, whose inputs are there already.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::mpsc::channel;

use graph::builder::DefinitionError;
use graph::{
    CacheMount, CacheSeed, Definition, DefinitionBuilder, ExecMount, ExecOp, Input, Op, Vertex,
    VertexId,
};
use runtime::{ExitStatus, OutputSink, Talk, TerminalSize};
use store::{KeptId, SnapshotId};

use super::{Given, KeptStep};
use crate::admission::{Admission, Limits};
use crate::error::StepError;
use crate::import::Imports;
use crate::job::{Job, JobOptions, KeyedLayers, Workshop};
use crate::listing::Listings;
use crate::ops::exec;
use crate::realise::{self, RealiseError};
use crate::result::{Held, Output, Stack, StackLayer};
use crate::state::Reuse;
use crate::worker::{Step, Turn};

/// What a terminal is called that nobody says more of, as docker calls it.
const TERM: &str = "TERM=xterm";

/// A command in the place of the one that failed.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// The size of its terminal, if it has one.
    pub terminal: Option<TerminalSize>,
}

/// Why a kept step cannot be entered.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// Its files were removed.
    #[error("the files of the kept step `{id}` are gone")]
    Gone {
        /// The step.
        id: KeptId,
    },
    /// Its files cannot be opened.
    #[error("open the files of the kept step `{id}`")]
    Open {
        /// The step.
        id: KeptId,
        /// What failed.
        source: RealiseError,
    },
    /// What is known of it makes no step.
    #[error("the kept step `{id}` is no step")]
    Definition {
        /// The step.
        id: KeptId,
        /// What is wrong.
        source: DefinitionError,
    },
    /// The command could not be run.
    #[error(transparent)]
    Step(#[from] StepError),
}

/// Runs a command where another one failed, to its end. What it changes is dropped, but for what it puts into caches.
///
/// # Errors
///
/// Fails when the files are gone, or the command cannot be started. A command that ran and failed is no error.
pub fn enter(
    workshop: &Workshop,
    (id, kept, given): (&KeptId, &KeptStep, &Given),
    entry: &Entry,
    talk: Talk<'_>,
    output: &mut dyn OutputSink,
) -> Result<ExitStatus, EnterError> {
    let inputs = inputs(workshop, (id, kept))?;
    let op = op(kept, given, entry);
    let vertex = Vertex {
        op: Op::Exec(kept.op.clone()),
        inputs: vec![Input::Scratch; inputs.len()],
        platform: kept.platform.clone(),
        label: kept.label.clone(),
    };
    let (definition, vertex) = defined(vertex).map_err(|source| EnterError::Definition {
        id: id.clone(),
        source,
    })?;
    let job = Job {
        definition,
        targets: Vec::new(),
        options: options(kept, given),
    };
    let admission = Admission::new(Limits {
        jobs: NonZeroUsize::MIN,
        budget_bytes: None,
    });
    // Nobody else waits for anything.
    let (news, _inbox) = channel();
    let step = Step {
        job: &job,
        workshop,
        vertex: job.definition.vertex(vertex),
        id: vertex,
        inputs: &inputs,
        turn: Turn {
            admission: &admission,
            rank: 0,
            news: &news,
            is_seen_by_command: true,
        },
    };
    Ok(exec::enter(&step, &op, (entry.terminal, talk), output)?)
}

/// Returns the files of a kept step as results.
fn inputs(
    workshop: &Workshop,
    (id, kept): (&KeptId, &KeptStep),
) -> Result<Vec<Option<Output>>, EnterError> {
    let stack = |name: &Option<SnapshotId>| {
        let Some(name) = name else {
            return Ok(Stack::scratch());
        };
        let found = realise::open(workshop, name).map_err(|source| EnterError::Open {
            id: id.clone(),
            source,
        })?;
        if found.is_none() {
            return Err(EnterError::Gone { id: id.clone() });
        }
        let layer = StackLayer {
            id: name.clone(),
            held: Held::Stored,
            created: None,
        };
        Ok(Stack::scratch().with(layer.into()))
    };
    let inputs = kept.inputs.iter();
    inputs
        .map(|name| Ok(Some(Output::Files(stack(name)?))))
        .collect()
}

/// Returns what is run: the command, with all that is there of what the one that failed saw.
fn op(kept: &KeptStep, given: &Given, entry: &Entry) -> ExecOp {
    let mut op = kept.op.clone();
    op.argv.clone_from(&entry.command);
    op.mounts.retain(|mount| match mount {
        ExecMount::Secret(mount) => given.secrets.get(&mount.id).is_some(),
        ExecMount::Ssh(mount) => given.ssh.contains_key(&mount.id),
        ExecMount::Cache(mount) => !begins_with_input(mount),
        ExecMount::Bind(_) | ExecMount::Tmpfs(_) => true,
    });
    let has_term = op.env.iter().any(|entry| entry.starts_with("TERM="));
    if entry.terminal.is_some() && !has_term {
        op.env.push(TERM.to_owned());
    }
    op
}

/// Tells whether a cache is named by the layers that it began with, which have other names now.
pub(super) fn begins_with_input(mount: &CacheMount) -> bool {
    matches!(mount.seed, CacheSeed::Input { .. })
}

fn defined(vertex: Vertex) -> Result<(Definition, VertexId), DefinitionError> {
    let mut graph = DefinitionBuilder::new();
    let id = graph.add(vertex)?;
    Ok((graph.finish(), id))
}

fn options(kept: &KeptStep, given: &Given) -> JobOptions {
    JobOptions {
        reuse: Reuse::No,
        oldest: None,
        jobs: NonZeroUsize::MIN,
        memory_budget_bytes: None,
        directories: BTreeMap::new(),
        untracked_env: given.untracked_env.clone(),
        authorities: given.authorities.clone(),
        secrets: given.secrets.clone(),
        ssh: given.ssh.clone(),
        volumes: kept.volumes.clone(),
        limits: given.limits.clone(),
        network: kept.network,
        keyed: KeyedLayers::None,
        imports: Imports::default(),
        listings: Listings::None,
        layers: None,
        failed: None,
    }
}
