//! Carries out one action and reports what came of it. Shares no state with the scheduler.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use graph::{CacheKey, CacheMap, FileAction, KeyInput, Op, SourceOp, Vertex};

use crate::admission::Admission;
use crate::cache::{self, Found, Keys};
use crate::context::{ContextError, LocalDirectory};
use crate::error::StepError;
use crate::event::StepId;
use crate::job::{Job, Workshop};
use crate::ops::{copy, directory, exec, git, http, image};
use crate::realise::{Afterwards, Lookup};
use crate::result::{Output, Stack};
use crate::scheduler::News;
use crate::state::{Action, Former};

/// An action with all that it needs.
#[derive(Debug)]
pub(crate) struct Order {
    /// What is to be done.
    pub(crate) action: Action,
    /// The results of the inputs that have one.
    pub(crate) inputs: Vec<Option<Output>>,
    /// What is below gives this to the key, if it has one.
    pub(crate) below: Option<KeyInput>,
    /// The keys that the vertex had before those of its inputs turned out to be others.
    pub(crate) former: Vec<Former>,
    /// What a copy found when it was checked.
    pub(crate) collected: Option<Arc<copy::Collected>>,
}

/// What came of an action that did not fail.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The definition led to this content before, and its result is there.
    AliasFound {
        /// The key by which what stands on it is found.
        key: CacheKey,
        /// The result.
        found: Found,
    },
    /// The definition is not known.
    AliasUnknown,
    /// A copy's content key, and what would be copied.
    Checked {
        /// The content key.
        key: CacheKey,
        /// What would be copied, if it is a copy.
        collected: Option<Arc<copy::Collected>>,
    },
    /// The cache has the result.
    Hit(Found),
    /// The cache does not have the result.
    Miss,
    /// The result.
    Made(Product),
}

/// What came of a step.
#[derive(Debug)]
pub(crate) struct Product {
    /// The result.
    pub(crate) output: Output,
    /// The key of an earlier result that is the same.
    pub(crate) earlier: Option<CacheKey>,
}

impl From<Output> for Product {
    fn from(output: Output) -> Self {
        Self {
            output,
            earlier: None,
        }
    }
}

/// What a step is done with: the job, the workshop, and the vertex with its inputs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'a> {
    pub(crate) job: &'a Job,
    pub(crate) workshop: &'a Workshop,
    pub(crate) vertex: &'a Vertex,
    pub(crate) id: graph::VertexId,
    pub(crate) inputs: &'a [Option<Output>],
    pub(crate) turn: Turn<'a>,
}

/// Where a command asks whether it may run, with how much work after it; and who comes after a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn<'a> {
    pub(crate) admission: &'a Admission,
    pub(crate) rank: u64,
    /// Where it tells that it only waits for somebody else.
    pub(crate) news: &'a Sender<News>,
    /// Whether a command, or a copy from this stage, will see the files of the step, be it under those of others.
    pub(crate) is_seen_by_command: bool,
}

impl Step<'_> {
    /// Returns the identity of the step in events.
    pub(crate) fn step_id(&self) -> StepId {
        StepId(self.job.definition.digest(self.id).to_string())
    }

    /// Returns the file system that the step changes.
    ///
    /// # Errors
    ///
    /// Fails when the scheduler gave none: an internal error.
    pub(crate) fn below(&self) -> Result<&Stack, StepError> {
        match self.inputs.first() {
            Some(Some(Output::Files(stack))) => Ok(stack),
            _ => Err(StepError::MissingInput { index: 0 }),
        }
    }

    /// Returns what the step changes as something that names are looked up in.
    ///
    /// # Errors
    ///
    /// Fails when the layers cannot be read.
    pub(crate) fn look_below(&self) -> Result<Lookup<'_>, StepError> {
        let afterwards = if self.turn.is_seen_by_command {
            Afterwards::Command
        } else {
            Afterwards::Nothing
        };
        let below = self.below()?;
        Ok(Lookup::open(
            self.workshop,
            self.step_id(),
            below,
            afterwards,
        )?)
    }
}

