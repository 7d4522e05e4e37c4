//! `careen build`: Dockerfile → graph → file systems → output.

mod policy;
mod result;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use dockerfile::diagnostic::Diagnostic;
use dockerfile::lower::Target;
use dockerfile::parse::{Parsed, parse};
use dockerfile::source::SourceFile;
use dockerfile::stage::{BaseRequest, PlanOptions, ResolvedBase, StagePlan};
use export::Exported;
use graph::{DefinitionBuilder, SourcePolicy};
use solver::base::{self, BaseError};
use solver::state::Reuse;
use solver::{BuildResult, HistoryStep, Job, JobOptions, PlatformResult, Stack, Workshop, solve};

use super::failure;
use crate::args::{BuildArguments, NetworkArgument};
use crate::config::Config;
use crate::env::Environment;
use crate::exit;
use crate::options::{BuildOptions, NamedContext, Places};
use crate::progress;
use crate::report::{self, Kind, Report};
use crate::run::Outcome;
use crate::workshop;

/// No Dockerfile is larger (BuildKit's limit is the same).
const DOCKERFILE_LIMIT_BYTES: u64 = 1024 * 1024;

/// Runs `build` in the builder.
pub(crate) fn run(
    arguments: &BuildArguments,
    builder: &runtime::Builder,
    places: &Places,
    env: &Environment,
    config: &Config,
) -> Outcome {
    let options = BuildOptions::new(arguments, env, config)
        .map_err(|error| Report::new(Kind::Usage, &error))?;
    check_context(&options)?;
    let source = read_dockerfile(&options)?;
    let parsed = parse(&source);
    let plan_options = plan_options(&options)?;
    let pack = result::pack_plans(&options.result)?;
    let (workshop, events) = workshop::open(builder, places, options.clock, pack)?;
    let display = std::thread::spawn({
        let kind = options.progress;
        move || progress::show(kind, &events, &mut io::stderr())
    });
    let built = build(&options, plan_options, &workshop, (&source, &parsed));
    // The display ends when nobody can tell it anything any more.
    let cancelled = workshop.cancel.reason();
    drop(workshop);
    if let Err(panic) = display.join() {
        std::panic::resume_unwind(panic);
    }
    match (built, cancelled) {
        (Err(_), Some(reason)) => Err(failure::interrupted(reason)),
        (Err(report), None) => Err(report),
        (Ok(exported), _) => {
            result::tell(&exported, &options.result)?;
            Ok(exit::DONE)
        }
    }
}

fn build(
    options: &BuildOptions,
    plan_options: PlanOptions,
    workshop: &Workshop,
    (source, parsed): (&SourceFile, &Parsed),
) -> Result<Vec<Exported>, Box<Report>> {
    let faults = |faults: Vec<Diagnostic>| first_fault(&faults, source);
    let mut plan = StagePlan::new(parsed, plan_options).map_err(faults)?;
    let sources = policy::read(options)?;
    resolve_bases(&mut plan, (options, &sources), workshop, source)?;
    let mut graph = DefinitionBuilder::new();
    let mut targets = Vec::new();
    for platform in &options.platforms {
        targets.push(plan.lower(platform, &mut graph).map_err(faults)?);
    }
    tell_warnings(parsed, &plan, &targets, source);
    let job = Job {
        definition: graph.finish(),
        targets: targets.iter().map(|target| target.root).collect(),
        options: job_options(options, &plan),
    };
    let stacks =
        solve(&job, workshop).map_err(|error| failure::of_solve(error, &job, source, options))?;
    let result = result_of(targets, stacks);
    result::export(&result, &options.result, workshop)
}

fn plan_options(options: &BuildOptions) -> Result<PlanOptions, Box<Report>> {
    Ok(PlanOptions {
        build_args: options.build_args.clone(),
        target: options.target.clone(),
        contexts: options.contexts.keys().cloned().collect(),
        labels: options.labels.clone(),
        ignore: read_ignore(options, &parsed_path(options))?,
        directories: read_directories(options)?,
        ..PlanOptions::new(options.build_platform.clone(), options.platforms.clone())
    })
}

