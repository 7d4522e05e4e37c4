//! `careen build`: Dockerfile → graph → file systems → output.

mod bases;
mod caches;
mod kept;
mod limits;
mod mode;
mod policy;
mod result;
mod secrets;
mod ssh;
mod stages;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use dockerfile::lower::Target;
use dockerfile::parse::{Parsed, parse};
use dockerfile::source::SourceFile;
use dockerfile::stage::{PlanOptions, StagePlan};
use export::{EarlyLayers, Exported};
use graph::{DefinitionBuilder, SourcePolicy};
use oci::{Clock, ImageConfig, Platform};
use runtime::CancelReason;
use solver::ops::exec::Secrets;
use solver::state::Reuse;
use solver::{
    BuildResult, Events, HistoryStep, Imports, Job, JobOptions, KeyedLayers, PlatformResult,
    SolveError, Solved, Stack, Workshop, solve_keyed,
};

use super::said::Said;
use super::transfer::Surroundings;
use super::{call, failure, resources};
use crate::args::{BuildArguments, NetworkArgument};
use crate::config::Config;
use crate::env::{Environment, Runner};
use crate::exit;
use crate::options::{
    BuildOptions, ContextSource, DockerfileSource, NamedContext, Places, ProgressOptions,
    ResultOptions, reach,
};
use crate::progress::{self, Display, Way};
use crate::registries::registries_of_build;
use crate::report::{self, Kind, Report};
use crate::run::Outcome;
use crate::workshop;

mod context;
mod epoch;
mod platforms;
mod remote;
mod source;

pub(super) use bases::{resolve_bases, resolve_requests};
use caches::{Caches, Failure};
use context::Contexts;
use epoch::EpochFailure;
use source::Dockerfile;
use ssh::{Agents, SourceAgent};
use stages::KeptStages;

/// Runs `build` in the builder.
pub(crate) fn run(
    arguments: &BuildArguments,
    builder: &runtime::Builder,
    places: &Places,
    env: &Environment,
    config: &Config,
) -> Outcome {
    let mut options = BuildOptions::new(arguments, env, config)
        .map_err(|error| Report::new(Kind::Usage, &error))?;
    context::check(&options)?;
    check_volumes(&options)?;
    limits::check(&options.sandbox.settings.limits)?;
    let authorities = reach::read(&env.reach).map_err(|error| Report::new(Kind::Usage, &error))?;
    options.authorities = authorities;
    let resolver = &options.sandbox.resolver;
    let (mut workshop, events) = workshop::open(builder, places, resolver)?;
    workshop.registries = Arc::new(registries_of_build(
        &options.registry,
        &places.remote,
        (builder.cancel(), options.policy.pulling()),
        &workshop.events,
    ));
    for warning in &options.sandbox.warnings {
        workshop.events.warn(warning.clone());
    }
    for name in &env.buildx.idle {
        workshop.events.warn(format!(
            "`{name}` is not supported yet, and changes nothing"
        ));
    }
    options.command_limits = resources::settle(&options.sandbox.resources, &workshop);
    for warning in &options.progress.warnings {
        workshop.events.warn(warning.clone());
    }
    let display = Display::start(&options.progress, events)
        .map_err(|error| Report::new(Kind::User, &error))?;
    if options.call.is_none() {
        mode::tell(builder.ids().mode(), &workshop);
    }
    let built = match options.call {
        Some(call) => call::answer(call, &options, env, &mut workshop).map(Told::Answer),
        None => build_believing(&options, env, &mut workshop).map(Told::Exported),
    };
    let cancelled = workshop.cancel.reason();
    drop(workshop);
    display.finish();
    let outcome = match (built, cancelled) {
        (Err(_), Some(reason)) => Err(failure::interrupted(reason)),
        (Err(report), None) => Err(report),
        (Ok(Told::Answer(answer)), _) => answer.tell(),
        (Ok(Told::Exported(built)), reason) => {
            let around = Surroundings {
                builder,
                places,
                env,
            };
            kept::carry(&built.exported, &options.result, around)
                .and_then(|()| built.tell(&options, reason))
        }
    };
    outcome.or_else(|report| told_to_runner(report, &options.progress))
}

/// Tells GitHub's runner what went wrong, where it is that who reads it; else it is told as everywhere. Beside plain
/// progress it is told in BuildKit's form too. A build that begins again has nothing to tell.
fn told_to_runner(report: Box<Report>, progress: &ProgressOptions) -> Outcome {
    let lines = match progress.way {
        Way::Plain(_) | Way::Rawjson => report::in_buildkits_form(&report),
        _ => String::new(),
    };
    if progress.job.runner != Some(Runner::GitHub) || matches!(report.kind, Kind::LacksId(_)) {
        report::print_text(&lines);
        return Err(report);
    }
    report::print_text(&progress::guarded(&lines, &report, &progress.token));
    Ok(report.kind.exit_code())
}

/// What there is to tell when the display has ended.
enum Told {
    Exported(Built),
    Answer(call::Answer),
}

