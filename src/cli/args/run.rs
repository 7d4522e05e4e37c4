//! What can be typed after `careen run`.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::{NetworkArgument, RegistryArguments};

/// The arguments of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArguments {
    /// Image, and the command to run in the place of its own
    #[arg(
        value_name = "IMAGE [COMMAND] [ARGUMENT]",
        required = true,
        trailing_var_arg = true
    )]
    pub image_and_command: Vec<String>,
    /// Keep standard input open
    #[arg(short, long)]
    pub interactive: bool,
    /// Give the command a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Platform of the image [env: `DOCKER_DEFAULT_PLATFORM`] [default: this machine's]
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// When to pull the image
    #[arg(long, value_name = "WHEN", default_value = "missing")]
    pub pull: PullArgument,
    /// Variable; without a value it is taken from the environment
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// File of variables, one `NAME[=VALUE]` a line; `--env` goes before it
    #[arg(long = "env-file", value_name = "FILE")]
    pub env_files: Vec<PathBuf>,
    /// File or directory of this machine that the command sees: `PATH:TARGET[:ro|rw|O]`
    #[arg(short, long = "volume", value_name = "VOLUME")]
    pub volumes: Vec<String>,
    /// Directory in memory: `TARGET[:size=SIZE]`
    #[arg(long, value_name = "TARGET")]
    pub tmpfs: Vec<String>,
    /// Directory to start in [default: the image's]
    #[arg(short, long = "workdir", value_name = "DIR")]
    pub workdir: Option<String>,
    /// User, and perhaps group, to run as [default: the image's]
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// Program to run in the place of the image's entry point
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<String>,
    /// Network of the command
    #[arg(long, visible_alias = "net", value_name = "MODE")]
    pub network: Option<NetworkArgument>,
    /// Host name that the command sees [default: made up]
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Line of /etc/hosts: `HOST:IP`, `HOST=IP`; the IP may be `host-gateway`
    #[arg(long = "add-host", value_name = "HOST:IP")]
    pub add_hosts: Vec<String>,
    /// Name server of the command [default: the machine's]
    #[arg(long, value_name = "IP")]
    pub dns: Vec<String>,
    /// Option of the command's resolver
    #[arg(long = "dns-option", value_name = "OPTION")]
    pub dns_options: Vec<String>,
    /// Domain in which the command looks names up
    #[arg(long = "dns-search", value_name = "DOMAIN")]
    pub dns_search: Vec<String>,
    /// Close the root to writing; volumes of the image stay open
    #[arg(long)]
    pub read_only: bool,
    /// Size of /dev/shm [default: 64m]
    #[arg(long, value_name = "SIZE")]
    pub shm_size: Option<String>,
    /// Limit of the command's processes: `NAME=SOFT[:HARD]`
    #[arg(long = "ulimit", value_name = "LIMIT")]
    pub ulimits: Vec<String>,
    /// What the command may use.
    #[command(flatten)]
    pub limits: RunLimitArguments,
    /// Pass signals on to the command
    #[arg(
        long,
        value_name = "BOOL",
        action = ArgAction::Set,
        default_value_t = true,
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true
    )]
    pub sig_proxy: bool,
    /// Keep nothing of what the command writes: so it is anyway
    #[arg(long)]
    pub rm: bool,
    /// Have a process that reaps others: so it is anyway
    #[arg(long)]
    pub init: bool,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArguments,
    /// What docker has and careen has not.
    #[command(flatten)]
    pub refused: RefusedArguments,
}

/// What a command may use, of processors, memory and processes.
#[derive(Debug, Clone, Default, Args)]
pub struct RunLimitArguments {
    /// Memory: `64m`
    #[arg(short, long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Memory and swap together; -1 for as much swap as there is
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true)]
    pub memory_swap: Option<String>,
    /// How many processors: `2`, `0.5`
    #[arg(long, value_name = "N")]
    pub cpus: Option<String>,
    /// Share of the processors when others want them too; usual is 1024
    #[arg(short, long, value_name = "N")]
    pub cpu_shares: Option<String>,
    /// Which processors: `0-3,5`
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// How many processes and threads
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub pids_limit: Option<String>,
    /// Control group that the command's is in, as a path from the root of their hierarchy
    #[arg(long, value_name = "GROUP")]
    pub cgroup_parent: Option<String>,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PullArgument {
    /// Each time
    Always,
    /// When the store does not have it
    Missing,
    /// Not at all
    Never,
}

/// Arguments of `docker run` for which there is an answer better than that they are unknown.
#[derive(Debug, Clone, Default, Args)]
pub struct RefusedArguments {
    /// Name
    #[arg(long, value_name = "NAME", hide = true)]
    pub name: Option<String>,
    /// Do not wait
    #[arg(short, long, hide = true)]
    pub detach: bool,
    /// Port
    #[arg(short, long, value_name = "PORT", hide = true)]
    pub publish: Vec<String>,
    /// All ports
    #[arg(short = 'P', long, hide = true)]
    pub publish_all: bool,
    /// Capability to add
    #[arg(long, value_name = "CAPABILITY", hide = true)]
    pub cap_add: Vec<String>,
    /// Capability to drop
    #[arg(long, value_name = "CAPABILITY", hide = true)]
    pub cap_drop: Vec<String>,
    /// Everything
    #[arg(long, hide = true)]
    pub privileged: bool,
    /// Device
    #[arg(long = "device", value_name = "DEVICE", hide = true)]
    pub devices: Vec<String>,
    /// Mount
    #[arg(long = "mount", value_name = "MOUNT", hide = true)]
    pub mounts: Vec<String>,
}
