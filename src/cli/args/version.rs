//! What can be typed after `version` and `info`.

use clap::Args;

/// The arguments of `version` and `info`.
#[derive(Debug, Clone, Default, Args)]
pub struct VersionArguments {
    /// A Go template, or `json`
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
}
