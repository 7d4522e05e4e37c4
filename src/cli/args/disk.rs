//! What can be typed about what the store takes on the disk.

use std::ffi::OsString;

use clap::{Args, Subcommand};

use crate::builders::Chosen;

/// What can be done about the disk.
#[derive(Debug, Clone, Subcommand)]
pub enum DiskCommand {
    /// Show what the build cache takes on the disk
    #[command(alias = "diskusage")]
    Du(DuArguments),
    /// Remove what no build uses from the build cache
    Prune(PruneArguments),
    /// Show and free what images and the build cache take on the disk
    System {
        /// What is to be done.
        #[command(subcommand)]
        command: SystemCommand,
    },
}

/// What can be typed after `system`.
#[derive(Debug, Clone, Subcommand)]
pub enum SystemCommand {
    /// Show what images and the build cache take on the disk
    Df(DfArguments),
    /// Remove images without a name, and what no build uses
    Prune(SystemPruneArguments),
    /// What there is not.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// Whose build cache is meant.
#[derive(Debug, Clone, Default, Args)]
pub struct CacheOfArguments {
    /// Builder whose cache it is [env: `BUILDX_BUILDER`] [default: the one that `use` named]
    #[arg(long, value_name = "BUILDER")]
    pub builder: Option<String>,
    /// Whether the builder that `use` named is none for this command.
    #[arg(skip)]
    pub passes_over_current: bool,
    /// The builder, when it has been found.
    #[arg(skip)]
    pub(crate) chosen: Option<Chosen>,
}

/// The arguments of `du`.
#[derive(Debug, Clone, Args)]
pub struct DuArguments {
    /// Show only what fits: `type=TYPE`, `id=TEXT`, `until=AGE`, `inuse`, …
    #[arg(long = "filter", value_name = "NAME[=VALUE]")]
    pub filters: Vec<String>,
    /// How to show it: `table`, `table TEMPLATE`, `pretty`, `json`, or a Go template for each
    #[arg(long, value_name = "FORMAT", conflicts_with = "verbose")]
    pub format: Option<String>,
    /// Show all that is known of each: `--format=pretty`
    #[arg(long)]
    pub verbose: bool,
    /// Taken, without effect: nothing is waited for
    #[arg(long, value_name = "DURATION", hide = true)]
    pub timeout: Option<String>,
    /// Whose build cache is meant.
    #[command(flatten)]
    pub of: CacheOfArguments,
}

/// The arguments of `prune`.
#[derive(Debug, Clone, Args)]
pub struct PruneArguments {
    /// Remove what careen keeps for itself too
    #[arg(short, long)]
    pub all: bool,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
    /// Remove only what fits: `until=AGE`, `type=TYPE`, `id=TEXT`, …
    #[arg(long = "filter", value_name = "NAME[=VALUE]")]
    pub filters: Vec<String>,
    /// How much the cache may take at most: the least recently used goes
    #[arg(long, value_name = "SIZE")]
    pub max_used_space: Option<String>,
    /// How much is to be free on the disk
    #[arg(long, value_name = "SIZE")]
    pub min_free_space: Option<String>,
    /// How much of the cache is kept in any case
    #[arg(long, value_name = "SIZE", alias = "keep-storage")]
    pub reserved_space: Option<String>,
    /// Keep what was used so lately: `--filter until=AGE`
    #[arg(long, value_name = "AGE", hide = true)]
    pub keep_duration: Option<String>,
    /// Show all that was known of what goes
    #[arg(long)]
    pub verbose: bool,
    /// Taken, without effect: nothing is waited for
    #[arg(long, value_name = "DURATION", hide = true)]
    pub timeout: Option<String>,
    /// Whose build cache is meant.
    #[command(flatten)]
    pub of: CacheOfArguments,
}

/// The arguments of `system df`.
#[derive(Debug, Clone, Args)]
pub struct DfArguments {
    /// How to show it: `table`, `table TEMPLATE`, `json`, or a Go template for each row
    #[arg(long, value_name = "FORMAT", conflicts_with = "verbose")]
    pub format: Option<String>,
    /// Show each image, and each part of the build cache
    #[arg(short, long)]
    pub verbose: bool,
}

/// The arguments of `system prune`.
#[derive(Debug, Clone, Args)]
pub struct SystemPruneArguments {
    /// Remove all images and all of the build cache
    #[arg(short, long)]
    pub all: bool,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
    /// Remove only what fits: `until=AGE`; images by `label=NAME[=VALUE]` too
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    pub filters: Vec<String>,
    /// Taken, without effect: there are no volumes
    #[arg(long)]
    pub volumes: bool,
}

impl DiskCommand {
    /// Returns whose build cache is meant, where that may be a builder's.
    pub(crate) fn of(&self) -> Option<&CacheOfArguments> {
        match self {
            Self::Du(du) => Some(&du.of),
            Self::Prune(prune) => Some(&prune.of),
            Self::System { .. } => None,
        }
    }

    /// Returns whose build cache is meant, to say it.
    pub(crate) fn of_mut(&mut self) -> Option<&mut CacheOfArguments> {
        match self {
            Self::Du(du) => Some(&mut du.of),
            Self::Prune(prune) => Some(&mut prune.of),
            Self::System { .. } => None,
        }
    }

    /// Fills in the builder that stood before the command.
    #[must_use]
    pub(crate) fn of_builder(mut self, builder: Option<String>) -> Self {
        if let Some(of) = self.of_mut() {
            of.builder = of.builder.take().or(builder);
        }
        self
    }

    /// Makes it about docker's own builder, unless it is told otherwise.
    #[must_use]
    pub(crate) fn by_default(mut self) -> Self {
        if let Some(of) = self.of_mut() {
            of.passes_over_current = true;
        }
        self
    }
}
