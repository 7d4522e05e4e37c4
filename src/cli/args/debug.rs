//! What can be typed about steps that fail: `--on-failure`, `careen debug`, and buildx' words for both.

use std::ffi::OsString;

use clap::{Args, Subcommand, ValueEnum};

use super::{BuildArguments, ProgressArgument};
use crate::builders::Chosen;

/// What is done with what a RUN leaves that fails.
#[derive(Debug, Clone, Default, Args)]
pub struct FailureArguments {
    /// What is done with the files of a RUN that fails [default: remove]
    #[arg(long, value_name = "WHAT")]
    pub on_failure: Option<OnFailureArgument>,
    /// Buildx' word: `on-error` is `--on-failure=shell`
    #[arg(long, value_name = "WHAT", hide = true)]
    pub invoke: Option<String>,
}

/// What can be done with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnFailureArgument {
    /// They go
    Remove,
    /// They stay for a day, for `careen debug`
    Keep,
    /// A shell is opened in them when the build has ended, and they go with it
    Shell,
}

/// The arguments of `debug`.
#[derive(Debug, Clone, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true
)]
pub struct DebugArguments {
    /// What else is to be done.
    #[command(subcommand)]
    pub command: Option<DebugCommand>,
    /// Id of the kept step, or how it begins
    #[arg(value_name = "ID", required = true)]
    pub id: Option<String>,
    /// Command to run in the place of the one that failed [default: its shell, on a terminal]
    #[arg(value_name = "COMMAND", trailing_var_arg = true)]
    pub argv: Vec<String>,
    /// Keep standard input open; so it is without a command
    #[arg(short, long)]
    pub interactive: bool,
    /// Give the command a terminal; so it is without a command
    #[arg(short, long)]
    pub tty: bool,
    /// Builder that built [env: `BUILDX_BUILDER`] [default: the one that `use` named]
    #[arg(long, global = true, value_name = "BUILDER")]
    pub builder: Option<String>,
    /// The builder, when it has been found.
    #[arg(skip)]
    pub(crate) chosen: Option<Chosen>,
}

/// What can be typed after `debug`.
#[derive(Debug, Clone, Subcommand)]
pub enum DebugCommand {
    /// List the kept steps, the latest first
    Ls(DebugLsArguments),
    /// Remove kept steps
    Rm(DebugRmArguments),
}

/// The arguments of `debug ls`.
#[derive(Debug, Clone, Args)]
pub struct DebugLsArguments {
    /// `table`, `json`, or a Go template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Print ids alone
    #[arg(short, long, conflicts_with = "format")]
    pub quiet: bool,
}

/// The arguments of `debug rm`.
#[derive(Debug, Clone, Args)]
pub struct DebugRmArguments {
    /// Ids of the kept steps, or how they begin
    #[arg(value_name = "ID", required_unless_present = "all")]
    pub ids: Vec<String>,
    /// Remove all that nobody looks into
    #[arg(short, long, conflicts_with = "ids")]
    pub all: bool,
}

/// What can be typed after `buildx debug`.
#[derive(Debug, Args)]
pub struct BuildxDebugArguments {
    /// What is opened; `on-error` is the shell of the step that fails
    #[arg(long, value_name = "WHAT")]
    pub invoke: Option<String>,
    /// When something is opened; there is `error` alone
    #[arg(long, value_name = "WHEN", value_parser = ["error"])]
    pub on: Option<String>,
    /// How progress is shown
    #[arg(long, value_name = "KIND")]
    pub progress: Option<ProgressArgument>,
    /// What is to be done.
    #[command(subcommand)]
    pub command: BuildxDebugCommand,
}

/// The commands after `buildx debug`.
#[derive(Debug, Subcommand)]
pub enum BuildxDebugCommand {
    /// Build an image, and open a shell in a step that fails
    #[command(alias = "b")]
    Build(Box<BuildArguments>),
    /// What there is not.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

impl BuildxDebugArguments {
    /// Returns the build that this is another spelling of, or the words that name no command.
    ///
    /// # Errors
    ///
    /// Fails on words that name no command.
    pub fn unspelled(self) -> Result<Box<BuildArguments>, Vec<OsString>> {
        let mut build = match self.command {
            BuildxDebugCommand::Build(build) => build,
            BuildxDebugCommand::Other(words) => return Err(words),
        };
        let failure = &mut build.failure;
        failure.invoke = failure.invoke.take().or(self.invoke);
        if failure.invoke.is_none() {
            failure.on_failure.get_or_insert(OnFailureArgument::Shell);
        }
        let progress = &mut build.progress.progress;
        *progress = progress.or(self.progress);
        Ok(build)
    }
}
