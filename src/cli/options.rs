//! What the arguments mean, with the environment and the configuration taken in.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use oci::digest::DigestError;
use oci::platform::PlatformError;
use oci::reference::ReferenceError;
use oci::time::TimestampError;
use oci::{Clock, Platform, Reference, Timestamp};
use store::LayoutLocation;

use crate::args::{BuildArguments, GlobalArguments, NetworkArgument, ProgressArgument};
use crate::config::Config;
use crate::env::Environment;

mod policy;
mod result;

pub use policy::{PolicyOptions, PolicyUsageError, Pull};
pub use result::{ResultError, ResultOptions};

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
    /// A `NAME=VALUE` without `=`.
    #[error("`{flag} {text}`: `{text}` is no `NAME=VALUE`")]
    NameValue {
        /// The flag.
        flag: &'static str,
        /// The text.
        text: String,
    },
    /// A kind of context that is not supported yet.
    #[error(
        "`--build-context {text}`: `{scheme}` is not supported yet: a directory and `oci-layout://` are"
    )]
    ContextKind {
        /// The text.
        text: String,
        /// The scheme.
        scheme: String,
    },
    /// The Dockerfile comes from where it is not read from yet.
    #[error("`--file {text}` is not supported yet: a path is")]
    Dockerfile {
        /// The text.
        text: String,
    },
    /// The digest of an image in a layout is malformed.
    #[error("`--build-context {text}` names no image of a layout")]
    Layout {
        /// The text.
        text: String,
        /// Why.
        source: DigestError,
    },
    /// The context is something that is not supported yet.
    #[error("the build context `{text}` is not supported yet: a directory is")]
    Context {
        /// The text.
        text: String,
    },
    /// `SOURCE_DATE_EPOCH` is no time.
    #[error("`SOURCE_DATE_EPOCH={text}` is no time")]
    Epoch {
        /// The text.
        text: String,
        /// Why.
        source: TimestampError,
    },
    /// `BUILDKIT_PROGRESS`, or the configuration, asks for a display that there is not.
    #[error("`{text}` is no way to show progress: `auto`, `plain`, `quiet` and `none` are")]
    Progress {
        /// The text.
        text: String,
    },
    /// What is said about sources and earlier results is not understood.
    #[error(transparent)]
    Policy(#[from] PolicyUsageError),
    /// Neither `HOME` nor a store is given.
    #[error("no place for the store: neither `HOME` nor `XDG_DATA_HOME` is set")]
    NoStore,
}

/// What a build is to do.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// The directory of the context, absolute.
    pub context: PathBuf,
    /// The Dockerfile; searched for in the context if none.
    pub file: Option<PathBuf>,
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
    /// What is asked for of the result.
    pub result: ResultOptions,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// Whether earlier results do not count.
    pub no_cache: bool,
    /// The network of commands.
    pub network: NetworkArgument,
    /// How progress is shown.
    pub progress: ProgressArgument,
    /// How many commands run at the same time.
    pub jobs: NonZeroUsize,
    /// What time it is.
    pub clock: Clock,
    /// Which sources and earlier results may be used.
    pub policy: PolicyOptions,
}

/// A context that has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedContext {
    /// A directory.
    Directory(PathBuf),
    /// An image in an OCI image layout.
    Layout(LayoutLocation),
}

/// Where commands look for what is the user's.
#[derive(Debug, Clone)]
pub struct Places {
    /// The store.
    pub store: PathBuf,
    /// Where emulators are looked for.
    pub emulators: Vec<PathBuf>,
}

impl Places {
    /// Finds them.
    ///
    /// # Errors
    ///
    /// Fails when nothing says where the user's data is.
    pub fn find(
        global: &GlobalArguments,
        env: &Environment,
        config: &Config,
    ) -> Result<Self, UsageError> {
        let given = global
            .store
            .clone()
            .or_else(|| env.store.clone())
            .or_else(|| config.store.clone());
        let usual = || {
            env.data_directory()
                .map(|directory| directory.join("careen"))
        };
        let store = given.or_else(usual).ok_or(UsageError::NoStore)?;
        let mut emulators = config.emulators.clone().unwrap_or_default();
        emulators.extend(["/usr/bin", "/usr/local/bin"].map(PathBuf::from));
        emulators.extend(
            env.data_directory()
                .map(|directory| directory.join("careen/emulators")),
        );
        Ok(Self {
            store: env.current_directory.join(store),
            emulators,
        })
    }
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
        let epoch = match result::timestamp(&arguments.result)? {
            Some(time) => Some(time),
            None => epoch(&build_args)?,
        };
        let platforms = platforms(arguments, env, &build_platform)?;
        let around = result::Surroundings {
            env,
            platforms: &platforms,
            build_args: &build_args,
            tags: &tags(arguments)?,
            time: epoch,
            host: &build_platform,
            allowed: &[],
        };
        let result = ResultOptions::new(&arguments.result, &around)?;
        Ok(Self {
            context: context(&arguments.context, env)?,
            file: dockerfile(arguments, env)?,
            target: arguments.target.clone(),
            contexts: named_contexts(arguments, env)?,
            platforms,
            build_platform,
            result,
            labels: pairs("--label", &arguments.labels)?,
            no_cache: arguments.no_cache,
            network: arguments.network.unwrap_or(NetworkArgument::Default),
            progress: progress(arguments, env, config)?,
            jobs: jobs(arguments, config),
            clock: epoch.map_or(Clock::System, Clock::Fixed),
            policy: PolicyOptions::new(&arguments.policy, env)?,
            build_args,
        })
    }
}

