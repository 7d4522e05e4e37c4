//! `careen build`: Dockerfile → graph → file systems → output.

mod alone;
mod attempt;
mod bases;
mod caches;
mod damaged;
mod ending;
mod kept;
mod limits;
mod mode;
mod policy;
mod result;
mod secrets;
mod ssh;
mod stages;
mod warning;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use dockerfile::parse::{Parsed, parse};
use dockerfile::source::SourceFile;
use dockerfile::stage::{PlanOptions, StagePlan};
use graph::{DefinitionBuilder, SourcePolicy};
use oci::Clock;
use runtime::CancelReason;
use solver::ops::exec::Secrets;
use solver::state::Reuse;
use solver::{Events, Imports, Job, JobOptions, KeyedLayers, Listings, Workshop};

use super::debug::Watch;
use super::disk::After;
use super::said::Said;
use super::transfer::Surroundings;
use super::{call, failure, resources};
use crate::args::{BuildArguments, NetworkArgument};
use crate::config::Config;
use crate::env::Environment;
use crate::options::{BuildOptions, ContextSource, DockerfileSource, NamedContext, Places, reach};
use crate::progress::{Chronicle, Display};
use crate::registries::registries_of_build;
use crate::report::{Kind, Report};
use crate::run::Outcome;
use crate::workshop;

mod context;
mod epoch;
mod platforms;
mod remote;
mod source;

pub(crate) use alone::{Carried, Tried, try_build};
use attempt::{Attempt, Built, Stop};
pub(super) use bases::{resolve_bases, resolve_requests};
use caches::Caches;
use context::Contexts;
use ending::{Ended, Ending};
use epoch::EpochFailure;
pub(crate) use source::USUAL_NAMES;
use ssh::{Agents, SourceAgent};
use stages::KeptStages;

/// Runs `build` in the builder, with what is known from before.
pub(crate) fn run(
    arguments: &BuildArguments,
    (builder, carried): (&runtime::Builder, &Carried),
    places: &Places,
    env: &Environment,
    config: &Config,
) -> Outcome {
    let mut options = BuildOptions::new(arguments, env, config)
        .map_err(|error| Report::new(Kind::Usage, &error))?;
    check(&mut options, env)?;
    let resolver = &options.sandbox.resolver;
    let (mut workshop, events) = workshop::open(builder, places, resolver)?;
    workshop.found = Arc::clone(&carried.found);
    prepare_workshop(&mut workshop, (&options, places));
    warning::of_options(&options, env, &workshop.events);
    options.command_limits = resources::settle(&options.sandbox.resources, &workshop);
    let (watch, failed) = Watch::begin(&options);
    options.failure.told = failed;
    let ending = Ending::of(&options, places, &workshop)?;
    let display = Display::start(&options.progress, ending.keeping(), events)
        .map_err(|error| Report::new(Kind::User, &error))?;
    if options.call.is_none() {
        mode::tell(builder.ids().mode(), &workshop);
    }
    let built = answer_or_build(&options, env, &mut workshop);
    let cancelled = builder.cancel().reason();
    let after = After::new(&workshop, config);
    drop(workshop);
    let chronicle = display.finish();
    let around = Surroundings {
        builder,
        places,
        env,
    };
    let outcome = ended((built, chronicle, ending), cancelled, (&options, around));
    match after {
        Ok(after) if cancelled.is_none() => after.collect(),
        // That the configuration can be understood was checked before.
        Ok(_) | Err(_) => {}
    }
    outcome.or_else(|report| {
        let is_told = cancelled.is_none() && watch.open_shell(&report, &options, around);
        if is_told {
            return Ok(report.kind.exit_code());
        }
        ending::tell_failure(report, &options.progress)
    })
}

/// Does what is asked: builds, or answers a question about the build.
fn answer_or_build(
    options: &BuildOptions,
    env: &Environment,
    workshop: &mut Workshop,
) -> Result<Told, Box<Report>> {
    if let Some(call) = options.call {
        return call::answer(call, options, env, workshop).map(Told::Answer);
    }
    let built = build_believing(options, env, workshop).map_err(Stop::into_report)?;
    alone::note(options, workshop, built.is_known);
    Ok(Told::Exported(Box::new(built)))
}

/// Checks what can be checked before anything is opened, and reads what the user's flags name.
fn check(options: &mut BuildOptions, env: &Environment) -> Result<(), Box<Report>> {
    context::check(options)?;
    check_volumes(options)?;
    limits::check(&options.sandbox.settings.limits)?;
    let authorities = reach::read(&env.reach).map_err(|error| Report::new(Kind::Usage, &error))?;
    options.authorities = authorities;
    Ok(())
}

/// Gives a workshop what a build says of registries.
fn prepare_workshop(workshop: &mut Workshop, (options, places): (&BuildOptions, &Places)) {
    workshop.registries = Arc::new(registries_of_build(
        &options.registry,
        &places.remote,
        (&workshop.cancel, options.policy.pulling()),
        &workshop.events,
    ));
}

/// Tells how a build ended, whose images are carried on to where they are looked for.
fn ended(
    (built, chronicle, ending): (Result<Told, Box<Report>>, Chronicle, Ending<'_>),
    cancelled: Option<CancelReason>,
    (options, around): (&BuildOptions, Surroundings<'_>),
) -> Outcome {
    let images = match &built {
        Ok(Told::Exported(built)) => ending::images(&built.exported),
        _ => Vec::new(),
    };
    let outcome = match (built, cancelled) {
        (Err(_), Some(reason)) => Err(failure::interrupted(reason)),
        (Err(report), None) => Err(report),
        (Ok(Told::Answer(answer)), _) => answer.tell(),
        (Ok(Told::Exported(built)), reason) => {
            kept::carry(&built.exported, &options.result, around)
                .and_then(|()| built.tell((options, ending.id()), reason))
        }
    };
    ending.carry_out(outcome, Ended { chronicle, images })
}

/// What there is to tell when the display has ended.
enum Told {
    Exported(Box<Built>),
    Answer(call::Answer),
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
    // What cannot be built needs no context; BuildKit looks for the file as late.
    let ignore = if parsed.has_errors() {
        Vec::new()
    } else {
        source::read_ignore(&dockerfile, options, &main, workshop)?
    };
    let mut contexts = Contexts::new(options, main.tree);
    let mut plan_options = plan_options(options, ignore)?;
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
) -> Result<Built, Stop> {
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
) -> Result<Built, Stop> {
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
    let report =
        |error, job: &Job| failure::of_solve(error, job, &source, (options, workshop.store.path()));
    attempt.repeat(&mut job, workshop, &report)
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

fn plan_options(options: &BuildOptions, ignore: Vec<String>) -> Result<PlanOptions, Box<Report>> {
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
        ignore,
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
        listings: match options.end.kept_builds {
            0 => Listings::None,
            _ => Listings::Kept,
        },
        layers: None,
        failed: options.failure.told.clone(),
    }
}
