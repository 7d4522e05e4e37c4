//! What can be typed to have the command line described for others: shells and `man`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// The arguments of `completion`.
#[derive(Debug, Clone, Args)]
pub struct CompletionArguments {
    /// Shell that is to complete what is typed
    #[arg(value_name = "SHELL")]
    pub shell: ShellArgument,
    /// The name under which the program is started.
    #[arg(skip = "careen")]
    pub program: &'static str,
}

/// The shells that can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShellArgument {
    /// `source <(careen completion bash)`
    Bash,
    /// `careen completion zsh > "${fpath[1]}/_careen"`
    Zsh,
    /// `careen completion fish > ~/.config/fish/completions/careen.fish`
    Fish,
}

/// The arguments of `man`.
#[derive(Debug, Clone, Args)]
pub struct ManArguments {
    /// Directory that the pages are written to, one for each command
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}
