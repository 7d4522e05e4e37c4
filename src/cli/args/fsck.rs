//! What can be typed behind `fsck`.

use clap::Args;

/// The arguments of `fsck`.
#[derive(Debug, Clone, Args)]
pub struct FsckArguments {
    /// Mend what is damaged: it is removed, and made or fetched again by the next command that needs it
    #[arg(long)]
    pub repair: bool,
    /// Print what was found as JSON
    #[arg(long)]
    pub json: bool,
}
