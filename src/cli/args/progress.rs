//! How progress is shown, and where it is recorded.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// The arguments that say how progress is shown, and where it is recorded.
#[derive(Debug, Clone, Default, Args)]
pub struct ProgressArguments {
    /// How progress is shown [env: `BUILDKIT_PROGRESS`]
    #[arg(long, value_name = "KIND")]
    pub progress: Option<ProgressArgument>,
    /// Write what happens into a file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub event_log: Option<PathBuf>,
    /// Write all that each step prints into a directory, a file for each step
    #[arg(long, value_name = "DIR")]
    pub log_dir: Option<PathBuf>,
    /// Write a page with a chart of the build, which opens in a browser
    #[arg(long, value_name = "FILE")]
    pub timeline: Option<PathBuf>,
}

/// The ways to show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressArgument {
    /// A live display on a terminal, else plain text
    Auto,
    /// A live display, which needs a terminal
    Tty,
    /// Plain text, in the format of BuildKit's plain progress
    Plain,
    /// JSON, an object a line, in the format of BuildKit's
    Rawjson,
    /// Nothing but errors and warnings
    Quiet,
    /// Nothing but errors
    None,
}

impl ProgressArgument {
    /// Returns its name on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Tty => "tty",
            Self::Plain => "plain",
            Self::Rawjson => "rawjson",
            Self::Quiet => "quiet",
            Self::None => "none",
        }
    }
}