/// A build whose outputs are written.
struct Built {
    exported: Vec<Exported>,
    /// What became of the caches that it was to leave.
    cache: Result<(), Box<Report>>,
}

impl Built {
    /// Tells what was written, and what was not.
    fn tell(self, options: &BuildOptions, cancelled: Option<CancelReason>) -> Outcome {
        result::tell(&self.exported, &options.result)?;
        result::tell_runner(&self.exported, &options.progress.job)?;
        match (self.cache, cancelled) {
            (Ok(()), _) => Ok(exit::DONE),
            (Err(_), Some(reason)) => Err(failure::cache_interrupted(reason)),
            (Err(report), None) => Err(report),
        }
    }
}

/// A Dockerfile with what it is planned with.
pub(super) struct Prepared<'a> {
    pub(super) source: SourceFile,
    pub(super) parsed: Parsed,
    pub(super) plan_options: PlanOptions,
    pub(super) sources: SourcePolicy,
    contexts: Contexts<'a>,
    secrets: Secrets,
    agents: Agents,
    source_agent: Option<SourceAgent>,
}

/// Reads the Dockerfile, from wherever it comes, and finds out what time it is.
pub(super) fn prepare<'a>(
    options: &'a BuildOptions,
    env: &Environment,
    workshop: &mut Workshop,
) -> Result<Prepared<'a>, Box<Report>> {
    let secrets = secrets::read(options, env, workshop)?;
    let agents = ssh::agents(options)?;
    let source_agent = SourceAgent::start(&agents)?;
    let socket = source_agent.as_ref().map(SourceAgent::socket);
    workshop.remote = Arc::new(workshop.remote.with(secrets.clone(), socket));
    let sources = policy::read(options)?;
    policy::check_fetched(options, &sources)?;
    let main = context::open_main(options, workshop)?;
    let dockerfile = source::read(options, &main, workshop)?;
    let parsed = parse(&dockerfile.source);
    context::warn_of_reserved(options, workshop);
    let mut contexts = Contexts::new(options, main.tree);
    let mut plan_options = plan_options(options, &dockerfile)?;
    plan_options.policy = sources.clone();
    let clock = epoch::settle(&parsed, &mut plan_options, &mut contexts, workshop);
    workshop.clock = clock_of(options, clock, (&dockerfile.source, &workshop.events))?;
    Ok(Prepared {
        source: dockerfile.source,
        parsed,
        plan_options,
        sources,
        contexts,
        secrets,
        agents,
        source_agent,
    })
}

/// Builds, and once more where a file was not what an earlier build had found it to be.
fn build_believing(
    options: &BuildOptions,
    env: &Environment,
    workshop: &mut Workshop,
) -> Result<Built, Box<Report>> {
    let built = build(options, env, workshop);
    // What came by standard input comes once.
    let is_from_stdin =
        options.context == ContextSource::Stdin || options.file == DockerfileSource::Stdin;
    let is_over = built.is_ok() || workshop.cancel.is_cancelled() || is_from_stdin;
    if is_over || !workshop.digests.is_lost() {
        return built;
    }
    workshop.events.warn(
        "a file changed while it was used, or without a trace in its times: all files are read again",
    );
    build(options, env, workshop)
}

fn build(
    options: &BuildOptions,
    env: &Environment,
    workshop: &mut Workshop,
) -> Result<Built, Box<Report>> {
    let Prepared {
        source,
        parsed,
        mut plan_options,
        sources,
        mut contexts,
        secrets,
        agents,
        // Until everything is fetched.
        source_agent: _source_agent,
    } = prepare(options, env, workshop)?;
    let wanted = result::with_time(&options.result, workshop);
    workshop.pack = result::pack_plans(&wanted, workshop);
    if options.all_platforms {
        let known = (options, &sources);
        plan_options.target_platforms =
            platforms::shared(known, &plan_options, workshop, (&source, &parsed))?;
    }
    let platforms = plan_options.target_platforms.clone();
    let caches = Caches::new(&options.cache, &platforms, (&wanted, workshop));
    caches.add_pack_plans(&mut workshop.pack);
    let mut said = Said::new(&source, &workshop.events);
    let plan = StagePlan::new(&parsed, plan_options);
    let mut plan = plan.map_err(|faults| said.refuse(&faults))?;
    said.warn(plan.warnings());
    resolve_bases(&mut plan, (options, &sources), workshop, &source)?;
    let mut graph = DefinitionBuilder::new();
    let mut targets = Vec::new();
    for platform in &platforms {
        let target = plan.lower(platform, &mut graph);
        targets.push(target.map_err(|faults| said.refuse(&faults))?);
    }
    said.warn(targets.iter().flat_map(|target| &target.warnings));
    let definition = graph.finish();
    policy::check_given(&definition, &sources, options)?;
    let kept = KeptStages::of(&mut targets, &wanted);
    let roots = targets.iter().map(|target| target.root);
    let mut job = Job {
        options: JobOptions {
            directories: contexts.directories(&definition, workshop)?,
            imports: caches.imports.clone(),
            keyed: caches.keyed(),
            ..job_options(options, &plan, (secrets, agents))
        },
        definition,
        targets: roots.chain(kept.roots()).collect(),
    };
    let attempt = Attempt {
        wanted: &wanted,
        caches: &caches,
        targets: &targets,
        kept: &kept,
    };
    attempt.repeat(&mut job, workshop, &|error, job| {
        failure::of_solve(error, job, &source, options)
    })
}

