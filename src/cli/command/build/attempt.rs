//! One job of a build: it is carried out, again without what was of no use, and its result is written.

use dockerfile::lower::Target;
use export::{EarlyLayers, Exported};
use oci::{ImageConfig, Platform};
use runtime::CancelReason;
use solver::{
    BuildResult, HistoryStep, Job, PlatformResult, Reach, SolveError, Solved, Stack, Workshop,
    are_packed, solve_keyed,
};

use super::caches::{Caches, Failure};
use super::result;
use super::stages::KeptStages;
use crate::command::failure;
use crate::exit;
use crate::history::BuildId;
use crate::options::{BuildOptions, ResultOptions};
use crate::report::{Kind, Report};
use crate::run::Outcome;

/// Why there is no result.
pub(super) enum Stop {
    /// Not everything is known, and this process can make nothing ([`Reach::Known`]).
    NeedsBuilder,
    /// The build failed.
    Failed(Box<Report>),
}

impl Stop {
    /// Returns what there is to say. A builder never needs another one.
    pub(super) fn into_report(self) -> Box<Report> {
        match self {
            Self::NeedsBuilder => Box::new(Report::new(Kind::Internal, &SolveError::OutOfReach)),
            Self::Failed(report) => report,
        }
    }
}

impl From<Box<Report>> for Stop {
    fn from(report: Box<Report>) -> Self {
        Self::Failed(report)
    }
}

/// A build whose outputs are written.
pub(super) struct Built {
    pub(super) exported: Vec<Exported>,
    /// What became of the caches that it was to leave.
    cache: Result<(), Box<Report>>,
    /// Whether the next build like this one will find everything known.
    pub(super) is_known: bool,
}

impl Built {
    /// Tells what was written, and what was not.
    pub(super) fn tell(
        self,
        (options, id): (&BuildOptions, &BuildId),
        cancelled: Option<CancelReason>,
    ) -> Outcome {
        result::tell(&self.exported, &options.result, id)?;
        result::tell_runner(&self.exported, &options.progress.job, id)?;
        match (self.cache, cancelled) {
            (Ok(()), _) => Ok(exit::DONE),
            (Err(_), Some(reason)) => Err(failure::cache_interrupted(reason)),
            (Err(report), None) => Err(report),
        }
    }
}

/// What a job is carried out for.
pub(super) struct Attempt<'a> {
    pub(super) wanted: &'a ResultOptions,
    pub(super) caches: &'a Caches,
    pub(super) targets: &'a [Target],
    pub(super) kept: &'a KeptStages,
}

/// How often the same blob of the store is made again because it was damaged. A store that loses what it was just given
/// is given up.
const REPAIRS_MAX: usize = 2;

impl Attempt<'_> {
    /// Carries the job out, and again without what was of no use.
    pub(super) fn repeat(
        &self,
        job: &mut Job,
        workshop: &Workshop,
        report: &dyn Fn(SolveError, &Job) -> Box<Report>,
    ) -> Result<Built, Stop> {
        let mut repaired: Vec<String> = Vec::new();
        loop {
            let why = match self.run(job, workshop, report) {
                Ok(built) => return Ok(built),
                // Whatever it is, the builder finds it too, and can do something about it or says it.
                Err(_) if workshop.reach == Reach::Known => return Err(Stop::NeedsBuilder),
                Err(Failure::OutOfReach) => return Err(Stop::NeedsBuilder),
                Err(Failure::Build(report)) => return Err(report.into()),
                // It is not taken again, so that there is an end to it.
                Err(Failure::Import(why)) => why,
                Err(Failure::Damaged { why, report }) => {
                    let again = repaired.iter().filter(|earlier| **earlier == why);
                    if again.count() == REPAIRS_MAX {
                        return Err(report.into());
                    }
                    repaired.push(why.clone());
                    why
                }
            };
            workshop.events.warn(format!("{why}; it is made again"));
        }
    }

    /// Carries the job out, and writes its result.
    fn run(
        &self,
        job: &mut Job,
        workshop: &Workshop,
        report: &dyn Fn(SolveError, &Job) -> Box<Report>,
    ) -> Result<Built, Failure> {
        let solved = solve_with_layers(job, self.wanted, workshop);
        let solved =
            solved.map_err(|error| Failure::of(error, workshop, |error| report(error, job)));
        let Solved {
            mut stacks,
            keyed,
            is_known,
        } = solved?;
        if workshop.reach == Reach::Known && !are_packed(workshop, &stacks).unwrap_or(false) {
            return Err(Failure::OutOfReach);
        }
        let kept = stacks.split_off(self.targets.len());
        self.kept.export(kept, workshop)?;
        let mut result = result_of(self.targets, stacks);
        self.caches.put_inline(&mut result, &keyed);
        let exported = result::export(&result, self.wanted, workshop)?;
        let cache = match self
            .caches
            .export(&result, (&keyed, &job.definition), workshop)
        {
            Ok(()) => Ok(()),
            Err(error) => match Failure::of(error, workshop, |error| failure::of_cache(&error)) {
                Failure::Build(report) => Err(report),
                again => return Err(again),
            },
        };
        Ok(Built {
            exported,
            cache,
            is_known,
        })
    }
}

/// Carries the job out, and packs the layers of its results meanwhile.
fn solve_with_layers(
    job: &mut Job,
    wanted: &ResultOptions,
    workshop: &Workshop,
) -> Result<Solved, SolveError> {
    let early = match workshop.reach {
        Reach::Everything => EarlyLayers::start(&wanted.outputs, workshop),
        Reach::Known => None,
    };
    job.options.layers = early.as_ref().map(EarlyLayers::sender);
    let solved = solve_keyed(job, workshop);
    workshop.executor.end_network();
    job.options.layers = None;
    match (early, &solved) {
        (Some(early), Ok(_)) => early.finish(),
        (Some(early), Err(_)) => early.abandon(),
        (None, _) => {}
    }
    solved
}

fn result_of(targets: &[Target], stacks: Vec<Stack>) -> BuildResult {
    let platforms = targets.iter().zip(stacks).map(|(target, stack)| {
        let Target {
            platform,
            config,
            history,
            ..
        } = target;
        let known = (platform.clone(), config.clone(), history.clone());
        platform_result(known, stack)
    });
    BuildResult {
        platforms: platforms.collect(),
    }
}

pub(super) fn platform_result(
    (platform, mut config, history): (Platform, ImageConfig, Vec<dockerfile::lower::HistoryStep>),
    stack: Stack,
) -> PlatformResult {
    remotecache::inline::remove(&mut config);
    let step = |step: dockerfile::lower::HistoryStep| HistoryStep {
        created_by: step.created_by,
        comment: step.comment.to_owned(),
        empty_layer: step.empty_layer,
    };
    PlatformResult {
        platform,
        stack,
        config,
        history: history.into_iter().map(step).collect(),
    }
}
