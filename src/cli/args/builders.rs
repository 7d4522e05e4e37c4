//! What can be typed about builders, as after `docker buildx`.

use std::ffi::OsString;

use clap::{Args, Subcommand};

use super::{
    BuildArguments, BuildxDebugArguments, DuArguments, HistoryCommand, ImagetoolsCommand,
    PruneArguments,
};

/// What can be done with builders.
#[derive(Debug, Clone, Subcommand)]
pub enum BuilderCommand {
    /// Make a builder, or add a node to one
    Create(Box<BuilderCreateArguments>),
    /// Take a builder for the builds to come
    Use(BuilderUseArguments),
    /// List the builders
    Ls(BuilderLsArguments),
    /// Show a builder: what commands are run with here, and for which platforms
    Inspect(BuilderInspectArguments),
    /// Remove builders with what they keep
    Rm(BuilderRmArguments),
    /// Stop a builder: none runs between builds
    Stop(BuilderStopArguments),
}

/// The arguments of `create`.
#[derive(Debug, Clone, Default, Args)]
pub struct BuilderCreateArguments {
    /// Where the node is: `default` for this machine, or `ssh://HOST` [default: this machine]
    #[arg(value_name = "ENDPOINT")]
    pub endpoint: Option<String>,
    /// Name of the builder [default: made up]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Name of the node [default: the builder's, and a number]
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// Add a node to a builder, or change one
    #[arg(long, conflicts_with = "leave")]
    pub append: bool,
    /// Take a node out of a builder
    #[arg(long, requires = "name", requires = "node")]
    pub leave: bool,
    /// What the builder is: `docker-container` has a store of its own, `docker` the one of this user
    #[arg(long, value_name = "DRIVER")]
    pub driver: Option<String>,
    /// Option of the driver; kept and shown, none changes anything here
    #[arg(long = "driver-opt", value_name = "NAME=VALUE", value_delimiter = ',')]
    pub driver_options: Vec<String>,
    /// Flags for `buildkitd`; kept and shown, there is none here
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    pub buildkitd_flags: Option<String>,
    /// Configuration of `buildkitd`; its name is kept and shown
    #[arg(long, alias = "config", value_name = "FILE")]
    pub buildkitd_config: Option<String>,
    /// Platforms that the node is for [default: those that run on it]
    #[arg(long = "platform", value_name = "PLATFORM", value_delimiter = ',')]
    pub platforms: Vec<String>,
    /// Say what is to be started: nothing
    #[arg(long)]
    pub bootstrap: bool,
    /// Take it for the builds to come
    #[arg(long = "use")]
    pub take: bool,
    /// Taken, without effect: nothing is waited for
    #[arg(long, value_name = "DURATION", hide = true)]
    pub timeout: Option<String>,
}

/// The arguments of `use`.
#[derive(Debug, Clone, Args)]
pub struct BuilderUseArguments {
    /// Name of the builder
    #[arg(value_name = "BUILDER")]
    pub name: String,
    /// Taken, without effect: there is one context
    #[arg(long)]
    pub default: bool,
    /// Taken, without effect: there is one context
    #[arg(long)]
    pub global: bool,
}

/// The arguments of `ls`.
#[derive(Debug, Clone, Args)]
pub struct BuilderLsArguments {
    /// How to show them: `table`, `table TEMPLATE`, `json`, or a Go template for each
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Show all platforms
    #[arg(long)]
    pub no_trunc: bool,
}

/// The arguments of `inspect`.
#[derive(Debug, Clone, Args)]
pub struct BuilderInspectArguments {
    /// Name of the builder [default: the one that builds take]
    #[arg(value_name = "BUILDER")]
    pub name: Option<String>,
    /// Say what is to be started: nothing
    #[arg(long)]
    pub bootstrap: bool,
    /// Taken, without effect: nothing is waited for
    #[arg(long, value_name = "DURATION", hide = true)]
    pub timeout: Option<String>,
}

/// The arguments of `rm`.
#[derive(Debug, Clone, Args)]
pub struct BuilderRmArguments {
    /// Names of the builders [default: the one that builds take]
    #[arg(value_name = "BUILDER")]
    pub names: Vec<String>,
    /// Remove all builders that run nothing now
    #[arg(long, conflicts_with = "names")]
    pub all_inactive: bool,
    /// Do not ask: nothing is asked anyway
    #[arg(short, long)]
    pub force: bool,
    /// Keep what they have built
    #[arg(long)]
    pub keep_state: bool,
    /// Taken, without effect: there is no daemon
    #[arg(long)]
    pub keep_daemon: bool,
    /// Taken, without effect: nothing is waited for
    #[arg(long, value_name = "DURATION", hide = true)]
    pub timeout: Option<String>,
}

/// The arguments of `stop`.
#[derive(Debug, Clone, Args)]
pub struct BuilderStopArguments {
    /// Name of the builder [default: the one that builds take]
    #[arg(value_name = "BUILDER")]
    pub name: Option<String>,
}

/// What can be typed after `buildx`.
#[derive(Debug, Args)]
pub struct BuildxGroup {
    /// Builder to take
    #[arg(long, global = true, value_name = "BUILDER")]
    pub builder: Option<String>,
    /// Taken, without effect
    #[arg(short = 'D', long)]
    pub debug: bool,
    /// What is to be done.
    #[command(subcommand)]
    pub command: BuildxCommand,
}

/// The commands after `buildx`: those of careen, in buildx' words.
#[derive(Debug, Subcommand)]
pub enum BuildxCommand {
    /// Build an image from a Dockerfile
    #[command(alias = "b")]
    Build(Box<BuildArguments>),
    /// Work with builders
    #[command(flatten)]
    Builders(BuilderCommand),
    /// Show what the build cache takes on the disk
    #[command(alias = "diskusage")]
    Du(DuArguments),
    /// Remove what no build uses from the build cache
    Prune(PruneArguments),
    /// Work with indexes and images, wherever they are
    Imagetools {
        /// What is to be done with them.
        #[command(subcommand)]
        command: ImagetoolsCommand,
    },
    /// Build, and open a shell in a step that fails
    Debug(BuildxDebugArguments),
    /// Work with builds of the past
    History {
        /// What is to be done with them.
        #[command(subcommand)]
        command: HistoryCommand,
    },
    /// Print the version
    Version,
    /// What there is not.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}
