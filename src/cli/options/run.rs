//! What `careen run` is to do.

mod environment;

use oci::{ImageConfig, Platform};
use runtime::{LimitedResource, ResourceLimit};
use solver::UsualNetwork;
use solver::ops::exec::Volume;

pub use environment::EnvironmentError;

use super::{SandboxOptions, UsageError, host_platform, image_platform, network, volume};
use crate::args::{
    LegacyArguments, PullArgument, RefusedArguments, RunArguments, SandboxArguments,
};
use crate::env::Environment;

/// Where commands are looked for when an image does not say.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a command line of `run` cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum RunUsageError {
    /// What docker has, and careen has not.
    #[error("`{flag}` is not supported: {reason}")]
    Unsupported {
        /// The flag.
        flag: &'static str,
        /// Why not, and what to do.
        reason: &'static str,
    },
    /// A working directory that is none.
    #[error("`--workdir {text}` is no absolute path")]
    WorkingDirectory {
        /// The text.
        text: String,
    },
    /// A directory in memory that is none.
    #[error("`--tmpfs {text}` is no `TARGET[:size=SIZE]`")]
    Memory {
        /// The text.
        text: String,
    },
    /// A host name that is none.
    #[error("`--hostname {text}` is no host name")]
    Hostname {
        /// The text.
        text: String,
    },
    /// The environment is not understood.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// What all commands share is not understood.
    #[error(transparent)]
    Shared(#[from] Box<UsageError>),
}

impl From<UsageError> for RunUsageError {
    fn from(error: UsageError) -> Self {
        Self::Shared(Box::new(error))
    }
}

/// What `run` is to do, before the image is known.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The image, as it was typed.
    pub image: String,
    /// What stands in the place of the image's command.
    pub command: Vec<String>,
    /// What stands in the place of the image's entry point.
    pub entrypoint: Option<String>,
    /// The platform that was asked for.
    pub platform: Option<Platform>,
    /// This machine's platform.
    pub host: Platform,
    /// When to pull.
    pub pull: PullArgument,
    /// The variables that were given, as `NAME=value`.
    pub env: Vec<String>,
    /// What the command sees of the machine.
    pub volumes: Vec<Volume>,
    /// Directories in memory, and their sizes in bytes.
    pub memory: Vec<(String, Option<u64>)>,
    /// Where to start.
    pub working_directory: Option<String>,
    /// Whom to run as.
    pub user: Option<String>,
    /// The network.
    pub network: UsualNetwork,
    /// The host name.
    pub hostname: Option<String>,
    /// Whether the root is closed to writing.
    pub is_read_only: bool,
    /// Whether standard input is kept open.
    pub interactive: bool,
    /// Whether the command has a terminal.
    pub terminal: bool,
    /// What is asked for of the sandbox.
    pub sandbox: SandboxOptions,
    /// What is to be told before the command runs.
    pub warnings: Vec<String>,
}

impl RunOptions {
    /// Works out what is to be done.
    ///
    /// # Errors
    ///
    /// Fails on what cannot be understood, and on what careen does not have.
    pub fn new(arguments: &RunArguments, env: &Environment) -> Result<Self, RunUsageError> {
        refuse(&arguments.refused)?;
        let host = host_platform();
        let mut words = arguments.image_and_command.iter().cloned();
        let volumes = volume::parse_all(&arguments.volumes, env).map_err(UsageError::from)?;
        Ok(Self {
            // clap has made sure of one word.
            image: words.next().unwrap_or_default(),
            command: words.collect(),
            entrypoint: arguments.entrypoint.clone(),
            platform: image_platform(arguments.platform.as_deref(), env)?,
            host,
            pull: arguments.pull,
            env: environment::given(arguments, env)?,
            volumes,
            memory: arguments
                .tmpfs
                .iter()
                .map(|text| memory(text))
                .collect::<Result<_, _>>()?,
            working_directory: working_directory(arguments.workdir.as_deref())?,
            user: arguments.user.clone(),
            network: network::of_run(arguments.network),
            hostname: hostname(arguments.hostname.as_deref())?,
            is_read_only: arguments.read_only,
            interactive: arguments.interactive,
            terminal: arguments.tty,
            sandbox: sandbox(arguments)?,
            warnings: warnings(&arguments.refused),
        })
    }

    /// Returns the command of an image: its entry point and what comes after it. As with docker, an entry point
    /// of one's own takes the image's command away too, and an empty one stands for none.
    pub fn argv(&self, config: &ImageConfig) -> Vec<String> {
        let image = &config.config;
        let (entrypoint, usual) = match &self.entrypoint {
            Some(own) if own.is_empty() => (Vec::new(), [].as_slice()),
            Some(own) => (vec![own.clone()], [].as_slice()),
            None => (image.entrypoint.clone(), image.cmd.as_slice()),
        };
        let rest = if self.command.is_empty() {
            usual
        } else {
            &self.command
        };
        [&entrypoint, rest].concat()
    }