/// What a job is carried out for.
struct Attempt<'a> {
    wanted: &'a ResultOptions,
    caches: &'a Caches,
    targets: &'a [Target],
    kept: &'a KeptStages,
}

/// How often layers of the store are made again because they were damaged: each time all are that are.
const REPAIRS_MAX: usize = 2;

impl Attempt<'_> {
    /// Carries the job out, and again without what was of no use.
    fn repeat(
        &self,
        job: &mut Job,
        workshop: &Workshop,
        report: &dyn Fn(SolveError, &Job) -> Box<Report>,
    ) -> Result<Built, Box<Report>> {
        let mut repairs = 0;
        loop {
            let why = match self.run(job, workshop, report) {
                Ok(built) => return Ok(built),
                Err(Failure::Build(report)) => return Err(report),
                // It is not taken again, so that there is an end to it.
                Err(Failure::Import(why)) => why,
                Err(Failure::Damaged(report)) => {
                    if repairs == REPAIRS_MAX {
                        return Err(report);
                    }
                    repairs += 1;
                    report.title
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
        let Solved { mut stacks, keyed } = solved?;
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
        Ok(Built { exported, cache })
    }
}

/// Carries the job out, and packs the layers of its results meanwhile.
fn solve_with_layers(
    job: &mut Job,
    wanted: &ResultOptions,
    workshop: &Workshop,
) -> Result<Solved, SolveError> {
    let early = EarlyLayers::start(&wanted.outputs, workshop);
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

/// Says that something is missing before the first command misses it.
fn check_volumes(options: &BuildOptions) -> Result<(), Box<Report>> {
    let mut hosts = options.volumes.iter().map(|volume| &volume.host);
    let check = |path: &PathBuf| match std::fs::metadata(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(failure::unreadable("volume", path, &error, options)),
    };
    hosts.try_for_each(check)
}

/// Returns the clock of the build, which is known only when the Dockerfile was read.
fn clock_of(
    options: &BuildOptions,
    settled: Result<Clock, EpochFailure>,
    (source, events): (&SourceFile, &Events),
) -> Result<Clock, Box<Report>> {
    let settled = settled.map_err(|failure| match failure {
        EpochFailure::Faults(found) => Said::new(source, events).refuse(&found),
        EpochFailure::Source(report) => report,
    })?;
    Ok(options.result.time.map_or(settled, Clock::Fixed))
}

fn plan_options(
    options: &BuildOptions,
    dockerfile: &Dockerfile,
) -> Result<PlanOptions, Box<Report>> {
    let empty = |(name, context): (&String, &NamedContext)| {
        (*context == NamedContext::Empty).then(|| name.clone())
    };
    Ok(PlanOptions {
        build_args: options.build_args.clone(),
        target: options.target.clone(),
        contexts: options.contexts.keys().cloned().collect(),
        labels: options.labels.clone(),
        stage_labels: options.result.stage_labels,
        implicit_platform: options.implicit_platform,
        first_base: options.first_base.clone(),
        renewed_stages: options.renewed_stages.clone(),
        ignore: dockerfile.ignore.clone(),
        directories: source::named_ignores(options)?,
        empty_contexts: options.contexts.iter().filter_map(empty).collect(),
        network: match options.network {
            // What connects it is the machine's business, and no part of a key.
            NetworkArgument::Default | NetworkArgument::Sandbox => graph::NetworkMode::Default,
            NetworkArgument::Host => graph::NetworkMode::Host,
            NetworkArgument::None => graph::NetworkMode::None,
        },
        sandbox: options.sandbox.settings.clone(),
        entitlements: options.sandbox.entitlements.clone(),
        ..PlanOptions::new(options.build_platform.clone(), options.platforms.clone())
    })
}

fn job_options(
    options: &BuildOptions,
    plan: &StagePlan,
    (secrets, ssh): (Secrets, Agents),
) -> JobOptions {
    JobOptions {
        reuse: if options.no_cache || options.policy.nothing_counts() {
            Reuse::No
        } else {
            Reuse::Yes
        },
        oldest: options.policy.oldest(),
        jobs: options.jobs,
        memory_budget_bytes: options.memory_budget_bytes,
        directories: BTreeMap::new(),
        secrets,
        ssh,
        volumes: options.volumes.clone(),
        untracked_env: plan.untracked_env(),
        authorities: options.authorities.clone(),
        limits: options.command_limits.clone(),
        network: options.usual_network,
        keyed: KeyedLayers::None,
        imports: Imports::default(),
        layers: None,
    }
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

fn platform_result(
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