/// Returns this machine's platform, in the words of image indexes.
pub fn host_platform() -> Platform {
    Platform::new("linux", std::env::consts::ARCH).normalized()
}

fn context(path: &Path, env: &Environment) -> Result<PathBuf, UsageError> {
    let text = path.to_string_lossy();
    let is_remote = [
        "http://",
        "https://",
        "git://",
        "ssh://",
        "git@",
        "github.com/",
    ]
    .iter()
    .any(|prefix| text.starts_with(prefix));
    if text == "-" || is_remote {
        return Err(UsageError::Context {
            text: text.into_owned(),
        });
    }
    Ok(env.current_directory.join(path))
}

fn dockerfile(
    arguments: &BuildArguments,
    env: &Environment,
) -> Result<Option<PathBuf>, UsageError> {
    let Some(file) = &arguments.file else {
        return Ok(None);
    };
    let text = file.to_string_lossy();
    if text == "-" || text.starts_with("http://") || text.starts_with("https://") {
        return Err(UsageError::Dockerfile {
            text: text.into_owned(),
        });
    }
    Ok(Some(env.current_directory.join(file)))
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
            None => args.extend(Environment::named(text).map(|value| (text.clone(), value))),
        }
    }
    Ok(args)
}

fn epoch(build_args: &BTreeMap<String, String>) -> Result<Option<Timestamp>, UsageError> {
    let Some(text) = build_args
        .get("SOURCE_DATE_EPOCH")
        .filter(|text| !text.is_empty())
    else {
        return Ok(None);
    };
    let parsed = Timestamp::parse_source_date_epoch(text);
    parsed.map(Some).map_err(|source| UsageError::Epoch {
        text: text.clone(),
        source,
    })
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
        if seen.insert(platform.to_string()) {
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
    Platform::parse(text.trim(), host).map_err(|source| UsageError::Platform {
        text: text.to_owned(),
        source,
    })
}

fn named_contexts(
    arguments: &BuildArguments,
    env: &Environment,
) -> Result<BTreeMap<String, NamedContext>, UsageError> {
    let mut contexts = BTreeMap::new();
    for text in &arguments.build_contexts {
        let refuse = || UsageError::NameValue {
            flag: "--build-context",
            text: text.clone(),
        };
        let (name, value) = text.split_once('=').ok_or_else(refuse)?;
        if name.is_empty() || value.is_empty() {
            return Err(refuse());
        }
        contexts.insert(name.to_ascii_lowercase(), named_context(text, value, env)?);
    }
    Ok(contexts)
}

fn named_context(text: &str, value: &str, env: &Environment) -> Result<NamedContext, UsageError> {
    if let Some(place) = value.strip_prefix("oci-layout://") {
        let mut location = LayoutLocation::parse(place).map_err(|source| UsageError::Layout {
            text: text.to_owned(),
            source,
        })?;
        location.path = env.current_directory.join(location.path);
        return Ok(NamedContext::Layout(location));
    }
    if let Some((scheme, _)) = value.split_once("://") {
        let scheme = format!("{scheme}://");
        return Err(UsageError::ContextKind {
            text: text.to_owned(),
            scheme,
        });
    }
    Ok(NamedContext::Directory(env.current_directory.join(value)))
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

fn progress(
    arguments: &BuildArguments,
    env: &Environment,
    config: &Config,
) -> Result<ProgressArgument, UsageError> {
    if let Some(quiet) = result::quiet_progress(&arguments.result, arguments.progress)? {
        return Ok(quiet);
    }
    if let Some(progress) = arguments.progress {
        return Ok(progress);
    }
    let Some(text) = env.progress.as_ref().or(config.progress.as_ref()) else {
        return Ok(ProgressArgument::Auto);
    };
    match text.as_str() {
        "auto" => Ok(ProgressArgument::Auto),
        "plain" => Ok(ProgressArgument::Plain),
        "quiet" => Ok(ProgressArgument::Quiet),
        "none" => Ok(ProgressArgument::None),
        _ => Err(UsageError::Progress { text: text.clone() }),
    }
}

fn jobs(arguments: &BuildArguments, config: &Config) -> NonZeroUsize {
    let given = arguments.jobs.or(config.jobs);
    given
        .or_else(|| std::thread::available_parallelism().ok())
        .unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_counts_more_than_the_environment_and_that_more_than_the_file() {
        let global = |store: Option<&str>| GlobalArguments {
            store: store.map(PathBuf::from),
        };
        let env = Environment {
            store: Some(PathBuf::from("/env")),
            home: Some(PathBuf::from("/home/x")),
            ..Environment::default()
        };
        let config = Config {
            store: Some(PathBuf::from("/file")),
            ..Config::default()
        };
        let found = |global: &GlobalArguments, env: &Environment, config: &Config| {
            Places::find(global, env, config).unwrap().store
        };
        assert_eq!(
            found(&global(Some("/flag")), &env, &config),
            Path::new("/flag")
        );
        assert_eq!(found(&global(None), &env, &config), Path::new("/env"));
        let env = Environment { store: None, ..env };
        assert_eq!(found(&global(None), &env, &config), Path::new("/file"));
        let usual = found(&global(None), &env, &Config::default());
        assert_eq!(usual, Path::new("/home/x/.local/share/careen"));
    }
}