fn job_options(options: &BuildOptions, plan: &StagePlan) -> JobOptions {
    let mut directories = BTreeMap::new();
    for (name, context) in &options.contexts {
        if let NamedContext::Directory(path) = context {
            directories.insert(name.clone(), path.clone());
        }
    }
    // A named context cannot stand for the build context, whatever it is called.
    directories.insert("context".to_owned(), options.context.clone());
    JobOptions {
        reuse: if options.no_cache || options.policy.nothing_counts() {
            Reuse::No
        } else {
            Reuse::Yes
        },
        oldest: options.policy.oldest(),
        jobs: options.jobs,
        directories,
        secrets: solver::ops::exec::Secrets::default(),
        ssh: BTreeMap::new(),
        volumes: Vec::new(),
        untracked_env: plan.untracked_env(),
        network: match options.network {
            NetworkArgument::Default | NetworkArgument::Host => runtime::NetworkMode::Host,
            NetworkArgument::None => runtime::NetworkMode::None,
        },
    }
}

/// Resolves base images until the plan asks for no more.
fn resolve_bases(
    plan: &mut StagePlan,
    (options, sources): (&BuildOptions, &SourcePolicy),
    workshop: &Workshop,
    source: &SourceFile,
) -> Result<(), Box<Report>> {
    loop {
        let requests = plan.unresolved();
        if requests.is_empty() {
            return Ok(());
        }
        for request in requests {
            if let Some(report) = failure::directory_as_base(&request, source, options) {
                return Err(report);
            }
            let admitted = policy::admit(&request, sources, source)?;
            let resolved = resolve_base(&admitted, options, workshop);
            let resolved = resolved.map_err(|error| {
                let report = failure::of_base(&error, &admitted, source);
                policy::explained(report, &request, &admitted)
            })?;
            policy::check_pull(&admitted, &resolved, options.policy.pull, source)?;
            plan.resolve(&request, resolved);
        }
    }
}

fn resolve_base(
    request: &BaseRequest,
    options: &BuildOptions,
    workshop: &Workshop,
) -> Result<ResolvedBase, BaseError> {
    let context = request
        .context
        .as_ref()
        .and_then(|name| options.contexts.get(name));
    let resolved = match context {
        Some(NamedContext::Layout(location)) => {
            base::resolve_layout(&workshop.store, location, &request.platform)?
        }
        // What a directory stands for is told before anything is looked up.
        Some(NamedContext::Directory(_)) | None => {
            base::resolve_stored(&workshop.store, &request.name, &request.platform)?
        }
    };
    Ok(ResolvedBase {
        config: resolved.config,
        source: resolved.source,
    })
}

fn result_of(targets: Vec<Target>, stacks: Vec<Stack>) -> BuildResult {
    let platforms = targets.into_iter().zip(stacks).map(|(target, stack)| {
        let step = |step: dockerfile::lower::HistoryStep| HistoryStep {
            created_by: step.created_by,
            comment: step.comment.to_owned(),
            empty_layer: step.empty_layer,
        };
        PlatformResult {
            platform: target.platform,
            stack,
            config: target.config,
            history: target.history.into_iter().map(step).collect(),
        }
    });
    BuildResult {
        platforms: platforms.collect(),
    }
}

fn tell_warnings(parsed: &Parsed, plan: &StagePlan, targets: &[Target], source: &SourceFile) {
    let lowering = targets.iter().flat_map(|target| &target.warnings);
    let parsing = parsed
        .diagnostics
        .iter()
        .filter(|diagnostic| !diagnostic.is_error());
    let mut told: Vec<&Diagnostic> = Vec::new();
    for warning in parsing.chain(plan.warnings()).chain(lowering) {
        if !told.contains(&warning) {
            report::print_warning(warning, source);
            told.push(warning);
        }
    }
}

/// Reports the first fault and prints those before it are none: the others follow it.
fn first_fault(faults: &[Diagnostic], source: &SourceFile) -> Box<Report> {
    let mut reports: Vec<_> = faults
        .iter()
        .map(|fault| Report::of_diagnostic(fault, source))
        .collect();
    let last = reports.pop();
    for report in &reports {
        report::print(report);
    }
    Box::new(last.unwrap_or_else(failure::without_reason))
}

/// Returns the Dockerfile's path: `-f`, or `Dockerfile` or `dockerfile` in the context.
fn parsed_path(options: &BuildOptions) -> PathBuf {
    if let Some(file) = &options.file {
        return file.clone();
    }
    let usual = options.context.join("Dockerfile");
    let lower = options.context.join("dockerfile");
    match std::fs::symlink_metadata(&usual) {
        Err(error)
            if error.kind() == io::ErrorKind::NotFound && lower.try_exists().unwrap_or(false) =>
        {
            lower
        }
        _ => usual,
    }
}

