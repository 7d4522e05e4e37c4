//! What the arguments mean, with the environment and the configuration taken in.

mod places;
pub(crate) mod reach;
mod remote;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use oci::platform::PlatformError;
use oci::reference::ReferenceError;
use oci::{Platform, Reference};
use runtime::probe::WishError;
use solver::ops::exec::Volume;
use solver::{Authorities, CommandLimits, UsualNetwork};

use crate::args::{BuildArguments, NetworkArgument};
use crate::config::Config;
use crate::env::Environment;

mod allow;
mod cache;
mod call;
pub mod context;
pub(crate) mod debug;
pub mod disk;
mod flag_file;
mod history;
mod hosts;
pub(crate) mod index;
mod limits;
mod network;
mod plan;
mod policy;
pub(crate) mod progress;
pub(crate) mod registry;
mod resources;
mod result;
pub mod run;
mod sandbox;
pub mod secret;
mod ssh;
pub(crate) mod transfer;
pub(crate) mod uninstalled;
pub mod volume;

pub use allow::AllowError;
pub use cache::{
    CacheDestination, CacheFailure, CacheOptions, CachePlace, CacheTo, CacheUsageError,
    GhaUsageError,
};
pub use call::{AnswerFormat, Call, CallError, Question};
pub use context::{ContextSource, ContextUsageError, DockerfileSource, NamedContext};
pub use debug::{FailureOptions, OnFailureError};
pub use history::{EndOptions, EndUsageError};
pub use hosts::{HostError, Resolver};
pub use limits::LimitError;
pub use places::Places;
pub(crate) use places::own_emulators;
pub use plan::PlanError;
pub use policy::{PolicyOptions, PolicyUsageError, Pull};
pub use progress::{ProgressOptions, ProgressUsageError};
pub use reach::Reach;
pub use registry::{RegistryOptions, RegistryUsageError};
pub use result::{ResultError, ResultOptions};
pub use sandbox::SandboxOptions;

pub use network::NetworkUsageError;
pub use resources::{ResourceError, ResourceOptions};
use secret::{SecretOption, SecretUsageError};
pub(crate) use ssh::DEFAULT_ID as DEFAULT_SSH_ID;
pub use ssh::SshError;
use volume::VolumeUsageError;