/// Carries out one action.
pub(crate) fn perform(
    job: &Job,
    workshop: &Workshop,
    turn: Turn<'_>,
    order: Order,
) -> Result<Answer, StepError> {
    if workshop.cancel.is_cancelled() {
        return Err(StepError::Cancelled);
    }
    let id = order.action.vertex();
    let vertex = job.definition.vertex(id);
    let step = Step {
        job,
        workshop,
        vertex,
        id,
        inputs: &order.inputs,
        turn,
    };
    match order.action {
        Action::FindAlias { definition, .. } => find_alias(&step, &definition, order.former),
        Action::Check { inputs, .. } => check(&step, &inputs),
        Action::LookUp {
            key, definition, ..
        } => {
            let former = order.former;
            look_up(
                &step,
                &Keys {
                    key,
                    definition,
                    former,
                },
            )
        }
        // The scheduler does this itself: it is no work.
        Action::Take { .. } => Err(StepError::MissingInput { index: 0 }),
        Action::Run {
            key, definition, ..
        } => {
            let keys = key.map(|key| Keys {
                key,
                definition,
                former: order.former,
            });
            let making = Making {
                keys,
                below: order.below,
                collected: order.collected,
            };
            run(&step, making).map(Answer::Made)
        }
    }
}

/// What is known of a result that is to be made.
pub(crate) struct Making {
    /// Its keys.
    pub(crate) keys: Option<Keys>,
    /// What is below gives this to the key.
    pub(crate) below: Option<KeyInput>,
    /// What a copy found when it was checked.
    pub(crate) collected: Option<Arc<copy::Collected>>,
}

impl Making {
    /// Returns the keys.
    ///
    /// # Errors
    ///
    /// Fails when the scheduler gave none: an internal error.
    pub(crate) fn keys(&self) -> Result<&Keys, StepError> {
        let keys = self.keys.as_ref();
        keys.ok_or(StepError::MissingInput { index: 0 })
    }
}

fn run(step: &Step<'_>, making: Making) -> Result<Product, StepError> {
    let output = match &step.vertex.op {
        Op::Exec(op) => return exec::run(step, op, &making),
        Op::Source(SourceOp::Image(source)) => image::run(step, source),
        Op::Source(SourceOp::Local(source)) => {
            let directories = &step.job.options.directories;
            let directory = directories
                .get(&source.name)
                .ok_or_else(|| ContextError::Unknown {
                    name: source.name.clone(),
                })?;
            Ok(Output::Local(Arc::new(LocalDirectory::of(
                directory,
                &source.ignore,
                (&step.workshop.store, &step.workshop.digests),
            )?)))
        }
        Op::Source(SourceOp::Http(source)) => http::run(step, source),
        Op::Source(SourceOp::Git(source)) => git::run(step, source),
        Op::File(op) => match &op.action {
            FileAction::Copy(action) => copy::run(step, action, making),
            FileAction::MakeDirectory(action) => directory::run(step, action, &making),
        },
    };
    output.map(Product::from)
}

fn check(step: &Step<'_>, key_inputs: &[KeyInput]) -> Result<Answer, StepError> {
    let action = match &step.vertex.op {
        Op::Exec(op) => {
            let (key, collected) = (exec::check(step, op, key_inputs)?, None);
            return Ok(Answer::Checked { key, collected });
        }
        Op::File(file) => match &file.action {
            FileAction::Copy(action) => action,
            FileAction::MakeDirectory(_) => return Err(StepError::MissingInput { index: 1 }),
        },
        Op::Source(_) => return Err(StepError::MissingInput { index: 1 }),
    };
    let collected = copy::collect(step, action)?;
    let map = CacheMap::of(step.vertex).ok_or(StepError::MissingInput { index: 1 })?;
    let below = key_inputs.first().cloned().unwrap_or(KeyInput::Scratch);
    let key = map.key(&[below, KeyInput::Content(collected.digest.clone())]);
    Ok(Answer::Checked {
        key,
        collected: Some(Arc::new(collected)),
    })
}

fn find_alias(
    step: &Step<'_>,
    definition: &CacheKey,
    former: Vec<Former>,
) -> Result<Answer, StepError> {
    let Some((key, found)) = cache::find_alias(step, definition)? else {
        return Ok(Answer::AliasUnknown);
    };
    // The definition has its record already.
    let keys = Keys {
        key,
        definition: None,
        former,
    };
    cache::remember_others(step.workshop, &keys, &found)?;
    Ok(Answer::AliasFound {
        key: found.earlier.clone().unwrap_or(keys.key),
        found,
    })
}

fn look_up(step: &Step<'_>, keys: &Keys) -> Result<Answer, StepError> {
    let Some(found) = cache::find(step, &keys.key)? else {
        return Ok(Answer::Miss);
    };
    cache::remember_others(step.workshop, keys, &found)?;
    Ok(Answer::Hit(found))
}