/// Says that the context is missing before a file in it is missed.
fn check_context(options: &BuildOptions) -> Result<(), Box<Report>> {
    let path = &options.context;
    let found = std::fs::metadata(path).and_then(|metadata| {
        let is_directory = metadata.is_dir();
        is_directory
            .then_some(())
            .ok_or_else(|| io::ErrorKind::NotADirectory.into())
    });
    found.map_err(|error| failure::unreadable("build context", path, &error, options))
}

fn read_dockerfile(options: &BuildOptions) -> Result<SourceFile, Box<Report>> {
    let path = parsed_path(options);
    let refuse = |error: &io::Error| failure::unreadable("Dockerfile", &path, error, options);
    let bytes = read_limited(&path).map_err(|error| refuse(&error))?;
    if bytes.len() as u64 > DOCKERFILE_LIMIT_BYTES {
        return Err(failure::too_large(
            "Dockerfile",
            &path,
            DOCKERFILE_LIMIT_BYTES,
        ));
    }
    let text = String::from_utf8(bytes).map_err(|_not_utf8| {
        refuse(&io::Error::new(
            io::ErrorKind::InvalidData,
            "it is not UTF-8",
        ))
    })?;
    Ok(SourceFile::new(shown(&path, options), text))
}

/// Reads a file up to the first byte that is too many. Its size is not asked for: it may be a pipe, or a
/// link to something that never ends.
fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(DOCKERFILE_LIMIT_BYTES + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns a path as the user would write it.
fn shown(path: &Path, options: &BuildOptions) -> String {
    path.strip_prefix(&options.context)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Reads the ignore file of the Dockerfile, or else of the context; none is no patterns.
fn read_ignore(options: &BuildOptions, dockerfile: &Path) -> Result<Vec<String>, Box<Report>> {
    let mut own = dockerfile.as_os_str().to_owned();
    own.push(".dockerignore");
    for path in [PathBuf::from(own), options.context.join(".dockerignore")] {
        if let Some(patterns) = read_ignore_if_there(&path, options)? {
            return Ok(patterns);
        }
    }
    Ok(Vec::new())
}

/// Reads the ignore files of the named contexts that are directories.
fn read_directories(options: &BuildOptions) -> Result<BTreeMap<String, Vec<String>>, Box<Report>> {
    let mut directories = BTreeMap::new();
    for (name, context) in &options.contexts {
        if let NamedContext::Directory(path) = context {
            let patterns = read_ignore_if_there(&path.join(".dockerignore"), options)?;
            directories.insert(name.clone(), patterns.unwrap_or_default());
        }
    }
    Ok(directories)
}

fn read_ignore_if_there(
    path: &Path,
    options: &BuildOptions,
) -> Result<Option<Vec<String>>, Box<Report>> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.len() > DOCKERFILE_LIMIT_BYTES => Err(
            failure::too_large("ignore file", path, DOCKERFILE_LIMIT_BYTES),
        ),
        Ok(_) => read_ignore_file(path, options).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failure::unreadable("ignore file", path, &error, options)),
    }
}

/// Reads an ignore file through its directory: a link in a context does not lead out of it.
fn read_ignore_file(path: &Path, options: &BuildOptions) -> Result<Vec<String>, Box<Report>> {
    let read = || -> Result<Vec<u8>, rootfs::FsError> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        let name = path.file_name().unwrap_or_default();
        let root = rootfs::Root::open(parent)?;
        let name = rootfs::RootPath::lexical(name.as_encoded_bytes())
            .unwrap_or_else(|_| rootfs::RootPath::root());
        Ok(root
            .read_to_end_limited(&name, DOCKERFILE_LIMIT_BYTES)?
            .unwrap_or_default())
    };
    let bytes = read().map_err(|error| {
        Box::new(Report::new(
            Kind::User,
            &failure::Unreadable::ignore_file(path, error),
        ))
    })?;
    let text = String::from_utf8_lossy(&bytes);
    // What is malformed is told here, with the file; the patterns themselves are part of the graph.
    dockerfile::ignore::parse_ignore_file(&text).map_err(|error| {
        let mut report = Report::new(Kind::User, &error);
        report
            .notes
            .push(format!("ignore file: {}", shown(path, options)));
        Box::new(report)
    })?;
    Ok(dockerfile::ignore::patterns(&text))
}
