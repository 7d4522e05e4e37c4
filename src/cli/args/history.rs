//! What can be typed about builds of the past, and about what is told when a build ends.

use std::ffi::OsString;

use clap::{Args, Subcommand, ValueEnum};

/// The arguments of `build` about what is told and kept when it ends.
#[derive(Debug, Clone, Default, Args)]
pub struct EndArguments {
    /// Show the layers and the largest new files at the end [default: where progress is a live display]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub summary: Option<bool>,
    /// Keep no record of the build for `history` [env: `CAREEN_HISTORY`=0]
    #[arg(long)]
    pub no_history: bool,
    /// Tell at the end why steps ran that an earlier build had; JSON goes to standard output
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    pub explain_cache: Option<ExplainFormat>,
}

/// How it is told why steps ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExplainFormat {
    /// For people, on standard error
    Text,
    /// For programs, on standard output
    Json,
}

/// What can be typed after `history`.
#[derive(Debug, Args)]
pub struct HistoryGroup {
    /// Builder whose builds are meant [env: `BUILDX_BUILDER`] [default: the one that `use` named]
    #[arg(long, global = true, value_name = "BUILDER")]
    pub builder: Option<String>,
    /// What is to be done.
    #[command(subcommand)]
    pub command: HistoryCommand,
}

/// What can be done with builds of the past.
#[derive(Debug, Clone, Subcommand)]
pub enum HistoryCommand {
    /// List builds
    Ls(HistoryLsArguments),
    /// Show what a build was
    Inspect(HistoryInspectArguments),
    /// Print what a build said
    Logs(HistoryLogsArguments),
    /// Forget builds
    Rm(HistoryRmArguments),
    /// What there is not.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// The arguments of `history ls`.
#[derive(Debug, Clone, Args)]
pub struct HistoryLsArguments {
    /// Which builds: `status=error`, `ref=ID`, `repository!=URL`, `duration>30s`, `startedAt<24h`, `completedAt>TIME`
    #[arg(long = "filter", value_name = "FILTER")]
    pub filters: Vec<String>,
    /// How to show them: `table`, `table TEMPLATE`, `json`, or a Go template for each
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Those alone whose context is in the repository of this directory, or below it
    #[arg(long)]
    pub local: bool,
    /// Show names whole
    #[arg(long)]
    pub no_trunc: bool,
}

/// The arguments of `history inspect`.
#[derive(Debug, Clone, Args)]
pub struct HistoryInspectArguments {
    /// Which build: its ID or how that begins, or `^N` for the N-th before the newest [default: the newest]
    #[arg(value_name = "REF")]
    pub build: Option<String>,
    /// How to show it: `pretty`, `json`, or a Go template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Tell too why steps ran that an earlier build had
    #[arg(long)]
    pub explain: bool,
}

/// The arguments of `history logs`.
#[derive(Debug, Clone, Args)]
pub struct HistoryLogsArguments {
    /// Which build: its ID or how that begins, or `^N` for the N-th before the newest [default: the newest]
    #[arg(value_name = "REF")]
    pub build: Option<String>,
    /// How it is printed
    #[arg(long, value_name = "KIND", default_value = "plain")]
    pub progress: LogsProgress,
}

/// The ways to print what a build said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogsProgress {
    /// Plain text
    #[value(alias = "auto", alias = "tty")]
    Plain,
    /// JSON, an object a line, in the format of BuildKit's
    Rawjson,
}

/// The arguments of `history rm`.
#[derive(Debug, Clone, Args)]
pub struct HistoryRmArguments {
    /// Which builds
    #[arg(value_name = "REF", required_unless_present = "all")]
    pub builds: Vec<String>,
    /// All of them
    #[arg(long, conflicts_with = "builds")]
    pub all: bool,
}
