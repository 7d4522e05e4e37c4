//! What can be typed about the sandboxes of commands.

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};

/// Arguments of `build` that are about the sandboxes of `RUN` commands.
#[derive(Debug, Clone, Default, Args)]
pub struct SandboxArguments {
    /// Allow what a Dockerfile gets only so: `network.host`, `security.insecure`
    #[arg(long = "allow", value_name = "ENTITLEMENT")]
    pub allow: Vec<String>,
    /// Agent or keys for `RUN --mount=type=ssh`: `default`, or `ID[=SOCKET|KEY[,KEY…]]`
    #[arg(long = "ssh", value_name = "SSH")]
    pub ssh: Vec<String>,
    /// Line of /etc/hosts: `HOST:IP`, `HOST=IP`; the IP may be `host-gateway`
    #[arg(long = "add-host", value_name = "HOST:IP")]
    pub add_hosts: Vec<String>,
    /// Name server of RUN commands [default: the machine's]
    #[arg(long = "dns", value_name = "IP")]
    pub dns: Vec<String>,
    /// Option of the resolver of RUN commands
    #[arg(long = "dns-option", value_name = "OPTION")]
    pub dns_options: Vec<String>,
    /// Domain in which RUN commands look names up
    #[arg(long = "dns-search", value_name = "DOMAIN")]
    pub dns_search: Vec<String>,
    /// Size of /dev/shm [default: 64m]
    #[arg(long, value_name = "SIZE")]
    pub shm_size: Option<String>,
    /// Limit of the processes of RUN commands: `NAME=SOFT[:HARD]`
    #[arg(long = "ulimit", value_name = "LIMIT")]
    pub ulimits: Vec<String>,
    /// Control group that those of RUN commands are in, as a path from the root of their hierarchy
    #[arg(long, value_name = "GROUP")]
    pub cgroup_parent: Option<String>,
    /// What each RUN command may use, `NAME=VALUE`: `memory`, `memory-swap`, `cpu-shares`, `cpu-period`, `cpu-quota`,
    /// `cpuset-cpus`, `cpuset-mems`
    #[arg(long = "resource", value_name = "NAME=VALUE")]
    pub resources: Vec<String>,
    /// How many processes and threads each RUN command may have
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub pids_limit: Option<String>,
    /// How many processors each RUN command may use: `2`, `0.5`
    #[arg(long, value_name = "N")]
    pub cpus: Option<String>,
    /// What other builders take.
    #[command(flatten)]
    pub legacy: LegacyArguments,
}

/// Arguments that `docker build` has or had: limits, and what changes nothing here.
#[derive(Debug, Clone, Default, Args)]
pub struct LegacyArguments {
    /// Memory limit
    #[arg(short, long, value_name = "SIZE", hide = true)]
    pub memory: Option<String>,
    /// Limit of memory and swap together
    #[arg(long, value_name = "SIZE", hide = true, allow_negative_numbers = true)]
    pub memory_swap: Option<String>,
    /// Share of the processors
    #[arg(
        short,
        long,
        value_name = "N",
        hide = true,
        allow_negative_numbers = true
    )]
    pub cpu_shares: Option<String>,
    /// Period of the processor quota
    #[arg(long, value_name = "N", hide = true, allow_negative_numbers = true)]
    pub cpu_period: Option<String>,
    /// Processor quota
    #[arg(long, value_name = "N", hide = true, allow_negative_numbers = true)]
    pub cpu_quota: Option<String>,
    /// Processors that may be used
    #[arg(long, value_name = "LIST", hide = true)]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes that may be used
    #[arg(long, value_name = "LIST", hide = true)]
    pub cpuset_mems: Option<String>,
    /// Isolation technology
    #[arg(long, value_name = "NAME", hide = true)]
    pub isolation: Option<String>,
    /// Security options
    #[arg(long = "security-opt", value_name = "OPTION", hide = true)]
    pub security_options: Vec<String>,
    /// Whether intermediate containers are removed: there are none
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = BoolishValueParser::new(),
          action = ArgAction::Set)]
    pub rm: Option<bool>,
    /// Whether intermediate containers are always removed: there are none
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = BoolishValueParser::new(),
          action = ArgAction::Set)]
    pub force_rm: Option<bool>,
    /// Whether the context is compressed on its way: it has none to go
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = BoolishValueParser::new(),
          action = ArgAction::Set)]
    pub compress: Option<bool>,
}