    /// Returns the environment: docker's own variables, then the image's, then those given, each once.
    pub fn environment(&self, config: &ImageConfig, hostname: &str) -> Vec<String> {
        let own = [PATH.to_owned(), format!("HOSTNAME={hostname}")];
        let term = self.terminal.then(|| "TERM=xterm".to_owned());
        let all = own.into_iter().chain(term);
        environment::merged(
            all.chain(config.config.env.iter().cloned())
                .chain(self.env.iter().cloned()),
        )
    }

    /// Returns the limits on the command.
    pub fn limits(&self) -> Vec<ResourceLimit> {
        let limits = self.sandbox.settings.limits.iter();
        limits
            .filter_map(|limit| {
                Some(ResourceLimit {
                    resource: LimitedResource::from_name(&limit.resource)?,
                    soft: limit.soft,
                    hard: limit.hard,
                })
            })
            .collect()
    }
}

/// Refuses what careen does not have.
fn refuse(refused: &RefusedArguments) -> Result<(), RunUsageError> {
    const CAPABILITIES: &str =
        "a command has the capabilities of a container, all within a user namespace of its own";
    const PORTS: &str = "the command has the machine's network, and a port that it listens on is one of the machine's";
    let table = [
        (
            "--detach",
            refused.detach,
            "careen has no daemon that a command could be left to",
        ),
        ("--publish", !refused.publish.is_empty(), PORTS),
        ("--publish-all", refused.publish_all, PORTS),
        ("--cap-add", !refused.cap_add.is_empty(), CAPABILITIES),
        ("--cap-drop", !refused.cap_drop.is_empty(), CAPABILITIES),
        ("--privileged", refused.privileged, CAPABILITIES),
        (
            "--device",
            !refused.devices.is_empty(),
            "a command has the devices that every program may expect, and no others",
        ),
        (
            "--mount",
            !refused.mounts.is_empty(),
            "`--volume` and `--tmpfs` are",
        ),
    ];
    match table.into_iter().find(|(_, is_given, _)| *is_given) {
        Some((flag, _, reason)) => Err(RunUsageError::Unsupported { flag, reason }),
        None => Ok(()),
    }
}

fn warnings(refused: &RefusedArguments) -> Vec<String> {
    let name = refused.name.iter();
    name.map(|_| "`--name` changes nothing: nothing is kept that a name could lead to".to_owned())
        .collect()
}

fn working_directory(text: Option<&str>) -> Result<Option<String>, RunUsageError> {
    match text {
        Some(text) if !text.starts_with('/') => Err(RunUsageError::WorkingDirectory {
            text: text.to_owned(),
        }),
        _ => Ok(text.map(str::to_owned)),
    }
}

/// Takes what the kernel does, without what would break a line of `/etc/hosts`.
fn hostname(text: Option<&str>) -> Result<Option<String>, RunUsageError> {
    /// `__NEW_UTS_LEN` (linux/utsname.h).
    const LIMIT_BYTES: usize = 64;
    let is_name = |text: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        !text.is_empty() && text.len() <= LIMIT_BYTES && text.bytes().all(is_part)
    };
    match text {
        Some(text) if !is_name(text) => Err(RunUsageError::Hostname {
            text: text.to_owned(),
        }),
        _ => Ok(text.map(str::to_owned)),
    }
}

fn memory(text: &str) -> Result<(String, Option<u64>), RunUsageError> {
    let wrong = || RunUsageError::Memory {
        text: text.to_owned(),
    };
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    if !target.starts_with('/') || target == "/" {
        return Err(wrong());
    }
    let mut size_bytes = None;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let size = option.strip_prefix("size=").ok_or_else(wrong)?;
        size_bytes = Some(dockerfile::number::parse_bytes(size).ok_or_else(wrong)?);
    }
    Ok((target.to_owned(), size_bytes))
}

fn sandbox(arguments: &RunArguments) -> Result<SandboxOptions, UsageError> {
    let limits = &arguments.limits;
    let shared = SandboxArguments {
        add_hosts: arguments.add_hosts.clone(),
        dns: arguments.dns.clone(),
        dns_options: arguments.dns_options.clone(),
        dns_search: arguments.dns_search.clone(),
        shm_size: arguments.shm_size.clone(),
        ulimits: arguments.ulimits.clone(),
        cpus: limits.cpus.clone(),
        pids_limit: limits.pids_limit.clone(),
        cgroup_parent: limits.cgroup_parent.clone(),
        legacy: LegacyArguments {
            memory: limits.memory.clone(),
            memory_swap: limits.memory_swap.clone(),
            cpu_shares: limits.cpu_shares.clone(),
            cpuset_cpus: limits.cpuset_cpus.clone(),
            ..LegacyArguments::default()
        },
        ..SandboxArguments::default()
    };
    SandboxOptions::new(&shared, arguments.network)
}

/// Returns what docker shows for this machine: an amd64 with the level of its processor.
pub fn detected_platform(host: &Platform) -> Platform {
    use vendor_shim::emulation::Architecture;
    let native = runtime::native::NativePrograms::probe();
    let levels = ["v4", "v3", "v2"].into_iter();
    let mut usable = levels.filter(|level| native.runs(Architecture::Amd64, Some(level)));
    match usable.next() {
        Some(level) if host.architecture == "amd64" => host.clone().with_variant(level),
        _ => host.clone(),
    }
}

#[cfg(test)]
mod tests;