/// Why a command line cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// `--platform` names no platform.
    #[error("`--platform {text}` is no platform")]
    Platform {
        /// The text.
        text: String,
        /// Why.
        source: PlatformError,
    },
    /// `--executor` or `CAREEN_EXECUTOR` names none.
    #[error(transparent)]
    Executor(#[from] WishError),
    /// `--tag` is no name of an image.
    #[error("`{text}` is no name of an image")]
    Tag {
        /// The text.
        text: String,
        /// Why.
        source: ReferenceError,
    },
    /// A tag with a digest.
    #[error("`--tag {text}`: a tag cannot have a digest, which is known only after the build")]
    TagWithDigest {
        /// The text.
        text: String,
    },
    /// What is asked for of the result is not understood.
    #[error(transparent)]
    Result(#[from] ResultError),
    /// `--call` is not understood.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A `NAME=VALUE` without `=`.
    #[error("`{flag} {text}`: `{text}` is no `NAME=VALUE`")]
    NameValue {
        /// The flag.
        flag: &'static str,
        /// The text.
        text: String,
    },
    /// A context or the Dockerfile is not understood.
    #[error(transparent)]
    Context(#[from] ContextUsageError),
    /// What is said of progress cannot be done.
    #[error(transparent)]
    Progress(#[from] ProgressUsageError),
    /// What is said of the end of the build cannot be done.
    #[error(transparent)]
    End(#[from] EndUsageError),
    /// What is said about sources and earlier results is not understood.
    #[error(transparent)]
    Policy(#[from] PolicyUsageError),
    /// What is said about caches is not understood.
    #[error(transparent)]
    Cache(#[from] CacheUsageError),
    /// `--secret` is not understood.
    #[error(transparent)]
    Secret(#[from] SecretUsageError),
    /// `--volume` is not understood.
    #[error(transparent)]
    Volume(#[from] VolumeUsageError),
    /// An `--ssh` is not understood.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// An `--allow` is not understood.
    #[error(transparent)]
    Allow(#[from] AllowError),
    /// A host or a name server is not understood.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A limit is not understood.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// What is said about registries is not understood.
    #[error(transparent)]
    Registry(#[from] RegistryUsageError),
    /// What commands may use.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// A network.
    #[error(transparent)]
    Network(#[from] NetworkUsageError),
    /// What is said of steps that fail.
    #[error(transparent)]
    OnFailure(#[from] OnFailureError),
    /// What is said about the plan is not understood.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Neither `HOME` nor a store is given.
    #[error("no place for the store: neither `HOME` nor `XDG_DATA_HOME` is set")]
    NoStore,
}

/// What a build is to do.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Where the context comes from.
    pub context: ContextSource,
    /// Where the Dockerfile comes from.
    pub file: DockerfileSource,
    /// The stage.
    pub target: Option<String>,
    /// The build arguments.
    pub build_args: BTreeMap<String, String>,
    /// The named contexts.
    pub contexts: BTreeMap<String, NamedContext>,
    /// The platforms, each once.
    pub platforms: Vec<Platform>,
    /// This machine's platform.
    pub build_platform: Platform,
    /// Whether nobody asked for a platform.
    pub implicit_platform: bool,
    /// Whether every platform is wanted that all bases have.
    pub all_platforms: bool,
    /// What the first stage is built on instead of what its `FROM` says.
    pub first_base: Option<String>,
    /// The stages whose steps are carried out again.
    pub renewed_stages: BTreeSet<String>,
    /// What is asked for of the result.
    pub result: ResultOptions,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// Where the secrets of the build are.
    pub secrets: Vec<SecretOption>,
    /// What of this machine commands see.
    pub volumes: Vec<Volume>,
    /// Whether earlier results do not count.
    pub no_cache: bool,
    /// The network of commands.
    pub network: NetworkArgument,
    /// What each command may use, as far as this machine can see to that; found out before the first runs.
    pub command_limits: CommandLimits,
    /// The network of commands whose steps do not say.
    pub usual_network: UsualNetwork,
    /// Whom commands trust beside those whom their image trusts; read before the first runs.
    pub authorities: Authorities,
    /// The files of each SSH agent that commands may use: a socket, or keys.
    pub ssh: BTreeMap<String, Vec<PathBuf>>,
    /// What else is asked for of their sandboxes.
    pub sandbox: SandboxOptions,
    /// What is done with what a step leaves that fails.
    pub failure: FailureOptions,
    /// What is told about the Dockerfile instead of building it.
    pub call: Option<Call>,
    /// How progress is shown.
    pub progress: ProgressOptions,
    /// What is told and kept when the build ends.
    pub end: EndOptions,
    /// How many commands run at the same time.
    pub jobs: NonZeroUsize,
    /// How much memory those may be expected to need together, in bytes.
    pub memory_budget_bytes: Option<u64>,
    /// Which sources and earlier results may be used.
    pub policy: PolicyOptions,
    /// Where results are found and left, beside the store.
    pub cache: CacheOptions,
    /// How registries are reached.
    pub registry: RegistryOptions,
    /// The working directory, which relative paths count from.
    pub current_directory: PathBuf,
}

impl BuildOptions {
    /// Works out what a build is to do.
    ///
    /// # Errors
    ///
    /// Fails on what cannot be understood.
    pub fn new(
        arguments: &BuildArguments,
        env: &Environment,
        config: &Config,
    ) -> Result<Self, UsageError> {
        let build_platform = host_platform();
        let build_args = build_args(arguments, env)?;
        plan::check_platforms(arguments)?;
        let platforms = platforms(arguments, env, &build_platform)?;
        let around = result::Surroundings {
            env,
            platforms: &platforms,
            build_args: &build_args,
            tags: &tags(arguments)?,
            host: &build_platform,
            allowed: &arguments.sandbox.allow,
        };
        let result = ResultOptions::new(&arguments.result, &around)?;
        let context = context::context(arguments, env)?;
        let contexts = context::named_contexts(arguments, env)?;
        let cache = CacheOptions::new(&arguments.policy.cache, &build_args, env)?;
        let usual_network = network::of_build(arguments, config)?;
        let sandbox = sandbox_options(arguments, &build_args, usual_network)?;
        let mut named = plan::named_registries(&result, &contexts, arguments.first_base.as_deref());
        named.extend(cache.registries());
        let (progress, end) = history::with_progress(arguments, env, config, &result)?;
        Ok(Self {
            file: context::dockerfile(arguments)?,
            target: arguments.target.clone(),
            contexts,
            platforms,
            build_platform,
            implicit_platform: arguments.platforms.is_empty()
                && env.default_platform.is_none()
                && !arguments.all_platforms,
            all_platforms: arguments.all_platforms,
            first_base: arguments.first_base.clone(),
            renewed_stages: plan::renewed_stages(arguments),
            result,
            labels: pairs("--label", &arguments.labels)?,
            secrets: secret::parse_all(&arguments.secrets, env)?,
            volumes: volume::parse_all(&arguments.volumes, env)?,
            no_cache: arguments.no_cache,
            network: arguments.network.unwrap_or(NetworkArgument::Default),
            command_limits: CommandLimits::default(),
            authorities: Authorities::default(),
            usual_network,
            ssh: ssh::parse_all(&arguments.sandbox.ssh, &context, env)?,
            context,
            sandbox,
            failure: FailureOptions::new(&arguments.failure)?,
            call: Call::read(arguments)?,
            progress,
            end,
            jobs: jobs(arguments, config),
            memory_budget_bytes: limits::memory_budget_bytes(
                arguments.memory_budget.as_deref(),
                config.memory_budget.as_deref(),
            )?,
            policy: PolicyOptions::new(&arguments.policy, env)?,
            cache,
            registry: RegistryOptions::new(&arguments.registry, env, named)?,
            current_directory: env.current_directory.clone(),
            build_args,
        })
    }
}

/// Works out what is asked for of sandboxes, and what is to be told of their network.
fn sandbox_options(
    arguments: &BuildArguments,
    build_args: &BTreeMap<String, String>,
    usual_network: UsualNetwork,
) -> Result<SandboxOptions, UsageError> {
    let mut sandbox = SandboxOptions::new(&arguments.sandbox, arguments.network)?;
    let warning = reach::warning(build_args, usual_network);
    sandbox.warnings.extend(warning);
    Ok(sandbox)
}

/// Returns the platform of one image, if somebody asked for it.
///
/// # Errors
///
/// Fails when it is none.
pub fn image_platform(
    given: Option<&str>,
    env: &Environment,
) -> Result<Option<Platform>, UsageError> {
    let text = given.or(env.default_platform.as_deref());
    text.map(|text| parse_platform(text, &host_platform()))
        .transpose()
}

/// Returns this machine's platform, in the words of image indexes.
pub fn host_platform() -> Platform {
    Platform::new("linux", std::env::consts::ARCH).normalized()
}

fn build_args(
    arguments: &BuildArguments,
    env: &Environment,
) -> Result<BTreeMap<String, String>, UsageError> {
    let mut args = BTreeMap::new();
    // docker's clients pass this one on by themselves.
    if let Some(epoch) = &env.source_date_epoch {
        args.insert("SOURCE_DATE_EPOCH".to_owned(), epoch.clone());
    }
    args.extend(plan::build_arg_files(arguments, env)?);
    for text in &arguments.build_args {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                args.insert(name.to_owned(), value.to_owned());
            }
            Some(_) => {
                return Err(UsageError::NameValue {
                    flag: "--build-arg",
                    text: text.clone(),
                });
            }
            None => args.extend(env.named(text).map(|value| (text.clone(), value))),
        }
    }
    let proxies = registry::proxy_args(env, &args)?;
    args.extend(proxies);
    Ok(args)
}

fn tags(arguments: &BuildArguments) -> Result<Vec<Reference>, UsageError> {
    let mut tags: Vec<Reference> = Vec::new();
    for text in &arguments.tags {
        let reference = Reference::parse(text).map_err(|source| UsageError::Tag {
            text: text.clone(),
            source,
        })?;
        if reference.digest().is_some() {
            return Err(UsageError::TagWithDigest { text: text.clone() });
        }
        let reference = reference.into_docker_ref();
        if !tags.contains(&reference) {
            tags.push(reference);
        }
    }
    Ok(tags)
}

fn platforms(
    arguments: &BuildArguments,
    env: &Environment,
    host: &Platform,
) -> Result<Vec<Platform>, UsageError> {
    let default: Vec<String> = env.default_platform.iter().cloned().collect();
    let texts = if arguments.platforms.is_empty() {
        &default
    } else {
        &arguments.platforms
    };
    let mut platforms = Vec::new();
    let mut seen = BTreeSet::new();
    for text in texts {
        let platform = parse_platform(text, host)?;
        if seen.insert(platform.format_all()) {
            platforms.push(platform);
        }
    }
    if platforms.is_empty() {
        platforms.push(host.clone());
    }
    Ok(platforms)
}

fn parse_platform(text: &str, host: &Platform) -> Result<Platform, UsageError> {
    if text.trim() == "local" {
        return Ok(host.clone());
    }
    // `linux/arm` is `linux/arm/v7` for whoever asks for it.
    let parsed = Platform::parse(text.trim(), host).map(|platform| platform.normalized());
    parsed.map_err(|source| UsageError::Platform {
        text: text.to_owned(),
        source,
    })
}

fn pairs(flag: &'static str, texts: &[String]) -> Result<BTreeMap<String, String>, UsageError> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(UsageError::NameValue {
            flag,
            text: text.clone(),
        }),
    };
    texts.iter().map(pair).collect()
}

fn jobs(arguments: &BuildArguments, config: &Config) -> NonZeroUsize {
    let given = arguments.jobs.or(config.jobs);
    given
        .or_else(|| std::thread::available_parallelism().ok())
        .unwrap_or(NonZeroUsize::MIN)
}
